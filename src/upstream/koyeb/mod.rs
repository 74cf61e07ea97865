//! Koyeb's API (developer.koyeb.com, and the source of its CLI): an app with one service, its
//! deployments and their logs.

pub(crate) mod archive;
mod definition;

pub(crate) use definition::{Builder, Service, ServiceSource, app_name};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use worker::Method;

use self::definition::{MARK, SERVICE};
use super::{
    aws::ecr::Login,
    cloud_api::{ApiResponse, Provider, busy, rejected, segment, unauthorized},
};
use crate::{error::Error, platform::fetch::OutboundRequest};

/// The most lines of a log in one call.
const LINES: &str = "1000";
/// How many lines of a failed container's log are read.
const LAST_LINES: &str = "20";

/// A client for one account.
#[derive(Clone, Copy)]
pub(crate) struct Koyeb<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) token: &'a str,
    pub(crate) timeout_ms: u64,
}

impl std::fmt::Debug for Koyeb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Koyeb").finish_non_exhaustive()
    }
}

/// The state of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Running,
    /// Why it failed.
    Failed {
        reason: String,
    },
}

/// The logs of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// The log of its build, from the beginning.
    Build,
    /// The last lines of its container's log.
    Runtime,
}

/// A service that was created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Deployed {
    #[serde(rename = "latest_deployment_id")]
    pub(crate) deployment: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
struct Archive {
    id: String,
    upload_url: String,
}

#[derive(Deserialize)]
struct App {
    #[serde(default)]
    domains: Vec<Domain>,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
}

#[derive(Deserialize)]
struct Deployment {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    messages: Vec<String>,
    #[serde(default)]
    definition: Definition,
}

