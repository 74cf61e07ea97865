//! Writes and reads server-sent events (WHATWG HTML, 9.2).

use std::fmt::{Display, Write as _};

use serde_json::Value;

/// A comment that keeps the connection alive.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// An event with a name. JSON has no raw line breaks, so one `data:` line is
/// enough.
pub fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// An event with a name and an id. A client resumes from the id.
pub fn event_with_id(id: impl Display, name: &str, data: &Value) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// Appends one data-only event.
pub fn push_data(out: &mut String, data: &Value) {
    // Writing to a String cannot fail.
    let _ = write!(out, "data: {data}\n\n");
}

/// May precede a stream, and is not part of its first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Where the last complete event of `stream` ends, including its blank line, if
/// that is after the first `old` bytes.
pub fn last_end(stream: &[u8], old: usize) -> Option<usize> {
    let ends_an_event = |end: &usize| {
        let before = stream.get(..*end).unwrap_or_default();
        ["\n\n", "\r\r", "\n\r\n"].iter().any(|blank| before.ends_with(blank.as_bytes()))
    };
    (old.saturating_add(1)..=stream.len()).rev().find(ends_an_event)
}

/// Whether an event of this `name` is in `stream`.
pub fn has_event(stream: &[u8], name: &str) -> bool {
    stream
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| line.strip_prefix(b"event:").is_some_and(|value| value.trim_ascii() == name.as_bytes()))
}

/// Decodes server-sent events from bytes in arbitrary chunks.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The incomplete line.
    line: Vec<u8>,
    /// The data of the incomplete event.
    data: String,
    has_data: bool,
    /// The last byte was a CR, so a following LF belongs to it.
    after_cr: bool,
    /// The first line has ended.
    has_begun: bool,
}

impl Decoder {
    /// Takes the next bytes; `event` gets the data of each completed event.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(&str)) {
        let mut rest = bytes;
        while let Some((&first, tail)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = tail;
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let (line, ended) = rest.split_at(end.unwrap_or(rest.len()));
            let Some((&ending, after)) = ended.split_first() else {
                return self.line.extend_from_slice(line);
            };
            self.after_cr = ending == b'\r';
            rest = after;
            if self.line.is_empty() {
                self.end_line(line, &mut event);
                continue;
            }
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.end_line(&whole, &mut event);
        }
    }

    fn end_line(&mut self, line: &[u8], event: &mut impl FnMut(&str)) {
        let line = match std::mem::replace(&mut self.has_begun, true) {
            true => line,
            false => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        };
        if line.is_empty() {
            return self.dispatch(event);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if self.has_data {
                self.data.push('\n');
            }
            // The lossy way reads character by character.
            match str::from_utf8(value) {
                Ok(value) => self.data.push_str(value),
                Err(_) => self.data.push_str(&String::from_utf8_lossy(value)),
            }
            self.has_data = true;
        }
    }

    fn dispatch(&mut self, event: &mut impl FnMut(&str)) {
        if std::mem::take(&mut self.has_data) {
            event(&self.data);
            self.data.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8], size: usize) -> Vec<String> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for piece in bytes.chunks(size) {
            decoder.push(piece, |data| events.push(data.to_owned()));
        }
        events
    }

    #[test]
    fn only_complete_events_are_passed_on_with_any_line_ending() {
        for ending in ["\n", "\r\n", "\r"] {
            let event = event("a", &json!({ "b": 1 })).replace('\n', ending);
            let stream = format!("{event}{event}: c{ending}{ending}");
            let ends = [0, event.len(), 2 * event.len(), stream.len()];
            for cut in 0..=stream.len() {
                let came = &stream.as_bytes()[..cut];
                let last = ends.into_iter().rev().find(|end| *end <= cut).unwrap();
                for old in 0..=cut {
                    assert_eq!(last_end(came, old), (last > old).then_some(last), "{ending:?} {old}..{cut}");
                }
            }
        }
    }

    #[test]
    fn an_event_is_found_by_its_name() {
        assert!(has_event(b"event: ping\n\nevent:error\r\ndata: {}\n\n", "error"));
        assert!(!has_event(b"event: ping\ndata: event: error\n\n", "error"));
    }

    proptest! {
        #[test]
        fn written_events_are_read_back_from_any_chunks(texts in prop::collection::vec(".*", 0..5), size in 1_usize..40) {
            let mut stream = KEEP_ALIVE.to_owned();
            let data: Vec<_> = texts.iter().map(|text| json!({ "text": text })).collect();
            for (id, data) in data.iter().enumerate() {
                stream += &event("named", data);
                stream += &event_with_id(id, "numbered", data);
                push_data(&mut stream, data);
            }
            let expected: Vec<_> = data.iter().flat_map(|data| [data.to_string(), data.to_string(), data.to_string()]).collect();
            prop_assert_eq!(read(stream.as_bytes(), size), expected);
        }

        #[test]
        fn chunk_boundaries_do_not_change_how_bytes_are_read(bytes: Vec<u8>, size in 1_usize..9) {
            prop_assert_eq!(read(&bytes, size), read(&bytes, usize::MAX));
        }
    }
}
