//! Reads JSON in place. A text is validated once; after that its values are
//! slices of it, in their original order and with their original bytes. So no
//! tree is built, and a schema or a tool's input is passed on unchanged.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;

/// Owned JSON text that keeps its order and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// Parses a text; `None` if it is not JSON.
    pub fn parse(text: &str) -> Option<Self> {
        Raw::parse(text).map(Self::from)
    }

    /// A JSON string with the value `text`.
    pub fn string(text: &str) -> Self {
        let mut out = String::with_capacity(text.len().saturating_add(2));
        crate::write::string(&mut out, text);
        Self(out.into())
    }

    /// A text that was written as JSON.
    pub(crate) fn written(text: String) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn raw(&self) -> Raw<'_> {
        Raw(&self.0)
    }
}

/// The tree of a JSON text; none if it is not JSON, or nested too deeply. It has all that the readers here accept and
/// serde_json does not: half of a surrogate pair, as JavaScript writes it when it cuts an emoji in two, becomes U+FFFD,
/// and a number that is too large becomes null.
pub fn tree(text: &str) -> Option<Value> {
    hatch_json::from_str(text).ok().or_else(|| {
        let raw = Raw::parse(text)?;
        (raw.depth() <= MAX_DEPTH).then(|| raw.tree())
    })
}

impl From<Raw<'_>> for Json {
    fn from(raw: Raw<'_>) -> Self {
        Self(raw.0.into())
    }
}

/// A value within a text that is known to be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

/// Whether an object has two members of one name. Of these each reader takes another one, so what was checked may
/// not be what a model reads.
pub fn has_duplicates(text: &[u8]) -> bool {
    let raw = std::str::from_utf8(text).ok().and_then(Raw::parse);
    raw.is_some_and(|raw| raw.depth() <= MAX_DEPTH && raw.has_duplicates())
}

/// Maximum nesting, so that recursive readers cannot exhaust the stack. Real
/// requests and responses are far below it. What is stored of them is nested in more, and serde_json reads 127 levels.
pub(crate) const MAX_DEPTH: usize = 100;

impl<'a> Raw<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        Some(Self(text.trim_matches(is_blank_char)))
    }

    fn tree(self) -> Value {
        match self.first() {
            b'{' => self.members().map(|(name, member)| (name.into_owned(), member.tree())).collect(),
            b'[' => self.items().map(Self::tree).collect(),
            b'"' => self.as_str().unwrap_or_default().into(),
            _ => hatch_json::from_str(self.0).unwrap_or_default(),
        }
    }

    pub(crate) fn text(self) -> &'a str {
        self.0
    }

    fn first(self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or_default()
    }

    pub(crate) fn is_null(self) -> bool {
        self.first() == b'n'
    }

    pub(crate) fn is_object(self) -> bool {
        self.first() == b'{'
    }

    pub(crate) fn is_array(self) -> bool {
        self.first() == b'['
    }

    pub(crate) fn is_string(self) -> bool {
        self.first() == b'"'
    }

    /// The value of a string; borrowed if it has no escapes.
    pub(crate) fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            Cow::Borrowed(inner)
        } else {
            Cow::Owned(unescape(inner))
        })
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn as_f64(self) -> Option<f64> {
        let is_number = matches!(self.first(), b'-' | b'0'..=b'9');
        if is_number { self.0.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
    }

    /// A non-negative integer. `3.0` is accepted too, because JavaScript does
    /// not distinguish it from `3`.
    pub(crate) fn as_u64(self) -> Option<u64> {
        self.0.parse().ok().or_else(|| {
            let number = self.as_f64()?;
            // Above 2^53 a float cannot represent every integer.
            let is_count = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked"
            )]
            is_count.then_some(number as u64)
        })
    }

    pub(crate) fn as_i64(self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn has_duplicates(self) -> bool {
        let mut names = BTreeSet::new();
        self.members().any(|(name, value)| !names.insert(name) || value.has_duplicates())
            || self.items().any(Raw::has_duplicates)
    }

    /// The members of an object, in order; empty for other values.
    pub(crate) fn members(self) -> Members<'a> {
        Members { text: self.0, at: if self.is_object() { 1 } else { self.0.len() } }
    }

    /// The items of an array; empty for other values.
    pub(crate) fn items(self) -> Items<'a> {
        Items { text: self.0, at: if self.is_array() { 1 } else { self.0.len() } }
    }

    /// A member that is present and not null. Of duplicates the last one
    /// counts, as in other JSON parsers.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        let found = self.members().filter(|(key, _)| key == name).last();
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    pub(crate) fn get_str(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    pub(crate) fn get_u64(self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// The depth of nested objects and arrays.
    pub(crate) fn depth(self) -> usize {
        let (bytes, mut at, mut depth, mut deepest) = (self.0.as_bytes(), 0_usize, 0_usize, 0_usize);
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'"' => string_end(bytes, at),
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    deepest = deepest.max(depth);
                    at.saturating_add(1)
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    at.saturating_add(1)
                }
                _ => at.saturating_add(1),
            };
        }
        deepest
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = next_value(self.text, &mut self.at)?;
        let value = next_value(self.text, &mut self.at)?;
        Some((Raw(key).as_str()?, Raw(value)))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        next_value(self.text, &mut self.at).map(Raw)
    }
}

