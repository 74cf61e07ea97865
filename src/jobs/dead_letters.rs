//! Messages and jobs that the engine gave up: stored, shown to the operator, and retried on
//! request.

use serde::Deserialize;

use super::{Job, JobContext, JobKinds, kind_of, outbox, outbox::Notice, store};
use crate::{
    error::{Error, Resource},
    platform::{clock::now_ms, random},
    redact,
    store::Statement,
};

/// How many characters of a message are stored.
const KEPT: usize = 4_000;

/// The dead letter of a message that could not be handled.
pub(super) fn of_message(body: &str, reason: &str) -> Result<Statement, Error> {
    let job = Notice::read(body).map(|notice| notice.job_id);
    add_dead_letter(job.as_deref(), body, reason)
}

/// The dead letter of a job that failed for good.
pub(super) fn of_job(job: &Job, reason: &str) -> Result<Statement, Error> {
    add_dead_letter(Some(&job.id), &Notice::text(&job.id), reason)
}

fn add_dead_letter(job: Option<&str>, body: &str, reason: &str) -> Result<Statement, Error> {
    let body: String = redact::text(body).chars().filter(|c| *c != '\0').take(KEPT).collect();
    Ok(store::add_dead_letter(&random::uuid()?, job, &body, reason, now_ms()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    redriven: bool,
    /// `None` when the letter names no job, or the job is deleted.
    job: Option<Job>,
}

/// Restarts the failed job of a dead letter. Returns the job's id.
///
/// # Errors
/// 404 for an unknown letter; 409 for a letter that was retried already, or whose job is gone or
/// has not failed.
pub(crate) async fn redrive(context: &JobContext, kinds: JobKinds, id: &str) -> Result<String, Error> {
    let conflict = |code, detail: &'static str| Error::Conflict { code, detail: detail.into() };
    let dead_letter = context.database.query(store::dead_letter(id)).await?.first::<DeadLetter>()?;
    let dead_letter = dead_letter.ok_or(Error::NotFound(Resource::DeadLetter))?;
    if dead_letter.redriven {
        return Err(conflict("redriven", "This letter has been redriven already"));
    }
    let job = dead_letter.job.ok_or_else(|| conflict("not_redrivable", "This letter's job is gone"))?;
    let now = now_ms();
    let (step, writes) = (kind_of(kinds, &job)?.revived)(&job, now);
    let mut batch = vec![
        store::still_redrivable(id),
        store::revive(&job, step, now),
        store::schedule(&job.id, now),
        store::mark_redriven(id, now),
    ];
    batch.extend(writes);
    context.database.batch_all(batch).await.map_err(|error| match error {
        Error::GuardFailed => conflict("not_redrivable", "This letter's job has not failed"),
        error => error,
    })?;
    outbox::nudge(&context.env, &context.database, &job.id).await?;
    Ok(job.id)
}
