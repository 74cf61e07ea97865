//! The candidates that may serve a call: which of them its caller may ask, who pays for each, and what they can cost.

use hatch_dialects::{Dialect, Error as DialectError, Request};

use super::ledger::CallCost;
use crate::{
    error::Error,
    models::{self, Candidate, Keys, Prompt, is_own},
};

/// The candidates that the caller may ask for this request.
///
/// # Errors
/// If the request is about what an account at a vendor has, and the caller has no key of such an account.
pub(super) fn open_to_caller(
    mut candidates: Vec<Candidate>,
    request: &Request,
    keys: &Keys,
) -> Result<Vec<Candidate>, Error> {
    if keys.is_for_request() {
        only_first_provider(&mut candidates);
    }
    only_own_accounts(&mut candidates, request, keys)?;
    Ok(candidates)
}

/// Keeps only the first provider's models: a key in the header is for that one.
fn only_first_provider(candidates: &mut Vec<Candidate>) {
    if let Some(first) = candidates.first().map(|candidate| candidate.provider) {
        candidates.retain(|candidate| candidate.provider.name == first.name);
    }
}

/// Members of a request that name what an account at a vendor has: the vendor's dialect, and the code of the refusal.
/// By its code Anthropic's tool runners learn to send the whole conversation instead of a `thread`. What a thread
/// holds no other model could go on with, and nobody could tell beforehand what it costs.
const OF_AN_ACCOUNT: &[(Dialect, &str, &str)] = &[
    (Dialect::Responses, "conversation", "unsupported_value"),
    (Dialect::Responses, "prompt", "unsupported_value"),
    (Dialect::Messages, "thread", "thread_unsupported_request"),
];

/// If the request has such a member, keeps only the models that the caller asks
/// with a key of their own: the gateway's account is not for its users' objects.
fn only_own_accounts(candidates: &mut Vec<Candidate>, request: &Request, keys: &Keys) -> Result<(), Error> {
    let has = |member: &str| request.extra.iter().any(|(name, _)| name == member);
    let named = OF_AN_ACCOUNT.iter().find(|(of, name, _)| request.dialect == Some(*of) && has(name));
    let Some(&(vendors, name, code)) = named else { return Ok(()) };
    candidates.retain(|Candidate { provider, .. }| {
        keys.has(&provider.name) && provider.dialect_for(vendors) == vendors
    });
    if candidates.is_empty() {
        let vendor = if vendors == Dialect::Messages { "Anthropic" } else { "OpenAI" };
        let words =
            format!("it is of an account at {vendor}, so it needs a key of that account: X-Provider-Key");
        return Err(DialectError::unsupported(name, words).with_code(code).into());
    }
    Ok(())
}

/// Whether the caller's own keys pay for all candidates' answers.
pub(super) fn are_all_own(candidates: &[Candidate], keys: &Keys) -> bool {
    candidates.iter().all(|candidate| is_own(candidate, keys))
}

/// The providers that the caller's own keys pay.
pub(super) fn own_key_providers(candidates: &[Candidate], keys: &Keys) -> Vec<String> {
    let own = candidates.iter().filter(|candidate| is_own(candidate, keys));
    own.map(|candidate| candidate.provider.name.clone()).collect()
}

/// The models that their providers list.
pub(super) fn listed(candidates: &[Candidate]) -> Vec<String> {
    let listed = candidates.iter().filter(|candidate| candidate.provider.lists(&candidate.model.id));
    listed.map(|candidate| candidate.model.id.clone()).collect()
}

/// The most that any candidate can cost, and what the first one's prompt costs.
pub(super) fn cost<'a>(
    candidates: &'a [Candidate],
    request: &Request,
    prompt_tokens: u64,
    keys: &Keys,
) -> CallCost<'a> {
    let ours = candidates.iter().filter(|candidate| !is_own(candidate, keys));
    let most = ours.filter_map(|candidate| most(candidate, request, prompt_tokens)).max();
    CallCost { most_micro_usd: most.unwrap_or_default(), prompt: prompt(candidates, prompt_tokens, keys) }
}

/// The prompt as the first candidate reads it, which costs nothing by the caller's own key.
fn prompt<'a>(candidates: &'a [Candidate], tokens: u64, keys: &Keys) -> Prompt<'a> {
    let Some(first) = candidates.first() else { return Prompt::default() };
    let prompt = Prompt::of(&first.model, tokens);
    if is_own(first, keys) { Prompt { micro_usd: 0, ..prompt } } else { prompt }
}

/// The most that the answers of this candidate can cost.
fn most(candidate: &Candidate, request: &Request, prompt_tokens: u64) -> Option<i64> {
    let longest = candidate.model.longest_answer().unwrap_or(models::LONGEST_UNKNOWN);
    let wanted = request.max_tokens.filter(|tokens| *tokens > 0);
    let output = wanted.map_or(longest, |wanted| wanted.min(longest));
    let answers = request.n.unwrap_or(1).max(1);
    candidate.model.most_micro_usd(prompt_tokens, output.saturating_mul(answers))
}
