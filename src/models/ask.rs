//! Asks one model after the other until one of them answers.
//!
//! What may be asked again, and where, is the error's own knowledge
//! ([`Class::may_fail_over`], [`Class::may_retry`]). Nothing of an answer has
//! reached the client before it is told that there is one: what B says never
//! goes on with what A said.

use std::fmt;

use hatch_dialects::{
    Class, Dialect, Error, Filter, Reader, Rendered, Reply, Request, Response, Stream, forward,
};

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
        pump::{Deadlines, End, Source},
        random,
    },
    redact,
    upstream::retry::Advice,
};

/// Requests to providers for one request of a client, in all.
const MOST_ATTEMPTS: u32 = 6;
/// Requests to one model for it.
const MOST_TRIES: u32 = 3;
/// A provider that asks for a longer pause is not waited for.
const LONGEST_PAUSE_MS: i64 = 10_000;
const FIRST_PAUSE_MS: i64 = 300;
/// The longest answer that comes in one piece, in bytes.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Until a whole answer is there, or the first word of the last one who can be
/// asked, in milliseconds.
pub(crate) const WHOLE_MS: u64 = 90_000;
/// How long a stream may take that is collected, and not shown while it comes.
const COLLECTED_MS: i64 = 600_000;
/// Error bodies are small; what is longer is no API's.
const ERROR_BODY: usize = 64 * 1024;

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a Request,
    /// The body as the client sent it, and in which dialect: for an upstream
    /// that speaks the same one. None where it must not go on as it is.
    pub(crate) body: Option<(&'a [u8], Dialect)>,
    /// The client's dialect, in which a stream comes out.
    pub(crate) client: Dialect,
    /// How the answer is told.
    pub(crate) reply: Reply,
    /// The answer is to be shown while it comes.
    pub(crate) is_live: bool,
    /// What a model cannot do is left out with a warning.
    pub(crate) is_lenient: bool,
    /// The caller's own keys.
    pub(crate) keys: &'a Keys,
    /// The client's `anthropic-version` and `anthropic-beta`, for Anthropic.
    pub(crate) anthropic: Option<(&'a str, Option<&'a str>)>,
    /// What a stream goes through on its way to the client.
    pub(crate) filter: &'a dyn Fn() -> Option<Box<dyn Filter>>,
}

impl fmt::Debug for Question<'_> {
    /// Without what somebody says, and without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("client", &self.client)
            .field("is_live", &self.is_live)
            .finish_non_exhaustive()
    }
}

/// What is known of an answer that has begun.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Who answers.
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) warnings: Vec<String>,
    /// How the answer is told, with the names that tools have upstream.
    pub(crate) reply: Reply,
    /// The dialect of what came from upstream.
    pub(crate) upstream: Dialect,
    /// From the first attempt to the first word, in milliseconds.
    pub(crate) first_token_ms: i64,
}

/// What came from upstream.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All of it, and its very bytes where it came in one piece.
    Whole {
        response: Box<Response>,
        bytes: Option<Vec<u8>>,
    },
    Live(Box<Live>),
}

/// A stream whose first word has come.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) source: Source,
    /// Has been given all that has come so far.
    pub(crate) stream: Stream,
    /// What that came to for the client.
    pub(crate) shown: Vec<u8>,
}

/// Nobody answers.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) error: Error,
    pub(crate) retry_after_s: Option<i64>,
    pub(crate) attempts: u32,
    /// Who was asked last, if anybody was.
    pub(crate) model: Option<String>,
}

impl Unanswered {
    /// Nobody could be asked.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, retry_after_s: None, attempts: 0, model: None }
    }
}

/// Why one attempt came to nothing.
struct Refusal {
    error: Error,
    advice: Advice,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, advice: Advice::default() }
    }
}

/// Who has done what was asked.
struct Reached<T> {
    got: T,
    candidate: Candidate,
    attempts: u32,
    first_token_ms: i64,
}

/// Asks `candidates` in their order.
///
/// # Errors
/// The first one's error where nobody answers: what was asked for first is
/// what its caller knows.
pub(crate) async fn ask(
    question: &Question<'_>,
    candidates: Vec<Candidate>,
    settings: &Providers,
) -> Result<(Answer, Answered), Unanswered> {
    let reached = in_order(candidates, async |candidate, is_last| {
        attempt(candidate, is_last, question, settings).await
    })
    .await?;
    let Reached { got: Got { answer, warnings, reply, upstream }, candidate, attempts, first_token_ms } =
        reached;
    Ok((answer, Answered { candidate, attempts, warnings, reply, upstream, first_token_ms }))
}

