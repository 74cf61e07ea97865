//! Reads ahead in a text that may continue.

/// A position in a text from which a detector reads. It records when a detector needs more text than there is; the
/// detector's result then does not count until more has arrived. So detectors can be written as if the text were
/// complete.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    read: usize,
    is_last: bool,
    is_starved: bool,
    prev: Option<char>,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `rest`, after the character `prev`. `is_last` means that no more text will follow.
    pub(crate) fn new(rest: &'a str, prev: Option<char>, is_last: bool) -> Self {
        Self { rest, read: 0, is_last, is_starved: false, prev }
    }

    /// The character before the cursor's start.
    pub(crate) fn before(&self) -> Option<char> {
        self.prev
    }

    /// How many bytes have been read.
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    pub(crate) fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Records that a detector with a copy of this cursor needed more text.
    pub(crate) fn starve_if(&mut self, is_starved: bool) {
        self.is_starved |= is_starved;
    }

    /// The next bytes, at most this many; empty if they would end within a character.
    pub(crate) fn ahead(&self, bytes: usize) -> &'a str {
        self.rest.get(..bytes).unwrap_or_default()
    }

    /// The next characters.
    pub(crate) fn ahead_chars(&self, count: usize) -> impl Iterator<Item = char> + 'a {
        self.rest.chars().take(count)
    }

    pub(crate) fn peek(&mut self) -> Option<char> {
        let next = self.rest.chars().next();
        self.is_starved |= next.is_none() && !self.is_last;
        next
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        let (_, rest) = self.rest.split_at_checked(next.len_utf8())?;
        self.rest = rest;
        self.read += next.len_utf8();
        Some(next)
    }

    pub(crate) fn next_if(&mut self, wanted: impl FnOnce(char) -> bool) -> Option<char> {
        if wanted(self.peek()?) { self.next() } else { None }
    }

    /// Reads this text; returns false if something else follows.
    pub(crate) fn literal(&mut self, text: &str) -> bool {
        text.chars().all(|c| self.next_if(|next| next == c).is_some())
    }

    /// Reads characters of a set, at most this many, and returns their number.
    pub(crate) fn run(&mut self, set: impl Fn(char) -> bool, most: usize) -> usize {
        let mut count = 0;
        while count < most && self.next_if(&set).is_some() {
            count += 1;
        }
        count
    }

    /// Whether no word character follows.
    pub(crate) fn is_at_word_end(&mut self) -> bool {
        !self.peek().is_some_and(is_word)
    }

    /// Whether no word character precedes the cursor's start.
    pub(crate) fn is_word_start(&self) -> bool {
        !self.prev.is_some_and(is_word)
    }
}

/// Letters and digits of any script, combining characters, and `_`.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || matches!(c, '\u{300}'..='\u{36f}')
}
