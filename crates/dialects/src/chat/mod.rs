//! OpenAI's Chat Completions.

pub(crate) mod calls;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod normal;
pub(crate) mod original;
pub(crate) mod parse;
pub(crate) mod render;
pub(crate) mod response;
