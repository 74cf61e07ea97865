//! The Worker's GitHub App. In an organisation that has installed it, it acts
//! with a token of its own, which is valid for an hour and for one purpose.

use hatch_credentials::github_app;
use serde::Deserialize;
use serde_json::{Value, json};
use worker::Method;

use super::{Client, GitHub, segment, unauthorized};
use crate::{
    error::Error,
    platform::{clock::now_ms, crypto},
};

/// The use of a token. GitHub grants no more permissions than the use needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// Creates repositories.
    Create,
    /// Commits to this repository.
    Commit(&'a str),
}

impl Purpose<'_> {
    fn body(self) -> Value {
        match self {
            Self::Create => json!({ "permissions": { "administration": "write" } }),
            Self::Commit(name) => json!({ "repositories": [name], "permissions": { "contents": "write" } }),
        }
    }
}

#[derive(Deserialize)]
struct Installation {
    id: i64,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl GitHub {
    /// A token of our App for an organisation. None if no App is set up, or if
    /// the organisation has not installed it.
    ///
    /// # Errors
    /// [`Error::Upstream`] if GitHub does not know the App, or if the App lacks the permission.
    pub(crate) async fn installation_token(
        &self,
        organisation: &str,
        purpose: Purpose<'_>,
    ) -> Result<Option<String>, Error> {
        let Some(app) = &self.app else { return Ok(None) };
        let unsigned = github_app::unsigned(&app.id, now_ms() / 1_000);
        let signature = crypto::rs256(&app.key, unsigned.as_bytes()).await?;
        let jwt = github_app::signed(&unsigned, &signature);
        let client = Client { github: self, token: &jwt };
        let path = format!("/orgs/{}/installation", segment(organisation));
        let found = client.call(Method::Get, &path, None).await?;
        match found.status {
            404 => return Ok(None),
            401 => return Err(unauthorized(UNKNOWN)),
            _ => {}
        }
        let Installation { id } = client.good(&found)?;
        let path = format!("/app/installations/{id}/access_tokens");
        let made = client.call(Method::Post, &path, Some(purpose.body())).await?;
        client.good::<Token>(&made).map(|made| Some(made.token))
    }
}

const UNKNOWN: &str = "GitHub does not know the Worker's GitHub App: its operator must check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY";
