//! The files of a project.

use super::extract::ExtractedFile;
use super::path::{PathError, folded, safe_path};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// The most files a project may have.
pub(crate) const MAX_FILES: usize = 2_000;
/// The most bytes of content, over all files of a project, as [`stored_bytes`] counts them: D1 takes and gives at most 2 MB
/// as one string, and a project, its paths included, is one.
pub(crate) const MAX_TOTAL_BYTES: usize = 1_400_000;

/// The reason given for an incomplete file.
const CUT: &str = "the answer ended before the file did";

/// A project's files, path to content, sorted by path. Always true: every path passes [`safe_path`], no two differ only
/// in case, none is a folder of another, and the size limits hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeMap(BTreeMap<String, String>);

/// Why a set of files cannot be a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeError {
    /// Not a JSON object of strings; with the parser's message.
    Json(String),
    /// A path that is refused.
    Path {
        /// As it was written.
        path: String,
        /// Why it is refused.
        reason: PathError,
    },
    /// Two paths that are equal after normalisation or when case is ignored.
    Duplicate(String),
    /// A path below another path that is a file.
    BelowFile(String),
    /// More than [`MAX_FILES`].
    TooManyFiles,
    /// More than [`MAX_TOTAL_BYTES`].
    TooLarge,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(reason) => write!(f, "code must be a JSON object of path to content: {reason}"),
            Self::Path { path, reason } => write!(f, "{reason}: {path:?}"),
            Self::Duplicate(path) => {
                write!(
                    f,
                    "two files have the path {path:?} (upper and lower case, and the ways to write an accent, are treated as the same)"
                )
            }
            Self::BelowFile(path) => write!(f, "{path:?} is below a path that is itself a file"),
            Self::TooManyFiles => write!(f, "a project has at most {MAX_FILES} files"),
            Self::TooLarge => {
                write!(f, "a project has at most {MAX_TOTAL_BYTES} bytes of code, escapes counted")
            }
        }
    }
}

impl std::error::Error for CodeError {}

/// What an answer did to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileChange {
    /// The path in the project; of a refused file, as it was written.
    pub path: String,
    /// Bytes of its content; of a file that was refused or incomplete, the bytes that arrived.
    pub bytes: usize,
    /// What happened to it.
    pub status: FileStatus,
    /// The reason, if the file was not simply taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum FileStatus {
    /// It was not there before.
    Added,
    /// It has other content than before.
    Changed,
    /// The answer repeated what was there.
    Unchanged,
    /// A patch deleted it.
    Deleted,
    /// It is incomplete, or the project has no space for it: the project keeps the old file.
    Incomplete,
    /// Its path is not allowed.
    Refused,
}

impl CodeMap {
    /// Reads a JSON object of path to content, and normalises the paths.
    ///
    /// # Errors
    /// Says which file breaks which rule. Nothing is repaired or left out.
    pub fn parse(json: &str) -> Result<Self, CodeError> {
        Self::of(hatch_json::from_str(json).map_err(|error| CodeError::Json(error.to_string()))?)
    }

    /// Reads files from the database without checking them: the rules may have become stricter since they were stored,
    /// and a project keeps its files.
    ///
    /// # Errors
    /// The text is no JSON object of strings.
    pub fn stored(json: &str) -> Result<Self, CodeError> {
        hatch_json::from_str(json).map(Self).map_err(|error| CodeError::Json(error.to_string()))
    }

