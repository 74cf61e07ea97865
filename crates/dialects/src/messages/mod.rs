//! Anthropic's Messages.

pub(crate) mod answer;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod parse;
pub(crate) mod render;
