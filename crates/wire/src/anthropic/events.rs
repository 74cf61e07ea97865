//! Reads Claude's event stream into a message.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::Value;

use crate::sse::Decoder;

/// Tokens of an answer, as the API counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Usage {
    /// Input at the full price: neither read from nor written to the cache.
    pub input_tokens: u64,
    /// Output, thoughts included.
    pub output_tokens: u64,
    /// Input that was written to the cache.
    pub cache_creation_input_tokens: u64,
    /// Input that was read from the cache.
    pub cache_read_input_tokens: u64,
}

impl Usage {
    /// All input tokens, from the cache or not.
    pub fn read_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_creation_input_tokens)
            .saturating_add(self.cache_read_input_tokens)
    }
}

impl std::ops::AddAssign<&Self> for Usage {
    fn add_assign(&mut self, other: &Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_creation_input_tokens =
            self.cache_creation_input_tokens.saturating_add(other.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            self.cache_read_input_tokens.saturating_add(other.cache_read_input_tokens);
    }
}

/// A message while it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// All text blocks, in order. Thinking is not text.
    pub text: String,
    /// The model's name, as the API reports it; `None` until it does.
    pub model: Option<String>,
    /// The last counts seen; they are cumulative.
    pub usage: Usage,
    /// The API's web searches, which are priced individually.
    pub web_searches: u64,
    /// How many bytes of thoughts have arrived: they are no text, but they cost as much.
    pub thinking_bytes: u64,
    /// Why the model stopped.
    stop_reason: Option<String>,
    /// `message_stop` has arrived, so the message is complete.
    pub stopped: bool,
    /// The type of an error event in the stream.
    pub error: Option<&'static str>,
    /// The API has reported the output tokens.
    has_output_count: bool,
    /// The first half of a UTF-16 pair that a delta ended with.
    half: Option<u16>,
}

impl Message {
    /// Reads a message from the bytes of a stream. A last event without its blank line does not count: clients do not
    /// get it either.
    pub fn of(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        Decoder::default().push(bytes, |data| message.observe(data));
        message
    }

    /// Restores a stored message, complete or partial.
    pub fn kept(text: String, model: Option<String>, usage: Usage, is_complete: bool) -> Self {
        Self { text, model, usage, stopped: is_complete, ..Self::default() }
    }

    /// The whole answer has arrived, without an error.
    pub fn is_complete(&self) -> bool {
        self.stopped && self.error.is_none()
    }

    /// Nothing of an answer has arrived, not even a thought.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thinking_bytes == 0
    }

    /// The model stopped in the middle because it reached the token limit.
    pub fn ran_out(&self) -> bool {
        matches!(self.stop_reason.as_deref(), Some("max_tokens" | "model_context_window_exceeded"))
    }

    /// The API paused the turn and expects the client to continue it.
    pub fn is_paused(&self) -> bool {
        self.stop_reason.as_deref() == Some("pause_turn")
    }

    /// The model refused. The API asks clients not to use the text so far.
    pub fn was_refused(&self) -> bool {
        self.stop_reason.as_deref() == Some("refusal")
    }

    /// Whether the API has reported the output tokens.
    pub fn has_output_count(&self) -> bool {
        self.has_output_count
    }

    /// Reads one event's data. Events of unknown types are ignored, as the API asks of its clients.
    pub fn observe(&mut self, data: &str) {
        if let Some(text) = TextDelta::of(data) {
            return self.push_text(&text);
        }
        if let Some(bytes) = HalvedDelta::of(data) {
            return self.push_halves(&bytes);
        }
        let Ok(event) = hatch_json::from_str::<Value>(data) else { return };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != "ping" {
            self.end_half();
        }
        match kind {
            "message_start" => {
                let message = event.get("message");
                let model = message.and_then(|message| message.get("model")).and_then(Value::as_str);
                self.model = model.map(str::to_owned);
                self.count(message.and_then(|message| message.get("usage")));
            }
            "message_delta" => {
                // Some servers send several; a later one without a reason does not reset it.
                if let Some(reason) = event.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    self.stop_reason = Some(reason.to_owned());
                }
                let output = event.pointer("/usage/output_tokens").and_then(Value::as_u64);
                self.has_output_count |= output.is_some_and(|tokens| tokens > 0);
                self.count(event.get("usage"));
            }
            "content_block_delta" => {
                let thoughts = event.pointer("/delta/thinking").and_then(Value::as_str).unwrap_or_default();
                self.thinking_bytes = self.thinking_bytes.saturating_add(thoughts.len() as u64);
            }
            "message_stop" => self.stopped = true,
            "error" => self.error = Some(kind_of(&event)),
            _ => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_half();
        }
        // SQLite would truncate the text at U+0000.
        self.text.extend(text.split('\0'));
    }

    /// Adds text with unpaired UTF-16 surrogates, from a server that splits pairs between deltas. Halves of two deltas
    /// are joined, others become U+FFFD. In WTF-8 a half has three bytes.
    fn push_halves(&mut self, mut rest: &[u8]) {
        let is_half = |window: &[u8]| matches!(window, [0xED, 0xA0..=0xBF, _]);
        while let Some(at) = rest.windows(3).position(is_half) {
            let (before, [_, middle, last, after @ ..]) = rest.split_at(at) else { return };
            self.push_text(&String::from_utf8_lossy(before));
            let half = 0xD000 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F);
            self.push_half(half);
            rest = after;
        }
        self.push_text(&String::from_utf8_lossy(rest));
    }

    fn push_half(&mut self, half: u16) {
        if half < 0xDC00 {
            self.end_half();
            self.half = Some(half);
            return;
        }
        let pair = self.half.take().into_iter().chain([half]);
        self.text.extend(char::decode_utf16(pair).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }

    /// The other half is missing.
    fn end_half(&mut self) {
        if self.half.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Counts are cumulative, so a count that is missing, null or smaller than before is ignored.
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage else { return };
        let count = |name: &str, last: &mut u64| {
            *last = usage.get(name).and_then(Value::as_u64).unwrap_or_default().max(*last);
        };
        count("input_tokens", &mut self.usage.input_tokens);
        count("output_tokens", &mut self.usage.output_tokens);
        count("cache_creation_input_tokens", &mut self.usage.cache_creation_input_tokens);
        count("cache_read_input_tokens", &mut self.usage.cache_read_input_tokens);
        let searches = usage.pointer("/server_tool_use/web_search_requests").and_then(Value::as_u64);
        self.web_searches = searches.unwrap_or_default().max(self.web_searches);
    }
}

