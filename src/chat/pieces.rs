//! `{"text"}` pieces: the stream for front ends that want only the text. Each
//! piece is one event, and a write has at most 16 KB of whole events, because some
//! of those front ends lose part of a line when a read ends in the middle of it. Pure.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use super::arriving::Arriving;
use crate::platform::pump::Rewrite;

/// The longest text of a piece as JSON, in bytes; the event around it adds 20.
const MOST_BYTES: usize = 16_000;

/// Splits `text` into data-only events.
pub(super) fn of(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(length(rest)).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(event(piece))
    })
}

/// Puts events into as few writes as may be, of at most 16 KB each unless one event is longer: each write costs.
pub(super) fn together(events: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    events.fold(Vec::new(), |mut writes: Vec<Vec<u8>>, event| {
        match writes.last_mut() {
            Some(last) if last.len() + event.len() <= MOST_BYTES => last.extend_from_slice(&event),
            _ => writes.push(event),
        }
        writes
    })
}

/// Writes `data: {"text":…}` without a JSON tree, for a stream has thousands.
fn event(piece: &str) -> String {
    let mut event = Vec::with_capacity(piece.len() + 32);
    event.extend_from_slice(b"data: {\"text\":");
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut event, piece);
    event.extend_from_slice(b"}\n\n");
    String::from_utf8(event).unwrap_or_default()
}

/// The most bytes of JSON that one byte of a text becomes: `\u0000`.
const MOST_OF_A_BYTE: usize = 6;

/// How many bytes of `text` fit into one piece.
fn length(text: &str) -> usize {
    if text.len() <= MOST_BYTES / MOST_OF_A_BYTE {
        return text.len();
    }
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

/// Rewrites Claude's events: the text of one read becomes one piece. `arriving`
/// keeps the parsed message, so that it is not parsed again for saving.
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
    fn events_share_a_write_of_sixteen_kilobytes() {
        let of = |lengths: &[usize]| {
            together(lengths.iter().map(|&length| vec![b'.'; length]))
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[100, 200, 300]), [600]);
        assert_eq!(of(&[100, MOST_BYTES - 100, 1]), [MOST_BYTES, 1]);
        assert_eq!(of(&[20_000, 1, 2]), [20_000, 3]);
        assert!(of(&[]).is_empty());
    }

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
        fn pieces_are_small_whole_events_that_make_up_the_text(
            parts in prop::collection::vec(("\\PC{0,40}|[\\x00-\\x1f\"\\\\🐣ü]{0,40}", 1_usize..2_000), 0..6)
        ) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            let mut together = String::new();
            for event in of(&text) {
                prop_assert!(event.len() <= 16 * 1024, "{} bytes", event.len());
                let line = event.strip_suffix("\n\n").unwrap();
                prop_assert!(!line.contains('\n'));
                let data: serde_json::Value = hatch_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
                together.push_str(data["text"].as_str().unwrap());
            }
            prop_assert_eq!(together, text);
        }
    }
}
