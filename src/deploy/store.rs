//! SQL of the deploy module.

use constcat::concat;
use serde::Deserialize;

use super::target::Target;
#[cfg(test)]
use crate::openapi::{Id, Time, Url};
use crate::{
    clouds::{Container, deployment::New},
    store::{
        Statement, guard, newest_of_user,
        owned::{Owned, give},
        page,
        page::Page,
        projects::rfc3339,
        shape::shape,
        sql,
    },
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["deployments", "sites"],
    export: &[("deployments", deployments_of_user)],
    in_files: &[],
    delete: |_| Vec::new(),
    // A running job decrypts credentials that are sealed to the user who sent them.
    give: |from, to| {
        vec![
            guard!(
                "SELECT 1 WHERE NOT EXISTS (
                   SELECT 1 FROM deployments d JOIN jobs j ON j.kind = 'deploy' AND j.subject_id = d.id
                   WHERE d.user_id = ?1 AND d.credential_sealed IS NOT NULL AND j.state = 'queued')",
                from
            ),
            give!("deployments", from, to),
            give!("sites", from, to),
        ]
    },
};

/// What a deployment is built from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) code: Option<String>,
    /// The slug of its earlier deployments, if any: a site never moves, even if the project is
    /// renamed.
    pub(super) slug: Option<String>,
    /// Whether it is a startup that is still being generated.
    pub(super) is_processing: bool,
}

pub(super) fn project(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('name', name, 'code', code,
           'slug', (SELECT slug FROM deployments WHERE project_id = projects.id LIMIT 1),
           'isProcessing', json(iif(EXISTS (SELECT 1 FROM startups
             WHERE id = projects.id AND status = 'processing'), 'true', 'false'))) AS json
         FROM projects WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// An earlier deployment that is to be repeated: its code, slug and target.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Earlier {
    pub(super) project_id: String,
    pub(super) target: Target,
    pub(super) slug: String,
    pub(super) code: String,
    pub(super) container: Option<Container>,
    pub(super) is_bundled: bool,
}