/// The most frequent event, parsed without building a tree.
#[derive(Deserialize)]
struct TextDelta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

impl<'a> TextDelta<'a> {
    /// The text of an event, if it is a text delta.
    fn of(data: &'a str) -> Option<Cow<'a, str>> {
        as_usual(data).or_else(|| Self::in_any_form(data))
    }

    fn in_any_form(data: &'a str) -> Option<Cow<'a, str>> {
        let event: Self = hatch_json::from_str(data).ok()?;
        (event.kind == "content_block_delta" && event.delta.kind == "text_delta").then_some(event.delta.text)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a text delta in the form in which Claude's API writes it: around the text only the
/// block's index and a padding of spaces vary, so the text is all that is parsed.
fn as_usual(data: &str) -> Option<Cow<'_, str>> {
    let rest = data.strip_prefix(r#"{"type":"content_block_delta","index":"#)?;
    let rest = rest.strip_prefix(|digit: char| digit.is_ascii_digit())?;
    let text = rest.strip_prefix(r#","delta":{"type":"text_delta","text":"#)?;
    let text = text.strip_suffix('}')?.trim_end_matches(' ').strip_suffix('}')?;
    serde_json::from_str(text).ok().map(|Text(text)| text)
}

/// The same event with unpaired surrogates in its text.
#[derive(Deserialize)]
struct HalvedDelta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    delta: Halved<'a>,
}

#[derive(Deserialize)]
struct Halved<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    text: Wtf8,
}

/// A JSON string as WTF-8: UTF-8 that may contain unpaired surrogates.
struct Wtf8(Vec<u8>);

impl<'de> Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl HalvedDelta<'_> {
    fn of(data: &str) -> Option<Vec<u8>> {
        if !data.contains("\\u") {
            return None;
        }
        let event: HalvedDelta<'_> = hatch_json::from_str(data).ok()?;
        let is_text = event.kind == "content_block_delta" && event.delta.kind == "text_delta";
        is_text.then_some(event.delta.text.0)
    }
}

/// The documented types of errors.
const ERRORS: &[&str] = &[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
];

/// The type for all other errors, so that no upstream text gets into responses and logs.
const UNKNOWN: &str = "unknown_error";

fn kind_of(error: &Value) -> &'static str {
    let kind = error.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    ERRORS.iter().find(|known| **known == kind).copied().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-5-5\",",
        "\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ": comment\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße \"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"🐣\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
        "\"usage\":{\"input_tokens\":null,\"output_tokens\":7}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    fn in_pieces(bytes: &[u8], sizes: &[usize]) -> Message {
        let (mut message, mut decoder, mut rest) = (Message::default(), Decoder::default(), bytes);
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            decoder.push(piece, |data| message.observe(data));
            rest = tail;
        }
        message
    }

