//! Patches between `*** Begin Patch` and `*** End Patch`, which models learn for the tool `apply_patch`.
//!
//! A hunk has no line numbers. It applies where its old lines occur exactly once after the previous hunk. `@@` lines
//! above it, each found after the one before, say where to look. A blank line without its leading space is context.

use crate::draft::{Draft, checked_path};
use crate::lines::{Endings, Line, newline_at, split};
use crate::occurrences::{Budget, occurrences, stands_at};
use crate::{ChangeKind, DiffRefusal, RefusalReason};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const END_OF_FILE: &str = "*** End of File";
const ADD: &str = "*** Add File: ";
const UPDATE: &str = "*** Update File: ";
const DELETE: &str = "*** Delete File: ";
const MOVE: &str = "*** Move to: ";

/// Whether a text contains such a patch.
pub(crate) fn is_patch(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == BEGIN)
}

pub(crate) fn apply(draft: &mut Draft<'_>, text: &str) -> Result<(), DiffRefusal> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.trim_end() == BEGIN);
    let mut reader = Reader {
        budget: Budget::new(),
        at: begin.ok_or_else(|| DiffRefusal::of("", RefusalReason::NoEdit))? + 1,
        lines: &lines,
    };
    let mut is_empty = true;
    loop {
        let line = reader.next().ok_or_else(|| DiffRefusal::of("", RefusalReason::Cut))?;
        if line.trim_end() == END {
            break;
        } else if let Some(path) = line.strip_prefix(ADD) {
            add(draft, path.trim(), &mut reader)?;
        } else if let Some(path) = line.strip_prefix(UPDATE) {
            update(draft, path.trim(), &mut reader)?;
        } else if let Some(path) = line.strip_prefix(DELETE) {
            delete(draft, path.trim())?;
        } else if line.trim().is_empty() {
            continue;
        } else {
            return Err(DiffRefusal::malformed("", reader.at, "the line belongs to no file"));
        }
        is_empty = false;
    }
    if is_empty { Err(DiffRefusal::of("", RefusalReason::NoEdit)) } else { Ok(()) }
}

struct Reader<'a, 't> {
    lines: &'t [&'a str],
    at: usize,
    budget: Budget,
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.next_if(|_| true)
    }

    fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        let line = self.peek().filter(|line| wanted(line))?;
        self.at += 1;
        Some(line)
    }
}

fn add(draft: &mut Draft<'_>, path: &str, reader: &mut Reader<'_, '_>) -> Result<(), DiffRefusal> {
    let path = checked_path(path)?;
    check_is_free(draft, &path)?;
    let mut content = String::new();
    while let Some(line) = reader.next_if(|line| line.starts_with('+')) {
        content.push_str(line.get(1..).unwrap_or_default());
        content.push('\n');
    }
    while reader.next_if(|line| line.trim().is_empty()).is_some() {}
    if reader.peek().is_some_and(|line| !line.starts_with("*** ")) {
        return Err(DiffRefusal::malformed(&path, reader.at + 1, "a line of a new file must begin with '+'"));
    }
    draft.create(&path, content, ChangeKind::Added, None);
    Ok(())
}

fn delete(draft: &mut Draft<'_>, path: &str) -> Result<(), DiffRefusal> {
    let path = checked_path(path)?;
    if draft.is_created(&path) {
        return Err(DiffRefusal::of(path, RefusalReason::NamedTwice));
    }
    if draft.current(&path).is_none() {
        return Err(DiffRefusal::of(path, RefusalReason::NoSuchFile));
    }
    draft.remove(&path);
    draft.record(&path, ChangeKind::Deleted, None);
    Ok(())
}

fn update(draft: &mut Draft<'_>, path: &str, reader: &mut Reader<'_, '_>) -> Result<(), DiffRefusal> {
    let path = checked_path(path)?;
    let target = reader.next_if(|line| line.starts_with(MOVE));
    let target = target.and_then(|line| line.strip_prefix(MOVE)).map(|target| checked_path(target.trim()));
    let target = target.transpose()?.filter(|target| *target != path);
    let hunks = read_hunks(&path, reader)?;
    if hunks.is_empty() && target.is_none() {
        return Err(DiffRefusal::malformed(&path, reader.at, "the file has no change"));
    }
    let old = draft.current(&path).ok_or_else(|| DiffRefusal::of(&path, RefusalReason::NoSuchFile))?;
    let content = patched(old, &hunks, &mut reader.budget)
        .map_err(|(hunk, reason)| DiffRefusal::in_hunk(&path, hunk, reason))?;
    let Some(target) = target else {
        draft.change(&path, content, None);
        return Ok(());
    };
    check_is_free(draft, &target)?;
    if draft.is_touched(&path) {
        return Err(DiffRefusal::of(path, RefusalReason::NamedTwice));
    }
    draft.create(&target, content, ChangeKind::Renamed { from: path.clone() }, None);
    draft.remove(&path);
    Ok(())
}

fn check_is_free(draft: &Draft<'_>, path: &str) -> Result<(), DiffRefusal> {
    match draft.current(path) {
        Some(_) => Err(DiffRefusal::of(path, RefusalReason::Exists)),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Hunk<'a> {
    anchors: Vec<&'a str>,
    /// The mark of each line, ` `, `-` or `+`, and the line.
    lines: Vec<(char, &'a str)>,
    is_at_end: bool,
}

impl<'a> Hunk<'a> {
    fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.lines.is_empty()
    }

    fn old_lines(&self) -> Vec<Line<'a>> {
        let old = self.lines.iter().filter(|(mark, _)| *mark != '+');
        old.map(|(_, text)| Line { text, ending: "\n" }).collect()
    }
}

