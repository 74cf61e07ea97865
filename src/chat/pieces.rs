//! `{"text"}` pieces: the stream as front ends read it that want only the
//! words. Each piece is one event and one write of at most 16 KB, for some of
//! those readers forget what they have of a line when a read ends in its
//! middle. Pure.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use super::arriving::Arriving;
use crate::platform::pump::Rewrite;

/// The most bytes of a piece's text as JSON has it; the event around it has 20 more.
const MOST_BYTES: usize = 16_000;

/// `text` as data-only events.
pub(super) fn of(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(length(rest)).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(event(piece))
    })
}

/// `data: {"text":…}`, of which a stream has thousands: written without a tree.
fn event(piece: &str) -> String {
    let mut event = Vec::with_capacity(piece.len() + 32);
    event.extend_from_slice(b"data: {\"text\":");
    // Neither a text nor memory can fail.
    let _ = serde_json::to_writer(&mut event, piece);
    event.extend_from_slice(b"}\n\n");
    String::from_utf8(event).unwrap_or_default()
}

/// How many bytes of `text` one piece holds.
fn length(text: &str) -> usize {
    let mut json_bytes = 0;
    let full = text.char_indices().find(|(_, c)| {
        json_bytes += match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '\0'..'\x20' => 6,
            _ => c.len_utf8(),
        };
        json_bytes > MOST_BYTES
    });
    full.map_or(text.len(), |(at, _)| at)
}

/// Rewrites Claude's events: what one read brought becomes one piece. The
/// answer is read here once for all, and saved from `arriving`.
pub(super) fn rewrite(arriving: Rc<RefCell<Arriving>>) -> Rewrite {
    Box::new(move |bytes: &[u8], writes: &mut VecDeque<Vec<u8>>| {
        let mut arriving = arriving.borrow_mut();
        arriving.read(bytes);
        writes.extend(of(arriving.pass_on()).map(String::into_bytes));
    })
}

#[cfg(test)]
mod tests {
    use hatch_wire::sse;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_one_read_brings_is_one_event() {
        let delta = |text: &str| {
            let data =
                json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": text } });
            sse::event("content_block_delta", &data)
        };
        let (mut rewrite, mut writes) = (rewrite(Rc::default()), VecDeque::new());
        let stream = format!("{}{}{}", delta("Hel"), delta("lo"), delta("!"));
        let (first, second) = stream.as_bytes().split_at(stream.len() - 9);
        rewrite(first, &mut writes);
        rewrite(second, &mut writes);
        rewrite(b"event: ping\ndata: {\"type\":\"ping\"}\n\n", &mut writes);
        let written: Vec<_> = writes.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        assert_eq!(written, ["data: {\"text\":\"Hello\"}\n\n", "data: {\"text\":\"!\"}\n\n"]);
    }

    proptest! {
        #[test]
        fn pieces_are_small_whole_events_that_together_tell_the_text(
            parts in prop::collection::vec(("\\PC{0,40}|[\\x00-\\x1f\"\\\\🐣ü]{0,40}", 1_usize..2_000), 0..6)
        ) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            let mut together = String::new();
            for event in of(&text) {
                prop_assert!(event.len() <= 16 * 1024, "{} bytes", event.len());
                let line = event.strip_suffix("\n\n").unwrap();
                prop_assert!(!line.contains('\n'));
                let data: serde_json::Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
                together.push_str(data["text"].as_str().unwrap());
            }
            prop_assert_eq!(together, text);
        }
    }
}
