//! Vercel's REST API (vercel.com/docs/rest-api, and the source of its SDK and CLI): deployments
//! from files, their state and their build logs.

mod source;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use worker::Method;

pub(crate) use self::source::framework;
use super::cloud_api::{ApiResponse, Provider, busy, rejected, segment, unauthorized};
use crate::{
    error::Error,
    platform::{clock::MINUTE_MS, fetch::OutboundRequest},
};

/// Concurrent uploads: a Worker has six connections.
const CONCURRENT_UPLOADS: usize = 4;
/// How long after its build a deployment may take to get its public names, in milliseconds.
const ALIAS_MS: i64 = MINUTE_MS;

/// A client for an account, or for a team in it.
#[derive(Clone, Copy)]
pub(crate) struct Vercel<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) token: &'a str,
    /// The team's id or slug; `None` means the account's default.
    pub(crate) team: Option<&'a str>,
    pub(crate) timeout_ms: u64,
}

impl std::fmt::Debug for Vercel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vercel").field("team", &self.team).finish_non_exhaustive()
    }
}

/// A deployment to create.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New<'a> {
    /// The name of the project, which is created if it does not exist.
    pub(crate) name: &'a str,
    /// The mark by which we recognize the deployment.
    pub(crate) mark: &'a str,
    /// Path and content.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

/// The state of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Building,
    /// It is live at this URL.
    Ready {
        url: String,
    },
    /// Why it failed.
    Failed {
        reason: String,
    },
}

/// One line of a build's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

#[derive(Deserialize)]
struct List {
    deployments: Vec<Listed>,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Deserialize, Default)]
struct Pagination {
    next: Option<i64>,
}

/// A page of a project's deployments.
#[derive(Debug)]
pub(crate) struct Made {
    /// The ids of those that we made.
    pub(crate) ids: Vec<String>,
    /// The time before which the next page begins, if there is one.
    pub(crate) next: Option<i64>,
}

#[derive(Deserialize)]
struct Listed {
    uid: String,
    #[serde(default)]
    meta: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Deployment {
    url: String,
    ready_state: String,
    alias: Vec<String>,
    /// A time, a flag or null.
    alias_assigned: Value,
    alias_error: Value,
    /// When the build finished.
    ready: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    ready_state_reason: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    error: ProblemDetail,
}

#[derive(Deserialize)]
struct ProblemDetail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// An event of a build. Version 3 has the text at the top level, version 2 in the payload.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type", default)]
    kind: String,
    text: Option<String>,
    payload: Option<Payload>,
}

#[derive(Deserialize)]
struct Payload {
    text: Option<String>,
}

