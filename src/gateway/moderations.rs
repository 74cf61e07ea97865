//! `POST /v1/moderations`.

use hatch_dialects::{
    Request, Usage, estimate, parse_moderation,
    request::{Message, Part, Role},
    translate_moderation, tree,
};
use serde_json::json;

use super::{
    account::Account,
    call::{Call, Wanted},
    guardrails::moderation,
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

/// `POST /v1/moderations`. Without a model in the body, or for `auto`, the first model of the
/// catalogue that can moderate answers.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let moderation = parse_moderation(&bytes)?;
    let mut options = Options::read(&context)?;
    options.other_tokens = estimate(moderation.input.as_str());
    let model = match moderation.model.as_deref() {
        Some(model) if model != models::AUTO => model.to_owned(),
        _ => {
            moderation::default_model(&Account::of(&context).await?.keys(&context)?, &context, &database)
                .await?
        }
    };
    // Guardrails do not check this text: the moderation model must see all of it.
    let mut request = Request { model: model.clone(), ..Request::default() };
    request.messages.push(Message::new(Role::User, vec![Part::text(String::new())]));
    let wanted = Wanted { names: vec![&model], options: &options, step: None };
    let call = Call::begin(&mut request, wanted, &context, &database).await?;
    let answer = moderation::ask(&moderation, call.candidates, &call.keys, models::WHOLE_MS);
    let (posted, usage) = match call.entry.noted(answer, &database).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(call.entry.fail(unanswered, &database).await),
    };
    let PostResponse { bytes, candidate, attempts, first_token_ms, .. } = posted;
    let count = tree(moderation.input.as_str());
    let count = count.and_then(|input| input.as_array().map(Vec::len)).unwrap_or(1);
    let harmless = || json!({ "results": vec![json!({ "flagged": false }); count] }).to_string().into_bytes();
    let translated =
        translate_moderation(&bytes.unwrap_or_else(harmless), &call.entry.id.replace('-', ""), &model);
    let estimated = Usage { input: estimate(moderation.input.as_str()), ..Usage::default() };
    let answered = Outcome::answered(&candidate, attempts, first_token_ms, usage, estimated);
    let outcome = Outcome { status: if translated.is_ok() { 200 } else { 502 }, ..answered };
    call.entry.close(outcome, &database).await;
    let headers = response::headers_of(&candidate, attempts, &[]);
    Ok(response::with(Response::json(200, translated?), headers, &context.request_id))
}
