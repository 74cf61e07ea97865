//! An answer while it comes: read once, for the client who wants its words
//! alone, for those who ask before it is whole, and for its row. Pure.

use hatch_wire::{anthropic::Message, sse::Decoder};

/// What has come of an answer.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    decoder: Decoder,
    message: Message,
    /// How many bytes of the stream it is the message of.
    read: usize,
    /// How many of them were handed over for checkpoints.
    handed_over: usize,
    /// How much of its text the client has, in bytes.
    passed_on: usize,
    /// How much of it is kept, in bytes and in characters.
    kept: usize,
    kept_chars: i64,
    /// How much is, once the checkpoint under way is written.
    keeping: usize,
}

impl Arriving {
    /// Takes in the next bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes, |data| self.message.observe(data));
        self.read += bytes.len();
    }

    /// The text that the client does not have yet.
    pub(super) fn pass_on(&mut self) -> &str {
        let from = std::mem::replace(&mut self.passed_on, self.message.text.len());
        self.message.text.get(from..).unwrap_or_default()
    }

    /// The text that is not kept yet, and how many characters are: with `new`,
    /// which follows what was handed over before, and has been read if there is a client.
    pub(super) fn checkpoint(&mut self, new: &[u8]) -> (i64, &str) {
        self.handed_over += new.len();
        let unread = self.handed_over.saturating_sub(self.read);
        self.read(new.get(new.len().saturating_sub(unread)..).unwrap_or_default());
        self.keeping = self.message.text.len();
        (self.kept_chars, self.message.text.get(self.kept..).unwrap_or_default())
    }

    /// The last checkpoint was written.
    pub(super) fn keep(&mut self) {
        let text = self.message.text.get(self.kept..self.keeping).unwrap_or_default();
        self.kept_chars += i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        self.kept = self.keeping;
    }

    /// The message that all that was `received` tells.
    pub(super) fn finish(mut self, received: &[u8]) -> Message {
        self.read(received.get(self.read..).unwrap_or_default());
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
        /// Whoever reads along, and when the client leaves.
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
            prop_assert_eq!(arriving.finish(&stream).text, whole);
        }
    }
}
