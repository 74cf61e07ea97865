//! The startup generator: from a prompt to a packaged startup.
//!
//! Handlers of the job: `proof::challenge`, `create`, `list`, `status`, `events`, `cancel`, `retry`.
//! Handlers of the startup, whose code is a project of the same id: `show`,
//! `download::show`, `pitch_deck`. job.rs runs the steps, each in its own file: discovery, building,
//! packaging, marketing, identity. Their rules are pure: competitors, complete,
//! deck, idea, launch, question, startup, steps, verify.

mod building;
mod competitors;
mod complete;
mod deck;
mod dialect;
mod discovery;
pub(crate) mod download;
mod idea;
mod identity;
pub(crate) mod job;
mod launch;
mod line;
mod marketing;
#[cfg(test)]
pub(crate) mod openapi;
mod packaging;
pub(crate) mod proof;
mod question;
mod settings;
pub(crate) use settings::SETTINGS;
mod startup;
mod steps;
mod store;
pub(crate) use dialect::DIALECT;
#[cfg(test)]
pub(crate) use store::ExportedStartup;
pub(crate) use store::OWNED;
mod verify;
mod work;

use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{proof::Proof, settings::Generate, store::States};
use crate::identity::DailyLimits;
use crate::settings::FromVars as _;
use crate::{
    error::{Error, Exceeded, Resource},
    http::{
        RequestContext, body, conditional, page,
        progress::{self, Subject},
    },
    identity::quotas::{self, Quota},
    jobs, models,
    platform::{
        clock::now_ms,
        response::{Response, ResponseKind},
    },
    settings::Settings,
    store::{Database, Rows, shared::STATES},
};

const JOB_NOT_FOUND: Error = Error::NotFound(Resource::Job);
const PROJECT_NOT_FOUND: Error = Error::NotFound(Resource::Project);
const EMPTY_PROMPT: &str = "Prompt cannot be empty";

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NewStartup {
    /// A description of the startup, in any language.
    #[garde(length(chars, max = 4000))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    prompt: String,
    /// Ignored; send a `proof` instead.
    #[serde(default)]
    #[garde(skip)]
    #[expect(dead_code, reason = "clients of the original send it")]
    verified: Option<bool>,
    /// The presentation with which a Concordium wallet answers the request of
    /// `POST /api/generate/challenge`.
    #[serde(default)]
    #[garde(inner(custom(is_small)))]
    proof: Option<Map<String, Value>>,
}

impl NewStartup {
    fn prompt(&self) -> Result<&str, Error> {
        Some(self.prompt.trim()).filter(|prompt| !prompt.is_empty()).ok_or_else(empty_prompt)
    }
}

fn is_small(proof: &Map<String, Value>, (): &()) -> garde::Result {
    let bytes = serde_json::to_string(proof).map_or(usize::MAX, |json| json.len());
    if bytes <= proof::LARGEST { Ok(()) } else { Err(garde::Error::new("is larger than any proof")) }
}

/// `POST /api/generate`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let caller = context.caller.user()?;
    let user = caller.id.as_str();
    let new: NewStartup = body::json(&context).await?;
    let prompt = new.prompt()?.to_owned();
    let settings = &context.settings;
    let database = context.database()?;
    let (id, job_id) = (context.new_id("startup")?, context.new_id("job")?);
    if context.is_again() && !database.query(store::exists(&job_id, user)).await?.is_empty() {
        context.mark_replay();
        return Ok(accepted(&job_id));
    }
    can_generate(user, settings, &database).await?;
    quotas::require(Quota::Budget, user, DailyLimits::of(settings)?, &database).await?;

    let proof = match new.proof {
        Some(presentation) => Some(Proof::of(presentation, user, &database).await?),
        None => None,
    };
    let sealed = proof.as_ref().map(|proof| proof.seal(&id, settings)).transpose()?;
    let name = idea::read(&prompt).name;
    let startup = store::NewStartup {
        id: &id,
        job_id: &job_id,
        user,
        prompt: &prompt,
        name: &name,
        proof: sealed.as_deref(),
        key: caller.credential.key_id(),
    };
    let now = now_ms();
    let running_jobs = Generate::of(settings)?.running_jobs;
    let mut batch = vec![store::require_free_slot(user, running_jobs), store::create(&startup, now)];
    batch.extend(proof.iter().flat_map(|proof| proof.use_up(user)));
    let (kind, first) = (job::KIND.name, steps::Step::Discovery.name());
    batch.extend(jobs::store::create(&job_id, user, kind, &id, first, &context.trace_id, now));
    if let Err(error) = database.batch_all(batch).await {
        if let Some(proof) = proof.filter(|_| error == Error::GuardFailed) {
            // Another request may have used the challenge meanwhile.
            proof.require_unused(user, &database).await?;
        }
        return Err(running_limit_error(error, running_jobs));
    }
    wake(&context, job_id.clone());
    Ok(accepted(&job_id))
}

