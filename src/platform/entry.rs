//! Turns a handler's future into what the runtime waits for.

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::task::{ArcWake, AtomicWaker, waker};
use worker::{js_sys::futures::future_to_promise, wasm_bindgen::JsValue};

use super::{background::Background, response::JsResponse};
#[cfg(debug_assertions)]
use {super::request::Head, std::hint::black_box, worker::js_sys::futures::spawn_local};

/// Polls `handler` at once. A response that is ready at once is returned without a promise and its
/// microtask hop; other handlers continue as a promise.
///
/// A handler goes on to its end also if its client leaves, for at most about 30 s. Otherwise it would never be
/// polled or dropped again, and all that it holds would be lost: memory, and its place among those that wait.
pub(crate) fn resolve(
    handler: impl Future<Output = JsResponse> + 'static,
    background: &Background,
) -> JsValue {
    let relay = Arc::new(Relay::default());
    let waker = waker(relay.clone());
    let mut handler: Pin<Box<dyn Future<Output = JsResponse>>> = Box::pin(handler);
    if let Poll::Ready(response) = handler.as_mut().poll(&mut Context::from_waker(&waker)) {
        return response.0.into();
    }
    let rest = poll_fn(move |cx| {
        relay.0.register(cx.waker());
        handler.as_mut().poll(&mut Context::from_waker(&waker))
    });
    let promise = future_to_promise(AssertUnwindSafe(async move { Ok(rest.await.0.into()) }));
    background.wait_for(&promise);
    promise.into()
}

/// The only waker that a handler gets. Some futures (worker's Delay) keep the waker of their first
/// poll, before the promise exists.
#[derive(Debug, Default)]
struct Relay(AtomicWaker);

impl ArcWake for Relay {
    fn wake_by_ref(relay: &Arc<Self>) {
        relay.0.wake();
    }
}

/// Crashes on request, for the tests of the recovery. Deployed builds do not contain it.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "a test needs a panic")]
pub(crate) fn crash_on_request(head: &Head) {
    match head.request_id.as_deref() {
        Some("panic-in-this-request") => panic!("asked to panic"),
        Some("panic-in-a-later-poll") => spawn_local(async { panic!("asked to panic") }),
        Some("overflow-in-a-later-poll") => spawn_local(async { overflow(1) }),
        _ => {}
    }
}

/// Calls itself until the stack of JavaScript's engine is full, which is before Wasm's own is.
#[cfg(debug_assertions)]
#[expect(unconditional_recursion, reason = "a test needs a full stack")]
fn overflow(depth: u64) {
    overflow(black_box(depth) + 1);
    black_box(depth);
}
