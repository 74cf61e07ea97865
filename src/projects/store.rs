//! SQL of the projects module.

use constcat::concat;
use serde_json::Value;

use crate::store::{
    Statement, newest_of_user,
    owned::{Owned, give},
    page,
    page::Page,
    projects::{PROJECT_CHANGES, PROJECT_JSON, insert_project, rfc3339},
    shape::shape,
    sql,
};
#[cfg(test)]
use crate::{
    openapi::{Count, Id, Time},
    store::projects::Project,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["projects"],
    export: &[("projects", list), ("versions", versions_of_user)],
    in_files: &[],
    delete: |user| vec![sql!("DELETE FROM projects WHERE user_id = ?1", user)],
    give: |from, to| vec![give!("projects", from, to)],
};

/// Selects `revision\n{project}`: the ETag, and the project as it is passed on.
const REVISION_AND_PROJECT: &str = concat!("revision || char(10) || ", PROJECT_JSON, " AS json");

/// Creates the project and returns it. Also returns the one that an earlier
/// request with the same `Idempotency-Key`, and so the same id, created.
pub(super) fn create(id: &str, user: &str, set: &Value, code: Option<&str>, now: i64) -> Statement {
    sql!(insert_project!(REVISION_AND_PROJECT), id, user, set.to_string(), code, now)
}

pub(super) fn list(user: &str, page: &Page) -> Statement {
    newest_of_user!(
        table: "projects",
        json: PROJECT_JSON,
        bytes: "length(CAST(coalesce(code, '') || coalesce(description, '') AS BLOB)) + 400",
        user,
        page
    )
}

pub(super) fn show(id: &str, user: &str) -> Statement {
    sql!(concat!("SELECT ", REVISION_AND_PROJECT, " FROM projects WHERE id = ?1 AND user_id = ?2"), id, user)
}

/// The changes of a PATCH; a field that is none stays.
#[derive(Debug)]
pub(super) struct Change {
    /// The object that the client sent, without the code.
    pub(super) set: Value,
    pub(super) code: Option<String>,
    /// Changes the row only if it still has this revision.
    pub(super) revision: Option<i64>,
}

/// The version counts changes of the code, the revision counts all changes.
pub(super) fn update(id: &str, user: &str, change: Change, now: i64) -> Statement {
    sql!(
        concat!(
            "UPDATE projects SET ",
            PROJECT_CHANGES,
            "version = version + (?4 IS NOT NULL AND ?4 IS NOT code),
               code = coalesce(?4, code),
               revision = revision + 1,
               updated_at = ?5
             WHERE id = ?1 AND user_id = ?2 AND (?6 IS NULL OR revision = ?6) RETURNING ",
            REVISION_AND_PROJECT
        ),
        id,
        user,
        change.set.to_string(),
        change.code,
        now,
        change.revision
    )
}

/// Deletes a startup that has no project yet, and its job.
pub(super) fn delete_unbuilt(id: &str, user: &str) -> [Statement; 2] {
    [
        sql!(
            "DELETE FROM jobs WHERE kind = 'generate' AND subject_id = ?1 AND user_id = ?2
               AND NOT EXISTS (SELECT 1 FROM projects WHERE id = ?1)",
            id,
            user
        ),
        sql!(
            "DELETE FROM startups WHERE id = ?1 AND user_id = ?2 AND NOT EXISTS (SELECT 1 FROM projects WHERE id = ?1)
             RETURNING json_object('id', id) AS json",
            id,
            user
        ),
    ]
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(crate) enum Origin {
    Create,
    Update,
    Chat,
    Rollback,
    Remix,
    Deploy,
    Generate,
    Agent,
    Pull,
}

shape! {
    /// A version in the list of versions.
    pub(super) struct Version, VERSION_JSON {
        version: Count = "version", Count(1);
        origin: Origin = "origin", Origin::Chat;
        /// The chat's answer that made this version.
        messageId: Option<Id> = "message_id", Some(Id("5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50"));
        /// The number of files.
        files: Count = "(SELECT count(*) FROM json_each(code))", Count(3);
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

pub(super) fn versions(id: &str, user: &str, page: &Page) -> Statement {
    let (key, _) = page.bound();
    sql!(
        page!(
            rows: "FROM project_versions WHERE project_id = ?1 AND version < ?3
                   AND EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND user_id = ?2) ORDER BY version DESC",
            key: "version || '.'",
            json: VERSION_JSON,
            bytes: "0"
        ),
        id,
        user,
        key,
        page.limit
    )
}

shape! {
    /// A version with its code.
    pub(super) struct VersionWithCode, VERSION_WITH_CODE_JSON {
        version: Count = "version", Count(1);
        origin: Origin = "origin", Origin::Chat;
        /// The chat's answer that made this version.
        messageId: Option<Id> = "message_id", Some(Id("5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50"));
        /// JSON: the map of path to content.
        #[schemars(extend("contentMediaType" = "application/json"))]
        code: &'static str = "code", r#"{"index.html":"<!doctype html><title>Pomodoro</title>"}"#;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

pub(super) fn version(id: &str, user: &str, version: i64) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            VERSION_WITH_CODE_JSON,
            " AS json FROM project_versions WHERE project_id = ?1 AND version = ?3
               AND EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND user_id = ?2)"
        ),
        id,
        user,
        version
    )
}

shape! {
    /// A version in the owner's export.
    pub(crate) struct ExportedVersion, EXPORTED_VERSION_JSON {
        projectId: Id = "project_id", Project::ID;
        version: Count = "version", Count(1);
        origin: Origin = "origin", Origin::Chat;
        /// JSON: the map of path to content.
        #[schemars(extend("contentMediaType" = "application/json"))]
        code: &'static str = "code", r#"{"index.html":"<!doctype html><title>Pomodoro</title>"}"#;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

/// The versions of all projects of a user, in the order of the table's index:
/// by version, not by time.
fn versions_of_user(user: &str, page: &Page) -> Statement {
    let (version, project) = page.bound();
    sql!(
        page!(
            rows: "FROM project_versions WHERE project_id IN (SELECT id FROM projects WHERE user_id = ?1)
                   AND (version, project_id) < (?2, ?3) ORDER BY version DESC, project_id DESC",
            key: "version || '.' || project_id",
            json: EXPORTED_VERSION_JSON,
            bytes: "length(CAST(code AS BLOB))"
        ),
        user,
        version,
        project,
        page.limit
    )
}

/// Selects the project if its newest version is a rollback to the code of `version`.
pub(super) fn rolled_back(id: &str, user: &str, version: i64) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            REVISION_AND_PROJECT,
            " FROM projects WHERE id = ?1 AND user_id = ?2
               AND code = (SELECT code FROM project_versions WHERE project_id = ?1 AND version = ?3)
               AND EXISTS (SELECT 1 FROM project_versions v
                           WHERE v.project_id = ?1 AND v.version = projects.version AND origin = 'rollback')"
        ),
        id,
        user,
        version
    )
}

/// Makes the code of `version` the newest version.
pub(super) fn roll_back(id: &str, user: &str, version: i64, now: i64) -> Statement {
    sql!(
        concat!(
            "UPDATE projects SET
               code = (SELECT code FROM project_versions WHERE project_id = ?1 AND version = ?3),
               version = version + 1, revision = revision + 1, updated_at = ?4
             WHERE id = ?1 AND user_id = ?2
               AND EXISTS (SELECT 1 FROM project_versions WHERE project_id = ?1 AND version = ?3)
             RETURNING ",
            REVISION_AND_PROJECT
        ),
        id,
        user,
        version,
        now
    )
}
