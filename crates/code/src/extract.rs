//! Which files a model's answer holds.
//!
//! Models write files in many ways, and this reads all of them in one pass (`scan`), then settles each block's name
//! (`label`) and whether it is a file at all (`language`):
//!
//! - **The path** is looked for in the info string (`tsx:src/App.tsx`, `tsx src/App.tsx`, `title="…"`, `file="…"`), in the first
//!   line of the block if that is a comment with nothing else in it (`// File: src/App.tsx`, `# app.py`), in the line before the
//!   block (``### 1. `src/App.tsx` ``, `**src/App.tsx**`, `FILE: src/App.tsx`, "Here is `index.html`:"), in the heading of the section,
//!   or in the element (`<file path="…">`). A path that breaks the rules of [`safe_path`] makes the block no file at all.
//! - **The marker line is dropped**, whatever the language: JSON has no comments and a doctype must come first. A block named
//!   by its info string is kept to the letter, except that a JSON file loses a first line naming it.
//! - **A path that is only mentioned** (a sentence, a heading further up) must agree with the block's language, so that "you need
//!   this for `App.tsx`:" over a block of CSS does not overwrite the component.
//! - **Without a path** the first block is `App.<ext>` and the next ones `file-1.<ext>`, `file-2.<ext>`, leaving out every path the
//!   answer states itself. Empty blocks without a path are nothing.
//! - **Not files**: commands (`bash`, `console`, `powershell`), unless a path is stated or the path in front is a script's or an
//!   `.env`; trees, output and diagrams (`text`, `mermaid`, no language), unless they have a path or begin like a web page or a
//!   module; quoted line ranges (`12:45:src/App.tsx`).
//! - **Edits are no files**: patches (unless the file is a `.diff` or `.patch`) and elements that edit say how a file changes.
//! - **Thinking is no answer** (`thinking`), and markup that came escaped is unescaped where that is certain (`escape`).
//! - **Markdown blocks may hold fences as long as their own**, as models forget the fourth backtick: a fence with a language
//!   inside opens, the next bare one closes it. If they do not pair up by the end of a finished answer, CommonMark's reading
//!   holds: the first bare fence closed the block.

use super::edit;
use super::escape;
use super::fence::{Fence, Line, first_line};
use super::label::{Label, Strength, in_comment};
use super::language::{Kind, agrees, extension, is_markdown, is_script, kind, sniff};
use super::path::{PathError, folded, safe_path};
use super::scan::{Block, Ending, Scan, scan};
use std::collections::HashSet;

/// A file as an answer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractedFile {
    /// Passes [`safe_path`].
    pub path: String,
    /// As written, with the answer's line ends.
    pub content: String,
    /// False if the answer ended before the file did. Such a file must not replace anything.
    pub complete: bool,
    /// Whether the content says how the file changes, and is not the file: a patch, or an element that edits.
    pub is_edit: bool,
}

/// All that an answer holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// Its files, in their order. A path may come more than once; the last complete one is meant.
    pub files: Vec<ExtractedFile>,
    /// Files whose path no project may have: the path as written, its bytes, and why.
    pub refused: Vec<(String, usize, PathError)>,
    /// Patches that take files away or give them other paths, of elements that say so. They come before the files: an
    /// element gives a file its path, and the answer what is in it then.
    pub moves: Vec<Patch>,
    /// Patches, which name their files themselves.
    pub patches: Vec<Patch>,
    /// Edits that do not say which file they change.
    pub unnamed_edits: usize,
    /// Elements that were not followed, by their names.
    pub unfollowed: Vec<&'static str>,
}

/// A patch as an answer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// In git's format, or between `*** Begin Patch` and `*** End Patch`.
    pub text: String,
    /// False if the answer ended before the patch did.
    pub complete: bool,
}

/// Reads the files of an answer that the model ended by itself, in their order. A path may come more than once; the last
/// complete one is meant.
pub fn extract(answer: &str) -> Vec<ExtractedFile> {
    extraction(answer).files
}

