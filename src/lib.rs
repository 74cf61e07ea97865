//! Hatch: from a prompt to a live app, in one Worker.
//!
//! There are three entry points: a request ([`fetch`]), a batch of messages ([`queue`]) and the
//! clock ([`scheduled`]). Imports go one way; layers.rs defines and tests it.

mod accounts;
mod admin;
mod apps;
mod audit;
mod chat;
mod clouds;
mod deploy;
mod discovery;
mod docs;
mod error;
mod fleet;
mod gateway;
mod generate;
mod http;
mod identity;
mod jobs;
#[cfg(test)]
mod layers;
mod metrics;
mod models;
#[cfg(test)]
mod openapi;
mod platform;
mod projects;
mod redact;
mod root;
mod routes;
mod settings;
mod skills;
mod store;
mod upstream;

use worker::{
    Context, Env, MessageBatch, ScheduleContext, ScheduledEvent, js_sys,
    wasm_bindgen::{self, JsValue, prelude::wasm_bindgen},
    web_sys, worker_sys,
};
use worker_macros::event;

use crate::platform::{
    background::Background,
    request::{Head, InboundRequest},
};

/// Logs a panic's message and position before worker's own hook marks the instance for a restart.
#[event(start)]
fn start() {
    let recover = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        console_error_panic_hook::hook(panic);
        recover(panic);
    }));
}

/// The entry point for HTTP requests. Written by hand instead of `#[event(fetch)]`, which makes a
/// promise even for a response that is ready at once. entry.js passes the fields that every route
/// needs in one crossing.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "each would be a crossing of its own")]
pub fn fetch(
    request: web_sys::Request,
    method: String,
    url: String,
    request_id: Option<String>,
    traceparent: Option<String>,
    credential: Option<String>,
    origin: Option<String>,
    list_headers: js_sys::Function,
    env: Env,
    context: worker_sys::Context,
) -> JsValue {
    let head = Head { method, url, request_id, traceparent, credential, origin, list_headers };
    #[cfg(debug_assertions)]
    platform::entry::crash_on_request(&head);
    let background = Background::new(context);
    let handler = http::answer(&routes::ROUTER, InboundRequest::new(request, head), env, background.clone());
    platform::entry::resolve(handler, &background)
}

/// The entry point for messages of the jobs queue and its dead-letter queue. Each message is
/// acknowledged or retried separately; the batch never fails as a whole.
#[event(queue)]
async fn queue(batch: MessageBatch<String>, env: Env, _context: Context) -> worker::Result<()> {
    jobs::consumer::consume(&batch, &env, routes::MODULES.jobs).await;
    Ok(())
}

/// The entry point for the clock, once a minute: runs the sweeps of [`routes`].
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    routes::sweep(&env).await;
}
