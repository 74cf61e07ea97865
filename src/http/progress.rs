//! A job's progress as server-sent events: `log` for each line, with its
//! number as the event's id, and one for each change of how its subject
//! stands. The last event is the status in which it has ended, with the id `end`.
//!
//! To an EventSource the end of a stream is an error like any other, after
//! which it connects again, unless it was closed. So nothing ends a stream
//! early that can be waited out, and whoever comes back for more gets 204.

use hatch_wire::sse;
use serde::Deserialize;
use serde_json::Value;
use worker::Env;

use crate::{
    error::Error,
    http::RequestContext,
    jobs,
    platform::{
        clock::{now_ms, sleep},
        response::Response,
        stream::{self, Writer},
    },
    store::{Database, Statement},
};

/// The id of the last event: whoever has it has everything.
const END: &str = "end";

const KEEP_ALIVE_MS: i64 = 15_000;
/// Longer than what is followed may take. A client that still waits reconnects.
pub(crate) const LONGEST_MS: i64 = 40 * 60 * 1000;

/// The pause until the next look: longer and longer, for a request may ask the
/// database some hundred times only.
fn pause_ms(since_ms: i64) -> u64 {
    (since_ms / 20).clamp(500, 3_000).unsigned_abs()
}

/// How a job's subject stands, with the log lines that are new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    /// What an event of the status says.
    status: Value,
    ended: bool,
    /// Due for a message; whoever waits wakes it.
    overdue_job: Option<String>,
    logs: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    seq: i64,
    #[serde(flatten)]
    line: Value,
}

/// The statement that answers with a [`Snapshot`] and the log lines after number
/// `seen`; no row when there is no such subject, or it is somebody else's.
type Look = Box<dyn Fn(i64) -> Statement>;

/// What is followed.
pub(crate) struct Subject {
    pub(crate) look: Look,
    /// For when [`Look`] finds nothing.
    pub(crate) not_found: Error,
    /// What an event of its status is called. One without a name is what an
    /// EventSource gives to `onmessage`.
    pub(crate) status_event: Option<&'static str>,
}

/// Follows one subject for one client, from what `Last-Event-ID` says it has.
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
    /// The last line that the client has.
    seen: i64,
    /// The status that the client has.
    message: Value,
}

impl Follower {
    async fn poll(&self) -> Result<Option<Snapshot>, Error> {
        self.database.query((self.look)(self.seen)).await?.first()
    }

    /// Sends `client` every change from `standing` on, until the subject has
    /// ended or is deleted, or the client leaves.
    async fn follow(mut self, mut standing: Snapshot, client: Writer) {
        let (began, mut sent_at) = (now_ms(), now_ms());
        loop {
            let mut events = self.events(&standing);
            if events.is_empty() && now_ms() - sent_at > KEEP_ALIVE_MS {
                events.push_str(sse::KEEP_ALIVE);
            }
            if !events.is_empty() {
                sent_at = now_ms();
                if client.write(events.as_bytes()).await.is_err() {
                    return;
                }
            }
            if standing.ended || now_ms() - began > LONGEST_MS {
                break;
            }
            if let Some(job_id) = &standing.overdue_job {
                // A failure here is made good by the sweep.
                let _ = jobs::outbox::nudge(&self.env, &self.database, job_id).await;
            }
            sleep(pause_ms(now_ms() - began)).await;
            match self.poll().await {
                Ok(Some(next)) => standing = next,
                Ok(None) => break,
                // The next look may find the database again.
                Err(_) => standing.logs.clear(),
            }
        }
        client.close().await;
    }

    fn events(&mut self, standing: &Snapshot) -> String {
        let mut events = String::new();
        for line in &standing.logs {
            events.push_str(&sse::event_with_id(line.seq, "log", &line.line));
            self.seen = line.seq;
        }
        if self.message != standing.status {
            self.message.clone_from(&standing.status);
            if standing.ended {
                events.push_str(&format!("id: {END}\n"));
            }
            if let Some(name) = self.status_event {
                events.push_str(&format!("event: {name}\n"));
            }
            sse::push_data(&mut events, &standing.status);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_MS, pause_ms};

    #[test]
    fn a_stream_looks_often_at_first_and_less_than_a_thousand_times_in_all() {
        assert_eq!([0, 5_000, 30_000, 600_000].map(pause_ms), [500, 500, 1_500, 3_000]);
        let (mut since_ms, mut looks) = (0, 0);
        while since_ms < LONGEST_MS {
            since_ms += i64::try_from(pause_ms(since_ms)).unwrap();
            looks += 1;
        }
        assert!(looks < 1_000, "{looks}");
    }
}
