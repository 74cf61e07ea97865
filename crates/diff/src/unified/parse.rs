//! Parses a diff into files and hunks.

use super::header::{Header, HeaderLine, Operation, field_names};
use super::hunk::{Hunk, Range, Side};
use super::name;
use crate::lines::Line;
use crate::{DiffRefusal, RefusalReason};

/// What a diff does to one file.
#[derive(Debug)]
pub(super) struct FileDiff<'a> {
    pub(super) operation: Operation,
    /// The old name; for a new file the same as the new one.
    pub(super) old: String,
    /// The new name; for a deleted file the same as the old one.
    pub(super) new: String,
    pub(super) mode: Option<u32>,
    pub(super) is_binary: bool,
    /// Plain headers cannot say whether the file is new.
    pub(super) may_be_new: bool,
    pub(super) hunks: Vec<Hunk<'a>>,
}

/// Whether a text has the headers of a unified diff.
pub(crate) fn is_diff(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().any(|line| line.starts_with("diff --git "))
        || lines.windows(3).any(|three| {
            matches!(three, [old, new, hunk]
                if old.starts_with("--- ") && new.starts_with("+++ ") && hunk.starts_with("@@ -"))
        })
}

/// Parses a diff. Text around its files, such as a commit message, is skipped.
pub(super) fn parse(diff: &str) -> Result<Vec<FileDiff<'_>>, DiffRefusal> {
    let mut parser = Parser { lines: diff.split_inclusive('\n').collect(), at: 0 };
    let mut files = Vec::new();
    while let Some(line) = parser.peek(0) {
        let is_pair = line.starts_with("--- ") && parser.peek(1).is_some_and(|next| next.starts_with("+++ "));
        if line.starts_with("diff --git ") {
            files.push(parser.git_file()?);
        } else if is_pair {
            files.push(parser.plain_file()?);
        } else if Range::read(line).is_some() {
            return Err(parser.malformed("", "a hunk belongs to no file"));
        } else {
            parser.at += 1;
        }
    }
    if files.is_empty() {
        return Err(DiffRefusal::of("", RefusalReason::NoEdit));
    }
    Ok(files)
}

