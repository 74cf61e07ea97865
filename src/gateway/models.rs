//! The catalogue of models, in OpenAI's, in Anthropic's and in the original client's form.
//!
//! Handlers: [`list`], [`map`], [`show`], and for the operator [`put`], [`refresh`].

use std::collections::BTreeMap;

use garde::Validate;
use hatch_dialects::{
    Model as Listed, Version, anthropic_model, anthropic_models, openai_model, openai_models,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::Account;
use crate::{
    error::{Error, rfc3339},
    http::{RequestContext, body},
    models::{AUTO, Above, Catalogue, KeyLimits, Model, Prices, Providers, catalogue, is_allowed, resolve},
    platform::{clock::now_ms, response::Response},
    settings::FromVars as _,
};

/// Providers do not say when a model was made. This is the day of the first catalogue.
const CREATED_S: u64 = 1_795_824_000; // 2026-11-28

/// `GET /v1/models`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let is_anthropic = speaks_anthropic(&context)?;
    let available = available(&context).await?;
    let models: Vec<Listed> = available.iter().map(listed).chain(auto(&available)).collect();
    let text = if is_anthropic { anthropic_models(&models, false) } else { openai_models(&models) };
    Ok(Response::json(200, text))
}

/// `GET /models`: the original client's form, a map by the models' ids.
pub(crate) async fn map(context: RequestContext) -> Result<Response, Error> {
    if speaks_anthropic(&context)? {
        return list(context).await;
    }
    let models = available(&context).await?;
    let data: Map<String, Value> =
        models.iter().map(|model| (model.id.clone(), in_original_form(model))).collect();
    let map = json!({ "success": true, "message": "The models that this key may ask", "data": data });
    Ok(Response::json(200, map.to_string()))
}

/// The models that the caller may ask.
async fn available(context: &RequestContext) -> Result<Vec<Model>, Error> {
    let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
    let keys = Account::of(context).await?.keys(context)?;
    let providers = Providers::of(&context.settings)?;
    let catalogue = Catalogue::of(&context.settings, &context.database()?).await?;
    let is_available = |model: &&Model| {
        providers.open_to(&keys, &model.provider).is_some() && is_allowed(&model.id, limits.models.as_deref())
    };
    Ok(catalogue.models.iter().filter(is_available).cloned().collect())
}

/// A model in the original client's form. Its ratings go from 1 to 5, its prices are dollars for
/// a thousand tokens.
fn in_original_form(model: &Model) -> Value {
    let per_1k = |micro_usd_per_million: u64| micro_usd_per_million as f64 / 1e9;
    let price = |part: fn(&Prices) -> u64| model.prices.as_ref().map(|prices| per_1k(part(prices)));
    let is_free = model.prices.is_some_and(|prices| prices.input == 0 && prices.output == 0);
    let sees = model.can("images");
    json!({
        "id": model.id,
        "matchingModel": model.id,
        "name": model.display_name,
        "provider": model.provider,
        "type": if sees { vec!["text", "image-to-text"] } else { vec!["text"] },
        "isFree": is_free,
        "includedInRouter": model.is_for_auto(),
        "contextWindow": model.context,
        "maxTokens": model.max_output,
        "supportsToolCalls": model.can("tools"),
        "supportsReasoning": model.can("reasoning"),
        "multimodal": sees,
        "contextComplexity": model.quality,
        "speed": model.speed,
        "costPer1kInputTokens": price(|prices| prices.input),
        "costPer1kOutputTokens": price(|prices| prices.output),
    })
}

/// `GET /v1/models/{id}`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let is_anthropic = speaks_anthropic(&context)?;
    let chosen = if context.param("id") == AUTO { auto(&available(&context).await?) } else { None };
    let model = match chosen {
        Some(auto) => auto,
        None => named(&context).await?,
    };
    Ok(Response::json(200, if is_anthropic { anthropic_model(&model) } else { openai_model(&model) }))
}

/// The model of the path, under the name that it has there.
async fn named(context: &RequestContext) -> Result<Listed, Error> {
    let providers = Providers::of(&context.settings)?;
    let catalogue = Catalogue::of(&context.settings, &context.database()?).await?;
    let (name, keys) = (context.param("id"), Account::of(context).await?.keys(context)?);
    Ok(Listed { id: name.to_owned(), ..listed(&resolve(name, &catalogue, providers, &keys)?.model) })
}

/// `auto`, if it has a model to choose from. It is the last of the list, because some clients take the first
/// one if nobody chooses. Its limits are those of the model that it chooses.
fn auto(available: &[Model]) -> Option<Listed> {
    available.iter().any(Model::is_for_auto).then(|| Listed {
        id: AUTO.to_owned(),
        owned_by: "hatch".to_owned(),
        display_name: "Auto".to_owned(),
        created: CREATED_S,
        created_at: created_at(),
        ..Listed::default()
    })
}

