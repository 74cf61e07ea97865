//! Asks one model after the other until one of them answers.
//!
//! The class of an error decides whether the same model, or another one, may
//! be asked ([`Class::may_fail_over`], [`Class::is_retryable`]). The client gets
//! the first byte only when a model has begun to answer, so that an answer
//! never mixes the words of two models.

use std::{fmt, rc::Rc};

use hatch_dialects::{
    Class, Dialect, Error, Filter, Reader, Rendered, Reply, Request, Response, Stream, Usage, forward,
    include_thoughts, openai_of_workers_ai, workers_ai_inputs,
};
use serde_json::json;

use super::{
    health,
    keys::Keys,
    providers::{Upstream, path_of},
    routing::Candidate,
    sandbox,
    settings::Providers,
};
use crate::{
    platform::{
        clock::{now_ms, sleep},
        fetch::{self, Failure, OutboundRequest},
        log,
        pump::{Deadlines, End, Source},
        random,
    },
    redact,
    upstream::retry::Advice,
};

/// The most requests to providers for one request of a client.
const MOST_ATTEMPTS: u32 = 6;
/// The most of them to one model.
const MOST_TRIES: u32 = 3;
/// A provider that asks for a longer pause is not tried again.
const LONGEST_PAUSE_MS: i64 = 10_000;
const FIRST_PAUSE_MS: i64 = 300;
/// The longest answer that comes in one piece, in bytes.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long to wait for a whole answer, in milliseconds.
pub(crate) const WHOLE_MS: u64 = 90_000;
/// How long a stream may take that is collected before the client gets it.
const COLLECTED_MS: i64 = 600_000;
/// The longest error body that is read. Those of real APIs are small.
const ERROR_BODY: usize = 64 * 1024;

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
    /// The whole response, with its bytes if it came in one piece.
    Whole {
        response: Box<Response>,
        bytes: Option<Vec<u8>>,
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
}

/// A call that no model has answered.
#[derive(Debug)]
pub(crate) struct FailedCall {
    pub(crate) error: Error,
    pub(crate) retry_after_s: Option<i64>,
    pub(crate) attempts: u32,
    /// The model that was asked last. None if no model was asked.
    pub(crate) model: Option<String>,
    /// What was answered before the failure, if the call consists of several questions.
    pub(crate) answered: Option<Box<(Candidate, Usage)>>,
}

impl FailedCall {
    /// A call that failed before any model was asked.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, retry_after_s: None, attempts: 0, model: None, answered: None }
    }
}

/// Why one attempt failed, and when to try again.
struct AttemptError {
    error: Error,
    advice: Advice,
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self { error, advice: Advice::default() }
    }
}

