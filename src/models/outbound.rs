//! Sends a rendered request to a provider, with the credential that it takes, and reads an answer that
//! comes in one piece.

use hatch_dialects::{Dialect, Error, openai_of_workers_ai, workers_ai_inputs};

use super::{
    failure::{AttemptError, fetch_error},
    providers::Upstream,
    routing::Candidate,
};
use crate::platform::fetch::{self, Failure, OutboundRequest};

/// The longest answer that comes in one piece, in bytes.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A rendered request to a provider.
pub(super) struct Outbound<'a> {
    pub(super) path: &'static str,
    pub(super) body: String,
    pub(super) dialect: Dialect,
    /// The caller's own key.
    pub(super) own_key: Option<&'a str>,
}

impl Outbound<'_> {
    pub(super) async fn send(
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

/// Reads a whole answer. Those of Workers AI's binding are put into the form of OpenAI's API.
pub(super) async fn read_whole(
    answer: fetch::FetchResponse,
    candidate: &Candidate,
    within_ms: u64,
) -> Result<Vec<u8>, AttemptError> {
    let text = answer.text(MOST_BYTES, within_ms).await.map_err(|failure| fetch_error(&failure))?;
    match candidate.provider.upstream {
        Upstream::Binding(_) => Ok(openai_of_workers_ai(text.as_bytes())?),
        Upstream::Http { .. } | Upstream::Sandbox => Ok(text.into_bytes()),
    }
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
