//! Tools that the gateway runs for a chat that names them in `enabled_tools`: the
//! model calls them, reads their results, and answers (steps.rs). Dynamic apps
//! are the same tools with a form.

pub(super) mod join;
pub(super) mod steps;

use hatch_dialects::{
    Json,
    request::{Tool as Offered, ToolKind},
};
use serde_json::{Map, Value, json};

use super::ledger::{Budgets, CallCost, Outcome};
use crate::{
    error::Error,
    http::RequestContext,
    models::{KeyLimits, Prompt, web_search},
    platform::response::Response,
    settings::{FromVars as _, Settings},
    store::Database,
    upstream::{
        search::{self, Search},
        weather::{self, Weather},
        web,
    },
};

/// A tool: its names, its one argument, and what it does.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// Its argument, a string.
    pub(super) field: Field,
    action: Action,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) most_chars: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Search,
    Extract,
    Weather,
}

static TOOLS: &[Tool] = &[
    Tool {
        name: "web_search",
        title: "Search the web",
        about: "Searches the web. Returns titles, addresses and snippets of pages.",
        field: Field { name: "query", title: "Query", about: "A question, or a few words.", most_chars: 300 },
        action: Action::Search,
    },
    Tool {
        name: "extract_content",
        title: "Read a page",
        about: "Reads a public web page. Returns its text.",
        field: Field {
            name: "url",
            title: "Address",
            about: "The page's address, beginning with https://.",
            most_chars: 2_000,
        },
        action: Action::Extract,
    },
    Tool {
        name: "get_weather",
        title: "Weather",
        about: "Returns the current weather at a place, in degrees Celsius.",
        field: Field {
            name: "location",
            title: "Place",
            about: "A town, such as `Paris, FR`.",
            most_chars: 100,
        },
        action: Action::Weather,
    },
];

/// The name of the calls that are searches.
const SEARCHES: &str = "tools/web_search";
/// The most results of a search.
const RESULTS: usize = 5;

/// The tools that this Worker can run.
pub(super) fn available(settings: &Settings) -> Result<Vec<&'static Tool>, Error> {
    let (has_search, has_weather) =
        (Option::<Search>::of(settings)?.is_some(), Option::<Weather>::of(settings)?.is_some());
    let is_available = |tool: &&Tool| match tool.action {
        Action::Search => has_search,
        Action::Extract => true,
        Action::Weather => has_weather,
    };
    Ok(TOOLS.iter().filter(is_available).collect())
}

/// `GET /tools`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let shown = |tool: &&Tool| json!({ "id": tool.name, "name": tool.title, "description": tool.about });
    let data: Vec<Value> = available(&context.settings)?.iter().map(shown).collect();
    let list = json!({ "success": true, "message": "The tools that the gateway runs", "data": data });
    Ok(Response::json(200, list.to_string()))
}

impl Tool {
    /// The JSON schema of its arguments.
    fn parameters(&self) -> Value {
        let Field { name, about, most_chars, .. } = self.field;
        json!({
            "type": "object", "required": [name], "additionalProperties": false,
            "properties": { name: { "type": "string", "description": about, "minLength": 1, "maxLength": most_chars } },
        })
    }

    /// Its definition for a model.
    fn definition(&self) -> Offered {
        Offered {
            name: self.name.to_owned(),
            namespace: None,
            description: Some(self.about.to_owned()),
            kind: ToolKind::Function { parameters: Json::parse(&self.parameters().to_string()) },
            strict: None,
            cache: None,
            extra: Vec::new(),
        }
    }

