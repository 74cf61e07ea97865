//! Runs a job: takes its lease, runs its step, commits the result.

use std::rc::Rc;

use futures::future::{Either, select};
use serde_json::json;

use super::{
    Job, JobContext, JobKind, JobKinds, Outcome, Policy, dead_letters, kind_of, lease, outbox, store,
};
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::{now_ms, sleep},
        log, random,
    },
    redact,
    store::Statement,
};

/// Takes the lease of a job. `None` when the job has ended, is deleted, or is leased by another
/// consumer; if that one dies, the outbox sends the message again.
pub(super) async fn take(context: &JobContext, job_id: &str) -> Result<Option<Job>, Error> {
    let [taken, _] = context.database.batch(store::take(job_id, &random::uuid()?, now_ms())).await?;
    taken.first()
}

/// Runs the current step of a job whose lease we hold. If the step failed, returns the milliseconds
/// until the next attempt.
pub(super) async fn advance(
    context: &Rc<JobContext>,
    kinds: JobKinds,
    job: &Job,
) -> Result<Option<i64>, Error> {
    let policy = kind_of(kinds, job).map_or(Policy::QUICK, |kind| (kind.policy)(&job.step));
    let advanced = if job.attempts > policy.attempts {
        // No attempt finished: each ended with its consumer.
        give_up(context, kinds, job, "The work was broken off again and again").await
    } else {
        attempt(context, kinds, job).await
    };
    let result = match advanced {
        Ok(()) => Ok(None),
        Err(error) if job.attempts < policy.attempts && error.is_retryable() => {
            try_later(context, policy, job, &error).await.map(Some)
        }
        Err(error) => give_up(context, kinds, job, &reason(&error)).await.map(|()| None),
    };
    match result {
        // Another consumer has the job or it has ended; its result counts.
        Err(Error::GuardFailed) => Ok(None),
        result => result,
    }
}

/// One attempt at a step; commits its result.
async fn attempt(context: &Rc<JobContext>, kinds: JobKinds, job: &Job) -> Result<(), Error> {
    let started = now_ms();
    let committed = async {
        let kind = kind_of(kinds, job)?;
        match under_lease(context, kind, job).await? {
            Outcome::Next { step, writes } => {
                let now = now_ms();
                let state =
                    [store::advance_to(job, step, now), store::schedule(&job.id, now + lease::LEASE_MS)];
                commit(context, job, writes, state).await?;
                outbox::send(&context.env, &job.id).await;
                Ok("next")
            }
            Outcome::Wait { after_ms, writes } => {
                let (now, until) = (now_ms(), now_ms() + after_ms);
                let state = [store::wait(job, until, now), store::schedule(&job.id, until + lease::LEASE_MS)];
                commit(context, job, writes, state).await?;
                // A new message, because a retried message counts its retries.
                outbox::send_after(&context.env, &job.id, after_ms).await;
                Ok("wait")
            }
            Outcome::Done { writes } => {
                let state = [store::end(job, "done", None, now_ms()), store::clear_outbox(&job.id)];
                commit(context, job, writes, state).await?;
                Ok("done")
            }
            Outcome::Failed { reason } => {
                let writes = (kind.failed)(job, &reason, now_ms());
                commit(context, job, writes, failed(job, &reason)).await?;
                Ok("failed")
            }
        }
    }
    .await;
    log_step(job, &committed, now_ms() - started);
    committed.map(drop)
}

/// Runs the step while renewing its lease. A step that has lost the lease, because the job was
/// cancelled or we were presumed dead, is dropped at once.
async fn under_lease(context: &Rc<JobContext>, kind: &JobKind, job: &Job) -> Result<Outcome, Error> {
    let step = (kind.step)(job.clone(), context.clone());
    let lost = Box::pin(renew(context, job, (kind.policy)(&job.step).longest_ms));
    match select(step, lost).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((error, _)) => Err(error),
    }
}

/// Renews the lease for as long as the step may take; returns the error that ends it.
async fn renew(context: &JobContext, job: &Job, longest_ms: u64) -> Error {
    for _ in 0..longest_ms / lease::RENEW_MS {
        sleep(lease::RENEW_MS).await;
        match context.database.query(store::renew(job, now_ms())).await {
            Ok(renewed) if renewed.is_empty() => return Error::GuardFailed,
            Ok(_) => {}
            // The next renewal comes before the lease expires.
            Err(error) => log::failure("jobs.renew", &error),
        }
    }
    Error::upstream(UpstreamKind::StepTimeout, format!("This step took longer than {} s", longest_ms / 1000))
}

/// The pause before the next attempt; at least what the outside service asks for.
fn pause_ms(policy: Policy, job: &Job, error: &Error) -> i64 {
    let requested = error.retry_after_s().unwrap_or(0).saturating_mul(1000);
    policy.pause_ms(job.attempts).max(requested.min(lease::LONGEST_PAUSE_MS))
}

/// Fails a job whose lease we hold, and stores it as a dead letter.
pub(super) async fn give_up(
    context: &JobContext,
    kinds: JobKinds,
    job: &Job,
    reason: &str,
) -> Result<(), Error> {
    let mut writes = vec![dead_letters::of_job(job, reason)?];
    // A job of a kind that this Worker does not know ends as well.
    if let Ok(kind) = kind_of(kinds, job) {
        writes.extend((kind.failed)(job, reason, now_ms()));
    }
    commit(context, job, writes, failed(job, reason)).await
}

fn failed(job: &Job, reason: &str) -> [Statement; 2] {
    // The job's kind writes the further lines to the log.
    let error = reason.lines().next().unwrap_or(reason);
    [store::end(job, "failed", Some(error), now_ms()), store::clear_outbox(&job.id)]
}

/// Releases the lease until the next attempt; returns the pause.
async fn try_later(context: &JobContext, policy: Policy, job: &Job, error: &Error) -> Result<i64, Error> {
    let (now, pause) = (now_ms(), pause_ms(policy, job, error));
    let message = format!("{}; trying again in {} s", reason(error), pause / 1000);
    let writes = vec![store::log(&job.id, "error", &message, now)];
    let state = [store::release_lease(job, now), store::schedule(&job.id, now + pause + lease::LEASE_MS)];
    commit(context, job, writes, state).await?;
    Ok(pause)
}

/// Writes a step's result and the job's new state together, or nothing when the lease is lost
/// ([`Error::GuardFailed`]).
async fn commit(
    context: &JobContext,
    job: &Job,
    writes: Vec<Statement>,
    state: [Statement; 2],
) -> Result<(), Error> {
    let mut batch = vec![store::still_leased(job)];
    batch.extend(writes);
    batch.extend(state);
    context.database.batch_all(batch).await.map(drop)
}

/// The part of an error that the job's owner may see.
fn reason(error: &Error) -> String {
    match error {
        // Their details describe a request, not the job.
        Error::Internal(_) | Error::Unavailable(..) => "Something went wrong on our side".to_owned(),
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
