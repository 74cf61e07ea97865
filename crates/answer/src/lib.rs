//! Applies a model's answer to a project. Whole files replace files; an edit applies only where its text occurs exactly
//! once. Everything else leaves the project unchanged and is reported with its reason. Pure.

use std::borrow::Cow;

use hatch_code::{CodeMap, ExtractedFile, Extraction, FileChange, FileStatus, Patch};
use hatch_diff::{DiffRefusal, Edit, has_placeholder, merge_placeholder};

/// How much of a refused path is reported, in characters.
const PATH_CHARS: usize = 200;
/// How many refused files of one answer are reported.
const MOST_REFUSED: usize = 50;

const UNKNOWN_FORMAT: &str = "the change has no known format, so it is unclear where it belongs";
const NEW_FILE_HAS_PLACEHOLDER: &str = "it has a placeholder for existing code, but the file does not exist";
const CUT: &str = "the answer ended before the file did";

/// Applies an answer to `code` and reports what happened to each file that it names. Deletions and renames come first,
/// then files, then patches.
pub fn apply_answer(code: &mut CodeMap, answer: Extraction) -> Vec<FileChange> {
    // A file that is both deleted and written is only written.
    let written: Vec<String> =
        answer.files.iter().map(|file| format!("*** Delete File: {}\n", file.path)).collect();
    let moves =
        answer.moves.iter().filter(|patch| !written.iter().any(|entry| patch.text.contains(entry.as_str())));
    let mut changes: Vec<FileChange> = moves.flat_map(|patch| apply(code, patch)).collect();
    changes.extend(code.merge(answer.files, resolve));
    for patch in answer.patches {
        changes.extend(apply(code, &patch));
    }
    let refused = answer.refused.into_iter().take(MOST_REFUSED);
    changes.extend(refused.map(|(path, bytes, reason)| FileChange {
        path: path.chars().take(PATH_CHARS).collect(),
        bytes,
        status: FileStatus::Refused,
        reason: Some(reason.to_string().into()),
    }));
    changes
}

/// The new content of a file. The answer may have an edit of the `old` content instead of the whole file.
fn resolve(old: Option<&str>, file: ExtractedFile) -> Result<String, Cow<'static, str>> {
    let ExtractedFile { path, content, is_edit, .. } = file;
    // Such files may contain edits as part of their text.
    let is_about_edits = path.ends_with(".diff") || path.ends_with(".patch") || is_markdown(&path);
    if is_about_edits && !is_edit {
        return whole(&path, old, content);
    }
    match Edit::recognise(Some(&path), &content) {
        Some(Edit::File { .. }) | None if is_edit => Err(UNKNOWN_FORMAT.into()),
        Some(Edit::File { .. }) | None => whole(&path, old, content),
        Some(edit) => {
            let before = old.map(|old| (path.clone(), old.to_owned())).into_iter().collect();
            let mut after = hatch_diff::apply(&before, edit).map_err(reason_of)?.files;
            after.remove(&path).ok_or_else(|| "the change is for another file".into())
        }
    }
}

/// A whole file, with its placeholders replaced by lines of the old one.
fn whole(path: &str, old: Option<&str>, content: String) -> Result<String, Cow<'static, str>> {
    let Some(old) = old else {
        return if has_placeholder(path, &content) {
            Err(NEW_FILE_HAS_PLACEHOLDER.into())
        } else {
            Ok(content)
        };
    };
    // A comment that looks like a placeholder may be part of the old file; then a file of similar length is taken to be
    // whole.
    let is_own = has_placeholder(path, old) && content.len() * 2 > old.len();
    if is_own || !has_placeholder(path, &content) {
        return Ok(content);
    }
    merge_placeholder(path, old, &content).map_err(reason_of)
}

fn apply(code: &mut CodeMap, patch: &Patch) -> Vec<FileChange> {
    let failed = |path: &str, reason: Cow<'static, str>| {
        let (path, bytes) = (path.chars().take(PATH_CHARS).collect(), patch.text.len());
        vec![FileChange { path, bytes, status: FileStatus::Incomplete, reason: Some(reason) }]
    };
    let named = first_path(&patch.text);
    if !patch.complete {
        return failed(named, CUT.into());
    }
    let Some(edit) = Edit::recognise(None, &patch.text) else { return failed(named, UNKNOWN_FORMAT.into()) };
    match hatch_diff::apply(code.files(), edit) {
        Ok(applied) => {
            code.replace(applied.files).unwrap_or_else(|error| failed(named, error.to_string().into()))
        }
        Err(refusal) if refusal.path.is_empty() => failed(named, reason_of(refusal)),
        Err(refusal) => failed(&refusal.path.clone(), reason_of(refusal)),
    }
}

fn reason_of(refusal: DiffRefusal) -> Cow<'static, str> {
    DiffRefusal { path: String::new(), ..refusal }.to_string().into()
}

/// The first file that a patch names.
fn first_path(patch: &str) -> &str {
    let marks = ["*** Update File: ", "*** Add File: ", "*** Delete File: ", "+++ b/", "--- a/"];
    let mut paths = patch.lines().filter_map(|line| marks.iter().find_map(|mark| line.strip_prefix(mark)));
    paths.next().map_or("patch", str::trim)
}

fn is_markdown(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".md", ".mdx", ".markdown", ".txt"].iter().any(|extension| path.ends_with(extension))
}

#[cfg(test)]
mod tests;
