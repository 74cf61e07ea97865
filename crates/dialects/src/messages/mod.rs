//! Anthropic's Messages.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod parse;
pub(crate) mod render;
pub(crate) mod response;
