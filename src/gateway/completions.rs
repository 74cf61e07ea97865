//! `POST /v1/completions`: the legacy API, sent to the models as a chat.

use std::cell::Cell;

use futures::{StreamExt as _, stream};
use hatch_dialects::{
    ChatForm, Completion, Request, forward, parse_completion, render_completions, request::Message,
};

use super::{
    call::{self, Whole},
    ledger::Budgets,
    request::{GatewayRequest, Options},
    response,
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::KeyLimits,
    platform::response::{Response, ResponseKind},
};

/// `POST /v1/completions`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let bytes = body::bytes(&context).await?;
    let completion = parse_completion(&bytes)?;
    match completion.requests.as_slice() {
        [one] => call::answer(chat(one, &completion, &bytes, Options::read(&context)?)?, &context).await,
        _ => answer_all(&completion, &bytes, &context).await,
    }
}

/// How many prompts of a request are asked at once: a Worker has six connections, and the database needs one.
const AT_ONCE: usize = 4;

/// Answers several prompts. The first that fails is the whole request's error, and no more are asked then; those that
/// are under way are waited for, because a call that is dropped would not be recorded. The headers are of the last one
/// that a model has answered, if not all are from the cache.
async fn answer_all(
    completion: &Completion,
    bytes: &[u8],
    context: &RequestContext,
) -> Result<Response, Error> {
    let database = context.database()?;
    // With a cache a prompt that is there twice has the answer of the first one.
    let at_once = if Options::read(context)?.cache.is_some() { 1 } else { AT_ONCE };
    let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
    Budgets::of(&limits, context)?.count_request(&database).await?;
    let has_failed = Cell::new(false);
    let ask = async |request: &Request| {
        let mut options = Options::read(context)?;
        options.is_counted = true;
        let mut inbound = chat(request, completion, bytes, options)?;
        call::whole(&mut inbound, context, &database).await
    };
    let asked = stream::iter(&completion.requests).map(async |request| match has_failed.get() {
        true => None,
        false => Some(ask(request).await.inspect_err(|_| has_failed.set(true))),
    });
    let answers: Vec<Option<Result<Whole, Error>>> = asked.buffered(at_once).collect().await;
    let answers: Vec<Whole> = answers.into_iter().flatten().collect::<Result<_, _>>()?;
    render(completion, &answers, context)
}

fn render(completion: &Completion, answers: &[Whole], context: &RequestContext) -> Result<Response, Error> {
    let of_model = answers.iter().rfind(|whole| !response::is_hit(&whole.headers));
    let head = of_model.or(answers.first());
    let head = head.ok_or_else(|| Error::Internal("a completion without a prompt".to_owned()))?;
    let echoes = completion.requests.iter().map(|request| echo(request, completion));
    let echoes: Vec<Option<String>> = echoes.collect();
    let answers: Vec<_> =
        echoes.iter().map(Option::as_deref).zip(answers.iter().map(|whole| &whole.answer)).collect();
    let json = render_completions(&answers, &head.reply).into_bytes();
    let response = Response::bytes(ResponseKind::Api, 200, "application/json", json);
    Ok(response::with(response, head.headers.clone(), &context.request_id))
}

/// The chat of one prompt. It is cached as a completion of this prompt alone, without its echo.
fn chat(
    request: &Request,
    completion: &Completion,
    bytes: &[u8],
    options: Options,
) -> Result<GatewayRequest, Error> {
    let body = match options.cache {
        Some(_) => {
            let prompt = serde_json::Value::from(prompt(request)).to_string();
            forward(bytes, &[("prompt", Some(prompt)), ("echo", None)])?.into_bytes()
        }
        None => Vec::new(),
    };
    let form = ChatForm::Completion { prompt: echo(request, completion) };
    GatewayRequest::chat_for(request.clone(), form, body, options)
}

fn echo(request: &Request, completion: &Completion) -> Option<String> {
    completion.echo.then(|| prompt(request))
}

fn prompt(request: &Request) -> String {
    request.messages.iter().map(Message::text).collect()
}
