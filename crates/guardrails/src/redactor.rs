//! Runs a guard over a text that arrives in pieces.

use std::sync::Arc;

use crate::cursor::{Cursor, is_invisible};
use crate::guard::{Detection, Detectors, Finding, Guard};
use crate::policy::{Action, Limit};
use crate::secrets::{Swallow, is_key_end};

/// The maximum number of bytes that are held back.
pub const MAX_HELD_BYTES: usize = 4_096;
/// The longest private key that is redacted, in bytes. So a text that only contains the first line of a key is not
/// redacted to its end.
const MAX_KEY_BYTES: usize = 8_192;

/// Releases a text as it arrives, without what the guard redacts or blocks. Text is held back only while it may still
/// turn into a match; the end of the text decides. Chunk boundaries do not change the output.
#[derive(Debug)]
pub struct Redactor {
    limit: Option<Limit>,
    enforcing: Lane,
    /// Reads the text that `enforcing` has decided on, so nothing after a block is checked.
    flagging: Lane,
    findings: Vec<Finding>,
    /// Nothing more is released.
    is_over: bool,
    is_blocked: bool,
    /// The text exceeds its limit, which has been reported.
    is_too_long: bool,
}

impl Redactor {
    /// Starts a new text.
    pub fn new(guard: &Guard) -> Self {
        Self {
            limit: guard.limit(),
            enforcing: Lane::new(guard.enforcing()),
            flagging: Lane::new(guard.flagging()),
            findings: Vec::new(),
            is_over: false,
            is_blocked: false,
            is_too_long: false,
        }
    }

    /// Takes the next piece and returns the text that may be released.
    pub fn push(&mut self, piece: &str) -> String {
        if self.is_over {
            return String::new();
        }
        let room = self.room(piece);
        let out = self.advance(room.unwrap_or(piece), room.is_some());
        if room.is_some() && !self.is_blocked {
            self.cut_off();
        }
        out
    }

    /// Ends the text and returns held text that turned out to be harmless.
    pub fn finish(&mut self) -> String {
        if self.is_over {
            return String::new();
        }
        let out = self.advance("", true);
        self.is_over = true;
        out
    }

    /// Whether a rule blocked the text.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// How many bytes are held back now.
    pub fn held_bytes(&self) -> usize {
        self.enforcing.held.len()
    }

    /// The findings so far, in the order of the decisions.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings, in the order of the text.
    pub fn into_findings(self) -> Vec<Finding> {
        self.into_parts().0
    }

    /// The findings and the cuts, in the order of the text.
    pub(crate) fn into_parts(mut self) -> (Vec<Finding>, Vec<Cut>) {
        self.findings.sort_by_key(|finding| finding.start);
        (self.findings, self.enforcing.cuts)
    }

    /// The part of a piece within the limit, if the limit truncates it.
    fn room<'p>(&mut self, piece: &'p str) -> Option<&'p str> {
        let limit = self.limit?;
        let came = self.enforcing.offset + self.enforcing.held.len();
        if self.is_too_long || came + piece.len() <= limit.bytes {
            return None;
        }
        self.is_too_long = true;
        // If the limit is within a character, the text is truncated before the character.
        let end = piece.floor_char_boundary(limit.bytes.saturating_sub(came));
        if limit.action == Action::Flag {
            self.record_limit(came + end, limit.action);
            return None;
        }
        piece.get(..end)
    }

    fn cut_off(&mut self) {
        let Some(limit) = self.limit else { return };
        self.record_limit(self.enforcing.offset, limit.action);
        self.enforcing.cuts.push(Cut::to_the_end(self.enforcing.offset));
        self.is_over = true;
        self.is_blocked = limit.action == Action::Block;
    }

    fn record_limit(&mut self, at: usize, action: Action) {
        self.findings.push(Finding { rule: "max-bytes".to_owned(), start: at, end: at, action });
    }

    fn advance(&mut self, piece: &str, is_last: bool) -> String {
        let (mut out, mut decided_text) = (String::new(), String::new());
        self.enforcing.advance(piece, is_last, &mut out, &mut decided_text, &mut self.findings);
        self.is_blocked = self.enforcing.is_blocked;
        self.is_over |= self.is_blocked;
        let is_last = is_last || self.is_blocked;
        self.flagging.advance(
            &decided_text,
            is_last,
            &mut String::new(),
            &mut String::new(),
            &mut self.findings,
        );
        out
    }
}

/// A stretch of a text that is left out, in bytes, and what stands for it.
#[derive(Debug)]
pub(crate) struct Cut {
    start: usize,
    end: usize,
    mark: String,
}

impl Cut {
    fn to_the_end(start: usize) -> Self {
        Self { start, end: usize::MAX, mark: String::new() }
    }
}

/// Leaves cuts out of the parts of a text. Each part that a cut reaches into gets its mark, so that none becomes empty.
pub(crate) fn cut_out(parts: &mut [&mut String], cuts: &[Cut]) {
    let (mut rest, mut start) = (cuts, 0);
    for part in parts {
        let (mut left, mut at, end) = (String::new(), start, start + part.len());
        while let Some((cut, after)) = rest.split_first().filter(|(cut, _)| cut.start.max(at) < end) {
            left.push_str(part.get(at - start..cut.start.max(at) - start).unwrap_or_default());
            left.push_str(&cut.mark);
            at = cut.end.min(end);
            if cut.end > end {
                // The next part goes on with it.
                break;
            }
            rest = after;
        }
        left.push_str(part.get(at - start..).unwrap_or_default());
        **part = left;
        start = end;
    }
}