/// The result of the first attempt that succeeded.
struct Succeeded<T> {
    got: T,
    candidate: Candidate,
    attempts: u32,
    first_token_ms: i64,
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

/// Posts a request that is not a conversation: embeddings, moderations.
///
/// # Errors
/// As [`ask`]'s.
pub(crate) async fn post(
    path: &'static str,
    body: impl Fn(&Candidate) -> String,
    candidates: Vec<Candidate>,
    keys: &Keys,
    within_ms: u64,
) -> Result<PostResponse, FailedCall> {
    let post = async |candidate: &Candidate, _: bool| {
        if candidate.provider.is_sandbox() {
            return Ok(None);
        }
        if !candidate.provider.speaks.contains(&Dialect::Chat) {
            return Err(
                Error::unsupported("model", "The provider of this model does not offer this API").into()
            );
        }
        let own_key = keys.open(&candidate.provider.name)?;
        let outbound =
            Outbound { path, body: body(candidate), dialect: Dialect::Chat, own_key: own_key.as_deref() };
        let answer = outbound.send(candidate, None, within_ms).await?;
        if answer.status() != 200 {
            return Err(read_error(answer, own_key.is_some()).await);
        }
        let text = answer.text(MOST_BYTES, within_ms).await.map_err(|failure| fetch_error(&failure))?;
        Ok(Some(openai_bytes(candidate, text.into_bytes())?))
    };
    let Succeeded { got, candidate, attempts, first_token_ms } = in_order(candidates, post).await?;
    Ok(PostResponse { bytes: got, candidate, attempts, first_token_ms })
}

/// The response that [`post`] got.
#[derive(Debug)]
pub(crate) struct PostResponse {
    /// None if the sandbox model has to answer.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) first_token_ms: i64,
}

/// Tries the candidates in order, each as often as its errors allow. The
/// second argument of `attempt` says whether this is the last candidate.
async fn in_order<T>(
    candidates: Vec<Candidate>,
    attempt: impl AsyncFn(&Candidate, bool) -> Result<T, AttemptError>,
) -> Result<Succeeded<T>, FailedCall> {
    let (started, mut attempts) = (now_ms(), 0);
    let mut first: Option<AttemptError> = None;
    let (mut last_model, mut too_small) = (None, 0);
    let some_are_closed = candidates.iter().any(|candidate| !health::is_open(&candidate.model.id, started));
    let count = candidates.len();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let (id, is_last) = (candidate.model.id.clone(), index + 1 == count);
        if candidate.model.context <= too_small {
            continue;
        }
        // If every circuit is open, the first candidate is asked anyway.
        let may_enter = health::enter(&id, now_ms()) || (!some_are_closed && first.is_none());
        if !may_enter {
            continue;
        }
        last_model = Some(id.clone());
        let mut tries = 0;
        while attempts < MOST_ATTEMPTS {
            attempts += 1;
            tries += 1;
            let failure = match attempt(&candidate, is_last).await {
                Ok(got) => {
                    let first_token_ms = now_ms() - started;
                    health::succeeded(&id, first_token_ms);
                    return Ok(Succeeded { got, candidate, attempts, first_token_ms });
                }
                Err(failure) => failure,
            };
            let class = failure.error.class;
            if class.is_retryable() && class != Class::RateLimit {
                health::failed(&id, now_ms());
            } else {
                health::alive(&id);
            }
            let pause = pause_ms(&failure, tries, is_last, random::jitter());
            if class == Class::ContextTooLong {
                too_small = too_small.max(candidate.model.context);
            } else if pause.is_none() && !class.may_fail_over() && first.is_none() {
                return Err(unanswered(failure, attempts, last_model));
            }
            first.get_or_insert(failure);
            let Some(pause) = pause else { break };
            sleep(pause).await;
        }
    }
    let unavailable =
        || Error::new(Class::Overloaded, "No model is available now; try again in a moment").into();
    Err(unanswered(first.unwrap_or_else(unavailable), attempts, last_model))
}

fn unanswered(failure: AttemptError, attempts: u32, model: Option<String>) -> FailedCall {
    let is_full = matches!(failure.error.class, Class::RateLimit | Class::Overloaded);
    let retry_after_s = failure.advice.after_s().or(is_full.then_some(5));
    FailedCall { error: failure.error, retry_after_s, attempts, model, answered: None }
}

