//! What the clock does for jobs, once a minute.

use serde::Deserialize;
use worker::Env;

use super::{Kinds, Workshop, outbox, store, work};
use crate::{
    error::Error,
    platform::{clock::now_ms, log},
};

/// Jobs taken up in one sweep.
const MOST: i64 = 100;
/// A job that nothing has happened to for so long will not end by itself.
const STUCK_MS: i64 = 60 * 60 * 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    job_id: String,
}

/// Ends what is stuck and sends again what is owed.
pub(crate) async fn run(env: &Env, kinds: Kinds) {
    let swept = match Workshop::open(env) {
        Ok(workshop) => [end_stuck(&workshop, kinds).await, send_owed(&workshop).await],
        Err(error) => [Err(error), Ok(())],
    };
    for error in swept.iter().filter_map(|result| result.as_ref().err()) {
        log::failure("jobs.sweep", error);
    }
}

async fn end_stuck(workshop: &Workshop, kinds: Kinds) -> Result<(), Error> {
    let stuck = workshop.database.query(store::stuck(now_ms() - STUCK_MS, MOST)).await?;
    for found in stuck.read::<Found>()? {
        // One that cannot be ended must not keep the others.
        if let Err(error) = end(workshop, kinds, &found.job_id).await {
            log::failure("jobs.stuck", &error);
        }
    }
    Ok(())
}

async fn end(workshop: &Workshop, kinds: Kinds, job_id: &str) -> Result<(), Error> {
    let Some(job) = work::take(workshop, job_id).await? else { return Ok(()) };
    work::give_up(workshop, kinds, &job, "The work did not end within an hour").await
}

async fn send_owed(workshop: &Workshop) -> Result<(), Error> {
    let owed = workshop.database.query(store::claim_due(now_ms(), MOST)).await?;
    for found in owed.read::<Found>()? {
        outbox::send(&workshop.env, &found.job_id).await;
    }
    Ok(())
}
