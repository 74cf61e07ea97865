//! A shortcut for chunks of a stream that differ only in their text: each is
//! compared with the last one instead of being parsed and written again.

use std::borrow::Cow;

use crate::{Event, sse::Frame};

/// Knows how the last chunk was translated, once two chunks in a row were translated
/// in the same way. It may be used only where a piece of text changes nothing in
/// the state of the decoder and the encoder.
#[derive(Debug, Default)]
pub(crate) struct Shortcut {
    last: Option<Pattern>,
    is_confirmed: bool,
    events: u32,
    delta: Option<(u32, String)>,
}

/// What stands around the text of a chunk, and of its translation, quotes included.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    part: u32,
    before: String,
    after: String,
    translated_before: String,
    translated_after: String,
}

impl Shortcut {
    /// Appends the translation of a chunk to `out` if it differs from the last one
    /// only in its text. Returns the event that the chunk stands for.
    pub(crate) fn translate<'a>(&self, frame: Frame<'a>, out: &mut String) -> Option<Event<'a>> {
        let pattern = self.last.as_ref().filter(|_| self.is_confirmed && frame.name.is_empty())?;
        let text = frame.data.trim().strip_prefix(&*pattern.before)?.strip_suffix(&*pattern.after)?;
        if !is_plain(text) {
            return None;
        }
        out.push_str(&pattern.translated_before);
        out.push_str(text);
        out.push_str(&pattern.translated_after);
        Some(Event::Delta { part: pattern.part, text: Cow::Borrowed(text) })
    }

    /// Sees each event of a chunk that is translated without the shortcut.
    pub(crate) fn see(&mut self, event: &Event<'_>) {
        self.events = self.events.saturating_add(1);
        if let Event::Delta { part, text } = event {
            self.delta = Some((*part, text.clone().into_owned()));
        }
    }

    /// Remembers how that chunk was translated.
    pub(crate) fn learn(&mut self, frame: Frame<'_>, translated: &str) {
        let delta = self.delta.take().filter(|_| self.events == 1 && frame.name.is_empty());
        self.events = 0;
        let pattern = delta.and_then(|(part, text)| Pattern::of(part, &text, frame.data.trim(), translated));
        self.is_confirmed = pattern.is_some() && pattern == self.last;
        self.last = pattern;
    }
}

impl Pattern {
    fn of(part: u32, text: &str, data: &str, translated: &str) -> Option<Self> {
        if !is_plain(text) {
            return None;
        }
        let literal = format!("\"{text}\"");
        let (before, after) = around(data, &literal)?;
        let is_content =
            before.strip_suffix('"')?.trim_end().strip_suffix(':')?.trim_end().ends_with("\"content\"");
        // The decoder remembers what has come of a call's arguments.
        if !is_content || data.contains("\"arguments\"") || data.contains("\"input\"") {
            return None;
        }
        let (translated_before, translated_after) = around(translated, &literal)?;
        Some(Self { part, before, after, translated_before, translated_after })
    }
}

/// What stands before and after the only occurrence of `literal`, with its quotes.
fn around(whole: &str, literal: &str) -> Option<(String, String)> {
    let (before, after) = whole.split_once(literal)?;
    (!after.contains(literal)).then(|| (format!("{before}\""), format!("\"{after}")))
}

/// Whether a text is the same inside and outside a JSON string.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Dialect, Stream, tests::reply};

    /// A chunk of OpenAI's, or of an upstream that resembles it.
    fn chunk() -> impl Strategy<Value = String> {
        let text = prop::sample::select(vec![
            "a", " the", "", "\\n", "é", "\\ud83d", "\\ude00", "content", "\\u0022", "\u{7f}",
        ]);
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
            (r#"{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":""#, r#""}"#),
        ]);
        (around, prop::collection::vec(text, 1..6)).prop_map(|((before, after), texts)| {
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
            for client in [Dialect::Chat, Dialect::Messages] {
                let stream = || Stream::new(Dialect::Chat, client, &reply());
                let long_way = translated(stream().without_shortcut(), bytes.as_bytes(), size);
                prop_assert_eq!(translated(stream(), bytes.as_bytes(), size), long_way);
            }
        }
    }
}
