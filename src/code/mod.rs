//! From a model's answer to a project's files: [`extract`] reads the files of an answer, [`CodeMap::merge`] lays them over what
//! the project has, and [`path::safe_path`] says which paths either may hold. Pure: no Worker types, no panics, linear time.

mod extract;
mod fence;
mod fenced;
mod label;
mod language;
mod map;
mod path;
mod scan;
mod tag;
#[cfg(test)]
mod tests;

pub(crate) use extract::{ExtractedFile, extract, extract_interrupted};
pub(crate) use fenced::fenced;
pub(crate) use map::{CodeMap, FileChange, FileStatus};
pub(crate) use path::safe_path;
