//! Streams an app's events to a client until the turn has ended. They come from
//! the database, where the job writes them, so their ids survive a restart.

use std::fmt::Write as _;

use super::{
    ids::{APP_NOT_FOUND, app_param},
    store::{self, follow::Progress},
};
use crate::{
    error::Error,
    http::RequestContext,
    jobs,
    platform::{
        clock::{MINUTE_MS, now_ms, sleep},
        response::Response,
        stream::{self, Writer},
    },
    store::Database,
};
use worker::Env;

const KEEP_ALIVE_MS: i64 = 10_000;
const KEEP_ALIVE: &str = ": keep-alive\n\n";
/// The longest stream. A turn takes less time; a client that still waits reconnects.
const LONGEST_MS: i64 = 45 * MINUTE_MS;
/// Tells a client to reconnect two seconds after an interruption.
const RETRY: &str = "retry: 2000\n\n";

/// The pause until the next poll. It grows, because one request may make only
/// some hundred calls to the database.
fn pause_ms(since_ms: i64) -> u64 {
    (since_ms / 30).clamp(40, 3_300).unsigned_abs()
}

/// The sequence number of an event id, if the app has such an event.
pub(super) async fn known_seq(
    id: Option<&str>,
    app_id: &str,
    database: &Database,
) -> Result<Option<i64>, Error> {
    let Some(seq) = id.and_then(|id| number_of(id, app_id)) else { return Ok(None) };
    Ok((!database.query(store::follow::has_event(app_id, seq)).await?.is_empty()).then_some(seq))
}

fn number_of(id: &str, app_id: &str) -> Option<i64> {
    let (app, seq) = id.split_once('-')?;
    (app_id.get(..8) == Some(app)).then(|| seq.parse().ok()).flatten()
}

/// `GET /apps/:id/events`: the events after `Last-Event-ID` or `?after=`, and new
/// ones while an agent works. Without such an id, or with one of another app,
/// all events of the newest message.
pub(crate) async fn events(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) = (context.caller.user_id()?, app_param(&context)?, context.database()?);
    let newest: Option<store::follow::Followed> =
        database.query(store::follow::newest(&id, user)).await?.first()?;
    let newest = newest.ok_or(APP_NOT_FOUND)?;
    let last = context.request.header("last-event-id").or_else(|| context.query("after"));
    match known_seq(last.as_deref(), &id, &database).await? {
        Some(seen) => stream(&context, id, None, seen),
        None => stream(&context, id, Some(newest.id), 0),
    }
}

/// Streams the events after number `seen` to one client; with `turn` only that turn's.
pub(super) fn stream(
    context: &RequestContext,
    app_id: String,
    turn: Option<String>,
    seen: i64,
) -> Result<Response, Error> {
    let (client, body) = stream::channel()?;
    let is_staff = context.caller.user().is_ok_and(|user| user.is_staff);
    let follower =
        Follower { database: context.database()?, env: context.env.clone(), app_id, turn, seen, is_staff };
    context.background.run(follower.follow(client));
    Ok(Response::events(body))
}

struct Follower {
    database: Database,
    env: Env,
    app_id: String,
    turn: Option<String>,
    /// The number of the last event that the client has.
    seen: i64,
    is_staff: bool,
}

impl Follower {
    /// Sends events to `client` until the turn has ended or the client leaves.
    /// The job goes on without a client.
    async fn follow(mut self, client: Writer) {
        let (began, mut sent_at) = (now_ms(), now_ms());
        if client.write(RETRY.as_bytes()).await.is_err() {
            return;
        }
        while now_ms() - began < LONGEST_MS {
            // A database error may pass by the next poll.
            let progress = self.poll().await.ok().flatten();
            let mut is_full = false;
            if let Some(progress) = progress {
                let events = self.render(&progress);
                is_full = !progress.events.is_empty();
                for event in events {
                    sent_at = now_ms();
                    if client.write(event.as_bytes()).await.is_err() {
                        return;
                    }
                }
                if !progress.is_running {
                    if let Some(turn) = &self.turn {
                        // Otherwise the same message, sent again, would count as a resend of this one.
                        let _ = self.database.query(store::follow::set_delivered(turn)).await;
                    }
                    break;
                }
                if let Some(job_id) = &progress.overdue_job {
                    // If this fails, the sweep sends the message.
                    let _ = jobs::outbox::nudge(&self.env, &self.database, job_id).await;
                }
            }
            if now_ms() - sent_at > KEEP_ALIVE_MS {
                sent_at = now_ms();
                if client.write(KEEP_ALIVE.as_bytes()).await.is_err() {
                    return;
                }
            }
            sleep(if is_full { 0 } else { pause_ms(now_ms() - began) }).await;
        }
        client.close().await;
    }

    async fn poll(&self) -> Result<Option<Progress>, Error> {
        let progress =
            store::follow::progress(&self.app_id, self.turn.as_deref(), self.seen, self.is_staff, now_ms());
        self.database.query(progress).await?.first()
    }

    /// Renders each event for one write. The original's clients need `event`
    /// first, and lose events that arrive in pieces.
    fn render(&mut self, progress: &Progress) -> Vec<String> {
        let render = |stored: &store::follow::StoredEvent| {
            let mut event = String::with_capacity(stored.data.len() + 64);
            let _ = write!(event, "event: {}\nid: {}\ndata: {}\n\n", stored.event, stored.id, stored.data);
            event
        };
        self.seen = progress.events.last().map_or(self.seen, |stored| stored.seq);
        progress.events.iter().map(render).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_belongs_to_one_app() {
        let app = "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36";
        assert_eq!(number_of("1f3a9c04-17", app), Some(17));
        for id in ["", "17", "abc", "1f3a9c04-", "1f3a9c04-x", "2f3a9c04-17", "1f3a9c04"] {
            assert_eq!(number_of(id, app), None, "{id}");
        }
    }

    #[test]
    fn a_stream_polls_less_and_less_often_and_less_than_a_thousand_times() {
        let (mut since_ms, mut polls) = (0, 0);
        while since_ms < LONGEST_MS {
            since_ms += i64::try_from(pause_ms(since_ms)).unwrap();
            polls += 1;
        }
        assert!(polls < 1_000, "{polls}");
    }
}
