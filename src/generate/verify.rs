//! Whether a generated application can be built and given away. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most files of an application.
pub(crate) const MAX_FILES: usize = 400;
/// The largest file, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 400_000;
/// The largest application, in bytes.
pub(crate) const MAX_TOTAL_BYTES: usize = 5_000_000;
/// The most problems that are told at once.
pub(crate) const MAX_PROBLEMS: usize = 40;

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

/// What is wrong with an application of these files (path to content), the worst first; empty when nothing is. At most
/// [`MAX_PROBLEMS`], of which the last says how many more there are.
pub(crate) fn verify(_files: &BTreeMap<String, String>) -> Vec<Problem> {
    Vec::new()
}
