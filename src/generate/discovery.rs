//! Discovery: finds the competitors. A failed search, or pages that cannot be
//! read, make the result poorer and are logged; when Claude itself fails, the
//! step is tried again.

use futures::future::join_all;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    competitors::{self, Competitor, CompetitorSource, CompetitorsAnswer, Queries},
    question::Question,
    steps::Step,
    store,
    work::Work,
};
use crate::{
    error::Error,
    jobs::Outcome,
    models,
    settings::{FromVars as _, Settings},
    upstream::{
        search::{Hit, Search},
        web::{self, Page},
    },
};

/// Results of each search.
const RESULTS: usize = 8;

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    work.announce("Looking for competitors").await?;
    let mut lines = Vec::new();
    let found = match work.has_model()? {
        true => {
            work.require_budget().await?;
            find(work, &mut lines).await?
        }
        false => Findings {
            source: CompetitorSource::Sandbox,
            competitors: competitors::sandbox(&work.startup.prompt),
        },
    };
    let json = serde_json::to_string(&found).map_err(|error| Error::Internal(error.to_string()))?;
    let mut writes = vec![store::save_competitors(&work.startup.id, &json)];
    writes.extend(lines.iter().map(|line| work.log("info", line)));
    writes.push(work.log("success", &found.summary(work.model_name()?)));
    writes.push(work.done(Step::Discovery));
    Ok(Outcome::Next { step: Step::Building.name(), writes })
}

/// The result of discovery, as the database keeps it.
#[derive(Debug, Serialize)]
struct Findings {
    source: CompetitorSource,
    competitors: Vec<Competitor>,
}

impl Findings {
    fn summary(&self, model: &str) -> String {
        let names: Vec<&str> = self.competitors.iter().map(|it| it.name.as_str()).collect();
        match (self.source, names.len()) {
            (CompetitorSource::Sandbox, _) => {
                "No market was searched: the sandbox model has listed what people use instead. \
                Set CLAUDE_API_KEY for real competitors"
                    .to_owned()
            }
            (_, 0) => "Found no competitors".to_owned(),
            (CompetitorSource::Search, n) => {
                format!("Found {n} competitors on the web: {}", names.join(", "))
            }
            (CompetitorSource::Model, n) => format!("{model} knows of {n} competitors: {}", names.join(", ")),
        }
    }
}

/// Finds competitors on the web, or else asks Claude what it knows. Adds to
/// `lines` what the job's log should say about it.
async fn find(work: &Work, lines: &mut Vec<String>) -> Result<Findings, Error> {
    let (prompt, settings) = (&work.startup.prompt, &work.settings);
    let hits = match Option::<Search>::of(settings)? {
        Some(provider) => hits(work, provider, lines).await?,
        None => Vec::new(),
    };
    if !hits.is_empty() {
        let pages = read(&hits, settings, lines).await;
        let answer: CompetitorsAnswer = ask(work, competitors::question(prompt, &hits, &pages)).await?;
        let competitors = answer.cited(&hits, &pages);
        if !competitors.is_empty() {
            return Ok(Findings { source: CompetitorSource::Search, competitors });
        }
        let model = models::in_sentence(work.model_name()?);
        lines.push(format!("The pages show no competitors; asking {model} what it knows"));
    }
    let answer: CompetitorsAnswer = ask(work, competitors::question(prompt, &[], &[])).await?;
    Ok(Findings { source: CompetitorSource::Model, competitors: answer.known() })
}

/// Searches the web for the idea. Empty if no search is set up or none succeeds.
async fn hits(work: &Work, provider: &Search, lines: &mut Vec<String>) -> Result<Vec<Hit>, Error> {
    let (prompt, settings) = (&work.startup.prompt, &work.settings);
    let queries = match provider {
        // Claude writes its own queries.
        Search::Claude => vec![format!("Which products already do this? {prompt}")],
        Search::Engine(_) => {
            let question = Question {
                schema: Some(competitors::queries_schema()),
                max_tokens: Some(1_000),
                ..Question::new(competitors::QUERIES_SYSTEM, competitors::queries_question(prompt))
            };
            answer::<Queries>(work, &question).await?.take()
        }
    };
    let mut searches = Vec::new();
    // One after the other, because the small plans of search engines allow one request a second.
    for query in &queries {
        match work.search(provider, query, RESULTS).await? {
            Ok(hits) => searches.push(hits),
            Err(error) => lines.push(format!("A search has failed: {}", error.detail())),
        }
    }
    let hits = competitors::merge(&searches, settings.hosting_domain.as_deref());
    if hits.is_empty() {
        let model = models::in_sentence(work.model_name()?);
        lines.push(format!("The web search has found nothing; asking {model} what it knows"));
    }
    Ok(hits)
}

/// Reads the chosen pages concurrently. `lines` names those that cannot be read.
async fn read(hits: &[Hit], settings: &Settings, lines: &mut Vec<String>) -> Vec<Page> {
    let urls = competitors::pages_to_read(hits);
    let read = join_all(urls.iter().map(|url| web::read(url, settings))).await;
    let mut pages = Vec::new();
    for (url, page) in urls.iter().zip(read) {
        match page {
            Ok(page) => pages.push(page),
            Err(unread) => lines.push(format!("Could not read {url}: {unread}")),
        }
    }
    lines.push(format!("Read {} of {} pages", pages.len(), urls.len()));
    pages
}

async fn ask(work: &Work, question: String) -> Result<CompetitorsAnswer, Error> {
    let question = Question {
        schema: Some(competitors::schema()),
        max_tokens: Some(8_000),
        ..Question::new(competitors::SYSTEM, question)
    };
    answer(work, &question).await
}

async fn answer<T: DeserializeOwned>(work: &Work, question: &Question) -> Result<T, Error> {
    work.ask(question, async |_| ()).await?.read()
}
