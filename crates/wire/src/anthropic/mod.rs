//! Anthropic's Messages API (docs.anthropic.com, version 2023-06-01): the
//! message that a stream's events describe.

pub mod blocks;
mod events;

pub use events::{Message, Usage};
