//! The gateway: every model behind one API, for programs that speak to OpenAI
//! or to Anthropic.
//!
//! A request is read in its client's dialect (request.rs), its highest cost is
//! reserved (call.rs, eligible.rs), the candidates are asked in their order
//! (`crate::models`), and the answer is rendered in the client's dialect
//! (response.rs), as a stream (live.rs), or from the cache (cache.rs). guardrails/
//! checks what goes in and comes out, tools/ runs tools here, and stored/ stores
//! answers for their users. ledger.rs records the call, with those of other calls (group_commit.rs), and gives back what was
//! not spent.

mod account;
mod cache;
mod call;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod dialect;
pub(crate) mod dynamic_apps;
mod eligible;
pub(crate) mod embeddings;
mod group_commit;
pub(crate) mod guardrails;
mod ledger;
mod live;
pub(crate) mod models;
pub(crate) mod moderations;
#[cfg(test)]
pub(crate) mod openapi;
mod request;
mod response;
mod store;
pub(crate) mod stored;
mod thoughts;
pub(crate) mod tools;
pub(crate) mod usage;

#[cfg(test)]
pub(crate) use store::ExportedCall;
pub(crate) use store::{OWNED, account_of_token};

use hatch_dialects::{Dialect, Request, Version, count_body, estimate_prompt};
use serde_json::json;
use worker::Env;

use crate::{
    error::Error,
    http::{RequestContext, body},
    models::{Catalogue, KeyLimits, Preference, Providers, RouteQuery, candidates},
    platform::{clock::now_ms, log, response::Response},
    settings::FromVars as _,
    store::Database,
};

/// The request headers that pages of other origins may send here: our own, and
/// those that the vendors' SDKs always send.
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
    let inbound = call::read(&context, Dialect::Chat).await?;
    let tools = tools::steps::enabled(&inbound, &context.settings)?;
    if tools.is_empty() {
        return call::answer(inbound, &context).await;
    }
    tools::steps::answer(inbound, tools, context).await
}

/// `POST /v1/responses`
pub(crate) async fn responses(context: RequestContext) -> Result<Response, Error> {
    call::answer(call::read(&context, Dialect::Responses).await?, &context).await
}

/// `POST /v1/responses/input_tokens`: an estimate that is rather too high.
pub(crate) async fn input_tokens(context: RequestContext) -> Result<Response, Error> {
    let inbound = call::read(&context, Dialect::Responses).await?;
    require_models(inbound.names(), &context).await?;
    let tokens = estimate_prompt(&inbound.request);
    let count = json!({ "object": "response.input_tokens", "input_tokens": tokens });
    Ok(Response::json(200, count.to_string()))
}

/// `POST /v1/messages`
pub(crate) async fn messages(context: RequestContext) -> Result<Response, Error> {
    call::answer(call::read(&context, Dialect::Messages).await?, &context).await
}

/// `POST /v1/messages/count_tokens`: an estimate that is rather too high.
pub(crate) async fn count_tokens(context: RequestContext) -> Result<Response, Error> {
    let bytes = body::bytes(&context).await?;
    Version::parse(context.request.header("anthropic-version").as_deref())?;
    let request = hatch_dialects::parse_count(&bytes, &request::incoming(&context)?)?;
    require_models(vec![&request.model], &context).await?;
    Ok(Response::json(200, count_body(estimate_prompt(&request))))
}

/// # Errors
/// 404 for a name that no message could be sent to, 403 if the caller's key allows none of these.
async fn require_models(names: Vec<&str>, context: &RequestContext) -> Result<(), Error> {
    let settings = &context.settings;
    let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
    let catalogue = Catalogue::of(settings, &context.database()?).await?;
    let keys = account::Account::of(context).await?.keys(context)?;
    let query = RouteQuery {
        names,
        preference: Preference::default(),
        prompt_tokens: 0,
        allowed: limits.models.as_deref(),
        keys: &keys,
    };
    candidates(&query, &Request::default(), &catalogue, Providers::of(settings)?)?;
    Ok(())
}

/// Deletes expired rows.
pub(crate) async fn sweep(env: &Env) {
    let swept = async { Database::open(env)?.batch_all(store::forget(now_ms())).await };
    if let Err(error) = swept.await {
        log::failure("gateway.sweep", &error);
    }
}