/// The same, with what was not taken.
pub fn extraction(answer: &str) -> Extraction {
    read(answer, Ending::Finished)
}

/// Reads the files of an answer that broke off, by a lost connection or at the limit of tokens. Differs from [`extract`] in
/// that nothing which more text could change is believed: a fence in a last line without an end closes nothing. So no cut,
/// wherever it falls, makes a file complete with content that the whole answer would not give.
pub fn extract_interrupted(answer: &str) -> Vec<ExtractedFile> {
    extraction_interrupted(answer).files
}

/// The same, with what was not taken.
pub fn extraction_interrupted(answer: &str) -> Extraction {
    read(answer, Ending::Cut)
}

/// What a file is called before all paths of the answer are known.
enum Name {
    Path(String),
    Extension(&'static str),
}

/// What a block is.
enum Found {
    File(Name, Block),
    Patch(Patch),
    Refused(String, usize, PathError),
    UnnamedEdit,
    Nothing,
}

fn read(answer: &str, ending: Ending) -> Extraction {
    let Scan { blocks, moves, unfollowed } = scan(answer, ending);
    let found: Vec<Found> = blocks.into_iter().map(found).collect();
    let mut names = FreeNames::new(&found);
    let moves = moves.into_iter().map(|text| Patch { text, complete: true }).collect();
    let mut extraction = Extraction { moves, unfollowed, ..Extraction::default() };
    for found in found {
        match found {
            Found::File(name, block) => extraction.files.push(ExtractedFile {
                path: match name {
                    Name::Path(path) => path,
                    Name::Extension(extension) => names.next(extension),
                },
                is_edit: block.is_edit,
                content: block.body,
                complete: block.complete,
            }),
            Found::Patch(patch) => extraction.patches.push(patch),
            Found::Refused(path, bytes, reason) => extraction.refused.push((path, bytes, reason)),
            Found::UnnamedEdit => extraction.unnamed_edits += 1,
            Found::Nothing => {}
        }
    }
    extraction
}

/// Settles what a block is called and drops the line that says so.
fn found(mut block: Block) -> Found {
    if block.info.is_excerpt {
        return Found::Nothing;
    }
    let path = match block.info.path.take() {
        Some(path) => {
            drop_own_name_from_json(&mut block, &path);
            Some(path)
        }
        None if block.is_element => None,
        None => path_beside(&mut block),
    };
    let is_patch_file = path
        .as_deref()
        .and_then(extension)
        .is_some_and(|extension| matches!(extension.as_str(), "diff" | "patch"));
    let is_patch = edit::is_patch(&block.body) && !is_patch_file;
    block.is_edit |= is_patch || (kind(&block.info.language) == Kind::Patch && !is_patch_file);
    if is_patch {
        return patch(block, path);
    }
    let Some(path) = path else {
        return if block.is_edit { Found::UnnamedEdit } else { unnamed(block) };
    };
    let may_be_fenced = block.is_element && !is_markdown(&extension(&path).unwrap_or_default());
    if let Some(inside) = inside_fence(&block.body).filter(|_| may_be_fenced) {
        block.body = inside.to_owned();
    }
    if block.is_edit {
        block.body = edit::marked(&block.body);
    }
    match safe_path(&path) {
        Ok(path) => {
            block.body = escape::unescaped(block.body, &path);
            Found::File(Name::Path(path), block)
        }
        Err(reason) => Found::Refused(path, block.body.len(), reason),
    }
}

/// A patch, of which one that is only hunks is for the file that its block names.
fn patch(block: Block, path: Option<String>) -> Found {
    let Block { body, complete, .. } = block;
    if !body.trim_start().starts_with("@@ ") {
        return Found::Patch(Patch { text: body, complete });
    }
    match path.map(|path| safe_path(&path).map_err(|reason| (path, reason))) {
        None => Found::UnnamedEdit,
        Some(Ok(path)) => Found::Patch(Patch {
            text: format!("--- a/{path}\n+++ b/{path}\n{}", body.trim_start()),
            complete,
        }),
        Some(Err((path, reason))) => Found::Refused(path, body.len(), reason),
    }
}

/// The path from a block's first line or from the text before it, as far as the kind of block lets it count.
fn path_beside(block: &mut Block) -> Option<String> {
    let kind = kind(&block.info.language);
    let marker = marker(block).filter(|marker| counts(marker, kind, &block.body));
    let label = block.label.take().filter(|label| counts(label, kind, &block.body));
    match (marker, label) {
        (Some(marker), Some(label))
            if label.strength > Strength::Mentioned && marker.strength < Strength::Stated =>
        {
            // Another path in a comment is the file's own business.
            if marker.names(&label.path) {
                drop_first_line(&mut block.body);
            }
            Some(label.path)
        }
        (Some(marker), _) => {
            drop_first_line(&mut block.body);
            Some(marker.path)
        }
        (None, label) => label.map(|label| label.path),
    }
}

/// Whether a path found beside a block of this kind is the block's own.
fn counts(label: &Label, kind: Kind, body: &str) -> bool {
    match (kind, label.strength) {
        (Kind::Patch, _) | (_, Strength::Stated) | (Kind::Code(_) | Kind::Text, Strength::Titled) => true,
        (Kind::Shell, _) => is_script(&label.path),
        (Kind::Code(extension), Strength::Mentioned) => agrees(extension, &label.path),
        // "The output of `app.py`:" names no file, but `.gitignore` and what looks like the right language do.
        (Kind::Text, Strength::Mentioned) => match sniff(body) {
            Some(extension) => agrees(extension, &label.path),
            None => extension(&label.path).is_none_or(|extension| extension == "txt"),
        },
    }
}

/// A block without any path.
fn unnamed(block: Block) -> Found {
    // A first line without its end may be a marker that is only half there.
    if block.body.trim().is_empty()
        || (!block.complete && first_line(&block.body).is_some_and(|line| !line.is_ended()))
    {
        return Found::Nothing;
    }
    let extension = match kind(&block.info.language) {
        Kind::Code(extension) => Some(extension),
        Kind::Text if block.info.language.is_empty() => sniff(&block.body),
        Kind::Text | Kind::Shell | Kind::Patch => None,
    };
    extension.map_or(Found::Nothing, |extension| Found::File(Name::Extension(extension), block))
}

/// The path in a block's first line.
fn marker(block: &Block) -> Option<Label> {
    let first = first_line(&block.body).filter(Line::is_ended)?;
    in_comment(first.text, is_markdown(&block.info.language))
}

fn drop_own_name_from_json(block: &mut Block, path: &str) {
    let is_json = extension(path).is_some_and(|extension| extension == "json");
    if is_json && marker(block).is_some_and(|marker| marker.names(path)) {
        drop_first_line(&mut block.body);
    }
}

fn drop_first_line(body: &mut String) {
    let length = first_line(body).map_or(0, |line| line.raw.len());
    body.drain(..length);
}

/// The inside of a fence that is all there is in an element, as some models write it.
fn inside_fence(body: &str) -> Option<&str> {
    let body = body.trim_start_matches(['\n', '\r']);
    let first = first_line(body)?;
    let (fence, _) = Fence::opening(first.text, false)?;
    let rest = body.get(first.raw.len()..)?;
    let written = rest.trim_end();
    let last = written.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    written.get(last..).filter(|line| fence.is_closed_by(line)).and(rest.get(..last))
}

/// Hands out names for blocks without a path.
struct FreeNames {
    taken: HashSet<String>,
    next: usize,
}

impl FreeNames {
    fn new(found: &[Found]) -> Self {
        let paths = found.iter().filter_map(|found| match found {
            Found::File(Name::Path(path), _) => Some(folded(path)),
            _ => None,
        });
        Self { taken: paths.collect(), next: 0 }
    }

    fn next(&mut self, extension: &str) -> String {
        loop {
            let name = if self.next == 0 {
                format!("App.{extension}")
            } else {
                format!("file-{}.{extension}", self.next)
            };
            self.next += 1;
            if !self.taken.contains(&folded(&name)) {
                return name;
            }
        }
    }
}
