//! One call of the API: its envelope, and wrangler's rules for retries.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use worker::Method;

use super::errors::{ApiError, ApiFailure};
use crate::{
    platform::{
        clock::{now_ms, sleep},
        fetch::{self, Failure, OutboundRequest},
        random,
    },
    upstream::{
        multipart::Form,
        retry::{self, Advice},
    },
};

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1_000_000;
/// Applies until a response begins, and again until it has ended.
const DEADLINE_MS: u64 = 15_000;

/// wrangler sends this date because the API has changed since.
const SCRIPT_API_DATE: &str = "2025-08-01";

/// The API for one account.
pub(crate) struct Api<'a> {
    base_url: &'a str,
    token: &'a str,
    account: &'a str,
    namespace: Option<&'a str>,
    deadline_ms: u64,
}

impl std::fmt::Debug for Api<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    /// JSON in the API's format of [`SCRIPT_API_DATE`].
    DatedJson(Value),
    Multipart(Form),
}

/// The envelope of every response.
#[derive(Debug, Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Option<Vec<ApiError>>,
    #[serde(default)]
    result: Value,
}

impl<'a> Api<'a> {
    /// `token` must be valid for `account`; `namespace` belongs to Workers for Platforms;
    /// `deadline_ms` limits each call, to 15 s at most.
    pub(crate) fn new(
        base_url: &'a str,
        token: &'a str,
        account: &'a str,
        namespace: Option<&'a str>,
        deadline_ms: u64,
    ) -> Self {
        Self { base_url, token, account, namespace, deadline_ms: deadline_ms.min(DEADLINE_MS) }
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace
    }

    /// The path of `rest` in the account.
    pub(super) fn in_account(&self, rest: &str) -> String {
        format!("/accounts/{}/workers/{rest}", self.account)
    }

    /// The path of a script, or of one of its parts.
    pub(super) fn script(&self, name: &str, rest: &str) -> String {
        match self.namespace {
            Some(namespace) => {
                self.in_account(&format!("dispatch/namespaces/{namespace}/scripts/{name}{rest}"))
            }
            None => self.in_account(&format!("scripts/{name}{rest}")),
        }
    }

    /// Calls with the account's token, with retries.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<T, ApiFailure> {
        self.call_with(self.token, method, path, body).await
    }

    /// [`Self::call`] with another token, such as an upload's.
    pub(super) async fn call_with<T: DeserializeOwned>(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<T, ApiFailure> {
        let mut attempt = 0;
        loop {
            let failure = match self.once(token, method.clone(), path, body).await {
                Ok(result) => return hatch_json::from_value(&result).map_err(|_| ApiFailure::unexpected()),
                Err(failure) => failure,
            };
            let mut jitter = [0];
            // Without randomness the pause has its full length.
            let _ = random::fill(&mut jitter);
            // A retryable failure is retried whatever its status.
            let again = retry::pause_ms(None, failure.advice, attempt, jitter[0]);
            match again.filter(|_| failure.is_retryable()) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure.without(&[token, self.token])),
            }
            attempt += 1;
        }
    }

    async fn once(&self, token: &str, method: Method, path: &str, body: &Body) -> Result<Value, ApiFailure> {
        let mut request = OutboundRequest::new(method, format!("{}{path}", self.base_url))
            .with("authorization", format!("Bearer {token}"))
            .with("user-agent", "hatch-api");
        match body {
            Body::Empty => {}
            Body::Json(json) | Body::DatedJson(json) => {
                request = request.carrying("application/json", json.to_string());
            }
            Body::Multipart(form) => {
                request = request.carrying(&form.media_type, form.body.clone());
            }
        }
        if matches!(body, Body::DatedJson(_)) {
            request = request.with("cloudflare-workers-script-api-date", SCRIPT_API_DATE);
        }
        let answer = fetch::send(request, self.deadline_ms).await?;
        let status = answer.status();
        let advice = Advice::read(|name| answer.header(name), now_ms());
        // A page from the firewall in front of the API.
        let ray = answer.header("cf-mitigated").and_then(|_| answer.header("cf-ray"));
        let text = answer.text(LONGEST_ANSWER, self.deadline_ms).await?;
        let refused = |errors| ApiFailure { status: Some(status), advice, errors, ray };
        if text.is_empty() && matches!(status, 204 | 205) {
            return Ok(Value::Null);
        }
        match hatch_json::from_str::<Envelope>(&text) {
            Ok(envelope) if envelope.success && (200..300).contains(&status) => Ok(envelope.result),
            Ok(envelope) => Err(refused(envelope.errors.unwrap_or_default())),
            Err(_) => Err(refused(Vec::new())),
        }
    }
}

impl From<Failure> for ApiFailure {
    fn from(_: Failure) -> Self {
        Self { status: None, advice: Advice::default(), errors: Vec::new(), ray: None }
    }
}
