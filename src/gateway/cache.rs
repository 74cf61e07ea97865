//! The cache of whole answers, for requests with `x-gateway-cache`: a user who
//! repeats a request under the same guardrails gets the same answer.

use hatch_dialects::{
    ChatForm, Dialect, Reply, Response as DialectResponse, canonical,
    request::{Content, Part},
    response::{Choice, StopReason},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    guardrails::Guards,
    request::{CacheControl, GatewayRequest},
    stored::responses::with_thoughts,
};
use crate::{models::Candidate, platform::cache};

/// These change the form of an answer, not its content.
const IGNORED: &[&str] = &[
    "stream",
    "stream_options",
    "user",
    "metadata",
    "store",
    "models",
    "safety_identifier",
    "completion_id",
];

/// The cache key of a request, and the lifetime of its answer.
#[derive(Debug)]
pub(super) struct CacheSlot {
    name: String,
    seconds: u32,
}

/// A cached answer as its client reads it, and the model that gave it.
#[derive(Serialize, Deserialize)]
struct CacheRow {
    provider: String,
    model: String,
    body: String,
}

/// An answer from the cache, and the model that gave it.
#[derive(Debug)]
pub(super) struct CachedAnswer {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) answer: DialectResponse,
}

impl CacheSlot {
    /// None if the answer must not be cached: the client does not ask for it,
    /// the request has a tool's result, its temperature is above 0, or it is a stream with audio or log probabilities.
    pub(super) fn of(request: &GatewayRequest, guards: &Guards, user: &str) -> Option<Self> {
        let CacheControl { seconds, is_forced } = request.options.cache?;
        let has_results =
            request.request.messages.iter().any(|message| message.tool_results().next().is_some());
        let is_random = request.request.temperature.is_some_and(|temperature| temperature > 0.0);
        // These are in the events of a stream alone.
        let has_more = request.request.wants_audio() || request.request.wants_logprobs();
        let depends_on_more = request.has_references || !request.ours.enabled_tools.is_empty();
        if has_results || (request.request.stream && has_more) || depends_on_more || (is_random && !is_forced)
        {
            return None;
        }
        let body = canonical(&request.bytes, IGNORED).ok()?;
        let is_completion = matches!(request.ours.form, ChatForm::Completion { .. });
        let api = format!("{:?} {is_completion}", request.client);
        let parts = [user, &api, &guards.fingerprint, &request.options.fingerprint(), &body];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Some(Self { name: base16ct::lower::encode_string(&hash.finalize()), seconds })
    }

    /// The cached answer, if its model is one of the candidates.
    pub(super) async fn get(&self, client: Dialect, candidates: &[Candidate]) -> Option<CachedAnswer> {
        let CacheRow { provider, model, body } = hatch_json::from_str(&cache::get(&self.name).await?).ok()?;
        let may_answer = candidates.iter().any(|candidate| candidate.model.id == model);
        let answer = client.parse_response(body.as_bytes()).ok().filter(|_| may_answer)?;
        Some(CachedAnswer { provider, model, answer })
    }

    /// Caches a whole answer, unless the model or a guardrail has refused it, or a call of a tool in it has broken off.
    pub(super) async fn put(
        &self,
        answer: &DialectResponse,
        client: Dialect,
        candidate: &Candidate,
        reply: &Reply,
    ) {
        if answer.choices.iter().any(|choice| is_refused(choice) || has_broken_call(choice)) {
            return;
        }
        let row = CacheRow {
            provider: candidate.provider.name.clone(),
            model: candidate.model.id.clone(),
            // With the thoughts, which are stored with each answer from the cache.
            body: client.render_response(answer, &Reply { form: ChatForm::Chat, ..with_thoughts(reply) }),
        };
        if let Ok(text) = serde_json::to_string(&row) {
            cache::put(&self.name, text, self.seconds).await;
        }
    }
}

fn is_refused(choice: &Choice) -> bool {
    choice.stop.reason == StopReason::Refusal
}

/// What has arrived of the arguments is no JSON, which only a stream can say.
fn has_broken_call(choice: &Choice) -> bool {
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall(_));
    choice.stop.reason == StopReason::Length && choice.parts.iter().any(is_call)
}
