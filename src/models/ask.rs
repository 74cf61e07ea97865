//! Asks a model: renders the request as its provider reads it, and reads the answer.
//!
//! The client gets the first byte only when a model has begun to answer, so that an answer
//! never mixes the words of two models.

use std::{fmt, rc::Rc};

use hatch_dialects::{
    Class, Dialect, Error, Filter, Reader, Rendered, Reply, Request, Response, Stream, Target, forward,
    include_thoughts, length_members, length_warning, refusal_warning, without_thoughts,
};

use super::{
    failover::{FailedCall, Succeeded, in_order},
    failure::{AttemptError, client_safe, fetch_error, read_error, stream_error},
    keys::Keys,
    outbound::{self, Outbound},
    providers::{Upstream, path_of},
    routing::Candidate,
    sandbox,
    sent_keys::SentKeys,
    settings::Providers,
};
use crate::platform::{
    clock::now_ms,
    fetch::Failure,
    pump::{Deadlines, End, Source},
};

/// How long to wait for a whole answer, in milliseconds.
pub(crate) const WHOLE_MS: u64 = 90_000;
/// How long a stream may take that is collected before the client gets it.
const COLLECTED_MS: i64 = 600_000;

/// A request to a model, with all that decides how it is sent.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a Request,
    /// The client's body and its dialect. An upstream of the same dialect gets
    /// these bytes. None if the request has to be rendered anew.
    pub(crate) body: Option<(&'a [u8], Dialect)>,
    /// The client's dialect. A stream is rendered in it.
    pub(crate) client: Dialect,
    /// How the response is rendered.
    pub(crate) reply: Reply,
    /// The client gets the answer while it arrives.
    pub(crate) is_live: bool,
    /// Parameters that the model does not support are dropped with a warning.
    pub(crate) is_lenient: bool,
    /// The caller's own keys.
    pub(crate) keys: &'a Keys,
    /// The client's `anthropic-version` and `anthropic-beta`, for Anthropic.
    pub(crate) anthropic: Option<(&'a str, Option<&'a str>)>,
    /// A person watches the answer arrive, so the stream begins a second after its first bytes even if no
    /// word has come. The times are those of [`Source::open`]. Without it the client gets nothing before
    /// the first word, until which another model can still be asked.
    pub(crate) watched: Option<Deadlines>,
    /// How long to wait for the head of the last candidate's response, and for its
    /// first word unless it is watched, in milliseconds.
    pub(crate) within_ms: u64,
    /// Makes the filter that a stream passes on its way to the client.
    pub(crate) filter: &'a dyn Fn() -> Option<Box<dyn Filter>>,
}

impl fmt::Debug for Question<'_> {
    /// Leaves out the conversation and the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("client", &self.client)
            .field("is_live", &self.is_live)
            .finish_non_exhaustive()
    }
}

/// What is known of an answer that has begun.
#[derive(Debug)]
pub(crate) struct AnsweredCall {
    /// The model that answered, and its provider.
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) warnings: Vec<String>,
    /// How the response is rendered, with the names that tools have upstream.
    pub(crate) reply: Reply,
    /// The dialect of the upstream's bytes.
    pub(crate) upstream: Dialect,
    /// From the first attempt to the first word, in milliseconds.
    pub(crate) first_token_ms: i64,
}

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

/// Asks `candidates` in their order.
///
/// # Errors
/// The first candidate's error if no candidate answers, because its caller
/// asked for that model.
pub(crate) async fn ask(
    question: &Question<'_>,
    candidates: Vec<Candidate>,
    settings: &Providers,
) -> Result<(ModelResponse, AnsweredCall), FailedCall> {
    let reached = in_order(candidates, async |candidate, is_last| {
        attempt(candidate, is_last, question, settings).await
    })
    .await?;
    let Succeeded {
        got: AttemptResponse { answer, warnings, reply, upstream },
        candidate,
        attempts,
        first_token_ms,
    } = reached;
    Ok((answer, AnsweredCall { candidate, attempts, warnings, reply, upstream, first_token_ms }))
}

/// The response of one attempt.
struct AttemptResponse {
    answer: ModelResponse,
    warnings: Vec<String>,
    reply: Reply,
    upstream: Dialect,
}

async fn attempt(
    candidate: &Candidate,
    is_last: bool,
    question: &Question<'_>,
    settings: &Providers,
) -> Result<AttemptResponse, AttemptError> {
    if candidate.provider.is_sandbox() {
        return sandbox_response(candidate, question);
    }
    // A client of Anthropic has the thoughts in its own hands, and its request passes as it is.
    let upstream = upstream_dialect(candidate, question);
    let is_passed = (question.client, upstream) == (Dialect::Messages, Dialect::Messages)
        && !candidate.refuses_as_written(question.request);
    match try_once(candidate, is_last, question, settings, Thoughts::Sent).await {
        Err(failure) if failure.is_of_foreign_thoughts() && !is_passed => {
            try_once(candidate, is_last, question, settings, Thoughts::LeftOut).await
        }
        tried => tried,
    }
}

