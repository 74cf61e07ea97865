//! `POST /v1/completions`: the legacy API, sent to the models as a chat.

use hatch_dialects::{
    Dialect, Reply, Response as DialectResponse, Usage, parse_completion, render_completion,
    stream_completion,
};

use super::{
    call::{self, Call},
    ledger::Outcome,
    request::{GatewayRequest, Options},
    response,
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models,
    platform::response::{Response, ResponseKind},
};

/// `POST /v1/completions`. Several prompts are answered one after the other.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let completion = parse_completion(&bytes)?;
    let mut answers: Vec<DialectResponse> = Vec::new();
    let mut last: Option<(Reply, response::Headers)> = None;
    for request in &completion.requests {
        let mut chat = GatewayRequest {
            client: Dialect::Chat,
            request: request.clone(),
            bytes: Vec::new(),
            // The client's body is not a chat, so models get a rendered one.
            needs_us: true,
            previous: Vec::new(),
            options: Options::read(&context)?,
        };
        let names = vec![request.model.as_str()];
        let mut call =
            Call::begin(&mut chat.request, names, &chat.options, &user, &context, &database).await?;
        let answered = match call.ask(&chat, false, &context).await {
            Ok(answered) => answered,
            Err(unanswered) => return Err(call::fail(call.entry, unanswered, &database).await),
        };
        let mut headers = response::headers(&answered, &chat.request.warnings);
        let models::ModelResponse::Whole { response, .. } = answered.answer else {
            return Err(Error::Internal("the model was asked for a whole answer".to_owned()));
        };
        let outcome = Outcome::answered(
            &answered.candidate,
            answered.attempts,
            answered.first_token_ms,
            response.usage,
            Usage { input: call.prompt_tokens, ..Usage::default() },
        );
        let watched = call.watch(&response, &mut headers, &context, &database).await;
        call.entry.close(outcome, Vec::new(), &database).await;
        answers.push(watched?);
        last = Some((answered.reply, headers));
    }
    let (reply, headers) = last.ok_or_else(|| Error::Internal("a completion without a prompt".to_owned()))?;
    let is_stream = completion.requests.first().is_some_and(|request| request.stream);
    let response = match answers.first().filter(|_| is_stream) {
        Some(answer) => {
            let text = stream_completion(&completion, answer, &reply);
            Response::bytes(ResponseKind::Api, 200, response::EVENT_STREAM, text.into_bytes())
        }
        None => Response::json(200, render_completion(&completion, &answers, &reply)),
    };
    Ok(response::with(response, headers, &context.request_id))
}
