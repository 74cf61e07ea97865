//! JSON as a text to check: with the characters that its escapes stand for, because `\u0067hp_…` is the secret
//! `ghp_…` to whoever parses it, and `\nzebra` begins with a new line and not with an `n`.

/// Replaces the escapes of JSON that arrives in pieces by their characters, but for `\"` and `\\`, which are its
/// structure. Line breaks between values become blanks, so that each one left is of a string; [`escaped`] writes them
/// as escapes again.
#[derive(Debug, Default)]
pub struct JsonText {
    /// The beginning of an escape.
    held: String,
}

impl JsonText {
    /// Takes the next piece of JSON, and returns what can be read of it by now. An escape that is not whole waits.
    pub fn push(&mut self, piece: &str) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.extend(piece.chars().map(|c| if u32::from(c) < 0x20 { ' ' } else { c }));
        let (mut out, mut rest) = (String::with_capacity(text.len()), text.as_str());
        while let Some((before, escape)) = rest.split_once('\\') {
            out.push_str(before);
            match read(escape) {
                Some((Some(c), after)) => {
                    out.push(c);
                    rest = after;
                }
                Some((None, after)) => {
                    out.push('\\');
                    out.push_str(escape.get(..escape.len().saturating_sub(after.len())).unwrap_or_default());
                    rest = after;
                }
                None => {
                    self.held = format!("\\{escape}");
                    return out;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// An escape that the text has broken off.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// A text of [`JsonText`] as JSON.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// What an escape stands for, without its backslash, and the text after it. No character for one that stays as it is;
/// `None` if more text is needed.
fn read(escape: &str) -> Option<(Option<char>, &str)> {
    let mut chars = escape.chars();
    let c = match chars.next()? {
        'u' => return read_code(escape, chars.as_str()),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        '/' => Some('/'),
        _ => None,
    };
    Some((c, chars.as_str()))
}

/// As [`read`], after the `u`.
fn read_code<'a>(escape: &'a str, digits: &'a str) -> Option<(Option<char>, &'a str)> {
    let as_it_is = Some((None, escape.strip_prefix('u').unwrap_or_default()));
    let Some((code, rest)) = four_digits(digits)? else { return as_it_is };
    let low = match code {
        0xd800..=0xdbff if rest.is_empty() || rest == "\\" => return None,
        0xd800..=0xdbff => match rest.strip_prefix("\\u") {
            Some(digits) => four_digits(digits)?,
            None => None,
        },
        _ => None,
    };
    let units = [Some(code), low.map(|(low, _)| low)].into_iter().flatten();
    let (c, rest) = match (char::decode_utf16(units).next(), low) {
        (Some(Ok(c)), Some((_, rest))) => (c, rest),
        (Some(Ok(c)), None) => (c, rest),
        _ => return as_it_is,
    };
    if matches!(c, '"' | '\\') { as_it_is } else { Some((Some(c), rest)) }
}

/// Four hexadecimal digits, and the text after them. `Some(None)` if they are others, `None` if more text is needed.
fn four_digits(digits: &str) -> Option<Option<(u16, &str)>> {
    let known = digits.bytes().take(4);
    if known.clone().any(|byte| !byte.is_ascii_hexdigit()) {
        return Some(None);
    }
    let (code, rest) = digits.split_at_checked(4)?;
    Some(u16::from_str_radix(code, 16).ok().map(|code| (code, rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text_of(json: &str, size: usize) -> String {
        let chars: Vec<char> = json.chars().collect();
        let mut text = JsonText::default();
        let mut out: String =
            chars.chunks(size).map(|piece| text.push(&piece.iter().collect::<String>())).collect();
        out.push_str(&text.finish());
        out
    }

    #[test]
    fn escapes_are_read_wherever_they_are_cut() {
        let json = r#"{"a":"\u0067hp_\n\t\/\u00fc\ud83d\ude80 \"\\n\u0022\u005c\ud83dx\u12g4\ud83d\u0041"}"#;
        let text = "{\"a\":\"ghp_\n\t/ü🚀 \\\"\\\\n\\u0022\\u005c\\ud83dx\\u12g4\\ud83dA\"}";
        for size in 1..json.len() {
            assert_eq!(text_of(json, size), text, "{size}");
        }
        assert_eq!(text_of("{\n  \"a\": 1\r\n}", 3), "{   \"a\": 1  }");
        for broken in ["\\", "\\u", "\\u00", "\\ud83d", "\\ud83d\\", "\\ud83d\\ude"] {
            assert_eq!(text_of(broken, 1), broken);
        }
    }

    #[test]
    fn a_long_text_of_escapes_is_read_once() {
        // Read once for each escape, it would take longer than anybody waits for a test.
        let json = "\\\\".repeat(8 << 20);
        assert!(JsonText::default().push(&json) == json);
    }

    proptest! {
        #[test]
        fn nothing_but_the_spelling_changes(text: String, codes: Vec<u16>, size in 1_usize..9) {
            let codes: String = char::decode_utf16(codes).flatten().collect();
            let units: String = codes.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let plain = serde_json::to_string(&text).unwrap();
            let json = format!("{{ \"a\":\n{plain},\r\n\t\"b\":\"{units}\" }}");
            let before: Value = serde_json::from_str(&json).unwrap();
            let after: Value = serde_json::from_str(&escaped(&text_of(&json, size))).unwrap();
            prop_assert_eq!(after, before);
        }
    }
}
