//! The guardrail that asks a moderation model to judge a request before a model
//! is asked, and an answer before the client gets any of it.

use hatch_dialects::{
    Class, Error as DialectError, Request, Response, parse_moderation, render_moderation,
    request::{Content, Part},
};
use hatch_guardrails::{Action, OnFailure, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard;
use crate::{
    error::Error,
    http::RequestContext,
    models::{self, Catalogue, Keys, Providers},
    settings::FromVars as _,
    store::Database,
};

/// The longest wait for the moderation model, in milliseconds.
const WITHIN_MS: u64 = 1_500;
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

/// All texts of a request, results of tools included.
pub(super) fn request_text(request: &Request) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match &part.content {
            Content::ToolResult(result) => texts.extend(result.parts.iter().filter_map(Part::as_text)),
            _ => texts.extend(part.as_text()),
        }
    }
    texts.join("\n")
}

/// All texts of an answer.
pub(super) fn response_text(response: &Response) -> String {
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts.filter_map(Part::as_text).collect::<Vec<_>>().join("\n")
}

/// Judges a text by these rules, and returns the categories that were flagged.
///
/// # Errors
/// 400 with the categories if a rule blocks the text, or if the moderation model
/// does not answer and a rule demands it.
pub(super) async fn judge(
    text: &str,
    rules: &[Rule],
    keys: &Keys,
    context: &RequestContext,
    database: &Database,
) -> Result<Vec<String>, Error> {
    if rules.is_empty() || text.is_empty() {
        return Ok(Vec::new());
    }
    match flagged(text, keys, context, database).await {
        Ok(found) if found.is_empty() => Ok(found),
        // A judgement names no place in the text, so redacting means blocking.
        Ok(found) if rules.iter().any(|rule| rule.action != Action::Flag) => Err(guard::blocked_by(&found)),
        Ok(found) => Ok(found),
        Err(_) if rules.iter().any(|rule| rule.on_failure == OnFailure::Closed) => {
            Err(guard::blocked_by(&["moderation:unavailable".to_owned()]))
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
    let body = |candidate: &models::Candidate| render_moderation(&moderation, &candidate.model.name);
    let posted = models::post("/moderations", body, vec![candidate], keys, WITHIN_MS).await;
    let posted = posted.map_err(|unanswered| Error::from(unanswered.error))?;
    // The sandbox finds nothing.
    let Some(bytes) = posted.bytes else { return Ok(Vec::new()) };
    let judgement: Judgement = serde_json::from_slice(&bytes)
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

/// The first model of the catalogue that can moderate.
pub(super) async fn default_model(
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
