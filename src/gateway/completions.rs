//! `POST /v1/completions`: the legacy API, asked as a chat.

use hatch_dialects::{
    Dialect, Reply, Response as Answer, Usage, parse_completion, render_completion, stream_completion,
};

use super::{
    asked::{Asked, Options},
    ledger::Outcome,
    told,
    turn::{self, Turn},
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models,
    platform::response::{Response, ResponseKind},
};

/// `POST /v1/completions`. Several prompts are asked one after the other.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let completion = parse_completion(&bytes)?;
    let mut answers: Vec<Answer> = Vec::new();
    let mut last: Option<(Reply, told::Headers)> = None;
    for request in &completion.requests {
        let mut asked = Asked {
            client: Dialect::Chat,
            request: request.clone(),
            bytes: Vec::new(),
            // The body is no chat: what the models read is written anew.
            needs_us: true,
            previous: Vec::new(),
            options: Options::read(&context)?,
        };
        let names = vec![request.model.as_str()];
        let mut turn =
            Turn::begin(&mut asked.request, names, &asked.options, &user, &context, &database).await?;
        let answered = match turn.ask(&asked, false, &context).await {
            Ok(answered) => answered,
            Err(unanswered) => return Err(turn::refuse(turn.entry, unanswered, &database).await),
        };
        let mut headers = told::headers(&answered, &asked.request.warnings);
        let models::Answer::Whole { response, .. } = answered.answer else {
            return Err(Error::Internal("a whole answer was asked for".to_owned()));
        };
        let outcome = Outcome::answered(
            &answered.candidate,
            answered.attempts,
            answered.first_token_ms,
            response.usage,
            Usage { input: turn.prompt_tokens, ..Usage::default() },
        );
        let watched = turn.watch(&response, &mut headers, &context, &database).await;
        turn.entry.close(outcome, Vec::new(), &database).await;
        answers.push(watched?);
        last = Some((answered.reply, headers));
    }
    let (reply, headers) = last.ok_or_else(|| Error::Internal("a completion without a prompt".to_owned()))?;
    let is_stream = completion.requests.first().is_some_and(|request| request.stream);
    let response = match answers.first().filter(|_| is_stream) {
        Some(answer) => {
            let text = stream_completion(&completion, answer, &reply);
            Response::bytes(ResponseKind::Api, 200, told::EVENT_STREAM, text.into_bytes())
        }
        None => Response::json(200, render_completion(&completion, &answers, &reply)),
    };
    Ok(told::with(response, headers, &context.request_id))
}