pub(super) fn earlier(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('projectId', project_id, 'target', target, 'slug', slug, 'code', code,
           'container', json(container), 'isBundled', json(iif(is_bundled, 'true', 'false'))) AS json
         FROM deployments WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// The target of a deployment, if the id exists.
pub(super) fn target(id: &str, user: &str) -> Statement {
    sql!("SELECT json_quote(target) AS json FROM deployments WHERE id = ?1 AND user_id = ?2", id, user)
}

/// Makes the code that came with the deployment the project's own.
pub(super) fn adopt_code(deployment: &New, code: &str, now: i64) -> Statement {
    sql!(
        "UPDATE projects SET code = ?3, version = version + 1, revision = revision + 1, updated_at = ?4
         WHERE id = ?1 AND user_id = ?2 AND code IS NOT ?3",
        deployment.project_id.as_str(),
        deployment.user.as_str(),
        code,
        now
    )
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(crate) enum Status {
    Pending,
    Building,
    Deploying,
    Live,
    Failed,
}

shape! {
    // The row `d` and its job `j`.
    /// A deployment.
    #[schemars(rename = "Deployment")]
    pub(super) struct DeploymentView, DEPLOYMENT_JSON {
        id: Id = "d.id", Id("c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47");
        projectId: Id = "d.project_id", crate::store::projects::Project::ID;
        target: Target = "d.target", Target::Edge;
        status: Status = "d.status", Status::Live;
        /// The URL of the app; null before it is live and after it was taken down.
        url: Option<Url> = "d.url", Some(Url("http://pomodoro-1f3a9c04.localhost:8787/"));
        takenDownAt: Option<Time> = rfc3339!("d.taken_down_at"), None;
        /// One line per step, with its time.
        logs: &'static str = concat!(
            "coalesce((SELECT group_concat(line, char(10)) FROM (SELECT ", rfc3339!("created_at"),
            " || ' ' || message AS line FROM job_logs WHERE job_id = j.id ORDER BY seq)), '')"
        ), "2026-11-21T09:32:00.120Z Building 3 files";
        /// Why it failed.
        error: Option<&'static str> = "j.error", None;
        createdAt: Time = rfc3339!("d.created_at"), Time("2026-11-21T09:32:00.000Z");
        updatedAt: Time = rfc3339!("d.updated_at"), Time("2026-11-21T09:32:01.000Z");
    }
}

shape! {
    /// A deployment in an export.
    pub(crate) struct ExportedDeployment, EXPORTED_DEPLOYMENT_JSON {
        id: Id = "id", Id("c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47");
        projectId: Id = "project_id", crate::store::projects::Project::ID;
        target: Target = "target", Target::Edge;
        status: Status = "status", Status::Live;
        /// The URL of the app; null before it is live and after it was taken down.
        url: Option<Url> = "url", Some(Url("http://pomodoro-1f3a9c04.localhost:8787/"));
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:32:00.000Z");
    }
}

shape! {
    /// A deployment in a project's list.
    pub(super) struct DeploymentSummary, DEPLOYMENT_SUMMARY_JSON {
        id: Id = "id", Id("c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47");
        projectId: Id = "project_id", crate::store::projects::Project::ID;
        target: Target = "target", Target::Edge;
        status: Status = "status", Status::Live;
        /// The URL of the app; null before it is live and after it was taken down.
        url: Option<Url> = "url", Some(Url("http://pomodoro-1f3a9c04.localhost:8787/"));
        takenDownAt: Option<Time> = rfc3339!("taken_down_at"), None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:32:00.000Z");
        updatedAt: Time = rfc3339!("updated_at"), Time("2026-11-21T09:32:01.000Z");
    }
}

/// The deployments of a project, newest first.
pub(super) fn of_project(project: &str, user: &str, page: &Page) -> Statement {
    let (time, id) = page.bound();
    sql!(
        page!(
            rows: "FROM deployments WHERE project_id = ?1 AND user_id = ?5 AND (created_at, id) < (?2, ?3)
                   ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: DEPLOYMENT_SUMMARY_JSON,
            bytes: "0"
        ),
        project,
        time,
        id,
        page.limit,
        user
    )
}

fn deployments_of_user(user: &str, page: &Page) -> Statement {
    newest_of_user!(table: "deployments", json: EXPORTED_DEPLOYMENT_JSON, bytes: "0", user, page)
}

/// `overdue job\nstatus\n{deployment}`
pub(super) fn show(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT coalesce((SELECT o.job_id FROM outbox o WHERE o.job_id = j.id AND o.send_at <= ?3), '')
               || char(10) || d.status || char(10) || ",
            DEPLOYMENT_JSON,
            " AS json
             FROM deployments d JOIN jobs j ON j.kind = 'deploy' AND j.subject_id = d.id
             WHERE d.id = ?1 AND d.user_id = ?2"
        ),
        id,
        user,
        now
    )
}

/// The status, with the log lines after `seen`.
pub(super) fn snapshot(id: &str, user: &str, seen: i64, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_object(
               'status', json_object('id', d.id, 'status', d.status, 'url', d.url, 'error', j.error,
                 'message', iif(d.status = 'failed', coalesce(j.error, 'Deployment failed'), 'Deployment ' || d.status)),
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

/// The code as it is, without JSON around it.
pub(super) fn code(id: &str) -> Statement {
    sql!("SELECT code AS json FROM deployments WHERE id = ?1", id)
}

/// Marks a deployment as running. This is the only write outside of a job's commit, so it never
/// reverts a committed status.
pub(super) fn begin(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE deployments SET status = 'building', updated_at = ?2 WHERE id = ?1 AND status = 'pending'",
        id,
        now
    )
}

/// Changes the status, unless the deployment has ended. A failed deployment needs no credentials
/// any more.
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

/// Restarts a failed deployment; what it left at its cloud is found again there.
pub(super) fn reopen(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE deployments SET status = 'pending', remote = NULL, pushed_at = NULL, updated_at = ?2
         WHERE id = ?1 AND status = 'failed'",
        id,
        now
    )
}

/// Publishes the files and makes the deployment live in one batch. Of two deployments of a project
/// the newer one wins, whichever finishes first.
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

