//! A deployment's progress as server-sent events: `log` for each line, with
//! its number as the event's id, and `status` for each change. The last event
//! is the status `live` or `failed`, with the id `end`.

use serde::Deserialize;
use serde_json::{Value, json};
use worker::Env;

use super::store;
use crate::{
    error::Error,
    http::sse,
    jobs,
    platform::{
        clock::{now_ms, sleep},
        stream::Writer,
    },
    store::Database,
};

/// The id of the last event: whoever has it has everything.
pub(super) const END: &str = "end";

const LOOK_MS: u64 = 500;
const KEEP_ALIVE_MS: i64 = 15_000;
/// A client that still waits after this reconnects by itself.
const LONGEST_MS: i64 = 10 * 60 * 1000;

/// How a deployment stands, with the log lines that are new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    status: String,
    url: Option<String>,
    error: Option<String>,
    overdue_job: Option<String>,
    logs: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    seq: i64,
    #[serde(flatten)]
    line: Value,
}

impl Standing {
    pub(super) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "live" | "failed")
    }
}

/// Follows one deployment for one client.
#[derive(Debug)]
pub(super) struct Follower {
    database: Database,
    env: Env,
    id: String,
    user: String,
    /// The last line that the client has.
    seen: i64,
}

impl Follower {
    /// `last_event_id` is what the client had last, if it comes again.
    pub(super) fn new(
        database: Database,
        env: Env,
        id: &str,
        user: &str,
        last_event_id: Option<&str>,
    ) -> Self {
        let seen = last_event_id.and_then(|id| id.parse().ok()).unwrap_or(0);
        Self { database, env, id: id.to_owned(), user: user.to_owned(), seen }
    }

    /// None when there is no such deployment, or it is somebody else's.
    pub(super) async fn look(&self) -> Result<Option<Standing>, Error> {
        self.database.query(store::standing(&self.id, &self.user, self.seen, now_ms())).await?.first()
    }

    /// Tells `client` everything from `standing` on, until it is final, the
    /// deployment is deleted, or the client leaves.
    pub(super) async fn follow(mut self, mut standing: Standing, client: Writer) {
        let (began, mut told_at, mut status) = (now_ms(), now_ms(), String::new());
        loop {
            let mut events = self.events(&standing, &mut status);
            if events.is_empty() && now_ms() - told_at > KEEP_ALIVE_MS {
                events.push_str(sse::KEEP_ALIVE);
            }
            if !events.is_empty() {
                told_at = now_ms();
                if client.write(events.as_bytes()).await.is_err() {
                    return;
                }
            }
            if standing.is_final() || now_ms() - began > LONGEST_MS {
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

    fn events(&mut self, standing: &Standing, status: &mut String) -> String {
        let mut events = String::new();
        for line in &standing.logs {
            events.push_str(&sse::event_with_id(line.seq, "log", &line.line));
            self.seen = line.seq;
        }
        if *status != standing.status {
            status.clone_from(&standing.status);
            let data = json!({ "status": standing.status, "url": standing.url, "error": standing.error });
            events.push_str(&match standing.is_final() {
                true => sse::event_with_id(END, "status", &data),
                false => sse::event("status", &data),
            });
        }
        events
    }
}
