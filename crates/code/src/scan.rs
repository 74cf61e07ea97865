//! Finds the blocks of an answer, in one pass over its lines.

use super::edit;
use super::fence::{Fence, Line, first_line, is_blank, list_marker};
use super::label::{Info, Label, Strength, before_block, is_heading};
use super::language::{extension, is_markdown};
use super::tag::{self, Tag};
use super::thinking;

/// Elements that contain file elements. They count only as the first line of a fence.
const CONTAINERS: [&str; 3] = ["<files", "<artifact", "<boltartifact"];

/// Whether the answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The model finished: the last line is complete.
    Finished,
    /// The stream broke off: the last line may be incomplete, and ```` ``` ```` may be the start of ```` ```js ````.
    Cut,
}

/// A fenced block or an element, with everything that may name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The info string; of an element, its attributes.
    pub info: Info,
    /// The line before it, or else the heading above it.
    pub label: Option<Label>,
    /// Its lines as written, without the fence's indentation.
    pub body: String,
    /// Whether its end was reached.
    pub complete: bool,
    /// Whether it is an element, whose first line is never a marker.
    pub is_element: bool,
    /// Whether it describes a change to a file.
    pub is_edit: bool,
}

/// The parts found in an answer.
pub(super) struct Scan {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
    /// Deletions and renames from elements, as patches.
    pub moves: Vec<String>,
    /// Elements whose actions are not executed.
    pub ignored_elements: Vec<&'static str>,
}

/// Reads an answer.
pub(super) fn scan(answer: &str, ending: Ending) -> Scan {
    let mut scanner = Scanner {
        text: answer,
        at: 0,
        line_end: LineEnd::default(),
        ending,
        nests: true,
        in_list: false,
        before: None,
        heading: None,
        wrapper: None,
        blocks: Vec::new(),
        moves: Vec::new(),
        ignored_elements: Vec::new(),
    };
    scanner.run();
    Scan { blocks: scanner.blocks, moves: scanner.moves, ignored_elements: scanner.ignored_elements }
}

struct Scanner<'a> {
    text: &'a str,
    /// The byte offset of the next line, or of the rest of a line.
    at: usize,
    line_end: LineEnd,
    ending: Ending,
    /// Whether Markdown blocks may contain fences of the same length.
    nests: bool,
    in_list: bool,
    /// The last non-blank line since the last block, and the last heading.
    before: Option<&'a str>,
    heading: Option<&'a str>,
    /// An open fence around elements.
    wrapper: Option<Fence>,
    blocks: Vec<Block>,
    moves: Vec<String>,
    ignored_elements: Vec<&'static str>,
}

