//! Extracts the files in a model's answer.
//!
//! Models write files in many formats. One pass finds the blocks (`scan`); then each block gets its name (`label`), and
//! its language decides whether it is a file (`language`):
//!
//! - **The path** is looked for in the info string (`tsx:src/App.tsx`, `tsx src/App.tsx`, `title="…"`, `file="…"`), in
//!   the first line of the block if it is a comment that contains only the path (`// File: src/App.tsx`, `# app.py`),
//!   in the line before the block (``### 1. `src/App.tsx` ``, `**src/App.tsx**`, `FILE: src/App.tsx`, "Here is
//!   `index.html`:"), in the heading of the section, or in the element (`<file path="…">`). A block whose path breaks
//!   the rules of [`safe_path`] is not a file.
//! - **The marker line is dropped**, whatever the language: JSON has no comments and a doctype must come first. A block
//!   named by its info string is kept exactly, except that a first line with the file's name is dropped from JSON.
//! - **A path that is only mentioned** (a sentence, a heading further up) must agree with the block's language, so that "you need
//!   this for `App.tsx`:" over a block of CSS does not overwrite the component.
//! - **Without a path** the first block is `App.<ext>` and the next ones `file-1.<ext>`, `file-2.<ext>`, leaving out
//!   every path the answer states itself. Empty blocks without a path are ignored.
//! - **Not files**: commands (`bash`, `console`, `powershell`), unless a path is stated or the path in front is a script's or an
//!   `.env`; trees, output and diagrams (`text`, `mermaid`, no language), unless they have a path or begin like a web page or a
//!   module; quoted line ranges (`12:45:src/App.tsx`).
//! - **Edits are not files**: patches (unless the file is a `.diff` or `.patch`) and edit elements describe how a file
//!   changes.
//! - **Thinking is skipped** (`thinking`), and escaped markup is unescaped where that is certain (`escape`).
//! - **Markdown blocks may contain fences of the same length**, because models forget the fourth backtick: a fence with
//!   a language opens an inner block, and the next bare fence closes it. If the fences do not pair up by the end of a
//!   finished answer, CommonMark's rule applies: the first bare fence closed the block.

use super::edit;
use super::escape;
use super::fence::{Fence, Line, first_line};
use super::label::{Label, Strength, in_comment};
use super::language::{BlockKind, agrees, extension, is_markdown, is_script, kind, sniff};
use super::path::{PathError, folded, safe_path};
use super::scan::{Block, Ending, Scan, scan};
use std::collections::HashSet;

/// A file in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractedFile {
    /// Passes [`safe_path`].
    pub path: String,
    /// As written, with the answer's line ends.
    pub content: String,
    /// False if the answer ended before the file did. Then the file must not replace anything.
    pub complete: bool,
    /// The content describes a change instead of being the file: a patch or an edit element.
    pub is_edit: bool,
}

/// Everything that was extracted from an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// Its files, in order. A path may occur more than once; the last complete file counts.
    pub files: Vec<ExtractedFile>,
    /// Files whose path is not allowed: the path as written, the size in bytes, and the reason.
    pub refused: Vec<(String, usize, PathError)>,
    /// Deletions and renames from elements, as patches. They must be applied before the files, because a renamed file
    /// may also get new content.
    pub moves: Vec<Patch>,
    /// Patches, which name their files themselves.
    pub patches: Vec<Patch>,
    /// Edits that do not say which file they change.
    pub unnamed_edits: usize,
    /// Names of elements whose actions were not executed.
    pub ignored_elements: Vec<&'static str>,
}

/// A patch in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// In git's format, or between `*** Begin Patch` and `*** End Patch`.
    pub text: String,
    /// False if the answer ended before the patch did.
    pub complete: bool,
}

/// Extracts the files of a finished answer, in order. A path may occur more than once; the last complete file counts.
pub fn extract(answer: &str) -> Vec<ExtractedFile> {
    extraction(answer).files
}

/// The same, including patches, refused files and ignored elements.
pub fn extraction(answer: &str) -> Extraction {
    read(answer, Ending::Finished)
}

/// Extracts the files of an answer that was cut off by a lost connection or the token limit. Unlike [`extract`] it does
/// not trust a last line that more text could change: a fence in a last line without a line end closes nothing. So a
/// cut never makes a file complete with content that the whole answer would not have.
pub fn extract_interrupted(answer: &str) -> Vec<ExtractedFile> {
    extraction_interrupted(answer).files
}

/// The same, including patches, refused files and ignored elements.
pub fn extraction_interrupted(answer: &str) -> Extraction {
    read(answer, Ending::Cut)
}

