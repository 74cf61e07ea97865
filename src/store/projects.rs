//! Projects and their code versions: the statements that several modules need. Every statement
//! takes the owner.

#[cfg(test)]
use schemars::JsonSchema;
#[cfg(test)]
use serde::Serialize;
use serde_json::Value;

use super::{Statement, guard, shape::shape, sql};
#[cfg(test)]
use crate::openapi::{Count, Id, Time, Url};

/// A time column as RFC 3339 with milliseconds.
macro_rules! rfc3339 {
    ($column:literal) => {
        concat!("strftime('%Y-%m-%dT%H:%M:%fZ', ", $column, " / 1000.0, 'unixepoch')")
    };
}
pub(crate) use rfc3339;

shape! {
    /// A project as the API shows it.
    pub(crate) struct Project, PROJECT_JSON, set(PROJECT_COLUMNS, PROJECT_VALUES, PROJECT_CHANGES) {
        id: Id = "id", Project::ID;
        /// The owner.
        userId: &'static str = "user_id", "local-developer";
    }
    set {
        name: &'static str = "name", "Pomodoro";
        description: Option<&'static str> = "description", Some("A timer with a tomato red look");
    }
    then {
        /// JSON: the newest version's map of path to content.
        #[schemars(extend("contentMediaType" = "application/json"))]
        code: Option<&'static str> = "code", Some(r#"{"index.html":"<!doctype html><title>Pomodoro</title>"}"#);
        status: Status = "status", Status::Draft;
        /// The URL of the live app.
        deploymentUrl: Option<Url> = "deployment_url", None;
        /// Counts the changes of the code; 0 without code.
        version: Count = "version", Count(1);
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:30:00.000Z");
        updatedAt: Time = rfc3339!("updated_at"), Time("2026-11-21T09:30:00.000Z");
    }
}

#[cfg(test)]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Status {
    Draft,
    #[expect(dead_code, reason = "a value of the schema that no example has")]
    Deployed,
}

#[cfg(test)]
impl Project {
    pub(crate) const ID: Id = Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");
}

/// Whether the user still exists: an account that is being deleted creates nothing more.
macro_rules! user_exists {
    ($user:literal) => {
        concat!("(", $user, " = 'local-developer' OR EXISTS (SELECT 1 FROM users WHERE id = ", $user, "))")
    };
}
pub(crate) use user_exists;

/// Creates a project; `?1` to `?5` are its id, its owner, the client's fields, code and the time.
/// Code makes its first version. Also returns the project that an earlier request with the same
/// `Idempotency-Key`, and therefore the same id, created.
macro_rules! insert_project {
    ($($returning:expr),+) => {
        constcat::concat!(
            "INSERT INTO projects (id, user_id, code, version, created_at, updated_at",
            $crate::store::projects::PROJECT_COLUMNS,
            ") SELECT ?1, ?2, ?4, ?4 IS NOT NULL, ?5, ?5",
            $crate::store::projects::PROJECT_VALUES,
            " WHERE ",
            $crate::store::projects::user_exists!("?2"),
            " ON CONFLICT (id) DO UPDATE SET id = excluded.id
             WHERE user_id = excluded.user_id RETURNING ",
            $($returning),+
        )
    };
}
pub(crate) use insert_project;

/// Creates an empty project unless the id exists. Returns `{"id"}` if it created one.
pub(crate) fn begin(id: &str, user: &str, name: String, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO projects (id, user_id, name, created_at, updated_at)
             SELECT ?1, ?2, ?3, ?4, ?4 WHERE ",
            user_exists!("?2"),
            " ON CONFLICT (id) DO NOTHING RETURNING json_object('id', id) AS json"
        ),
        id,
        user,
        name,
        now
    )
}

/// A new project with the fields of `set`, and its first version if there is code. Also returns the
/// project that an earlier request with the same `Idempotency-Key`, and therefore the same id,
/// created.
pub(crate) fn create(id: &str, user: &str, set: &Value, code: Option<&str>, now: i64) -> [Statement; 2] {
    [
        sql!(insert_project!(PROJECT_JSON, " AS json"), id, user, set.to_string(), code, now),
        record_version(id, user, "remix", None),
    ]
}

/// Stores the project's current code as a version, unless it is one already. Belongs right after
/// the statement that changed the code.
pub(crate) fn record_version(id: &str, user: &str, origin: &str, message_id: Option<&str>) -> Statement {
    sql!(
        "INSERT INTO project_versions (project_id, version, code, origin, message_id, created_at)
         SELECT id, version, code, ?3, ?4, updated_at FROM projects
         WHERE id = ?1 AND user_id = ?2 AND code IS NOT NULL
         ON CONFLICT DO NOTHING",
        id,
        user,
        origin,
        message_id
    )
}

/// Replaces the code if it is still at `version`. Returns the new `{"version"}`, or nothing when
/// another write came first.
pub(crate) fn replace_code(id: &str, user: &str, code: &str, version: i64, now: i64) -> Statement {
    sql!(
        "UPDATE projects SET code = ?3, version = version + 1, revision = revision + 1, updated_at = ?5
         WHERE id = ?1 AND user_id = ?2 AND version = ?4
         RETURNING json_object('version', version) AS json",
        id,
        user,
        code,
        version,
        now
    )
}

/// `{"code", "version", "name"}` of a project.
pub(crate) fn code(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('code', code, 'version', version, 'name', name) AS json
         FROM projects WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// Deletes the project; rows that refer to it go by `ON DELETE CASCADE`. Only if it has exactly
/// `apps` apps at clouds, because the caller must undeploy those.
pub(crate) fn delete(id: &str, user: &str, revision: Option<i64>, apps: i64) -> Statement {
    sql!(
        "DELETE FROM projects WHERE id = ?1 AND user_id = ?2 AND (?3 IS NULL OR revision = ?3)
           AND (SELECT count(*) FROM cloud_apps WHERE project_id = ?1) = ?4
         RETURNING json_object('id', id) AS json",
        id,
        user,
        revision,
        apps
    )
}

/// Deletes the jobs of a project, which refer to their subject by id alone: those of its
/// deployments and its agent, and the startup's job that creates it.
pub(crate) fn delete_jobs(id: &str, user: &str, revision: Option<i64>, apps: i64) -> Statement {
    sql!(
        "DELETE FROM jobs WHERE user_id = ?2
           AND (subject_id = ?1 OR subject_id IN (SELECT id FROM deployments WHERE project_id = ?1)
             OR subject_id IN (SELECT id FROM app_turns WHERE app_id = ?1))
           AND EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND user_id = ?2 AND (?3 IS NULL OR revision = ?3)
                         AND (SELECT count(*) FROM cloud_apps WHERE project_id = ?1) = ?4)",
        id,
        user,
        revision,
        apps
    )
}

/// Fails its batch unless [`delete`] would delete.
pub(crate) fn is_deletable(id: &str, user: &str, revision: Option<i64>, apps: i64) -> Statement {
    guard!(
        "SELECT 1 FROM projects WHERE id = ?1 AND user_id = ?2 AND (?3 IS NULL OR revision = ?3)
           AND (SELECT count(*) FROM cloud_apps WHERE project_id = ?1) = ?4",
        id,
        user,
        revision,
        apps
    )
}
