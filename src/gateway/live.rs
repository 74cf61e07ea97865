//! A stream on its way to its client, and what is left to do when it ends.

use std::{cell::RefCell, rc::Rc};

use hatch_dialects::{Class, Dialect, Error as Said, Meter, Reader, Reply, Stream};

use super::{
    cache::Place,
    guard::Guards,
    kept,
    ledger::{Entry, Outcome},
    told::{self, Headers},
};
use crate::{
    error::Error,
    models::{Candidate, Live},
    platform::{
        background::Background,
        pump::{self, Deadlines, End},
        response::Response,
        stream::{self, Writer},
    },
    store::Database,
};

/// How long an upstream is read on for after the client left: the platform ends
/// an invocation about 30 s after that, and writing down takes some of it.
const AFTER_CLIENT_MS: i64 = 25_000;
/// As nginx calls it: the client has closed the connection.
const CLIENT_LEFT: u16 = 499;

/// What is known of a stream beside its bytes.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) entry: Entry,
    pub(super) candidate: Candidate,
    pub(super) attempts: u32,
    pub(super) first_token_ms: i64,
    pub(super) prompt_tokens: u64,
    pub(super) reply: Reply,
    pub(super) upstream: Dialect,
    pub(super) idle_ms: i64,
    pub(super) keep: kept::Keep,
    pub(super) guards: Guards,
    pub(super) client: Dialect,
    /// Where the answer is kept to be told again.
    pub(super) place: Option<Place>,
}

/// The stream as the client's answer; the rest happens in the background.
pub(super) fn tell(
    live: Live,
    carried: Carried,
    headers: Headers,
    background: &Background,
    database: Database,
) -> Result<Response, Error> {
    let (writer, body) = stream::channel()?;
    let response = told::with(Response::events(body), headers, &carried.reply.request_id);
    background.run(carry(live, writer, carried, database));
    Ok(response)
}

async fn carry(live: Live, writer: Writer, carried: Carried, database: Database) {
    let Live { source, stream, shown } = live;
    let stream = Rc::new(RefCell::new(stream));
    let (deadlines, rewritten) =
        (Deadlines { idle_ms: carried.idle_ms, after_client_ms: AFTER_CLIENT_MS }, stream.clone());
    // What has come before the first read is known to the stream already.
    let mut shown = Some(shown);
    let rewrite: pump::Rewrite = Box::new(move |new, out| {
        let bytes = shown.take().unwrap_or_else(|| {
            let mut bytes = Vec::new();
            rewritten.borrow_mut().push(new, &mut bytes);
            bytes
        });
        if !bytes.is_empty() {
            out.push_back(bytes);
        }
    });
    let outcome = source.pump(writer, Some(rewrite), deadlines, async |_| {}).await;
    let has_left = outcome.client.is_none();
    if let Some(client) = outcome.client {
        let last = last_words(&mut stream.borrow_mut(), outcome.end);
        let _ = client.write(&last).await;
        client.close().await;
    }
    let meter = stream.borrow().meter().clone();
    close(carried, meter, &outcome.received, has_left, &database).await;
}

/// What the client is told when no more comes: nothing after a whole answer,
/// an error in its dialect after one that was cut.
fn last_words(stream: &mut Stream, end: End) -> Vec<u8> {
    let mut last = Vec::new();
    match end {
        End::Closed => stream.finish(&mut last),
        End::Stalled => {
            stream.fail(
                Said::new(Class::Timeout, "The model fell silent before its answer was whole"),
                &mut last,
            );
        }
        End::Cut | End::TooLong | End::Abandoned => {
            stream.fail(Said::new(Class::Cut, "The model's answer ended before it was whole"), &mut last);
        }
    }
    last
}

async fn close(carried: Carried, seen: Meter, received: &[u8], has_left: bool, database: &Database) {
    // Who has left is told nothing more, but pays for what came.
    let mut reader = Reader::new(carried.upstream);
    let is_read = carried.keep.is_wanted() || carried.place.is_some();
    if has_left || is_read {
        reader.push(received);
    }
    let meter = if has_left { reader.meter().clone() } else { seen };
    let (usage, is_estimated) = meter.charged(carried.prompt_tokens);
    let status = match meter.is_complete {
        true => 200,
        false if has_left => CLIENT_LEFT,
        false => meter.error.as_ref().map_or(502, |error| error.status(Dialect::Chat)),
    };
    let outcome = Outcome {
        candidate: Some(&carried.candidate),
        status,
        attempts: carried.attempts,
        usage,
        is_estimated,
        first_token_ms: Some(carried.first_token_ms),
        ..Outcome::default()
    };
    let whole = is_read.then(|| reader.finish().ok()).flatten();
    // What the client was not to see is not kept either.
    let whole = whole.and_then(|whole| carried.guards.watch(&whole).ok());
    if let (Some(place), Some(whole), 200) = (&carried.place, &whole, status) {
        place.put(whole, carried.client, &carried.candidate, &carried.reply).await;
    }
    let kept = carried.keep.statements(&carried.entry.user, whole.as_ref(), &carried.reply);
    carried.entry.close(outcome, kept, database).await;
}