    /// Reads its argument.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn argument<'a>(&self, input: &'a Map<String, Value>) -> Result<&'a str, Error> {
        let Field { name, most_chars, .. } = self.field;
        let wrong = |words: String| Error::invalid(format!("/{name}"), words);
        match input.get(name) {
            None => Err(wrong("is missing".to_owned())),
            Some(Value::String(text)) if text.trim().is_empty() => Err(wrong("must not be blank".to_owned())),
            Some(Value::String(text)) if text.chars().count() <= most_chars => Ok(text),
            Some(Value::String(_)) => Err(wrong(format!("must have at most {most_chars} characters"))),
            Some(_) => Err(wrong("must be text".to_owned())),
        }
    }

    /// Runs it. The caller's budgets pay for a search by Claude.
    ///
    /// # Errors
    /// Those of [`Self::argument`]; 429 for a spent budget; an upstream's.
    pub(super) async fn run(
        &self,
        input: &Map<String, Value>,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Value, Error> {
        let (argument, settings) = (self.argument(input)?, &context.settings);
        match self.action {
            Action::Search => self.search(argument, context, database).await,
            Action::Extract => match web::read(argument, settings).await {
                Ok(page) => Ok(
                    json!({ "url": page.url, "title": page.title, "description": page.description, "text": page.text }),
                ),
                Err(web::ReadError::Address(refused)) => {
                    Err(Error::invalid(format!("/{}", self.field.name), refused.to_string()))
                }
                Err(unread) => Err(failed(format!("The page was not read: {unread}"))),
            },
            Action::Weather => {
                let weather = Option::<Weather>::of(settings)?.as_ref();
                let weather = weather.ok_or_else(|| missing("OPENWEATHER_API_KEY"))?;
                Ok(json!(weather::at(weather, argument, settings).await?))
            }
        }
    }

    async fn search(
        &self,
        query: &str,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Value, Error> {
        let settings = &context.settings;
        let provider = Option::<Search>::of(settings)?.as_ref().ok_or_else(|| missing("SEARCH_PROVIDER"))?;
        let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
        let entry = match provider {
            Search::Claude => {
                let prompt = Prompt { model: SEARCHES, tokens: 0, micro_usd: web_search::LEAST_MICRO_USD };
                let cost = CallCost { most_micro_usd: web_search::MOST_MICRO_USD, prompt };
                Some(Budgets::of(&limits, context)?.reserve(Some(cost), Vec::new(), database).await?)
            }
            Search::Engine(_) => None,
        };
        let found = web_search::search(provider, query, RESULTS, settings, database).await;
        let (cost_micro_usd, hits) = match found {
            Ok(found) => (found.cost_micro_usd, Ok(found.hits)),
            Err(failed) => (failed.cost_micro_usd, Err(failed.error)),
        };
        if let Some(entry) = entry {
            let status = if hits.is_ok() { 200 } else { 502 };
            let outcome =
                Outcome { model: Some(SEARCHES), status, attempts: 1, cost_micro_usd, ..Outcome::default() };
            entry.close(outcome, database).await;
        }
        let shown = |hit: &search::Hit| json!({ "title": hit.title, "url": hit.url, "snippet": hit.snippet });
        Ok(json!({ "results": hits?.iter().map(shown).collect::<Vec<_>>() }))
    }
}

fn missing(variable: &'static str) -> Error {
    Error::NotConfigured { variable, detail: format!("Set {variable} for this tool") }
}

fn failed(detail: String) -> Error {
    Error::upstream(crate::error::UpstreamKind::Failed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_available_if_its_variables_are_set() {
        let names = |vars: &[(&str, &str)]| -> Vec<&str> {
            available(&Settings::for_test(vars)).unwrap().iter().map(|tool| tool.name).collect()
        };
        assert_eq!(names(&[]), ["extract_content"]);
        assert_eq!(names(&[("BRAVE_API_KEY", "b")]), ["web_search", "extract_content"]);
        assert_eq!(names(&[("OPENWEATHER_API_KEY", "w")]), ["extract_content", "get_weather"]);
    }

    #[test]
    fn an_argument_is_a_string_of_limited_length() {
        let tool = &TOOLS[0];
        let argument =
            |value: Value| tool.argument(&Map::from_iter([("query".to_owned(), value)])).map(str::to_owned);
        assert_eq!(argument(json!("clocks")).unwrap(), "clocks");
        for wrong in [json!(""), json!(" \n"), json!(1), json!(null), json!(["a"]), json!("x".repeat(301))] {
            assert!(matches!(argument(wrong), Err(Error::Invalid(v)) if v[0].pointer == "/query"));
        }
        assert!(tool.argument(&Map::new()).is_err());
    }
}
