//! What a cloud gets to know of an app, and what it answers.

use serde::{Serialize, de::DeserializeOwned};

use super::{container::Container, resolved::ResolvedCredentials};
use crate::{error::Error, settings::Settings};

/// An app, as a cloud gets to know it.
#[derive(Debug)]
pub(crate) struct AppSpec<'a> {
    pub(crate) project_id: &'a str,
    /// None when it is taken down after its project is gone.
    pub(crate) deployment_id: Option<&'a str>,
    /// Of the project and never another's: what the app is called at the cloud.
    pub(crate) name: &'a str,
    pub(crate) credentials: &'a ResolvedCredentials,
    /// None where its files are all there is to say.
    pub(crate) container: Option<&'a Container>,
    /// What `push` or `poll` answered with last.
    pub(crate) remote: Option<&'a str>,
    /// Whether the app has been live in this very place before.
    pub(crate) is_live: bool,
    pub(crate) settings: &'a Settings,
}

impl AppSpec<'_> {
    /// By which a deployment is known again at its cloud.
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

/// What a target knows of a deployment, for [`Report::remote`].
pub(super) fn kept(remote: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(remote).map_err(|e| Error::Internal(e.to_string()))
}

/// What [`kept`] made of it.
pub(super) fn read_kept<T: DeserializeOwned>(spec: &AppSpec<'_>) -> Result<T, Error> {
    let remote = spec.remote.and_then(|remote| serde_json::from_str(remote).ok());
    remote.ok_or_else(|| Error::Internal("a target does not know its deployment".to_owned()))
}

/// The pause until a build is asked after again: short at first, for many are
/// done in seconds.
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

/// What a cloud made of a deployment.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// New lines since the last report.
    pub(crate) lines: Vec<Line>,
    /// What the next `poll` and `take_down` need to know; JSON of the target's own.
    pub(crate) remote: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Ask again after `after_ms`.
    Going { after_ms: i64 },
    /// None where nobody but its owner knows the address.
    Live { url: Option<String> },
    /// For the owner.
    Failed { reason: String },
}

#[cfg(test)]
mod tests {
    use super::pause_ms;

    #[test]
    fn a_build_is_asked_after_ever_more_rarely() {
        assert_eq!([0, 5_000, 30_000, 60_000, 600_000].map(pause_ms), [1_000, 1_000, 3_000, 6_000, 10_000]);
    }
}
