//! The steps of a turn's job, in their order.

/// The agent's next answer; again and again until it has ended.
pub(super) const WORK: &str = "work";
/// What it has made becomes a version.
pub(super) const SAVE: &str = "save";
/// The version goes to the repository.
pub(super) const COMMIT: &str = "commit";
/// A deployment is begun.
pub(super) const DEPLOY: &str = "deploy";
/// Its end is waited for.
pub(super) const WATCH: &str = "watch";
