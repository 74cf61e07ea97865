//! Wakes a request from another one.
//!
//! A waker of another request must not be called: its task would go on in the request that calls it,
//! where its timers and connections refuse to work. A promise is different. Whoever settles it, workerd
//! continues in the request that made it, or nowhere if that one has ended.

use futures::future::select;
use worker::js_sys::{Function, Promise, futures::JsFuture};

use super::clock::sleep;

/// Rung by another request.
#[derive(Debug)]
pub(crate) struct Bell(Option<Function>);

/// The request that waits for its bell.
#[derive(Debug)]
pub(crate) struct Waiting(Promise);

/// A bell of this request.
pub(crate) fn bell() -> (Bell, Waiting) {
    let mut ring = None;
    let promise = Promise::new(&mut |resolve, _| ring = Some(resolve));
    (Bell(ring), Waiting(promise))
}

impl Bell {
    pub(crate) fn ring(&self) {
        if let Some(ring) = &self.0 {
            // A promise's own function does not throw.
            let _ = ring.call0(&worker::wasm_bindgen::JsValue::UNDEFINED);
        }
    }
}

impl Waiting {
    /// Waits until the bell is rung, at most `ms` milliseconds.
    pub(crate) async fn at_most(self, ms: u64) {
        select(JsFuture::from(self.0), sleep(ms)).await;
    }
}
