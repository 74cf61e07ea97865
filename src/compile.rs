//! TypeScript and JSX become what a browser runs, and code is checked for
//! syntax, by the compiler: a crate and a wasm of its own (`compiler/`).

use std::fmt;

use serde::Deserialize;

use crate::{code::CodeMap, error::Error, settings::Settings};

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Diagnostic {
    /// Empty when it is about the project as a whole.
    pub(crate) path: String,
    /// From 1; 0 when it is about the file as a whole.
    pub(crate) line: u32,
    /// From 1, in characters.
    pub(crate) column: u32,
    /// In words for the code's owner, or for a model that is to repair it.
    pub(crate) message: String,
    /// The lines around the place, numbered, with a caret under it. May be empty.
    pub(crate) frame: String,
}

/// `path:line:column: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (path, 0) => write!(f, "{path}: {}", self.message),
            (path, line) => write!(f, "{path}:{line}:{}: {}", self.column, self.message),
        }
    }
}

/// A site, ready to be served.
#[derive(Debug, Deserialize)]
pub(crate) struct Site {
    /// Path and content of each file, in the order of the paths.
    pub(crate) files: Vec<(String, String)>,
    /// What its owner should know, a line each.
    pub(crate) notes: Vec<String>,
}

/// Why code makes no site: all that is wrong with it, or the first of very much.
#[derive(Debug)]
pub(crate) struct BuildFailed {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl BuildFailed {
    /// A first line that says it all in short, then every error with its frame.
    pub(crate) fn reason(&self) -> String {
        let Some((first, others)) = self.diagnostics.split_first() else {
            return "The code could not be compiled".to_owned();
        };
        let mut reason = first.to_string();
        match others.len() {
            0 => {}
            1 => reason.push_str(" (and 1 more error, see the logs)"),
            more => reason.push_str(&format!(" (and {more} more errors, see the logs)")),
        }
        for (n, diagnostic) in self.diagnostics.iter().enumerate() {
            if n > 0 {
                reason.push_str(&format!("\n{diagnostic}"));
            }
            for line in diagnostic.frame.lines() {
                reason.push_str(&format!("\n{line}"));
            }
        }
        reason
    }
}

/// Makes a site of `code`: its modules compiled, their imports resolved. A
/// plain static site comes out as it went in, byte for byte.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be run at all; what is wrong
/// with the code is the inner error.
pub(crate) async fn compile(code: &CodeMap, settings: &Settings) -> Result<Result<Site, BuildFailed>, Error> {
    let _ = (code, settings);
    Err(Error::Internal("not made yet".to_owned()))
}

/// Parses every `.ts`, `.tsx`, `.js` and `.jsx` module (`.mts`, `.mjs` and so
/// on too): empty when all of them are good. Imports are not looked at.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be run at all. Code that is
/// too deeply nested for it is a diagnostic, not an error.
pub(crate) async fn check(code: &CodeMap) -> Result<Vec<Diagnostic>, Error> {
    let _ = code;
    Err(Error::Internal("not made yet".to_owned()))
}