#[derive(Deserialize, Default)]
struct Definition {
    #[serde(default)]
    env: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Entries {
    #[serde(default)]
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    msg: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    message: String,
    fields: Vec<Field>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Field {
    field: String,
    description: String,
}

impl Koyeb<'_> {
    /// The id of the app with this name, which is created if it does not exist.
    pub(crate) async fn app(&self, name: &str) -> Result<String, Error> {
        let answer = self.send(Method::Post, "/v1/apps", &[], Some(&json!({ "name": name }))).await?;
        if answer.status != 409 {
            return Ok(self.good::<Named>(&answer, "app")?.id);
        }
        self.find_app(name).await?.ok_or_else(|| unseen("app", name))
    }

    /// The id of the app with this name, if it exists.
    pub(crate) async fn find_app(&self, name: &str) -> Result<Option<String>, Error> {
        let apps: Vec<Named> = self.list("/v1/apps", &[("name", name)], "apps").await?;
        Ok(apps.into_iter().find(|app| app.name == name).map(|app| app.id))
    }

    /// Stores a registry's login as the secret with this name.
    pub(crate) async fn keep_login(&self, name: &str, login: &Login) -> Result<(), Error> {
        let secret = json!({
            "name": name,
            "type": "REGISTRY",
            "private_registry": {
                "username": login.username, "password": login.password, "url": login.registry,
            },
        });
        let answer = self.send(Method::Post, "/v1/secrets", &[], Some(&secret)).await?;
        if answer.status != 409 {
            return self.accepted(&answer);
        }
        let secrets: Vec<Named> = self.list("/v1/secrets", &[("name", name)], "secrets").await?;
        let found = secrets.into_iter().find(|secret| secret.name == name).map(|secret| secret.id);
        let path = format!("/v1/secrets/{}", segment(&found.ok_or_else(|| unseen("secret", name))?));
        self.accepted(&self.send(Method::Patch, &path, &[], Some(&secret)).await?)
    }

    /// Uploads an archive of sources; returns its id.
    pub(crate) async fn upload(&self, archive: Vec<u8>) -> Result<String, Error> {
        let size = archive.len();
        // As a string, because the API's numbers have 64 bits.
        let request = json!({ "size": size.to_string() });
        let answer = self.send(Method::Post, "/v1/archives", &[], Some(&request)).await?;
        let place: Archive = self.good(&answer, "archive")?;
        let request = OutboundRequest::new(Method::Put, place.upload_url)
            .with("x-goog-content-length-range", format!("{size},{size}"))
            .carrying("application/octet-stream", archive);
        // The storage's errors have another format, and its URL is the credential.
        let answer = self.provider().call(request).await?;
        if answer.is_good() { Ok(place.id) } else { Err(self.provider().error_for(&answer, None)) }
    }

    /// The id of our service in an app, if it exists.
    pub(crate) async fn service(&self, app: &str) -> Result<Option<String>, Error> {
        let query = [("app_id", app), ("name", SERVICE)];
        let services: Vec<Listed> = self.list("/v1/services", &query, "services").await?;
        let is_ours = |service: &Listed| {
            service.name == SERVICE && !matches!(service.status.as_str(), "DELETING" | "DELETED")
        };
        Ok(services.into_iter().find(is_ours).map(|service| service.id))
    }

    /// Creates the service of an app, and with it the first deployment.
    pub(crate) async fn create(&self, app: &str, service: &Service<'_>) -> Result<Deployed, Error> {
        let new = json!({ "app_id": app, "definition": service.definition() });
        let answer = self.send(Method::Post, "/v1/services", &[], Some(&new)).await?;
        if answer.status == 409 {
            // A service that is being deleted keeps its name for a while.
            return Err(busy("Koyeb still has a service of this name"));
        }
        self.good(&answer, "service")
    }

    /// Changes what a service runs, which starts a new deployment.
    pub(crate) async fn update(&self, id: &str, service: &Service<'_>) -> Result<Deployed, Error> {
        let path = format!("/v1/services/{}", segment(id));
        let change = json!({ "definition": service.definition() });
        let answer = self.send(Method::Put, &path, &[], Some(&change)).await?;
        self.good(&answer, "service")
    }

    /// The service's deployment with this mark, among the latest.
    pub(crate) async fn marked(&self, service: &str, mark: &str) -> Result<Option<String>, Error> {
        let query = [("service_id", service), ("limit", "10")];
        let deployments: Vec<Deployment> = self.list("/v1/deployments", &query, "deployments").await?;
        let has_mark = |deployment: &Deployment| {
            deployment.definition.env.iter().any(|variable| variable.key == MARK && variable.value == mark)
        };
        Ok(deployments.into_iter().find(has_mark).map(|deployment| deployment.id))
    }

    /// Whether this account runs, or recently ran, the deployment with this mark in the app with
    /// this name.
    pub(crate) async fn has(&self, name: &str, mark: &str) -> Result<bool, Error> {
        let Some(app) = self.find_app(name).await? else { return Ok(false) };
        let Some(service) = self.service(&app).await? else { return Ok(false) };
        Ok(self.marked(&service, mark).await?.is_some())
    }

    /// The state of a deployment.
    pub(crate) async fn state(&self, id: &str) -> Result<State, Error> {
        let path = format!("/v1/deployments/{}", segment(id));
        let answer = self.send(Method::Get, &path, &[], None).await?;
        if answer.status == 404 {
            return Ok(State::Failed {
                reason: "The deployment was deleted on Koyeb; deploy again".to_owned(),
            });
        }
        let deployment: Deployment = self.good(&answer, "deployment")?;
        Ok(self.state_of(&deployment))
    }

    /// The host name of an app. `None` until Koyeb has assigned one.
    pub(crate) async fn domain(&self, app: &str) -> Result<Option<String>, Error> {
        let path = format!("/v1/apps/{}", segment(app));
        let app: App = self.good(&self.send(Method::Get, &path, &[], None).await?, "app")?;
        Ok(app.domains.into_iter().next().map(|domain| domain.name))
    }

    /// A log of a deployment so far, oldest line first.
    pub(crate) async fn log(&self, deployment: &str, which: Log) -> Result<Vec<String>, Error> {
        let (kind, limit, order) = match which {
            Log::Build => ("build", LINES, "asc"),
            Log::Runtime => ("runtime", LAST_LINES, "desc"),
        };
        let query = [("type", kind), ("deployment_id", deployment), ("limit", limit), ("order", order)];
        let answer = self.send(Method::Get, "/v1/streams/logs/query", &query, None).await?;
        self.accepted(&answer)?;
        let entries: Entries = self.provider().read(&answer)?;
        let mut lines: Vec<String> = entries
            .data
            .iter()
            .map(|entry| self.provider().quote(&entry.msg))
            .filter(|line| !line.is_empty())
            .collect();
        if which == Log::Runtime {
            lines.reverse();
        }
        Ok(lines)
    }

    /// Deletes a service; a missing one is no error.
    pub(crate) async fn delete(&self, service: &str) -> Result<(), Error> {
        let path = format!("/v1/services/{}", segment(service));
        let answer = self.send(Method::Delete, &path, &[], None).await?;
        if answer.status == 404 { Ok(()) } else { self.accepted(&answer) }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<ApiResponse, Error> {
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        let query = encoded.extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let request = OutboundRequest::new(method, format!("{}{path}{mark}{query}", self.base_url))
            .with("authorization", format!("Bearer {}", self.token));
        let request = match body {
            Some(body) => request.carrying("application/json", body.to_string().into_bytes()),
            None => request,
        };
        self.provider().call(request).await
    }

    /// The member with this name in a successful response.
    fn good<T: DeserializeOwned>(&self, answer: &ApiResponse, member: &str) -> Result<T, Error> {
        self.accepted(answer)?;
        let mut body: Value = self.provider().read(answer)?;
        let member = body.get_mut(member).map(Value::take).unwrap_or_default();
        hatch_json::from_value(&member).map_err(|_| self.provider().senseless())
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        member: &str,
    ) -> Result<T, Error> {
        self.good(&self.send(Method::Get, path, query, None).await?, member)
    }

    fn accepted(&self, answer: &ApiResponse) -> Result<(), Error> {
        if answer.is_good() { Ok(()) } else { Err(self.refused(answer)) }
    }

    fn provider(&self) -> Provider<'_> {
        Provider { name: "Koyeb", secret: self.token, timeout_ms: self.timeout_ms }
    }

    fn refused(&self, answer: &ApiResponse) -> Error {
        let problem: Problem = answer.parsed().unwrap_or_default();
        let fields = problem.fields.iter().map(|field| format!("{}: {}", field.field, field.description));
        let words = std::iter::once(problem.message).chain(fields).filter(|words| !words.is_empty());
        let words = words.collect::<Vec<_>>().join("; ");
        match answer.status {
            401 => unauthorized(
                "Koyeb refused the token: make one at app.koyeb.com, Settings, API, for the organisation that shall run the app",
            ),
            403 => unauthorized(format!(
                "Koyeb does not let this token do that: {}",
                self.provider().quote(&words)
            )),
            402 => rejected("Koyeb wants this account to pay first: see app.koyeb.com, Billing"),
            _ => self.provider().error_for(answer, Some(&words)),
        }
    }

    fn state_of(&self, deployment: &Deployment) -> State {
        let words = self.provider().quote(&deployment.messages.join(" "));
        let because = |what: &str| match words.as_str() {
            "" => State::Failed { reason: format!("{what}; see its logs on app.koyeb.com") },
            words => State::Failed { reason: format!("{what}: {words}") },
        };
        match deployment.status.as_str() {
            "HEALTHY" | "SLEEPING" => State::Running,
            "ERROR" => because("Koyeb could not run it"),
            "UNHEALTHY" => because("It does not answer Koyeb's health checks"),
            "CANCELED" => because("It was cancelled on Koyeb"),
            "STOPPED" => because("It was stopped on Koyeb"),
            _ => State::Starting,
        }
    }
}

/// The error for an object that Koyeb says exists but does not show.
fn unseen(kind: &str, name: &str) -> Error {
    rejected(format!(
        "Koyeb has an {kind} called {name} that this token cannot see: use a token of its organisation"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KOYEB: Koyeb<'_> = Koyeb { base_url: "https://k", token: "t0ken", timeout_ms: 1 };

    fn state(status: &str, messages: &[&str]) -> State {
        let deployment = json!({ "id": "d", "status": status, "messages": messages });
        KOYEB.state_of(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn each_status_is_waited_for_or_final() {
        for status in ["HEALTHY", "SLEEPING"] {
            assert_eq!(state(status, &[]), State::Running, "{status}");
        }
        for status in ["ERROR", "CANCELED", "STOPPED", "UNHEALTHY"] {
            assert!(matches!(state(status, &[]), State::Failed { .. }), "{status}");
        }
        for status in [
            "PENDING",
            "PROVISIONING",
            "SCHEDULED",
            "CANCELING",
            "ALLOCATING",
            "STARTING",
            "DEGRADED",
            "STOPPING",
            "ERRORING",
            "STASHED",
            "NEW",
        ] {
            assert_eq!(state(status, &[]), State::Starting, "{status}");
        }
    }

    #[test]
    fn a_failure_has_its_reason_without_our_token() {
        let State::Failed { reason } = state("ERROR", &["Image not\nfound", "with t0ken"]) else { panic!() };
        assert_eq!(reason, "Koyeb could not run it: Image not found with [redacted]");
    }
}
