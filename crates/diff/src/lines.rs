//! A text as lines, each with its own end.

/// A line and how it ends: `\n`, `\r\n`, or, at the end of a text, `\r` or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) ending: &'a str,
}

/// Which ends of lines count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endings {
    /// Each only as itself.
    Exact,
    /// `\n` as `\r\n`; a line without an end only as one without.
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

/// How a new line after the first `index` lines of a file ends: as the line before it does, or the one after it. Files with
/// mixed ends keep each line's.
pub(crate) fn newline_at<'a>(file: &[Line<'a>], index: usize) -> &'a str {
    let before = index.checked_sub(1).and_then(|last| file.get(last));
    let nearby = [before, file.get(index), index.checked_sub(2).and_then(|last| file.get(last))];
    nearby.into_iter().flatten().find(|line| line.has_newline()).map_or("\n", |line| line.ending)
}

/// Replaces lines `from..to` of a file. New lines end as the file's do; after the last line of a file that ends without a
/// newline, so does the new last line.
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
