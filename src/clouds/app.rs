//! What a cloud needs to know about an app, and its reports.

use serde::{Serialize, de::DeserializeOwned};

use super::{container::Container, resolved::ResolvedCredentials};
use crate::{error::Error, settings::Settings};

/// An app, as it is described to a cloud.
#[derive(Debug)]
pub(crate) struct AppSpec<'a> {
    pub(crate) project_id: &'a str,
    /// `None` when the app is undeployed after its project was deleted.
    pub(crate) deployment_id: Option<&'a str>,
    /// The unique name of the project's app at the cloud.
    pub(crate) name: &'a str,
    pub(crate) credentials: &'a ResolvedCredentials,
    /// `None` when the app is only files.
    pub(crate) container: Option<&'a Container>,
    /// The `remote` of the last report.
    pub(crate) remote: Option<&'a str>,
    /// Whether the app was live in this place before.
    pub(crate) is_live: bool,
    pub(crate) settings: &'a Settings,
}

impl AppSpec<'_> {
    /// The mark by which a deployment is recognized at its cloud.
    pub(super) fn mark(&self) -> Result<&str, Error> {
        self.deployment_id.ok_or_else(|| Error::Internal("an app is pushed without a deployment".to_owned()))
    }
}

/// A file of an app.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) path: &'a str,
    pub(crate) content: &'a str,
}

/// Serializes what a cloud's module stores about a deployment, for [`Report::remote`].
pub(super) fn to_remote(remote: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(remote).map_err(|e| Error::Internal(e.to_string()))
}

/// Deserializes what [`to_remote`] wrote.
pub(super) fn parse_remote<T: DeserializeOwned>(spec: &AppSpec<'_>) -> Result<T, Error> {
    let remote = spec.remote.and_then(|remote| hatch_json::from_str(remote).ok());
    remote.ok_or_else(|| Error::Internal("a cloud's data about a deployment is missing".to_owned()))
}

/// The pause until the next poll: short at first, because many builds take seconds.
pub(super) fn pause_ms(since_ms: i64) -> i64 {
    (since_ms / 10).clamp(1_000, 10_000)
}

/// A line for the deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// `info` or `error`.
    pub(crate) level: &'static str,
    pub(crate) message: String,
}

impl Line {
    pub(crate) fn info(message: impl Into<String>) -> Self {
        Self { level: "info", message: message.into() }
    }
}

/// The status of a deployment at its cloud.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// New lines since the last report.
    pub(crate) lines: Vec<Line>,
    /// What the next `poll` or `undeploy` needs to know, in the JSON format of the cloud's module.
    pub(crate) remote: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Poll again after `after_ms`.
    Going { after_ms: i64 },
    /// `None` when only the owner knows the address.
    Live { url: Option<String> },
    /// For the owner.
    Failed { reason: String },
}

#[cfg(test)]
mod tests {
    use super::pause_ms;

    #[test]
    fn the_pauses_between_polls_grow() {
        assert_eq!([0, 5_000, 30_000, 60_000, 600_000].map(pause_ms), [1_000, 1_000, 3_000, 6_000, 10_000]);
    }
}
