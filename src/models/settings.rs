//! The providers that are set up here, and the deadlines of their answers.

use hatch_dialects::Dialect;
use serde::Deserialize;

use super::{
    keys::Keys,
    model::{Model, Prices},
    providers::{DESCRIPTIONS, Description, Provider, Upstream},
};
use crate::{
    error::Error,
    platform::{self, ai::Ai},
    settings::{Environment, FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Reports wrong values of this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Providers>()];

/// The providers, and the limits that apply to all of them.
#[derive(Debug)]
pub(crate) struct Providers {
    pub(crate) all: Vec<Provider>,
    /// The model of Anthropic that is asked where nobody has chosen one.
    pub(crate) claude_model: String,
    /// The longest wait for the first word of an answer, in milliseconds.
    pub(super) first_token_ms: u64,
    /// The longest pause between two pieces of an answer, in milliseconds.
    pub(crate) idle_ms: i64,
    /// What all callers together may spend in a day, in micro-dollars.
    pub(crate) daily_budget_micro_usd: Option<i64>,
}

impl Providers {
    /// The provider of this name, if a caller with these keys can use it.
    pub(crate) fn open_to(&self, keys: &Keys, name: &str) -> Option<&Provider> {
        self.all.iter().find(|provider| provider.name == name && provider.is_open_to(keys))
    }

    /// Whether a caller may store a key for the provider of this name.
    pub(crate) fn takes_keys_of(&self, name: &str) -> bool {
        let is_it =
            |provider: &Provider| provider.name == name && !matches!(provider.upstream, Upstream::Sandbox);
        self.all.iter().any(is_it)
    }
}

impl FromVars for Providers {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let mut all = Vec::new();
        for description in DESCRIPTIONS {
            all.extend(known(description, vars)?);
        }
        if let Some(json) = vars.get("PROVIDERS") {
            let listed: Vec<Listed> = hatch_json::from_str(&json).map_err(|_| unreadable())?;
            for provider in listed {
                all.retain(|known| known.name != provider.name);
                all.push(provider.into_provider()?);
            }
        }
        let is_empty = all.iter().all(|provider| provider.is_closed);
        if is_empty && Environment::of(vars)?.is_development() {
            all.push(Provider {
                name: super::sandbox::NAME.to_owned(),
                upstream: Upstream::Sandbox,
                speaks: vec![Dialect::Chat],
                is_openai: true,
                is_closed: false,
                models: super::sandbox::models(),
            });
        }
        let budget: i64 = vars.number("GATEWAY_DAILY_BUDGET_MICRO_USD", 0)?;
        Ok(Self {
            all,
            claude_model: vars.get("CLAUDE_MODEL").unwrap_or_else(|| "claude-sonnet-5-5".to_owned()),
            first_token_ms: vars.number("GATEWAY_FIRST_TOKEN_MS", 15_000)?,
            idle_ms: vars.number("GATEWAY_IDLE_MS", 30_000)?,
            daily_budget_micro_usd: (budget > 0).then_some(budget),
        })
    }
}

/// A provider of providers/. `AI_GATEWAY_URL` puts Cloudflare's AI Gateway before it
/// (developers.cloudflare.com/ai-gateway).
fn known(description: &Description, vars: &Vars) -> Result<Option<Provider>, Error> {
    if let Some(binding) = description.binding.and_then(|name| vars.binding(name)) {
        return Ok(Some(provider(description, false, Upstream::Binding(Ai::new(binding)))));
    }
    let key = vars.get(description.key);
    if key.is_none() && !description.takes_keys {
        return Ok(None);
    }
    let own = (description.base_url)(vars)?;
    let gateway = vars.get("AI_GATEWAY_URL").filter(|_| description.name != "workers-ai");
    let base_url = match gateway {
        Some(_) => format!("{}/{}", vars.base_url("AI_GATEWAY_URL", "")?, description.name),
        None => own,
    };
    let is_closed = key.is_none();
    let upstream = Upstream::Http { base_url, key, gateway_token: vars.get("AI_GATEWAY_TOKEN") };
    Ok(Some(provider(description, is_closed, upstream)))
}

fn provider(description: &Description, is_closed: bool, upstream: Upstream) -> Provider {
    Provider {
        name: description.name.to_owned(),
        is_closed,
        upstream,
        speaks: description.speaks.to_vec(),
        is_openai: description.is_openai,
        models: Vec::new(),
    }
}

