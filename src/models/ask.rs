//! Asks a model: sends the request as its provider reads it (question.rs), and reads the answer (reading.rs).
//!
//! The client gets the first byte only when a model has begun to answer, so that an answer
//! never mixes the words of two models.

use std::rc::Rc;

use hatch_dialects::{Dialect, Reply};

use super::{
    failover::{FailedCall, Succeeded, in_order},
    failure::AttemptError,
    outbound::Outbound,
    providers::path_of,
    question::{Question, Thoughts, render, upstream_dialect},
    reading::{ModelResponse, ResponseReader},
    routing::Candidate,
    sandbox,
    sent_keys::SentKeys,
    settings::Providers,
};
use crate::platform::clock::now_ms;

/// What is known of an answer that has begun.
#[derive(Debug)]
pub(crate) struct AnsweredCall {
    /// The model that answered, and its provider.
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) warnings: Vec<String>,
    /// How the response is rendered, with the names that tools have upstream.
    pub(crate) reply: Reply,
    /// The dialect of the upstream's bytes.
    pub(crate) upstream: Dialect,
    /// From the first attempt to the first word, in milliseconds.
    pub(crate) first_token_ms: i64,
}

/// Asks `candidates` in their order.
///
/// # Errors
/// The first candidate's error if no candidate answers, because its caller
/// asked for that model.
pub(crate) async fn ask(
    question: &Question<'_>,
    candidates: Vec<Candidate>,
    settings: &Providers,
) -> Result<(ModelResponse, AnsweredCall), FailedCall> {
    let reached = in_order(candidates, async |candidate, is_last| {
        attempt(candidate, is_last, question, settings).await
    })
    .await?;
    let Succeeded {
        got: AttemptResponse { answer, warnings, reply, upstream },
        candidate,
        attempts,
        first_token_ms,
    } = reached;
    Ok((answer, AnsweredCall { candidate, attempts, warnings, reply, upstream, first_token_ms }))
}

/// The response of one attempt.
struct AttemptResponse {
    answer: ModelResponse,
    warnings: Vec<String>,
    reply: Reply,
    upstream: Dialect,
}

async fn attempt(
    candidate: &Candidate,
    is_last: bool,
    question: &Question<'_>,
    settings: &Providers,
) -> Result<AttemptResponse, AttemptError> {
    if candidate.provider.is_sandbox() {
        return sandbox_response(candidate, question);
    }
    // A client of Anthropic has the thoughts in its own hands, and its request passes as it is.
    let upstream = upstream_dialect(candidate, question);
    let is_passed = (question.client, upstream) == (Dialect::Messages, Dialect::Messages)
        && !candidate.refuses_as_written(question.request);
    match try_once(candidate, is_last, question, settings, Thoughts::Sent).await {
        Err(failure) if failure.is_of_foreign_thoughts() && !is_passed => {
            try_once(candidate, is_last, question, settings, Thoughts::LeftOut).await
        }
        tried => tried,
    }
}

async fn try_once(
    candidate: &Candidate,
    is_last: bool,
    question: &Question<'_>,
    settings: &Providers,
    sent: Thoughts,
) -> Result<AttemptResponse, AttemptError> {
    let upstream = upstream_dialect(candidate, question);
    let wants_stream = question.is_live || question.request.stream;
    let mut rendered = render(candidate, question, upstream, wants_stream, sent)?;
    let is_streamed = wants_stream || rendered.needs_stream;
    if is_streamed && !wants_stream {
        rendered = render(candidate, question, upstream, true, sent)?;
    }
    let own_key = question.keys.open(&candidate.provider.name)?;
    let usual = reply_of(candidate, question, own_key.is_some());
    let reply = Reply { names: rendered.names, stops: rendered.stops, ..usual };
    // A slow model is given up only while another candidate remains.
    let within_ms = if is_streamed && !is_last { settings.first_token_ms } else { question.within_ms };
    let reader = ResponseReader {
        candidate,
        question,
        upstream,
        reply: &reply,
        sent_keys: SentKeys::of(candidate.provider, own_key.as_deref()),
        until_ms: now_ms().saturating_add_unsigned(within_ms),
        idle_ms: settings.idle_ms,
        is_last,
    };
    let (path, own_key) = (path_of(upstream), own_key.as_deref());
    let outbound = Outbound { path, body: rendered.body, dialect: upstream, own_key };
    let response = outbound.send(candidate, question.anthropic, within_ms).await?;
    let answer = reader.read(response).await?;
    Ok(AttemptResponse { answer, warnings: rendered.warnings, reply, upstream })
}

/// How the candidate's answer is rendered: with its name, as the client has written it if that is what it asked for, and
/// with its prices, unless the caller's own key pays.
fn reply_of(candidate: &Candidate, question: &Question<'_>, is_caller_paid: bool) -> Reply {
    let model = candidate.name_for(&question.reply.model).to_owned();
    let mut reply = Reply { model, ..question.reply.clone() };
    if let (Some(budget), false) = (&mut reply.budget, is_caller_paid) {
        budget.pricing = Some(Rc::new(candidate.model.clone()));
    }
    reply
}

fn sandbox_response(candidate: &Candidate, question: &Question<'_>) -> Result<AttemptResponse, AttemptError> {
    let response = Box::new(sandbox::answer(question.request).until(&question.request.stop)?);
    let answer = ModelResponse::Whole { response, bytes: None, events: None };
    let reply = reply_of(candidate, question, true);
    Ok(AttemptResponse { answer, warnings: Vec::new(), reply, upstream: Dialect::Chat })
}
