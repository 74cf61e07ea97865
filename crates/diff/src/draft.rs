//! Files while an edit is being made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hatch_code::safe_path;

use crate::{Applied, Change, ChangeKind, DiffRefusal, Files, RefusalReason};

/// The files before an edit, and the changes of the edit so far.
pub(crate) struct Draft<'a> {
    before: &'a Files,
    /// The files that the edit touched, with their new content; `None` for a deleted one.
    touched: BTreeMap<String, Option<String>>,
    created: BTreeSet<String>,
    changes: Vec<Change>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(before: &'a Files) -> Self {
        Self { before, touched: BTreeMap::new(), created: BTreeSet::new(), changes: Vec::new() }
    }

    /// The file as the edit has left it so far.
    pub(crate) fn current(&self, path: &str) -> Option<&str> {
        match self.touched.get(path) {
            Some(content) => content.as_deref(),
            None => self.original(path),
        }
    }

    /// The file as it was before the edit.
    pub(crate) fn original(&self, path: &str) -> Option<&'a str> {
        self.before.get(path).map(String::as_str)
    }

    /// Whether the edit created this file or moved it here.
    pub(crate) fn is_created(&self, path: &str) -> bool {
        self.created.contains(path)
    }

    pub(crate) fn is_touched(&self, path: &str) -> bool {
        self.touched.contains_key(path)
    }

    pub(crate) fn change(&mut self, path: &str, content: String, mode: Option<u32>) {
        let is_told = self.touched.insert(path.to_owned(), Some(content)).is_some();
        if !is_told {
            self.record(path, ChangeKind::Changed, mode);
        }
    }

    pub(crate) fn create(&mut self, path: &str, content: String, kind: ChangeKind, mode: Option<u32>) {
        self.touched.insert(path.to_owned(), Some(content));
        self.created.insert(path.to_owned());
        self.record(path, kind, mode);
    }

    /// Deletes a file, unless the edit has created a new one at its path.
    pub(crate) fn remove(&mut self, path: &str) {
        if !self.is_created(path) {
            self.touched.insert(path.to_owned(), None);
        }
    }

    pub(crate) fn record(&mut self, path: &str, kind: ChangeKind, mode: Option<u32>) {
        self.changes.push(Change { path: path.to_owned(), kind, mode });
    }

    /// The files after the edit.
    ///
    /// # Errors
    /// A new path collides with another.
    pub(crate) fn finish(self) -> Result<Applied, DiffRefusal> {
        let mut files = self.before.clone();
        for (path, content) in self.touched {
            match content {
                Some(content) => files.insert(path, content),
                None => files.remove(&path),
            };
        }
        check_collisions(&files, &self.created)?;
        Ok(Applied { files, changes: self.changes })
    }
}

/// The path in normal form.
///
/// # Errors
/// The path is not allowed.
pub(crate) fn checked_path(path: &str) -> Result<String, DiffRefusal> {
    safe_path(path).map_err(|why| DiffRefusal::of(path, RefusalReason::Path(why.to_string())))
}

/// Refuses new paths that differ from another only in case, or that lie below a file.
fn check_collisions(files: &Files, created: &BTreeSet<String>) -> Result<(), DiffRefusal> {
    if created.is_empty() {
        return Ok(());
    }
    let mut names: HashMap<String, &str> = HashMap::new();
    for path in files.keys() {
        let other = names.insert(path.to_lowercase(), path);
        if let Some(other) = other.filter(|other| created.contains(*other) || created.contains(path)) {
            return Err(DiffRefusal::of(path, RefusalReason::Collides(other.to_owned())));
        }
    }
    for path in files.keys() {
        let folded = path.to_lowercase();
        let folders = folded.match_indices('/').filter_map(|(end, _)| folded.get(..end));
        for other in folders.filter_map(|folder| names.get(folder)) {
            if created.contains(*other) || created.contains(path) {
                return Err(DiffRefusal::of(path, RefusalReason::Collides((*other).to_owned())));
            }
        }
    }
    Ok(())
}