fn read_hunks<'a>(path: &str, reader: &mut Reader<'a, '_>) -> Result<Vec<Hunk<'a>>, DiffRefusal> {
    let mut hunks = Vec::new();
    let mut hunk = Hunk::default();
    // Blank lines without their leading space are context only if another line of the hunk follows.
    let mut blank = 0;
    while let Some(line) = reader.next_if(|line| !line.starts_with("*** ") || line.trim_end() == END_OF_FILE)
    {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        let blanks = std::mem::take(&mut blank);
        let mark = line.chars().next().unwrap_or_default();
        if line.trim_end() == END_OF_FILE {
            hunk.is_at_end = true;
            hunks.push(std::mem::take(&mut hunk));
        } else if let Some(anchor) = line.strip_prefix("@@") {
            if !hunk.lines.is_empty() {
                hunks.push(std::mem::take(&mut hunk));
            }
            let anchor = anchor.trim().trim_end_matches("@@").trim();
            hunk.anchors.extend(Some(anchor).filter(|anchor| !anchor.is_empty()));
        } else if matches!(mark, ' ' | '-' | '+') {
            hunk.lines.extend(std::iter::repeat_n((' ', ""), blanks));
            hunk.lines.push((mark, line.get(1..).unwrap_or_default()));
        } else {
            return Err(DiffRefusal::malformed(
                path,
                reader.at,
                "a line of a hunk must begin with ' ', '-' or '+'",
            ));
        }
    }
    if !hunk.is_empty() {
        hunks.push(hunk);
    }
    match hunks.iter().find(|hunk| hunk.lines.iter().all(|(mark, _)| *mark == ' ')) {
        Some(_) => Err(DiffRefusal::malformed(path, reader.at, "a hunk changes nothing")),
        None => Ok(hunks),
    }
}

fn patched(old: &str, hunks: &[Hunk<'_>], budget: &mut Budget) -> Result<String, (usize, RefusalReason)> {
    let file = split(old);
    let mut out = String::with_capacity(old.len());
    let mut done = 0;
    for (index, hunk) in hunks.iter().enumerate() {
        budget.pay(old.len() * (1 + hunk.anchors.len())).map_err(|reason| (index + 1, reason))?;
        let rest = file.get(done..).unwrap_or_default();
        let place = done + locate(rest, hunk).map_err(|reason| (index + 1, reason))?;
        push_lines(&mut out, file.get(done..place));
        done = place;
        for (mark, text) in &hunk.lines {
            match (mark, file.get(done)) {
                ('+', _) => push_new(&mut out, text, newline_at(&file, done)),
                (' ', Some(line)) => {
                    end_line(&mut out, newline_at(&file, done));
                    line.push_to(&mut out);
                    done += 1;
                }
                _ => done += 1,
            }
        }
    }
    if done < file.len() {
        end_line(&mut out, newline_at(&file, done));
    } else if file.last().is_some_and(|line| !line.has_newline()) {
        // A file that ended without a newline still does.
        out.truncate(Line::new(&out).text.len());
    }
    push_lines(&mut out, file.get(done..));
    Ok(out)
}

fn push_lines(out: &mut String, lines: Option<&[Line<'_>]>) {
    for line in lines.unwrap_or_default() {
        line.push_to(out);
    }
}

fn push_new(out: &mut String, text: &str, newline: &str) {
    end_line(out, newline);
    out.push_str(text);
    out.push_str(newline);
}

/// Adds a newline to the last line before another line is appended.
fn end_line(out: &mut String, newline: &str) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push_str(newline);
    }
}

/// The position of a hunk in the rest of a file.
fn locate(rest: &[Line<'_>], hunk: &Hunk<'_>) -> Result<usize, RefusalReason> {
    let mut from = 0;
    for (depth, anchor) in hunk.anchors.iter().enumerate() {
        let places: Vec<usize> = (from..rest.len())
            .filter(|at| rest.get(*at).is_some_and(|line| line.text.trim() == *anchor))
            .collect();
        // The first anchor must be unique; each further one is the first match after it.
        match *places.as_slice() {
            [] => return Err(RefusalReason::NotFound),
            [first, _, ..] if depth > 0 => from = first + 1,
            [first] => from = first + 1,
            _ => return Err(RefusalReason::Ambiguous(places.len())),
        }
    }
    let old = hunk.old_lines();
    let last = rest.len().checked_sub(old.len()).ok_or(RefusalReason::NotFound)?;
    if hunk.is_at_end {
        let fits = last >= from && stands_at(rest, &old, last, Endings::Any);
        return if fits { Ok(last) } else { Err(RefusalReason::NotFound) };
    }
    if old.is_empty() {
        let is_told = !hunk.anchors.is_empty() || rest.is_empty();
        return if is_told { Ok(from) } else { Err(RefusalReason::NoContext) };
    }
    let places = occurrences(rest.get(from..).unwrap_or_default(), &old, Endings::Any);
    match *places.as_slice() {
        [] => Err(RefusalReason::NotFound),
        [place] => Ok(from + place),
        [place, ..] if from > 0 && is_within(rest, from - 1, from + place) => Ok(from + place),
        _ => Err(RefusalReason::Ambiguous(places.len())),
    }
}

/// Whether all lines from an anchor to a position are indented deeper than the anchor, so that the position belongs to
/// it.
fn is_within(lines: &[Line<'_>], anchor: usize, place: usize) -> bool {
    let indent = |line: &Line<'_>| line.text.len() - line.text.trim_start().len();
    let Some(depth) = lines.get(anchor).map(indent) else { return false };
    let between = lines.get(anchor + 1..=place).unwrap_or_default();
    between.iter().all(|line| line.is_blank() || indent(line) > depth)
}
