//! The files of an app, and the repository that has them too.

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    store::{Statement, guard, sql},
};

/// An app's files and its owner, for a request with a signed URL.
pub(in crate::apps) fn files(app: &str) -> Statement {
    sql!(
        "SELECT json_object('userId', a.user_id, 'name', a.app_name, 'code', p.code, 'version', p.version) AS json
         FROM apps a JOIN projects p ON p.id = a.id WHERE a.id = ?1",
        app
    )
}

/// The code of a version.
pub(in crate::apps) fn version(app: &str, version: i64) -> Statement {
    sql!("SELECT code AS json FROM project_versions WHERE project_id = ?1 AND version = ?2", app, version)
}

/// Guards that the project still has this version.
pub(in crate::apps) fn is_still(app: &str, version: i64) -> Statement {
    guard!("SELECT 1 FROM projects WHERE id = ?1 AND version = ?2", app, version)
}

/// An app's repository, and its last commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(in crate::apps) struct Repository {
    pub(in crate::apps) owner: String,
    pub(in crate::apps) name: String,
    pub(in crate::apps) url: String,
    pub(in crate::apps) branch: String,
    /// The last commit that was made or pulled. None before the first one.
    pub(in crate::apps) sha: Option<String>,
    /// The project's version in that commit.
    pub(in crate::apps) version: Option<i64>,
}

/// Sets an app's repository.
pub(in crate::apps) fn set_repository(app: &str, repository: &Repository) -> Result<Statement, Error> {
    let json = serde_json::to_string(repository).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(sql!("UPDATE apps SET repository = ?2 WHERE id = ?1", app, json))
}

/// `{"repository", "code", "version"}` of an app.
pub(in crate::apps) fn known(app: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('repository', json(a.repository), 'code', p.code, 'version', p.version) AS json
         FROM apps a JOIN projects p ON p.id = a.id WHERE a.id = ?1 AND a.user_id = ?2",
        app,
        user
    )
}
