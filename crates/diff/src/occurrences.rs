//! Finds lines in a file in linear time.

use crate::RefusalReason;
use crate::lines::{Endings, Line};

/// How many bytes one edit may search. A normal edit searches small files a few times; this stops an edit with a
/// hundred thousand pieces that each search a large file.
const SEARCHED_BYTES: usize = 64_000_000;

/// The rest of [`SEARCHED_BYTES`].
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(SEARCHED_BYTES)
    }

    /// Deducts a search of this many bytes.
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<(), RefusalReason> {
        self.0 = self.0.checked_sub(bytes).ok_or(RefusalReason::TooMuchSearch)?;
        Ok(())
    }
}

/// The positions of `wanted` in `file`, including overlapping ones, by the algorithm of Knuth, Morris and Pratt, so
/// that a file of a hundred thousand equal lines takes no longer than others. Empty if `wanted` is empty.
pub(crate) fn occurrences(file: &[Line<'_>], wanted: &[Line<'_>], endings: Endings) -> Vec<usize> {
    let same =
        |at: usize, line: &Line<'_>| wanted.get(at).is_some_and(|wanted| wanted.matches(line, endings));
    let borders = borders(wanted, endings);
    let border = |matched: usize| matched.checked_sub(1).and_then(|last| borders.get(last)).copied();
    let mut places = Vec::new();
    let mut matched = 0;
    for (index, line) in file.iter().enumerate() {
        while !same(matched, line) {
            let Some(shorter) = border(matched) else { break };
            matched = shorter;
        }
        if same(matched, line) {
            matched += 1;
        }
        if matched > 0 && matched == wanted.len() {
            places.push(index + 1 - matched);
            matched = border(matched).unwrap_or(0);
        }
    }
    places
}

/// Whether `file` has `wanted` at this line.
pub(crate) fn stands_at(file: &[Line<'_>], wanted: &[Line<'_>], at: usize, endings: Endings) -> bool {
    let Some(found) = at.checked_add(wanted.len()).and_then(|end| file.get(at..end)) else { return false };
    found.iter().zip(wanted).all(|(found, wanted)| found.matches(wanted, endings))
}

/// For each prefix, the length of its longest border: a shorter prefix that is also its suffix.
fn borders(wanted: &[Line<'_>], endings: Endings) -> Vec<usize> {
    let mut borders: Vec<usize> = Vec::with_capacity(wanted.len());
    let mut length = 0;
    for (index, line) in wanted.iter().enumerate() {
        let same = |length: usize| {
            wanted.get(length).is_some_and(|other| length < index && other.matches(line, endings))
        };
        while length > 0 && !same(length) {
            length = borders.get(length - 1).copied().unwrap_or(0);
        }
        if same(length) {
            length += 1;
        }
        borders.push(length);
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::split;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_occurrence_is_found(file in "[ab\n]{0,40}", wanted in "[ab\n]{1,6}") {
            let (file, wanted) = (split(&file), split(&wanted));
            let places: Vec<_> =
                (0..file.len()).filter(|at| stands_at(&file, &wanted, *at, Endings::Exact)).collect();
            prop_assert_eq!(occurrences(&file, &wanted, Endings::Exact), places);
        }
    }
}
