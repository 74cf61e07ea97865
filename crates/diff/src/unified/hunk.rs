//! Reads hunks and finds where they apply.

use crate::RefusalReason;
use crate::lines::{Endings, Line, newline_at, split};
use crate::occurrences::{Budget, occurrences, stands_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Old,
    New,
}

#[derive(Debug, Clone)]
pub(super) struct Hunk<'a> {
    pub(super) range: Range,
    pub(super) lines: Vec<(Side, Line<'a>)>,
}

/// The four numbers of `@@ -a,b +c,d @@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) old_start: usize,
    pub(super) old_count: usize,
    pub(super) new_start: usize,
    pub(super) new_count: usize,
}

impl Range {
    /// Reads the first line of a hunk; the text after the second `@@` is ignored.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
        let (new, _) = rest.split_once(" @@")?;
        let ((old_start, old_count), (new_start, new_count)) = (start_and_count(old)?, start_and_count(new)?);
        Some(Self { old_start, old_count, new_start, new_count })
    }
}

fn start_and_count(numbers: &str) -> Option<(usize, usize)> {
    let (start, count) = numbers.split_once(',').unwrap_or((numbers, "1"));
    let number = |digits: &str| {
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
    };
    Some((usize::try_from(number(start)?).ok()?, usize::try_from(number(count)?).ok()?))
}

impl<'a> Hunk<'a> {
    /// The lines that the hunk expects in the file.
    fn old_lines(&self) -> Vec<Line<'a>> {
        self.lines.iter().filter(|(side, _)| *side != Side::New).map(|(_, line)| *line).collect()
    }

    /// Context lines before the first change, and after the last one.
    fn context(&self) -> (usize, usize) {
        let is_context = |line: &&(Side, Line<'_>)| line.0 == Side::Both;
        let leading = self.lines.iter().take_while(is_context).count();
        (leading, self.lines.iter().rev().take_while(is_context).count())
    }
}

/// Applies the hunks of one file to it.
///
/// # Errors
/// The number of the first hunk that does not apply, and why.
pub(super) fn apply_hunks(
    content: &str,
    hunks: &[Hunk<'_>],
    budget: &mut Budget,
) -> Result<String, (usize, RefusalReason)> {
    budget.pay(content.len()).map_err(|reason| (1, reason))?;
    let mut target =
        Target { lines: split(content), bytes: content.len(), done: 0, patched: Vec::new(), delta: 0 };
    let mut out = String::with_capacity(content.len());
    for (index, hunk) in hunks.iter().enumerate() {
        let old = hunk.old_lines();
        let (place, endings) = target.locate(hunk, &old, budget).map_err(|reason| (index + 1, reason))?;
        target.copy_until(place, &mut out);
        write_hunk(hunk, &target.lines, place, endings, &mut out);
        target.patch(place, old.len(), hunk);
    }
    target.copy_until(target.lines.len(), &mut out);
    Ok(out)
}

/// The lines of a file, and which of them earlier hunks have changed.
struct Target<'a> {
    lines: Vec<Line<'a>>,
    bytes: usize,
    /// The lines before this one have been written to the result.
    done: usize,
    /// First line and line after the last one of each hunk that was applied, in order.
    patched: Vec<(usize, usize)>,
    /// How many more lines the result has than the file, so far.
    delta: isize,
}

impl Target<'_> {
    fn copy_until(&mut self, end: usize, out: &mut String) {
        for line in self.lines.get(self.done..end).unwrap_or_default() {
            line.push_to(out);
        }
        self.done = end;
    }

    fn patch(&mut self, place: usize, old_count: usize, hunk: &Hunk<'_>) {
        self.done = place + old_count;
        self.patched.push((place, self.done));
        let new_count = hunk.lines.iter().filter(|(side, _)| *side != Side::Old).count();
        self.delta = self.delta.saturating_add_unsigned(new_count).saturating_sub_unsigned(old_count);
    }

    /// The line at which the hunk applies. As in git, a hunk that states the beginning of the file must be there, and
    /// one without context after its changes must be at the end. Any other hunk applies at the stated line, or else at
    /// the only line where it matches.
    fn locate(
        &self,
        hunk: &Hunk<'_>,
        old: &[Line<'_>],
        budget: &mut Budget,
    ) -> Result<(usize, Endings), RefusalReason> {
        let stated = hunk.range.new_start.saturating_sub(1).checked_add_signed(self.delta.saturating_neg());
        let (leading, trailing) = hunk.context();
        let is_bare = leading == 0 && trailing == 0;
        let only = match (hunk.range.old_start <= 1, trailing == 0) {
            (true, must_end) => Some(0)
                .filter(|_| !must_end || old.len() == self.lines.len())
                .ok_or(RefusalReason::NotFound)?
                .into(),
            (false, true) => Some(self.lines.len().checked_sub(old.len()).ok_or(RefusalReason::NotFound)?),
            (false, false) => None,
        };
        if is_bare && hunk.range.old_start > 1 && only != Some(self.bare_place(hunk, old)) {
            return Err(RefusalReason::NoContext);
        }
        for endings in [Endings::Exact, Endings::AnyNewline] {
            let stated = only.or(stated).filter(|place| *place >= self.done);
            if let Some(place) = stated.filter(|place| stands_at(&self.lines, old, *place, endings)) {
                return Ok((place, endings));
            }
            if only.is_none()
                && let Some(place) = self.only_place(old, endings, budget)?
            {
                return Ok((place, endings));
            }
        }
        Err(if only.is_some_and(|place| place < self.done) {
            RefusalReason::OutOfOrder
        } else {
            RefusalReason::NotFound
        })
    }

    /// The stated position of a hunk without context: its first line, or the line after which it inserts.
    fn bare_place(&self, hunk: &Hunk<'_>, old: &[Line<'_>]) -> usize {
        if old.is_empty() { hunk.range.old_start } else { hunk.range.old_start.saturating_sub(1) }
    }

    fn only_place(
        &self,
        old: &[Line<'_>],
        endings: Endings,
        budget: &mut Budget,
    ) -> Result<Option<usize>, RefusalReason> {
        budget.pay(self.bytes)?;
        let mut places = occurrences(&self.lines, old, endings);
        places.retain(|place| !self.is_patched(*place, place + old.len()));
        match *places.as_slice() {
            [] => Ok(None),
            [place] if place < self.done => Err(RefusalReason::OutOfOrder),
            [place] => Ok(Some(place)),
            _ => Err(RefusalReason::Ambiguous(places.len())),
        }
    }

    /// Whether an earlier hunk changed one of these lines.
    fn is_patched(&self, start: usize, end: usize) -> bool {
        let next = self.patched.partition_point(|(_, patched_end)| *patched_end <= start);
        self.patched.get(next).is_some_and(|(patched_start, _)| *patched_start < end)
    }
}

/// Writes the hunk's result. Context is copied from the file. If line ends differ, new lines get those of the file's
/// lines around them.
fn write_hunk(hunk: &Hunk<'_>, file: &[Line<'_>], place: usize, endings: Endings, out: &mut String) {
    let mut at = place;
    for (side, line) in &hunk.lines {
        match side {
            Side::Both => {
                if let Some(line) = file.get(at) {
                    line.push_to(out);
                }
                at += 1;
            }
            Side::Old => at += 1,
            Side::New if endings == Endings::Exact => line.push_to(out),
            Side::New => {
                out.push_str(line.text.strip_suffix('\r').unwrap_or(line.text));
                if line.has_newline() {
                    out.push_str(newline_at(file, at));
                }
            }
        }
    }
}
