//! The outbox: sends the messages of unfinished jobs to the queue.

use serde::{Deserialize, Serialize};
use serde_json::json;
use worker::{Env, MessageBuilder};

use super::store;
use crate::{
    error::Error,
    platform::{clock::now_ms, log},
    redact,
    settings::binding,
    store::Database,
};

/// A message on the queue names only the job. Everything else is in the database, so a message is
/// never out of date.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice {
    v: u8,
    pub(super) job_id: String,
}

impl Notice {
    const VERSION: u8 = 1;

    /// Parses a message; `None` when it is not one of ours.
    pub(super) fn read(body: &str) -> Option<Self> {
        hatch_json::from_str(body).ok().filter(|notice: &Self| notice.v == Self::VERSION)
    }

    /// The message for a job, as a string because the binding turns a map into `{}`.
    pub(super) fn text(job_id: &str) -> String {
        json!(Self { v: Self::VERSION, job_id: job_id.to_owned() }).to_string()
    }
}

/// Sends a job's message. A failure only delays the job, because its outbox row remains.
pub(crate) async fn send(env: &Env, job_id: &str) {
    send_after(env, job_id, 0).await;
}

/// Sends a job's message so that it arrives after `after_ms`.
pub(super) async fn send_after(env: &Env, job_id: &str, after_ms: i64) {
    let seconds = u32::try_from((after_ms + 999) / 1000).unwrap_or_default();
    let message = MessageBuilder::new(Notice::text(job_id)).delay_seconds(seconds).build();
    let sent = match env.queue(binding::JOBS) {
        Ok(queue) => queue.send(message).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        let detail = redact::text(&error.to_string());
        log::line(&json!({ "level": "error", "event": "jobs.send", "job_id": job_id, "detail": detail }));
    }
}

/// Sends a job's message again if it is overdue. Requests for a job's progress call this, so that
/// clients do not wait for the next sweep.
pub(crate) async fn nudge(env: &Env, database: &Database, job_id: &str) -> Result<(), Error> {
    if !database.query(store::claim_one(job_id, now_ms())).await?.is_empty() {
        send(env, job_id).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn a_sent_message_parses_to_its_job() {
        assert_eq!(Notice::read(&Notice::text("j")).unwrap().job_id, "j");
    }

    #[test]
    fn a_message_of_another_version_or_form_is_ignored() {
        for body in ["", "null", "{}", r#"{"jobId":"j"}"#, r#"{"v":2,"jobId":"j"}"#, r#"{"v":1,"jobId":7}"#] {
            assert!(Notice::read(body).is_none(), "{body}");
        }
    }
}
