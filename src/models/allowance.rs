//! Reserves the most that an answer can cost, and shortens the answer if the budgets do not suffice for it.

use hatch_dialects::{Request, estimate_prompt};

use super::{
    choice::{AnswerRules, is_own},
    reservations::Reservation,
    routing::Candidate,
};
use crate::error::Error;

/// The lengths of answers, in tokens. If the budget does not suffice for a long
/// answer, a shorter one is requested.
const LENGTHS: [u64; 5] = [32_000, 16_000, 8_000, 4_000, 2_000];

/// What an answer may cost.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(super) max_tokens: u64,
    pub(crate) reservation: Reservation,
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
    let [first, ..] = LENGTHS;
    let longest = longest.unwrap_or(first);
    let ours: Vec<&Candidate> =
        candidates.iter().filter(|candidate| !is_own(candidate, rules.keys)).collect();
    if ours.is_empty() {
        return Ok(Some(Allowance { max_tokens: longest, reservation: Reservation::none(&rules.payer) }));
    }
    let prompt = estimate_prompt(request);
    let mut refused = None;
    let shorter = LENGTHS.into_iter().filter(|length| *length < longest);
    for max_tokens in [longest].into_iter().chain(shorter) {
        let most = most_micro_usd(&ours, prompt, max_tokens);
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

/// The most that an answer of at most `max_tokens` costs, whichever candidate gives it.
fn most_micro_usd(candidates: &[&Candidate], prompt: u64, max_tokens: u64) -> i64 {
    let most = |candidate: &&Candidate| {
        let limit = candidate.model.longest_answer();
        let output = limit.map_or(max_tokens, |limit| limit.min(max_tokens));
        candidate.model.most_micro_usd(prompt, output)
    };
    candidates.iter().filter_map(most).max().unwrap_or_default()
}
