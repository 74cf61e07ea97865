//! Discovery: who is there already. A search that fails, or pages that cannot
//! be read, make its result poorer and say so in the log; Claude's own failure
//! is tried again.

use futures::future::join_all;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    competitors::{self, Answer, Competitor, Queries, Source},
    job::Work,
    steps::Step,
    store,
};
use crate::{
    error::Error,
    jobs::Outcome,
    settings::{Search, Settings},
    upstream::{
        anthropic::{
            complete::{Completion, Failed, Question, complete},
            events::Usage,
        },
        search::{self, Hit},
        web::{self, Page},
    },
};

/// Results of each search.
const RESULTS: usize = 8;

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    work.announce("Looking for competitors").await?;
    if work.has_claude() {
        work.require_budget().await?;
    }
    let (prompt, mut spent) = (&work.startup.prompt, Spent::default());
    let found = match work.has_claude() {
        true => find(prompt, &work.settings, &mut spent).await,
        false => Ok(Told { source: Source::Sandbox, competitors: competitors::sandbox(prompt) }),
    };
    let booked = work.book(&spent.usage, spent.cost_micro_usd);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            // What was asked before it failed is paid for.
            work.pay(booked).await?;
            return Err(error);
        }
    };
    let json = serde_json::to_string(&found).map_err(|error| Error::Internal(error.to_string()))?;
    let mut writes = vec![store::found(&work.startup.id, &json)];
    writes.extend(spent.lines.iter().map(|line| work.log("info", line)));
    writes.push(work.log("success", &found.in_words()));
    writes.push(work.done(Step::Discovery));
    writes.extend(booked);
    Ok(Outcome::Next { step: Step::Building.name(), writes })
}

/// What discovery found, as it is kept.
#[derive(Debug, Serialize)]
struct Told {
    source: Source,
    competitors: Vec<Competitor>,
}

impl Told {
    fn in_words(&self) -> String {
        let names: Vec<&str> = self.competitors.iter().map(|it| it.name.as_str()).collect();
        match (self.source, names.len()) {
            (Source::Sandbox, _) => {
                "No market was searched: the sandbox model has listed what people use instead. \
                Set CLAUDE_API_KEY for real competitors"
                    .to_owned()
            }
            (_, 0) => "Found no competitors".to_owned(),
            (Source::Search, n) => format!("Found {n} competitors on the web: {}", names.join(", ")),
            (Source::Model, n) => format!("Claude knows of {n} competitors: {}", names.join(", ")),
        }
    }
}

/// What was asked of Claude, what it cost, and what is to be told of the way.
#[derive(Debug, Default)]
struct Spent {
    usage: Usage,
    cost_micro_usd: i64,
    lines: Vec<String>,
}

impl Spent {
    fn add(&mut self, usage: &Usage, cost_micro_usd: i64) {
        self.usage += usage;
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(cost_micro_usd);
    }
}

async fn find(prompt: &str, settings: &Settings, spent: &mut Spent) -> Result<Told, Error> {
    let hits = match &settings.search {
        Some(provider) => hits(prompt, provider, settings, spent).await?,
        None => Vec::new(),
    };
    if !hits.is_empty() {
        let pages = read(&hits, settings, spent).await;
        let answer: Answer = ask(competitors::question(prompt, &hits, &pages), settings, spent).await?;
        let competitors = answer.cited(&hits, &pages);
        if !competitors.is_empty() {
            return Ok(Told { source: Source::Search, competitors });
        }
        spent.lines.push("The pages show no competitors; asking Claude what it knows".to_owned());
    }
    let answer: Answer = ask(competitors::question(prompt, &[], &[]), settings, spent).await?;
    Ok(Told { source: Source::Model, competitors: answer.known() })
}

/// What the web has on the idea; nothing where it cannot be searched.
async fn hits(
    prompt: &str,
    provider: &Search,
    settings: &Settings,
    spent: &mut Spent,
) -> Result<Vec<Hit>, Error> {
    let queries = match provider {
        // It makes queries of its own.
        Search::Claude => vec![format!("Which products already do this? {prompt}")],
        Search::Brave { .. } | Search::Google { .. } => {
            let question = Question {
                schema: Some(competitors::queries_schema()),
                max_tokens: Some(1_000),
                ..Question::new(settings, competitors::QUERIES_SYSTEM, competitors::queries_question(prompt))
            };
            answer::<Queries>(&question, settings, spent).await?.take()
        }
    };
    let mut searches = Vec::new();
    // One after the other: the engines' small plans take one in a second.
    for query in &queries {
        match search::search(provider, query, RESULTS, settings).await {
            Ok(found) => {
                spent.add(&found.usage, found.cost_micro_usd);
                searches.push(found.hits);
            }
            Err(failed) => {
                spent.add(&Usage::default(), failed.cost_micro_usd);
                spent.lines.push(format!("A search has failed: {}", failed.error.detail()));
            }
        }
    }
    let hits = competitors::merged(&searches, settings.hosting_domain.as_deref());
    if hits.is_empty() {
        spent.lines.push("The web search has found nothing; asking Claude what it knows".to_owned());
    }
    Ok(hits)
}

/// The pages that are worth reading, all at once; those that cannot be read
/// are told of.
async fn read(hits: &[Hit], settings: &Settings, spent: &mut Spent) -> Vec<Page> {
    let urls = competitors::worth_reading(hits);
    let read = join_all(urls.iter().map(|url| web::read(url, settings))).await;
    let mut pages = Vec::new();
    for (url, page) in urls.iter().zip(read) {
        match page {
            Ok(page) => pages.push(page),
            Err(unread) => spent.lines.push(format!("Could not read {url}: {unread}")),
        }
    }
    spent.lines.push(format!("Read {} of {} pages", pages.len(), urls.len()));
    pages
}

async fn ask(question: String, settings: &Settings, spent: &mut Spent) -> Result<Answer, Error> {
    let question = Question {
        schema: Some(competitors::schema()),
        max_tokens: Some(8_000),
        ..Question::new(settings, competitors::SYSTEM, question)
    };
    answer(&question, settings, spent).await
}

async fn answer<T: DeserializeOwned>(
    question: &Question,
    settings: &Settings,
    spent: &mut Spent,
) -> Result<T, Error> {
    let completion: Result<Completion, Failed> = complete(settings, question).await;
    match completion {
        Ok(completion) => {
            spent.add(&completion.usage, completion.cost_micro_usd);
            completion.read()
        }
        Err(failed) => {
            spent.add(&Usage::default(), failed.cost_micro_usd);
            Err(failed.error)
        }
    }
}