    /// The same as [`Self::parse`], for files that are already parsed.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(written: BTreeMap<String, String>) -> Result<Self, CodeError> {
        let mut files = BTreeMap::new();
        for (path, content) in written {
            let normal = safe_path(&path).map_err(|reason| CodeError::Path { path, reason })?;
            if files.insert(normal.clone(), content).is_some() {
                return Err(CodeError::Duplicate(normal));
            }
        }
        check(&files)?;
        Ok(Self(files))
    }

    /// The map as a JSON object, paths in order.
    pub fn to_json(&self) -> String {
        // Serialising a map of strings cannot fail.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The content of the file at this path.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Path and content of each file, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, content)| (path.as_str(), content.as_str()))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The files as they are, path to content.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Replaces all files with these, whose paths must be safe, and reports the changes.
    ///
    /// # Errors
    /// Together they break a rule for projects.
    pub fn replace(&mut self, files: BTreeMap<String, String>) -> Result<Vec<FileChange>, CodeError> {
        check(&files)?;
        let after = Self(files);
        let change = |path: &str, bytes: usize, status: FileStatus| FileChange {
            path: path.to_owned(),
            bytes,
            status,
            reason: None,
        };
        let gone = self.iter().filter(|(path, _)| after.get(path).is_none());
        let mut changes: Vec<_> = gone.map(|(path, _)| change(path, 0, FileStatus::Deleted)).collect();
        let written = after.iter().filter(|(path, content)| self.get(path) != Some(content));
        changes
            .extend(written.map(|(path, content)| {
                change(path, content.len(), status_of(self.get(path), Some(content)))
            }));
        *self = after;
        Ok(changes)
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Merges an answer's files into these and reports what happened to each, in the order in which the answer first
    /// names them. Files that it does not name keep their content. Of several files with one path the last complete one
    /// counts. A file that is incomplete, would break a limit, or would lie below another file changes nothing. A path
    /// that differs only in case from an existing one means the existing file, which keeps its path: a model's slip
    /// must not leave two components where the imports expect one. `resolve` gets the old content and the answer's
    /// file, and returns the new content or the reason why there is none.
    pub fn merge(
        &mut self,
        extracted: Vec<ExtractedFile>,
        resolve: impl Fn(Option<&str>, ExtractedFile) -> Result<String, Cow<'static, str>>,
    ) -> Vec<FileChange> {
        let mut room = Capacity::new(&self.0);
        let mut before: HashMap<String, Option<String>> = HashMap::new();
        let mut changes: Vec<FileChange> = Vec::new();
        let mut reported: HashMap<String, usize> = HashMap::new();
        for file in extracted {
            let Ok(path) = safe_path(&file.path) else { continue };
            let path = room.spelling(path);
            let arrived = file.content.len();
            let old = self.get(&path);
            let resolved = if file.complete { resolve(old, file) } else { Err(CUT.into()) };
            let taken = resolved.and_then(|content| {
                room.take(&path, old.map(stored_bytes), stored_bytes(&content))?;
                Ok(content)
            });
            let (bytes, status, reason) = match taken {
                Ok(content) => {
                    let bytes = content.len();
                    let old = self.0.insert(path.clone(), content);
                    let before = before.entry(path.clone()).or_insert(old).as_deref();
                    (bytes, status_of(before, self.get(&path)), None)
                }
                Err(reason) => (arrived, FileStatus::Incomplete, Some(reason)),
            };
            let at = *reported.entry(folded(&path)).or_insert(changes.len());
            let change = FileChange { path, bytes, status, reason };
            match changes.get_mut(at) {
                None => changes.push(change),
                Some(earlier) if status != FileStatus::Incomplete || earlier.status == status => {
                    *earlier = change
                }
                Some(earlier) => {
                    let reason = change.reason.unwrap_or_default();
                    earlier.reason = Some(format!("a later change of it was not made: {reason}").into());
                }
            }
        }
        changes
    }
}

fn status_of(before: Option<&str>, after: Option<&str>) -> FileStatus {
    match before {
        None => FileStatus::Added,
        Some(_) if before == after => FileStatus::Unchanged,
        Some(_) => FileStatus::Changed,
    }
}

/// Tracks which files a project still has space for.
struct Capacity {
    /// The spelling of each path, by its folded form.
    paths: HashMap<String, String>,
    /// The folders of all paths, folded.
    folders: HashSet<String>,
    bytes: usize,
}

impl Capacity {
    fn new(files: &BTreeMap<String, String>) -> Self {
        let paths: HashMap<_, _> = files.keys().map(|path| (folded(path), path.clone())).collect();
        let folders = paths.keys().flat_map(|path| folders(path)).map(str::to_owned).collect();
        Self { paths, folders, bytes: total(files) }
    }

    /// The existing spelling of a path, if the project has the file.
    fn spelling(&self, path: String) -> String {
        self.paths.get(&folded(&path)).cloned().unwrap_or(path)
    }

    /// Reserves space for a file, new or in place of one with `old` bytes. An `Err` says why there is none.
    fn take(&mut self, path: &str, old: Option<usize>, new: usize) -> Result<(), Cow<'static, str>> {
        let bytes = self.bytes.saturating_sub(old.unwrap_or_default()).saturating_add(new);
        let folded = folded(path);
        let is_in_the_way = || {
            self.folders.contains(&folded) || folders(&folded).any(|folder| self.paths.contains_key(folder))
        };
        if bytes > MAX_TOTAL_BYTES {
            return Err("the project is full: it would exceed the limit of code in bytes".into());
        }
        if old.is_none() && self.paths.len() >= MAX_FILES {
            return Err("the project is full: it would exceed the limit of files".into());
        }
        if old.is_none() && is_in_the_way() {
            return Err(
                "a file of the project is in the way: one of the two paths is a folder of the other".into()
            );
        }
        self.bytes = bytes;
        self.folders.extend(folders(&folded).map(str::to_owned));
        self.paths.entry(folded).or_insert_with(|| path.to_owned());
        Ok(())
    }
}

