//! Anthropic's Messages API (docs.anthropic.com, version 2023-06-01): the body
//! of a request, and the message that a stream's events describe.

pub mod blocks;
mod events;
pub mod request;

pub use events::{Beginning, Message, Opening, Usage, error_status, error_type, is_too_long};