/// Posts what is no conversation: embeddings, moderations.
///
/// # Errors
/// As [`ask`]'s.
pub(crate) async fn post(
    path: &str,
    body: impl Fn(&Candidate) -> String,
    candidates: Vec<Candidate>,
    keys: &Keys,
    within_ms: u64,
) -> Result<Posted, Unanswered> {
    let post = async |candidate: &Candidate, _: bool| {
        let Upstream::Http { base_url, key: own, gateway_token } = &candidate.provider.upstream else {
            return Ok(None);
        };
        if !candidate.provider.speaks.contains(&Dialect::Chat) {
            return Err(
                Error::unsupported("model", "The provider of this model has nothing like that").into()
            );
        }
        let request = OutboundRequest::post_json(format!("{base_url}{path}"), body(candidate));
        let theirs = keys.open(&candidate.provider.name)?;
        let request = with_credential(request, Dialect::Chat, theirs.as_deref().or(own.as_deref()), None);
        let answer = fetch::send(with_gateway(request, gateway_token.as_deref()), within_ms).await;
        let answer = answer.map_err(|failure| no_answer(&failure))?;
        if answer.status() != 200 {
            return Err(refused(answer, theirs.is_some()).await);
        }
        let text = answer.text(MOST_BYTES, within_ms).await.map_err(|failure| no_answer(&failure))?;
        Ok(Some(text.into_bytes()))
    };
    let Reached { got, candidate, attempts, first_token_ms } = in_order(candidates, post).await?;
    Ok(Posted { bytes: got, candidate, attempts, first_token_ms })
}

/// What [`post`] brought.
#[derive(Debug)]
pub(crate) struct Posted {
    /// None where the sandbox has to answer.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) first_token_ms: i64,
}

/// Tries one after the other, each as often as its errors allow. `attempt` is
/// told whether there is nobody left to ask after this one.
async fn in_order<T>(
    candidates: Vec<Candidate>,
    attempt: impl AsyncFn(&Candidate, bool) -> Result<T, Refusal>,
) -> Result<Reached<T>, Unanswered> {
    let (started, mut attempts) = (now_ms(), 0);
    let mut first: Option<Refusal> = None;
    let (mut last_model, mut too_small) = (None, 0);
    let some_are_well = candidates.iter().any(|candidate| !health::is_open(&candidate.model.id, started));
    let count = candidates.len();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let (id, is_last) = (candidate.model.id.clone(), index + 1 == count);
        if candidate.model.context <= too_small {
            continue;
        }
        // Where all are ill, the first one is asked all the same.
        let may_enter = health::enter(&id, now_ms()) || (!some_are_well && first.is_none());
        if !may_enter {
            continue;
        }
        last_model = Some(id.clone());
        let mut tries = 0;
        while attempts < MOST_ATTEMPTS {
            attempts += 1;
            tries += 1;
            let refusal = match attempt(&candidate, is_last).await {
                Ok(got) => {
                    let first_token_ms = now_ms() - started;
                    health::succeeded(&id, first_token_ms);
                    return Ok(Reached { got, candidate, attempts, first_token_ms });
                }
                Err(refusal) => refusal,
            };
            let class = refusal.error.class;
            if class.may_retry() && class != Class::RateLimit {
                health::failed(&id, now_ms());
            } else {
                health::alive(&id);
            }
            let pause = pause_ms(&refusal, tries, is_last, random::jitter());
            if class == Class::ContextTooLong {
                too_small = too_small.max(candidate.model.context);
            } else if !class.may_fail_over() && first.is_none() {
                return Err(unanswered(refusal, attempts, last_model));
            }
            first.get_or_insert(refusal);
            let Some(pause) = pause else { break };
            sleep(pause).await;
        }
    }
    let nobody = || Error::new(Class::Overloaded, "No model can be asked now; try again in a moment").into();
    Err(unanswered(first.unwrap_or_else(nobody), attempts, last_model))
}

fn unanswered(refusal: Refusal, attempts: u32, model: Option<String>) -> Unanswered {
    let asked = refusal.advice.after_s().map(|seconds| seconds.clamp(1, 60));
    let is_full = matches!(refusal.error.class, Class::RateLimit | Class::Overloaded);
    let retry_after_s = asked.or(is_full.then_some(5));
    Unanswered { error: refusal.error, retry_after_s, attempts, model }
}

