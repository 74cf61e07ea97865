//! SQL for deployments to clouds and for undeploying apps.

use serde::Deserialize;

use super::target::Target;
use crate::{
    clouds::{
        Container, CredentialSource,
        store::{App, app_json},
    },
    store::{Statement, sql},
    upstream::compiler::Packages,
};

/// What a deployment's job needs besides the code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) user_id: String,
    pub(super) target: Target,
    pub(super) name: String,
    pub(super) place: Option<String>,
    pub(super) source: Option<CredentialSource>,
    pub(super) sealed: Option<String>,
    pub(super) container: Option<Container>,
    /// Whether packages are bundled into the app.
    pub(super) is_bundled: bool,
    pub(super) remote: Option<String>,
    pub(super) pushed_at: Option<i64>,
    /// Whether no older job of the project is still working at the same cloud.
    pub(super) is_next: bool,
    /// Whether no newer deployment went live in its place first.
    pub(super) is_youngest: bool,
    pub(super) is_live: bool,
}

impl Task {
    pub(super) fn packages(&self) -> Packages {
        if self.is_bundled { Packages::Bundled } else { Packages::FromCdn }
    }
}

/// Whether no older job of the same app than `$job` is unfinished.
macro_rules! is_next {
    ($project:literal, $cloud:literal, $job:literal) => {
        concat!(
            "NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.state = 'queued' AND j.rowid < (SELECT rowid FROM jobs WHERE id = ",
            $job,
            ") AND (
                 (j.kind = 'deploy' AND j.subject_id IN (SELECT id FROM deployments WHERE project_id = ",
            $project,
            " AND target = ",
            $cloud,
            "))
                 OR (j.kind = 'take-down' AND j.subject_id IN (SELECT id FROM cloud_apps WHERE project_id = ",
            $project,
            " AND cloud = ",
            $cloud,
            "))))"
        )
    };
}

/// The [`Task`] of the deployment `id`, whose job is `job`.
pub(super) fn task(id: &str, job: &str) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('id', d.id, 'projectId', d.project_id, 'userId', d.user_id, 'target', d.target,
               'name', d.slug, 'place', d.place, 'source', d.credential_source,
               'sealed', coalesce(d.credential_sealed, CASE d.credential_source WHEN 'stored' THEN (
                 SELECT sealed FROM cloud_credentials WHERE user_id = d.user_id AND cloud = d.target) END),
               'container', json(d.container), 'isBundled', json(iif(d.is_bundled, 'true', 'false')), 'remote', d.remote, 'pushedAt', d.pushed_at,
               'isNext', json(CASE WHEN d.target = 'edge' OR ",
            is_next!("d.project_id", "d.target", "?2"),
            " THEN 'true' ELSE 'false' END),
               'isYoungest', json(CASE WHEN coalesce(a.deployment_id, d.id) = d.id THEN 'true' ELSE 'false' END),
               'isLive', json(CASE WHEN a.is_live THEN 'true' ELSE 'false' END)
             ) AS json
             FROM deployments d LEFT JOIN cloud_apps a
               ON a.project_id = d.project_id AND a.cloud = d.target AND a.place = d.place
             WHERE d.id = ?1"
        ),
        id,
        job
    )
}

/// Records that an app exists at the deployment's cloud from now on. Of two deployments the newer
/// one wins.
pub(super) fn claim_app(app: &str, deployment: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO cloud_apps (id, project_id, user_id, cloud, place, source, name, deployment_id, created_at, updated_at)
         SELECT ?1, project_id, user_id, target, place, credential_source, slug, id, ?3, ?3 FROM deployments WHERE id = ?2
         ON CONFLICT (project_id, cloud, place) DO UPDATE SET
           source = excluded.source, deployment_id = excluded.deployment_id, updated_at = excluded.updated_at
         WHERE coalesce((SELECT rowid FROM deployments WHERE id = cloud_apps.deployment_id), 0)
            <= (SELECT rowid FROM deployments WHERE id = excluded.deployment_id)",
        app,
        deployment,
        now
    )
}

/// Stores the cloud's id of the deployment, and the time of the first complete upload.
pub(super) fn keep_remote(id: &str, remote: Option<&str>, now: i64) -> [Statement; 2] {
    [
        sql!(
            "UPDATE deployments SET remote = coalesce(?2, remote), pushed_at = coalesce(pushed_at, ?3),
               status = 'deploying', updated_at = ?3 WHERE id = ?1 AND status NOT IN ('live', 'failed')",
            id,
            remote,
            now
        ),
        sql!(
            "UPDATE cloud_apps SET remote = coalesce(?2, remote), updated_at = ?3 WHERE deployment_id = ?1",
            id,
            remote,
            now
        ),
    ]
}

/// Makes a deployment to a cloud live, and its project too.
pub(super) fn go_live(id: &str, url: Option<&str>, now: i64) -> [Statement; 3] {
    [
        sql!(
            "UPDATE cloud_apps SET url = ?2, is_live = 1, updated_at = ?3 WHERE deployment_id = ?1",
            id,
            url,
            now
        ),
        sql!(
            "UPDATE projects SET status = 'deployed', deployment_url = coalesce(?2, deployment_url),
               revision = revision + 1, updated_at = ?3
             WHERE id = (SELECT project_id FROM deployments WHERE id = ?1)",
            id,
            url,
            now
        ),
        sql!(
            "UPDATE deployments SET status = 'live', url = ?2, credential_sealed = NULL, updated_at = ?3 WHERE id = ?1",
            id,
            url,
            now
        ),
    ]
}

/// Appends a line to a job's log unless it is there already.
pub(super) fn log_once(job: &str, message: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT id, (SELECT coalesce(max(seq), 0) + 1 FROM job_logs WHERE job_id = ?1), 'info', ?2, ?3 FROM jobs
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job_logs WHERE job_id = ?1 AND message = ?2)",
        job,
        message,
        now
    )
}

