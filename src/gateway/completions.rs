//! `POST /v1/completions`: the legacy API, sent to the models as a chat.

use hatch_dialects::{
    Reply, Response as DialectResponse, parse_completion, render_completion, stream_completion,
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

/// `POST /v1/completions`. Several prompts are answered one after the other.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    let bytes = body::bytes(&context).await?;
    let completion = parse_completion(&bytes)?;
    let mut answers: Vec<DialectResponse> = Vec::new();
    let mut last: Option<(Reply, response::Headers)> = None;
    for request in &completion.requests {
        let mut options = Options::read(&context)?;
        options.is_counted = last.is_some();
        let mut inbound = GatewayRequest::ours(request.clone(), options)?;
        let whole = call::whole(&mut inbound, &context, &database).await?;
        answers.push(whole.answer);
        last = Some((whole.reply, whole.headers));
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