/// The pause before the same model is asked again; None if it must not be.
/// While other candidates remain, only failures that tend to pass at once are
/// retried on the same model.
fn pause_ms(failure: &AttemptError, tries: u32, is_last: bool, jitter: u8) -> Option<u64> {
    let class = failure.error.class;
    let most = match class {
        Class::Upstream if is_last => MOST_TRIES,
        // A lock at the provider, which the vendors' SDKs wait for too.
        Class::Conflict => MOST_TRIES,
        Class::Upstream => 2,
        Class::RateLimit | Class::Overloaded if is_last => MOST_TRIES,
        // A timeout has cost a long wait already, and the others would fail again.
        _ => 1,
    };
    let is_final = failure.advice.should_retry == Some(false)
        || matches!(failure.error.code.as_deref(), Some(KEY_REFUSED | UNPAID));
    if tries >= most || is_final {
        return None;
    }
    let backoff = FIRST_PAUSE_MS << tries.saturating_sub(1).min(4);
    let jittered = backoff - backoff * i64::from(jitter) / (4 * 255);
    let pause = failure.advice.after_ms.unwrap_or(jittered);
    (pause <= LONGEST_PAUSE_MS).then(|| u64::try_from(pause).unwrap_or_default())
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
        return Ok(sandbox_response(question));
    }
    let upstream = candidate.provider.dialect_for(question.client);
    let wants_stream = question.is_live || question.request.stream;
    let mut rendered = render(candidate, question, upstream, wants_stream)?;
    let is_streamed = wants_stream || rendered.needs_stream;
    if is_streamed && !wants_stream {
        rendered = render(candidate, question, upstream, true)?;
    }
    let own_key = question.keys.open(&candidate.provider.name)?;
    let outbound = Outbound {
        path: path_of(upstream),
        body: rendered.body,
        dialect: upstream,
        own_key: own_key.as_deref(),
    };
    let mut reply = question.reply.clone();
    reply.names = rendered.names;
    if let (Some(budget), None) = (&mut reply.budget, &own_key) {
        budget.pricing = Some(Rc::new(candidate.model.clone()));
    }
    let is_as_named = [&candidate.model.id, &candidate.model.name].contains(&&reply.model);
    if !is_as_named {
        reply.model.clone_from(&candidate.model.id);
    }
    // A slow model is given up only while another candidate remains.
    let within_ms = if is_streamed && !is_last { settings.first_token_ms } else { question.within_ms };
    let started = now_ms();
    let answer = outbound.send(candidate, question.anthropic, within_ms).await?;
    if answer.status() != 200 {
        return Err(read_error(answer, own_key.is_some()).await);
    }
    let is_events = answer
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
    let got =
        |answer| AttemptResponse { answer, warnings: rendered.warnings, reply: reply.clone(), upstream };
    if !is_events {
        let bytes =
            answer.text(MOST_BYTES, WHOLE_MS).await.map_err(|failure| fetch_error(&failure))?.into_bytes();
        let bytes = openai_bytes(candidate, bytes)?;
        let response = Box::new(upstream.parse_response(&bytes)?);
        return Ok(got(ModelResponse::Whole { response, bytes: Some(bytes) }));
    }
    let body = answer.into_body().ok_or_else(|| fetch_error(&Failure::Network(String::new())))?;
    let left_ms = within_ms.saturating_sub(u64::try_from(now_ms() - started).unwrap_or_default());
    let mut stream = match (question.filter)() {
        Some(filter) => Stream::filtered(upstream, question.client, &reply, filter),
        None if matches!(candidate.provider.upstream, Upstream::Binding(_)) => {
            Stream::translated(upstream, question.client, &reply)
        }
        None => Stream::new(upstream, question.client, &reply),
    };
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
    if let Some(error) = stream.meter().error.clone()
        && !stream.meter().has_begun
    {
        source.cancel();
        return Err(client_safe(error, own_key.is_some()).into());
    }
    if question.is_live {
        return Ok(got(ModelResponse::Live(Box::new(Live { source, stream, shown }))));
    }
    let deadlines = Deadlines { idle_ms: settings.idle_ms, after_client_ms: COLLECTED_MS };
    let outcome = source.collect(deadlines, async |_| {}).await;
    let mut reader = Reader::new(upstream);
    reader.push(&outcome.received);
    if outcome.end != End::Closed && !reader.meter().is_complete {
        return Err(stream_error(outcome.end));
    }
    let response = reader.finish().map_err(|error| client_safe(error, own_key.is_some()))?;
    Ok(got(ModelResponse::Whole { response: Box::new(response), bytes: None }))
}

/// A rendered request to a provider.
struct Outbound<'a> {
    path: &'static str,
    body: String,
    dialect: Dialect,
    own_key: Option<&'a str>,
}

