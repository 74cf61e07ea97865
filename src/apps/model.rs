//! The one place where a model is asked: Claude where there is a key, the
//! sandbox model in development.

use hatch_dialects::{Class, Dialect, Reader, Request, Response, Target, Usage};
use hatch_wire::anthropic::Usage as Tokens;
use serde_json::Value;
use worker::Env;

use super::{
    sandbox::{self, Scene},
    settings::{AgentServer, Apps},
};
use crate::{
    error::{Error, UpstreamKind},
    platform::pump::{Deadlines, End},
    settings::{FromVars as _, Settings},
    upstream::{
        anthropic::{self, Claude, models},
        sandbox::Templates,
    },
};

/// The longest answer; a consumer of a queue has a quarter of an hour.
const ANSWER_MS: i64 = 10 * 60_000;

/// An answer, or why there is none, and what it has cost all the same.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: Result<Response, Error>,
    /// Read and written.
    pub(super) tokens: i64,
    pub(super) cost_micro_usd: i64,
}

/// That there is somebody to do the work.
///
/// # Errors
/// [`Error::NotConfigured`] in production without an agent server and without a key.
pub(super) fn can_work(settings: &Settings) -> Result<(), Error> {
    let is_there = Option::<AgentServer>::of(settings)?.is_some()
        || Claude::of(settings)?.key.is_some()
        || settings.is_development();
    if is_there { Ok(()) } else { Err(no_model()) }
}

pub(super) fn no_model() -> Error {
    Error::NotConfigured {
        variable: "CLAUDE_API_KEY",
        detail: "Set the secret CLAUDE_API_KEY, or AGENT_SERVER_URL, to build apps from a conversation"
            .to_owned(),
    }
}

/// The model that answers.
pub(super) fn name(settings: &Settings) -> Result<String, Error> {
    let claude = Claude::of(settings)?;
    Ok(match &Apps::of(settings)?.model {
        _ if claude.key.is_none() => sandbox::MODEL.to_owned(),
        Some(model) => model.clone(),
        None => claude.model.clone(),
    })
}

/// Asks for one answer and reads it to its end.
pub(super) async fn ask(
    request: &Request,
    scene: &Scene<'_>,
    settings: &Settings,
    env: &Env,
) -> Result<Asked, Error> {
    if Claude::of(settings)?.key.is_none() {
        return Ok(Asked {
            answer: Ok(sandbox::play(scene, &Templates::read(env, Templates::APPS).await?)),
            tokens: 0,
            cost_micro_usd: 0,
        });
    }
    let target = Target { stream: true, ..Target::new(request.model.as_str()) };
    let rendered = Dialect::Messages.render_request(request, &target).map_err(|error| described(&error))?;
    let body: Value = serde_json::from_str(&rendered.body).map_err(|e| Error::Internal(e.to_string()))?;
    let deadlines = Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: ANSWER_MS };
    let source = anthropic::open(settings, &body, deadlines).await?;
    let outcome = source.collect(deadlines, async |_| ()).await;
    let mut reader = Reader::new(Dialect::Messages);
    reader.push(&outcome.received);
    let (usage, _) = reader.meter().charged(hatch_dialects::estimate_prompt(request));
    let answer = reader.finish().map_err(|error| match outcome.end {
        End::Stalled => {
            Error::upstream(UpstreamKind::Timeout, "The model fell silent in the middle of its answer")
        }
        _ => described(&error),
    });
    let tokens = i64::try_from(usage.total()).unwrap_or(i64::MAX);
    Ok(Asked { answer, tokens, cost_micro_usd: cost(&request.model, &usage) })
}

fn cost(model: &str, usage: &Usage) -> i64 {
    let tokens = Tokens {
        input_tokens: usage.input,
        output_tokens: usage.output,
        cache_creation_input_tokens: usage.cache_writes(),
        cache_read_input_tokens: usage.cache_read,
    };
    models::cost_of_tokens(model, &tokens)
}

/// A failure of the model's, in our own words.
fn described(error: &hatch_dialects::Error) -> Error {
    let (kind, words) = match error.class {
        Class::Overloaded => (UpstreamKind::Overloaded, "The model is overloaded"),
        Class::RateLimit => (UpstreamKind::RateLimited, "The model's rate limit is reached"),
        Class::Timeout => (UpstreamKind::Timeout, "The model did not answer in time"),
        Class::Cut => (UpstreamKind::Interrupted, "The model's answer broke off"),
        Class::Upstream => (UpstreamKind::Failed, "The model failed"),
        Class::Authentication | Class::Permission => {
            (UpstreamKind::Unauthorized, "The model refused our key")
        }
        Class::Billing => (UpstreamKind::Billing, "The account of our key cannot pay for this"),
        _ => (UpstreamKind::Rejected, "The model refused the request"),
    };
    Error::upstream(kind, words)
}