fn empty_prompt() -> Error {
    Error::Refused { code: "empty_prompt", detail: EMPTY_PROMPT.to_owned() }
}

/// A model generates startups if there is a key; the sandbox model does only in development.
async fn can_generate(user: &str, settings: &Settings, database: &Database) -> Result<(), Error> {
    if models::is_any_open(user, settings, database).await? {
        return Ok(());
    }
    Err(Error::NotConfigured {
        variable: "CLAUDE_API_KEY",
        detail: "Set the secret CLAUDE_API_KEY to generate startups".to_owned(),
    })
}

fn accepted(job_id: &str) -> Response {
    let body = json!({ "job_id": job_id, "status": "processing", "message": "Startup generation started" });
    Response::json(200, body.to_string())
}

/// After how many seconds a client should check again whether a job has ended.
const SOON_S: i64 = 30;

/// The error of a batch whose first guard refused it.
fn running_limit_error(error: Error, limit: u32) -> Error {
    if error != Error::GuardFailed {
        return error;
    }
    running_limit(limit, now_ms())
}

fn running_limit(limit: u32, now: i64) -> Error {
    Error::TooManyRequests(Box::new(Exceeded {
        policy: "running-jobs",
        code: "too_many_running_jobs",
        detail: format!("You have {limit} startups in the making; wait for one of them, or cancel it"),
        limit: limit.into(),
        window_s: SOON_S,
        reset_at_ms: now + SOON_S * 1000,
        reset_s: SOON_S,
    }))
}

/// Sends a job's message in the background. If that fails, the outbox sends it later.
fn wake(context: &RequestContext, job_id: String) {
    let env = context.env.clone();
    context.background.run(async move { jobs::outbox::send(&env, &job_id).await });
}

