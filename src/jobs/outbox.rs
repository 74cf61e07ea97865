//! Sending what is owed to the queue.

use serde::{Deserialize, Serialize};
use serde_json::json;
use worker::Env;

use super::store;
use crate::{
    error::Error,
    platform::{clock::now_ms, log},
    settings::binding,
    store::Database,
};

/// A message on the queue: only which job to look at.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice {
    pub(super) v: u8,
    pub(super) job_id: String,
}

/// Sends a job's message. A failure costs only time: the outbox still owes it.
pub(crate) async fn send(env: &Env, job_id: &str) {
    let notice = json!({ "v": 1, "jobId": job_id }).to_string();
    let sent = match env.queue(binding::JOBS) {
        // As a string: the binding would turn a map into `{}`.
        Ok(queue) => queue.send(notice).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        log::line(&json!({ "level": "error", "event": "jobs.send", "job_id": job_id, "detail": error.to_string() }));
    }
}

/// Sends a job's message again if it is overdue. Whoever asks after a job
/// wakes it, so that nobody waits for the next sweep.
pub(crate) async fn nudge(env: &Env, database: &Database, job_id: &str) -> Result<(), Error> {
    if !database.query(store::claim_one(job_id, now_ms())).await?.is_empty() {
        send(env, job_id).await;
    }
    Ok(())
}
