//! Applies edits to a project's files, in every format that models and agents write: unified diffs in git's format,
//! `*** Begin Patch`, SEARCH/REPLACE blocks, and files with placeholders for unchanged code. [`apply`] applies a whole
//! edit or nothing; a [`DiffRefusal`] says why. An edit applies only where its text occurs exactly once; a position is
//! never guessed. Pure: no Worker types, no panics. Time is linear in the files and the edit, except for searching,
//! which has a fixed budget of bytes.

mod draft;
mod lines;
mod merge;
mod occurrences;
mod patch;
mod placeholder;
mod refusal;
mod search_replace;
mod show;
#[cfg(test)]
mod tests;
mod unified;

use std::collections::BTreeMap;

use draft::Draft;
pub use merge::merge_placeholder;
pub use placeholder::{find_placeholder, has_placeholder};
pub use refusal::{DiffRefusal, RefusalReason};
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
        /// The file to edit, if no line above a block names one.
        path: Option<&'a str>,
        /// The text with the blocks.
        text: &'a str,
    },
    /// A whole file, which may have placeholders for unchanged code.
    File {
        /// Its path.
        path: &'a str,
        /// Its content.
        content: &'a str,
    },
}

/// What to do if a unified diff changes files that are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binaries {
    /// Refuse the diff.
    Refuse,
    /// Leave them as they are, and report each as [`ChangeKind::BinaryKept`].
    Keep,
}

impl<'a> Edit<'a> {
    /// Recognises the format of a text that was given for the file at this path, or without a path. `None` if there is
    /// no path and the text is not an edit.
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
    /// The changes, in the order of the edit.
    pub changes: Vec<Change>,
}

/// What an edit did to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path; of a renamed or copied file, the new one.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The file mode, if a diff sets one. It is only reported, because projects do not store modes.
    pub mode: Option<u32>,
}

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// It was renamed, and its content may have changed.
    Renamed {
        /// The old path.
        from: String,
    },
    /// It is a copy, and its content may have changed.
    Copied {
        /// The path of the original.
        from: String,
    },
    /// It is not text and was left unchanged.
    BinaryKept,
}

/// Applies an edit to files, as a whole or not at all.
///
/// # Errors
/// The first reason why the edit does not apply, with its file.
pub fn apply(files: &Files, edit: Edit<'_>) -> Result<Applied, DiffRefusal> {
    let mut draft = Draft::new(files);
    match edit {
        Edit::Unified { diff, binaries } => unified::apply(&mut draft, diff, binaries)?,
        Edit::Patch(text) => patch::apply(&mut draft, text)?,
        Edit::SearchReplace { path, text } => search_replace::apply(&mut draft, path, text)?,
        Edit::File { path, content } => merge::apply(&mut draft, path, content)?,
    }
    draft.finish()
}
