//! Asks a provider what is not a conversation's next turn: embeddings, moderations, and to compact a
//! conversation.

use hatch_dialects::{Dialect, Error, Request, forward, render_compaction, without_thoughts};

use super::{
    failover::{FailedCall, Succeeded, in_order},
    failure::{AttemptError, read_error},
    keys::Keys,
    outbound::{self, Outbound},
    question::{Thoughts, WHOLE_MS},
    routing::Candidate,
    sent_keys::SentKeys,
};

/// Posts a request that is not a conversation: embeddings, moderations.
///
/// # Errors
/// As [`super::ask()`]'s.
pub(crate) async fn post(
    path: &'static str,
    body: impl Fn(&Candidate) -> String,
    candidates: Vec<Candidate>,
    keys: &Keys,
    within_ms: u64,
) -> Result<PostResponse, FailedCall> {
    let post = async |candidate: &Candidate, _: bool| {
        post_once(path, Dialect::Chat, || Ok(body(candidate)), candidate, keys, within_ms).await
    };
    in_order(candidates, post).await.map(PostResponse::from)
}

/// A conversation that a model is to compact.
#[derive(Debug)]
pub(crate) struct Compaction<'a> {
    /// The client's body.
    pub(crate) body: &'a [u8],
    /// The request, if its texts are no longer those of the body.
    pub(crate) changed: Option<&'a Request>,
    pub(crate) is_lenient: bool,
}

/// Lets a model compact a conversation, as only OpenAI's Responses API can.
///
/// # Errors
/// As [`super::ask()`]'s.
pub(crate) async fn compact(
    compaction: &Compaction<'_>,
    candidates: Vec<Candidate>,
    keys: &Keys,
) -> Result<PostResponse, FailedCall> {
    let Compaction { body, changed, is_lenient } = *compaction;
    let compact_once = async |candidate: &Candidate, sent: Thoughts| {
        let target = candidate.provider.target(&candidate.model, is_lenient, false);
        let rendered = || {
            let rendered = render_compaction(body, changed, &target)?;
            let others = if sent == Thoughts::Sent { None } else { without_thoughts(rendered.as_bytes())? };
            match others {
                Some(input) => forward(rendered.as_bytes(), &[("input", Some(input))]),
                None => Ok(rendered),
            }
        };
        let path = "/responses/compact";
        post_once(path, Dialect::Responses, rendered, candidate, keys, WHOLE_MS).await
    };
    let post = async |candidate: &Candidate, _: bool| match compact_once(candidate, Thoughts::Sent).await {
        Err(failure) if failure.is_of_foreign_thoughts() => compact_once(candidate, Thoughts::LeftOut).await,
        tried => tried,
    };
    in_order(candidates, post).await.map(PostResponse::from)
}

/// One attempt. None if the sandbox model has to answer.
async fn post_once(
    path: &'static str,
    dialect: Dialect,
    body: impl FnOnce() -> Result<String, Error>,
    candidate: &Candidate,
    keys: &Keys,
    within_ms: u64,
) -> Result<Option<(Vec<u8>, SentKeys)>, AttemptError> {
    if candidate.provider.is_sandbox() {
        return Ok(None);
    }
    if !candidate.provider.speaks.contains(&dialect) {
        let words = format!("The provider of this model does not offer {path}");
        return Err(Error::unsupported("model", words).into());
    }
    let own_key = keys.open(&candidate.provider.name)?;
    let sent_keys = SentKeys::of(candidate.provider, own_key.as_deref());
    let outbound = Outbound { path, body: body()?, dialect, own_key: own_key.as_deref() };
    let answer = outbound.send(candidate, None, within_ms).await?;
    if answer.status() != 200 {
        return Err(read_error(answer, &sent_keys).await);
    }
    let bytes = outbound::read_whole(answer, candidate, within_ms).await?;
    Ok(Some((bytes, sent_keys)))
}

/// The response that [`post`] or [`compact`] got.
#[derive(Debug)]
pub(crate) struct PostResponse {
    /// None if the sandbox model has to answer.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) candidate: Candidate,
    pub(crate) attempts: u32,
    pub(crate) first_token_ms: i64,
    pub(crate) sent_keys: SentKeys,
}

impl From<Succeeded<Option<(Vec<u8>, SentKeys)>>> for PostResponse {
    fn from(succeeded: Succeeded<Option<(Vec<u8>, SentKeys)>>) -> Self {
        let Succeeded { got, candidate, attempts, first_token_ms } = succeeded;
        let (bytes, sent_keys) = got.unzip();
        Self { bytes, candidate, attempts, first_token_ms, sent_keys: sent_keys.unwrap_or_default() }
    }
}
