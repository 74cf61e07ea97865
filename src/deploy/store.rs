//! SQL of the deploy room.

use serde::Deserialize;

use super::{container::Container, targets::Target};
use crate::{
    clouds::{Cloud, Source, store::app_json},
    store::{Statement, projects::rfc3339, sql},
};

/// What a deployment is made from.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) code: Option<String>,
    /// Of its deployments, if there are any: a site never moves, whatever the
    /// project is called later.
    pub(super) slug: Option<String>,
}

/// A new deployment.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) target: Target,
    pub(super) slug: String,
    pub(super) url: String,
    pub(super) cloud: Option<AtCloud>,
    /// A [`Container`] as JSON.
    pub(super) container: Option<String>,
}

/// What a deployment to a cloud is made by.
#[derive(Debug)]
pub(super) struct AtCloud {
    pub(super) place: String,
    pub(super) source: Source,
    /// Of the request's headers.
    pub(super) sealed: Option<String>,
}

pub(super) fn project(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('name', name, 'code', code,
           'slug', (SELECT slug FROM deployments WHERE project_id = projects.id LIMIT 1)) AS json
         FROM projects WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// Answers with a row if there is such a project.
pub(super) fn create(deployment: &Deployment, code: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO deployments (id, project_id, user_id, target, code, slug, site_url,
           place, credential_source, credential_sealed, container, created_at, updated_at)
         SELECT ?1, id, user_id, ?8, ?4, ?5, ?6, ?9, ?10, ?11, ?12, ?7, ?7 FROM projects WHERE id = ?2 AND user_id = ?3
         RETURNING json_object('id', id) AS json",
        deployment.id.as_str(), deployment.project_id.as_str(), deployment.user.as_str(), code,
        deployment.slug.as_str(), deployment.url.as_str(), now, deployment.target.name(),
        deployment.cloud.as_ref().map(|cloud| cloud.place.as_str()),
        deployment.cloud.as_ref().map(|cloud| cloud.source.name()),
        deployment.cloud.as_ref().and_then(|cloud| cloud.sealed.as_deref()),
        deployment.container.as_deref()
    )
}

/// An earlier deployment, to be deployed again: what [`project`] tells, with
/// that deployment's code, and where it went.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Earlier {
    pub(super) project_id: String,
    pub(super) target: Target,
    pub(super) slug: String,
    pub(super) code: String,
    pub(super) container: Option<Container>,
}

pub(super) fn earlier(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('projectId', project_id, 'target', target, 'slug', slug, 'code', code,
           'container', json(container)) AS json FROM deployments WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

pub(super) fn exists(id: &str, user: &str) -> Statement {
    sql!("SELECT json_object('id', id) AS json FROM deployments WHERE id = ?1 AND user_id = ?2", id, user)
}

/// Makes the code that was sent with the deployment the project's own.
pub(super) fn adopt_code(deployment: &Deployment, code: &str, now: i64) -> Statement {
    sql!(
        "UPDATE projects SET code = ?3, version = version + 1, revision = revision + 1, updated_at = ?4
         WHERE id = ?1 AND user_id = ?2 AND code IS NOT ?3",
        deployment.project_id.as_str(),
        deployment.user.as_str(),
        code,
        now
    )
}

/// `overdue job\nstatus\n{deployment}`
pub(super) fn show(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT coalesce((SELECT o.job_id FROM outbox o WHERE o.job_id = j.id AND o.send_at <= ?3), '')
               || char(10) || d.status || char(10) || json_object(
                 'id', d.id, 'projectId', d.project_id, 'target', d.target, 'status', d.status, 'url', d.url,
                 'takenDownAt', ",
            rfc3339!("d.taken_down_at"),
            ", 'logs', coalesce((
                   SELECT group_concat(line, char(10)) FROM (
                     SELECT ",
            rfc3339!("created_at"),
            " || ' ' || message AS line
                     FROM job_logs WHERE job_id = j.id ORDER BY seq
                   )
                 ), ''),
                 'error', j.error,
                 'createdAt', ",
            rfc3339!("d.created_at"),
            ", 'updatedAt', ",
            rfc3339!("d.updated_at"),
            ") AS json
             FROM deployments d JOIN jobs j ON j.kind = 'deploy' AND j.subject_id = d.id
             WHERE d.id = ?1 AND d.user_id = ?2"
        ),
        id,
        user,
        now
    )
}

