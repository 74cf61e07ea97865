//! Chooses the model of an answer that a user, or a budget, pays for.

use hatch_dialects::{Request, request::Format};

use super::{
    catalogue::Catalogue,
    keys::Keys,
    reservations::Payer,
    routing::{self, Candidate, Preference, RouteQuery},
    settings::Providers,
};
use crate::{
    error::{Error, UpstreamKind},
    settings::{FromVars as _, Settings},
    store::Database,
};

/// What decides who answers, and who pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerRules<'a> {
    pub(crate) payer: Payer<'a>,
    /// The user's own keys. Answers by them cost the user's own money.
    pub(crate) keys: &'a Keys,
    pub(crate) settings: &'a Settings,
    pub(crate) database: &'a Database,
}

/// Whether any model can be asked for a user: with a key of the Worker, with
/// the user's own, or the sandbox model of a development Worker.
pub(crate) async fn is_any_open(user: &str, settings: &Settings, database: &Database) -> Result<bool, Error> {
    let is_open = |keys: &Keys| {
        Providers::of(settings)
            .map(|providers| providers.all.iter().any(|provider| provider.is_open_to(keys)))
    };
    Ok(is_open(&Keys::default())? || is_open(&Keys::of_user(user, settings, database).await?)?)
}

/// The default model: `preferred`, else Claude if there is a key, else any model that can do it.
pub(crate) fn default_name(
    preferred: Option<&str>,
    keys: &Keys,
    settings: &Settings,
) -> Result<String, Error> {
    let providers = Providers::of(settings)?;
    Ok(match preferred {
        Some(model) => model.to_owned(),
        None if providers.open_to(keys, "anthropic").is_some() => {
            format!("anthropic/{}", providers.claude_model)
        }
        None => routing::AUTO.to_owned(),
    })
}

/// The ability that a request needs, if any, and its words in an error.
fn needed(request: &Request) -> Option<(&'static str, &'static str)> {
    match request.format {
        Some(Format::JsonSchema { .. }) => Some(("structured_output", "answer in a given form")),
        _ if request.tools.is_empty() => None,
        _ => Some(("tools", "use tools")),
    }
}

/// What decides which models a user may ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenModels<'a> {
    /// Those that the API key may ask, unless it may ask all of them.
    pub(crate) allowed: Option<&'a [String]>,
    /// The user's own keys.
    pub(crate) keys: &'a Keys,
    pub(crate) settings: &'a Settings,
    pub(crate) database: &'a Database,
}

impl OpenModels<'_> {
    /// The candidates of this name that can serve the request. Empty if none of them can.
    pub(crate) async fn named(
        &self,
        name: &str,
        request: &Request,
    ) -> Result<Result<Vec<Candidate>, hatch_dialects::Error>, Error> {
        let Self { allowed, keys, settings, database } = *self;
        let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
        let (names, preference) = (vec![name], Preference::default());
        let query = RouteQuery { names, preference, prompt_tokens: 0, allowed, keys };
        let found = routing::candidates(&query, request, &catalogue, providers);
        Ok(found.map(|found| able(found, request)))
    }
}

/// The candidates that can serve the request.
fn able(mut found: Vec<Candidate>, request: &Request) -> Vec<Candidate> {
    // The sandbox model answers only if no other can.
    if found.iter().any(|candidate| !candidate.provider.is_sandbox()) {
        found.retain(|candidate| !candidate.provider.is_sandbox());
    }
    if let Some((ability, _)) = needed(request) {
        found.retain(|candidate| candidate.model.can(ability) || candidate.provider.is_sandbox());
    }
    found
}

/// The candidates for a request, in their order: of the model that the user
/// chose, or of the default one.
///
/// # Errors
/// If none can serve the request, or a budget pays and none has a price.
pub(crate) async fn choose(
    chosen: Option<&str>,
    preferred: Option<&str>,
    request: &Request,
    rules: &AnswerRules<'_>,
) -> Result<Vec<Candidate>, Error> {
    let AnswerRules { payer, keys, settings, database } = *rules;
    let allowed = payer.key.and_then(|(_, limits)| limits.models.as_deref());
    let open = OpenModels { allowed, keys, settings, database };
    let name = match chosen {
        Some(name) => name.to_owned(),
        None => default_name(preferred, keys, settings)?,
    };
    let found = match open.named(&name, request).await? {
        // A key that may not ask the operator's choice asks one that it may.
        Err(_) if chosen.is_none() && allowed.is_some() => open.named(routing::AUTO, request).await?,
        found => found,
    }?;
    if found.is_empty() {
        let (_, ability) = needed(request).unwrap_or_default();
        let words = format!("The model {name} cannot {ability}, so it cannot do this work");
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    if payer.is_bounded(settings)? { only_with_price(found, keys) } else { Ok(found) }
}

/// The candidates that a budget can pay for, and those that the user's own keys pay for.
///
/// # Errors
/// If there is none.
pub(crate) fn only_with_price(mut candidates: Vec<Candidate>, keys: &Keys) -> Result<Vec<Candidate>, Error> {
    let first = candidates.first().map(|candidate| candidate.model.id.clone());
    candidates.retain(|candidate| candidate.model.prices.is_some() || is_own(candidate, keys));
    match first {
        Some(first) if candidates.is_empty() => Err(without_price(&first)),
        _ => Ok(candidates),
    }
}

/// No budget pays for a model without a price.
pub(crate) fn without_price(model: &str) -> Error {
    let detail = format!(
        "The price of {model} is not known here, so no budget can pay for it; ask another model, or with a key of your \
         own for its provider: PUT /auth/credentials/{{provider}}"
    );
    Error::Forbidden { code: "model_without_price", detail: detail.into() }
}

/// Whether the user's own key pays for a candidate's answer.
pub(crate) fn is_own(candidate: &Candidate, keys: &Keys) -> bool {
    keys.has(&candidate.provider.name)
}
