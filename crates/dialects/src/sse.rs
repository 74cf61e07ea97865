//! Splits bytes in arbitrary chunks into server-sent events. UTF-8 is decoded
//! only when an event is complete, so that a chunk boundary cannot split a
//! character.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Its `event:` line, or empty.
    pub(crate) name: &'a str,
    pub(crate) data: &'a str,
    /// All of its bytes, including the blank line.
    pub(crate) raw: &'a [u8],
}

impl Frame<'_> {
    /// Comments, and events without data.
    pub(crate) fn is_silent(&self) -> bool {
        self.data.trim().is_empty()
    }
}

/// The longest event; an incomplete event is held in memory.
pub(crate) const MAX_EVENT: usize = 4 << 20;

/// An event is longer than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

#[derive(Debug)]
pub(crate) struct Splitter {
    /// The event that has not ended yet.
    buffer: Vec<u8>,
    /// Where its last line begins, and how far it has been searched.
    line: usize,
    searched: usize,
    max_event: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT)
    }
}

impl Splitter {
    pub(crate) fn with_limit(max_event: usize) -> Self {
        Self { buffer: Vec::new(), line: 0, searched: 0, max_event }
    }

    /// Takes the next bytes and passes each completed event to `each`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0_usize;
        while let Some((end, next)) = self.line_end() {
            let is_blank = end == self.line;
            self.line = next;
            self.searched = next;
            if is_blank {
                let raw = self.buffer.get(start..next).unwrap_or_default();
                read(raw, &mut each);
                start = next;
            }
        }
        self.buffer.drain(..start);
        self.line = self.line.saturating_sub(start);
        self.searched = self.searched.saturating_sub(start);
        if self.buffer.len() > self.max_event { Err(TooLong) } else { Ok(()) }
    }

    /// Where the last line ends, and where the next one begins. A CR at the end
    /// of the bytes waits for a possible LF.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(found) = memchr2(b'\n', b'\r', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched.saturating_add(found);
        let after = end.saturating_add(1);
        if self.buffer.get(end) == Some(&b'\n') {
            return Some((end, after));
        }
        self.searched = end;
        match self.buffer.get(after)? {
            b'\n' => Some((end, after.saturating_add(1))),
            _ => Some((end, after)),
        }
    }

    /// Ends the stream. A last event without its blank line counts.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Frame<'_>)) {
        let rest = std::mem::take(&mut self.buffer);
        (self.line, self.searched) = (0, 0);
        if !rest.is_empty() {
            read(&rest, &mut each);
        }
    }
}

fn read(raw: &[u8], each: &mut impl FnMut(Frame<'_>)) {
    match usual(raw) {
        Some(frame) => each(frame),
        None => read_lines(raw, each),
    }
}

/// An event as the vendors write it: its name, if it has one, and one line of data.
fn usual(raw: &[u8]) -> Option<Frame<'_>> {
    let text = std::str::from_utf8(raw).ok()?.strip_suffix("\n\n")?;
    let (name, rest) = match text.strip_prefix("event: ") {
        Some(named) => {
            let end = memchr(b'\n', named.as_bytes())?;
            (named.get(..end)?, named.get(end.saturating_add(1)..)?)
        }
        None => ("", text),
    };
    let data = rest.strip_prefix("data: ")?;
    let is_one_line = |text: &str| memchr2(b'\n', b'\r', text.as_bytes()).is_none();
    (is_one_line(data) && is_one_line(name)).then_some(Frame { name, data, raw })
}

fn read_lines(raw: &[u8], each: &mut impl FnMut(Frame<'_>)) {
    let text = String::from_utf8_lossy(raw);
    let (mut name, mut data) = ("", None::<Cow<'_, str>>);
    for line in text.trim_start_matches('\u{feff}').split(['\n', '\r']) {
        if let Some(value) = field(line, "data") {
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => Cow::Owned(format!("{before}\n{value}")),
            });
        } else if let Some(value) = field(line, "event") {
            name = value;
        }
    }
    each(Frame { name, data: data.as_deref().unwrap_or_default(), raw });
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], size: usize) -> Vec<(String, String)> {
        let (mut splitter, mut events) = (Splitter::default(), Vec::new());
        let mut keep = |frame: Frame<'_>| {
            if !frame.is_silent() {
                events.push((frame.name.to_owned(), frame.data.to_owned()));
            }
        };
        for piece in bytes.chunks(size) {
            splitter.push(piece, &mut keep).unwrap();
        }
        splitter.finish(&mut keep);
        events
    }

    #[test]
    fn comments_and_empty_data_are_not_events() {
        let stream = ": PROCESSING\n\ndata:\n\nevent: ping\ndata: \n\nid: 1\n\ndata: x\n\n";
        assert_eq!(read_all(stream.as_bytes(), 3), [(String::new(), "x".to_owned())]);
    }

    #[test]
    fn an_event_keeps_its_name_lines_and_bytes() {
        let stream = "\u{feff}event: a\r\ndata: 1\r\ndata:2\r\n\r\n";
        let mut raw = Vec::new();
        Splitter::default()
            .push(stream.as_bytes(), |frame| {
                assert_eq!((frame.name, frame.data), ("a", "1\n2"));
                raw.extend_from_slice(frame.raw);
            })
            .unwrap();
        assert_eq!(raw, stream.as_bytes());
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut splitter = Splitter::default();
        let piece = [b'x'; 4_096];
        let pushed = (0..=MAX_EVENT / piece.len()).try_for_each(|_| splitter.push(&piece, |_| {}));
        assert_eq!(pushed, Err(TooLong));
    }

    proptest! {
        #[test]
        fn a_usual_event_is_read_like_any_other(
            text in "(event: [a:那\r\n ]{0,4}\n)?(data: [a那\r\n]{0,4}\n)?\n"
        ) {
            let read = |frame: Frame<'_>| (frame.name.to_owned(), frame.data.to_owned());
            let mut by_lines = None;
            read_lines(text.as_bytes(), &mut |frame: Frame<'_>| by_lines = Some(read(frame)));
            if let Some(frame) = usual(text.as_bytes()) {
                prop_assert_eq!(Some(read(frame)), by_lines);
            }
        }

        #[test]
        fn chunk_boundaries_do_not_change_how_bytes_are_read(bytes: Vec<u8>, size in 1_usize..9) {
            prop_assert_eq!(read_all(&bytes, size), read_all(&bytes, usize::MAX));
        }

        #[test]
        fn chunk_boundaries_do_not_change_how_lines_are_read(
            text in "((data|event)?:? ?[a那🚀]{0,3}(\n|\r|\r\n)){0,12}", size in 1_usize..9
        ) {
            prop_assert_eq!(read_all(text.as_bytes(), size), read_all(text.as_bytes(), usize::MAX));
        }
    }
}