fn created_at() -> String {
    rfc3339(i64::try_from(CREATED_S).unwrap_or_default() * 1_000)
}

/// Whether the client is one of Anthropic's. Only those send its version.
fn speaks_anthropic(context: &RequestContext) -> Result<bool, Error> {
    let version = context.request.header("anthropic-version");
    if version.is_some() {
        Version::parse(version.as_deref())?;
    }
    Ok(version.is_some())
}

fn listed(model: &Model) -> Listed {
    Listed {
        id: model.id.clone(),
        owned_by: model.provider.clone(),
        display_name: model.display_name.clone(),
        created: CREATED_S,
        created_at: created_at(),
        max_input_tokens: u64::try_from(model.context).ok().filter(|tokens| *tokens > 0),
        max_tokens: model.longest_answer(),
        is_deprecated: model.is_deprecated,
    }
}

/// A row of the catalogue, with its source.
#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewModel {
    #[garde(length(chars, min = 1, max = 200))]
    display_name: String,
    /// The most tokens of a prompt.
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 1, max = 100_000_000))]
    #[cfg_attr(test, schemars(range(min = 1, max = 100_000_000)))]
    context: i64,
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 0, max = 100_000_000))]
    #[cfg_attr(test, schemars(range(min = 0, max = 100_000_000)))]
    max_output: i64,
    /// Micro-dollars for a million tokens; null if they are not known.
    #[garde(skip)]
    prices: Option<Prices>,
    #[garde(skip)]
    above: Option<Above>,
    #[garde(length(max = 50), inner(length(chars, min = 1, max = 50)))]
    capabilities: Vec<String>,
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 1, max = 5))]
    #[cfg_attr(test, schemars(range(min = 1, max = 5)))]
    quality: i64,
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 1, max = 5))]
    #[cfg_attr(test, schemars(range(min = 1, max = 5)))]
    speed: i64,
    #[serde(default)]
    #[garde(skip)]
    is_deprecated: bool,
    /// The source of limits and prices.
    #[garde(length(chars, min = 1, max = 200))]
    source: String,
}

/// Whether a text has only letters, digits and `marks`, and begins with a letter, a
/// digit, or an `@` that is among the marks.
fn is_name(text: &str, marks: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@' && marks.contains(c))
        && text.chars().all(is_plain)
}

/// The rows of a new edition of the catalogue, each under its id.
#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct NewModels {
    #[garde(length(min = 1, max = 500), dive)]
    #[cfg_attr(test, schemars(extend("maxProperties" = 500, "minProperties" = 1)))]
    models: BTreeMap<String, NewModel>,
}

/// `PUT /admin/models/{id}`: adds a model, or replaces its row. Other isolates
/// read it within a minute.
pub(crate) async fn put(context: RequestContext) -> Result<Response, Error> {
    let id = context.param("id");
    let row = row(id, body::json(&context).await?).ok_or_else(|| Error::invalid("id", NAMED))?;
    let text = serde_json::to_string(&row.model).map_err(|error| Error::Internal(error.to_string()))?;
    put_all(&[row], id, &context).await?;
    Ok(Response::json(200, text))
}

/// `PUT /admin/models`: refreshes all of the given rows, or none. Other rows
/// stay as they are.
pub(crate) async fn refresh(context: RequestContext) -> Result<Response, Error> {
    let new: NewModels = body::json(&context).await?;
    let mut rows = Vec::new();
    for (id, model) in new.models {
        rows.push(row(&id, model).ok_or_else(|| Error::invalid("models", format!("each name {NAMED}")))?);
    }
    put_all(&rows, "all", &context).await?;
    Ok(Response::json(200, format!(r#"{{"changed":{}}}"#, rows.len())))
}

const NAMED: &str = "must be `provider/name`";

fn row(id: &str, new: NewModel) -> Option<catalogue::Row> {
    let named =
        id.split_once('/').filter(|(provider, name)| is_name(provider, "-_.") && is_name(name, "-_.:@/"));
    let (provider, name) = named?;
    let model = Model {
        id: id.to_owned(),
        provider: provider.to_owned(),
        name: name.to_owned(),
        display_name: new.display_name,
        context: new.context,
        max_output: new.max_output,
        prices: new.prices,
        above: new.above,
        capabilities: new.capabilities,
        quality: new.quality,
        speed: new.speed,
        is_deprecated: new.is_deprecated,
    };
    Some(catalogue::Row { model, source: new.source })
}

async fn put_all(rows: &[catalogue::Row], subject: &str, context: &RequestContext) -> Result<(), Error> {
    let today = rfc3339(now_ms()).chars().take(10).collect::<String>();
    let put = catalogue::put(rows, &today)?;
    context.database()?.batch([put, context.audit("model.put", subject)]).await?;
    Catalogue::forget();
    Ok(())
}
