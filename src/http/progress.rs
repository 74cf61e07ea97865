//! A job's progress as server-sent events: `log` for each line, with the line's number as the event
//! id, and one event for each change of the subject's status. The last event is the final status,
//! with the id `end`.
//!
//! An EventSource treats the end of a stream as an error and reconnects, unless it was closed. So a
//! stream stays open until the job has ended, and a client that reconnects after `end` gets 204.

use hatch_wire::sse;
use serde::Deserialize;
use serde_json::Value;
use worker::Env;

use crate::{
    error::Error,
    http::RequestContext,
    jobs,
    platform::{
        clock::{MINUTE_MS, now_ms, sleep},
        response::Response,
        stream::{self, Writer},
    },
    store::{Database, Statement},
};

/// The id of the last event; a client that has it has received everything.
const END: &str = "end";

const KEEP_ALIVE_MS: i64 = 15_000;
/// Longer than the job may take. A client that still waits reconnects.
pub(crate) const LONGEST_MS: i64 = 40 * MINUTE_MS;

/// The pause until the next poll. It grows, because one request may only query the database some
/// hundred times.
fn pause_ms(since_ms: i64) -> u64 {
    (since_ms / 20).clamp(500, 3_000).unsigned_abs()
}

/// The status of a job's subject, with the new log lines.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    /// The data of a status event.
    status: Value,
    ended: bool,
    /// A job whose message is overdue; polling sends it again.
    overdue_job: Option<String>,
    logs: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    seq: i64,
    #[serde(flatten)]
    line: Value,
}

/// The statement that returns a [`Snapshot`] with the log lines after number `seen`; no row when
/// the subject does not exist or belongs to another user.
type Look = Box<dyn Fn(i64) -> Statement>;

/// What the stream follows.
pub(crate) struct Subject {
    pub(crate) look: Look,
    /// The error when [`Look`] finds nothing.
    pub(crate) not_found: Error,
    /// The name of a status event. An EventSource gives events without a name to `onmessage`.
    pub(crate) status_event: Option<&'static str>,
}

/// Streams the progress of one subject to one client, from its `Last-Event-ID` on.
///
/// # Errors
/// The subject's `not_found`.
pub(crate) async fn stream(context: RequestContext, subject: Subject) -> Result<Response, Error> {
    let Subject { look, not_found, status_event } = subject;
    let last_event_id = context.request.header("last-event-id");
    let seen = last_event_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or(0);
    let (database, env) = (context.database()?, context.env.clone());
    let follower = Follower { database, env, look, status_event, seen, message: Value::Null };
    let first = follower.poll().await?.ok_or(not_found)?;
    if first.ended && last_event_id.as_deref() == Some(END) {
        // 204 tells an EventSource that reconnects to stop.
        return Ok(Response::empty(204));
    }
    let (client, body) = stream::channel()?;
    context.background.run(follower.follow(first, client));
    Ok(Response::events(body))
}

struct Follower {
    database: Database,
    env: Env,
    look: Look,
    status_event: Option<&'static str>,
    /// The number of the last line that the client has.
    seen: i64,
    /// The last status that the client has.
    message: Value,
}

impl Follower {
    async fn poll(&self) -> Result<Option<Snapshot>, Error> {
        self.database.query((self.look)(self.seen)).await?.first()
    }

    /// Sends every change after `snapshot` to `client`, until the subject has ended or is deleted,
    /// or the client leaves.
    async fn follow(mut self, mut snapshot: Snapshot, client: Writer) {
        let (began, mut sent_at) = (now_ms(), now_ms());
        loop {
            let mut events = self.events(&snapshot);
            if events.is_empty() && now_ms() - sent_at > KEEP_ALIVE_MS {
                events.push_str(sse::KEEP_ALIVE);
            }
            if !events.is_empty() {
                sent_at = now_ms();
                if client.write(events.as_bytes()).await.is_err() {
                    return;
                }
            }
            if snapshot.ended || now_ms() - began > LONGEST_MS {
                break;
            }
            if let Some(job_id) = &snapshot.overdue_job {
                // When this fails, the sweep sends the message.
                let _ = jobs::outbox::nudge(&self.env, &self.database, job_id).await;
            }
            sleep(pause_ms(now_ms() - began)).await;
            match self.poll().await {
                Ok(Some(next)) => snapshot = next,
                Ok(None) => break,
                // The next poll may reach the database again.
                Err(_) => snapshot.logs.clear(),
            }
        }
        client.close().await;
    }

    fn events(&mut self, snapshot: &Snapshot) -> String {
        let mut events = String::new();
        for line in &snapshot.logs {
            events.push_str(&sse::event_with_id(line.seq, "log", &line.line));
            self.seen = line.seq;
        }
        if self.message != snapshot.status {
            self.message.clone_from(&snapshot.status);
            if snapshot.ended {
                events.push_str(&format!("id: {END}\n"));
            }
            if let Some(name) = self.status_event {
                events.push_str(&format!("event: {name}\n"));
            }
            sse::push_data(&mut events, &snapshot.status);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_MS, pause_ms};

    #[test]
    fn a_stream_polls_often_at_first_and_less_than_a_thousand_times_in_all() {
        assert_eq!([0, 5_000, 30_000, 600_000].map(pause_ms), [500, 500, 1_500, 3_000]);
        let (mut since_ms, mut polls) = (0, 0);
        while since_ms < LONGEST_MS {
            since_ms += i64::try_from(pause_ms(since_ms)).unwrap();
            polls += 1;
        }
        assert!(polls < 1_000, "{polls}");
    }
}