/// The next value after blanks, commas and colons. Moves `at` past it.
fn next_value<'a>(text: &'a str, at: &mut usize) -> Option<&'a str> {
    let bytes = text.as_bytes();
    while bytes.get(*at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {
        *at = at.saturating_add(1);
    }
    let start = *at;
    let end = match bytes.get(start)? {
        b'}' | b']' => return None,
        b'"' => string_end(bytes, start),
        b'{' | b'[' => nested_end(bytes, start),
        _ => scalar_end(bytes, start),
    };
    *at = end;
    text.get(start..end)
}

/// The position after the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start.saturating_add(1);
    loop {
        let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) else {
            return bytes.len();
        };
        let found = at.saturating_add(found);
        if bytes.get(found) == Some(&b'"') {
            return found.saturating_add(1);
        }
        at = found.saturating_add(2);
    }
}

fn nested_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'"' => string_end(bytes, at),
            _ => at.saturating_add(1),
        };
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn scalar_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length =
        rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
    length.map_or(bytes.len(), |length| start.saturating_add(length))
}

fn is_blank_char(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}

/// Resolves escapes. Half of a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escaped.chars();
        let kind = chars.next();
        rest = chars.as_str();
        match kind {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => rest = unicode(rest, &mut out),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.push_str(rest);
    out
}

/// Reads the digits after `\u`; returns the rest of the text.
fn unicode<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let Some((high, after)) = four_digits(rest) else { return rest };
    if (0xD800..0xDC00).contains(&high)
        && let Some((low, after_pair)) = after.strip_prefix("\\u").and_then(four_digits)
        && (0xDC00..0xE000).contains(&low)
    {
        let code = 0x1_0000_u32
            .saturating_add(high.saturating_sub(0xD800) << 10)
            .saturating_add(low.saturating_sub(0xDC00));
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return after_pair;
    }
    out.push(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
    after
}

fn four_digits(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// The high half of a surrogate pair at the end of a JSON string: some
/// upstreams split an emoji between two events.
pub(crate) fn trailing_high_surrogate(string: Raw<'_>) -> Option<&str> {
    let inner = string.0.strip_suffix('"')?;
    let at = inner.len().checked_sub(6)?;
    let escape = inner.get(at..)?;
    let (code, _) = four_digits(escape.strip_prefix("\\u")?)?;
    let slashes = inner.get(..at)?.bytes().rev().take_while(|byte| *byte == b'\\').count();
    ((0xD800..0xDC00).contains(&code) && slashes % 2 == 0).then_some(escape)
}

/// Tracks whether a JSON value that arrives in pieces is complete.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
    began: bool,
}

