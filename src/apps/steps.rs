//! The steps of a turn's job, in their order.

/// The agent's next answer. Repeated until the agent has ended.
pub(super) const WORK: &str = "work";
/// Saves the work as a version.
pub(super) const SAVE: &str = "save";
/// Commits the version to the repository.
pub(super) const COMMIT: &str = "commit";
/// Begins a deployment.
pub(super) const DEPLOY: &str = "deploy";
/// Waits for the end of the deployment.
pub(super) const WATCH: &str = "watch";
