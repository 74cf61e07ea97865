//! Lays a model's answer over a project: whole files replace files, edits apply where they fit exactly and once, and what is
//! neither leaves the project as it was and is told with its reason. Pure.

use std::borrow::Cow;

use hatch_code::{CodeMap, ExtractedFile, Extraction, FileChange, FileStatus, Patch};
use hatch_diff::{Edit, Refusal, has_placeholder, merge_placeholder};

/// The most of a path that no project may have which is told, in characters.
const PATH_CHARS: usize = 200;
/// The most refused files of one answer that are told.
const MOST_REFUSED: usize = 50;

const SHAPELESS: &str = "the change is in no form that says where it belongs";
const NEW_BUT_ABBREVIATED: &str = "it stands for code that “stays”, but there is no such file";
const CUT: &str = "the answer ended within it";

/// Lays an answer over `code` and tells what happened to each file that it names: what goes away or gets another path first,
/// then files, then patches.
pub fn lay_over(code: &mut CodeMap, answer: Extraction) -> Vec<FileChange> {
    // A file that goes away and is written anew is only written anew.
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

/// The content of a file that an answer gives, which may be an edit of the `old` one.
fn resolve(old: Option<&str>, file: ExtractedFile) -> Result<String, Cow<'static, str>> {
    let ExtractedFile { path, content, is_edit, .. } = file;
    // These may hold edits as their own text.
    let is_about_edits = path.ends_with(".diff") || path.ends_with(".patch") || is_markdown(&path);
    if is_about_edits && !is_edit {
        return whole(&path, old, content);
    }
    match Edit::recognise(Some(&path), &content) {
        Some(Edit::File { .. }) | None if is_edit => Err(SHAPELESS.into()),
        Some(Edit::File { .. }) | None => whole(&path, old, content),
        Some(edit) => {
            let before = old.map(|old| (path.clone(), old.to_owned())).into_iter().collect();
            let mut after = hatch_diff::apply(&before, edit).map_err(told)?.files;
            after.remove(&path).ok_or_else(|| "the change is for another file".into())
        }
    }
}

/// A whole file, with the old one's lines in place of its placeholders.
fn whole(path: &str, old: Option<&str>, content: String) -> Result<String, Cow<'static, str>> {
    let Some(old) = old else {
        return if has_placeholder(path, &content) { Err(NEW_BUT_ABBREVIATED.into()) } else { Ok(content) };
    };
    // What is a placeholder in a short file may be an old comment in a whole one.
    let is_own = has_placeholder(path, old) && content.len() * 2 > old.len();
    if is_own || !has_placeholder(path, &content) {
        return Ok(content);
    }
    merge_placeholder(path, old, &content).map_err(told)
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
    let Some(edit) = Edit::recognise(None, &patch.text) else { return failed(named, SHAPELESS.into()) };
    match hatch_diff::apply(code.files(), edit) {
        Ok(applied) => {
            code.replace(applied.files).unwrap_or_else(|error| failed(named, error.to_string().into()))
        }
        Err(refusal) if refusal.path.is_empty() => failed(named, told(refusal)),
        Err(refusal) => failed(&refusal.path.clone(), told(refusal)),
    }
}

fn told(refusal: Refusal) -> Cow<'static, str> {
    Refusal { path: String::new(), ..refusal }.to_string().into()
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