    proptest! {
        #[test]
        fn the_usual_form_of_a_text_delta_reads_as_any_form(text in "(\\PC|[\"\\\\\n\u{0}]){0,20}", index in 0..12_u8, padding in " {0,3}") {
            let text = Value::from(text).to_string();
            let delta = r#"{"type":"text_delta","text":"#;
            let data = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}{text}}}{padding}}}"#);
            let read = TextDelta::in_any_form(&data);
            prop_assert!(read.is_some());
            prop_assert_eq!(as_usual(&data), read.filter(|_| index < 10));
        }

        #[test]
        fn what_only_begins_and_ends_as_usual_is_read_as_a_whole(inside in "[\"a,:{} \\\\]{0,12}") {
            let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{inside}}}}}"#);
            prop_assert_eq!(TextDelta::of(&data), TextDelta::in_any_form(&data));
        }
    }

    #[test]
    fn a_stream_is_read_into_a_message() {
        let message = Message::of(STREAM.as_bytes());
        assert_eq!(message.text, "Grüße 🐣");
        assert_eq!(message.model.as_deref(), Some("claude-sonnet-5-5"));
        assert_eq!((message.usage.input_tokens, message.usage.output_tokens), (9, 7));
        assert!(message.is_complete());
    }

    #[test]
    fn an_error_event_makes_it_incomplete() {
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        let message = Message::of(format!("{STREAM}{error}").as_bytes());
        assert_eq!(message.error, Some("overloaded_error"));
        assert!(!message.is_complete());
    }

    fn observed(events: &[&str]) -> Message {
        let mut message = Message::default();
        events.iter().for_each(|event| message.observe(event));
        message
    }

    fn text_delta(escaped: &str) -> String {
        format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{escaped}"}}}}"#
        )
    }

    #[test]
    fn a_second_message_delta_neither_adds_nor_resets_counts() {
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9325,"output_tokens":1}}}"#;
        let delta =
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":50}}"#;
        for late in [
            r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":0,"output_tokens":0}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"input_tokens":5,"output_tokens":50}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":null}"#,
            r#"{"type":"message_delta"}"#,
        ] {
            let message = observed(&[start, delta, late]);
            assert_eq!((message.usage.input_tokens, message.usage.output_tokens), (9_325, 50), "{late}");
            assert!(message.ran_out() && message.has_output_count(), "{late}");
        }
    }

    #[test]
    fn halves_of_a_pair_are_joined_across_deltas_or_become_a_replacement() {
        let ping = r#"{"type":"ping"}"#;
        let stop = r#"{"type":"content_block_stop","index":0}"#;
        for (events, text) in [
            (vec![text_delta("Hello \\ud83d"), text_delta("\\ude80 world")], "Hello 🚀 world"),
            (vec![text_delta("Hello \\ud83d"), ping.to_owned(), text_delta("\\ude80")], "Hello 🚀"),
            (vec![text_delta("\\ud83d"), text_delta(""), text_delta("\\ude80!")], "🚀!"),
            (vec![text_delta("a\\ud83d"), text_delta("b")], "a\u{fffd}b"),
            (vec![text_delta("a\\ud83d"), text_delta("\\ud83d\\ude80")], "a\u{fffd}🚀"),
            (vec![text_delta("\\ude80\\ud83d"), stop.to_owned()], "\u{fffd}\u{fffd}"),
            (vec![text_delta("\\ud83d\\ude80 ü\\u0000\\n")], "🚀 ü\n"),
            // A half is not emitted before its other half is known.
            (vec![text_delta("a\\ud83d")], "a"),
        ] {
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            assert_eq!(observed(&events).text, text, "{events:?}");
        }
    }

    #[test]
    fn every_cut_leaves_a_prefix_of_the_text() {
        for cut in 0..STREAM.len() {
            let message = Message::of(&STREAM.as_bytes()[..cut]);
            assert!("Grüße 🐣".starts_with(&message.text), "cut at {cut}");
            assert!(!message.is_complete(), "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_its_blank_line_does_not_count() {
        assert!(!Message::of(STREAM.trim_end().as_bytes()).is_complete());
        let text = format!("data: {}\n", text_delta("last"));
        assert_eq!(Message::of(text.as_bytes()).text, "");
        assert_eq!(Message::of(format!("{text}\n").as_bytes()).text, "last");
    }

    #[test]
    fn a_byte_order_mark_before_the_stream_is_ignored() {
        let stream = STREAM.replace("event: message_start\n", "\u{feff}");
        assert_eq!(Message::of(stream.as_bytes()), Message::of(STREAM.as_bytes()));
    }

    #[test]
    fn unknown_error_types_are_not_passed_on() {
        let of = |error: &str| observed(&[&format!(r#"{{"type":"error","error":{error}}}"#)]).error;
        assert_eq!(of(r#"{"type":"rate_limit_error"}"#), Some("rate_limit_error"));
        for error in [r#"{"type":"secret_words"}"#, r#""overloaded_error""#, "null"] {
            assert_eq!(of(error), Some(UNKNOWN), "{error}");
        }
    }

    proptest! {
        #[test]
        fn chunking_and_line_endings_do_not_change_the_message(
            sizes in prop::collection::vec(1_usize..40, 1..20), ending in prop::sample::select(vec!["\n", "\r\n", "\r"])
        ) {
            let stream = STREAM.replace('\n', ending);
            prop_assert_eq!(in_pieces(stream.as_bytes(), &sizes), Message::of(STREAM.as_bytes()));
        }

        #[test]
        fn garbage_is_not_a_message(bytes: Vec<u8>, sizes in prop::collection::vec(1_usize..9, 1..5)) {
            prop_assert_eq!(in_pieces(&bytes, &sizes), Message::of(&bytes));
        }
    }
}
