//! Wakes a request from another one.
//!
//! A waker of another request must not be called: its task would go on in the request that calls it,
//! where its timers and connections refuse to work. A promise is different. Whoever settles it, workerd
//! continues in the request that made it, or nowhere if that one has ended.

use futures::future::select;
use worker::js_sys::{Function, Promise, futures::JsFuture};

use super::clock::sleep;

/// What another request calls.
#[derive(Debug)]
pub(crate) struct Notifier(Option<Function>);

/// What the request that made it waits for.
#[derive(Debug)]
pub(crate) struct Notified(Promise);

/// A notifier of this request.
pub(crate) fn notifier() -> (Notifier, Notified) {
    let mut settle = None;
    let promise = Promise::new(&mut |resolve, _| settle = Some(resolve));
    (Notifier(settle), Notified(promise))
}

impl Notifier {
    pub(crate) fn notify(&self) {
        if let Some(settle) = &self.0 {
            // A promise's own function does not throw.
            let _ = settle.call0(&worker::wasm_bindgen::JsValue::UNDEFINED);
        }
    }
}

impl Notified {
    /// Waits until it is notified, at most `ms` milliseconds.
    pub(crate) async fn within(self, ms: u64) {
        select(JsFuture::from(self.0), sleep(ms)).await;
    }
}