impl Outbound<'_> {
    async fn send(
        self,
        candidate: &Candidate,
        anthropic: Option<(&str, Option<&str>)>,
        within_ms: u64,
    ) -> Result<fetch::FetchResponse, AttemptError> {
        let Self { path, body, dialect, own_key } = self;
        let sent = match &candidate.provider.upstream {
            Upstream::Http { base_url, key, gateway_token } => {
                let request = OutboundRequest::post_json(format!("{base_url}{path}"), body);
                let request = with_credential(request, dialect, own_key.or(key.as_deref()), anthropic);
                fetch::send(with_gateway(request, gateway_token.as_deref()), within_ms).await
            }
            Upstream::Binding(_) if own_key.is_some() => {
                let words = "This gateway asks Workers AI through its binding, which takes no key";
                return Err(Error::unsupported("x-provider-key", words).into());
            }
            Upstream::Binding(ai) => {
                let inputs = workers_ai_inputs(body.as_bytes())?;
                ai.run(&candidate.model.name, &inputs, within_ms).await
            }
            Upstream::Sandbox => Err(Failure::Network("the sandbox has no address".to_owned())),
        };
        sent.map_err(|failure| fetch_error(&failure))
    }
}

/// The whole answer of a provider that answers in the form of OpenAI's API, or of
/// Workers AI's binding.
fn openai_bytes(candidate: &Candidate, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    match candidate.provider.upstream {
        Upstream::Binding(_) => openai_of_workers_ai(&bytes),
        Upstream::Http { .. } | Upstream::Sandbox => Ok(bytes),
    }
}

/// The request as the candidate reads it. If it speaks the client's dialect,
/// these are the client's own bytes with the candidate's model name.
fn render(
    candidate: &Candidate,
    question: &Question<'_>,
    upstream: Dialect,
    stream: bool,
) -> Result<Rendered, Error> {
    if let Some((body, dialect)) = question.body
        && dialect == upstream
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
            let target = candidate.provider.target(&candidate.model, question.is_lenient, stream);
            if target.can.reasoning && !question.request.include_encrypted_reasoning {
                edits.push(("include", Some(include_thoughts(body)?)));
            }
        }
        if stream != question.request.stream {
            edits.push(("stream", Some(stream.to_string())));
        }
        let body = forward(body, &edits)?;
        return Ok(Rendered { body, names: Default::default(), warnings: Vec::new(), needs_stream: false });
    }
    upstream.render_request(
        question.request,
        &candidate.provider.target(&candidate.model, question.is_lenient, stream),
    )
}

/// Adds the provider's credential. Anthropic also gets `anthropic-version` and
/// `anthropic-beta`: the client's if it speaks that dialect, else the version
/// that accepts sampling parameters of older models.
fn with_credential(
    request: OutboundRequest,
    upstream: Dialect,
    key: Option<&str>,
    anthropic: Option<(&str, Option<&str>)>,
) -> OutboundRequest {
    if upstream != Dialect::Messages {
        return match key {
            Some(key) => request.with("authorization", format!("Bearer {key}")),
            None => request,
        };
    }
    let (version, beta) = anthropic.unwrap_or((DEFAULT_VERSION, None));
    let request = request.with("anthropic-version", version);
    let request = match beta {
        Some(beta) => request.with("anthropic-beta", beta),
        None => request,
    };
    match key {
        Some(key) => request.with("x-api-key", key),
        None => request,
    }
}

/// Adds the token of Cloudflare's AI Gateway, which stands before the provider.
fn with_gateway(request: OutboundRequest, token: Option<&str>) -> OutboundRequest {
    match token {
        Some(token) => request.with("cf-aig-authorization", format!("Bearer {token}")),
        None => request,
    }
}

const DEFAULT_VERSION: &str = "2023-06-01";

fn sandbox_response(question: &Question<'_>) -> AttemptResponse {
    let response = Box::new(sandbox::answer(question.request));
    let answer = ModelResponse::Whole { response, bytes: None };
    AttemptResponse { answer, warnings: Vec::new(), reply: question.reply.clone(), upstream: Dialect::Chat }
}

async fn read_error(answer: fetch::FetchResponse, is_callers_key: bool) -> AttemptError {
    let status = answer.status();
    let advice = Advice::read(|name| answer.header(name), now_ms());
    let body = answer.text(ERROR_BODY, WHOLE_MS).await.unwrap_or_default();
    AttemptError { error: client_safe(Error::of_upstream(status, body.as_bytes()), is_callers_key), advice }
}

