//! The sweep of jobs, once a minute.

use serde::Deserialize;
use worker::Env;

use super::{JobContext, JobKinds, outbox, store, work};
use crate::{
    error::Error,
    platform::{
        clock::{HOUR_MS, now_ms},
        log,
    },
};

/// The most jobs per sweep.
const MOST: i64 = 100;
/// A job without a change for this long will not end by itself.
const STUCK_MS: i64 = HOUR_MS;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    job_id: String,
}

/// Fails stuck jobs and sends overdue messages.
pub(crate) async fn run(env: &Env, kinds: JobKinds) {
    let swept = match JobContext::open(env) {
        Ok(context) => [end_stuck(&context, kinds).await, send_due(&context).await],
        Err(error) => [Err(error), Ok(())],
    };
    for error in swept.iter().filter_map(|result| result.as_ref().err()) {
        log::failure("jobs.sweep", error);
    }
}

async fn end_stuck(context: &JobContext, kinds: JobKinds) -> Result<(), Error> {
    let stuck = context.database.query(store::stuck(now_ms() - STUCK_MS, MOST)).await?;
    for found in stuck.read::<Found>()? {
        // A job that cannot be ended must not block the others.
        if let Err(error) = end(context, kinds, &found.job_id).await {
            log::failure("jobs.stuck", &error);
        }
    }
    Ok(())
}

async fn end(context: &JobContext, kinds: JobKinds, job_id: &str) -> Result<(), Error> {
    let Some(job) = work::take(context, job_id).await? else { return Ok(()) };
    work::give_up(context, kinds, &job, "The work did not end within an hour").await
}

async fn send_due(context: &JobContext) -> Result<(), Error> {
    let due = context.database.query(store::claim_due(now_ms(), MOST)).await?;
    for found in due.read::<Found>()? {
        outbox::send(&context.env, &found.job_id).await;
    }
    Ok(())
}
