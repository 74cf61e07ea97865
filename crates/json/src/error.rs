//! What is wrong with a JSON text, and where.

use std::fmt;

use serde::de::Error as _;

use crate::{place, strict::Origin};

/// One step from an object or array to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The name of an object's member.
    Name(String),
    /// A place in an array, from 0.
    Index(usize),
}

impl Step {
    /// The step as a segment of a JSON pointer.
    fn segment(&self) -> String {
        match self {
            Self::Name(name) => name.replace('~', "~0").replace('/', "~1"),
            Self::Index(index) => index.to_string(),
        }
    }
}

/// Why a text could not be read. One pointer in size, as `serde_json`'s own error, because it is
/// in the result of every function that reads.
#[derive(Debug)]
pub struct Error(Box<Fault>);

#[derive(Debug)]
struct Fault {
    json: serde_json::Error,
    is_utf8: bool,
    path: Vec<Step>,
}

impl Error {
    #[cold]
    pub(crate) fn of(json: serde_json::Error, text: &str, origin: Origin) -> Self {
        let read = place::read(text, json.line(), json.column());
        let read = if origin.is_before_comma { read.trim_end().trim_end_matches(',') } else { read };
        let path = place::path(read, origin.depth);
        Self(Box::new(Fault { json, is_utf8: true, path }))
    }

    #[cold]
    pub(crate) fn not_utf8(bytes: &[u8], at: usize) -> Self {
        let before = bytes.get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        // serde_json's words for it. It takes the place from the message.
        let message = format!("invalid unicode code point at line {line} column {column}");
        let json = serde_json::Error::custom(message);
        Self(Box::new(Fault { json, is_utf8: false, path: Vec::new() }))
    }

    /// The way from the whole to the value at fault. A field that is missing or unknown is a fault
    /// of its object.
    #[must_use]
    pub fn path(&self) -> &[Step] {
        &self.0.path
    }

    /// What is wrong, in `serde_json`'s words, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = self.0.json.to_string();
        let place = format!(" at line {} column {}", self.line(), self.column());
        if message.ends_with(&place) {
            message.truncate(message.len() - place.len());
        }
        message
    }

    /// The way to the value at fault as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        self.path().iter().fold(String::new(), |pointer, step| pointer + "/" + &step.segment())
    }

    /// Whether the text is JSON up to here, but not of the type.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.0.is_utf8 && self.0.json.is_data()
    }

    /// Whether the text ends too early.
    #[must_use]
    pub fn is_eof(&self) -> bool {
        self.0.json.is_eof()
    }

    /// The line, from 1; 0 if it is not known.
    #[must_use]
    pub fn line(&self) -> usize {
        self.0.json.line()
    }

    /// The column in bytes, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.0.json.column()
    }
}

/// With the value at fault, or the place where the text is no JSON.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            _ if !self.is_data() => self.0.json.fmt(f),
            [] => f.write_str(&self.message()),
            _ => write!(f, "{} at {}", self.message(), self.pointer()),
        }
    }
}

impl std::error::Error for Error {}