/// Where the current line ends; cached so that a line with many elements is not searched once per element.
#[derive(Clone, Copy, Default)]
struct LineEnd {
    text: usize,
    raw: usize,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        while let Some(line) = self.next_line() {
            if let Some(closing) = thinking::opening(line.text) {
                self.at -= line.raw.len();
                self.skip_thinking(closing);
            } else if let Some(end) = thinking::end_without_opening(line.text) {
                self.at = self.at - line.raw.len() + end;
                self.blocks.clear();
                self.moves.clear();
            } else if let Some((patch, rest)) = edit::moved(line.text) {
                self.at = self.line_end.text - rest.len();
                self.moves.push(patch);
            } else if let Some((tag, rest)) = Tag::opening(line.text.trim_start_matches(is_blank)) {
                self.at = self.line_end.text - rest.len();
                self.element(&tag);
            } else if line.text.trim_end() == edit::PATCH.0 {
                self.bare_patch(line, |line| line.trim_end() == edit::PATCH.1);
            } else if line.text.starts_with(edit::DIFF) {
                self.bare_patch(line, str::is_empty);
            } else if let Some(name) = edit::ignored_element(line.text) {
                self.ignored_elements.push(name);
            } else if let Some(rest) = tag::after_container(line.text) {
                self.at = self.line_end.text - rest.len();
            } else if self.wrapper.is_some_and(|fence| fence.is_closed_by(line.text)) {
                self.wrapper = None;
            } else if let Some((fence, info)) = Fence::opening(line.text, self.in_list) {
                if line.is_ended() {
                    self.fence(fence, Info::parse(info));
                }
            } else {
                self.prose(line);
            }
        }
    }

    /// Reads a patch outside of blocks, including its last line.
    fn bare_patch(&mut self, first: Line<'a>, is_last: impl Fn(&str) -> bool) {
        let mut body = first.raw.to_owned();
        let mut complete = false;
        while let (Some(line), false) = (self.next_line(), complete) {
            complete = is_last(line.text) && (line.is_ended() || self.ending == Ending::Finished);
            body.push_str(line.raw);
        }
        // A diff has no end mark, so it ends with the answer.
        complete |= body.starts_with(edit::DIFF) && self.ending == Ending::Finished;
        let info = Info { language: "patch".to_owned(), ..Info::default() };
        self.take_label();
        self.push(info, None, body, complete);
    }

    /// Skips thinking up to its closing mark, or to the end of the answer.
    fn skip_thinking(&mut self, closing: &str) {
        while let Some(line) = self.next_line() {
            if let Some(end) = thinking::end(line.text, closing) {
                self.at = self.at - line.raw.len() + end;
                return;
            }
        }
    }

    fn prose(&mut self, line: Line<'a>) {
        if line.text.chars().all(is_blank) {
            return;
        }
        if list_marker(line.text).is_some() {
            self.in_list = true;
        } else if !line.text.starts_with([' ', '\t']) {
            self.in_list = false;
        }
        if is_heading(line.text) {
            self.heading = Some(line.text);
        }
        self.before = Some(line.text);
    }

    fn fence(&mut self, fence: Fence, info: Info) {
        if self.wraps_elements(&info) {
            self.wrapper = Some(fence);
            return;
        }
        let label = self.take_label();
        let is_bare = info == Info::default() && label.is_none();
        let holds_fences = self.nests && holds_markdown(&info, label.as_ref());
        let mut body = String::new();
        let mut inner: Vec<Fence> = Vec::new();
        let mut first_end = None;
        while let Some(line) = self.next_line() {
            let may_close = line.is_ended() || self.ending == Ending::Finished;
            let opened = Fence::opening(line.text, true)
                .filter(|(other, info)| fence.is_shadowed_by(other) && !info.is_empty());
            if may_close && inner.last().is_some_and(|inner| inner.is_closed_by(line.text)) {
                inner.pop();
                first_end = first_end.or(fence.is_closed_by(line.text).then_some((self.at, body.len())));
            } else if may_close && inner.is_empty() && fence.is_closed_by(line.text) {
                self.push(info, label, body, true);
                return;
            } else if let Some((other, info)) = opened {
                // A block that is not a file ends where a file begins: otherwise a surplus fence would swallow the
                // file.
                if is_bare && line.is_ended() && Info::parse(info).path.is_some() {
                    self.rewind(self.at - line.raw.len());
                    return;
                }
                if holds_fences {
                    inner.push(other);
                }
            }
            body.push_str(fence.unindent(line.raw));
        }
        // The inner fences of a Markdown block do not pair up, so CommonMark's rule applies: the first fence that could
        // close the block did. After one such case pairing is turned off for the rest of the answer, which keeps the
        // scan linear.
        if let Some((at, length)) = first_end.filter(|_| self.ending == Ending::Finished) {
            self.nests = false;
            self.rewind(at);
            body.truncate(length);
            self.push(info, label, body, true);
        } else {
            self.push(info, label, body, false);
        }
    }

    fn element(&mut self, tag: &Tag<'a>) {
        if self.rest_of_line().is_some_and(|line| line.text.chars().all(is_blank)) {
            self.next_line();
        }
        let start = self.at;
        let is_data = self.text.get(start..).is_some_and(tag::is_character_data);
        let info =
            Info { language: tag.language.to_owned(), path: tag.path.map(str::to_owned), is_excerpt: false };
        self.take_label();
        while let Some(line) = self.next_line() {
            if !line.is_ended() && self.ending == Ending::Cut {
                break;
            }
            let line_start = self.at - line.raw.len();
            for (before, after) in tag.closings(line.text) {
                let is_indentation = line.text.get(..before).is_some_and(|text| text.trim_start().is_empty());
                let end = if is_indentation { line_start } else { line_start + before };
                let body = self.text.get(start..end).unwrap_or_default();
                if !is_data || tag::ends_character_data(body) {
                    let body = tag::character_data(body);
                    self.at = line_start + after;
                    self.push_element(tag, info, body, true);
                    return;
                }
            }
        }
        let body = tag::character_data(self.text.get(start..).unwrap_or_default());
        self.at = self.text.len();
        self.push_element(tag, info, body, false);
    }

    /// Whether a fence only wraps elements, as models do with a whole artifact.
    fn wraps_elements(&mut self, info: &Info) -> bool {
        let may_wrap =
            info.path.is_none() && matches!(info.language.to_ascii_lowercase().as_str(), "" | "xml" | "html");
        let Some(next) = self.rest_of_line().filter(|_| may_wrap) else { return false };
        let lower =
            next.text.get(..next.text.len().min(16)).unwrap_or_default().trim_start().to_ascii_lowercase();
        Tag::opening(next.text).is_some()
            || edit::moved(next.text).is_some()
            || edit::ignored_element(next.text).is_some()
            || CONTAINERS.iter().any(|container| lower.starts_with(container))
    }

    /// Takes the path in the text before a block. It counts for one block only. The section's heading may be further
    /// up, and is more reliable than a sentence that only mentions a file.
    fn take_label(&mut self) -> Option<Label> {
        let heading =
            self.heading.take().and_then(before_block).filter(|label| label.strength > Strength::Mentioned);
        let before = self.before.take().and_then(before_block);
        match (before, heading) {
            (Some(before), _) if before.strength > Strength::Mentioned => Some(before),
            (_, Some(heading)) => Some(Label { strength: Strength::Mentioned, ..heading }),
            (before, None) => before,
        }
    }

    fn push(&mut self, info: Info, label: Option<Label>, body: String, complete: bool) {
        self.blocks.push(Block { info, label, body, complete, is_element: false, is_edit: false });
    }

    /// The same for an element, which has no label.
    fn push_element(&mut self, tag: &Tag<'a>, info: Info, body: String, complete: bool) {
        self.blocks.push(Block { info, label: None, body, complete, is_element: true, is_edit: tag.is_edit });
    }

    /// The line, or rest of one, under the cursor.
    fn rest_of_line(&mut self) -> Option<Line<'a>> {
        if self.at >= self.line_end.raw {
            let line = first_line(self.text.get(self.at..)?)?;
            #[cfg(test)]
            work::add(line.raw.len());
            self.line_end = LineEnd { text: self.at + line.text.len(), raw: self.at + line.raw.len() };
        }
        let end = self.line_end;
        Some(Line { text: self.text.get(self.at..end.text)?, raw: self.text.get(self.at..end.raw)? })
    }

    fn rewind(&mut self, at: usize) {
        self.at = at;
        self.line_end = LineEnd { text: at, raw: at };
    }

    fn next_line(&mut self) -> Option<Line<'a>> {
        let line = self.rest_of_line()?;
        self.at = self.line_end.raw;
        Some(line)
    }
}

fn holds_markdown(info: &Info, label: Option<&Label>) -> bool {
    let path = info.path.as_deref().or(label.map(|label| label.path.as_str()));
    is_markdown(&info.language) || path.and_then(extension).is_some_and(|extension| is_markdown(&extension))
}

/// Counts the bytes read, so that a test can detect a quadratic scan without a clock.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local!(static BYTES: Cell<usize> = const { Cell::new(0) });

    pub(super) fn add(bytes: usize) {
        BYTES.with(|total| total.set(total.get() + bytes));
    }

    pub(crate) fn take() -> usize {
        BYTES.with(Cell::take)
    }
}