/// The pause before the same model is asked again; none when it shall not be.
/// While there is another one, only a failure that is over at once is tried
/// again here.
fn pause_ms(refusal: &Refusal, tries: u32, is_last: bool, jitter: u8) -> Option<u64> {
    let class = refusal.error.class;
    let most = match class {
        Class::Upstream if is_last => MOST_TRIES,
        Class::Upstream => 2,
        Class::RateLimit | Class::Overloaded if is_last => MOST_TRIES,
        // A second minute of silence helps nobody.
        _ => 1,
    };
    let is_final =
        refusal.advice.should_retry == Some(false) || refusal.error.code.as_deref() == Some(KEY_REFUSED);
    if tries >= most || is_final {
        return None;
    }
    let backoff = FIRST_PAUSE_MS << tries.saturating_sub(1).min(4);
    let jittered = backoff - backoff * i64::from(jitter) / (4 * 255);
    let pause = refusal.advice.after_ms.unwrap_or(jittered);
    (pause <= LONGEST_PAUSE_MS).then(|| u64::try_from(pause).unwrap_or_default())
}

/// What one attempt brought.
struct Got {
    answer: Answer,
    warnings: Vec<String>,
    reply: Reply,
    upstream: Dialect,
}

async fn attempt(
    candidate: &Candidate,
    is_last: bool,
    question: &Question<'_>,
    settings: &Providers,
) -> Result<Got, Refusal> {
    let Upstream::Http { base_url, key, gateway_token } = &candidate.provider.upstream else {
        return Ok(answered_here(question));
    };
    let upstream = candidate.provider.dialect_for(question.client);
    let wants_stream = question.is_live || question.request.stream;
    let mut rendered = render(candidate, question, upstream, wants_stream)?;
    let is_streamed = wants_stream || rendered.needs_stream;
    if is_streamed && !wants_stream {
        rendered = render(candidate, question, upstream, true)?;
    }
    let request = OutboundRequest::post_json(format!("{base_url}{}", path_of(upstream)), rendered.body);
    let theirs = question.keys.open(&candidate.provider.name)?;
    let request =
        with_credential(request, upstream, theirs.as_deref().or(key.as_deref()), question.anthropic);
    let request = with_gateway(request, gateway_token.as_deref());
    let mut reply = question.reply.clone();
    reply.names = rendered.names;
    let is_as_named = [&candidate.model.id, &candidate.model.name].contains(&&reply.model);
    if !is_as_named {
        reply.model.clone_from(&candidate.model.id);
    }
    // Whoever thinks for long is given up only while somebody else can be asked.
    let within_ms = if is_streamed && !is_last { settings.first_token_ms } else { WHOLE_MS };
    let started = now_ms();
    let answer = fetch::send(request, within_ms).await.map_err(|failure| no_answer(&failure))?;
    if answer.status() != 200 {
        return Err(refused(answer, theirs.is_some()).await);
    }
    let is_events = answer
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
    let got = |answer| Got { answer, warnings: rendered.warnings, reply: reply.clone(), upstream };
    if !is_events {
        let bytes =
            answer.text(MOST_BYTES, WHOLE_MS).await.map_err(|failure| no_answer(&failure))?.into_bytes();
        let response = Box::new(upstream.parse_answer(&bytes)?);
        return Ok(got(Answer::Whole { response, bytes: Some(bytes) }));
    }
    let body = answer.into_body().ok_or_else(|| no_answer(&Failure::Network(String::new())))?;
    let left_ms = within_ms.saturating_sub(u64::try_from(now_ms() - started).unwrap_or_default());
    let mut stream = match (question.filter)() {
        Some(filter) => Stream::filtered(upstream, question.client, &reply, filter),
        None => Stream::new(upstream, question.client, &reply),
    };
    let mut shown = Vec::new();
    let opened = Source::begun(body, left_ms, |new| {
        stream.push(new, &mut shown);
        stream.meter().has_begun || stream.is_over()
    });
    let source = opened.await.map_err(broken)?;
    if let Some(error) = stream.meter().error.clone()
        && !stream.meter().has_begun
    {
        source.cancel();
        return Err(told(error, theirs.is_some()).into());
    }
    if question.is_live {
        return Ok(got(Answer::Live(Box::new(Live { source, stream, shown }))));
    }
    let deadlines = Deadlines { idle_ms: settings.idle_ms, after_client_ms: COLLECTED_MS };
    let outcome = source.collect(deadlines, async |_| {}).await;
    let mut reader = Reader::new(upstream);
    reader.push(&outcome.received);
    if outcome.end != End::Closed && !reader.meter().is_complete {
        return Err(broken(outcome.end));
    }
    let response = reader.finish().map_err(|error| told(error, theirs.is_some()))?;
    Ok(got(Answer::Whole { response: Box::new(response), bytes: None }))
}

