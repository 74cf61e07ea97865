//! Signing in at Stack Auth (docs.stack-auth.com, client API): by a code that
//! it sends in a mail, or by the code with which a provider's page comes back.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cloud_api::{ApiResponse, Provider, rejected, segment};
use crate::{
    error::Error,
    platform::fetch::OutboundRequest,
    settings::{FromVars, ParseSettings, Vars, parses},
};

/// Finds what is wrong with its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Option<StackAuth>>()];

const TIMEOUT_MS: u64 = 10_000;
/// What stands for the client key of a project that asks for none.
const NO_CLIENT_KEY: &str = "__stack_public_client__";

/// The client API of one project.
#[derive(Debug)]
pub(crate) struct StackAuth {
    base_url: String,
    pub(crate) project_id: String,
    /// Public, as the project's id is.
    client_key: Option<String>,
}

impl FromVars for Option<StackAuth> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(project_id) = vars.get("STACK_PROJECT_ID") else { return Ok(None) };
        let base_url = vars.base_url("STACK_AUTH_URL", "https://api.stack-auth.com")?;
        Ok(Some(StackAuth { base_url, project_id, client_key: vars.get("STACK_PUBLISHABLE_CLIENT_KEY") }))
    }
}

/// How one signs in to a project.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Methods {
    pub(crate) email: bool,
    /// Ids such as `github`.
    pub(crate) providers: Vec<String>,
}

#[derive(Deserialize)]
struct Project {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    magic_link_enabled: bool,
    /// Its name until 2026.
    #[serde(default, alias = "enabled_oauth_providers")]
    oauth_providers: Vec<OauthProvider>,
}

#[derive(Deserialize)]
struct OauthProvider {
    id: String,
}

#[derive(Deserialize)]
struct Sent {
    nonce: String,
}

#[derive(Deserialize)]
struct Session {
    access_token: String,
}

/// An error: in Stack Auth's form, where `error` is a sentence, or in that of
/// OAuth, where it is the code.
#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    error: Option<String>,
}

const PROVIDER: Provider<'static> = Provider { name: "Stack Auth", secret: "", timeout_ms: TIMEOUT_MS };

impl StackAuth {
    /// Where a browser begins to sign in with a provider, whose id comes after it.
    pub(crate) fn authorize_url(&self) -> String {
        self.url("/auth/oauth/authorize/")
    }

    /// The `client_secret` of OAuth, which here is no secret.
    pub(crate) fn client_key(&self) -> &str {
        self.client_key.as_deref().unwrap_or(NO_CLIENT_KEY)
    }

    pub(crate) async fn methods(&self) -> Result<Methods, Error> {
        let answer = PROVIDER.call(self.client(OutboundRequest::get(self.url("/projects/current")))).await?;
        let Project { config } = good(&answer)?;
        let providers = config.oauth_providers.into_iter().map(|provider| provider.id).collect();
        Ok(Methods { email: config.magic_link_enabled, providers })
    }

    /// Sends a mail with a code, and with a link to `callback_url` that has a
    /// code too. Answers with what belongs to the code.
    pub(crate) async fn send_code(&self, email: &str, callback_url: &str) -> Result<String, Error> {
        let body = json!({ "email": email, "callback_url": callback_url });
        let sent: Sent = self.post("/auth/otp/send-sign-in-code", body.to_string()).await?;
        Ok(sent.nonce)
    }

    /// The access token for the code of a mail.
    pub(crate) async fn sign_in(&self, code: &str) -> Result<String, Error> {
        let session: Session = self.post("/auth/otp/sign-in", json!({ "code": code }).to_string()).await?;
        Ok(session.access_token)
    }

    /// The access token for the code that a provider returned (RFC 6749, 4.1.3; RFC 7636).
    pub(crate) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        redirect_url: &str,
    ) -> Result<String, Error> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_url),
            ("client_id", &self.project_id),
            ("client_secret", self.client_key()),
        ];
        let form: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        let request = OutboundRequest::new(worker::Method::Post, self.url("/auth/oauth/token"))
            .carrying("application/x-www-form-urlencoded", form.join("&"));
        let session: Session = good(&PROVIDER.call(self.client(request)).await?)?;
        Ok(session.access_token)
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: String) -> Result<T, Error> {
        good(&PROVIDER.call(self.client(OutboundRequest::post_json(self.url(path), body))).await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base_url)
    }

    fn client(&self, request: OutboundRequest) -> OutboundRequest {
        let request = request
            .with("x-stack-access-type", "client")
            .with("x-stack-project-id", self.project_id.as_str());
        match &self.client_key {
            Some(key) => request.with("x-stack-publishable-client-key", key.as_str()),
            None => request,
        }
    }
}

fn good<T: serde::de::DeserializeOwned>(answer: &ApiResponse) -> Result<T, Error> {
    if answer.is_good() { PROVIDER.read(answer) } else { Err(refusal(answer)) }
}

/// What a person can do about it, where that is known.
fn refusal(answer: &ApiResponse) -> Error {
    let code =
        answer.parsed::<Problem>().and_then(|problem| problem.code.or(problem.error)).unwrap_or_default();
    match code.as_str() {
        "VERIFICATION_CODE_NOT_FOUND"
        | "VERIFICATION_CODE_EXPIRED"
        | "VERIFICATION_CODE_ALREADY_USED"
        | "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED"
        | "INVALID_AUTHORIZATION_CODE"
        | "invalid_grant" => wrong_code(),
        "MULTI_FACTOR_AUTHENTICATION_REQUIRED" => second_factor(),
        "SIGN_UP_NOT_ENABLED" | "SIGN_UP_REJECTED" => {
            Error::Unauthorized("Stack Auth takes no new account for this sign-in".into())
        }
        "REDIRECT_URL_NOT_WHITELISTED" => rejected(
            "Stack Auth does not know this address: its operator adds it to the project's trusted domains",
        ),
        "BOT_CHALLENGE_REQUIRED" | "BOT_CHALLENGE_FAILED" => rejected(
            "Stack Auth asks for a challenge against bots, which is not shown here; sign in otherwise",
        ),
        _ => PROVIDER.error_for(answer, None),
    }
}

pub(crate) fn wrong_code() -> Error {
    Error::Unauthorized("The code is wrong, used or expired; ask for a new one".into())
}

pub(crate) fn second_factor() -> Error {
    Error::Refused {
        code: "second_factor_required",
        detail:
            "This account has a second factor, which is not asked for here; use an access token of Stack Auth"
                .to_owned(),
    }
}
