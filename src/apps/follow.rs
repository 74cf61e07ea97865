//! An app's events to one client: from the database, where the job that works
//! writes them, and on until the turn has ended. Their ids mean the same after
//! a restart.

use std::fmt::Write as _;

use super::{
    ids::{APP_NOT_FOUND, app_param},
    store::{self, Progress},
};
use crate::{
    error::Error,
    http::RequestContext,
    jobs,
    platform::{
        clock::{now_ms, sleep},
        response::Response,
        stream::{self, Writer},
    },
    store::Database,
};
use worker::Env;

const KEEP_ALIVE_MS: i64 = 10_000;
const KEEP_ALIVE: &str = ": keep-alive\n\n";
/// Longer than a turn may take; whoever still waits comes back.
const LONGEST_MS: i64 = 45 * 60 * 1000;
/// How soon a client that was cut off should come back.
const RETRY: &str = "retry: 2000\n\n";

/// The pause until the next look: longer and longer, for a request may ask the
/// database some hundred times only.
fn pause_ms(since_ms: i64) -> u64 {
    (since_ms / 30).clamp(150, 3_000).unsigned_abs()
}

/// The number that an event's id stands for, if it is one of this app's.
pub(super) async fn seen(id: Option<&str>, app_id: &str, database: &Database) -> Result<Option<i64>, Error> {
    let Some(seq) = id.and_then(|id| number_of(id, app_id)) else { return Ok(None) };
    Ok((!database.query(store::has_event(app_id, seq)).await?.is_empty()).then_some(seq))
}

fn number_of(id: &str, app_id: &str) -> Option<i64> {
    let (app, seq) = id.split_once('-')?;
    (app_id.get(..8) == Some(app)).then(|| seq.parse().ok()).flatten()
}

/// `GET /apps/:id/events`: what was told after `Last-Event-ID`, or `?after=`,
/// and on while an agent works. Without either, or with an id that is none of
/// the app's, everything of its newest message.
pub(crate) async fn events(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) = (context.caller.user_id()?, app_param(&context)?, context.database()?);
    let newest: Option<store::Followed> = database.query(store::newest(&id, user)).await?.first()?;
    let newest = newest.ok_or(APP_NOT_FOUND)?;
    let last = context.request.header("last-event-id").or_else(|| context.query("after"));
    match seen(last.as_deref(), &id, &database).await? {
        Some(seen) => stream(&context, id, None, seen),
        None => stream(&context, id, Some(newest.id), 0),
    }
}

/// Tells one client the events after number `seen`, with `turn` only that turn's.
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
    /// The last event that the client has.
    seen: i64,
    is_staff: bool,
}

impl Follower {
    /// Tells `client` everything until nobody works on the app any more, or
    /// the client leaves, which stops no work.
    async fn follow(mut self, client: Writer) {
        let (began, mut told_at) = (now_ms(), now_ms());
        if client.write(RETRY.as_bytes()).await.is_err() {
            return;
        }
        while now_ms() - began < LONGEST_MS {
            // A database that cannot answer now may answer the next time.
            let progress = self.poll().await.ok().flatten();
            let mut is_full = false;
            if let Some(progress) = progress {
                let events = self.written(&progress);
                is_full = !progress.events.is_empty();
                for event in events {
                    told_at = now_ms();
                    if client.write(event.as_bytes()).await.is_err() {
                        return;
                    }
                }
                if !progress.is_running {
                    if let Some(turn) = &self.turn {
                        // Else the same message would be taken for this one once more.
                        let _ = self.database.query(store::told(turn)).await;
                    }
                    break;
                }
                if let Some(job_id) = &progress.overdue_job {
                    // A failure here is made good by the sweep.
                    let _ = jobs::outbox::nudge(&self.env, &self.database, job_id).await;
                }
            }
            if now_ms() - told_at > KEEP_ALIVE_MS {
                told_at = now_ms();
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
            store::progress(&self.app_id, self.turn.as_deref(), self.seen, self.is_staff, now_ms());
        self.database.query(progress).await?.first()
    }

    /// Each event as one write: the original's clients want `event` first, and
    /// lose what is split.
    fn written(&mut self, progress: &Progress) -> Vec<String> {
        let event = |told: &store::Told| {
            let mut event = String::with_capacity(told.data.len() + 64);
            let _ = write!(event, "event: {}\nid: {}\ndata: {}\n\n", told.event, told.id, told.data);
            event
        };
        self.seen = progress.events.last().map_or(self.seen, |told| told.seq);
        progress.events.iter().map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id_is_good_for_its_own_app() {
        let app = "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36";
        assert_eq!(number_of("1f3a9c04-17", app), Some(17));
        for id in ["", "17", "abc", "1f3a9c04-", "1f3a9c04-x", "2f3a9c04-17", "1f3a9c04"] {
            assert_eq!(number_of(id, app), None, "{id}");
        }
    }

    #[test]
    fn a_stream_looks_often_at_first_and_less_than_a_thousand_times_in_all() {
        let (mut since_ms, mut looks) = (0, 0);
        while since_ms < LONGEST_MS {
            since_ms += i64::try_from(pause_ms(since_ms)).unwrap();
            looks += 1;
        }
        assert!(looks < 1_000, "{looks}");
    }
}
