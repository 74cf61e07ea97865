//! Reads and writes wire formats: server-sent events, and the event streams of
//! models. Pure: bytes in arbitrary chunks in, values out.

pub mod anthropic;
pub mod sse;
