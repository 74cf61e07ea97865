//! SEARCH/REPLACE blocks, and conflict marks, which have the same format.
//!
//! A block replaces whole lines that occur in the file exactly once. If the text has other lines around its marks, it
//! is the whole file with both sides of each conflict, and applies if the first sides give the old file.

use crate::draft::{Draft, checked_path};
use crate::lines::{Endings, Line, newline_at, replace, split};
use crate::occurrences::{Budget, occurrences};
use crate::{ChangeKind, DiffRefusal, RefusalReason};

/// Whether a text has an opening, a dividing and a closing mark, in this order.
pub(crate) fn has_marks(text: &str) -> bool {
    let mut wanted = [Mark::Open, Mark::Divide, Mark::Close].into_iter().peekable();
    for line in text.lines() {
        wanted.next_if(|mark| Mark::of(line) == Some(*mark));
    }
    wanted.peek().is_none()
}

pub(crate) fn apply(draft: &mut Draft<'_>, path: Option<&str>, text: &str) -> Result<(), DiffRefusal> {
    let pieces = read(text, path.unwrap_or_default())?;
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        return Err(DiffRefusal::of(path.unwrap_or_default(), RefusalReason::NoEdit));
    }
    if let Some(path) = path
        && pieces.iter().any(|piece| matches!(piece, Piece::Text(line) if is_content(line, path)))
    {
        return resolve(draft, &checked_path(path)?, &pieces);
    }
    let mut named = path;
    let (mut count, mut budget) = (0, Budget::new());
    for piece in &pieces {
        match piece {
            Piece::Text(line) => named = file_name(line).or(named),
            Piece::Block(block) => {
                count += 1;
                let path = checked_path(named.ok_or_else(|| DiffRefusal::of("", RefusalReason::NoPath))?)?;
                apply_block(draft, &path, block, &mut budget)
                    .map_err(|reason| DiffRefusal::in_hunk(&path, count, reason))?;
            }
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    Base,
    Divide,
    Close,
}

impl Mark {
    /// Parses a line of five to nine equal marks. After the outer marks a word may follow: SEARCH, REPLACE or a branch.
    /// Some models write dashes and pluses for the outer marks, but always with the word.
    fn of(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let first = line.chars().next()?;
        let (marks, label) = line.split_at_checked(line.find(|c| c != first).unwrap_or(line.len()))?;
        if !(5..=9).contains(&marks.len()) || !(label.is_empty() || label.starts_with(' ') || is_word(label))
        {
            return None;
        }
        match first {
            '<' => Some(Self::Open),
            '-' if label.trim() == "SEARCH" => Some(Self::Open),
            '|' => Some(Self::Base),
            '=' if label.is_empty() => Some(Self::Divide),
            '>' => Some(Self::Close),
            '+' if label.trim() == "REPLACE" => Some(Self::Close),
            _ => None,
        }
    }
}

fn is_word(label: &str) -> bool {
    matches!(label, "SEARCH" | "REPLACE")
}

enum Piece<'a> {
    /// A line outside of blocks.
    Text(&'a str),
    Block(Block<'a>),
}

#[derive(Default)]
struct Block<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

fn read<'a>(text: &'a str, path: &str) -> Result<Vec<Piece<'a>>, DiffRefusal> {
    let mut pieces = Vec::new();
    // The open block and its last mark.
    let mut open: Option<(Block<'a>, Mark)> = None;
    for (index, line) in text.lines().enumerate() {
        let misplaced = || DiffRefusal::malformed(path, index + 1, "the mark is in the wrong place");
        open = match (open, Mark::of(line)) {
            (None, Some(Mark::Open)) => Some((Block::default(), Mark::Open)),
            (None, None | Some(Mark::Divide)) => {
                pieces.push(Piece::Text(line));
                None
            }
            (Some((block, Mark::Open)), Some(mark @ (Mark::Base | Mark::Divide))) => Some((block, mark)),
            (Some((block, Mark::Base)), Some(Mark::Divide)) => Some((block, Mark::Divide)),
            (Some((block, Mark::Divide)), Some(Mark::Close)) => {
                pieces.push(Piece::Block(block));
                None
            }
            (Some((mut block, mark)), None) => {
                match mark {
                    Mark::Open => block.old.push(line),
                    Mark::Divide => block.new.push(line),
                    Mark::Base | Mark::Close => {}
                }
                Some((block, mark))
            }
            _ => return Err(misplaced()),
        };
    }
    if open.is_some() { Err(DiffRefusal::of(path, RefusalReason::Cut)) } else { Ok(pieces) }
}

/// Whether a line outside of blocks is content of the file, and not a fence, a file name or a blank line around blocks.
fn is_content(line: &str, path: &str) -> bool {
    let line = line.trim();
    let is_name = file_name(line).is_some_and(|name| name == path || path.ends_with(&format!("/{name}")));
    !(line.is_empty() || line.starts_with("```") || is_name)
}

/// A file's name alone on a line, plain or with the marks that models put around it.
fn file_name(line: &str) -> Option<&str> {
    let is_mark = |c: char| matches!(c, '*' | '`' | '#' | ' ' | ':');
    let name = line.trim().trim_matches(is_mark);
    let name =
        name.strip_prefix("File:").or(name.strip_prefix("file:")).unwrap_or(name).trim_matches(is_mark);
    let is_path = name.contains(['.', '/']) && !name.contains(char::is_whitespace) && !name.starts_with('<');
    is_path.then_some(name)
}

fn apply_block(
    draft: &mut Draft<'_>,
    path: &str,
    block: &Block<'_>,
    budget: &mut Budget,
) -> Result<(), RefusalReason> {
    let Some(content) = draft.current(path) else {
        return create(draft, path, block);
    };
    budget.pay(content.len())?;
    let file = split(content);
    if block.old.iter().all(|line| line.trim().is_empty()) {
        return fill(draft, path, block);
    }
    let old: Vec<Line<'_>> = block.old.iter().map(|text| Line { text, ending: "\n" }).collect();
    let places = occurrences(&file, &old, Endings::Any);
    let place = match *places.as_slice() {
        [] => return Err(RefusalReason::NotFound),
        [place] => place,
        _ => return Err(RefusalReason::Ambiguous(places.len())),
    };
    let content = replace(&file, place, place + old.len(), &block.new);
    draft.change(path, content, None);
    Ok(())
}

/// A block with an empty search creates a file.
fn create(draft: &mut Draft<'_>, path: &str, block: &Block<'_>) -> Result<(), RefusalReason> {
    if !block.old.is_empty() || draft.is_touched(path) {
        return Err(RefusalReason::NoSuchFile);
    }
    draft.create(path, replace(&[], 0, 0, &block.new), ChangeKind::Added, None);
    Ok(())
}

/// It may also fill an empty file; in a file with content, the position would be unclear.
fn fill(draft: &mut Draft<'_>, path: &str, block: &Block<'_>) -> Result<(), RefusalReason> {
    if draft.current(path).is_some_and(|content| !content.trim().is_empty()) {
        return Err(RefusalReason::NoContext);
    }
    draft.change(path, replace(&[], 0, 0, &block.new), None);
    Ok(())
}

/// Applies a whole file with both sides of each conflict: the first sides give the old file, the second sides the new
/// one.
fn resolve(draft: &mut Draft<'_>, path: &str, pieces: &[Piece<'_>]) -> Result<(), DiffRefusal> {
    let content = draft.current(path).ok_or_else(|| DiffRefusal::of(path, RefusalReason::NoSuchFile))?;
    let file = split(content);
    let mut rest = file.iter().copied().enumerate();
    let mut expect = |text: &str| match rest.next() {
        Some((at, line)) if line.text == text => Ok((at, line)),
        _ => Err(DiffRefusal::of(path, RefusalReason::NotFound)),
    };
    let (mut out, mut at) = (String::new(), 0);
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let (place, line) = expect(text)?;
                line.push_to(&mut out);
                at = place + 1;
            }
            Piece::Block(block) => {
                for text in &block.old {
                    at = expect(text)?.0 + 1;
                }
                let newline = newline_at(&file, at);
                out.extend(block.new.iter().flat_map(|text| [*text, newline]));
            }
        }
    }
    if rest.next().is_some() {
        return Err(DiffRefusal::of(path, RefusalReason::NotFound));
    }
    draft.change(path, out, None);
    Ok(())
}
