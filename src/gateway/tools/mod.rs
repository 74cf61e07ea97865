//! Tools that are run here, by their names in `enabled_tools`: a model calls
//! them, reads what they found, and answers (steps.rs). Dynamic apps are the
//! same tools, with a form.

pub(super) mod steps;

use hatch_dialects::{
    Json,
    request::{Tool as Offered, ToolKind},
};
use serde_json::{Map, Value, json};

use super::ledger::{Budgets, Outcome};
use crate::{
    error::Error,
    http::RequestContext,
    models::KeyLimits,
    platform::response::Response,
    settings::{FromVars as _, Settings},
    store::Database,
    upstream::{
        search::{self, Search},
        weather::{self, Weather},
        web,
    },
};

/// A tool: what it is called, what it takes, and what it does.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// What it needs to be told, a text.
    pub(super) field: Field,
    work: Work,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) most_chars: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Search,
    Extract,
    Weather,
}

static TOOLS: &[Tool] = &[
    Tool {
        name: "web_search",
        title: "Search the web",
        about: "Searches the web, and answers with the titles, addresses and beginnings of pages.",
        field: Field { name: "query", title: "Query", about: "A question, or a few words.", most_chars: 300 },
        work: Work::Search,
    },
    Tool {
        name: "extract_content",
        title: "Read a page",
        about: "Reads a page of the public web, and answers with its text.",
        field: Field {
            name: "url",
            title: "Address",
            about: "Of the page; begins with https://.",
            most_chars: 2_000,
        },
        work: Work::Extract,
    },
    Tool {
        name: "get_weather",
        title: "Weather",
        about: "Tells the weather of now at a place, in degrees Celsius.",
        field: Field {
            name: "location",
            title: "Place",
            about: "A town, such as `Paris, FR`.",
            most_chars: 100,
        },
        work: Work::Weather,
    },
];

/// So many results of a search.
const RESULTS: usize = 5;
/// The most that a search by Claude costs, in micro-dollars: three searches, and what it reads.
const MOST_MICRO_USD: i64 = 100_000;

/// The tools that can be run here.
pub(super) fn here(settings: &Settings) -> Result<Vec<&'static Tool>, Error> {
    let (has_search, has_weather) =
        (Option::<Search>::of(settings)?.is_some(), Option::<Weather>::of(settings)?.is_some());
    let is_here = |tool: &&Tool| match tool.work {
        Work::Search => has_search,
        Work::Extract => true,
        Work::Weather => has_weather,
    };
    Ok(TOOLS.iter().filter(is_here).collect())
}

/// `GET /tools`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let shown = |tool: &&Tool| json!({ "id": tool.name, "name": tool.title, "description": tool.about });
    let data: Vec<Value> = here(&context.settings)?.iter().map(shown).collect();
    let list = json!({ "success": true, "message": "The tools that are run here", "data": data });
    Ok(Response::json(200, list.to_string()))
}

impl Tool {
    /// What it takes, as a JSON schema.
    fn parameters(&self) -> Value {
        let Field { name, about, most_chars, .. } = self.field;
        json!({
            "type": "object", "required": [name], "additionalProperties": false,
            "properties": { name: { "type": "string", "description": about, "minLength": 1, "maxLength": most_chars } },
        })
    }

    /// As a model is offered it.
    fn offered(&self) -> Offered {
        Offered {
            name: self.name.to_owned(),
            namespace: None,
            description: Some(self.about.to_owned()),
            kind: ToolKind::Function { parameters: Json::parse(&self.parameters().to_string()) },
            strict: None,
            cache: None,
        }
    }

    /// What it is told.
    ///
    /// # Errors
    /// 400 naming the field.
    pub(super) fn told<'a>(&self, input: &'a Map<String, Value>) -> Result<&'a str, Error> {
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

    /// Runs it. A search that costs us something is paid by the caller's budgets.
    ///
    /// # Errors
    /// As [`Self::told`]'s; 429 for a budget that is spent; an upstream's.
    pub(super) async fn run(
        &self,
        input: &Map<String, Value>,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Value, Error> {
        let (told, settings) = (self.told(input)?, &context.settings);
        match self.work {
            Work::Search => self.search(told, context, database).await,
            Work::Extract => match web::read(told, settings).await {
                Ok(page) => Ok(
                    json!({ "url": page.url, "title": page.title, "description": page.description, "text": page.text }),
                ),
                Err(web::ReadError::Address(refused)) => {
                    Err(Error::invalid(format!("/{}", self.field.name), refused.to_string()))
                }
                Err(unread) => Err(outside(format!("The page was not read: {unread}"))),
            },
            Work::Weather => {
                let weather = Option::<Weather>::of(settings)?.as_ref();
                let weather = weather.ok_or_else(|| missing("OPENWEATHER_API_KEY"))?;
                Ok(json!(weather::at(weather, told, settings).await?))
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
        let user = context.caller.user()?;
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        let is_paid = matches!(provider, Search::Claude);
        let entry = match is_paid {
            true => {
                let budgets = Budgets::of(user, &limits, settings);
                Some(budgets.set_aside(Some(MOST_MICRO_USD), Vec::new(), database).await?)
            }
            false => None,
        };
        let found = search::search(provider, query, RESULTS, settings).await;
        let (cost_micro_usd, hits) = match found {
            Ok(found) => (found.cost_micro_usd, Ok(found.hits)),
            Err(failed) => (failed.cost_micro_usd, Err(failed.error)),
        };
        if let Some(entry) = entry {
            let status = if hits.is_ok() { 200 } else { 502 };
            let outcome = Outcome {
                model: Some("tools/web_search"),
                status,
                attempts: 1,
                cost_micro_usd,
                ..Outcome::default()
            };
            entry.close(outcome, Vec::new(), database).await;
        }
        let shown = |hit: &search::Hit| json!({ "title": hit.title, "url": hit.url, "snippet": hit.snippet });
        Ok(json!({ "results": hits?.iter().map(shown).collect::<Vec<_>>() }))
    }
}

fn missing(variable: &'static str) -> Error {
    Error::NotConfigured { variable, detail: format!("Set {variable} for this tool") }
}

fn outside(detail: String) -> Error {
    Error::upstream(crate::error::UpstreamKind::Failed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_there_where_it_can_be_run() {
        let names = |vars: &[(&str, &str)]| -> Vec<&str> {
            here(&Settings::for_test(vars)).unwrap().iter().map(|tool| tool.name).collect()
        };
        assert_eq!(names(&[]), ["extract_content"]);
        assert_eq!(names(&[("BRAVE_API_KEY", "b")]), ["web_search", "extract_content"]);
        assert_eq!(names(&[("OPENWEATHER_API_KEY", "w")]), ["extract_content", "get_weather"]);
    }

    #[test]
    fn what_a_tool_is_told_is_a_text_that_is_not_too_long() {
        let tool = &TOOLS[0];
        let told =
            |value: Value| tool.told(&Map::from_iter([("query".to_owned(), value)])).map(str::to_owned);
        assert_eq!(told(json!("clocks")).unwrap(), "clocks");
        for wrong in [json!(""), json!(" \n"), json!(1), json!(null), json!(["a"]), json!("x".repeat(301))] {
            assert!(matches!(told(wrong), Err(Error::Invalid(v)) if v[0].pointer == "/query"));
        }
        assert!(tool.told(&Map::new()).is_err());
    }
}
