//! What the engine could not do: kept, shown to the operator, and driven
//! again on request.

use serde::Deserialize;

use super::{Job, Kinds, Workshop, kind_of, outbox, store};
use crate::{
    error::Error,
    platform::{clock::now_ms, random},
    redact,
    store::{Database, Statement},
};

/// The most of a foreign message that is kept, in characters.
const KEPT: usize = 4_000;

/// Takes a message that the queue gave up on: its consumer died every time.
pub(super) async fn receive(workshop: &Workshop, kinds: Kinds, body: &str) -> Result<Option<u32>, Error> {
    let reason = "the queue gave up delivering it";
    let notice = serde_json::from_str::<outbox::Notice>(body).ok();
    let job_id = notice.as_ref().map(|notice| notice.job_id.as_str());
    keep(&workshop.database, job_id, body, reason).await?;
    if let Some(job_id) = job_id {
        give_up(workshop, kinds, job_id, "The work was broken off again and again").await?;
    }
    Ok(None)
}

pub(super) async fn keep(database: &Database, job: Option<&str>, body: &str, reason: &str) -> Result<(), Error> {
    database.query(bury(job, body, reason)?).await.map(drop)
}

/// The dead letter of a job whose attempts are used up.
pub(super) fn of_job(job: &Job, reason: &str) -> Result<Statement, Error> {
    bury(Some(&job.id), &format!("{{\"v\":1,\"jobId\":\"{}\"}}", job.id), reason)
}

fn bury(job: Option<&str>, body: &str, reason: &str) -> Result<Statement, Error> {
    let body: String = redact::text(body).chars().filter(|c| *c != '\0').take(KEPT).collect();
    Ok(store::bury(&random::uuid()?, job, &body, reason, now_ms()))
}

/// Fails a job that nobody works on.
pub(super) async fn give_up(workshop: &Workshop, kinds: Kinds, job_id: &str, reason: &str) -> Result<(), Error> {
    let Some(job) = workshop.database.query(store::job(job_id)).await?.first::<Job>()? else { return Ok(()) };
    let now = now_ms();
    let mut batch = vec![store::still_free(&job.id, now)];
    batch.extend((kind_of(kinds, &job)?.failed)(&job, reason, now));
    batch.extend([store::end(&job, "failed", Some(reason), now), store::settle(&job.id)]);
    match workshop.database.batch_all(batch).await {
        // Not free: it has ended, or somebody has just taken it up.
        Ok(_) | Err(Error::Internal(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    job_id: Option<String>,
    redriven_at: Option<i64>,
}

/// Begins the job of a dead letter again. Answers with the job's id.
pub(crate) async fn redrive(workshop: &Workshop, kinds: Kinds, id: &str) -> Result<String, Error> {
    let letter = workshop.database.query(store::dead_letter(id)).await?.first::<DeadLetter>()?;
    let letter = letter.ok_or(Error::NotFound("Dead letter not found"))?;
    let gone = || Error::Conflict { code: "not_redrivable", detail: "This letter's job is gone".to_owned() };
    if letter.redriven_at.is_some() {
        return Err(Error::Conflict { code: "redriven", detail: "This letter has been redriven already".to_owned() });
    }
    let job_id = letter.job_id.ok_or_else(gone)?;
    let job = workshop.database.query(store::job(&job_id)).await?.first::<Job>()?.ok_or_else(gone)?;
    let now = now_ms();
    let (step, writes) = (kind_of(kinds, &job)?.revived)(&job, now);
    let mut batch = vec![store::revive(&job, step, now), store::owe(&job.id, now), store::mark_redriven(id, now)];
    batch.extend(writes);
    workshop.database.batch_all(batch).await?;
    outbox::nudge(&workshop.env, &workshop.database, &job.id).await?;
    Ok(job.id)
}
