//! Why an edit was refused.

use std::fmt;

/// Why an edit was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffRefusal {
    /// The file, as the edit names it; empty when the edit names none.
    pub path: String,
    /// Which hunk or block of the file, counted from one.
    pub hunk: Option<usize>,
    /// Why.
    pub reason: RefusalReason,
}

/// Why an edit was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalReason {
    /// The text contains no edit.
    NoEdit,
    /// The text breaks the rules of its format.
    Malformed {
        /// The line of the edit, counted from one.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The edit was cut off: its end mark is missing.
    Cut,
    /// The path is not allowed, for this reason.
    Path(String),
    /// The edit names no file, and the caller gave none.
    NoPath,
    /// There is no such file.
    NoSuchFile,
    /// The file already exists and would be overwritten.
    Exists,
    /// The path differs only in case from another file's, or one of the two is a folder of the other.
    Collides(String),
    /// The edit names the file twice in contradictory ways.
    NamedTwice,
    /// The text to find is not in the file.
    NotFound,
    /// The text to find occurs this many times in the file, so the position is unclear.
    Ambiguous(usize),
    /// The hunks of a file overlap or are not in the order of its lines.
    OutOfOrder,
    /// Nothing says where the new lines belong.
    NoContext,
    /// A deletion does not remove the whole file.
    NotAllDeleted,
    /// The file is not text.
    Binary,
    /// The file is a link or a submodule.
    NotAFile,
    /// A placeholder in this line shares the line with code, so it cannot be replaced.
    InlinePlaceholder(usize),
    /// The lines around a placeholder do not determine what it stands for.
    Unanchored {
        /// The line of the placeholder, counted from one.
        line: usize,
        /// How often the line before or after it is in the old file.
        found: usize,
    },
    /// The edit would search more bytes than allowed.
    TooMuchSearch,
}

impl DiffRefusal {
    pub(crate) fn of(path: impl Into<String>, reason: RefusalReason) -> Self {
        Self { path: path.into(), hunk: None, reason }
    }

    pub(crate) fn in_hunk(path: impl Into<String>, hunk: usize, reason: RefusalReason) -> Self {
        Self { path: path.into(), hunk: Some(hunk), reason }
    }

    pub(crate) fn malformed(path: &str, line: usize, what: &'static str) -> Self {
        Self::of(path, RefusalReason::Malformed { line, what })
    }
}

impl fmt::Display for DiffRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(hunk) = self.hunk {
            write!(f, "hunk {hunk}: ")?;
        }
        self.reason.fmt(f)
    }
}

impl std::error::Error for DiffRefusal {}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEdit => f.write_str("the text contains no edit"),
            Self::Malformed { line, what } => write!(f, "line {line} of the edit: {what}"),
            Self::Cut => f.write_str("the edit was cut off before its end"),
            Self::Path(why) => f.write_str(why),
            Self::NoPath => f.write_str("the edit names no file"),
            Self::NoSuchFile => f.write_str("there is no such file"),
            Self::Exists => f.write_str("the file already exists"),
            Self::Collides(other) => write!(f, "the path collides with {other:?}"),
            Self::NamedTwice => f.write_str("the edit names the file twice"),
            Self::NotFound => f.write_str("the text to change is not in the file"),
            Self::Ambiguous(times) => write!(f, "the text to change is in the file {times} times"),
            Self::OutOfOrder => f.write_str("the hunk overlaps an earlier one or belongs before it"),
            Self::NoContext => f.write_str("nothing says where the new lines belong"),
            Self::NotAllDeleted => f.write_str("the deletion does not remove the whole file"),
            Self::Binary => f.write_str("the file is not text"),
            Self::NotAFile => f.write_str("links and submodules are not supported"),
            Self::InlinePlaceholder(line) => {
                write!(f, "line {line} has a placeholder within code: write the code in full")
            }
            Self::Unanchored { line, found: 0 } => {
                write!(
                    f,
                    "a line beside the placeholder in line {line} is not in the old file, so what it stands for is unknown"
                )
            }
            Self::Unanchored { line, found } => {
                write!(
                    f,
                    "the lines beside the placeholder in line {line} match {found} places in the old file"
                )
            }
            Self::TooMuchSearch => f.write_str("too many hunks are not at the lines that they state"),
        }
    }
}