impl Vercel<'_> {
    /// The id of the deployment with this mark, if it exists.
    pub(crate) async fn find(&self, name: &str, mark: &str) -> Result<Option<String>, Error> {
        let query = [("app", name), ("limit", "1"), (MARK_FILTER, mark)];
        let found = self.list(&query).await?.deployments.into_iter().next();
        Ok(found.map(|listed| listed.uid))
    }

    /// The deployments of this project that we made, newest first: a page of its list, from
    /// `before` on.
    pub(crate) async fn made_by_us(&self, name: &str, before: Option<i64>) -> Result<Made, Error> {
        let before = before.map(|before| before.to_string());
        let mut query = vec![("app", name), ("limit", "100")];
        query.extend(before.as_deref().map(|before| ("until", before)));
        let listed = self.list(&query).await?;
        let next = listed.pagination.next.filter(|_| !listed.deployments.is_empty());
        let ours = listed.deployments.into_iter().filter(|listed| listed.meta.contains_key(MARK));
        Ok(Made { ids: ours.map(|listed| listed.uid).collect(), next })
    }

    async fn list(&self, query: &[(&str, &str)]) -> Result<List, Error> {
        let answer = self.provider().call(self.request(Method::Get, "/v6/deployments", query)).await?;
        match answer.status {
            200 => self.provider().read(&answer),
            // The project does not exist.
            404 => Ok(List { deployments: Vec::new(), pagination: Pagination::default() }),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Creates a deployment and returns its id. Vercel starts building it.
    pub(crate) async fn create(&self, new: &New<'_>) -> Result<String, Error> {
        let (files, uploads) = source::divide(new.files);
        stream::iter(uploads.iter().map(|upload| self.upload(upload)))
            .buffer_unordered(CONCURRENT_UPLOADS)
            .try_collect::<Vec<()>>()
            .await?;
        let package_json = new.files.iter().find(|(path, _)| *path == "package.json");
        let body = json!({
            "name": new.name,
            "target": "production",
            "files": files,
            "projectSettings": { "framework": package_json.and_then(|(_, json)| source::framework(json)) },
            "meta": { MARK: new.mark },
        });
        let request = self
            .request(Method::Post, "/v13/deployments", &[("skipAutoDetectionConfirmation", "1")])
            .carrying("application/json", body.to_string().into_bytes());
        let answer = self.provider().call(request).await?;
        if !answer.is_good() {
            return Err(self.refused(&answer));
        }
        self.provider().read::<Created>(&answer).map(|created| created.id)
    }

    async fn upload(&self, file: &source::Upload<'_>) -> Result<(), Error> {
        let request = self
            .request(Method::Post, "/v2/files", &[])
            .with("x-vercel-digest", file.sha1.as_str())
            .carrying("application/octet-stream", file.content.as_bytes().to_vec());
        let answer = self.provider().call(request).await?;
        if answer.is_good() { Ok(()) } else { Err(self.refused(&answer)) }
    }

    /// The state of a deployment at `now`, in milliseconds.
    pub(crate) async fn state(&self, id: &str, now: i64) -> Result<State, Error> {
        let path = format!("/v13/deployments/{}", segment(id));
        let answer = self.provider().call(self.request(Method::Get, &path, &[])).await?;
        match answer.status {
            200 => Ok(self.state_of(&self.provider().read(&answer)?, now)),
            404 => {
                Ok(State::Failed { reason: "The deployment was deleted on Vercel; deploy again".to_owned() })
            }
            _ => Err(self.refused(&answer)),
        }
    }

    /// The log of a build so far.
    pub(crate) async fn log(&self, id: &str) -> Result<Vec<Line>, Error> {
        let path = format!("/v3/deployments/{}/events", segment(id));
        // -1 means all of them.
        let query = [("builds", "1"), ("follow", "0"), ("limit", "-1")];
        let answer = self.provider().call(self.request(Method::Get, &path, &query)).await?;
        if !answer.is_good() {
            return Err(self.refused(&answer));
        }
        let events: Vec<Event> = self.provider().read(&answer)?;
        Ok(events.into_iter().filter_map(|event| self.line(event)).collect())
    }

    /// Deletes a deployment; a missing one is no error.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), Error> {
        let path = format!("/v13/deployments/{}", segment(id));
        let answer = self.provider().call(self.request(Method::Delete, &path, &[])).await?;
        if answer.is_good() || answer.status == 404 { Ok(()) } else { Err(self.refused(&answer)) }
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> OutboundRequest {
        let team = self.team.map(|team| (if team.starts_with("team_") { "teamId" } else { "slug" }, team));
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(query.iter().copied().chain(team));
        let query = encoded.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        OutboundRequest::new(method, format!("{}{path}{mark}{query}", self.base_url))
            .with("authorization", format!("Bearer {}", self.token))
    }

    fn provider(&self) -> Provider<'_> {
        Provider { name: "Vercel", secret: self.token, timeout_ms: self.timeout_ms }
    }

    fn refused(&self, answer: &ApiResponse) -> Error {
        let problem: Option<Problem> = answer.parsed();
        let (code, message) = problem
            .as_ref()
            .map_or(("", ""), |problem| (problem.error.code.as_str(), problem.error.message.as_str()));
        match (answer.status, code) {
            // An unknown token gets 403 too.
            (401 | 403, _) => unauthorized(
                "Vercel refused the token: make one at vercel.com/account/tokens that may deploy to this team",
            ),
            (402, _) => rejected("Vercel wants this account to pay first: see vercel.com/dashboard, Billing"),
            // A file has disappeared since its upload.
            (400, "missing_files") => busy("Vercel has lost a file that was uploaded"),
            _ => self.provider().error_for(answer, Some(message)),
        }
    }

    fn state_of(&self, deployment: &Deployment, now: i64) -> State {
        match deployment.ready_state.as_str() {
            "READY" if awaits_names(deployment, now) => State::Building,
            "READY" => State::Ready { url: public_url(deployment) },
            "ERROR" | "CANCELED" | "BLOCKED" => State::Failed { reason: self.why_failed(deployment) },
            _ => State::Building,
        }
    }

    fn why_failed(&self, deployment: &Deployment) -> String {
        let words = deployment.error_message.as_deref().or(deployment.ready_state_reason.as_deref());
        let words = words.map(|words| self.provider().quote(words)).filter(|words| !words.is_empty());
        match (deployment.ready_state.as_str(), words) {
            ("CANCELED", None) => "The build was cancelled on Vercel; deploy again".to_owned(),
            ("CANCELED", Some(words)) => format!("The build was cancelled on Vercel: {words}"),
            ("BLOCKED", None) => "Vercel blocks this deployment: see its dashboard".to_owned(),
            ("BLOCKED", Some(words)) => format!("Vercel blocks this deployment: {words}"),
            (_, Some(words)) => format!("The build failed on Vercel: {words}"),
            (_, None) => match deployment.error_code.as_deref() {
                Some(code) => format!("The build failed on Vercel ({})", self.provider().quote(code)),
                None => "The build failed on Vercel; its log above says why".to_owned(),
            },
        }
    }

    fn line(&self, event: Event) -> Option<Line> {
        let text = event.text.or(event.payload.and_then(|payload| payload.text))?;
        let text = self.provider().quote(&text);
        (!text.is_empty())
            .then_some(Line { text, is_error: matches!(event.kind.as_str(), "stderr" | "fatal") })
    }
}

