//! The guardrail that asks a moderation model to judge a request before a model
//! is asked, and an answer before the client gets any of it.

use hatch_dialects::{
    Class, Dialect, Error as DialectError, Moderation, Request, Response, Usage, estimate, is_llama_guard,
    parse_moderation, render_llama_guard, render_moderation, request::Part, texts_of, verdicts,
};
use hatch_guardrails::{Action, OnFailure, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use super::guards::blocked_by;
use crate::{
    error::Error,
    gateway::ledger::{Budgets, CallCost, Entry, Outcome},
    http::RequestContext,
    models::{self, Candidate, Catalogue, FailedCall, KeyLimits, Keys, PostResponse, Prompt, Providers},
    settings::FromVars as _,
    store::Database,
};

/// The longest wait for the moderation model, in milliseconds.
const WITHIN_MS: u64 = 1_500;
/// The most tokens of a verdict.
const VERDICT_TOKENS: u64 = 100;
/// How much of a text is judged, counted from its end, where the newest words are.
const MOST_CHARS: usize = 100_000;

/// The response of a moderation model.
#[derive(Deserialize)]
struct Judgement {
    results: Vec<Judged>,
}

#[derive(Deserialize)]
struct Judged {
    flagged: bool,
    #[serde(default)]
    categories: std::collections::BTreeMap<String, Value>,
}

/// All texts of a request, those of tools' results and files included.
pub(in crate::gateway) fn request_text(request: &Request) -> String {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.flat_map(Part::texts).collect::<Vec<_>>().join("\n")
}

/// All texts of an answer.
pub(in crate::gateway) fn response_text(response: &Response) -> String {
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts.filter_map(Part::as_text).collect::<Vec<_>>().join("\n")
}

/// Judges a text by these rules, and returns the categories that were flagged. Without rules the text is not made.
///
/// # Errors
/// 400 with the categories if a rule blocks the text, or if the moderation model
/// does not answer and a rule demands it.
pub(in crate::gateway) async fn judge(
    text: impl FnOnce() -> String,
    rules: &[Rule],
    keys: &Keys,
    context: &RequestContext,
    database: &Database,
) -> Result<Vec<String>, Error> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let text = text();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match flagged(&text, keys, context, database).await {
        Ok(found) if found.is_empty() => Ok(found),
        // A judgement names no place in the text, so redacting means blocking.
        Ok(found) if rules.iter().any(|rule| rule.action != Action::Flag) => Err(blocked_by(&found)),
        Ok(found) => Ok(found),
        Err(_) if rules.iter().any(|rule| rule.on_failure == OnFailure::Closed) => {
            Err(blocked_by(&["moderation:unavailable".to_owned()]))
        }
        Err(_) => Ok(vec!["moderation:unavailable".to_owned()]),
    }
}

/// The categories that the moderation model flags.
async fn flagged(
    text: &str,
    keys: &Keys,
    context: &RequestContext,
    database: &Database,
) -> Result<Vec<String>, Error> {
    let skipped = text.chars().count().saturating_sub(MOST_CHARS);
    let newest: String = text.chars().skip(skipped).collect();
    let moderation = parse_moderation(json!({ "input": newest }).to_string().as_bytes())?;
    let id = default_model(keys, context, database).await?;
    let catalogue = Catalogue::of(&context.settings, database).await?;
    let candidate = models::resolve(&id, &catalogue, Providers::of(&context.settings)?, keys)?;
    let tokens = estimate(&newest);
    let entry = match most_micro_usd(&candidate, tokens, keys) {
        0 => None,
        most_micro_usd => {
            let cost = CallCost { most_micro_usd, prompt: Prompt::of(&candidate.model, tokens) };
            Some(reserve(cost, context, database).await?)
        }
    };
    let posted = match (ask(&moderation, vec![candidate], keys, WITHIN_MS).await, entry) {
        (Ok((posted, usage)), Some(entry)) => {
            let estimate = Usage { input: tokens, ..Usage::default() };
            let outcome =
                Outcome::answered(&posted.candidate, posted.attempts, posted.first_token_ms, usage, estimate);
            entry.close(outcome, database).await;
            posted
        }
        (Ok((posted, _)), None) => posted,
        (Err(unanswered), Some(entry)) => return Err(entry.fail(unanswered, database).await),
        (Err(unanswered), None) => return Err(Error::from(unanswered.error)),
    };
    // The sandbox finds nothing.
    let Some(bytes) = posted.bytes else { return Ok(Vec::new()) };
    let judgement: Judgement = hatch_json::from_slice(&bytes)
        .map_err(|_| DialectError::new(Class::Upstream, "The moderation model's answer cannot be read"))?;
    let mut found = Vec::new();
    for judged in judgement.results.iter().filter(|judged| judged.flagged) {
        let before = found.len();
        let is_flagged = |value: &Value| *value == Value::Bool(true);
        found.extend(
            judged
                .categories
                .iter()
                .filter(|(_, value)| is_flagged(value))
                .map(|(name, _)| format!("moderation:{name}")),
        );
        if found.len() == before {
            found.push("moderation".to_owned());
        }
    }
    Ok(found)
}

