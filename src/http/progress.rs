//! A job's progress as server-sent events: `log` for each line, with its
//! number as the event's id, and `status` for each change of how its subject
//! stands. The last event is the status in which it has ended, with the id `end`.

use serde::Deserialize;
use serde_json::Value;
use worker::Env;

use crate::{
    error::Error,
    http::{Exchange, sse},
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

const LOOK_MS: u64 = 500;
const KEEP_ALIVE_MS: i64 = 15_000;
/// A client that still waits after this reconnects by itself.
const LONGEST_MS: i64 = 10 * 60 * 1000;

/// How a job's subject stands, with the log lines that are new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    /// What a `status` event says.
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

/// The statement that tells a [`Standing`], with the log lines after number
/// `seen`; no row when there is no such subject, or it is somebody else's.
type Look = Box<dyn Fn(i64) -> Statement>;

/// Follows one subject for one client, from what `Last-Event-ID` says it has.
///
/// # Errors
/// `not_found` when [`Look`] finds nothing.
pub(crate) async fn stream(exchange: Exchange, look: Look, not_found: Error) -> Result<Response, Error> {
    let last_event_id = exchange.request.header("last-event-id");
    let seen = last_event_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or(0);
    let follower =
        Follower { database: exchange.database()?, env: exchange.env.clone(), look, seen, told: Value::Null };
    let first = follower.look().await?.ok_or(not_found)?;
    if first.ended && last_event_id.as_deref() == Some(END) {
        // 204 tells an EventSource that reconnects to stop.
        return Ok(Response::empty(204));
    }
    let (client, body) = stream::channel()?;
    exchange.background.run(follower.follow(first, client));
    Ok(Response::events(body))
}

struct Follower {
    database: Database,
    env: Env,
    look: Look,
    /// The last line that the client has.
    seen: i64,
    /// The status that the client has.
    told: Value,
}

impl Follower {
    async fn look(&self) -> Result<Option<Standing>, Error> {
        self.database.query((self.look)(self.seen)).await?.first()
    }

    /// Tells `client` everything from `standing` on, until it has ended, is
    /// deleted, or the client leaves.
    async fn follow(mut self, mut standing: Standing, client: Writer) {
        let (began, mut told_at) = (now_ms(), now_ms());
        loop {
            let mut events = self.events(&standing);
            if events.is_empty() && now_ms() - told_at > KEEP_ALIVE_MS {
                events.push_str(sse::KEEP_ALIVE);
            }
            if !events.is_empty() {
                told_at = now_ms();
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
            sleep(LOOK_MS).await;
            match self.look().await {
                Ok(Some(next)) => standing = next,
                // The client reconnects and goes on where it was.
                Ok(None) | Err(_) => break,
            }
        }
        client.close().await;
    }

    fn events(&mut self, standing: &Standing) -> String {
        let mut events = String::new();
        for line in &standing.logs {
            events.push_str(&sse::event_with_id(line.seq, "log", &line.line));
            self.seen = line.seq;
        }
        if self.told != standing.status {
            self.told.clone_from(&standing.status);
            events.push_str(&match standing.ended {
                true => sse::event_with_id(END, "status", &standing.status),
                false => sse::event("status", &standing.status),
            });
        }
        events
    }
}
