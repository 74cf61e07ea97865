//! OpenAI's Responses.

pub(crate) mod compaction;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod native;
pub(crate) mod normal;
pub(crate) mod parse;
pub(crate) mod render;
pub(crate) mod replay;
pub(crate) mod response;
