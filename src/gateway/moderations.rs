//! `POST /v1/moderations`.

use hatch_dialects::{
    Request, Usage, estimate, parse_moderation,
    request::{Message, Part, Role},
    translate_moderation,
};
use serde_json::json;

use super::{
    asked::Options,
    ledger::Outcome,
    moderate, told,
    turn::{self, Turn},
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::{self, Posted},
    platform::response::Response,
};

/// `POST /v1/moderations`. Who names no model is answered by the first one
/// here that can moderate.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let asked = parse_moderation(&bytes)?;
    let options = Options::read(&context)?;
    let model = match &asked.model {
        Some(model) => model.clone(),
        None => moderate::default(&super::models::keys(&context).await?, &context, &database).await?,
    };
    // What is to be judged is not kept from the judge: no guardrail looks at it.
    let mut request = Request { model: model.clone(), ..Request::default() };
    request.messages.push(Message::new(Role::User, vec![Part::text(String::new())]));
    let turn = Turn::begin(&mut request, vec![&model], &options, &user, &context, &database).await?;
    let posted = match moderate::ask(&asked, turn.candidates, &turn.keys, models::WHOLE_MS).await {
        Ok(posted) => posted,
        Err(unanswered) => return Err(turn::refuse(turn.entry, unanswered, &database).await),
    };
    let Posted { bytes, candidate, attempts, first_token_ms } = posted;
    let count = serde_json::from_str::<serde_json::Value>(asked.input.as_str()).ok();
    let count = count.and_then(|input| input.as_array().map(Vec::len)).unwrap_or(1);
    let harmless = || json!({ "results": vec![json!({ "flagged": false }); count] }).to_string().into_bytes();
    let told = translate_moderation(&bytes.unwrap_or_else(harmless), &turn.entry.id.replace('-', ""), &model);
    let estimated = Usage { input: estimate(asked.input.as_str()), ..Usage::default() };
    let answered = Outcome::answered(&candidate, attempts, first_token_ms, None, estimated);
    let outcome = Outcome { status: if told.is_ok() { 200 } else { 502 }, ..answered };
    turn.entry.close(outcome, Vec::new(), &database).await;
    let headers = told::headers_of(&candidate, attempts, &[]);
    Ok(told::with(Response::json(200, told?), headers, &context.request_id))
}
