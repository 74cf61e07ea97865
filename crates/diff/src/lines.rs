//! Splits a text into lines and keeps their line ends.

/// A line and its end: `\n`, `\r\n`, or, at the end of a text, `\r` or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) ending: &'a str,
}

/// Which line ends are treated as equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endings {
    /// Every end is different.
    Exact,
    /// `\n` and `\r\n` are equal; a line without an end differs from both.
    AnyNewline,
    /// All.
    Any,
}

impl<'a> Line<'a> {
    pub(crate) fn new(raw: &'a str) -> Self {
        let (text, ending) = match raw.strip_suffix('\n') {
            None => raw.strip_suffix('\r').map_or((raw, ""), |text| (text, "\r")),
            Some(text) => text.strip_suffix('\r').map_or((text, "\n"), |text| (text, "\r\n")),
        };
        Self { text, ending }
    }

    pub(crate) fn matches(&self, other: &Line<'_>, endings: Endings) -> bool {
        self.text == other.text
            && match endings {
                Endings::Exact => self.ending == other.ending,
                Endings::AnyNewline => self.has_newline() == other.has_newline(),
                Endings::Any => true,
            }
    }

    pub(crate) fn has_newline(&self) -> bool {
        self.ending.ends_with('\n')
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(crate) fn push_to(&self, out: &mut String) {
        out.push_str(self.text);
        out.push_str(self.ending);
    }
}

pub(crate) fn split(text: &str) -> Vec<Line<'_>> {
    text.split_inclusive('\n').map(Line::new).collect()
}

/// The end for a line that is inserted after the first `index` lines: the same as the line before it, or else the one
/// after it. So files with mixed line ends keep them.
pub(crate) fn newline_at<'a>(file: &[Line<'a>], index: usize) -> &'a str {
    let before = index.checked_sub(1).and_then(|last| file.get(last));
    let nearby = [before, file.get(index), index.checked_sub(2).and_then(|last| file.get(last))];
    nearby.into_iter().flatten().find(|line| line.has_newline()).map_or("\n", |line| line.ending)
}

/// Replaces lines `from..to` of a file. New lines get the file's line ends. If the file ended without a newline, the
/// new last line does, too.
pub(crate) fn replace(file: &[Line<'_>], from: usize, to: usize, new: &[&str]) -> String {
    let mut out = String::new();
    let (kept_before, kept_after) =
        (file.get(..from).unwrap_or_default(), file.get(to..).unwrap_or_default());
    let newline = newline_at(file, to.max(from));
    let ends_bare = kept_after.is_empty() && file.last().is_some_and(|line| !line.has_newline());
    for line in kept_before {
        line.push_to(&mut out);
    }
    if !new.is_empty() && !out.is_empty() && !out.ends_with('\n') {
        out.push_str(newline);
    }
    for (index, text) in new.iter().enumerate() {
        out.push_str(text);
        if index + 1 < new.len() || !ends_bare {
            out.push_str(newline);
        }
    }
    for line in kept_after {
        line.push_to(&mut out);
    }
    out
}
