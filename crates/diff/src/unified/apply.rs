//! Applies a unified diff to files.

use std::collections::BTreeSet;

use super::header::Operation;
use super::hunk::apply_hunks;
use super::parse::{FileDiff, parse};
use crate::draft::{Draft, checked_path};
use crate::occurrences::Budget;
use crate::{Binaries, ChangeKind, DiffRefusal, RefusalReason};

/// Applies a diff. A renamed or copied file starts from its original as it was before the diff, in any order; a change
/// applies on top of earlier ones.
pub(crate) fn apply(draft: &mut Draft<'_>, diff: &str, binaries: Binaries) -> Result<(), DiffRefusal> {
    let mut files = parse(diff)?;
    for file in &mut files {
        file.old = checked_path(&file.old)?;
        file.new = checked_path(&file.new)?;
    }
    let leaving: BTreeSet<String> = files
        .iter()
        .filter(|file| matches!(file.operation, Operation::Rename | Operation::Delete))
        .map(|file| file.old.clone())
        .collect();
    let mut session = Session { draft, leaving, budget: Budget::new() };
    for file in &files {
        if file.is_binary {
            session.keep_binary(file, binaries)?;
            continue;
        }
        match file.operation {
            Operation::Change => session.change(file)?,
            Operation::Create => session.create(file)?,
            Operation::Delete => session.delete(file)?,
            Operation::Rename | Operation::Copy => session.derive(file)?,
        }
    }
    Ok(())
}

struct Session<'d, 'f> {
    draft: &'d mut Draft<'f>,
    /// The paths that the diff deletes or renames.
    leaving: BTreeSet<String>,
    budget: Budget,
}

impl Session<'_, '_> {
    fn keep_binary(&mut self, file: &FileDiff<'_>, binaries: Binaries) -> Result<(), DiffRefusal> {
        if binaries == Binaries::Refuse {
            return Err(DiffRefusal::of(&file.new, RefusalReason::Binary));
        }
        self.draft.record(&file.new, ChangeKind::BinaryKept, file.mode);
        Ok(())
    }

    fn change(&mut self, file: &FileDiff<'_>) -> Result<(), DiffRefusal> {
        let Some(content) = self.draft.current(&file.new) else {
            let is_new = file.may_be_new
                && !self.draft.is_touched(&file.new)
                && file.hunks.iter().all(|hunk| hunk.range.old_count == 0);
            return if is_new {
                self.create(file)
            } else {
                Err(DiffRefusal::of(&file.new, RefusalReason::NoSuchFile))
            };
        };
        let content = patched(content, file, &mut self.budget)?;
        self.draft.change(&file.new, content, file.mode);
        Ok(())
    }

    fn create(&mut self, file: &FileDiff<'_>) -> Result<(), DiffRefusal> {
        self.check_is_free(&file.new)?;
        let content = patched("", file, &mut self.budget)?;
        self.draft.create(&file.new, content, ChangeKind::Added, file.mode);
        Ok(())
    }

    fn delete(&mut self, file: &FileDiff<'_>) -> Result<(), DiffRefusal> {
        if self.draft.is_created(&file.old) {
            return Err(DiffRefusal::of(&file.old, RefusalReason::NamedTwice));
        }
        let content = self
            .draft
            .current(&file.old)
            .ok_or_else(|| DiffRefusal::of(&file.old, RefusalReason::NoSuchFile))?;
        if !patched(content, file, &mut self.budget)?.is_empty() {
            return Err(DiffRefusal::of(&file.old, RefusalReason::NotAllDeleted));
        }
        self.draft.remove(&file.old);
        self.draft.record(&file.old, ChangeKind::Deleted, None);
        Ok(())
    }

    /// Creates a file from another one.
    fn derive(&mut self, file: &FileDiff<'_>) -> Result<(), DiffRefusal> {
        let is_rename = file.operation == Operation::Rename;
        let source = self
            .draft
            .original(&file.old)
            .ok_or_else(|| DiffRefusal::of(&file.old, RefusalReason::NoSuchFile))?;
        if is_rename && self.draft.is_touched(&file.old) && !self.draft.is_created(&file.old) {
            return Err(DiffRefusal::of(&file.old, RefusalReason::NamedTwice));
        }
        self.check_is_free(&file.new)?;
        let content = patched(source, file, &mut self.budget)?;
        let from = file.old.clone();
        let kind = if is_rename { ChangeKind::Renamed { from } } else { ChangeKind::Copied { from } };
        self.draft.create(&file.new, content, kind, file.mode);
        if is_rename {
            self.draft.remove(&file.old);
        }
        Ok(())
    }

    /// A new path is free if there is no file, or if this diff deletes or renames it.
    fn check_is_free(&self, path: &str) -> Result<(), DiffRefusal> {
        if self.draft.is_created(path) {
            return Err(DiffRefusal::of(path, RefusalReason::NamedTwice));
        }
        if self.draft.current(path).is_some() && !self.leaving.contains(path) {
            return Err(DiffRefusal::of(path, RefusalReason::Exists));
        }
        Ok(())
    }
}

fn patched(content: &str, file: &FileDiff<'_>, budget: &mut Budget) -> Result<String, DiffRefusal> {
    apply_hunks(content, &file.hunks, budget)
        .map_err(|(hunk, reason)| DiffRefusal::in_hunk(&file.new, hunk, reason))
}
