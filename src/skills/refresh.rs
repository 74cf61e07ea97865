//! Asks the sources, and reads the catalogue.

use futures::{StreamExt as _, channel::oneshot, stream};
use serde_json::json;
use worker::Env;

use super::{
    catalogue,
    feeds::{self, CacheStatus, Feed, SkillSource, State, Step, Tried},
    skill::{Skill, Type},
    store,
};
use crate::settings::FromVars as _;
use crate::upstream::skillsmp::SkillsMp;
use crate::{
    error::{Error, UpstreamKind},
    http::RequestContext,
    platform::{
        clock::{now_ms, sleep},
        log,
    },
    settings::Settings,
    store::{Database, Rows, Statement},
    upstream::{aitmpl, download::DownloadFailure, skillsmp},
};

/// The platform allows six connections at once.
const CONNECTIONS: usize = 6;
/// The pauses between two checks whether another request has filled the
/// catalogue; about ten seconds in all.
const PAUSES_MS: [u64; 6] = [250, 500, 1000, 2000, 3000, 4000];

/// Returns the rows of `statement`, once there is something to respond with.
///
/// # Errors
/// [`Error::Upstream`] when the catalogue is empty and no source answers.
pub(super) async fn read(
    context: &RequestContext,
    feeds: &[Feed],
    statement: Statement,
) -> Result<(Rows, CacheStatus), Error> {
    let database = context.database()?;
    let (mut tried, mut pauses, mut waited) = (Tried::default(), PAUSES_MS.into_iter(), false);
    loop {
        let [rows, states] = database.batch([statement.clone(), store::states(feeds)]).await?;
        let states: Vec<State> = states.read()?;
        match feeds::next(feeds, &states, now_ms(), tried) {
            Step::Fetch(wanted) => {
                tried.fetched = true;
                waited |= start(context, wanted).await.unwrap_or_default();
            }
            Step::Wait => {
                waited = true;
                match pauses.next() {
                    Some(ms) => sleep(ms).await,
                    None => tried.waited_long = true,
                }
            }
            Step::Answer(cache, due) => {
                if !due.is_empty() {
                    drop(start(context, due));
                }
                return Ok((rows, if waited { CacheStatus::Miss } else { cache }));
            }
            Step::Unavailable { retry_after_s } => return Err(unavailable(retry_after_s)),
        }
    }
}

/// The catalogue is empty and no source answers.
pub(super) fn unavailable(retry_after_s: i64) -> Error {
    Error::Upstream {
        kind: UpstreamKind::NoSkills,
        detail: "No source of skills answers now; try again later".to_owned(),
        retry_after_s: Some(retry_after_s),
    }
}

/// Asks these feeds in the background, so that a client that leaves does not
/// stop it. Resolves at the end to whether any feed was asked.
fn start(context: &RequestContext, wanted: Vec<Feed>) -> oneshot::Receiver<bool> {
    let (done, wait) = oneshot::channel();
    let (env, settings) = (context.env.clone(), context.settings.clone());
    context.background.run(async move {
        let has_asked = refresh(&env, &settings, &wanted).await.unwrap_or_else(|error| {
            log::line(&json!({ "level": "error", "message": "skills: no refresh", "code": error.code() }));
            false
        });
        // A refresh after the response has no receiver.
        let _ = done.send(has_asked);
    });
    wait
}

async fn refresh(env: &Env, settings: &Settings, wanted: &[Feed]) -> Result<bool, Error> {
    let database = Database::open(env)?;
    let claim = store::claim(wanted, SkillsMp::of(settings)?.key.is_some(), now_ms());
    let claimed: Vec<State> = database.query(claim).await?.read()?;
    let has_asked = !claimed.is_empty();
    let asking = stream::iter(claimed).map(|state| ask(&database, settings, state));
    let results: Vec<_> = asking.buffer_unordered(CONNECTIONS).collect().await;
    results.into_iter().collect::<Result<(), Error>>().map(|()| has_asked)
}

/// Asks one feed, and saves its response or the failure.
async fn ask(database: &Database, settings: &Settings, state: State) -> Result<(), Error> {
    let feed = &state.feed;
    let refusal = match fetch(settings, feed).await {
        Ok(skills) => return database.batch_all(store::keep(feed, &skills, now_ms())).await.map(drop),
        Err(refusal) => refusal,
    };
    log::line(&json!({
        "level": "warn",
        "message": "skills: a source failed",
        "source": feed.source.name(),
        "reason": refusal.reason,
        "failures": state.failures + 1,
    }));
    let next_at = feeds::retry_at(state.failures, refusal.retry_after_ms, now_ms());
    database.query(store::remember_failure(feed, next_at)).await.map(drop)
}

async fn fetch(settings: &Settings, feed: &Feed) -> Result<Vec<Skill>, DownloadFailure> {
    let skills = match feed.source {
        SkillSource::Aitmpl => {
            let json = aitmpl::list(settings, &feed.query).await?;
            Type::of_plural(&feed.query).and_then(|kind| catalogue::read_aitmpl(kind, &json))
        }
        SkillSource::Skillsmp => match skillsmp::search(settings, &feed.query).await {
            Ok(json) => catalogue::read_skillsmp(&json),
            // The source refuses some words as a query; such a search has no results there.
            Err(DownloadFailure { status: Some(400 | 422), .. }) if !feed.is_base() => Some(Vec::new()),
            Err(refusal) => return Err(refusal),
        },
    };
    let unreadable = || DownloadFailure {
        status: Some(200),
        retry_after_ms: None,
        reason: "not the expected JSON".to_owned(),
    };
    skills.ok_or_else(unreadable)
}