/// `GET /api/generate`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let (user, database) = (context.caller.user_id()?, context.database()?);
    let mut page = page::of(&context)?;
    let answer = page::fetch(&database, &mut page, |page| store::list(user, page)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// Which states the client of a request knows.
fn states(context: &RequestContext) -> Result<States, Error> {
    match context.query("states").as_deref() {
        None => Ok(States::Original),
        Some("all") => Ok(States::All),
        Some(_) => Err(Error::invalid("states", "must be `all`, or left out")),
    }
}

/// `GET /api/status/:job_id`
pub(crate) async fn status(context: RequestContext) -> Result<Response, Error> {
    let (states, database) = (states(&context)?, context.database()?);
    let statement = store::status(context.param("job_id"), context.caller.user_id()?, states, now_ms());
    let answer = database.query_shared(&STATES, statement).await?.into_json().ok_or(JOB_NOT_FOUND)?;
    let (overdue, status) = answer.split_once('\n').unwrap_or_default();
    if !overdue.is_empty() {
        let (env, job_id) = (context.env.clone(), overdue.to_owned());
        context.background.run(async move {
            // A client that waits wakes a job whose consumer has died.
            let _ = jobs::outbox::nudge(&env, &database, &job_id).await;
        });
    }
    let etag = conditional::etag_of(status.as_bytes());
    if conditional::matches_any(context.request.header("if-none-match").as_deref(), &etag) {
        return Ok(Response::empty(304).with("etag", etag));
    }
    Ok(Response::json(200, status.to_owned()).with("etag", etag))
}

/// `GET /api/status/:job_id/events`
pub(crate) async fn events(context: RequestContext) -> Result<Response, Error> {
    let (job_id, user) = (context.param("job_id").to_owned(), context.caller.user_id()?.to_owned());
    let states = states(&context)?;
    let look = move |seen| store::snapshot(&job_id, &user, states, seen, now_ms());
    let subject = Subject { look: Box::new(look), not_found: JOB_NOT_FOUND, status_event: Some("status") };
    progress::stream(context, subject).await
}

/// `POST /api/generate/:job_id/cancel`
pub(crate) async fn cancel(context: RequestContext) -> Result<Response, Error> {
    let (job_id, database) = (context.param("job_id"), context.database()?);
    let owned = owned(&context, &database).await?;
    let now = now_ms();
    let mut batch: Vec<_> = jobs::store::cancel(job_id, now).into();
    batch.push(store::end(&owned.id, "cancelled", now));
    batch.push(jobs::store::log(job_id, "error", "Cancelled", now));
    if let Some(status) = refused(database.batch_all(batch).await, &context, &database).await?
        // A job that is cancelled already needs nothing more.
        && status != "cancelled"
    {
        return Err(has_ended());
    }
    Ok(status_response(job_id, "cancelled", "Startup generation cancelled"))
}

fn has_ended() -> Error {
    Error::Conflict { code: "job_ended", detail: "The job has ended; there is nothing to cancel".into() }
}

/// `POST /api/generate/:job_id/retry`
pub(crate) async fn retry(context: RequestContext) -> Result<Response, Error> {
    let (job_id, database) = (context.param("job_id"), context.database()?);
    let owned = owned(&context, &database).await?;
    let (user, settings) = (context.caller.user_id()?, &context.settings);
    if owned.status == "completed" {
        return Err(not_failed());
    }
    can_generate(user, settings, &database).await?;
    quotas::require(Quota::Budget, user, DailyLimits::of(settings)?, &database).await?;
    let now = now_ms();
    let mut batch: Vec<_> = jobs::store::retry(job_id, now).into();
    let running_jobs = Generate::of(settings)?.running_jobs;
    batch.push(store::require_free_slot(user, running_jobs));
    batch.push(store::reopen(&owned.id, now));
    batch.push(jobs::store::log(job_id, "info", "Trying once more", now));
    match refused(database.batch_all(batch).await, &context, &database).await?.as_deref() {
        None => wake(&context, job_id.to_owned()),
        // A retry before this one began it already.
        Some("processing") => {}
        Some("completed") => return Err(not_failed()),
        Some(_) => return Err(running_limit(running_jobs, now)),
    }
    Ok(status_response(job_id, "processing", "Startup generation goes on"))
}

/// The job's present status, if a guard refused its batch.
async fn refused(
    batch: Result<Vec<Rows>, Error>,
    context: &RequestContext,
    database: &Database,
) -> Result<Option<String>, Error> {
    match batch {
        Ok(_) => Ok(None),
        Err(Error::GuardFailed) => owned(context, database).await.map(|now| Some(now.status)),
        Err(error) => Err(error),
    }
}

fn not_failed() -> Error {
    Error::Conflict {
        code: "job_completed",
        detail: "The job is completed; there is nothing to try again".into(),
    }
}

async fn owned(context: &RequestContext, database: &Database) -> Result<store::OwnJob, Error> {
    let owned = store::owned(context.param("job_id"), context.caller.user_id()?);
    database.query(owned).await?.first()?.ok_or(JOB_NOT_FOUND)
}

fn status_response(job_id: &str, status: &str, message: &str) -> Response {
    let body = json!({ "job_id": job_id, "status": status, "message": message });
    Response::json(200, body.to_string())
}

/// `GET /api/project/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let statement = store::show(id, user, context.request.origin());
    let startup = context.database()?.query_json(statement).await?.ok_or(PROJECT_NOT_FOUND)?;
    Ok(Response::json(200, startup))
}

/// The Content-Security-Policy of a deck: only inline style and script.
const DECK_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-modals";

/// `GET /decks/:token`: for people who have the link.
pub(crate) async fn pitch_deck(context: RequestContext) -> Result<Response, Error> {
    let deck = context.database()?.query_json(store::deck(context.param("token"))).await?;
    let deck = deck.ok_or(Error::NotFound(Resource::Deck))?;
    Ok(Response::bytes(ResponseKind::App, 200, "text/html; charset=utf-8", deck.into_bytes())
        .with("content-security-policy", DECK_POLICY)
        .with("cache-control", "private, max-age=300"))
}
