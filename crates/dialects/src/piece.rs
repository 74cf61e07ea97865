//! A part of a stream that arrives in pieces.

use std::borrow::Cow;

use crate::{
    Event,
    json::{Raw, trailing_high_surrogate},
};

/// A part, and half a character that waits for its other half: some upstreams
/// split a surrogate pair between two events.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    part: u32,
    half: String,
    is_over: bool,
}

impl Piece {
    pub(crate) fn new(part: u32) -> Self {
        Self { part, ..Self::default() }
    }

    pub(crate) fn part(&self) -> u32 {
        self.part
    }

    /// Continues the part with a JSON string.
    pub(crate) fn push(&mut self, string: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        self.push_and(string, |_| {}, sink);
    }

    pub(crate) fn push_and(
        &mut self,
        string: Raw<'_>,
        look: impl FnOnce(&str),
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        let Some(text) = self.text(string).filter(|text| !text.is_empty()) else { return };
        look(&text);
        self.push_text(text, sink);
    }

    /// Text after the part's end is ignored.
    pub(crate) fn push_text(&self, text: Cow<'_, str>, sink: &mut dyn FnMut(Event<'_>)) {
        if !self.is_over && !text.is_empty() {
            sink(Event::Delta { part: self.part, text });
        }
    }

    fn text<'a>(&mut self, string: Raw<'a>) -> Option<Cow<'a, str>> {
        let text = string.as_str()?;
        // Only a text with escapes is owned, and only a text with escapes can
        // end in half a character.
        let is_plain = self.half.is_empty() && matches!(text, Cow::Borrowed(_));
        if is_plain {
            return Some(text);
        }
        let half = trailing_high_surrogate(string).unwrap_or_default();
        if self.half.is_empty() && half.is_empty() {
            return Some(text);
        }
        let inner = string.text().strip_prefix('"')?.strip_suffix('"')?.strip_suffix(half)?;
        let joined = format!("\"{}{inner}\"", std::mem::take(&mut self.half));
        half.clone_into(&mut self.half);
        Some(Cow::Owned(Raw::parse(&joined)?.as_str()?.into_owned()))
    }

    pub(crate) fn stop(mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.end(sink);
    }

    pub(crate) fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if !self.half.is_empty() {
            sink(Event::Delta { part: self.part, text: Cow::Borrowed("\u{fffd}") });
        }
        sink(Event::PartStop { part: self.part });
    }
}