/// Whether the model gets its own earlier thoughts back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoughts {
    Sent,
    LeftOut,
}

async fn try_once(
    candidate: &Candidate,
    is_last: bool,
    question: &Question<'_>,
    settings: &Providers,
    sent: Thoughts,
) -> Result<AttemptResponse, AttemptError> {
    let upstream = upstream_dialect(candidate, question);
    let wants_stream = question.is_live || question.request.stream;
    let mut rendered = render(candidate, question, upstream, wants_stream, sent)?;
    let is_streamed = wants_stream || rendered.needs_stream;
    if is_streamed && !wants_stream {
        rendered = render(candidate, question, upstream, true, sent)?;
    }
    let own_key = question.keys.open(&candidate.provider.name)?;
    let sent_keys = SentKeys::of(candidate.provider, own_key.as_deref());
    let outbound = Outbound {
        path: path_of(upstream),
        body: rendered.body,
        dialect: upstream,
        own_key: own_key.as_deref(),
    };
    let mut reply = reply_of(candidate, question);
    (reply.names, reply.stops) = (rendered.names, rendered.stops);
    if let (Some(budget), None) = (&mut reply.budget, &own_key) {
        budget.pricing = Some(Rc::new(candidate.model.clone()));
    }
    // A slow model is given up only while another candidate remains.
    let within_ms = if is_streamed && !is_last { settings.first_token_ms } else { question.within_ms };
    let started = now_ms();
    let answer = outbound.send(candidate, question.anthropic, within_ms).await?;
    if answer.status() != 200 {
        return Err(read_error(answer, &sent_keys).await);
    }
    let is_events = answer
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
    let got =
        |answer| AttemptResponse { answer, warnings: rendered.warnings, reply: reply.clone(), upstream };
    if !is_events {
        let bytes = outbound::read_whole(answer, candidate, WHOLE_MS).await?;
        let response = upstream.parse_response(&bytes).map_err(|error| client_safe(error, &sent_keys))?;
        let response = Box::new(response.until(&reply.stops)?);
        return Ok(got(ModelResponse::Whole { response, bytes: Some(bytes), events: None }));
    }
    let body = answer.into_body().ok_or_else(|| fetch_error(&Failure::Network(String::new())))?;
    let left_ms = within_ms.saturating_sub(u64::try_from(now_ms() - started).unwrap_or_default());
    let translation = || match (question.filter)() {
        Some(filter) => Stream::filtered(upstream, question.client, &reply, filter),
        None if matches!(candidate.provider.upstream, Upstream::Binding(_)) => {
            Stream::translated(upstream, question.client, &reply)
        }
        None => Stream::new(upstream, question.client, &reply),
    };
    let mut stream = translation();
    let mut shown = Vec::new();
    let has_begun = |new: &[u8]| {
        stream.push(new, &mut shown);
        stream.meter().has_begun || stream.is_over()
    };
    let source = match question.watched {
        Some(deadlines) if is_last => Source::open(body, deadlines, has_begun).await,
        _ => Source::begun(body, left_ms, has_begun).await,
    };
    let source = source.map_err(stream_error)?;
    let failed = |error: Error, end| match error.class {
        // A stream that closes early has broken off like one whose connection is lost.
        Class::Cut => stream_error(end),
        _ => client_safe(error, &sent_keys).into(),
    };
    if source.has_ended() && !stream.meter().has_begun {
        // The end of an answer without a word may be in a last event that lacks its blank line.
        stream.finish(&mut shown);
    }
    if let Some(error) = stream.meter().error.clone()
        && !stream.meter().has_begun
    {
        source.cancel();
        return Err(failed(error, End::Closed));
    }
    if question.is_live {
        return Ok(got(ModelResponse::Live(Box::new(Live { source, stream, shown, sent_keys }))));
    }
    let deadlines = Deadlines { idle_ms: settings.idle_ms, after_client_ms: COLLECTED_MS };
    let outcome = source.collect(deadlines, async |_| {}).await;
    let mut reader = Reader::new(upstream);
    reader.push(&outcome.received);
    if outcome.end != End::Closed && !reader.meter().is_complete {
        return Err(stream_error(outcome.end));
    }
    let response = reader.finish().map_err(|error| failed(error, outcome.end))?;
    let response = response.until(&reply.stops)?;
    // What only this dialect has, such as audio, is in its events alone.
    let events = question.request.stream.then(|| translated(translation(), &outcome.received));
    Ok(got(ModelResponse::Whole { response: Box::new(response), bytes: None, events }))
}

/// A whole stream as its client reads it.
fn translated(mut stream: Stream, received: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    stream.push(received, &mut events);
    stream.finish(&mut events);
    events
}

/// The dialect in which the candidate is asked: the one that it needs, unless it gets the client's own bytes,
/// which are written for it.
fn upstream_dialect(candidate: &Candidate, question: &Question<'_>) -> Dialect {
    let (provider, request) = (&candidate.provider, question.request);
    let usual = provider.dialect_for(question.client);
    let is_rendered = question.body.is_none_or(|(_, dialect)| dialect != usual);
    // Several answers are Chat Completions' alone, also if their request was redacted.
    let has_other_form = usual != question.client || request.n <= Some(1);
    if (is_rendered || candidate.is_substitute) && has_other_form && candidate.needs_responses(request) {
        Dialect::Responses
    } else {
        usual
    }
}