/// The app that an undeploy job removes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UndeployTask {
    pub(super) app: App,
    pub(super) project_id: String,
    pub(super) user_id: String,
    pub(super) remote: Option<String>,
    /// The source of the credentials for the removal.
    pub(super) source: Option<CredentialSource>,
    pub(super) sealed: Option<String>,
    /// As in [`Task`].
    pub(super) is_next: bool,
}

/// The app that the job `job` removes.
pub(super) fn undeploy_task(app: &str, job: &str) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('app', ",
            app_json!(),
            ", 'projectId', project_id, 'userId', user_id, 'remote', remote, 'source', credential_source,
               'sealed', coalesce(credential_sealed, CASE credential_source WHEN 'stored' THEN (
                 SELECT sealed FROM cloud_credentials c WHERE c.user_id = a.user_id AND c.cloud = a.cloud) END),
               'isNext', json(CASE WHEN ",
            is_next!("a.project_id", "a.cloud", "?2"),
            " THEN 'true' ELSE 'false' END)) AS json FROM cloud_apps a WHERE id = ?1"
        ),
        app,
        job
    )
}

/// A failed job needs no credentials any more.
pub(super) fn forget_app_credentials(app: &str) -> Statement {
    sql!("UPDATE cloud_apps SET credential_sealed = NULL WHERE id = ?1", app)
}

/// Removes the row of an app that is undeployed.
pub(super) fn remove_app(app: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            "UPDATE deployments SET url = NULL, taken_down_at = ?2, updated_at = ?2
             WHERE status = 'live' AND taken_down_at IS NULL AND (project_id, target, place) = (
               SELECT project_id, cloud, place FROM cloud_apps WHERE id = ?1)",
            app,
            now
        ),
        sql!("DELETE FROM cloud_apps WHERE id = ?1", app),
    ]
}

/// Removes the app of an edge deployment from this Worker.
pub(super) fn unpublish(id: &str, user: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            "UPDATE deployments SET url = NULL, taken_down_at = ?3, updated_at = ?3
             WHERE user_id = ?2 AND status = 'live' AND taken_down_at IS NULL AND target = 'edge' AND project_id = (
               SELECT project_id FROM sites WHERE deployment_id = ?1 AND user_id = ?2)",
            id,
            user,
            now
        ),
        sql!("DELETE FROM sites WHERE deployment_id = ?1 AND user_id = ?2", id, user),
    ]
}

/// Updates a project's status after one of its apps was undeployed: still live at another target,
/// or a draft again.
pub(super) fn refresh_project_status(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE projects SET revision = revision + 1, updated_at = ?2,
           status = CASE WHEN EXISTS (SELECT 1 FROM sites WHERE project_id = ?1)
             OR EXISTS (SELECT 1 FROM cloud_apps WHERE project_id = ?1 AND is_live) THEN 'deployed' ELSE 'draft' END,
           deployment_url = coalesce(
             (SELECT url FROM cloud_apps WHERE project_id = ?1 AND is_live ORDER BY updated_at DESC LIMIT 1),
             (SELECT url FROM sites WHERE project_id = ?1))
         WHERE id = ?1",
        id,
        now
    )
}

/// Appends a line to the log of the deployment that an app shows.
pub(super) fn log_of_app(app: &str, level: &str, message: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT j.id, (SELECT coalesce(max(seq), 0) + 1 FROM job_logs WHERE job_id = j.id), ?2, ?3, ?4
         FROM jobs j WHERE j.kind = 'deploy' AND j.subject_id = (SELECT deployment_id FROM cloud_apps WHERE id = ?1)",
        app,
        level,
        message,
        now
    )
}

/// A deployment's relation to what is live at its target.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    pub(super) project_id: String,
    pub(super) target: Target,
    pub(super) status: String,
    pub(super) is_down: bool,
    /// Whether this Worker serves it.
    pub(super) is_on_edge: bool,
}

pub(super) fn place(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('projectId', project_id, 'target', target, 'status', status,
           'isDown', json(CASE WHEN taken_down_at IS NULL THEN 'false' ELSE 'true' END),
           'isOnEdge', json(CASE WHEN EXISTS (SELECT 1 FROM sites WHERE deployment_id = d.id)
             THEN 'true' ELSE 'false' END)) AS json
         FROM deployments d WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// The app of a deployment at its cloud; none when a newer deployment is live in its place. A
/// failed deployment may have left an app where nothing else is live.
pub(super) fn app(id: &str, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            app_json!(),
            " AS json FROM deployments d
               JOIN cloud_apps a ON a.project_id = d.project_id AND a.cloud = d.target AND a.place = d.place
             WHERE d.id = ?1 AND d.user_id = ?2 AND (d.status = 'live' OR NOT a.is_live) AND NOT EXISTS (
               SELECT 1 FROM deployments y WHERE y.project_id = d.project_id AND y.target = d.target
                 AND y.place = d.place AND y.status = 'live' AND y.taken_down_at IS NULL AND y.rowid > d.rowid)"
        ),
        id,
        user
    )
}