/// The most that a judgement can cost this Worker: nothing by OpenAI's model, which is free, or by the caller's own key.
fn most_micro_usd(candidate: &Candidate, tokens: u64, keys: &Keys) -> i64 {
    if keys.has(&candidate.provider.name) {
        return 0;
    }
    candidate.model.most_micro_usd(tokens, VERDICT_TOKENS).unwrap_or_default()
}

/// Begins a call of its own for a judgement that costs money.
async fn reserve(cost: CallCost<'_>, context: &RequestContext, database: &Database) -> Result<Entry, Error> {
    let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
    Budgets::of(&limits, context)?.reserve(Some(cost), Vec::new(), database).await
}

/// A request of more texts is not judged by a model that reads one at a time.
const MOST_TEXTS: usize = 32;

/// Asks a moderation model, by OpenAI's API for that, or Llama Guard in a chat
/// about each text. The answer is in OpenAI's form. The usage is none if it was not
/// reported for every text.
///
/// # Errors
/// As [`models::post`]'s; 400 for what Llama Guard cannot read. The error has the
/// usage of the texts that were judged before it.
pub(in crate::gateway) async fn ask(
    moderation: &Moderation,
    candidates: Vec<Candidate>,
    keys: &Keys,
    within_ms: u64,
) -> Result<(PostResponse, Option<Usage>), FailedCall> {
    let guard = candidates.iter().find(|candidate| is_llama_guard(&candidate.model.name)).cloned();
    let Some(guard) = guard else {
        let body = |candidate: &Candidate| render_moderation(moderation, &candidate.model.name);
        return Ok((models::post("/moderations", body, candidates, keys, within_ms).await?, None));
    };
    let texts = texts_of(moderation);
    let unread =
        || FailedCall::before(DialectError::invalid("input", "must have 1 to 32 texts for this model"));
    if texts.len() > MOST_TEXTS {
        return Err(unread());
    }
    let (mut answers, mut last) = (Vec::new(), None);
    let with_answered = |failed, answers: &[Vec<u8>]| {
        let usage = judged(&texts, answers).0;
        let answered = (!answers.is_empty()).then(|| Box::new((guard.clone(), usage)));
        FailedCall { answered, ..failed }
    };
    for text in &texts {
        let body = |candidate: &Candidate| render_llama_guard(text, &candidate.model.name);
        let posted = models::post("/chat/completions", body, vec![guard.clone()], keys, within_ms).await;
        let posted = posted.map_err(|failed| with_answered(failed, &answers))?;
        answers.extend(posted.bytes.clone());
        last = Some(posted);
    }
    let last = last.ok_or_else(unread)?;
    let verdicts = verdicts(&answers).map_err(|error| {
        let error = models::client_safe(error, &last.sent_keys);
        let failed = FailedCall { attempts: last.attempts, ..FailedCall::before(error) };
        with_answered(failed, &answers)
    })?;
    let (usage, is_reported) = judged(&texts, &answers);
    Ok((PostResponse { bytes: Some(verdicts.into_bytes()), ..last }, is_reported.then_some(usage)))
}

/// The usage of Llama Guard's answers about the first of these texts, and whether it
/// was reported for all of them. What was not reported is estimated.
fn judged(texts: &[String], answers: &[Vec<u8>]) -> (Usage, bool) {
    let reported = |bytes: &Vec<u8>| Dialect::Chat.parse_response(bytes).ok().and_then(|answer| answer.usage);
    texts.iter().zip(answers).fold((Usage::default(), true), |(sum, is_reported), (text, answer)| {
        let reported = reported(answer);
        let usage = reported.unwrap_or_else(|| Usage { input: estimate(text), ..Usage::default() });
        (sum.plus(&usage), is_reported && reported.is_some())
    })
}

/// The first model of the catalogue that can moderate.
pub(in crate::gateway) async fn default_model(
    keys: &Keys,
    context: &RequestContext,
    database: &Database,
) -> Result<String, Error> {
    let providers = Providers::of(&context.settings)?;
    let catalogue = Catalogue::of(&context.settings, database).await?;
    let is_here = |model: &&models::Model| {
        model.can("moderation") && providers.open_to(keys, &model.provider).is_some()
    };
    let found = catalogue.models.iter().find(is_here).map(|model| model.id.clone());
    found.ok_or_else(|| {
        DialectError::new(Class::NotFound, "No model here can moderate; set OPENAI_API_KEY")
            .with_code("model_not_found")
            .into()
    })
}
