//! A shortcut for chunks of a stream that differ only in their text: each is
//! compared with the last one instead of being parsed and written again.

use std::borrow::Cow;

use crate::{Event, json, response::PartKind, sse::Frame, write};

/// Knows how the last chunk was translated, once two chunks in a row were translated
/// in the same way. It may be used only where a piece of text changes nothing in
/// the state of the decoder, and in that of the encoder only a count that it is told.
#[derive(Debug, Default)]
pub(crate) struct Shortcut {
    last: Option<Pattern>,
    is_confirmed: bool,
    /// The text of the last chunk.
    last_text: String,
    /// The parts that are text. Encoders remember more of other parts.
    text_parts: Vec<u32>,
    events: u32,
    delta: Option<(u32, String)>,
}

/// What stands around the text of a chunk, and of its translation, quotes included.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    part: u32,
    name: String,
    before: String,
    after: String,
    /// None if the chunk is passed on as it is.
    translated: Option<(String, String)>,
}

impl Shortcut {
    /// Appends the translation of a chunk to `out` if it differs from the last one
    /// only in its text. Returns the event that the chunk stands for.
    pub(crate) fn translate<'a>(&self, frame: Frame<'a>, out: &mut String) -> Option<Event<'a>> {
        let pattern = self.last.as_ref().filter(|_| self.is_confirmed)?;
        if frame.name != pattern.name {
            return None;
        }
        let inner = frame.data.strip_prefix(&*pattern.before)?.strip_suffix(&*pattern.after)?;
        let text = canonical(inner)?;
        if let Some((before, after)) = &pattern.translated {
            out.push_str(before);
            out.push_str(inner);
            out.push_str(after);
        }
        Some(Event::Delta { part: pattern.part, text })
    }

    #[cfg(test)]
    pub(crate) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Sees each event of a chunk that is translated without the shortcut.
    pub(crate) fn see(&mut self, event: &Event<'_>) {
        self.events = self.events.saturating_add(1);
        match event {
            Event::PartStart { part, kind: PartKind::Text { .. }, .. } => self.text_parts.push(*part),
            Event::Delta { part, text } if self.text_parts.contains(part) => {
                self.delta = Some((*part, text.clone().into_owned()));
            }
            _ => {}
        }
    }

    /// Remembers how that chunk was translated; None if it was passed on as it is.
    pub(crate) fn learn(&mut self, frame: Frame<'_>, translated: Option<&str>) {
        let delta = self.delta.take().filter(|_| self.events == 1);
        self.events = 0;
        let (part, text) = delta.unwrap_or_default();
        let pattern = Pattern::of(part, &text, frame, translated);
        let is_same = pattern.is_some() && pattern == self.last;
        // Two texts that differ show that the decoder has read them there.
        self.is_confirmed = is_same && (self.is_confirmed || text != self.last_text);
        (self.last, self.last_text) = (pattern, text);
    }
}

impl Pattern {
    fn of(part: u32, text: &str, frame: Frame<'_>, translated: Option<&str>) -> Option<Self> {
        let mut inner = String::new();
        write::escaped(&mut inner, text);
        canonical(&inner)?;
        let literal = format!("\"{inner}\"");
        let (before, after) = around(frame.data, &literal)?;
        let member = before.strip_suffix('"')?.trim_end().strip_suffix(':')?.trim_end();
        let is_text = member.ends_with("\"content\"") || member.ends_with("\"text\"");
        // The decoder remembers what has come of a call's arguments.
        let has_call =
            ["\"arguments\"", "\"input\"", "\"partial_json\""].iter().any(|name| frame.data.contains(name));
        if !is_text || has_call {
            return None;
        }
        let translated = match translated {
            Some(translated) => Some(around(translated, &literal)?),
            None => None,
        };
        Some(Self { part, name: frame.name.to_owned(), before, after, translated })
    }
}

/// What stands before and after the only occurrence of `literal`, with its quotes.
fn around(whole: &str, literal: &str) -> Option<(String, String)> {
    let (before, after) = whole.split_once(literal)?;
    (!after.contains(literal)).then(|| (format!("{before}\""), format!("\"{after}")))
}

