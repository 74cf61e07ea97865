//! Answers that are told again: for who asks for it by `x-gateway-cache`, to
//! the same user, for the same request under the same guardrails.

use hatch_dialects::{Dialect, Reply, Response as Answer, canonical, response::StopReason};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    asked::{Asked, Wanted},
    guard::Guards,
};
use crate::{models::Candidate, platform::cache};

/// These change how an answer is told, and not what it says.
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

/// Where the answer to a request is kept, and for how long.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    seconds: u32,
}

/// What is kept: an answer as its client reads it, and who gave it.
#[derive(Serialize, Deserialize)]
struct Row {
    provider: String,
    model: String,
    body: String,
}

/// An answer that was told before, and who gave it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) answer: Answer,
}

impl Place {
    /// None where the answer is not to be told again: nobody wants that, a
    /// tool's result is in the question, or the model draws lots.
    pub(super) fn of(asked: &Asked, guards: &Guards, user: &str) -> Option<Self> {
        let Wanted { seconds, is_forced } = asked.options.cache?;
        let has_results =
            asked.request.messages.iter().any(|message| message.tool_results().next().is_some());
        let is_by_lot = asked.request.temperature.is_some_and(|temperature| temperature > 0.0);
        let says_more = asked.needs_us || !asked.ours.enabled_tools.is_empty();
        if has_results || says_more || (is_by_lot && !is_forced) {
            return None;
        }
        let body = canonical(&asked.bytes, IGNORED).ok()?;
        let dialect = format!("{:?}", asked.client);
        let parts = [user, &dialect, &guards.fingerprint, &asked.options.fingerprint(), &body];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Some(Self { name: base16ct::lower::encode_string(&hash.finalize()), seconds })
    }

    /// The answer that is kept, if it is of somebody who may answer now.
    pub(super) async fn get(&self, client: Dialect, candidates: &[Candidate]) -> Option<Kept> {
        let Row { provider, model, body } = serde_json::from_str(&cache::get(&self.name).await?).ok()?;
        let may_answer = candidates.iter().any(|candidate| candidate.model.id == model);
        let answer = client.parse_answer(body.as_bytes()).ok().filter(|_| may_answer)?;
        Some(Kept { provider, model, answer })
    }

    /// Keeps a whole answer. One that was refused, by the model or by a
    /// guardrail, is none.
    pub(super) async fn put(&self, answer: &Answer, client: Dialect, candidate: &Candidate, reply: &Reply) {
        if answer.choices.iter().any(|choice| choice.stop.reason == StopReason::Refusal) {
            return;
        }
        let row = Row {
            provider: candidate.provider.name.clone(),
            model: candidate.model.id.clone(),
            body: client.render_answer(answer, reply),
        };
        if let Ok(text) = serde_json::to_string(&row) {
            cache::put(&self.name, text, self.seconds).await;
        }
    }
}
