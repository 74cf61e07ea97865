//! SQL of credentials and of the apps at clouds.

use constcat::concat;
use serde::Deserialize;

use super::{
    Cloud,
    resolved::{ResolvedCredentials, Source},
};
#[cfg(test)]
use crate::openapi::Time;
use crate::store::{
    Statement, guard,
    owned::{Owned, give, released},
    page::{Page, page},
    projects::rfc3339,
    shape::shape,
    sql,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["cloud_credentials", "cloud_apps"],
    export: &[("credentials", exported)],
    // What becomes of the apps is decided by whoever deletes the account.
    delete: |user| vec![sql!("DELETE FROM cloud_credentials WHERE user_id = ?1", user)],
    give: |from, to| {
        vec![
            // A job opens credentials that are sealed to the user who sent them.
            guard!(
                "SELECT 1 WHERE NOT EXISTS (
                   SELECT 1 FROM cloud_apps a JOIN jobs j ON j.kind = 'take-down' AND j.subject_id = a.id
                   WHERE a.user_id = ?1 AND a.credential_sealed IS NOT NULL AND j.state = 'queued')",
                from
            ),
            give!("cloud_apps", from, to),
            // Sealed to who stored them, and so nobody's any more.
            sql!(concat!("DELETE FROM cloud_credentials WHERE user_id = ", released!()), from),
        ]
    },
};

pub(super) fn sealed(user: &str, cloud: Cloud) -> Statement {
    sql!(
        "SELECT json_quote(sealed) AS json FROM cloud_credentials WHERE user_id = ?1 AND cloud = ?2",
        user,
        cloud.name
    )
}

shape! {
    /// Of credentials that are stored: all but the secret.
    pub(crate) struct StoredCredentials, CREDENTIALS_JSON {
        /// A cloud, or a provider of models.
        target: &'static str = "cloud", "cloudflare";
        /// Cloudflare's account id, Vercel's team.
        account: Option<&'static str> = "account", Some("0123456789abcdef0123456789abcdef");
        /// The end of the token.
        hint: &'static str = "hint", "…wXyZ";
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        updatedAt: Time = rfc3339!("updated_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

/// Keeps a user's credentials, in place of those before them. Answers with
/// what is shown of them.
pub(crate) fn keep(
    user: &str,
    target: &str,
    sealed: &str,
    account: Option<&str>,
    hint: &str,
    now: i64,
) -> Statement {
    sql!(
        concat!(
            "INSERT INTO cloud_credentials (user_id, cloud, sealed, account, hint, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (user_id, cloud) DO UPDATE SET sealed = excluded.sealed, account = excluded.account,
               hint = excluded.hint, updated_at = excluded.updated_at RETURNING ",
            CREDENTIALS_JSON,
            " AS json"
        ),
        user,
        target,
        sealed,
        account,
        hint,
        now
    )
}

pub(crate) fn kept(user: &str, target: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            CREDENTIALS_JSON,
            " AS json FROM cloud_credentials WHERE user_id = ?1 AND cloud = ?2"
        ),
        user,
        target
    )
}

/// All of a user's, as one list.
pub(crate) fn all_kept(user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT json_group_array(json(shown)) AS json FROM (SELECT ",
            CREDENTIALS_JSON,
            " AS shown FROM cloud_credentials WHERE user_id = ?1 ORDER BY cloud)"
        ),
        user
    )
}

pub(crate) fn forget(user: &str, target: &str) -> Statement {
    sql!("DELETE FROM cloud_credentials WHERE user_id = ?1 AND cloud = ?2", user, target)
}

/// All of a user's, each with its target and what is sealed.
pub(crate) fn all_sealed(user: &str) -> Statement {
    sql!(
        "SELECT json_object('target', cloud, 'sealed', sealed) AS json FROM cloud_credentials WHERE user_id = ?1",
        user
    )
}

shape! {
    /// That credentials are stored, and what for.
    pub(crate) struct ExportedCredentials, EXPORTED_JSON {
        target: &'static str = "cloud", "cloudflare";
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

fn exported(user: &str, page: &Page) -> Statement {
    let (at, target) = page.bound();
    sql!(
        page!(
            rows: "FROM cloud_credentials WHERE user_id = ?1 AND (created_at, cloud) < (?2, ?3) ORDER BY created_at DESC, cloud DESC",
            key: "created_at || '.' || cloud",
            json: EXPORTED_JSON,
            bytes: "0"
        ),
        user,
        at,
        target,
        page.limit
    )
}

/// An app that is, or may be, at a cloud.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) cloud: Cloud,
    /// [`ResolvedCredentials::place`] of whoever brought it there.
    pub(crate) place: String,
    /// By which it came there. None for one from before that was kept.
    pub(crate) source: Option<Source>,
    /// What it is called there.
    pub(crate) name: String,
    /// The youngest that was brought there; the cloud has it as a mark.
    pub(crate) deployment_id: String,
    /// Whether it is live there, as far as we know.
    pub(crate) is_live: bool,
    /// Whether a deployment is at work on it.
    pub(crate) is_busy: bool,
}

/// An [`App`] of the row `a`.
macro_rules! app_json {
    () => {
        "json_object('id', a.id, 'cloud', a.cloud, 'place', a.place, 'source', a.source, 'name', a.name, \
         'deploymentId', a.deployment_id, \
         'isLive', json(CASE WHEN a.is_live THEN 'true' ELSE 'false' END), \
         'isBusy', json(CASE WHEN EXISTS (SELECT 1 FROM jobs j WHERE j.kind = 'deploy' AND j.state = 'queued' \
           AND j.subject_id = a.deployment_id) THEN 'true' ELSE 'false' END))"
    };
}
pub(crate) use app_json;

pub(crate) fn apps_of_project(id: &str, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            app_json!(),
            " AS json FROM cloud_apps a WHERE a.project_id = ?1 AND a.user_id = ?2"
        ),
        id,
        user
    )
}

pub(crate) fn apps_of_user(user: &str) -> Statement {
    sql!(concat!("SELECT ", app_json!(), " AS json FROM cloud_apps a WHERE a.user_id = ?1"), user)
}

/// Forgets an app that nobody will take down.
pub(crate) fn forget_app(id: &str) -> Statement {
    sql!("DELETE FROM cloud_apps WHERE id = ?1", id)
}

/// Notes by what right an app is taken down.
pub(crate) fn will_be_taken_down(
    id: &str,
    right: &ResolvedCredentials,
    sealed: Option<&str>,
    now: i64,
) -> Statement {
    sql!(
        "UPDATE cloud_apps SET credential_source = ?2, credential_sealed = ?3, updated_at = ?4 WHERE id = ?1",
        id,
        right.source.name(),
        sealed,
        now
    )
}
