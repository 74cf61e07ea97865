//! Anthropic's Messages.

pub(crate) mod parse;
pub(crate) mod render;
