//! The gateway: every model behind one API, for programs that speak to OpenAI
//! or to Anthropic.
//!
//! A request is read in its client's dialect (asked.rs), what it may cost is
//! set aside (turn.rs), the models that may answer are asked in their order
//! (`crate::models`), and the answer is told in the client's dialect (told.rs),
//! while it comes where the client wants that (live.rs), and again where it
//! wants that (cache.rs). tools/ runs tools of its own, stored/ and kept.rs keep
//! answers for who asked. ledger.rs writes down
//! what it was and gives back what was not spent.

mod asked;
mod cache;
pub(crate) mod completions;
pub(crate) mod dialect;
pub(crate) mod dynamic_apps;
pub(crate) mod embeddings;
mod guard;
pub(crate) mod guardrails;
pub(crate) mod kept;
mod ledger;
mod live;
pub(crate) mod models;
mod moderate;
pub(crate) mod moderations;
#[cfg(test)]
pub(crate) mod openapi;
mod store;
pub(crate) mod stored;
mod thoughts;
mod told;
pub(crate) mod tools;
mod turn;
pub(crate) mod usage;

#[cfg(test)]
pub(crate) use store::ExportedCall;
pub(crate) use store::OWNED;

use hatch_dialects::{Dialect, Version, count_body, estimate_prompt};
use worker::Env;

use crate::{
    error::Error,
    http::{RequestContext, body},
    platform::{clock::now_ms, log, response::Response},
    store::Database,
};

/// The request headers that pages of other origins may send here: ours, and
/// what the vendors' SDKs send with everything.
pub(crate) const REQUEST_HEADERS: &[&str] = &[
    "Anthropic-Beta",
    "Anthropic-Dangerous-Direct-Browser-Access",
    "OpenAI-Organization",
    "OpenAI-Project",
    "X-Gateway-Cache",
    "X-Gateway-Lenient",
    "X-Gateway-Models",
    "X-Gateway-Route",
    "X-Gateway-Stream-Mode",
    "X-Provider-Key",
    "X-Stainless-Arch",
    "X-Stainless-Async",
    "X-Stainless-Helper-Method",
    "X-Stainless-Lang",
    "X-Stainless-OS",
    "X-Stainless-Package-Version",
    "X-Stainless-Retry-Count",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Timeout",
];

/// `POST /v1/chat/completions`
pub(crate) async fn chat(context: RequestContext) -> Result<Response, Error> {
    let asked = turn::read(&context, Dialect::Chat).await?;
    let tools = tools::steps::enabled(&asked, &context.settings)?;
    if tools.is_empty() {
        return turn::answer(asked, &context).await;
    }
    tools::steps::answer(asked, tools, &context).await
}

/// `POST /v1/responses`
pub(crate) async fn responses(context: RequestContext) -> Result<Response, Error> {
    turn::answer(turn::read(&context, Dialect::Responses).await?, &context).await
}

/// `POST /v1/messages`
pub(crate) async fn messages(context: RequestContext) -> Result<Response, Error> {
    turn::answer(turn::read(&context, Dialect::Messages).await?, &context).await
}

/// `POST /v1/messages/count_tokens`: an estimate, which is rather too high.
pub(crate) async fn count_tokens(context: RequestContext) -> Result<Response, Error> {
    let bytes = body::bytes(&context).await?;
    Version::parse(context.request.header("anthropic-version").as_deref())?;
    let request = hatch_dialects::parse_count(&bytes, &asked::incoming(&context)?)?;
    Ok(Response::json(200, count_body(estimate_prompt(&request))))
}

/// Forgets what nobody can ask for any more.
pub(crate) async fn sweep(env: &Env) {
    let swept = async { Database::open(env)?.batch_all(store::forget(now_ms())).await };
    if let Err(error) = swept.await {
        log::failure("gateway.sweep", &error);
    }
}
