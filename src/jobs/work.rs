//! How a job gets on: take its lease, do its step, commit.

use std::rc::Rc;

use serde_json::json;

use super::{Job, Kinds, Outcome, Workshop, dead_letters, kind_of, lease, outbox, store};
use crate::{
    error::Error,
    platform::{clock::now_ms, log, random},
    redact,
    store::Statement,
};

/// Takes the lease of a job. None when the job has ended, is deleted, or is
/// somebody else's: if they die, the outbox sends its message again.
pub(super) async fn take(workshop: &Workshop, job_id: &str) -> Result<Option<Job>, Error> {
    let [taken, _] = workshop.database.batch(store::take(job_id, &random::uuid()?, now_ms())).await?;
    taken.first()
}

/// Does the present step of a job whose lease we hold. Answers with the
/// milliseconds after which to try again, if the step failed.
pub(super) async fn advance(workshop: &Rc<Workshop>, kinds: Kinds, job: &Job) -> Result<Option<i64>, Error> {
    let advanced = if job.attempts > lease::ATTEMPTS {
        // No attempt came to an end, good or bad: each took its consumer with it.
        give_up(workshop, kinds, job, "The work was broken off again and again").await
    } else {
        attempt(workshop, kinds, job).await
    };
    let settled = match advanced {
        Ok(()) => Ok(None),
        Err(error) if job.attempts < lease::ATTEMPTS => try_later(workshop, job, &error).await.map(Some),
        Err(error) => give_up(workshop, kinds, job, &reason(&error)).await.map(|()| None),
    };
    match settled {
        // Somebody else has the job, or it has ended: theirs is the result.
        Err(error) if store::refused(&error) => Ok(None),
        settled => settled,
    }
}

/// One attempt at a step, its result committed.
async fn attempt(workshop: &Rc<Workshop>, kinds: Kinds, job: &Job) -> Result<(), Error> {
    let started = now_ms();
    let committed = async {
        let kind = kind_of(kinds, job)?;
        match (kind.step)(job.clone(), workshop.clone()).await? {
            Outcome::Next { step, writes } => {
                let now = now_ms();
                let state = [store::go_on(job, step, now), store::owe(&job.id, now + lease::LEASE_MS)];
                commit(workshop, job, writes, state).await?;
                outbox::send(&workshop.env, &job.id).await;
                Ok("next")
            }
            Outcome::Done { writes } => {
                let state = [store::end(job, "done", None, now_ms()), store::settle(&job.id)];
                commit(workshop, job, writes, state).await?;
                Ok("done")
            }
            Outcome::Failed { reason } => {
                let writes = (kind.failed)(job, &reason, now_ms());
                commit(workshop, job, writes, failed(job, &reason)).await?;
                Ok("failed")
            }
        }
    }
    .await;
    log_step(job, &committed, now_ms() - started);
    committed.map(drop)
}

/// Fails a job whose lease we hold, and keeps it as a dead letter.
pub(super) async fn give_up(workshop: &Workshop, kinds: Kinds, job: &Job, reason: &str) -> Result<(), Error> {
    let mut writes = vec![dead_letters::of_job(job, reason)?];
    // A job of a kind that this Worker does not know ends all the same.
    if let Ok(kind) = kind_of(kinds, job) {
        writes.extend((kind.failed)(job, reason, now_ms()));
    }
    commit(workshop, job, writes, failed(job, reason)).await
}

fn failed(job: &Job, reason: &str) -> [Statement; 2] {
    // Further lines are for the log, where the job's kind writes them.
    let error = reason.lines().next().unwrap_or(reason);
    [store::end(job, "failed", Some(error), now_ms()), store::settle(&job.id)]
}

/// Gives the lease back until the next attempt, and answers when that is.
async fn try_later(workshop: &Workshop, job: &Job, error: &Error) -> Result<i64, Error> {
    let (now, pause) = (now_ms(), lease::pause_ms(job.attempts));
    let told = format!("{}; trying again in {} s", reason(error), pause / 1000);
    let writes = vec![store::log(&job.id, "error", &told, now)];
    let state = [store::let_go(job, now), store::owe(&job.id, now + pause + lease::LEASE_MS)];
    commit(workshop, job, writes, state).await?;
    Ok(pause)
}

/// Writes a step's result and the job's new state together, or neither when
/// the lease has been lost ([`store::refused`]).
async fn commit(
    workshop: &Workshop,
    job: &Job,
    writes: Vec<Statement>,
    state: [Statement; 2],
) -> Result<(), Error> {
    let mut batch = vec![store::still_leased(job)];
    batch.extend(writes);
    batch.extend(state);
    workshop.database.batch_all(batch).await.map(drop)
}

/// What the owner of a job is told of an error.
fn reason(error: &Error) -> String {
    match error {
        // Their details speak of a request.
        Error::Internal(_) | Error::Unavailable(_) => "Something went wrong on our side".to_owned(),
        error => redact::text(&error.detail()),
    }
}

fn log_step(job: &Job, committed: &Result<&'static str, Error>, duration_ms: i64) {
    let (level, outcome, detail) = match committed {
        Ok(outcome) => ("info", *outcome, None),
        Err(error) => ("error", error.code(), error.internal_detail().map(redact::text)),
    };
    log::line(&json!({
        "level": level, "event": "jobs.step", "trace_id": job.trace_id, "job_id": job.id, "kind": job.kind, "step": job.step,
        "attempt": job.attempts, "outcome": outcome, "detail": detail, "duration_ms": duration_ms,
    }));
}
