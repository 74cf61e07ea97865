//! Forwards a stream to its client, and records the call when it ends.

use std::{cell::RefCell, rc::Rc};

use hatch_dialects::{
    Class, Dialect, Error as DialectError, Meter, Reader, Reply, Response as DialectResponse, Stream,
};

use super::{
    cache::CacheSlot,
    guardrails::Guards,
    ledger::{Entry, Outcome},
    response::{self, Headers},
    stored::Keep,
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

/// How long the upstream is read after its client has left. The platform ends
/// an invocation about 30 s after that, and recording the call takes some of it.
const AFTER_CLIENT_MS: i64 = 25_000;
/// nginx's status for a client that has closed the connection.
const CLIENT_LEFT: u16 = 499;

/// All that is known of a streaming call besides its bytes.
#[derive(Debug)]
pub(super) struct StreamingCall {
    pub(super) entry: Entry,
    pub(super) candidate: Candidate,
    pub(super) attempts: u32,
    pub(super) first_token_ms: i64,
    pub(super) prompt_tokens: u64,
    pub(super) reply: Reply,
    pub(super) upstream: Dialect,
    pub(super) idle_ms: i64,
    pub(super) keep: Keep,
    pub(super) guards: Guards,
    pub(super) client: Dialect,
    /// Where the answer is cached.
    pub(super) place: Option<CacheSlot>,
    /// The gateway reads the answer, because it runs tools that the model calls.
    pub(super) is_step: bool,
}

/// Starts the response. The stream is forwarded in the background.
pub(super) fn respond(
    live: Live,
    call: StreamingCall,
    headers: Headers,
    background: &Background,
    database: Database,
) -> Result<Response, Error> {
    let (writer, body) = stream::channel()?;
    let response = response::with(Response::events(body), headers, &call.reply.request_id);
    background.run(carry(live, writer, call, database));
    Ok(response)
}

async fn carry(live: Live, writer: Writer, call: StreamingCall, database: Database) {
    let Forwarded { client, meter, received } = forward(live, writer, call.idle_ms).await;
    let has_left = client.is_none();
    if let Some(client) = client {
        client.close().await;
    }
    close(call, meter, &received, has_left, &database).await;
}

/// Forwards one step of a chat and records its call. Returns the client's end,
/// unless the client has left, and the step's answer, if it is whole.
pub(super) async fn forward_step(
    live: Live,
    writer: Writer,
    call: StreamingCall,
    database: &Database,
) -> (Option<Writer>, Option<DialectResponse>) {
    let Forwarded { client, meter, received } = forward(live, writer, call.idle_ms).await;
    let answer = close(call, meter, &received, client.is_none(), database).await;
    (client, answer)
}

/// A stream that was forwarded to its end.
struct Forwarded {
    /// The client's end; none if the client has left.
    client: Option<Writer>,
    meter: Meter,
    received: Vec<u8>,
}

async fn forward(live: Live, writer: Writer, idle_ms: i64) -> Forwarded {
    let Live { source, stream, shown, sent_keys } = live;
    let stream = Rc::new(RefCell::new(stream));
    let deadlines = Deadlines { idle_ms, after_client_ms: AFTER_CLIENT_MS };
    let (rewritten, keys) = (stream.clone(), sent_keys.clone());
    // The stream has rendered the bytes before the first read already.
    let mut shown = Some(shown);
    let rewrite: pump::Rewrite = Box::new(move |new, out| {
        let mut stream = rewritten.borrow_mut();
        let mut bytes = shown.take().unwrap_or_else(|| {
            let mut bytes = Vec::new();
            stream.push(new, &mut bytes);
            bytes
        });
        // The provider's words may quote a key.
        if stream.meter().error.is_some() {
            bytes = keys.without_in_stream(bytes);
        }
        if !bytes.is_empty() {
            out.push_back(bytes);
        }
    });
    let outcome = source.pump(writer, Some(rewrite), deadlines, async |_| {}).await;
    if let Some(client) = &outcome.client {
        // An error whose blank line is missing is read at the end alone.
        let last = sent_keys.without_in_stream(last_bytes(&mut stream.borrow_mut(), outcome.end));
        let _ = client.write(&last).await;
    }
    let meter = stream.borrow().meter().clone();
    Forwarded { client: outcome.client, meter, received: outcome.received }
}

/// The last bytes for the client: of an answer that was cut, an error in its
/// dialect.
fn last_bytes(stream: &mut Stream, end: End) -> Vec<u8> {
    let mut last = Vec::new();
    match end {
        End::Closed => stream.finish(&mut last),
        End::Stalled => {
            stream.fail(
                DialectError::new(Class::Timeout, "The model fell silent before its answer was whole"),
                &mut last,
            );
        }
        End::Cut | End::TooLong | End::Abandoned => stream.fail(DialectError::cut(), &mut last),
    }
    last
}

/// Records the call. Returns the answer if it is whole and something reads it.
async fn close(
    call: StreamingCall,
    seen: Meter,
    received: &[u8],
    has_left: bool,
    database: &Database,
) -> Option<DialectResponse> {
    // A client that has left still pays for what the model has sent.
    let mut reader = Reader::new(call.upstream);
    let is_read = call.keep.is_wanted() || call.place.is_some() || call.is_step;
    if has_left || is_read {
        reader.push(received);
    }
    let meter = if has_left { reader.meter().clone() } else { seen };
    let (usage, is_estimated) = meter.charged(call.prompt_tokens);
    let status = match meter.is_complete {
        true => 200,
        false if has_left => CLIENT_LEFT,
        false => meter.error.as_ref().map_or(502, |error| error.status(Dialect::Chat)),
    };
    let outcome = Outcome {
        candidate: Some(&call.candidate),
        status,
        attempts: call.attempts,
        usage,
        is_estimated,
        first_token_ms: Some(call.first_token_ms),
        ..Outcome::default()
    };
    let whole = is_read.then(|| reader.finish().ok()).flatten();
    let whole = whole.and_then(|whole| whole.until(&call.reply.stops).ok());
    // Text that a guardrail has removed is not stored either.
    let whole = whole.and_then(|whole| call.guards.watch(&whole).ok());
    if let (Some(place), Some(whole), 200) = (&call.place, &whole, status) {
        place.put(whole, call.client, &call.candidate, &call.reply).await;
    }
    let stored = call.keep.statements(&call.entry.user, whole.as_ref(), &call.reply, database).await;
    call.entry.close_and_store(outcome, stored, database).await;
    whole
}
