//! An answer while it arrives. It is parsed once, for three readers: a client
//! of `{"text"}` pieces, the checkpoints, and the saved row. The stream of a
//! provider that does not speak Claude's dialect is first translated. Pure.

use hatch_dialects::Stream;
use hatch_wire::{anthropic::Message, sse::Decoder};

/// The part of an answer that has arrived.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    translation: Option<Translation>,
    decoder: Decoder,
    message: Message,
    /// How many bytes of the stream `message` was read from.
    read: usize,
    /// How many bytes of the stream were handed over for checkpoints.
    handed_over: usize,
    /// How many bytes of the text the client has.
    passed_on: usize,
    /// How much of the text the last written checkpoint holds, in bytes and in characters.
    kept: usize,
    kept_chars: i64,
    /// How many bytes the pending checkpoint will hold.
    keeping: usize,
}

/// A stream that is translated into Claude's events.
#[derive(Debug)]
struct Translation {
    stream: Stream,
    /// The events that the client does not have yet.
    events: Vec<u8>,
}

impl Translation {
    /// Appends what `translate` writes to the events, and returns it.
    fn append(&mut self, translate: impl FnOnce(&mut Stream, &mut Vec<u8>)) -> &[u8] {
        let from = self.events.len();
        translate(&mut self.stream, &mut self.events);
        self.events.get(from..).unwrap_or_default()
    }
}

impl Arriving {
    /// An answer whose bytes `translation` turns into Claude's events; without one they are such events.
    pub(super) fn translated(translation: Option<Stream>) -> Self {
        let translation = translation.map(|stream| Translation { stream, events: Vec::new() });
        Self { translation, ..Self::default() }
    }

    pub(super) fn is_translated(&self) -> bool {
        self.translation.is_some()
    }

    /// Reads the next bytes of the stream.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let Self { translation, decoder, message, .. } = self;
        let events = match translation {
            Some(translation) => translation.append(|stream, out| stream.push(bytes, out)),
            None => bytes,
        };
        decoder.push(events, |data| message.observe(data));
        self.read += bytes.len();
    }

    /// Returns the translated events that the client does not have yet. An error is not among them: it has the
    /// provider's words, and the client gets ours.
    pub(super) fn pass_events_on(&mut self) -> Vec<u8> {
        let Some(translation) = &mut self.translation else { return Vec::new() };
        let mut events = std::mem::take(&mut translation.events);
        if self.message.error.is_some() {
            let mark = b"event: error\n";
            let at = events.windows(mark.len()).rposition(|window| window == mark);
            events.truncate(at.unwrap_or(events.len()));
        }
        events
    }

    /// Returns the text that the client does not have yet.
    pub(super) fn pass_on(&mut self) -> &str {
        if let Some(translation) = &mut self.translation {
            // Its client reads the text alone.
            translation.events.clear();
        }
        let from = std::mem::replace(&mut self.passed_on, self.message.text.len());
        self.message.text.get(from..).unwrap_or_default()
    }

    /// Returns how many characters are saved already, and the text after them.
    /// `new` follows the bytes of the checkpoint before; a connected client has
    /// read them already, and then they are not read again.
    pub(super) fn checkpoint(&mut self, new: &[u8]) -> (i64, &str) {
        self.handed_over += new.len();
        let unread = self.handed_over.saturating_sub(self.read);
        self.read(new.get(new.len().saturating_sub(unread)..).unwrap_or_default());
        self.keeping = self.message.text.len();
        (self.kept_chars, self.message.text.get(self.kept..).unwrap_or_default())
    }

    /// The part of the message that was read.
    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// Marks the pending checkpoint as written.
    pub(super) fn keep(&mut self) {
        let text = self.message.text.get(self.kept..self.keeping).unwrap_or_default();
        self.kept_chars += i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        self.kept = self.keeping;
    }

    /// Reads the rest of `received`, which is the whole stream; `has_ended` says that its sender has closed it.
    pub(super) fn finish(&mut self, received: &[u8], has_ended: bool) {
        self.read(received.get(self.read..).unwrap_or_default());
        let Self { translation: Some(translation), decoder, message, .. } = self else { return };
        if has_ended && !translation.stream.is_over() {
            let from = translation.events.len();
            let events = translation.append(Stream::finish);
            decoder.push(events, |data| message.observe(data));
            if !translation.stream.meter().is_complete {
                // It was cut, which is no error of the model's.
                message.error = None;
                translation.events.truncate(from);
            }
        }
    }

    pub(super) fn into_message(self) -> Message {
        self.message
    }
}

#[cfg(test)]
mod tests {
    use hatch_wire::sse;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stream(texts: &[String]) -> String {
        let deltas = texts.iter().map(|text| {
            let data =
                json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": text } });
            sse::event("content_block_delta", &data)
        });
        deltas.collect()
    }

    proptest! {
        /// Holds whichever reader reads first, and whenever the client leaves.
        #[test]
        fn it_is_the_whole_answer_however_it_is_read(
            texts in prop::collection::vec("\\PC{0,9}", 1..9),
            steps in prop::collection::vec((1_usize..60, any::<bool>(), any::<bool>()), 0..40),
            stays in 0_usize..40,
        ) {
            let stream = stream(&texts).into_bytes();
            let (mut arriving, mut at, mut handed) = (Arriving::default(), 0, 0);
            let (mut passed_on, mut kept) = (String::new(), String::new());
            for (n, (size, is_checkpoint, is_written)) in steps.into_iter().enumerate() {
                let end = (at + size).min(stream.len());
                if n < stays {
                    arriving.read(&stream[at..end]);
                    passed_on.push_str(arriving.pass_on());
                }
                at = end;
                if is_checkpoint {
                    let (chars, text) = arriving.checkpoint(&stream[handed..at]);
                    prop_assert_eq!(usize::try_from(chars).unwrap(), kept.chars().count());
                    let all = format!("{kept}{text}");
                    handed = at;
                    if is_written {
                        arriving.keep();
                        kept = all;
                    }
                }
            }
            let whole = texts.concat();
            prop_assert!(whole.starts_with(&passed_on) && whole.starts_with(&kept));
            arriving.finish(&stream, true);
            prop_assert_eq!(arriving.into_message().text, whole);
        }
    }
}