impl Balance {
    pub(crate) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            let ends = byte == b'"' && !self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.in_string = !ends;
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.began |= !byte.is_ascii_whitespace();
    }

    /// An object has been opened and closed.
    pub(crate) fn is_complete(self) -> bool {
        self.began && !self.is_open()
    }

    /// A value has been opened and not closed yet.
    pub(crate) fn is_open(self) -> bool {
        self.depth > 0 || self.in_string
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn rebuilt(raw: Raw<'_>) -> Value {
        if raw.is_object() {
            Value::Object(raw.members().map(|(key, value)| (key.into_owned(), rebuilt(value))).collect())
        } else if raw.is_array() {
            raw.items().map(rebuilt).collect()
        } else if raw.is_string() {
            Value::String(raw.as_str().unwrap().into_owned())
        } else {
            serde_json::from_str(raw.text()).unwrap()
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn reading_in_place_agrees_with_a_parser(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(rebuilt(Raw::parse(&text).unwrap()), value);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in r#"[\[\]{}",:\\a0u\-e.trufalsn ]{0,40}"#) {
            prop_assert_eq!(Raw::parse(&text).is_some(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            // Reading must terminate even if the text is not JSON.
            let raw = Raw(&text);
            drop((raw.members().count(), raw.items().count(), raw.as_str(), raw.depth()));
        }

        #[test]
        fn a_balance_detects_the_end_of_a_value(value in any_json(), size in 1_usize..9) {
            let text = json!({ "v": value }).to_string();
            let mut balance = Balance::default();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(size) {
                prop_assert!(!balance.is_complete());
                balance.push(&piece.iter().collect::<String>());
            }
            prop_assert!(balance.is_complete());
        }
    }

    #[test]
    fn two_members_of_one_name_are_found_at_any_depth_and_however_they_are_written() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"c":{},"\u0061":2}]}"#] {
            assert!(has_duplicates(text.as_bytes()), "{text}");
        }
        assert!(!has_duplicates(br#"{"a":{"a":[{"a":1},{"a":2}]},"b":"{\"a\":1,\"a\":1}"}"#));
    }

    #[test]
    fn the_last_duplicate_member_counts_and_null_means_absent() {
        let raw = Raw::parse(r#"{"a":1,"a":2,"b":null}"#).unwrap();
        assert_eq!(raw.get_u64("a"), Some(2));
        assert_eq!(raw.get("b"), None);
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        let raw = Raw::parse(r#""a\ud83d\ude00b\ud83d""#).unwrap();
        assert_eq!(raw.as_str().unwrap(), "a😀b\u{fffd}");
        assert_eq!(trailing_high_surrogate(raw), Some("\\ud83d"));
        assert_eq!(trailing_high_surrogate(Raw::parse(r#""\\ud83d""#).unwrap()), None);
    }

    #[test]
    fn a_tree_is_of_all_json_that_the_readers_accept() {
        let text = r#"{"a":["x\ud83d","\ud83d\ude00",1e999,{"b\udc00":null}],"c":1.5}"#.replace("\\\\", "\\");
        let expected = json!({ "a": ["x\u{fffd}", "😀", null, { "b\u{fffd}": null }], "c": 1.5 });
        assert_eq!(tree(&text), Some(expected));
        assert_eq!(tree("{\"a\":"), None);
        let nested = |depth: usize| format!("{}1e999{}", "[".repeat(depth), "]".repeat(depth));
        assert!(tree(&nested(MAX_DEPTH)).is_some() && tree(&nested(100_000)).is_none());
    }

    #[test]
    fn brackets_in_strings_do_not_count_as_depth() {
        assert_eq!(Raw::parse(r#"{"a":[{"b":"[[[["}]}"#).unwrap().depth(), 3);
    }
}
