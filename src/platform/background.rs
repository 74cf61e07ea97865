//! Work that continues after the response.

use std::{future::Future, panic::AssertUnwindSafe, rc::Rc};

use futures::FutureExt as _;
use worker::{
    js_sys::{Promise, futures::future_to_promise},
    wasm_bindgen::JsValue,
    worker_sys,
};

/// Keeps an invocation alive for work that its response does not wait for.
#[derive(Debug, Clone)]
pub(crate) struct Background(Rc<worker_sys::Context>);

impl Background {
    pub(crate) fn new(context: worker_sys::Context) -> Self {
        Self(Rc::new(context))
    }

    /// Keeps the invocation alive until `work` is done, at most about 30 s
    /// after the client has its answer or has gone.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + 'static) {
        // Boxed, or all that makes a promise of it would be compiled for each kind of work.
        let work = work.boxed_local();
        self.wait_for(&future_to_promise(AssertUnwindSafe(async {
            work.await;
            Ok(JsValue::UNDEFINED)
        })));
    }

    /// Like [`Self::run`], for work that a promise stands for.
    pub(super) fn wait_for(&self, promise: &Promise) {
        // The platform's own function does not throw.
        let _ = self.0.wait_until(promise);
    }
}