/// A block's path, or its extension until all paths of the answer are known.
enum BlockName {
    Path(String),
    Extension(&'static str),
}

/// What a block turned out to be.
enum FoundBlock {
    File(BlockName, Block),
    Patch(Patch),
    Refused(String, usize, PathError),
    UnnamedEdit,
    Nothing,
}

fn read(answer: &str, ending: Ending) -> Extraction {
    let Scan { blocks, moves, ignored_elements } = scan(answer, ending);
    let found: Vec<FoundBlock> = blocks.into_iter().map(classify).collect();
    let mut names = FreeNames::new(&found);
    let moves = moves.into_iter().map(|text| Patch { text, complete: true }).collect();
    let mut extraction = Extraction { moves, ignored_elements, ..Extraction::default() };
    for found in found {
        match found {
            FoundBlock::File(name, block) => extraction.files.push(ExtractedFile {
                path: match name {
                    BlockName::Path(path) => path,
                    BlockName::Extension(extension) => names.next(extension),
                },
                is_edit: block.is_edit,
                content: block.body,
                complete: block.complete,
            }),
            FoundBlock::Patch(patch) => extraction.patches.push(patch),
            FoundBlock::Refused(path, bytes, reason) => extraction.refused.push((path, bytes, reason)),
            FoundBlock::UnnamedEdit => extraction.unnamed_edits += 1,
            FoundBlock::Nothing => {}
        }
    }
    extraction
}

/// Decides what a block is, finds its path, and drops the line that contains the path.
fn classify(mut block: Block) -> FoundBlock {
    if block.info.is_excerpt {
        return FoundBlock::Nothing;
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
    block.is_edit |= is_patch || (kind(&block.info.language) == BlockKind::Patch && !is_patch_file);
    if is_patch {
        return patch(block, path);
    }
    let Some(path) = path else {
        return if block.is_edit { FoundBlock::UnnamedEdit } else { unnamed(block) };
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
            FoundBlock::File(BlockName::Path(path), block)
        }
        Err(reason) => FoundBlock::Refused(path, block.body.len(), reason),
    }
}

/// A patch. One that has only hunks gets its path from the block.
fn patch(block: Block, path: Option<String>) -> FoundBlock {
    let Block { body, complete, .. } = block;
    if !body.trim_start().starts_with("@@ ") {
        return FoundBlock::Patch(Patch { text: body, complete });
    }
    match path.map(|path| safe_path(&path).map_err(|reason| (path, reason))) {
        None => FoundBlock::UnnamedEdit,
        Some(Ok(path)) => FoundBlock::Patch(Patch {
            text: format!("--- a/{path}\n+++ b/{path}\n{}", body.trim_start()),
            complete,
        }),
        Some(Err((path, reason))) => FoundBlock::Refused(path, body.len(), reason),
    }
}

/// The path from a block's first line or from the text before it, if it counts for this kind of block.
fn path_beside(block: &mut Block) -> Option<String> {
    let kind = kind(&block.info.language);
    let marker = marker(block).filter(|marker| counts(marker, kind, &block.body));
    let label = block.label.take().filter(|label| counts(label, kind, &block.body));
    match (marker, label) {
        (Some(marker), Some(label))
            if label.strength > Strength::Mentioned && marker.strength < Strength::Stated =>
        {
            // A comment with another path is part of the file.
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

/// Whether a path found next to a block of this kind belongs to the block.
fn counts(label: &Label, kind: BlockKind, body: &str) -> bool {
    match (kind, label.strength) {
        (BlockKind::Patch, _)
        | (_, Strength::Stated)
        | (BlockKind::Code(_) | BlockKind::Text, Strength::Titled) => true,
        (BlockKind::Shell, _) => is_script(&label.path),
        (BlockKind::Code(extension), Strength::Mentioned) => agrees(extension, &label.path),
        // "The output of `app.py`:" names no file, but `.gitignore` and what looks like the right language do.
        (BlockKind::Text, Strength::Mentioned) => match sniff(body) {
            Some(extension) => agrees(extension, &label.path),
            None => extension(&label.path).is_none_or(|extension| extension == "txt"),
        },
    }
}

/// A block without any path.
fn unnamed(block: Block) -> FoundBlock {
    // A first line without a line end may be an incomplete marker.
    if block.body.trim().is_empty()
        || (!block.complete && first_line(&block.body).is_some_and(|line| !line.is_ended()))
    {
        return FoundBlock::Nothing;
    }
    let extension = match kind(&block.info.language) {
        BlockKind::Code(extension) => Some(extension),
        BlockKind::Text if block.info.language.is_empty() => sniff(&block.body),
        BlockKind::Text | BlockKind::Shell | BlockKind::Patch => None,
    };
    extension
        .map_or(FoundBlock::Nothing, |extension| FoundBlock::File(BlockName::Extension(extension), block))
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

/// The content of a fence that fills a whole element, as some models write it.
fn inside_fence(body: &str) -> Option<&str> {
    let body = body.trim_start_matches(['\n', '\r']);
    let first = first_line(body)?;
    let (fence, _) = Fence::opening(first.text, false)?;
    let rest = body.get(first.raw.len()..)?;
    let written = rest.trim_end();
    let last = written.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    written.get(last..).filter(|line| fence.is_closed_by(line)).and(rest.get(..last))
}

/// Generates names for blocks without a path.
struct FreeNames {
    taken: HashSet<String>,
    next: usize,
}

impl FreeNames {
    fn new(found: &[FoundBlock]) -> Self {
        let paths = found.iter().filter_map(|found| match found {
            FoundBlock::File(BlockName::Path(path), _) => Some(folded(path)),
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
