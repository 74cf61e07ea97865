//! Work that continues after the response.

use std::{future::Future, panic::AssertUnwindSafe, rc::Rc};

use futures::FutureExt as _;
use worker::{
    js_sys::{Promise, futures::future_to_promise},
    wasm_bindgen::{self, JsValue, prelude::wasm_bindgen},
};

use super::notify::{Notifier, notifier};

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    /// Keeps the invocation that calls it alive until the promise is settled, at most about 30 s after its client has
    /// its answer or has gone.
    #[wasm_bindgen(js_name = waitUntil)]
    fn wait_until(promise: &Promise);
}

/// Keeps an invocation alive for work that its response does not wait for.
#[derive(Debug, Clone)]
pub(crate) struct Background(Rc<worker::Context>);

impl Background {
    pub(crate) fn new(context: worker::Context) -> Self {
        Self(Rc::new(context))
    }

    /// Keeps the invocation alive until `work` is done, at most about 30 s
    /// after the client has its answer or has gone.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + 'static) {
        // Boxed, or all that makes a promise of it would be compiled for each kind of work.
        self.0.wait_until(work.boxed_local());
    }
}

/// Does work of its own in the invocation that calls it, which is kept alive for it.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    // Boxed, or all that makes a promise of it would be compiled for each kind of work.
    let work = work.boxed_local();
    wait_until(&future_to_promise(AssertUnwindSafe(async {
        work.await;
        Ok(JsValue::UNDEFINED)
    })));
}

/// Keeps the invocation that calls it alive until the returned value is dropped, also if the client
/// leaves meanwhile; then at most about 30 s longer.
pub(crate) fn hold() -> Hold {
    let (done, held) = notifier();
    wait_until(held.promise());
    Hold(done)
}

/// Keeps an invocation alive while it exists.
#[derive(Debug)]
pub(crate) struct Hold(Notifier);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.notify();
    }
}
