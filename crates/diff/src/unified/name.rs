//! File names in the headers of a diff.

/// Parses a name in a header line, without its timestamp and quotes. `None` if it is malformed.
pub(super) fn read(field: &str) -> Option<String> {
    if field.starts_with('"') {
        return unquote(field).map(|(name, _)| name);
    }
    let name = field.split_once('\t').map_or(field, |(name, _)| name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The two names of a `diff --git` line, if they can be separated: they are quoted, or they are the same name.
pub(super) fn read_pair(field: &str) -> Option<(String, String)> {
    if field.starts_with('"') {
        let (old, rest) = unquote(field)?;
        return Some((old, read(rest.strip_prefix(' ')?)?));
    }
    if field.ends_with('"') {
        let (old, new) = field.split_at_checked(field.find(" \"")?)?;
        return Some((old.to_owned(), unquote(new.strip_prefix(' ')?)?.0));
    }
    // Names may contain spaces, but both prefixes have the same length, so the space between the names is in the
    // middle.
    let (old, new) = field.split_at_checked(field.len() / 2)?;
    Some((old.to_owned(), new.strip_prefix(' ')?.to_owned()))
}

/// Strips the prefixes `a/` and `b/`, or git's other ones, if every present name has one.
pub(super) fn without_prefixes(old: Option<String>, new: Option<String>) -> (Option<String>, Option<String>) {
    let has_prefix = |name: &Option<String>| name.as_deref().is_none_or(|name| bare(name).is_some());
    if !has_prefix(&old) || !has_prefix(&new) {
        return (old, new);
    }
    let strip = |name: Option<String>| name.as_deref().and_then(bare).map(str::to_owned);
    (strip(old), strip(new))
}

fn bare(name: &str) -> Option<&str> {
    let (prefix, bare) = name.split_once('/')?;
    (matches!(prefix, "a" | "b" | "c" | "i" | "o" | "w" | "1" | "2") && !bare.is_empty()).then_some(bare)
}

/// Whether the field after `---` or `+++` means that there is no file: `/dev/null`, or the timestamp of the epoch,
/// which `diff` writes.
pub(super) fn is_absent(field: &str) -> bool {
    field.split_whitespace().next() == Some("/dev/null")
        || field.split_once('\t').is_some_and(|(_, stamp)| is_epoch(stamp))
}

/// Whether a timestamp is the epoch, in any time zone.
fn is_epoch(stamp: &str) -> bool {
    let mut parts = stamp.split_whitespace();
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let zone = parts.next().unwrap_or("+0000");
    let (Some(time), Some(zone)) = (minutes_of(time), zone_minutes(zone)) else { return false };
    let day = match date {
        "1970-01-01" => 0,
        "1969-12-31" => -1440,
        _ => return false,
    };
    day + time == zone
}

/// The minutes of `hh:mm:00`, with or without a zero fraction.
fn minutes_of(time: &str) -> Option<i32> {
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':').map(|part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (seconds == 0 && fraction.bytes().all(|digit| digit == b'0')).then_some(hours * 60 + minutes)
}

fn zone_minutes(zone: &str) -> Option<i32> {
    let digits: i32 = zone.get(1..)?.replace(':', "").parse().ok()?;
    let minutes = digits / 100 * 60 + digits % 100;
    match zone.get(..1)? {
        "+" => Some(minutes),
        "-" => Some(-minutes),
        _ => None,
    }
}

/// Reads a quoted name, with C's escapes, and returns it with the text after it.
fn unquote(field: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut rest = field.strip_prefix('"')?;
    loop {
        let end = rest.find(['"', '\\'])?;
        let (plain, mark) = rest.split_at_checked(end)?;
        bytes.extend_from_slice(plain.as_bytes());
        if let Some(after) = mark.strip_prefix('"') {
            return Some((String::from_utf8(bytes).ok()?, after));
        }
        let (byte, after) = escaped(mark.strip_prefix('\\')?)?;
        bytes.push(byte);
        rest = after;
    }
}

/// The byte that an escape stands for, and the text after it.
fn escaped(rest: &str) -> Option<(u8, &str)> {
    let first = rest.chars().next()?;
    let byte = match first {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        '"' => b'"',
        '\\' => b'\\',
        '0'..='3' => return Some((u8::from_str_radix(rest.get(..3)?, 8).ok()?, rest.get(3..)?)),
        _ => return None,
    };
    Some((byte, rest.get(first.len_utf8()..)?))
}

/// A name for a header, in quotes if it needs them.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let escape = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        _ if is_plain(byte) => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", name.bytes().map(escape).collect::<String>())
}
