//! Wakes a request from another one.
//!
//! A waker of another request must not be called: its task would go on in the request that calls it,
//! where its timers and connections refuse to work. A promise is different. Whoever settles it, workerd
//! continues in the request that made it, or nowhere if that one has ended.

use futures::future::select;
use worker::{
    js_sys::{Function, Promise, Undefined, futures::JsFuture},
    wasm_bindgen::JsValue,
};

use super::clock::sleep;

/// What another request calls.
#[derive(Debug)]
pub(crate) struct Notifier(Function<fn(JsValue) -> Undefined>);

/// What the request that made it waits for.
#[derive(Debug)]
pub(crate) struct Notified(Promise);

/// A notifier of this request.
///
/// Not by `new Promise`, with which workerd at times continues in the request that settles it (docs/speed.md).
pub(crate) fn notifier() -> (Notifier, Notified) {
    let made = Promise::with_resolvers::<JsValue, JsValue>();
    (Notifier(made.resolve()), Notified(made.promise()))
}

impl Notifier {
    pub(crate) fn notify(&self) {
        // A promise's own function does not throw.
        let _ = self.0.call1(&JsValue::UNDEFINED, &JsValue::UNDEFINED);
    }
}

impl Notified {
    /// Waits until it is notified, at most `ms` milliseconds.
    pub(crate) async fn within(&self, ms: u64) {
        select(JsFuture::from(self.0.clone()), sleep(ms)).await;
    }
}
