//! Reads ahead in a text that may continue.

/// How many invisible characters are skipped within one match, so that no more text is held back.
const MAX_INVISIBLE: usize = 512;

/// A position in a text from which a detector reads. It records when a detector needs more text than there is; the
/// detector's result then does not count until more has arrived. So detectors can be written as if the text were
/// complete. Invisible characters are skipped, because a secret with them inside looks the same to whoever reads it.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    read: usize,
    skipped: usize,
    is_last: bool,
    is_starved: bool,
    prev: Option<char>,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `rest`, after the character `prev`. `is_last` means that no more text will follow.
    pub(crate) fn new(rest: &'a str, prev: Option<char>, is_last: bool) -> Self {
        Self { rest, read: 0, skipped: 0, is_last, is_starved: false, prev }
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

    /// The next characters that are visible, at most this many.
    pub(crate) fn ahead(&self, count: usize) -> String {
        self.rest.chars().filter(|c| !is_invisible(*c)).take(count).collect()
    }

    /// The next character even if it is invisible: a word ends before such a one.
    pub(crate) fn peek_any(&mut self) -> Option<char> {
        let next = self.rest.chars().next();
        self.starve_if(next.is_none() && !self.is_last);
        next
    }

    pub(crate) fn peek(&mut self) -> Option<char> {
        self.find_visible().map(|(_, _, next)| next)
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let (skipped, at, next) = self.find_visible()?;
        let bytes = at + next.len_utf8();
        self.rest = self.rest.get(bytes..)?;
        self.read += bytes;
        self.skipped += skipped;
        Some(next)
    }

    /// How many invisible characters come next, and the one after them with its place.
    fn find_visible(&mut self) -> Option<(usize, usize, char)> {
        let room = MAX_INVISIBLE.saturating_sub(self.skipped);
        let mut chars = self.rest.char_indices().enumerate();
        let found = chars.find(|(skipped, (_, c))| *skipped >= room || !is_invisible(*c));
        self.starve_if(found.is_none() && !self.is_last);
        found.map(|(skipped, (at, c))| (skipped, at, c))
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
        !self.peek_any().is_some_and(is_word)
    }

    /// Whether no word character precedes the cursor's start.
    pub(crate) fn is_word_start(&self) -> bool {
        !self.prev.is_some_and(is_word)
    }
}

/// Visible letters and digits of any script, combining characters, and `_`.
pub(crate) fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_' || matches!(c, '\u{300}'..='\u{36f}')) && !is_invisible(c)
}

/// Characters that nothing shows (Unicode's default ignorable ones, and controls of direction): they hide a word from a
/// search but not from a reader.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{fff0}'..='\u{fff8}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}
