//! Merges a file with placeholders into the old version of the file.

use crate::draft::{Draft, checked_path};
use crate::lines::{Endings, Line, newline_at, split};
use crate::occurrences::{Budget, occurrences};
use crate::placeholder::{Placeholder, placeholders};
use crate::{ChangeKind, DiffRefusal, RefusalReason};

pub(crate) fn apply(draft: &mut Draft<'_>, path: &str, content: &str) -> Result<(), DiffRefusal> {
    let path = checked_path(path)?;
    match draft.current(&path) {
        Some(old) => {
            let merged = merge_placeholder(&path, old, content)?;
            draft.change(&path, merged, None);
        }
        None if placeholders(&path, content).is_empty() => {
            draft.create(&path, content.to_owned(), ChangeKind::Added, None);
        }
        None => return Err(DiffRefusal::of(path, RefusalReason::NoSuchFile)),
    }
    Ok(())
}

/// Replaces each placeholder with the lines of the old file that it stands for: those between the line above it and the
/// line below it. Both are looked up in the old file, together with as many neighbouring lines as are needed to make
/// the match unique. A placeholder at the beginning or the end of the file extends to the beginning or the end of the
/// old one. A file without placeholders is returned unchanged.
///
/// # Errors
/// A placeholder shares its line with code, or the lines around it do not occur in the old file, occur several times,
/// or occur in another order.
pub fn merge_placeholder(path: &str, old: &str, new: &str) -> Result<String, DiffRefusal> {
    let found = placeholders(path, new);
    if let Some(inline) = found.iter().find(|placeholder| !placeholder.is_whole) {
        return Err(DiffRefusal::of(path, RefusalReason::InlinePlaceholder(inline.first + 1)));
    }
    if found.is_empty() {
        return Ok(new.to_owned());
    }
    let bytes = old.len();
    let (old, new) = (split(old), split(new));
    let mut out = String::new();
    let mut merge = Merge { path, old: &old, bytes, budget: Budget::new(), written: 0 };
    let mut from = 0;
    for (index, placeholder) in found.iter().enumerate() {
        let next = found.get(index + 1).map_or(new.len(), |next| next.first);
        let before = trimmed(new.get(from..placeholder.first).unwrap_or_default());
        let after = trimmed(new.get(placeholder.last + 1..next).unwrap_or_default());
        let (start, end) = merge.kept(placeholder, before, after)?;
        merge.push_new(&mut out, before, start);
        for line in old.get(start..end).unwrap_or_default() {
            line.push_to(&mut out);
        }
        merge.written = end;
        from = placeholder.last + 1;
    }
    merge.push_new(&mut out, trimmed(new.get(from..).unwrap_or_default()), old.len());
    Ok(out)
}

struct Merge<'o, 'a> {
    path: &'o str,
    old: &'o [Line<'a>],
    bytes: usize,
    budget: Budget,
    /// The lines of the old file before this one have been used.
    written: usize,
}

impl Merge<'_, '_> {
    /// The range of old lines that a placeholder stands for, end excluded.
    fn kept(
        &mut self,
        placeholder: &Placeholder,
        before: &[Line<'_>],
        after: &[Line<'_>],
    ) -> Result<(usize, usize), DiffRefusal> {
        let (path, written, all) = (self.path, self.written, self.old.len());
        let unanchored = |found| RefusalReason::Unanchored { line: placeholder.first + 1, found };
        let mut only_place = |near: &mut dyn Iterator<Item = &[Line<'_>]>| {
            let place = self.only_place(near).map_err(|reason| DiffRefusal::of(path, reason))?;
            place.map_err(|found| DiffRefusal::of(path, unanchored(found)))
        };
        let start = match before.len() {
            0 => written,
            count => {
                let mut near = (1..=count).filter_map(|length| before.get(count - length..));
                let (place, length) = only_place(&mut near)?;
                place + length
            }
        };
        let end = match after.len() {
            0 => all,
            count => only_place(&mut (1..=count).filter_map(|length| after.get(..length)))?.0,
        };
        if start < written || end < start {
            return Err(DiffRefusal::of(path, RefusalReason::OutOfOrder));
        }
        Ok((start, end))
    }

    /// Finds the lines next to a placeholder in the old file: the shortest run that occurs exactly once. Returns its
    /// position and length. If there is none, returns how often the longest run that occurs at all was found.
    fn only_place(
        &mut self,
        near: &mut dyn Iterator<Item = &[Line<'_>]>,
    ) -> Result<Result<(usize, usize), usize>, RefusalReason> {
        let mut found = 0;
        for lines in near {
            self.budget.pay(self.bytes)?;
            let places = occurrences(self.old, lines, Endings::Any);
            match *places.as_slice() {
                [] => break,
                [place] => return Ok(Ok((place, lines.len()))),
                _ => found = places.len(),
            }
        }
        Ok(Err(found))
    }

    /// Writes lines of the new file, with the line ends of the old file at that position.
    fn push_new(&self, out: &mut String, lines: &[Line<'_>], at: usize) {
        for line in lines {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push_str(newline_at(self.old, at));
            }
            out.push_str(line.text);
            out.push_str(newline_at(self.old, at));
        }
    }
}

/// Removes blank lines at both ends: the old lines have their own.
fn trimmed<'a, 'b>(lines: &'a [Line<'b>]) -> &'a [Line<'b>] {
    let first = lines.iter().position(|line| !line.is_blank()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_blank()).map_or(first, |last| last + 1);
    lines.get(first..last).unwrap_or_default()
}
