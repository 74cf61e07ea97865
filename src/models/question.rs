//! A question for a model, and how it is written for a candidate.

use std::fmt;

use hatch_dialects::{
    Dialect, Error, Filter, Rendered, Reply, Request, Target, forward, include_thoughts, length_members,
    length_warning, refusal_warning, without_thoughts,
};

use super::{keys::Keys, routing::Candidate};
use crate::platform::pump::Deadlines;

/// How long to wait for a whole answer, in milliseconds.
pub(crate) const WHOLE_MS: u64 = 90_000;

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

/// Whether the model gets its own earlier thoughts back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoughts {
    Sent,
    LeftOut,
}

/// The dialect in which the candidate is asked: the one that it needs, unless it gets the client's own bytes,
/// which are written for it.
pub(super) fn upstream_dialect(candidate: &Candidate, question: &Question<'_>) -> Dialect {
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
pub(super) fn render(
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
    let most = candidate.model.longest_answer().filter(|most| *most < asked)?;
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
        thinks && (candidate.model.longest_answer().is_some() || question.request.reasoning.is_some());
    if is_known_to_think && !question.request.include_encrypted_reasoning() {
        edits.push(("include", Some(include_thoughts(body)?)));
    }
    Ok(edits)
}
