//! Edits of a project's files, in every form in which models and agents write them: unified diffs in git's format, `*** Begin
//! Patch`, SEARCH/REPLACE blocks, and files with placeholders for what stays. [`apply`] makes all of an edit or none of it, and
//! a [`Refusal`] says why. An edit applies where its text is found exactly and once; no place is ever guessed. Pure: no Worker
//! types, no panics, time linear in the files and the edit but for a fixed budget of bytes to search.

mod draft;
mod lines;
mod merge;
mod occurrences;
mod patch;
mod placeholder;
mod refusal;
mod search_replace;
mod show;
mod unified;

use std::collections::BTreeMap;

use draft::Draft;
pub use merge::merge_placeholder;
pub use placeholder::{find_placeholder, has_placeholder};
pub use refusal::{Reason, Refusal};
pub use show::unified;

/// The files of a project: path to content.
pub type Files = BTreeMap<String, String>;

/// An edit, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'a> {
    /// A unified diff: git's format, or plain `---` and `+++` headers.
    Unified {
        /// Its text.
        diff: &'a str,
        /// What to do about files that are not text.
        binaries: Binaries,
    },
    /// A patch between `*** Begin Patch` and `*** End Patch`.
    Patch(&'a str),
    /// SEARCH/REPLACE blocks or conflict marks.
    SearchReplace {
        /// The file they are for, where no line above a block names one.
        path: Option<&'a str>,
        /// The text with the blocks.
        text: &'a str,
    },
    /// A whole file, in which placeholders may stand for what stays.
    File {
        /// Its path.
        path: &'a str,
        /// Its content.
        content: &'a str,
    },
}

/// What a unified diff may say about files that are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binaries {
    /// Refuse the diff.
    Refuse,
    /// Leave them as they are, and report each as [`ChangeKind::BinaryKept`].
    Keep,
}

impl<'a> Edit<'a> {
    /// Recognises the form of a text that was given for the file at this path, or for no file in particular. None is a text
    /// without a path that has no form of an edit.
    pub fn recognise(path: Option<&'a str>, text: &'a str) -> Option<Self> {
        if patch::is_patch(text) {
            return Some(Self::Patch(text));
        }
        if unified::is_diff(text) {
            return Some(Self::Unified { diff: text, binaries: Binaries::Refuse });
        }
        if search_replace::has_marks(text) {
            return Some(Self::SearchReplace { path, text });
        }
        path.map(|path| Self::File { path, content: text })
    }
}

/// The files after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// All files, the untouched ones included.
    pub files: Files,
    /// What was done, in the order in which the edit names it.
    pub changes: Vec<Change>,
}

/// What an edit did to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path; of a renamed or copied file, the new one.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The mode that a diff gives the file, when it sets one. Files here have no modes: it is reported and not kept.
    pub mode: Option<u32>,
}

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It has other content.
    Changed,
    /// It is gone.
    Deleted,
    /// It has another path, and maybe other content.
    Renamed {
        /// The path that it had.
        from: String,
    },
    /// It is a copy, maybe with other content.
    Copied {
        /// The path of the original.
        from: String,
    },
    /// It is not text and was left as it is.
    BinaryKept,
}

/// Applies an edit to files: all of it or nothing.
///
/// # Errors
/// The first reason for which the edit does not apply, with its file.
pub fn apply(files: &Files, edit: Edit<'_>) -> Result<Applied, Refusal> {
    let mut draft = Draft::new(files);
    match edit {
        Edit::Unified { diff, binaries } => unified::apply(&mut draft, diff, binaries)?,
        Edit::Patch(text) => patch::apply(&mut draft, text)?,
        Edit::SearchReplace { path, text } => search_replace::apply(&mut draft, path, text)?,
        Edit::File { path, content } => merge::apply(&mut draft, path, content)?,
    }
    draft.finish()
}