/// The request as the candidate reads it. If it speaks the client's dialect,
/// these are the client's own bytes with the candidate's model name, unless it
/// would refuse them in place of the model that they are for.
fn render(
    candidate: &Candidate,
    question: &Question<'_>,
    upstream: Dialect,
    stream: bool,
    sent: Thoughts,
) -> Result<Rendered, Error> {
    if let Some((body, dialect)) = question.body
        && dialect == upstream
        && !candidate.refuses_as_written(question.request)
    {
        let name = serde_json::Value::from(candidate.model.name.as_str()).to_string();
        let mut edits = vec![("model", Some(name)), ("models", None)];
        if upstream == Dialect::Chat && stream {
            // The usage is counted, whether the client wants it or not.
            edits.push(("stream_options", Some(r#"{"include_usage":true}"#.to_owned())));
        }
        if upstream == Dialect::Responses {
            // The gateway stores answers itself, so the upstream's thoughts have to come with them.
            edits.extend([("store", Some("false".to_owned())), ("previous_response_id", None)]);
            edits.extend(thoughts(candidate, question, body, sent)?);
        }
        if stream != question.request.stream {
            edits.push(("stream", Some(stream.to_string())));
        }
        let refused = refused(candidate, question);
        edits.extend(refused.iter().map(|name| (*name, None)));
        let mut warnings: Vec<_> = refused.iter().map(|name| refusal_warning(name)).collect();
        if let Some((asked, most)) = too_long(candidate, question) {
            let shorter = |name| (name, Some(most.to_string()));
            edits.extend(length_members(body, most)?.into_iter().map(shorter));
            warnings.push(length_warning(asked, most));
        }
        let stops = if refused.contains(&"stop") { question.request.stop.clone() } else { Vec::new() };
        let body = forward(body, &edits)?;
        return Ok(Rendered { body, names: Default::default(), stops, warnings, needs_stream: false });
    }
    let target = candidate.provider.target(&candidate.model, question.is_lenient, stream);
    let keeps_thoughts = target.keeps_thoughts && sent == Thoughts::Sent;
    upstream.render_request(question.request, &Target { keeps_thoughts, ..target })
}

/// The longest answer that a request asks for, and the model can write, if that is less. A model that the client has
/// named refuses it itself; of another one the client cannot know.
fn too_long(candidate: &Candidate, question: &Question<'_>) -> Option<(u64, u64)> {
    let asked = question.request.max_tokens.filter(|_| candidate.is_substitute)?;
    let most = u64::try_from(candidate.model.max_output).ok().filter(|most| (1..asked).contains(most))?;
    Some((asked, most))
}

/// The settings that a lenient client's own body has and OpenAI's thinking models refuse.
fn refused(candidate: &Candidate, question: &Question<'_>) -> Vec<&'static str> {
    if !(question.is_lenient && candidate.provider.is_openai) {
        return Vec::new();
    }
    let mut settings = question.request.refused_by_thinking();
    settings.retain(|name| candidate.provider.refuses(&candidate.model, name));
    settings
}

/// What a body of the Responses API says of thoughts: they are asked for if the model is known to think, and those of
/// another model are left out if it is known not to, because it refuses them.
fn thoughts(
    candidate: &Candidate,
    question: &Question<'_>,
    body: &[u8],
    sent: Thoughts,
) -> Result<Vec<(&'static str, Option<String>)>, Error> {
    let thinks = candidate.model.can("reasoning");
    let others = if thinks && sent == Thoughts::Sent { None } else { without_thoughts(body)? };
    let mut edits: Vec<_> = others.map(|input| ("input", Some(input))).into_iter().collect();
    // Of a model that the catalogue does not list nobody knows what it can.
    let is_known_to_think =
        thinks && (candidate.model.max_output > 0 || question.request.reasoning.is_some());
    if is_known_to_think && !question.request.include_encrypted_reasoning() {
        edits.push(("include", Some(include_thoughts(body)?)));
    }
    Ok(edits)
}

/// How the candidate's answer is rendered: with its name, as the client has written it if that is what it asked for.
fn reply_of(candidate: &Candidate, question: &Question<'_>) -> Reply {
    let model = candidate.name_for(&question.reply.model).to_owned();
    Reply { model, ..question.reply.clone() }
}

fn sandbox_response(candidate: &Candidate, question: &Question<'_>) -> Result<AttemptResponse, AttemptError> {
    let response = Box::new(sandbox::answer(question.request).until(&question.request.stop)?);
    let answer = ModelResponse::Whole { response, bytes: None, events: None };
    let reply = reply_of(candidate, question);
    Ok(AttemptResponse { answer, warnings: Vec::new(), reply, upstream: Dialect::Chat })
}
