//! A problem of an application, as a sentence.

use serde::{Deserialize, Serialize};

use crate::generate::line::one_line;

const SHOWN_CHARS: usize = 120;

/// One problem, for the waiting user and for the model that repairs it. Never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The file; empty for a problem of the whole application.
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

/// Shortens a name from the application for one of our messages.
pub(super) fn shown(name: &str) -> String {
    one_line(name, SHOWN_CHARS).replace('`', "'")
}
