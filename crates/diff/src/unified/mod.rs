//! Unified diffs, as `git diff` writes them and `git apply` reads them.
//!
//! Intended differences from `git apply`. Accepted although git refuses: hunks whose lines differ from the file's only
//! in `\n` and `\r\n` (new lines get the file's line ends); a missing newline at the very end of the diff; blank
//! context lines that are `\r\n`; names without `a/` and `b/`; `/dev/null` without a mode line. Refused although git
//! accepts: hunks that match in several places, none of them the stated one; hunks out of order; names that differ
//! between lines; lines of a hunk that its header does not count; insertions without context elsewhere than stated; and
//! paths that the rules for projects forbid.

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