/// The first of these files that the site has.
pub(super) fn file(slug: &str, files: [Option<&str>; 3]) -> Statement {
    let [first, second, third] = files;
    sql!(
        "SELECT json_object('path', path, 'content', content, 'etag', etag) AS json FROM site_files
         WHERE slug = ?1 AND path IN (?2, ?3, ?4)
         ORDER BY CASE path WHEN ?2 THEN 0 WHEN ?3 THEN 1 ELSE 2 END LIMIT 1",
        slug,
        first,
        second,
        third
    )
}

pub(super) fn count_visit(slug: &str) -> Statement {
    sql!("UPDATE sites SET visits = visits + 1 WHERE slug = ?1", slug)
}

/// A preview to write.
#[derive(Debug)]
pub(super) struct Preview<'a> {
    pub(super) slug: &'a str,
    pub(super) project_id: &'a str,
    pub(super) version: i64,
    pub(super) origin: &'a str,
    pub(super) expires_at: i64,
}

/// A project with its preview. An expired preview counts as none, and its address is not used
/// again.
pub(super) fn previewed(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT json_object('code', p.code, 'version', p.version, 'slug', v.slug, 'shown', v.version,
           'isProcessing', json(iif(EXISTS (SELECT 1 FROM startups
             WHERE id = p.id AND status = 'processing'), 'true', 'false'))) AS json
         FROM projects p LEFT JOIN previews v ON v.project_id = p.id AND v.expires_at > ?3
         WHERE p.id = ?1 AND p.user_id = ?2",
        id,
        user,
        now
    )
}

/// Extends a preview, and updates the console that receives its errors.
pub(super) fn renew_preview(preview: &Preview<'_>) -> Statement {
    sql!(
        "UPDATE previews SET expires_at = ?2, console_origin = ?3 WHERE slug = ?1
         RETURNING json_quote(slug) AS json",
        preview.slug,
        preview.expires_at,
        preview.origin
    )
}

/// Publishes the files of a version and returns the slug. A project has one preview: when two are
/// made at once, the newer version wins and keeps the first one's slug.
pub(super) fn put_preview(preview: &Preview<'_>, files: &str, now: i64) -> [Statement; 5] {
    [
        sql!("DELETE FROM previews WHERE project_id = ?1 AND expires_at <= ?2", preview.project_id, now),
        sql!(
            "INSERT INTO previews (slug, project_id, version, console_origin, expires_at)
             SELECT ?1, id, ?3, ?4, ?5 FROM projects WHERE id = ?2
             ON CONFLICT (project_id) DO UPDATE SET version = excluded.version,
               console_origin = excluded.console_origin, expires_at = excluded.expires_at
             WHERE excluded.version >= previews.version",
            preview.slug,
            preview.project_id,
            preview.version,
            preview.origin,
            preview.expires_at
        ),
        sql!(
            "DELETE FROM preview_files WHERE slug IN (SELECT slug FROM previews WHERE project_id = ?1 AND version = ?2)",
            preview.project_id,
            preview.version
        ),
        sql!(
            "INSERT INTO preview_files (slug, path, content, etag)
             SELECT v.slug, f.value ->> 'path', f.value ->> 'content', f.value ->> 'etag'
             FROM previews v, json_each(?3) f WHERE v.project_id = ?1 AND v.version = ?2",
            preview.project_id,
            preview.version,
            files
        ),
        sql!("SELECT json_quote(slug) AS json FROM previews WHERE project_id = ?1", preview.project_id),
    ]
}

/// As [`file`] for a preview, with the console that receives its page's errors.
pub(super) fn preview_file(slug: &str, files: [Option<&str>; 3], now: i64) -> Statement {
    let [first, second, third] = files;
    sql!(
        "SELECT json_object('path', f.path, 'content', f.content, 'etag', f.etag, 'console', v.console_origin) AS json
         FROM previews v JOIN preview_files f ON f.slug = v.slug
         WHERE v.slug = ?1 AND v.expires_at > ?5 AND f.path IN (?2, ?3, ?4)
         ORDER BY CASE f.path WHEN ?2 THEN 0 WHEN ?3 THEN 1 ELSE 2 END LIMIT 1",
        slug,
        first,
        second,
        third,
        now
    )
}

pub(super) fn purge_previews(now: i64) -> Statement {
    sql!("DELETE FROM previews WHERE expires_at <= ?1", now)
}
