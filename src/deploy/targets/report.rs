//! What a cloud is told of an app, and what it tells.

use serde::{Serialize, de::DeserializeOwned};

use crate::{clouds::Right, deploy::container::Container, error::Error, settings::Settings};

/// An app, as a cloud is told of it.
#[derive(Debug)]
pub(in crate::deploy) struct Order<'a> {
    pub(in crate::deploy) project_id: &'a str,
    /// None when it is taken down after its project is gone.
    pub(in crate::deploy) deployment_id: Option<&'a str>,
    /// Of the project and never another's: what the app is called at the cloud.
    pub(in crate::deploy) name: &'a str,
    pub(in crate::deploy) right: &'a Right,
    /// None where its files are all there is to say.
    pub(in crate::deploy) container: Option<&'a Container>,
    /// What `push` or `poll` answered with last.
    pub(in crate::deploy) remote: Option<&'a str>,
    /// Whether the app has been live in this very place before.
    pub(in crate::deploy) is_live: bool,
    pub(in crate::deploy) settings: &'a Settings,
}

impl Order<'_> {
    /// By which a deployment is known again at its cloud.
    pub(super) fn mark(&self) -> Result<&str, Error> {
        self.deployment_id.ok_or_else(|| Error::Internal("an app is pushed without a deployment".to_owned()))
    }
}

/// What a target knows of a deployment, for [`Report::remote`].
pub(super) fn kept(remote: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(remote).map_err(|e| Error::Internal(e.to_string()))
}

/// What [`kept`] made of it.
pub(super) fn read_kept<T: DeserializeOwned>(order: &Order<'_>) -> Result<T, Error> {
    let remote = order.remote.and_then(|remote| serde_json::from_str(remote).ok());
    remote.ok_or_else(|| Error::Internal("a target does not know its deployment".to_owned()))
}

/// The pause until a build is asked after again: short at first, for many are
/// done in seconds.
pub(super) fn pause_ms(since_ms: i64) -> i64 {
    (since_ms / 10).clamp(1_000, 10_000)
}

/// A line for the deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::deploy) struct Line {
    /// `info` or `error`.
    pub(in crate::deploy) level: &'static str,
    pub(in crate::deploy) message: String,
}

impl Line {
    pub(in crate::deploy) fn info(message: impl Into<String>) -> Self {
        Self { level: "info", message: message.into() }
    }
}

/// What a cloud made of a deployment.
#[derive(Debug)]
pub(in crate::deploy) struct Report {
    pub(in crate::deploy) state: State,
    /// New lines since the last report.
    pub(in crate::deploy) lines: Vec<Line>,
    /// What the next `poll` and `take_down` need to know; JSON of the target's own.
    pub(in crate::deploy) remote: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::deploy) enum State {
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
