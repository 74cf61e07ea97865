//! Claude's event stream, read into the message that it tells.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sse::Decoder;

/// Tokens of an answer, as the API counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
}

impl Usage {
    /// All that was read, whether from the cache or not.
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
    pub model: Option<String>,
    /// The last counts seen; they are cumulative.
    pub usage: Usage,
    /// Searches that the API made on the web, which are paid by the piece.
    pub web_searches: u64,
    /// Why the model stopped.
    stop_reason: Option<String>,
    /// `message_stop` has come: nothing is missing.
    pub stopped: bool,
    /// The type of an error that came in the stream.
    pub error: Option<&'static str>,
}

impl Message {
    /// The message that a stream's bytes tell, as far as they go. A last event
    /// without its blank line adds its text, for nothing that came is lost;
    /// but it does not end the message, for it looks the same as a cut.
    pub fn of(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        let mut decoder = Decoder::default();
        decoder.push(bytes, |data| {
            message.observe(data);
        });
        let stopped = message.stopped;
        decoder.finish(|data| {
            message.observe(data);
        });
        Self { stopped, ..message }
    }

    /// A message that was kept: whole, or as far as it had come.
    pub fn kept(text: String, model: Option<String>, usage: Usage, is_complete: bool) -> Self {
        Self { text, model, usage, stopped: is_complete, ..Self::default() }
    }

    /// All of the answer has come, and no error.
    pub fn is_complete(&self) -> bool {
        self.stopped && self.error.is_none()
    }

    /// The model stopped because it might not say more, in the middle of
    /// whatever it was saying.
    pub fn ran_out(&self) -> bool {
        matches!(self.stop_reason.as_deref(), Some("max_tokens" | "model_context_window_exceeded"))
    }

    /// The API wants to be asked to go on with what it has said so far.
    pub fn is_paused(&self) -> bool {
        self.stop_reason.as_deref() == Some("pause_turn")
    }

    /// The model broke off because it will not answer. The API asks that what
    /// it had said until then is not used.
    pub fn was_refused(&self) -> bool {
        self.stop_reason.as_deref() == Some("refusal")
    }

    /// Takes in one event's data; answers with the text that it adds. Events
    /// of unknown types are passed over, as the API asks of its clients.
    pub fn observe(&mut self, data: &str) -> Option<String> {
        if let Some(text) = TextDelta::of(data) {
            // SQLite would cut the text at U+0000.
            self.text.extend(text.split('\0'));
            return Some(text.into_owned());
        }
        let event: Value = serde_json::from_str(data).ok()?;
        match event.get("type")?.as_str()? {
            "message_start" => {
                let message = event.get("message")?;
                self.model = message.get("model").and_then(Value::as_str).map(str::to_owned);
                self.count(message.get("usage"));
            }
            "message_delta" => {
                let reason = event.pointer("/delta/stop_reason").and_then(Value::as_str);
                self.stop_reason = reason.map(str::to_owned);
                self.count(event.get("usage"));
            }
            "message_stop" => self.stopped = true,
            "error" => self.error = Some(kind_of(&event)),
            _ => {}
        }
        None
    }

    /// A count that is missing or null keeps its last value.
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage else { return };
        let count = |name: &str, last: &mut u64| {
            if let Some(count) = usage.get(name).and_then(Value::as_u64) {
                *last = count;
            }
        };
        count("input_tokens", &mut self.usage.input_tokens);
        count("output_tokens", &mut self.usage.output_tokens);
        count("cache_creation_input_tokens", &mut self.usage.cache_creation_input_tokens);
        count("cache_read_input_tokens", &mut self.usage.cache_read_input_tokens);
        let searches = usage.pointer("/server_tool_use/web_search_requests").and_then(Value::as_u64);
        self.web_searches = searches.unwrap_or(self.web_searches);
    }
}

/// The event of which a stream has thousands, read without building a tree.
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
    /// The text that an event's data adds, if it is such an event.
    fn of(data: &'a str) -> Option<Cow<'a, str>> {
        let event: Self = serde_json::from_str(data).ok()?;
        (event.kind == "content_block_delta" && event.delta.kind == "text_delta").then_some(event.delta.text)
    }
}

/// The types of errors that the API documents, each with its status.
const ERRORS: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("conflict_error", 409),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// What an error of any other type is called, so that no foreign words get
/// into our answers and logs.
const UNKNOWN: &str = "unknown_error";

/// The `error.type` of an error body.
pub fn error_type(body: &str) -> &'static str {
    serde_json::from_str(body).map_or(UNKNOWN, |body| kind_of(&body))
}

/// The HTTP status that the API gives an error of this type.
pub fn error_status(kind: &str) -> u16 {
    ERRORS.iter().find(|(known, _)| *known == kind).map_or(500, |(_, status)| *status)
}

fn kind_of(error: &Value) -> &'static str {
    let kind = error.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    ERRORS.iter().find(|(known, _)| *known == kind).map_or(UNKNOWN, |(known, _)| known)
}

/// The type of the error that a stream begins with, if it begins with one.
pub fn leading_error(first: &[u8]) -> Option<&'static str> {
    let name = first.strip_prefix(b"event:")?.trim_ascii_start();
    name.starts_with(b"error").then(|| Message::of(first).error.unwrap_or(UNKNOWN))
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
            decoder.push(piece, |data| drop(message.observe(data)));
            rest = tail;
        }
        decoder.finish(|data| drop(message.observe(data)));
        message
    }

    #[test]
    fn a_stream_tells_its_message() {
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
        assert_eq!(leading_error(error.as_bytes()), Some("overloaded_error"));
        assert_eq!(leading_error(STREAM.as_bytes()), None);
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
    fn an_event_that_was_cut_before_its_blank_line_has_its_text_but_ends_nothing() {
        assert!(!Message::of(STREAM.trim_end().as_bytes()).is_complete());
        let text = r#"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"last"}}"#;
        assert_eq!(Message::of(text.as_bytes()).text, "last");
    }

    #[test]
    fn words_that_are_not_the_apis_are_not_passed_on() {
        assert_eq!(error_type(r#"{"error":{"type":"rate_limit_error"}}"#), "rate_limit_error");
        for body in
            ["", "<html>", "[]", r#"{"error":{"type":"secret_words"}}"#, r#"{"error":"overloaded_error"}"#]
        {
            assert_eq!(error_type(body), UNKNOWN, "{body}");
        }
        assert_eq!((error_status("overloaded_error"), error_status(UNKNOWN)), (529, 500));
    }

    proptest! {
        #[test]
        fn any_chunking_and_any_line_ending_tell_the_same(
            sizes in prop::collection::vec(1_usize..40, 1..20), ending in prop::sample::select(vec!["\n", "\r\n", "\r"])
        ) {
            let stream = STREAM.replace('\n', ending);
            prop_assert_eq!(in_pieces(stream.as_bytes(), &sizes), Message::of(STREAM.as_bytes()));
        }

        #[test]
        fn garbage_is_no_message(bytes: Vec<u8>, sizes in prop::collection::vec(1_usize..9, 1..5)) {
            prop_assert_eq!(in_pieces(&bytes, &sizes), Message::of(&bytes));
        }
    }
}
