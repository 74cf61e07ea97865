//! Unified diffs, as `git diff` writes them and `git apply` reads them.
//!
//! What differs from `git apply` on purpose. Accepted though git refuses: hunks whose lines differ from the file's in nothing
//! but `\n` and `\r\n` (new lines end as the file's do); a missing newline at the very end of the diff; blank context lines
//! that are `\r\n`; names without `a/` and `b/`; `/dev/null` without a line that tells the mode. Refused though git accepts:
//! hunks that fit in several places, none of them the stated one; hunks out of order; names that differ from line to line; lines of a hunk that its header does not
//! count; insertions without context elsewhere than stated; and what the rules for a project's files forbid.

mod apply;
mod header;
#[cfg(test)]
mod histories;
mod hunk;
mod name;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use apply::apply;
pub(crate) use name::quoted;
pub(crate) use parse::is_diff;