/// A text as one set of detectors sees it.
#[derive(Debug)]
struct Lane {
    detectors: Arc<Detectors>,
    /// Text that has arrived and is not decided yet.
    held: String,
    /// Where `held` begins in the text.
    offset: usize,
    /// The last visible character before `held`.
    before: Option<char>,
    /// The secret that is being redacted to its end, and how many bytes of it were.
    swallow: Option<(Swallow, usize)>,
    cuts: Vec<Cut>,
    is_blocked: bool,
}

impl Lane {
    fn new(detectors: Arc<Detectors>) -> Self {
        let (held, cuts) = (String::new(), Vec::new());
        Self { detectors, held, offset: 0, before: None, swallow: None, cuts, is_blocked: false }
    }

    /// Continues as far as the text so far allows. `decided_text` gets the original text that was decided on.
    fn advance(
        &mut self,
        piece: &str,
        is_last: bool,
        out: &mut String,
        decided_text: &mut String,
        findings: &mut Vec<Finding>,
    ) {
        if self.detectors.is_idle() {
            self.offset += piece.len();
            out.push_str(piece);
            decided_text.push_str(piece);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.push_str(piece);
        let mut rest = held.as_str();
        let mut found = Vec::new();
        while let Some(c) = rest.chars().next().filter(|_| !self.is_blocked) {
            let bytes = match self.swallow {
                Some((swallow, read)) => self.swallowed(swallow, read, rest, is_last),
                None => self.step(rest, c, is_last, &mut found, out, findings),
            };
            let Some(bytes) = bytes else { break };
            let (passed, after) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
            self.before = passed.chars().rev().find(|c| !is_invisible(*c)).or(self.before);
            self.offset += passed.len();
            rest = after;
        }
        let decided = held.len() - rest.len();
        decided_text.push_str(held.get(..decided).unwrap_or_default());
        if !self.is_blocked {
            rest.clone_into(&mut self.held);
        }
    }

    /// Decides about the text at a position. Returns how many bytes are decided, or `None` if more text is needed.
    fn step(
        &mut self,
        rest: &str,
        c: char,
        is_last: bool,
        found: &mut Vec<Detection>,
        out: &mut String,
        findings: &mut Vec<Finding>,
    ) -> Option<usize> {
        found.clear();
        if self.detectors.may_begin(c, self.before) {
            let mut cursor = Cursor::new(rest, self.before, is_last);
            self.detectors.detect(&mut cursor, found);
            if cursor.is_starved() {
                return None;
            }
        }
        let start = self.offset;
        let finding = |detection: &Detection| Finding {
            rule: detection.rule.clone(),
            start,
            end: start + detection.bytes,
            action: detection.action,
        };
        let Some(detection) = strongest(found).filter(|detection| detection.action != Action::Flag) else {
            findings.extend(found.iter().map(finding));
            out.push(c);
            return Some(c.len_utf8());
        };
        findings.push(finding(detection));
        if detection.action == Action::Block {
            self.is_blocked = true;
            self.cuts.push(Cut::to_the_end(start));
            return Some(0);
        }
        let mark = format!("[REDACTED:{}]", detection.mark);
        out.push_str(&mark);
        self.cuts.push(Cut { start, end: start + detection.bytes, mark });
        self.swallow = detection.swallow.map(|swallow| (swallow, 0));
        Some(detection.bytes)
    }

    /// How many of the next bytes still belong to a secret, or `None` if more text is needed.
    fn swallowed(&mut self, swallow: Swallow, read: usize, rest: &str, is_last: bool) -> Option<usize> {
        let (bytes, goes_on) = match swallow {
            Swallow::Run(set) => {
                let bytes = rest.find(|c| !set.has(c) && !is_invisible(c)).unwrap_or(rest.len());
                (bytes, bytes == rest.len())
            }
            Swallow::Key => self.key_bytes(read, rest, is_last)?,
        };
        if let Some(cut) = self.cuts.last_mut() {
            cut.end += bytes;
        }
        self.swallow = self.swallow.filter(|_| goes_on).map(|_| (swallow, read + bytes));
        Some(bytes)
    }

    /// The same within a private key: up to the next dash, or up to the end of its closing mark.
    fn key_bytes(&self, read: usize, rest: &str, is_last: bool) -> Option<(usize, bool)> {
        let room = rest.floor_char_boundary(MAX_KEY_BYTES.saturating_sub(read));
        let bytes = rest.find('-').unwrap_or(rest.len()).min(room);
        if bytes > 0 || room == 0 {
            return Some((bytes, bytes > 0));
        }
        let mut cursor = Cursor::new(rest, self.before, is_last);
        let ends = is_key_end(&mut cursor);
        match (cursor.is_starved(), ends) {
            (true, _) => None,
            (false, true) => Some((cursor.read(), false)),
            (false, false) => Some((1, true)),
        }
    }
}

/// The match that counts: the one with the strictest action, then the longest, then the first.
fn strongest(found: &[Detection]) -> Option<&Detection> {
    found.iter().rev().max_by_key(|detection| (detection.action, detection.bytes))
}
