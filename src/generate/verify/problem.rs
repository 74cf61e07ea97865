//! What is wrong with an application, in words.

use serde::{Deserialize, Serialize};

use crate::generate::line::one_line;

const SHOWN_CHARS: usize = 120;

/// One thing that is wrong, in words for the person who waits and for the model that repairs it. Never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The file; empty when it is about the application as a whole.
    pub(crate) path: String,
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl Problem {
    pub(super) fn new(path: &str, line: Option<u32>, message: impl Into<String>) -> Self {
        Self { path: shown(path), line, message: message.into() }
    }
}

/// `app/page.tsx:12: message`.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (path, None) => write!(f, "{path}: {}", self.message),
            (path, Some(line)) => write!(f, "{path}:{line}: {}", self.message),
        }
    }
}

/// A name of theirs in a message of ours.
pub(super) fn shown(name: &str) -> String {
    one_line(name, SHOWN_CHARS).replace('`', "'")
}
