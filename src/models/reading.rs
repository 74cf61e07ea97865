//! Reads a model's response: whole, or a stream up to its first word, and on to its end if its client wants it whole.

use hatch_dialects::{Class, Dialect, Error, Reader, Reply, Response, Stream};

use super::{
    failure::{AttemptError, client_safe, fetch_error, read_error, stream_error},
    outbound,
    providers::Upstream,
    question::{Question, WHOLE_MS},
    routing::Candidate,
    sent_keys::SentKeys,
};
use crate::platform::{
    clock::{MINUTE_MS, now_ms},
    fetch::{Failure, FetchResponse},
    pump::{Deadlines, End, Source},
};

/// How long a stream may take that is collected before the client gets it.
const COLLECTED_MS: i64 = 10 * MINUTE_MS;

/// A model's response.
#[derive(Debug)]
pub(crate) enum ModelResponse {
    /// The whole response, with its bytes if it came in one piece, and with what its client would have
    /// seen of it if it was held back from a client that wants a stream.
    Whole {
        response: Box<Response>,
        bytes: Option<Vec<u8>>,
        events: Option<Vec<u8>>,
    },
    Live(Box<Live>),
}

/// A stream whose first word has arrived.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) source: Source,
    /// Has read all bytes that have arrived so far.
    pub(crate) stream: Stream,
    /// What it has rendered of them for the client.
    pub(crate) shown: Vec<u8>,
    pub(crate) sent_keys: SentKeys,
}

/// What is known of a request whose response is read.
pub(super) struct ResponseReader<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) question: &'a Question<'a>,
    /// The dialect of the response.
    pub(super) upstream: Dialect,
    pub(super) reply: &'a Reply,
    pub(super) sent_keys: SentKeys,
    /// When the first word of a stream has to be there.
    pub(super) until_ms: i64,
    /// After so many milliseconds without a byte a stream has stalled.
    pub(super) idle_ms: i64,
    /// There is no other candidate.
    pub(super) is_last: bool,
}

impl ResponseReader<'_> {
    pub(super) async fn read(self, response: FetchResponse) -> Result<ModelResponse, AttemptError> {
        if response.status() != 200 {
            return Err(read_error(response, &self.sent_keys).await);
        }
        let media_type = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if media_type.starts_with("text/event-stream") {
            self.read_stream(response).await
        } else {
            self.read_whole(response).await
        }
    }

    async fn read_whole(self, response: FetchResponse) -> Result<ModelResponse, AttemptError> {
        let bytes = outbound::read_whole(response, self.candidate, WHOLE_MS).await?;
        let response = self.upstream.parse_response(&bytes);
        let response = response.map_err(|error| client_safe(error, &self.sent_keys))?;
        let response = Box::new(response.until(&self.reply.stops)?);
        Ok(ModelResponse::Whole { response, bytes: Some(bytes), events: None })
    }

    async fn read_stream(self, response: FetchResponse) -> Result<ModelResponse, AttemptError> {
        let body = response.into_body().ok_or_else(|| fetch_error(&Failure::Network(String::new())))?;
        let (mut stream, mut shown) = (self.translation(), Vec::new());
        let has_begun = |new: &[u8]| {
            stream.push(new, &mut shown);
            stream.meter().has_begun || stream.is_over()
        };
        let left_ms = u64::try_from(self.until_ms - now_ms()).unwrap_or_default();
        let source = match self.question.watched {
            Some(deadlines) if self.is_last => Source::open(body, deadlines, has_begun).await,
            _ => Source::begun(body, left_ms, has_begun).await,
        };
        let source = source.map_err(stream_error)?;
        if source.has_ended() && !stream.meter().has_begun {
            // The end of an answer without a word may be in a last event that lacks its blank line.
            stream.finish(&mut shown);
        }
        if let Some(error) = stream.meter().error.clone()
            && !stream.meter().has_begun
        {
            source.cancel();
            return Err(self.failed(error, End::Closed));
        }
        if self.question.is_live {
            let live = Live { source, stream, shown, sent_keys: self.sent_keys };
            return Ok(ModelResponse::Live(Box::new(live)));
        }
        self.collect(source).await
    }

    async fn collect(self, source: Source) -> Result<ModelResponse, AttemptError> {
        let deadlines = Deadlines { idle_ms: self.idle_ms, after_client_ms: COLLECTED_MS };
        let outcome = source.collect(deadlines, async |_| {}).await;
        let mut reader = Reader::new(self.upstream);
        reader.push(&outcome.received);
        if outcome.end != End::Closed && !reader.meter().is_complete {
            return Err(stream_error(outcome.end));
        }
        let response = reader.finish().map_err(|error| self.failed(error, outcome.end))?;
        let response = Box::new(response.until(&self.reply.stops)?);
        // What only this dialect has, such as audio, is in its events alone.
        let wants_events = self.question.request.stream;
        let events = wants_events.then(|| translated(self.translation(), &outcome.received));
        Ok(ModelResponse::Whole { response, bytes: None, events })
    }

    /// Translates the stream for the client.
    fn translation(&self) -> Stream {
        let (upstream, client) = (self.upstream, self.question.client);
        match (self.question.filter)() {
            Some(filter) => Stream::filtered(upstream, client, self.reply, filter),
            None if matches!(self.candidate.provider.upstream, Upstream::Binding(_)) => {
                Stream::translated(upstream, client, self.reply)
            }
            None => Stream::new(upstream, client, self.reply),
        }
    }

    fn failed(&self, error: Error, end: End) -> AttemptError {
        match error.class {
            // A stream that closes early has broken off like one whose connection is lost.
            Class::Cut => stream_error(end),
            _ => client_safe(error, &self.sent_keys).into(),
        }
    }
}

/// A whole stream as its client reads it.
fn translated(mut stream: Stream, received: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    stream.push(received, &mut events);
    stream.finish(&mut events);
    events
}
