//! What models there are, what they can, and what they cost: rows of the
//! database, and what `PROVIDERS` lists.

use std::{cell::RefCell, rc::Rc};

use hatch_dialects::{Abilities, Target, request::Effort};
use serde::{Deserialize, Serialize};

use super::{providers::Provider, settings::Providers};
use crate::{
    error::Error,
    platform::clock::now_ms,
    settings::{FromVars as _, Settings},
    store::{Database, Statement, sql},
};

/// Micro-dollars for a million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prices {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_long: u64,
}

/// The prices of a prompt with more than so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Above {
    pub(crate) tokens: u64,
    #[serde(flatten)]
    pub(crate) prices: Prices,
}

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    /// `provider/name`.
    pub(crate) id: String,
    pub(crate) provider: String,
    /// What the provider calls it.
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// The most tokens of a prompt.
    pub(crate) context: i64,
    pub(crate) max_output: i64,
    /// None where they are not known.
    pub(crate) prices: Option<Prices>,
    pub(crate) above: Option<Above>,
    pub(crate) capabilities: Vec<String>,
    /// 1 to 5.
    pub(crate) quality: i64,
    /// 1 to 5.
    pub(crate) speed: i64,
    #[serde(default)]
    pub(crate) is_deprecated: bool,
}

impl Model {
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// A model that nobody has described, of a provider that may know it.
    pub(super) fn unknown(provider: &Provider, name: &str) -> Self {
        let every = ["tools", "forced_tools", "images", "documents", "structured_output", "reasoning", "sampling"];
        Self {
            id: format!("{}/{name}", provider.name),
            provider: provider.name.clone(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            context: 128_000,
            max_output: 0,
            prices: None,
            above: None,
            capabilities: every.map(str::to_owned).to_vec(),
            quality: 3,
            speed: 3,
            is_deprecated: false,
        }
    }

    /// How a request is written for it.
    pub(super) fn target(&self, provider: &Provider, is_lenient: bool, stream: bool) -> Target {
        let is_claude = provider.name == "anthropic";
        let can = Abilities {
            sampling: self.can("sampling") || !is_claude && !provider.is_openai,
            forced_tools: self.can("forced_tools") || !is_claude,
            mid_system: self.can("mid_system") || !is_claude,
            prefill: self.can("prefill"),
            adaptive_thinking: self.can("adaptive_thinking"),
            thinking_off: !self.can("always_thinking"),
            reasoning: self.can("reasoning"),
            max_effort: Effort::Max,
            structured_output: self.can("structured_output"),
            images: self.can("images"),
            documents: self.can("documents"),
            openai: provider.is_openai,
            stream_usage: true,
        };
        let max_output = u64::try_from(self.max_output).ok().filter(|tokens| *tokens > 0);
        Target { max_output, can, is_lenient, stream, ..Target::new(self.name.clone()) }
    }

    #[cfg(test)]
    pub(crate) fn for_test(id: &str) -> Self {
        let (provider, name) = id.split_once('/').unwrap();
        Self {
            id: id.to_owned(),
            provider: provider.to_owned(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            context: 200_000,
            max_output: 64_000,
            prices: Some(Prices { input: 1_000_000, output: 5_000_000, cache_read: 100_000, cache_write: 1_250_000, cache_write_long: 2_000_000 }),
            above: None,
            capabilities: vec!["tools".to_owned()],
            quality: 3,
            speed: 3,
            is_deprecated: false,
        }
    }
}

/// Every model, of the database and of the settings.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) models: Vec<Model>,
}

/// How long an isolate believes what it has read.
const FRESH_MS: i64 = 60_000;

thread_local! {
    static KNOWN: RefCell<Option<(i64, Rc<Catalogue>)>> = const { RefCell::new(None) };
}

impl Catalogue {
    /// The catalogue as this isolate knows it, at most a minute old.
    pub(crate) async fn of(settings: &Settings, database: &Database) -> Result<Rc<Self>, Error> {
        let now = now_ms();
        let known = KNOWN.with_borrow(|known| {
            known.as_ref().filter(|(at, _)| now - at < FRESH_MS).map(|(_, catalogue)| catalogue.clone())
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let rows: Option<Vec<Model>> = database.query(all()).await?.first()?;
        let catalogue = Rc::new(Self::new(rows.unwrap_or_default(), Providers::of(settings)?));
        KNOWN.set(Some((now, catalogue.clone())));
        Ok(catalogue)
    }

    pub(super) fn new(mut models: Vec<Model>, providers: &Providers) -> Self {
        for listed in providers.all.iter().flat_map(|provider| &provider.models) {
            models.retain(|model| model.id != listed.id);
            models.push(listed.clone());
        }
        Self { models }
    }

    /// Forgets what this isolate has read, after it has changed.
    pub(crate) fn forget() {
        KNOWN.set(None);
    }
}

/// A row as [`Model`] reads it.
macro_rules! model_json {
    () => {
        "json_object('id', id, 'provider', provider, 'name', name, 'displayName', display_name, 'context', context,
           'maxOutput', max_output, 'prices', json(prices), 'above', json(above), 'capabilities', json(capabilities),
           'quality', quality, 'speed', speed,
           'isDeprecated', json(CASE is_deprecated WHEN 0 THEN 'false' ELSE 'true' END))"
    };
}

fn all() -> Statement {
    sql!(concat!("SELECT json_group_array(", model_json!(), ") AS json FROM (SELECT * FROM models ORDER BY id)"))
}

/// Puts a row in the place of the one of its id. `source` and `as_of` say
/// where it is from.
pub(crate) fn put(model: &Model, source: &str, as_of: &str) -> Result<Statement, Error> {
    let json = |value: serde_json::Result<String>| value.map_err(|error| Error::Internal(error.to_string()));
    let prices = model.prices.map(|prices| json(serde_json::to_string(&prices))).transpose()?;
    let above = model.above.map(|above| json(serde_json::to_string(&above))).transpose()?;
    Ok(sql!(
        "INSERT INTO models (id, provider, name, display_name, context, max_output, prices, above, capabilities, quality, speed,
           is_deprecated, source, as_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, context = excluded.context,
           max_output = excluded.max_output, prices = excluded.prices, above = excluded.above,
           capabilities = excluded.capabilities, quality = excluded.quality, speed = excluded.speed,
           is_deprecated = excluded.is_deprecated, source = excluded.source, as_of = excluded.as_of",
        model.id.as_str(),
        model.provider.as_str(),
        model.name.as_str(),
        model.display_name.as_str(),
        model.context,
        model.max_output,
        prices,
        above,
        json(serde_json::to_string(&model.capabilities))?,
        model.quality,
        model.speed,
        i64::from(model.is_deprecated),
        source,
        as_of
    ))
}
