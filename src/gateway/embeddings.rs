//! `POST /v1/embeddings`.

use hatch_dialects::{
    Embeddings, Error as DialectError, Json, Request, Usage, estimate, parse_embeddings, render_embeddings,
    request::{Message, Part, Role},
    translate_embeddings, tree,
};
use serde_json::{Value, json};

use super::{
    call::{Call, Wanted},
    ledger::Outcome,
    request::Options,
    response,
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::{self, PostResponse},
    platform::response::Response,
};

/// As many dimensions as OpenAI's small model has.
const SANDBOX_DIMENSIONS: u64 = 1_536;

/// `POST /v1/embeddings`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let mut embeddings = parse_embeddings(&bytes)?;
    if embeddings.model == models::AUTO {
        let words = "vectors of different models cannot be compared: name a model of embeddings";
        return Err(DialectError::unsupported("model", words).into());
    }
    let mut request = as_request(&embeddings);
    let is_text = request.messages.iter().any(|message| !message.parts.is_empty());
    let mut options = Options::read(&context)?;
    options.other_tokens = if is_text { 0 } else { estimate(embeddings.input.as_str()) };
    let model = embeddings.model.clone();
    let wanted = Wanted { names: vec![&model], options: &options, step: None };
    let call = Call::begin(&mut request, wanted, &context, &database).await?;
    replace_texts(&mut embeddings, request);
    let body_for = |candidate: &models::Candidate| render_embeddings(&embeddings, &candidate.model.name);
    let posted = models::post("/embeddings", body_for, call.candidates, &call.keys, models::WHOLE_MS);
    let posted = match call.entry.noted(posted, &database).await {
        Ok(posted) => posted,
        Err(unanswered) => return Err(call.entry.fail(unanswered, &database).await),
    };
    let PostResponse { bytes, candidate, attempts, first_token_ms, sent_keys } = posted;
    let translated = translate_embeddings(
        &bytes.unwrap_or_else(|| of_sandbox(&embeddings)),
        &embeddings,
        &embeddings.model,
    );
    let translated = translated.map_err(|error| models::client_safe(error, &sent_keys));
    let usage = translated.as_ref().ok().and_then(|(_, usage)| *usage);
    let estimated = Usage { input: call.prompt_tokens, ..Usage::default() };
    let answered = Outcome::answered(&candidate, attempts, first_token_ms, usage, estimated);
    let outcome = Outcome { status: if translated.is_ok() { 200 } else { 502 }, ..answered };
    call.entry.close(outcome, &database).await;
    let headers = response::headers_of(&candidate, attempts, &[]);
    Ok(response::with(Response::json(200, translated?.0), headers, &context.request_id))
}

/// The texts as a request, so that guardrails and prices apply to them.
fn as_request(embeddings: &Embeddings) -> Request {
    let parts = texts(&embeddings.input).into_iter().map(Part::text).collect();
    Request {
        model: embeddings.model.clone(),
        user: embeddings.user.clone(),
        messages: vec![Message::new(Role::User, parts)],
        ..Request::default()
    }
}

/// The texts of an input. Input in tokens has none.
fn texts(input: &Json) -> Vec<String> {
    match tree(input.as_str()) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Replaces the texts with what the guardrails have left of them.
fn replace_texts(embeddings: &mut Embeddings, request: Request) {
    embeddings.user = request.user;
    let left: Vec<&str> =
        request.messages.iter().flat_map(|message| &message.parts).filter_map(Part::as_text).collect();
    if left.is_empty() {
        return;
    }
    let is_one = embeddings.input.as_str().trim_start().starts_with('"');
    let input = if is_one { json!(left.first()) } else { json!(left) };
    if let Some(input) = Json::parse(&input.to_string()) {
        embeddings.input = input;
    }
}

fn of_sandbox(embeddings: &Embeddings) -> Vec<u8> {
    let dimensions =
        usize::try_from(embeddings.dimensions.unwrap_or(SANDBOX_DIMENSIONS).min(4_096)).unwrap_or_default();
    let mut texts = texts(&embeddings.input);
    texts.resize(embeddings.count, embeddings.input.as_str().to_owned());
    let row = |(index, text): (usize, &String)| json!({ "index": index, "embedding": models::sandbox_embedding(text, dimensions) });
    let data: Vec<Value> = texts.iter().enumerate().map(row).collect();
    json!({ "data": data, "usage": { "prompt_tokens": embeddings.count, "total_tokens": embeddings.count } })
        .to_string()
        .into_bytes()
}
