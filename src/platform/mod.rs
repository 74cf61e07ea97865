//! Where Rust meets the Workers runtime: the only place with `wasm_bindgen`, `js_sys` and
//! `web_sys`.
//!
//! Everything above works with plain Rust values, so that most of it is tested without a Worker.

pub(crate) mod ai;
pub(crate) mod background;
pub(crate) mod batcher;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod crypto;
pub(crate) mod entry;
pub(crate) mod fetch;
pub(crate) mod log;
pub(crate) mod notify;
pub(crate) mod pump;
pub(crate) mod random;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
pub(crate) mod url;
