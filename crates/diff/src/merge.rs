//! Lays a file with placeholders over the file that it was written from.

use crate::draft::{Draft, checked_path};
use crate::lines::{Endings, Line, newline_at, split};
use crate::occurrences::occurrences;
use crate::placeholder::{Placeholder, placeholders};
use crate::{ChangeKind, Reason, Refusal};

pub(crate) fn apply(draft: &mut Draft<'_>, path: &str, content: &str) -> Result<(), Refusal> {
    let path = checked_path(path)?;
    match draft.current(&path) {
        Some(old) => {
            let merged = merge_placeholder(&path, old, content)?;
            draft.change(&path, merged, None);
        }
        None if placeholders(&path, content).is_empty() => {
            draft.create(&path, content.to_owned(), ChangeKind::Added, None);
        }
        None => return Err(Refusal::of(path, Reason::NoSuchFile)),
    }
    Ok(())
}

/// Puts in place of each placeholder the lines of the old file that it stands for: those between the line above it and the
/// line below it, each found in the old file together with as many of its neighbours as make it the only place. A placeholder
/// at the beginning or the end of the file reaches to that of the old one. A file without placeholders is given back.
///
/// # Errors
/// A placeholder shares its line with code, or the lines around it are not in the old file, are there several times, or are
/// there in another order.
pub fn merge_placeholder(path: &str, old: &str, new: &str) -> Result<String, Refusal> {
    let found = placeholders(path, new);
    if let Some(inline) = found.iter().find(|placeholder| !placeholder.is_whole) {
        return Err(Refusal::of(path, Reason::InlinePlaceholder(inline.first + 1)));
    }
    if found.is_empty() {
        return Ok(new.to_owned());
    }
    let (old, new) = (split(old), split(new));
    let mut out = String::new();
    let mut merge = Merge { path, old: &old, written: 0 };
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
    /// The lines of the old file before this one are settled.
    written: usize,
}

impl Merge<'_, '_> {
    /// The lines of the old file that a placeholder stands for, from the first one up to the one that it does not.
    fn kept(
        &self,
        placeholder: &Placeholder,
        before: &[Line<'_>],
        after: &[Line<'_>],
    ) -> Result<(usize, usize), Refusal> {
        let refuse =
            |found| Refusal::of(self.path, Reason::Unanchored { line: placeholder.first + 1, found });
        let start = match before.len() {
            0 => self.written,
            count => {
                let near = |length: usize| before.get(count - length..);
                let (place, length) = only_place(self.old, count, near).map_err(refuse)?;
                place + length
            }
        };
        let end = match after.len() {
            0 => self.old.len(),
            count => only_place(self.old, count, |length: usize| after.get(..length)).map_err(refuse)?.0,
        };
        if start < self.written || end < start { Err(refuse(0)) } else { Ok((start, end)) }
    }

    /// Writes lines of the new file; they end as those of the old one do where they come to stand.
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

/// Where the lines next to a placeholder stand in the old file: the fewest that stand there only once.
fn only_place<'n>(
    old: &[Line<'_>],
    count: usize,
    near: impl Fn(usize) -> Option<&'n [Line<'n>]>,
) -> Result<(usize, usize), usize> {
    let mut found = 0;
    for length in 1..=count {
        let places = occurrences(old, near(length).unwrap_or_default(), Endings::Any);
        match *places.as_slice() {
            [] => break,
            [place] => return Ok((place, length)),
            _ => found = places.len(),
        }
    }
    Err(found)
}

/// Without the blank lines at both ends: the lines that a placeholder stands for bring their own.
fn trimmed<'a, 'b>(lines: &'a [Line<'b>]) -> &'a [Line<'b>] {
    let first = lines.iter().position(|line| !line.is_blank()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_blank()).map_or(first, |last| last + 1);
    lines.get(first..last).unwrap_or_default()
}
