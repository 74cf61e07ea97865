//! `POST /v1/completions`: the legacy API, sent to the models as a chat.

use hatch_dialects::{
    ChatForm, Completion, Reply, Request, Response as DialectResponse, forward, parse_completion,
    render_completions, request::Message,
};

use super::{
    call,
    request::{GatewayRequest, Options},
    response,
};
use crate::{
    error::Error,
    http::{RequestContext, body},
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

/// Answers several prompts, one after the other. The headers are of the last one that a model has answered, if not all
/// are from the cache.
async fn answer_all(
    completion: &Completion,
    bytes: &[u8],
    context: &RequestContext,
) -> Result<Response, Error> {
    let database = context.database()?;
    let mut answers: Vec<(Option<String>, DialectResponse)> = Vec::new();
    let mut last: Option<(Reply, response::Headers)> = None;
    for request in &completion.requests {
        let mut options = Options::read(context)?;
        options.is_counted = last.is_some();
        let mut inbound = chat(request, completion, bytes, options)?;
        let whole = call::whole(&mut inbound, context, &database).await?;
        answers.push((echo(request, completion), whole.answer));
        if last.is_none() || !response::is_hit(&whole.headers) {
            last = Some((whole.reply, whole.headers));
        }
    }
    let (reply, headers) = last.ok_or_else(|| Error::Internal("a completion without a prompt".to_owned()))?;
    let answers: Vec<_> = answers.iter().map(|(echo, answer)| (echo.as_deref(), answer)).collect();
    let json = render_completions(&answers, &reply).into_bytes();
    let response = Response::bytes(ResponseKind::Api, 200, "application/json", json);
    Ok(response::with(response, headers, &context.request_id))
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
