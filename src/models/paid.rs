//! Asks for an answer on behalf of a job, within the budgets of whoever pays:
//! reserves the most that the answer can cost, reads it to its end, and computes
//! its cost. The agent and the startup generator ask models this way.

use std::cell::RefCell;

use hatch_dialects::{Dialect, Reader, Reply, Request, Response, Usage, estimate_prompt};

use super::{
    ask,
    choice::{AnswerRules, is_own},
    failover::FailedCall,
    failure::described,
    question::{Question, WHOLE_MS},
    reading::{Live, ModelResponse},
    reservations::Reservation,
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
/// The lengths of answers, in tokens. If the budget does not suffice for a long
/// answer, a shorter one is requested.
const LENGTHS: [u64; 5] = [32_000, 16_000, 8_000, 4_000, 2_000];

/// What an answer may cost.
#[derive(Debug)]
pub(crate) struct Allowance {
    max_tokens: u64,
    pub(crate) reservation: Reservation,
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

/// Reserves the most that an answer of at most `longest` tokens can cost, or of
/// fewer if the budgets do not suffice. None if `left`, the bound of the work
/// itself, does not suffice.
///
/// # Errors
/// [`Error::TooManyRequests`] if the budget of the payer is spent.
pub(crate) async fn afford(
    request: &Request,
    longest: Option<u64>,
    candidates: &[Candidate],
    left: i64,
    rules: &AnswerRules<'_>,
) -> Result<Option<Allowance>, Error> {
    let prompt = estimate_prompt(request);
    let ours = candidates.iter().filter(|candidate| !is_own(candidate, rules.keys));
    let ours: Vec<&Candidate> = ours.collect();
    let [first, ..] = LENGTHS;
    let longest = longest.unwrap_or(first);
    if ours.is_empty() {
        return Ok(Some(Allowance { max_tokens: longest, reservation: Reservation::none(&rules.payer) }));
    }
    let mut refused = None;
    let shorter = LENGTHS.into_iter().filter(|length| *length < longest);
    for max_tokens in [longest].into_iter().chain(shorter) {
        let most = |candidate: &&Candidate| {
            let limit = candidate.model.longest_answer();
            let output = limit.map_or(max_tokens, |limit| limit.min(max_tokens));
            candidate.model.most_micro_usd(prompt, output)
        };
        let most = ours.iter().filter_map(most).max().unwrap_or_default();
        if most > left {
            continue;
        }
        match rules.payer.reserve(most, rules.settings, rules.database).await {
            Err(error @ Error::TooManyRequests(_)) => refused = Some(error),
            other => return other.map(|reservation| Some(Allowance { max_tokens, reservation })),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Asks for an answer and reads it to its end. `so_far` gets the text that has
/// arrived and its estimated cost, when the answer begins and then every few
/// seconds. The caller books the cost.
pub(crate) async fn answer(
    mut request: Request,
    candidates: Vec<Candidate>,
    allowance: &Allowance,
    who: &str,
    rules: &AnswerRules<'_>,
    so_far: impl AsyncFn(&str, i64),
) -> Result<PaidAnswer, Error> {
    request.max_tokens = Some(allowance.max_tokens);
    request.stream = true;
    let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let question = Question {
        request: &request,
        body: None,
        client: Dialect::Messages,
        reply: Reply::new(&request, rules.payer.subject.replace('-', ""), seconds),
        // A stream shows what an interrupted answer has cost.
        is_live: true,
        is_lenient: true,
        keys: rules.keys,
        anthropic: None,
        watched: None,
        within_ms: WHOLE_MS,
        filter: &|| None,
    };
    let asked = ask::ask(&question, candidates, Providers::of(rules.settings)?).await;
    let (answer, answered) = match asked {
        Ok(answered) => answered,
        Err(FailedCall { error, retry_after_s, model, .. }) => {
            return Ok(PaidAnswer {
                answer: Err(described(&error, retry_after_s, who)),
                model: model.unwrap_or_default(),
                usage: Usage::default(),
                cost_micro_usd: 0,
            });
        }
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