/// How it stands, with the log lines after `seen`.
pub(super) fn standing(id: &str, user: &str, seen: i64, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_object(
               'status', json_object('status', d.status, 'url', d.url, 'error', j.error),
               'ended', json(iif(d.status IN ('live', 'failed'), 'true', 'false')),
               'overdueJob', (SELECT o.job_id FROM outbox o WHERE o.job_id = j.id AND o.send_at <= ?4),
               'logs', (
                 SELECT json_group_array(json(line)) FROM (
                   SELECT json_object('seq', seq, 'level', level, 'message', message,
                     'timestamp', ",
            rfc3339!("created_at"),
            ") AS line
                   FROM job_logs WHERE job_id = j.id AND seq > ?3 ORDER BY seq
                 )
               )) AS json
             FROM deployments d JOIN jobs j ON j.kind = 'deploy' AND j.subject_id = d.id
             WHERE d.id = ?1 AND d.user_id = ?2"
        ),
        id,
        user,
        seen,
        now
    )
}

/// The code as it is, not wrapped.
pub(super) fn code(id: &str) -> Statement {
    sql!("SELECT code AS json FROM deployments WHERE id = ?1", id)
}

/// What a deployment's job needs to know beside the code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) user_id: String,
    pub(super) target: Target,
    pub(super) name: String,
    pub(super) place: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) sealed: Option<String>,
    pub(super) container: Option<Container>,
    pub(super) remote: Option<String>,
    pub(super) pushed_at: Option<i64>,
    /// Whether nothing older of the project is still under way to its cloud.
    pub(super) is_next: bool,
    /// Whether no younger deployment has come to its place before it.
    pub(super) is_youngest: bool,
    pub(super) is_live: bool,
}

/// Whether no job `$job` of the same app, older than it, is still to be done.
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
               'container', json(d.container), 'remote', d.remote, 'pushedAt', d.pushed_at,
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

/// Notes that something will be at the deployment's cloud from now on. Of two
/// deployments the younger one stays.
pub(super) fn claim_app(app: &str, deployment: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO cloud_apps (id, project_id, user_id, cloud, place, name, deployment_id, created_at, updated_at)
         SELECT ?1, project_id, user_id, target, place, slug, id, ?3, ?3 FROM deployments WHERE id = ?2
         ON CONFLICT (project_id, cloud, place) DO UPDATE SET
           deployment_id = excluded.deployment_id, updated_at = excluded.updated_at
         WHERE coalesce((SELECT rowid FROM deployments WHERE id = cloud_apps.deployment_id), 0)
            <= (SELECT rowid FROM deployments WHERE id = excluded.deployment_id)",
        app,
        deployment,
        now
    )
}

/// Keeps what the cloud calls the deployment, and when it first had all of it.
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

/// Makes a deployment to a cloud live, and its project with it.
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

/// A line of a job's log that is there once at most.
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

/// Tells that somebody works on it now. The only change outside of a commit,
/// so it never takes back what a commit has said.
pub(super) fn begin(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE deployments SET status = 'building', updated_at = ?2 WHERE id = ?1 AND status = 'pending'",
        id,
        now
    )
}

/// Moves on; a deployment that has ended stays as it is. One that fails needs
/// no credentials any more.
pub(super) fn set_status(id: &str, status: &str, now: i64) -> Statement {
    sql!(
        "UPDATE deployments SET status = ?2, updated_at = ?3,
           credential_sealed = CASE WHEN ?2 = 'failed' THEN NULL ELSE credential_sealed END
         WHERE id = ?1 AND status NOT IN ('live', 'failed')",
        id,
        status,
        now
    )
}

pub(super) fn reopen(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE deployments SET status = 'pending', updated_at = ?2 WHERE id = ?1 AND status = 'failed'",
        id,
        now
    )
}

