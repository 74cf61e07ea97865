//! Asks for an answer on behalf of a job, reads it to its end, and computes its cost. The agent and the startup
//! generator ask models this way. The caller has chosen the model (choice.rs) and reserved the cost (allowance.rs),
//! and books it (booking.rs).

use std::cell::RefCell;

use hatch_dialects::{Dialect, Reader, Reply, Request, Response, Usage, estimate_prompt};

use super::{
    allowance::Allowance,
    ask::{self, AnsweredCall},
    choice::{AnswerRules, is_own},
    failover::FailedCall,
    failure::described,
    question::{Question, WHOLE_MS},
    reading::{Live, ModelResponse},
    routing::Candidate,
    settings::Providers,
};
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::{MINUTE_MS, now_ms},
        pump::{Deadlines, End},
    },
    settings::{FromVars as _, Settings},
};

/// The longest answer; a consumer of a queue has a quarter of an hour.
const ANSWER_MS: i64 = 10 * MINUTE_MS;
/// What is asked, and whom.
#[derive(Debug)]
pub(crate) struct PaidQuestion<'a> {
    pub(crate) request: Request,
    /// In their order.
    pub(crate) candidates: Vec<Candidate>,
    /// What errors call the model.
    pub(crate) who: &'a str,
}

/// An answer of a model, or its error, and its cost.
#[derive(Debug)]
pub(crate) struct PaidAnswer {
    pub(crate) answer: Result<Response, Error>,
    /// The model that has answered.
    pub(crate) model: String,
    pub(crate) usage: Usage,
    /// 0 if the user's own key paid.
    pub(crate) cost_micro_usd: i64,
}

impl PaidAnswer {
    /// No model has answered, which costs nothing.
    fn failed(failed: FailedCall, who: &str) -> Self {
        let FailedCall { error, retry_after_s, model, .. } = failed;
        Self {
            answer: Err(described(&error, retry_after_s, who)),
            model: model.unwrap_or_default(),
            usage: Usage::default(),
            cost_micro_usd: 0,
        }
    }
}

/// Asks for an answer and reads it to its end. `so_far` gets the text that has
/// arrived and its estimated cost, when the answer begins and then every few
/// seconds. The caller books the cost.
pub(crate) async fn answer(
    question: PaidQuestion<'_>,
    allowance: &Allowance,
    rules: &AnswerRules<'_>,
    so_far: impl AsyncFn(&str, i64),
) -> Result<PaidAnswer, Error> {
    let PaidQuestion { mut request, candidates, who } = question;
    request.max_tokens = Some(allowance.max_tokens);
    request.stream = true;
    let (answer, answered) = match ask_once(&request, candidates, rules).await? {
        Ok(answered) => answered,
        Err(failed) => return Ok(PaidAnswer::failed(failed, who)),
    };
    let candidate = &answered.candidate;
    let cost = |usage: &Usage| match is_own(candidate, rules.keys) {
        true => 0,
        false => candidate.model.cost_micro_usd(usage).unwrap_or_default(),
    };
    let prompt = estimate_prompt(&request);
    let (answer, usage) = match answer {
        ModelResponse::Whole { response, .. } => {
            let usage = response.usage.unwrap_or(Usage { input: prompt, ..Usage::default() });
            (Ok(*response), usage)
        }
        ModelResponse::Live(live) => {
            let stream = Arriving { live: *live, upstream: answered.upstream, prompt };
            let so_far = async |text: &str, usage: &Usage| so_far(text, cost(usage)).await;
            stream.collect(rules.settings, who, so_far).await
        }
    };
    Ok(PaidAnswer { answer, cost_micro_usd: cost(&usage), usage, model: candidate.model.id.clone() })
}

/// Asks the candidates, and returns once one has begun to answer.
async fn ask_once(
    request: &Request,
    candidates: Vec<Candidate>,
    rules: &AnswerRules<'_>,
) -> Result<Result<(ModelResponse, AnsweredCall), FailedCall>, Error> {
    let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let question = Question {
        request,
        body: None,
        client: Dialect::Messages,
        reply: Reply::new(request, rules.payer.subject.replace('-', ""), seconds),
        // A stream shows what an interrupted answer has cost.
        is_live: true,
        is_lenient: true,
        keys: rules.keys,
        anthropic: None,
        watched: None,
        within_ms: WHOLE_MS,
        filter: &|| None,
    };
    Ok(ask::ask(&question, candidates, Providers::of(rules.settings)?).await)
}

/// An answer while it arrives.
struct Arriving {
    live: Live,
    upstream: Dialect,
    /// The estimated tokens of the prompt.
    prompt: u64,
}

impl Arriving {
    async fn collect(
        self,
        settings: &Settings,
        who: &str,
        so_far: impl AsyncFn(&str, &Usage),
    ) -> (Result<Response, Error>, Usage) {
        let source = self.live.source;
        let report = async |reader: &RefCell<Reader>, new: &[u8]| {
            reader.borrow_mut().push(new);
            let (text, usage) = {
                let reader = reader.borrow();
                (reader.text(), reader.meter().charged(self.prompt).0)
            };
            so_far(&text, &usage).await;
        };
        report(&RefCell::new(Reader::new(self.upstream)), source.first()).await;
        let arriving = RefCell::new(Reader::new(self.upstream));
        let deadlines = Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: ANSWER_MS };
        let outcome = source.collect(deadlines, async |new| report(&arriving, &new).await).await;
        let mut reader = Reader::new(self.upstream);
        reader.push(&outcome.received);
        let (usage, _) = reader.meter().charged(self.prompt);
        let answer = reader.finish().map_err(|error| match outcome.end {
            End::Stalled => {
                let words = format!("{who} fell silent in the middle of the answer");
                Error::upstream(UpstreamKind::Timeout, words)
            }
            End::Abandoned => {
                Error::upstream(UpstreamKind::Timeout, format!("{who} did not come to an end in time"))
            }
            _ => described(&error, None, who),
        });
        (answer, usage)
    }
}
