//! `POST /v1/embeddings`.

use hatch_dialects::{
    Embeddings, Json, Request, Usage, parse_embeddings, render_embeddings,
    request::{Message, Part, Role},
    translate_embeddings,
};
use serde_json::{Value, json};

use super::{
    asked::Options,
    ledger::Outcome,
    told,
    turn::{self, Turn},
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::{self, Posted},
    platform::response::Response,
};

/// As many numbers as OpenAI's small model gives.
const SANDBOX_DIMENSIONS: u64 = 1_536;

/// `POST /v1/embeddings`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let mut asked = parse_embeddings(&bytes)?;
    let options = Options::read(&context)?;
    let mut request = as_request(&asked);
    let model = asked.model.clone();
    let turn = Turn::begin(&mut request, vec![&model], &options, &user, &context, &database).await?;
    take_back(&mut asked, &request);
    let body_for = |candidate: &models::Candidate| render_embeddings(&asked, &candidate.model.name);
    let posted =
        match models::post("/embeddings", body_for, turn.candidates, &turn.keys, models::WHOLE_MS).await {
            Ok(posted) => posted,
            Err(unanswered) => return Err(turn::refuse(turn.entry, unanswered, &database).await),
        };
    let Posted { bytes, candidate, attempts, first_token_ms } = posted;
    let told = translate_embeddings(&bytes.unwrap_or_else(|| of_sandbox(&asked)), &asked, &asked.model);
    let usage = told.as_ref().ok().and_then(|(_, usage)| *usage);
    let estimated = Usage { input: turn.prompt_tokens, ..Usage::default() };
    let answered = Outcome::answered(&candidate, attempts, first_token_ms, usage, estimated);
    let outcome = Outcome { status: if told.is_ok() { 200 } else { 502 }, ..answered };
    turn.entry.close(outcome, Vec::new(), &database).await;
    let headers = told::headers_of(&candidate, attempts, &[]);
    Ok(told::with(Response::json(200, told?.0), headers, &context.request_id))
}

/// The texts as something that guardrails and prices know.
fn as_request(asked: &Embeddings) -> Request {
    let parts = texts(&asked.input).into_iter().map(Part::text).collect();
    Request {
        model: asked.model.clone(),
        messages: vec![Message::new(Role::User, parts)],
        ..Request::default()
    }
}

/// The texts of an input; tokens are none.
fn texts(input: &Json) -> Vec<String> {
    match serde_json::from_str(input.as_str()) {
        Ok(Value::String(text)) => vec![text],
        Ok(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// What the guardrails have left of the texts.
fn take_back(asked: &mut Embeddings, request: &Request) {
    let left: Vec<&str> =
        request.messages.iter().flat_map(|message| &message.parts).filter_map(Part::as_text).collect();
    if left.is_empty() {
        return;
    }
    let is_one = asked.input.as_str().trim_start().starts_with('"');
    let input = if is_one { json!(left.first()) } else { json!(left) };
    if let Some(input) = Json::parse(&input.to_string()) {
        asked.input = input;
    }
}

fn of_sandbox(asked: &Embeddings) -> Vec<u8> {
    let dimensions =
        usize::try_from(asked.dimensions.unwrap_or(SANDBOX_DIMENSIONS).min(4_096)).unwrap_or_default();
    let mut texts = texts(&asked.input);
    texts.resize(asked.count, asked.input.as_str().to_owned());
    let row = |(index, text): (usize, &String)| json!({ "index": index, "embedding": models::sandbox_embedding(text, dimensions) });
    let data: Vec<Value> = texts.iter().enumerate().map(row).collect();
    json!({ "data": data, "usage": { "prompt_tokens": asked.count, "total_tokens": asked.count } })
        .to_string()
        .into_bytes()
}