/// Puts the files up and makes the deployment live, all at once. Of two
/// deployments of a project the younger one stays, whichever ends first.
pub(super) fn publish(id: &str, files: &str, now: i64) -> [Statement; 5] {
    [
        sql!(
            "INSERT INTO sites (slug, project_id, user_id, deployment_id, name, description, url, created_at, updated_at)
             SELECT d.slug, p.id, p.user_id, d.id, p.name, p.description, d.site_url, ?2, ?2
             FROM deployments d JOIN projects p ON p.id = d.project_id WHERE d.id = ?1
             ON CONFLICT (project_id) DO UPDATE SET
               deployment_id = excluded.deployment_id, name = excluded.name, description = excluded.description,
               url = excluded.url, updated_at = excluded.updated_at
             WHERE (SELECT rowid FROM deployments WHERE id = sites.deployment_id)
                <= (SELECT rowid FROM deployments WHERE id = excluded.deployment_id)",
            id, now
        ),
        sql!(
            "DELETE FROM site_files WHERE slug IN (SELECT slug FROM sites WHERE deployment_id = ?1)",
            id
        ),
        sql!(
            "INSERT INTO site_files (slug, path, content, etag)
             SELECT s.slug, f.value ->> 'path', f.value ->> 'content', f.value ->> 'etag'
             FROM sites s, json_each(?2) f WHERE s.deployment_id = ?1",
            id, files
        ),
        sql!(
            "UPDATE projects SET status = 'deployed', revision = revision + 1, updated_at = ?2,
               deployment_url = (SELECT url FROM sites WHERE deployment_id = ?1)
             WHERE id = (SELECT project_id FROM sites WHERE deployment_id = ?1)",
            id, now
        ),
        sql!("UPDATE deployments SET status = 'live', url = site_url, updated_at = ?2 WHERE id = ?1", id, now),
    ]
}

pub(super) fn log_live(job: &str, id: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT ?1, (SELECT coalesce(max(seq), 0) + 1 FROM job_logs WHERE job_id = ?1), 'success',
           'Live at ' || site_url, ?3 FROM deployments WHERE id = ?2",
        job,
        id,
        now
    )
}

/// An app that is to be taken down, as its job needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Doomed {
    pub(super) project_id: String,
    pub(super) user_id: String,
    pub(super) cloud: Cloud,
    pub(super) name: String,
    pub(super) remote: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) sealed: Option<String>,
    pub(super) is_live: bool,
    /// As of a [`Task`].
    pub(super) is_next: bool,
}

/// The app of a job `job`.
pub(super) fn doomed(app: &str, job: &str) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('projectId', project_id, 'userId', user_id, 'cloud', cloud, 'name', name,
               'remote', remote, 'source', credential_source,
               'sealed', coalesce(credential_sealed, CASE credential_source WHEN 'stored' THEN (
                 SELECT sealed FROM cloud_credentials c WHERE c.user_id = a.user_id AND c.cloud = a.cloud) END),
               'isLive', json(CASE WHEN is_live THEN 'true' ELSE 'false' END),
               'isNext', json(CASE WHEN ",
            is_next!("a.project_id", "a.cloud", "?2"),
            " THEN 'true' ELSE 'false' END)) AS json FROM cloud_apps a WHERE id = ?1"
        ),
        app,
        job
    )
}

/// A job that has failed needs no credentials any more.
pub(super) fn forget_app_credentials(app: &str) -> Statement {
    sql!("UPDATE cloud_apps SET credential_sealed = NULL WHERE id = ?1", app)
}

/// Forgets an app that is down.
pub(super) fn is_down(app: &str, now: i64) -> [Statement; 2] {
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

/// Takes the app of an edge deployment off this Worker.
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

/// After something of a project was taken down: it is live where else it is,
/// or a draft again.
pub(super) fn settle_project(id: &str, now: i64) -> Statement {
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

/// A line of the log of the deployment that an app shows.
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

/// How a deployment stands towards what is live at its target.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    pub(super) project_id: String,
    pub(super) target: Target,
    pub(super) status: String,
    pub(super) is_down: bool,
    /// Whether this Worker shows it.
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

/// The app that a deployment has at its cloud: none when a younger one is
/// live in its place. What a failed one left there is an app where nothing
/// else is live.
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

/// The file of a site for a path: the file itself, the index of the folder,
/// or, when the path is a page of the app's own routing, the app.
pub(super) fn file(slug: &str, path: &str, index: &str, is_page: bool) -> Statement {
    sql!(
        "SELECT json_object('path', path, 'content', content, 'etag', etag) AS json FROM site_files
         WHERE slug = ?1 AND (path IN (?2, ?3) OR (?4 AND path = 'index.html'))
         ORDER BY CASE path WHEN ?2 THEN 0 WHEN ?3 THEN 1 ELSE 2 END LIMIT 1",
        slug,
        path,
        index,
        i64::from(is_page)
    )
}

pub(super) fn count_visit(slug: &str) -> Statement {
    sql!("UPDATE sites SET visits = visits + 1 WHERE slug = ?1", slug)
}