struct Parser<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The line this many lines ahead, without its end.
    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.lines.get(self.at + ahead).map(|line| line.trim_end_matches(['\n', '\r']))
    }

    fn malformed(&self, path: &str, what: &'static str) -> DiffRefusal {
        DiffRefusal::malformed(path, self.at + 1, what)
    }

    fn git_file(&mut self) -> Result<FileDiff<'a>, DiffRefusal> {
        let pair = self.peek(0).and_then(|line| line.strip_prefix("diff --git ")).unwrap_or_default();
        let mut header = Header::new();
        self.at += 1;
        while let Some(line) = self.peek(0) {
            match header.read(line).map_err(|what| self.malformed(pair, what))? {
                HeaderLine::Read => self.at += 1,
                HeaderLine::Other => break,
            }
        }
        header.resolve(pair).map_err(|what| self.malformed(pair, what))?;
        let name = |first: &Option<String>, other: &Option<String>| {
            first.clone().or_else(|| other.clone()).unwrap_or_default()
        };
        let (old, new) = (name(&header.old, &header.new), name(&header.new, &header.old));
        if !header.is_of_file() {
            return Err(DiffRefusal::of(new, RefusalReason::NotAFile));
        }
        let is_binary = self.skip_binary();
        let hunks = self.hunks(&new)?;
        let says_something = header.operation != Operation::Change || header.set_mode().is_some();
        if hunks.is_empty() && !is_binary && !says_something {
            return Err(self.malformed(&new, "no hunk follows the header"));
        }
        let (operation, mode) = (header.operation, header.set_mode());
        FileDiff { operation, old, new, mode, is_binary, may_be_new: false, hunks }.checked()
    }

    fn plain_file(&mut self) -> Result<FileDiff<'a>, DiffRefusal> {
        let field = |line: Option<&'a str>| line.and_then(|line| line.get(4..)).unwrap_or_default();
        let (old_field, new_field) = (field(self.peek(0)), field(self.peek(1)));
        let (old, new) = field_names(old_field, new_field).map_err(|what| self.malformed("", what))?;
        let name = match (&old, &new) {
            (Some(old), Some(new)) if is_backup_of(old, new) => new.clone(),
            (Some(old), Some(new)) if old != new => {
                return Err(self.malformed(new, "the two names of the file differ"));
            }
            _ => new.or(old).ok_or_else(|| self.malformed("", "the header does not name its file"))?,
        };
        self.at += 2;
        let operation = match (name::is_absent(old_field), name::is_absent(new_field)) {
            (true, _) => Operation::Create,
            (_, true) => Operation::Delete,
            _ => Operation::Change,
        };
        let hunks = self.hunks(&name)?;
        if hunks.is_empty() {
            return Err(self.malformed(&name, "no hunk with line numbers follows the header"));
        }
        let may_be_new = operation == Operation::Change && hunks.len() == 1;
        let old = name.clone();
        FileDiff { operation, old, new: name, mode: None, is_binary: false, may_be_new, hunks }.checked()
    }

    /// Skips the lines that a diff has instead of hunks for a binary file.
    fn skip_binary(&mut self) -> bool {
        let is_binary = self.peek(0).is_some_and(|line| {
            line == "GIT binary patch" || (line.starts_with("Binary files ") && line.ends_with(" differ"))
        });
        if is_binary {
            self.at += 1;
        }
        is_binary
    }

    fn hunks(&mut self, path: &str) -> Result<Vec<Hunk<'a>>, DiffRefusal> {
        let mut hunks = Vec::new();
        while let Some(line) = self.peek(0).filter(|line| line.starts_with("@@ -")) {
            let range =
                Range::read(line).ok_or_else(|| self.malformed(path, "the hunk's numbers cannot be read"))?;
            self.at += 1;
            hunks.push(self.hunk(path, range)?);
        }
        if !hunks.is_empty() && self.is_uncounted() {
            return Err(self.malformed(path, "the hunk has more lines than its header counts"));
        }
        Ok(hunks)
    }

    /// Whether the line after a hunk looks like another line of it. `-- ` begins the signature of a mailed patch.
    fn is_uncounted(&self) -> bool {
        let Some(line) = self.peek(0) else { return false };
        let is_header = line.starts_with("--- ") && self.peek(1).is_some_and(|next| next.starts_with("+++ "));
        line.starts_with([' ', '+', '-', '\\']) && !is_header && line.trim_end() != "--"
    }

    fn hunk(&mut self, path: &str, range: Range) -> Result<Hunk<'a>, DiffRefusal> {
        let (mut old_left, mut new_left) = (range.old_count, range.new_count);
        let mut lines: Vec<(Side, Line<'a>)> = Vec::new();
        let (mut is_old_over, mut is_new_over) = (false, false);
        while let Some(raw) = self.lines.get(self.at).copied() {
            if raw.starts_with("\\ ") && !lines.is_empty() {
                let (is_old, is_new) = drop_newline(&mut lines);
                (is_old_over, is_new_over) = (is_old_over || is_old, is_new_over || is_new);
                self.at += 1;
                continue;
            }
            if old_left == 0 && new_left == 0 {
                break;
            }
            let Some((side, line)) = read_line(raw) else {
                return Err(self.malformed(path, "the hunk has fewer lines than its header counts"));
            };
            let (takes_old, takes_new) = (side != Side::New, side != Side::Old);
            if (takes_old && (old_left == 0 || is_old_over)) || (takes_new && (new_left == 0 || is_new_over))
            {
                return Err(self.malformed(path, "the hunk's lines are not those that its header counts"));
            }
            (old_left, new_left) = (old_left - usize::from(takes_old), new_left - usize::from(takes_new));
            lines.push((side, line));
            self.at += 1;
        }
        if old_left > 0 || new_left > 0 {
            return Err(self.malformed(path, "the hunk has fewer lines than its header counts"));
        }
        if lines.iter().all(|(side, _)| *side == Side::Both) {
            return Err(self.malformed(path, "the hunk changes nothing"));
        }
        Ok(Hunk { range, lines })
    }
}

impl<'a> FileDiff<'a> {
    /// Refuses a new file with old lines, and a deleted one with new lines.
    fn checked(self) -> Result<FileDiff<'a>, DiffRefusal> {
        let has = |side: Side| {
            self.hunks.iter().flat_map(|hunk| &hunk.lines).any(|(of, _)| *of == side || *of == Side::Both)
        };
        let (has_old, has_new) = (has(Side::Old), has(Side::New));
        if (self.operation == Operation::Create && has_old)
            || (self.operation == Operation::Delete && has_new)
        {
            return Err(DiffRefusal::of(self.new, RefusalReason::NamedTwice));
        }
        Ok(self)
    }
}

/// Whether the old name is an editor's backup of the new one.
fn is_backup_of(old: &str, new: &str) -> bool {
    old.strip_prefix(new).is_some_and(|suffix| matches!(suffix, ".orig" | "~"))
}

/// A line of a hunk; an empty one is a blank context line without its leading space.
fn read_line(raw: &str) -> Option<(Side, Line<'_>)> {
    if matches!(raw, "\n" | "\r\n") {
        return Some((Side::Both, Line::new(raw)));
    }
    let side = match raw.bytes().next()? {
        b' ' => Side::Both,
        b'-' => Side::Old,
        b'+' => Side::New,
        _ => return None,
    };
    let line = Line::new(raw.get(1..)?);
    // The last line of the diff may have lost its own newline.
    Some((side, if line.has_newline() { line } else { Line { ending: newline_of(line.ending), ..line } }))
}

fn newline_of(ending: &str) -> &'static str {
    if ending == "\r" { "\r\n" } else { "\n" }
}

/// Removes the newline of the last line, as `\ No newline at end of file` says, and returns which sides it belongs to.
fn drop_newline(lines: &mut [(Side, Line<'_>)]) -> (bool, bool) {
    let Some((side, line)) = lines.last_mut() else { return (false, false) };
    line.ending = if line.ending == "\r\n" { "\r" } else { "" };
    (*side != Side::New, *side != Side::Old)
}