/// The text that stands in a JSON string as `inner`, if it is written just as we write it: so
/// that the bytes may be copied.
fn canonical(inner: &str) -> Option<Cow<'_, str>> {
    let mut bytes = inner.bytes();
    let (mut is_escaped, mut is_empty) = (false, true);
    while let Some(byte) = bytes.next() {
        is_empty = false;
        match byte {
            b'"' | ..b' ' => return None,
            b'\\' if matches!(bytes.next(), Some(b'"' | b'\\' | b'n' | b'r' | b't')) => is_escaped = true,
            b'\\' => return None,
            _ => {}
        }
    }
    let text = || if is_escaped { Cow::Owned(json::unescape(inner)) } else { Cow::Borrowed(inner) };
    (!is_empty).then(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Dialect, Reply, Stream, tests::reply};

    /// A piece of text as it may stand in a JSON string.
    fn text() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "a", " the", "", "\\n", "é", "\\ud83d", "\\ude00", "content", "\\u0022", "\u{7f}", "\\\"",
            "\\\\", "\\t", "\\/", "text",
        ])
    }

    /// Events of Anthropic's, or of an upstream that resembles it.
    fn event() -> impl Strategy<Value = String> {
        let around = prop::sample::select(vec![
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#, r#""}}"#),
            (r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":""#, r#""}}"#),
            (
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":""#,
                r#""}}"#,
            ),
            (
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""#,
                r#""}}"#,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"u","title":""#,
                r#""}}}"#,
            ),
            (r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""#, r#""}}"#),
            (
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""#,
                r#""}}"#,
            ),
            (
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}},"x":""#,
                r#""}"#,
            ),
            (r#"{"type":"content_block_stop","index":0,"x":""#, r#""}"#),
            (
                r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3}},"x":""#,
                r#""}"#,
            ),
            (r#"{"type":"ping","x":""#, r#""}"#),
        ]);
        let named = prop::sample::select(vec!["", "event: content_block_delta\n"]);
        (around, named, prop::collection::vec(text(), 1..6)).prop_map(|((before, after), name, texts)| {
            texts.iter().map(|text| format!("{name}data: {before}{text}{after}\n\n")).collect()
        })
    }

    /// A chunk of OpenAI's, or of an upstream that resembles it.
    fn chunk() -> impl Strategy<Value = String> {
        let around = prop::sample::select(vec![
            (
                r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""#,
                r#""},"finish_reason":null}]}"#,
            ),
            (
                r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""#,
                r#""},"finish_reason":null}],"usage":null}"#,
            ),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""#,
                r#""},"finish_reason":null}]}"#,
            ),
            (r#"{"id":"x","choices":[{"index":1,"delta":{"content" : ""#, r#""}}]}"#),
            (r#"{"id":"x","choices":[{"index":0,"delta":{"reasoning_content":""#, r#""}}]}"#),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"content":"c","tool_calls":[{"index":0,"function":{"arguments":""#,
                r#""}}]}}]}"#,
            ),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"content":"d","tool_calls":[{"index":0,"id":"i","function":{"name":"f"}}],"refusal":""#,
                r#""}}]}"#,
            ),
            (r#"{"id":"x","choices":[{"index":0,"delta":{"content":""#, r#""},"finish_reason":"stop"}]}"#),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","text":""#,
                r#""}]}}]}"#,
            ),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","signature":""#,
                r#""}]}}]}"#,
            ),
            (
                r#"{"id":"x","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":""#,
                r#""}]}]}}]}"#,
            ),
            (r#"{"id":"x","choices":[{"index":0,"delta":{"content":[{"type":"text","text":""#, r#""}]}}]}"#),
            (r#"{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":""#, r#""}"#),
        ]);
        (around, prop::collection::vec(text(), 1..6)).prop_map(|((before, after), texts)| {
            texts.iter().map(|text| format!("data: {before}{text}{after}\n\n")).collect()
        })
    }

    fn translated(mut stream: Stream, bytes: &[u8], size: usize) -> (Vec<u8>, String) {
        let mut out = Vec::new();
        bytes.chunks(size).for_each(|piece| stream.push(piece, &mut out));
        stream.finish(&mut out);
        (out, format!("{:?}", stream.meter()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn the_shortcut_changes_nothing(chunks in prop::collection::vec(chunk(), 1..12), size in 1_usize..200) {
            let bytes = chunks.concat() + "data: [DONE]\n\n";
            prop_assert!(is_the_same(Dialect::Chat, bytes.as_bytes(), size));
        }

        #[test]
        fn the_shortcut_changes_nothing_of_anthropics(events in prop::collection::vec(event(), 1..12), size in 1_usize..200) {
            let bytes = events.concat() + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
            prop_assert!(is_the_same(Dialect::Messages, bytes.as_bytes(), size));
        }
    }

    fn is_the_same(upstream: Dialect, bytes: &[u8], size: usize) -> bool {
        let own_id = Reply { has_own_id: true, ..reply() };
        [reply(), own_id].iter().all(|reply| {
            [Dialect::Chat, Dialect::Messages].into_iter().all(|client| {
                let stream = || Stream::new(upstream, client, reply);
                translated(stream(), bytes, size) == translated(stream().without_shortcut(), bytes, size)
            })
        })
    }

    #[test]
    fn text_with_quotes_and_line_ends_takes_the_shortcut() {
        let chunk = |text: &str| {
            format!(r#"data: {{"id":"x","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
        };
        let mut stream = Stream::new(Dialect::Chat, Dialect::Chat, &reply());
        let mut pushed = |text: &str| {
            let mut out = Vec::new();
            stream.push(format!("{}\n\n", chunk(text)).as_bytes(), &mut out);
            stream.has_learnt()
        };
        let learnt = ["", "a", "b", r#"\"c\\d\"\n"#, "e", r"\u0041", "f"].map(&mut pushed);
        assert_eq!(learnt, [false, false, false, true, true, false, false]);
    }
}
