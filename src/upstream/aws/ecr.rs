//! The Elastic Container Registry (API version 2015-09-21, JSON 1.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::DateTime;
use hatch_credentials::sigv4::{self, Keys, Request, Scope};
use serde::Deserialize;
use serde_json::{Value, json};
use worker::Method;

use crate::{
    error::Error,
    platform::{clock::now_ms, fetch::OutboundRequest},
    upstream::cloud_api::{ApiResponse, Provider, busy, rejected, unauthorized},
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const VERSION: &str = "AmazonEC2ContainerRegistry_V20150921";

/// The registry of an account, in one region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ecr<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) region: &'a str,
    pub(crate) keys: &'a Keys,
    pub(crate) timeout_ms: u64,
}

/// The credentials for `docker login`; valid for twelve hours.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
    /// The host without a scheme: `123456789012.dkr.ecr.us-east-1.amazonaws.com`.
    pub(crate) registry: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    authorization_data: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    /// Base64 of `AWS:password`.
    authorization_token: String,
    proxy_endpoint: String,
}

/// An error of the API. Some services write `Message`.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

impl Ecr<'_> {
    /// `GetAuthorizationToken`
    pub(crate) async fn login(&self) -> Result<Login, Error> {
        let answer = self.call("GetAuthorizationToken", &json!({})).await?;
        if !answer.is_good() {
            return Err(self.refused(&answer));
        }
        let tokens: Tokens = self.provider().read(&answer)?;
        let login = tokens.authorization_data.first().and_then(login_of);
        login.ok_or_else(|| self.provider().senseless())
    }

    /// `CreateRepository`; an existing repository is no error.
    pub(crate) async fn create_repository(&self, name: &str) -> Result<(), Error> {
        let repository = json!({
            "repositoryName": name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": { "scanOnPush": true },
            "encryptionConfiguration": { "encryptionType": "AES256" },
        });
        let answer = self.call("CreateRepository", &repository).await?;
        if answer.is_good() || kind(&answer) == "RepositoryAlreadyExistsException" {
            return Ok(());
        }
        Err(self.refused(&answer))
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<ApiResponse, Error> {
        let (target, body) = (format!("{VERSION}.{operation}"), body.to_string());
        let at = DateTime::from_timestamp_millis(now_ms()).unwrap_or_default();
        let scope = Scope { region: self.region, service: "ecr", at };
        let (date, host) = (scope.timestamp(), host(self.base_url));
        let headers = [
            ("content-type", CONTENT_TYPE),
            ("host", host),
            ("x-amz-date", &date),
            ("x-amz-target", &target),
        ];
        let payload = sigv4::sha256_hex(body.as_bytes());
        let request = Request { method: "POST", path: "/", query: &[], headers: &headers, payload: &payload };
        let authorization = sigv4::authorization(self.keys, scope, &request);
        let url = format!("{}/", self.base_url);
        let signed = OutboundRequest::new(Method::Post, url)
            .carrying(CONTENT_TYPE, body)
            .with("x-amz-date", date)
            .with("x-amz-target", target)
            .with("authorization", authorization);
        self.provider().call(signed).await
    }

    fn provider(&self) -> Provider<'_> {
        Provider { name: "Amazon ECR", secret: &self.keys.secret, timeout_ms: self.timeout_ms }
    }

    fn refused(&self, answer: &ApiResponse) -> Error {
        let problem: Option<Problem> = answer.parsed();
        match kind(answer).as_str() {
            // Has status 400 although it is temporary.
            "ThrottlingException" => busy("Amazon ECR takes no more requests for now"),
            "UnrecognizedClientException" | "InvalidSignatureException" => {
                unauthorized("Amazon refused the AWS keys: check the access key, its secret and the region")
            }
            "AccessDeniedException" => rejected(
                "The AWS keys may not do this: they need ecr:GetAuthorizationToken, ecr:CreateRepository and the right to pull",
            ),
            _ => self.provider().error_for(answer, problem.as_ref().map(|problem| problem.message.as_str())),
        }
    }
}

/// The error's name without its optional namespace.
fn kind(answer: &ApiResponse) -> String {
    let problem: Option<Problem> = answer.parsed();
    problem.and_then(|problem| problem.kind.rsplit('#').next().map(str::to_owned)).unwrap_or_default()
}

fn host(base_url: &str) -> &str {
    base_url.split_once("://").map_or(base_url, |(_, host)| host)
}

fn login_of(token: &Token) -> Option<Login> {
    let text = String::from_utf8(STANDARD.decode(&token.authorization_token).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Login {
        username: username.to_owned(),
        password: password.to_owned(),
        registry: host(&token.proxy_endpoint).trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_login_of_its_registry() {
        let token = Token {
            authorization_token: STANDARD.encode("AWS:pass:word"),
            proxy_endpoint: "https://123456789012.dkr.ecr.us-east-1.amazonaws.com".to_owned(),
        };
        let login = login_of(&token).unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("AWS", "pass:word"));
        assert_eq!(login.registry, "123456789012.dkr.ecr.us-east-1.amazonaws.com");
        let senseless = Token { authorization_token: "%".to_owned(), proxy_endpoint: String::new() };
        assert!(login_of(&senseless).is_none());
    }
}
