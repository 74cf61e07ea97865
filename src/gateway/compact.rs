//! `POST /v1/responses/compact`: a provider makes a conversation shorter. It returns the user's messages, and
//! encrypts the rest in one item, so that there is nothing for the guardrails of answers to read.

use hatch_dialects::{Dialect, Usage, translate_compaction, tree};
use serde_json::{Value, json};

use super::{
    call::{self, Call},
    ledger::Outcome,
    request::GatewayRequest,
    response,
};
use crate::{
    error::Error,
    http::RequestContext,
    models::{self, Compaction, PostResponse},
    platform::response::Response,
};

/// `POST /v1/responses/compact`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    let mut inbound = call::read(&context, Dialect::Responses).await?;
    let mut call = call::begin(&mut inbound, None, &context, &database).await?;
    let warnings = call.warnings(&inbound);
    let candidates = std::mem::take(&mut call.candidates);
    let is_changed = call.is_changed || !call.guards.have_read(inbound.body());
    let compaction = Compaction {
        body: inbound.body(),
        changed: is_changed.then_some(&inbound.request),
        is_lenient: inbound.options.is_lenient,
    };
    let posted = models::compact(&compaction, candidates, &call.keys);
    let posted = match call.entry.noted(posted, &database).await {
        Ok(posted) => posted,
        Err(unanswered) => return Err(call.entry.fail(unanswered, &database).await),
    };
    let PostResponse { bytes, candidate, attempts, first_token_ms, sent_keys } = posted;
    let id = format!("resp_{}", call.entry.id.replace('-', ""));
    let translated = translate_compaction(&bytes.unwrap_or_else(|| of_sandbox(&inbound, &call)), &id);
    let translated = translated.map_err(|error| models::client_safe(error, &sent_keys));
    let usage = translated.as_ref().ok().and_then(|(_, usage)| *usage);
    let estimated = Usage { input: call.prompt_tokens, ..Usage::default() };
    let answered = Outcome::answered(&candidate, attempts, first_token_ms, usage, estimated);
    let outcome = Outcome { status: if translated.is_ok() { 200 } else { 502 }, ..answered };
    call.entry.close(outcome, &database).await;
    let warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
    let headers = response::headers_of(&candidate, attempts, &warnings);
    Ok(response::with(Response::json(200, translated?.0), headers, &context.request_id))
}

/// The sandbox forgets all but the user's messages.
fn of_sandbox(inbound: &GatewayRequest, call: &Call) -> Vec<u8> {
    let mut output: Vec<Value> = inbound.items.iter().filter_map(|item| tree(item.as_str())).collect();
    output.retain(|item| item.get("role").is_some_and(|role| role == "user"));
    output.iter_mut().for_each(|message| call.guards.redact(message));
    output.push(json!({ "id": "cmp_sandbox", "type": "compaction", "encrypted_content": "sandbox" }));
    let usage = json!({ "input_tokens": call.prompt_tokens, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 0, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": call.prompt_tokens });
    json!({ "id": "", "object": "response.compaction", "created_at": call.entry.started / 1_000, "output": output,
        "usage": usage })
    .to_string()
    .into_bytes()
}
