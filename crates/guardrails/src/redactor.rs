//! A guard over a text that comes in pieces.

use crate::cursor::Cursor;
use crate::guard::{Detection, Finding, Guard};
use crate::policy::Action;
use crate::secrets::{Swallow, is_key_end};
use crate::trie::is_invisible;

/// The most bytes that are ever held back.
pub const MAX_HELD_BYTES: usize = 2_048;
/// The longest private key that is swallowed, in bytes: a text that only mentions the first line of one goes on behind it.
const MAX_KEY_BYTES: usize = 8_192;

/// Lets a text through as it comes, and nothing of what its guard keeps back. What is held is only what may become a finding
/// once more has come; the end of the text settles it. However the text is cut, the same leaves.
#[derive(Debug)]
pub struct Redactor<'g> {
    guard: &'g Guard,
    /// What came and has neither left nor been redacted.
    held: String,
    /// Where `held` begins in the text.
    offset: usize,
    /// The last character before `held` that a reader sees.
    before: Option<char>,
    swallow: Option<(Swallow, usize)>,
    findings: Vec<Finding>,
    /// Nothing more leaves.
    is_over: bool,
    is_blocked: bool,
    /// The text is longer than it may be, which was told.
    is_too_long: bool,
}

impl<'g> Redactor<'g> {
    /// At the beginning of a text.
    pub fn new(guard: &'g Guard) -> Self {
        Self {
            guard,
            held: String::new(),
            offset: 0,
            before: None,
            swallow: None,
            findings: Vec::new(),
            is_over: false,
            is_blocked: false,
            is_too_long: false,
        }
    }

    /// Takes the next piece and gives what may leave.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        if self.is_over {
            return out;
        }
        let room = self.room(piece);
        self.held.push_str(room.unwrap_or(piece));
        self.advance(room.is_some(), &mut out);
        if room.is_some() {
            self.cut_off();
        }
        out
    }

    /// The text has ended: gives what was held back and is nothing after all.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if !self.is_over {
            self.advance(true, &mut out);
            self.is_over = true;
        }
        out
    }

    /// Whether a rule blocked the text.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// How many bytes are held back.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was found.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// How much of a piece is within the limit, if it goes beyond it and the limit cuts it off.
    fn room<'p>(&mut self, piece: &'p str) -> Option<&'p str> {
        let limit = self.guard.limit()?;
        let came = self.offset + self.held.len();
        if self.is_too_long || came + piece.len() <= limit.bytes {
            return None;
        }
        self.is_too_long = true;
        if limit.action == Action::Flag {
            self.record_limit(limit.bytes, limit.action);
            return None;
        }
        piece.get(..piece.floor_char_boundary(limit.bytes.saturating_sub(came)))
    }

    /// Ends a text at its limit, unless a rule has ended it before.
    fn cut_off(&mut self) {
        let Some(limit) = self.guard.limit().filter(|_| !self.is_over) else { return };
        self.record_limit(self.offset, limit.action);
        self.is_over = true;
        self.is_blocked = limit.action == Action::Block;
    }

    fn record_limit(&mut self, at: usize, action: Action) {
        self.findings.push(Finding { rule: "max-bytes".to_owned(), start: at, end: at, action });
    }

    /// Goes on as far as what came allows.
    fn advance(&mut self, is_last: bool, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        let mut found = Vec::new();
        while let Some(c) = rest.chars().next() {
            let bytes = match self.swallow {
                Some((swallow, read)) => self.swallowed(swallow, read, rest, is_last),
                None => self.step(rest, c, is_last, &mut found, out),
            };
            let Some(bytes) = bytes else { break };
            let (passed, after) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
            self.before = passed.chars().rev().find(|c| !is_invisible(*c)).or(self.before);
            self.offset += passed.len();
            rest = after;
            if self.is_over {
                return;
            }
        }
        rest.clone_into(&mut self.held);
    }

    /// Decides what is at a place; gives how many bytes are settled, none as long as it cannot be told.
    fn step(
        &mut self,
        rest: &str,
        c: char,
        is_last: bool,
        found: &mut Vec<Detection>,
        out: &mut String,
    ) -> Option<usize> {
        if !self.guard.may_begin(c, self.before) {
            out.push(c);
            return Some(c.len_utf8());
        }
        found.clear();
        let mut cursor = Cursor::new(rest, self.before, is_last);
        self.guard.detect(&mut cursor, found);
        if cursor.is_starved() {
            return None;
        }
        self.record(found, Action::Flag);
        let strongest = found.iter().map(|detection| detection.action).max().unwrap_or(Action::Flag);
        if strongest == Action::Flag {
            out.push(c);
            return Some(c.len_utf8());
        }
        found.retain(|detection| detection.action == strongest);
        let longest = found.iter().map(|detection| detection.bytes).max().unwrap_or_default();
        // Of several of one length, the first detector knows best.
        let detection = found.iter().find(|detection| detection.bytes == longest)?.clone();
        self.record(std::slice::from_ref(&detection), strongest);
        if strongest == Action::Block {
            self.is_blocked = true;
            self.is_over = true;
        } else {
            out.push_str("[REDACTED:");
            out.push_str(&detection.mark);
            out.push(']');
            self.swallow = detection.swallow.map(|swallow| (swallow, 0));
        }
        Some(detection.bytes)
    }

    fn record(&mut self, detections: &[Detection], action: Action) {
        for detection in detections.iter().filter(|detection| detection.action == action) {
            let (start, end) = (self.offset, self.offset + detection.bytes);
            self.findings.push(Finding { rule: detection.rule.clone(), start, end, action });
        }
    }

    /// How many bytes of what comes still belong to a secret, none as long as it cannot be told.
    fn swallowed(&mut self, swallow: Swallow, read: usize, rest: &str, is_last: bool) -> Option<usize> {
        let bytes = match swallow {
            Swallow::Run(set) => rest.find(|c| !set.has(c)).unwrap_or(rest.len()),
            Swallow::Key => {
                let to_dash = rest.find('-').unwrap_or(rest.len());
                let room = rest.floor_char_boundary(MAX_KEY_BYTES.saturating_sub(read));
                if to_dash.min(room) > 0 || room == 0 {
                    to_dash.min(room)
                } else {
                    self.key_end(rest, is_last)?
                }
            }
        };
        let goes_on = match swallow {
            Swallow::Run(_) => bytes == rest.len(),
            Swallow::Key => bytes > 0 && self.swallow.is_some(),
        };
        self.swallow = self.swallow.filter(|_| goes_on).map(|_| (swallow, read + bytes));
        Some(bytes)
    }

    /// Reads a dash within a private key, or the mark that ends it.
    fn key_end(&mut self, rest: &str, is_last: bool) -> Option<usize> {
        let mut cursor = Cursor::new(rest, self.before, is_last);
        let ends = is_key_end(&mut cursor);
        if cursor.is_starved() {
            return None;
        }
        if !ends {
            return Some(1);
        }
        self.swallow = None;
        Some(cursor.read())
    }
}
