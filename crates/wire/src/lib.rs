//! Wire formats, read and written: server-sent events, and the messages and
//! events of models. Pure: bytes in, values out, whatever the chunks.

pub mod anthropic;
pub mod sse;