/// The key of our mark in a deployment's `meta`, and in a query for it.
const MARK: &str = "hatchDeployment";
const MARK_FILTER: &str = "meta-hatchDeployment";

/// Whether its public names are still being assigned. Its own URL may be restricted to members of
/// the account.
fn awaits_names(deployment: &Deployment, now: i64) -> bool {
    let is_named = !matches!(deployment.alias_assigned, Value::Null | Value::Bool(false));
    let has_failed = !deployment.alias_error.is_null();
    !is_named && !has_failed && deployment.ready.is_some_and(|ready| now < ready + ALIAS_MS)
}

/// The shortest of its names is the project's own name or a domain of its owner.
fn public_url(deployment: &Deployment) -> String {
    let name = deployment.alias.iter().min_by_key(|name| name.len()).unwrap_or(&deployment.url);
    format!("https://{}", name.trim_start_matches("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERCEL: Vercel<'_> =
        Vercel { base_url: "https://v", token: "t0ken", team: Some("team_1"), timeout_ms: 1 };

    fn state(json: Value) -> State {
        VERCEL.state_of(&serde_json::from_value(json).unwrap(), 100_000)
    }

    fn ready(more: &Value) -> State {
        let mut deployment = json!({ "readyState": "READY", "url": "app-1x.vercel.app" });
        deployment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        state(deployment)
    }

    fn at(url: &str) -> State {
        State::Ready { url: url.to_owned() }
    }

    #[test]
    fn a_ready_deployment_is_live_at_its_shortest_name() {
        let alias = json!({ "alias": ["app-team.vercel.app", "app.vercel.app"], "aliasAssigned": 99_000 });
        assert_eq!(ready(&alias), at("https://app.vercel.app"));
        assert_eq!(ready(&json!({})), at("https://app-1x.vercel.app"));
    }

    #[test]
    fn a_ready_deployment_waits_for_its_names_but_not_for_ever() {
        assert_eq!(ready(&json!({ "ready": 99_000, "aliasAssigned": null })), State::Building);
        assert_eq!(ready(&json!({ "ready": 99_000, "aliasAssigned": false })), State::Building);
        assert_eq!(ready(&json!({ "ready": 39_000 })), at("https://app-1x.vercel.app"));
        assert_eq!(
            ready(&json!({ "ready": 99_000, "aliasError": { "code": "x" } })),
            at("https://app-1x.vercel.app")
        );
    }

    #[test]
    fn a_failure_has_its_reason() {
        let why = |json: Value| match state(json) {
            State::Failed { reason } => reason,
            state => panic!("{state:?}"),
        };
        let error = json!({ "readyState": "ERROR", "errorMessage": "Command \"npm run build\"\n exited with t0ken 1" });
        assert_eq!(
            why(error),
            "The build failed on Vercel: Command \"npm run build\" exited with [redacted] 1"
        );
        assert_eq!(
            why(json!({ "readyState": "ERROR", "errorCode": "E1" })),
            "The build failed on Vercel (E1)"
        );
        assert!(why(json!({ "readyState": "CANCELED" })).contains("cancelled"));
        assert!(
            why(json!({ "readyState": "BLOCKED", "readyStateReason": "no seat" })).ends_with(": no seat")
        );
    }

    #[test]
    fn every_other_state_is_waited_for() {
        for name in ["QUEUED", "INITIALIZING", "BUILDING", "", "SOMETHING_NEW"] {
            assert_eq!(state(json!({ "readyState": name })), State::Building, "{name}");
        }
    }

    #[test]
    fn events_of_both_versions_are_lines() {
        let line = |json: Value| VERCEL.line(serde_json::from_value(json).unwrap());
        let detail = |text: &str, is_error| Some(Line { text: text.to_owned(), is_error });
        assert_eq!(line(json!({ "type": "stdout", "text": "Installing\n" })), detail("Installing", false));
        assert_eq!(line(json!({ "type": "stderr", "payload": { "text": "warn" } })), detail("warn", true));
        assert_eq!(line(json!({ "type": "stdout", "text": "\n" })), None);
        assert_eq!(line(json!({ "type": "deployment-state", "payload": { "readyState": "READY" } })), None);
    }
}