/// The codes of errors that only the operator can repair: the provider refuses the
/// Worker's key, or its account cannot pay. Clients do not see its words, and it is not retried.
pub(crate) const KEY_REFUSED: &str = "provider_key_refused";
pub(crate) const UNPAID: &str = "provider_account_unpaid";

/// The code if there is no connection to the provider, or it ends before the answer begins.
pub(crate) const UNREACHABLE: &str = "provider_unreachable";

/// An upstream's error as a client may see it. A client cannot repair a
/// refusal of the Worker's own key, and the provider's text may quote the key.
fn client_safe(error: Error, is_callers_key: bool) -> Error {
    match (error.class, is_callers_key) {
        (Class::Authentication | Class::Permission, false) => {
            Error::new(Class::Upstream, "The model's provider does not accept the key of this gateway")
                .with_code(KEY_REFUSED)
        }
        (Class::Billing, false) => {
            Error::new(Class::Upstream, "This gateway's account at the model's provider cannot pay for it")
                .with_code(UNPAID)
        }
        _ => Error { message: redact::text(&error.message), ..error },
    }
}

fn fetch_error(failure: &Failure) -> AttemptError {
    match failure {
        Failure::Timeout => Error::new(Class::Timeout, "The model's provider did not answer in time"),
        Failure::Network(reason) => {
            log::line(
                &json!({ "level": "warn", "event": "models.unreachable", "detail": redact::text(reason) }),
            );
            Error::new(Class::Upstream, "The model's provider cannot be reached").with_code(UNREACHABLE)
        }
        Failure::TooLong => {
            Error::new(Class::Upstream, "The model's provider sent a longer answer than is read")
        }
    }
    .into()
}

fn stream_error(end: End) -> AttemptError {
    match end {
        End::Stalled | End::Abandoned => Error::new(Class::Timeout, "The model's provider fell silent"),
        End::Closed | End::Cut => {
            Error::new(Class::Upstream, "The model's answer ended before it had begun").with_code(UNREACHABLE)
        }
        End::TooLong => Error::new(Class::Upstream, "The model's provider sent a longer answer than is read"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt_error(class: Class, after_ms: Option<i64>) -> AttemptError {
        AttemptError { error: Error::new(class, ""), advice: Advice { should_retry: None, after_ms } }
    }

    #[test]
    fn with_another_candidate_only_errors_that_pass_at_once_are_retried() {
        let pause = |class, after, tries, is_last| pause_ms(&attempt_error(class, after), tries, is_last, 0);
        assert_eq!(pause(Class::Upstream, None, 1, false), Some(300));
        assert_eq!(pause(Class::Upstream, None, 2, false), None);
        for class in [Class::RateLimit, Class::Overloaded] {
            assert_eq!(pause(class, Some(2_000), 1, false), None, "there is another candidate");
            assert_eq!(pause(class, Some(2_000), 1, true), Some(2_000));
            assert_eq!(pause(class, Some(11_000), 1, true), None, "too long");
            assert_eq!(pause(class, None, MOST_TRIES, true), None);
        }
        for class in [Class::Timeout, Class::Invalid, Class::ContentPolicy, Class::Cut] {
            assert_eq!(pause(class, None, 1, true), None, "{class:?}");
        }
        let mut of_our_key = attempt_error(Class::Upstream, None);
        of_our_key.error = client_safe(Error::new(Class::Authentication, "sk-1"), false);
        assert_eq!(pause_ms(&of_our_key, 1, true, 0), None);
    }

    #[test]
    fn the_refusal_of_our_own_key_does_not_reach_a_client() {
        let refusal = Error::of_upstream(
            401,
            br#"{"error":{"message":"Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz"}}"#,
        );
        let shown = client_safe(refusal.clone(), false);
        assert!(!shown.message.contains("sk-") && shown.class == Class::Upstream);
        let shown = client_safe(refusal, true);
        assert_eq!(shown.class, Class::Authentication);
    }
}
