//! What is wrong with a file, and where, in words and with the lines around it.

use serde::Serialize;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnostic {
    /// Empty when it is about the project as a whole.
    pub(crate) path: String,
    /// From 1; 0 when it is about the file as a whole.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    pub(crate) message: String,
    /// The lines around the place, numbered, with a caret under it. May be empty.
    pub(crate) frame: String,
}

/// Characters of a line that a frame shows.
const WIDTH: usize = 100;
/// Of a longer line, so many before the place.
const BEFORE: usize = 60;
/// Characters of a message: names in it are the project's, and may be of any length.
const MESSAGE: usize = 400;

impl Diagnostic {
    pub(crate) fn of_project(message: impl Into<String>) -> Self {
        Self::of_file("", message)
    }

    pub(crate) fn of_file(path: &str, message: impl Into<String>) -> Self {
        let message = short(message.into());
        Self { path: path.to_owned(), line: 0, column: 0, message, frame: String::new() }
    }

    /// At a byte of `source`; one past its end counts as its end.
    pub(crate) fn at(path: &str, source: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(source, offset);
        Self { line, column, frame: frame(source, line, column), ..Self::of_file(path, message) }
    }

    /// In the order of the files, each once.
    pub(crate) fn sorted(mut wrong: Vec<Self>) -> Vec<Self> {
        wrong.sort_by(|a, b| (&a.path, a.line, a.column).cmp(&(&b.path, b.line, b.column)));
        wrong.dedup();
        wrong
    }

    /// The same, and of very many the first and how many there are more.
    pub(crate) fn bounded(wrong: Vec<Self>, most: usize) -> Vec<Self> {
        let mut wrong = Self::sorted(wrong);
        let more = wrong.len().saturating_sub(most);
        wrong.truncate(most);
        if more > 0 {
            wrong.push(Self::of_project(format!("{more} more errors are not shown")));
        }
        wrong
    }
}

/// On one line, and not too long for one.
fn short(message: String) -> String {
    match message.chars().nth(MESSAGE) {
        None if !message.contains(char::is_control) => message,
        end => {
            let kept = message.chars().take(MESSAGE).map(|c| if c.is_control() { ' ' } else { c });
            kept.chain(end.map(|_| '…')).collect()
        }
    }
}

/// Line and column of a byte, both from 1.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let end = (0..=offset.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let before = source.get(..end).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The line before, the line itself with a caret under it, and the line after.
fn frame(source: &str, line: usize, column: usize) -> String {
    let digits = (line + 1).to_string().len();
    let from = if column > WIDTH { column - BEFORE } else { 1 };
    let mut frame = String::new();
    for (number, text) in (1..).zip(source.split('\n')).skip(line.saturating_sub(2)).take(3) {
        let mark = if number == line { '>' } else { ' ' };
        frame.push_str(&format!("{mark} {number:digits$} | {}\n", shown(text, from)));
        if number == line {
            frame.push_str(&format!("  {:digits$} | {}^\n", "", " ".repeat(column - from)));
        }
    }
    frame
}

/// A line's part that is shown. A tab is one character wide, as in `column`.
fn shown(text: &str, from: usize) -> String {
    let shown: String = text.chars().skip(from - 1).take(WIDTH).collect();
    shown.replace(|c: char| c.is_control(), " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_is_shown_with_its_neighbours() {
        let diagnostic = Diagnostic::at("a.ts", "one\ntwo three\nfour\nfive", 8, "wrong");
        assert_eq!((diagnostic.line, diagnostic.column), (2, 5));
        assert_eq!(diagnostic.frame, "  1 | one\n> 2 | two three\n    |     ^\n  3 | four\n");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let source = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let frame = Diagnostic::at("a.js", &source, 5000, "wrong").frame;
        let mut lines = frame.lines().map(str::to_owned);
        let (text, caret) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(text.find('x'), caret.find('^'));
        assert!(frame.len() < 300);
    }

    proptest! {
        #[test]
        fn any_byte_of_any_source_has_a_place(source in "(.|\n){0,80}", offset in 0_usize..400) {
            let diagnostic = Diagnostic::at("a", &source, offset, "");
            prop_assert!(diagnostic.line >= 1 && diagnostic.line <= source.split('\n').count());
            prop_assert!(diagnostic.column >= 1);
        }
    }
}
