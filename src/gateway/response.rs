//! Renders answers and their headers for the client.

use hatch_dialects::{Dialect, Reply, Response as DialectResponse, stream_of};

use crate::{
    models::{AnsweredCall, Candidate},
    platform::response::{Response, ResponseKind},
};

pub(super) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// The longest header value.
const LONGEST_WARNINGS: usize = 1_000;

pub(super) type Headers = Vec<(&'static str, String)>;

/// The headers that say which model has answered.
pub(super) fn headers(answered: &AnsweredCall, warnings: &[String]) -> Headers {
    // What was rendered has the warnings of its request already.
    let others = warnings.iter().filter(|warning| !answered.warnings.contains(warning));
    let warnings: Vec<&str> = answered.warnings.iter().chain(others).map(String::as_str).collect();
    headers_of(&answered.candidate, answered.attempts, &warnings)
}

pub(super) fn headers_of(candidate: &Candidate, attempts: u32, warnings: &[&str]) -> Headers {
    let mut headers = vec![
        ("x-gateway-provider", candidate.provider.name.clone()),
        ("x-gateway-model", ascii(&candidate.model.id)),
        ("x-gateway-attempts", attempts.to_string()),
    ];
    warn(&mut headers, warnings);
    headers
}

/// Whether the answer is from the cache.
pub(super) fn is_hit(headers: &Headers) -> bool {
    headers.iter().any(|(name, value)| *name == "x-gateway-cache" && value == "hit")
}

/// Adds warnings to the header.
pub(super) fn warn(headers: &mut Headers, warnings: &[&str]) {
    const NAME: &str = "x-gateway-warnings";
    if warnings.is_empty() {
        return;
    }
    let earlier = headers.iter().position(|(name, _)| *name == NAME).map(|at| headers.swap_remove(at).1);
    let all: Vec<&str> = earlier.as_deref().into_iter().chain(warnings.iter().copied()).collect();
    headers.push((NAME, ascii(&all.join("; "))));
}

/// The text in characters that a header allows.
fn ascii(text: &str) -> String {
    let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    text.chars().take(LONGEST_WARNINGS).map(plain).collect()
}

/// Adds these headers and the request id to a response.
pub(super) fn with(response: Response, headers: Headers, request_id: &str) -> Response {
    let response = headers.into_iter().fold(response, |response, (name, value)| response.with(name, value));
    // Anthropic's SDKs read this name, OpenAI's read `x-request-id`.
    response.with("request-id", request_id).not_kept()
}

/// The response for a whole answer: the bytes that are ready for its client, or JSON of the client's
/// dialect, or a stream of it.
pub(super) fn whole(
    answer: &DialectResponse,
    ready: Option<Vec<u8>>,
    client: Dialect,
    is_stream: bool,
    reply: &Reply,
    headers: Headers,
) -> Response {
    let response = if is_stream {
        let events = ready.unwrap_or_else(|| stream_of(answer, client, reply).into_bytes());
        Response::bytes(ResponseKind::Api, 200, EVENT_STREAM, events)
    } else {
        let json = ready.unwrap_or_else(|| client.render_response(answer, reply).into_bytes());
        Response::bytes(ResponseKind::Api, 200, "application/json", json)
    };
    with(response, headers, &reply.request_id)
}
