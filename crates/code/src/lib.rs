//! Turns a model's answer into a project's files: [`extract`] reads the files of an answer, [`CodeMap::merge`] merges
//! them into the project, and [`path::safe_path`] checks paths. Pure: no Worker types, no panics, linear time.

mod context;
mod edit;
mod escape;
mod extract;
mod fence;
mod fenced;
mod label;
mod language;
mod map;
mod media_type;
mod path;
mod scan;
mod tag;
#[cfg(test)]
mod tests;
mod thinking;
mod tokens;

pub use context::context;
pub use extract::{
    ExtractedFile, Extraction, Patch, extract, extract_interrupted, extraction, extraction_interrupted,
};
pub use fenced::fenced;
pub use map::{CodeError, CodeMap, FileChange, FileStatus};
pub use media_type::media_type;
pub use path::{PathError, composed, safe_path};
pub use tokens::tokens_at_most;