/// A provider in `PROVIDERS`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    base_url: String,
    key: Option<String>,
    dialect: ListedDialect,
    #[serde(default)]
    models: Vec<ListedModel>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ListedDialect {
    OpenAi,
    Anthropic,
}

/// A model in `PROVIDERS`. Prices are dollars for a million tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedModel {
    id: String,
    context: i64,
    max_output: i64,
    input: Option<f64>,
    output: Option<f64>,
    cache_read: Option<f64>,
    #[serde(default)]
    capabilities: Vec<String>,
}

fn unreadable() -> Error {
    wrong(
        "PROVIDERS",
        "a JSON list of {name, base_url, key?, dialect: \"openai\"|\"anthropic\", models: [{id, context, max_output, \
         input?, output?, cache_read?, capabilities: [...]}]}",
    )
}

impl Listed {
    fn into_provider(self) -> Result<Provider, Error> {
        let is_url = platform::url::parse(&self.base_url, None)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        let is_name = !self.name.is_empty()
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !is_url || !is_name {
            return Err(unreadable());
        }
        let models = self.models.into_iter().map(|model| model.into_model(&self.name)).collect();
        Ok(Provider {
            upstream: Upstream::Http {
                base_url: self.base_url.trim_end_matches('/').to_owned(),
                key: self.key,
                gateway_token: None,
            },
            speaks: vec![match self.dialect {
                ListedDialect::OpenAi => Dialect::Chat,
                ListedDialect::Anthropic => Dialect::Messages,
            }],
            is_openai: false,
            is_closed: false,
            models,
            name: self.name,
        })
    }
}

impl ListedModel {
    fn into_model(self, provider: &str) -> Model {
        let micro = |dollars: f64| (dollars * 1_000_000.0).round().max(0.0) as u64;
        let prices = self.input.zip(self.output).map(|(input, output)| Prices {
            input: micro(input),
            output: micro(output),
            cache_read: micro(self.cache_read.unwrap_or(input)),
            cache_write: micro(input * 1.25),
            cache_write_long: micro(input * 2.0),
        });
        Model {
            id: format!("{provider}/{}", self.id),
            provider: provider.to_owned(),
            display_name: self.id.clone(),
            name: self.id,
            context: self.context,
            max_output: self.max_output,
            prices,
            above: None,
            capabilities: self.capabilities,
            quality: 3,
            speed: 3,
            is_deprecated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn providers(vars: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let settings = Settings::for_test(vars);
        let all = &Providers::of(&settings)?.all;
        Ok(all.iter().filter(|provider| !provider.is_closed).map(|provider| provider.name.clone()).collect())
    }

    #[test]
    fn providers_with_a_key_are_open_and_the_sandbox_only_in_development_without_any_key() {
        assert_eq!(providers(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(providers(&[("ENVIRONMENT", "development")]).unwrap(), ["sandbox"]);
        let both = [("ENVIRONMENT", "development"), ("CLAUDE_API_KEY", "k"), ("OPENAI_API_KEY", "k")];
        assert_eq!(providers(&both).unwrap(), ["anthropic", "openai"]);
        let error = providers(&[("WORKERS_AI_TOKEN", "t")]).unwrap_err();
        assert!(matches!(error, Error::NotConfigured { variable: "WORKERS_AI_ACCOUNT_ID", .. }));
    }

    #[test]
    fn a_listed_provider_replaces_the_known_one_of_the_same_name() {
        let list = r#"[{"name":"openai","base_url":"https://proxy.test/v1/","dialect":"openai","models":
            [{"id":"m","context":1000,"max_output":100,"input":0.5,"output":1,"capabilities":["tools"]}]}]"#;
        let settings = Settings::for_test(&[("OPENAI_API_KEY", "k"), ("PROVIDERS", list)]);
        let all = &Providers::of(&settings).unwrap().all;
        let openai: Vec<&Provider> = all.iter().filter(|provider| provider.name == "openai").collect();
        assert_eq!(openai.len(), 1);
        assert_eq!(openai[0].models[0].prices.unwrap().input, 500_000);
        assert!(
            matches!(&openai[0].upstream, Upstream::Http { base_url, key: None, .. } if base_url == "https://proxy.test/v1")
        );
        for wrong in ["{}", "[{}]", r#"[{"name":"a b","base_url":"https://x.test","dialect":"openai"}]"#] {
            assert!(providers(&[("PROVIDERS", wrong)]).is_err(), "{wrong}");
        }
    }
}
