//! OpenAI's Responses.

pub(crate) mod parse;
pub(crate) mod render;