/// The request as the candidate reads it: the client's own bytes where it
/// speaks the client's dialect, but for the name of the model.
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

/// Signed thoughts and betas are Anthropic's alone; the version is the
/// client's where it speaks its dialect, else the one that takes sampling
/// parameters of older models too.
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

/// Cloudflare's AI Gateway before the provider has a credential of its own.
fn with_gateway(request: OutboundRequest, token: Option<&str>) -> OutboundRequest {
    match token {
        Some(token) => request.with("cf-aig-authorization", format!("Bearer {token}")),
        None => request,
    }
}

const DEFAULT_VERSION: &str = "2023-06-01";

fn answered_here(question: &Question<'_>) -> Got {
    let response = Box::new(sandbox::answer(question.request));
    let answer = Answer::Whole { response, bytes: None };
    Got { answer, warnings: Vec::new(), reply: question.reply.clone(), upstream: Dialect::Chat }
}

async fn refused(answer: fetch::Answer, is_theirs: bool) -> Refusal {
    let status = answer.status();
    let advice = Advice::read(|name| answer.header(name), now_ms());
    let body = answer.text(ERROR_BODY, WHOLE_MS).await.unwrap_or_default();
    Refusal { error: told(Error::of_upstream(status, body.as_bytes()), is_theirs), advice }
}

/// The code of an error for which only the operator can do something: nobody
/// else is told why, and asking again helps nothing.
pub(crate) const KEY_REFUSED: &str = "provider_key_refused";

/// An upstream's error as a client may see it. That our own key is refused is
/// nothing that the client could mend, and the words for it may quote the key.
fn told(error: Error, is_theirs: bool) -> Error {
    match (error.class, is_theirs) {
        (Class::Authentication | Class::Permission | Class::Billing, false) => {
            Error::new(Class::Upstream, "The model's provider does not accept the key of this gateway")
                .with_code(KEY_REFUSED)
        }
        _ => Error { message: redact::text(&error.message), ..error },
    }
}

fn no_answer(failure: &Failure) -> Refusal {
    match failure {
        Failure::Timeout => Error::new(Class::Timeout, "The model's provider did not answer in time"),
        Failure::Network(_) => Error::new(Class::Upstream, "The model's provider cannot be reached"),
        Failure::TooLong => Error::new(Class::Upstream, "The model's provider answered more than is taken"),
    }
    .into()
}

fn broken(end: End) -> Refusal {
    match end {
        End::Stalled | End::Abandoned => Error::new(Class::Timeout, "The model's provider fell silent"),
        End::Closed | End::Cut => Error::new(Class::Upstream, "The model's answer ended before it had begun"),
        End::TooLong => Error::new(Class::Upstream, "The model's provider answered more than is taken"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(class: Class, after_ms: Option<i64>) -> Refusal {
        Refusal { error: Error::new(class, ""), advice: Advice { should_retry: None, after_ms } }
    }

    #[test]
    fn only_what_may_be_over_at_once_is_tried_again_while_there_is_another_model() {
        let pause = |class, after, tries, is_last| pause_ms(&refusal(class, after), tries, is_last, 0);
        assert_eq!(pause(Class::Upstream, None, 1, false), Some(300));
        assert_eq!(pause(Class::Upstream, None, 2, false), None);
        for class in [Class::RateLimit, Class::Overloaded] {
            assert_eq!(pause(class, Some(2_000), 1, false), None, "there is another one");
            assert_eq!(pause(class, Some(2_000), 1, true), Some(2_000));
            assert_eq!(pause(class, Some(11_000), 1, true), None, "too long");
            assert_eq!(pause(class, None, MOST_TRIES, true), None);
        }
        for class in [Class::Timeout, Class::Invalid, Class::ContentPolicy, Class::Cut] {
            assert_eq!(pause(class, None, 1, true), None, "{class:?}");
        }
        let mut of_our_key = refusal(Class::Upstream, None);
        of_our_key.error = told(Error::new(Class::Authentication, "sk-1"), false);
        assert_eq!(pause_ms(&of_our_key, 1, true, 0), None);
    }

    #[test]
    fn no_word_about_our_own_key_reaches_a_client() {
        let theirs = Error::of_upstream(
            401,
            br#"{"error":{"message":"Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz"}}"#,
        );
        let shown = told(theirs.clone(), false);
        assert!(!shown.message.contains("sk-") && shown.class == Class::Upstream);
        let shown = told(theirs, true);
        assert_eq!(shown.class, Class::Authentication);
    }
}
