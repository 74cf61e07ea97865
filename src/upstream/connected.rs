//! The token of the GitHub account that a user has connected at Stack Auth
//! (docs.stack-auth.com, server API).

use serde::Deserialize;
use serde_json::json;

use super::{
    cloud_api::{Provider, segment},
    github::ConnectedAccounts,
};
use crate::{error::Error, platform::fetch::OutboundRequest};

const TIMEOUT_MS: u64 = 10_000;

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

/// The token; `None` when the user has connected no account.
pub(crate) async fn github_token(
    accounts: &ConnectedAccounts,
    stack_id: &str,
) -> Result<Option<String>, Error> {
    let provider = Provider { name: "Stack Auth", secret: &accounts.secret, timeout_ms: TIMEOUT_MS };
    let url =
        format!("{}/api/v1/connected-accounts/{}/github/access-token", accounts.base_url, segment(stack_id));
    let request = OutboundRequest::post_json(url, json!({ "scope": "repo" }).to_string())
        .with("x-stack-access-type", "server")
        .with("x-stack-project-id", accounts.project_id.as_str())
        .with("x-stack-secret-server-key", accounts.secret.as_str());
    let answer = provider.call(request).await?;
    match answer.status {
        200 | 201 => provider.read::<Token>(&answer).map(|token| Some(token.access_token)),
        // Not connected, or not with this scope.
        400 | 404 => Ok(None),
        _ => Err(provider.error_for(&answer, None)),
    }
}
