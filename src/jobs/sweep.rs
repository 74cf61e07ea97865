//! What the clock does for jobs, once a minute.

use serde::Deserialize;
use serde_json::json;
use worker::Env;

use super::{Job, Kinds, dead_letters, outbox, store};
use crate::{
    error::Error,
    platform::{clock::now_ms, log},
    settings::Settings,
    store::Database,
};

/// Messages sent again in one sweep.
const MOST: i64 = 100;
/// A job that has not ended after this long never will.
const STUCK_MS: i64 = 60 * 60 * 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owed {
    job_id: String,
}

/// Sends again what is owed and ends what is stuck.
pub(crate) async fn run(env: &Env, kinds: Kinds) {
    if let Err(error) = sweep(env, kinds).await {
        log::line(&json!({
            "level": "error", "event": "jobs.sweep", "code": error.code(), "detail": error.internal_detail(),
        }));
    }
}

async fn sweep(env: &Env, kinds: Kinds) -> Result<(), Error> {
    let workshop = super::Workshop { env: env.clone(), settings: Settings::of(env)?, database: Database::open(env)? };
    let now = now_ms();
    let [due, stuck] =
        workshop.database.batch([store::claim_due(now, MOST), store::stuck(now - STUCK_MS, now)]).await?;
    let stuck = stuck.read::<Job>()?;
    for job in &stuck {
        dead_letters::give_up(&workshop, kinds, &job.id, "The work did not end within an hour").await?;
    }
    for owed in due.read::<Owed>()? {
        if !stuck.iter().any(|job| job.id == owed.job_id) {
            outbox::send(env, &owed.job_id).await;
        }
    }
    Ok(())
}