/// The bytes that a file's content takes when stored: it is escaped twice, as a string in the code's JSON, which is a
/// string in the project's JSON.
fn stored_bytes(content: &str) -> usize {
    let stored = |byte: u8| match byte {
        b'"' | b'\\' => 4,
        b'\n' | b'\r' | b'\t' => 3,
        0..0x20 => 7,
        _ => 1,
    };
    content.bytes().map(stored).sum()
}

fn total(files: &BTreeMap<String, String>) -> usize {
    files.values().map(|content| stored_bytes(content)).sum()
}

/// The folders of a path: `a` and `a/b` of `a/b/c`.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

/// Checks the rules that concern all files together.
fn check(files: &BTreeMap<String, String>) -> Result<(), CodeError> {
    if files.len() > MAX_FILES {
        return Err(CodeError::TooManyFiles);
    }
    if total(files) > MAX_TOTAL_BYTES {
        return Err(CodeError::TooLarge);
    }
    let mut seen = HashSet::new();
    for path in files.keys() {
        if !seen.insert(folded(path)) {
            return Err(CodeError::Duplicate(path.clone()));
        }
    }
    for path in files.keys() {
        let folded = folded(path);
        if folders(&folded).any(|folder| seen.contains(folder)) {
            return Err(CodeError::BelowFile(path.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use FileStatus::{Added, Changed, Incomplete, Unchanged};

    fn map(json: &str) -> CodeMap {
        CodeMap::parse(json).unwrap()
    }

    fn file(path: &str, content: &str, complete: bool) -> ExtractedFile {
        ExtractedFile { path: path.to_owned(), content: content.to_owned(), complete, is_edit: false }
    }

    fn merge(code: &mut CodeMap, files: Vec<ExtractedFile>) -> Vec<FileChange> {
        code.merge(files, |_, file| Ok(file.content))
    }

    fn message(changes: &[FileChange]) -> Vec<(&str, usize, FileStatus)> {
        changes.iter().map(|change| (change.path.as_str(), change.bytes, change.status)).collect()
    }

    #[test]
    fn a_map_survives_json_in_the_order_of_its_paths() {
        let code = map(r#"{"src/b.ts":"2\n","./a.html":"é\u0000"}"#);
        assert_eq!(code.to_json(), r#"{"a.html":"é\u0000","src/b.ts":"2\n"}"#);
        assert_eq!(code.get("a.html"), Some("é\0"));
        assert_eq!(code.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["a.html", "src/b.ts"]);
        assert_eq!((code.iter().count(), code.is_empty()), (2, false));
        assert_eq!(map("{}").to_json(), "{}");
    }

    #[test]
    fn anything_but_an_object_of_strings_is_refused() {
        for json in
            ["", "[]", "null", "\"x\"", r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":"b"} x"#]
        {
            assert!(matches!(CodeMap::parse(json), Err(CodeError::Json(_))), "{json}");
        }
    }

    #[test]
    fn one_bad_path_makes_the_map_invalid() {
        let error = CodeMap::parse(r#"{"a":"1","../b":"2"}"#).unwrap_err();
        assert_eq!(error, CodeError::Path { path: "../b".to_owned(), reason: PathError::Climbs });
        assert_eq!(error.to_string(), "path has a '..' component: \"../b\"");
    }

    #[test]
    fn paths_that_are_the_same_file_on_some_systems_are_refused() {
        assert_eq!(CodeMap::parse(r#"{"A.ts":"","a.ts":""}"#), Err(CodeError::Duplicate("a.ts".to_owned())));
        assert_eq!(
            CodeMap::parse(r#"{"a.ts":"","./a.ts":""}"#),
            Err(CodeError::Duplicate("a.ts".to_owned()))
        );
        assert_eq!(
            CodeMap::parse(r#"{"src":"","SRC/a.ts":""}"#),
            Err(CodeError::BelowFile("SRC/a.ts".to_owned()))
        );
    }

    #[test]
    fn the_limits_are_exact() {
        let json = |files: usize| {
            serde_json::to_string(&(0..files).map(|n| (format!("{n}.txt"), "")).collect::<BTreeMap<_, _>>())
                .unwrap()
        };
        assert_eq!(map(&json(MAX_FILES)).iter().count(), MAX_FILES);
        assert_eq!(CodeMap::parse(&json(MAX_FILES + 1)), Err(CodeError::TooManyFiles));
        let content = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes));
        assert!(CodeMap::parse(&content(MAX_TOTAL_BYTES)).is_ok());
        assert_eq!(CodeMap::parse(&content(MAX_TOTAL_BYTES + 1)), Err(CodeError::TooLarge));
    }

    #[test]
    fn merging_adds_changes_and_keeps() {
        let mut code = map(r#"{"kept":"k","same":"s","old":"1"}"#);
        let changes =
            merge(&mut code, vec![file("new", "nn", true), file("same", "s", true), file("old", "22", true)]);
        assert_eq!(message(&changes), [("new", 2, Added), ("same", 1, Unchanged), ("old", 2, Changed)]);
        assert_eq!(code.to_json(), r#"{"kept":"k","new":"nn","old":"22","same":"s"}"#);
    }

    #[test]
    fn an_incomplete_file_neither_replaces_nor_adds() {
        let mut code = map(r#"{"a":"good"}"#);
        let changes = merge(&mut code, vec![file("a", "ba", false), file("b", "x", false)]);
        assert_eq!(message(&changes), [("a", 2, Incomplete), ("b", 1, Incomplete)]);
        assert_eq!(code.to_json(), r#"{"a":"good"}"#);
    }

    #[test]
    fn the_last_complete_file_of_a_path_wins_and_is_reported_once() {
        let mut code = CodeMap::default();
        let changes = merge(
            &mut code,
            vec![file("a", "1", true), file("b", "", true), file("a", "22", true), file("a", "3", false)],
        );
        assert_eq!(message(&changes), [("a", 2, Added), ("b", 0, Added)]);
        let changes = merge(&mut code, vec![file("a", "x", false), file("a", "4", true)]);
        assert_eq!(message(&changes), [("a", 1, Changed)]);
        assert_eq!(code.get("a"), Some("4"));
    }

    #[test]
    fn a_path_in_different_case_means_the_existing_file() {
        let mut code = map(r#"{"src/App.tsx":"1"}"#);
        let changes = merge(
            &mut code,
            vec![file("src/app.tsx", "22", true), file("New.ts", "", true), file("new.ts", "3", true)],
        );
        assert_eq!(message(&changes), [("src/App.tsx", 2, Changed), ("New.ts", 1, Added)]);
        assert_eq!(code.to_json(), r#"{"New.ts":"3","src/App.tsx":"22"}"#);
    }

    #[test]
    fn a_project_at_the_limit_fits_into_a_row() {
        let quotes =
            serde_json::to_string(&BTreeMap::from([("a", "\"".repeat(MAX_TOTAL_BYTES / 4))])).unwrap();
        let stored = serde_json::to_string(&map(&quotes).to_json()).unwrap();
        assert!(stored.len() < 1_900_000);
        assert!(CodeMap::parse(&quotes.replace("{\"a\":\"", "{\"a\":\"\\\"")).is_err());
    }

    #[test]
    fn a_file_beyond_the_limit_changes_nothing_and_the_others_are_merged() {
        let mut code = map(r#"{"src/a":"1"}"#);
        let big = "x".repeat(MAX_TOTAL_BYTES - 1);
        let answer = vec![
            file("Src", "", true),
            file("src/A/b", "", true),
            file("c", &big, true),
            file("d", "2", true),
        ];
        let changes = merge(&mut code, answer);
        let expected = [
            ("Src", 0, Incomplete),
            ("src/A/b", 0, Incomplete),
            ("c", MAX_TOTAL_BYTES - 1, Added),
            ("d", 1, Incomplete),
        ];
        assert_eq!(message(&changes), expected);
        assert_eq!(
            message(&merge(&mut code, vec![file("c", "", true), file("d", "2", true)])),
            [("c", 0, Changed), ("d", 1, Added)]
        );
        assert_eq!(map(&code.to_json()), code);
    }

    #[test]
    fn the_limit_of_files_is_kept() {
        let mut code = CodeMap::default();
        let changes =
            merge(&mut code, (0..=MAX_FILES).map(|n| file(&format!("{n}.txt"), "", true)).collect());
        assert_eq!(code.iter().count(), MAX_FILES);
        assert_eq!(changes.last().map(|change| change.status), Some(Incomplete));
        assert_eq!(message(&merge(&mut code, vec![file("0.txt", "1", true)])), [("0.txt", 1, Changed)]);
    }

    #[test]
    fn an_unsafe_path_is_not_merged() {
        let mut code = CodeMap::default();
        assert_eq!(merge(&mut code, vec![file("../b", "", true)]), []);
        assert!(code.is_empty());
    }

    #[test]
    fn a_file_that_occurs_twice_is_compared_with_the_projects_old_file() {
        let mut code = map(r#"{"a":"1"}"#);
        assert_eq!(
            message(&merge(&mut code, vec![file("a", "2", true), file("a", "1", true)])),
            [("a", 1, Unchanged)]
        );
    }

    #[test]
    fn a_change_is_serialised_with_the_apis_field_names() {
        let changes = [Added, Changed, Unchanged, Incomplete].map(|status| FileChange {
            path: "a".to_owned(),
            bytes: 3,
            status,
            reason: None,
        });
        assert_eq!(
            serde_json::to_string(&changes).unwrap(),
            r#"[{"path":"a","bytes":3,"status":"added"},{"path":"a","bytes":3,"status":"changed"},{"path":"a","bytes":3,"status":"unchanged"},{"path":"a","bytes":3,"status":"incomplete"}]"#
        );
    }
}
