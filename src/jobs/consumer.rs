//! The queue's consumer: takes a lease, does one step, commits. Settles every
//! message itself, for one that fails must not take the others with it.

use std::rc::Rc;

use serde_json::json;
use worker::{Env, MessageBatch, MessageExt as _, QueueRetryOptionsBuilder, RawMessage};

use super::{Job, Kinds, Outcome, Workshop, dead_letters, kind_of, lease, outbox, store};
use crate::{
    error::Error,
    platform::{clock::now_ms, log, random},
    settings::Settings,
    store::{Database, Statement},
};

/// The name of the dead-letter queue ends like this (wrangler.toml).
const DEAD_LETTER_QUEUE: &str = "-dead";

/// What becomes of a message.
enum Verdict {
    Done,
    /// Once more, after so many seconds.
    Later(u32),
}

/// Consumes a batch of either queue.
pub(crate) async fn consume(batch: &MessageBatch<String>, env: &Env, kinds: Kinds) {
    let dead = batch.queue().ends_with(DEAD_LETTER_QUEUE);
    for message in batch.raw_iter() {
        let handled = match workshop(env) {
            Ok(workshop) if dead => dead_letters::receive(&workshop, kinds, &text(&message)).await,
            Ok(workshop) => receive(workshop, kinds, &text(&message)).await,
            Err(error) => Err(error),
        };
        settle(&message, handled);
    }
}

fn workshop(env: &Env) -> Result<Rc<Workshop>, Error> {
    let (settings, database) = (Settings::of(env)?, Database::open(env)?);
    Ok(Rc::new(Workshop { env: env.clone(), settings, database }))
}

/// A body that is no string is nothing of ours.
fn text(message: &RawMessage) -> String {
    message.body().as_string().unwrap_or_default()
}

fn settle(message: &RawMessage, handled: Result<Option<u32>, Error>) {
    let pause = handled.unwrap_or_else(|error| {
        log::line(&json!({
            "level": "error", "event": "jobs.consume", "code": error.code(), "detail": error.internal_detail(),
        }));
        Some(5)
    });
    match pause {
        None => message.ack(),
        Some(seconds) => {
            message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(seconds).build());
        }
    }
}

/// Does one step of the job that `body` names. Answers with the seconds after
/// which the message shall come again, if it shall.
async fn receive(workshop: Rc<Workshop>, kinds: Kinds, body: &str) -> Result<Option<u32>, Error> {
    let Ok(notice) = serde_json::from_str::<outbox::Notice>(body) else {
        dead_letters::keep(&workshop.database, None, body, "not a message of ours").await?;
        return Ok(None);
    };
    let [taken, _] = workshop.database.batch(store::take(&notice.job_id, &random::uuid()?, now_ms())).await?;
    // Ended, deleted, or somebody else's: if they die, the outbox sends again.
    let Some(job) = taken.first::<Job>()? else { return Ok(None) };
    let verdict = run(&workshop, kinds, job).await?;
    Ok(match verdict {
        Verdict::Done => None,
        Verdict::Later(seconds) => Some(seconds),
    })
}

async fn run(workshop: &Rc<Workshop>, kinds: Kinds, job: Job) -> Result<Verdict, Error> {
    let started = now_ms();
    let kind = kind_of(kinds, &job)?;
    let outcome = (kind.step)(job.clone(), workshop.clone()).await;
    log_step(&job, &outcome, now_ms() - started);
    match outcome {
        Ok(Outcome::Next { step, writes }) => {
            let now = now_ms();
            commit(workshop, &job, writes, [store::go_on(&job, step, now), store::owe(&job.id, now + lease::LEASE_MS)])
                .await?;
            outbox::send(&workshop.env, &job.id).await;
            Ok(Verdict::Done)
        }
        Ok(Outcome::Done { writes }) => {
            commit(workshop, &job, writes, [store::end(&job, "done", None, now_ms()), store::settle(&job.id)]).await?;
            Ok(Verdict::Done)
        }
        Ok(Outcome::Failed { reason }) => {
            commit(workshop, &job, (kind.failed)(&job, &reason, now_ms()), ended(&job, &reason)).await?;
            Ok(Verdict::Done)
        }
        Err(error) if job.attempts < lease::ATTEMPTS => try_later(workshop, &job, &error).await,
        Err(error) => {
            let reason = error.detail();
            let mut writes = (kind.failed)(&job, &reason, now_ms());
            writes.push(dead_letters::of_job(&job, &reason)?);
            commit(workshop, &job, writes, ended(&job, &reason)).await?;
            Ok(Verdict::Done)
        }
    }
}

fn ended(job: &Job, reason: &str) -> [Statement; 2] {
    [store::end(job, "failed", Some(reason), now_ms()), store::settle(&job.id)]
}

async fn try_later(workshop: &Workshop, job: &Job, error: &Error) -> Result<Verdict, Error> {
    let (now, pause) = (now_ms(), lease::pause_ms(job.attempts));
    let told = format!("{}: trying again in {} s", error.detail(), pause / 1000);
    workshop
        .database
        .batch([
            store::log(&job.id, "error", &told, now),
            store::let_go(job, now),
            store::owe(&job.id, now + pause + lease::LEASE_MS),
        ])
        .await?;
    Ok(Verdict::Later(u32::try_from(pause / 1000).unwrap_or(u32::MAX)))
}

/// Writes a step's result and the job's new state together, or neither.
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

fn log_step(job: &Job, outcome: &Result<Outcome, Error>, duration_ms: i64) {
    let (level, outcome) = match outcome {
        Ok(Outcome::Next { .. }) => ("info", "next"),
        Ok(Outcome::Done { .. }) => ("info", "done"),
        Ok(Outcome::Failed { .. }) => ("error", "failed"),
        Err(error) => ("error", error.code()),
    };
    log::line(&json!({
        "level": level, "event": "jobs.step", "job_id": job.id, "kind": job.kind, "step": job.step,
        "attempt": job.attempts, "outcome": outcome, "duration_ms": duration_ms,
    }));
}
