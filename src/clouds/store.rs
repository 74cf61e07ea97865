//! SQL for credentials and for the apps at clouds.

use constcat::concat;
use serde::Deserialize;

use super::{
    Cloud,
    resolved::{CredentialSource, ResolvedCredentials},
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
    in_files: &[],
    // The code that deletes an account decides about its apps.
    delete: |user| vec![sql!("DELETE FROM cloud_credentials WHERE user_id = ?1", user)],
    give: |from, to| {
        vec![
            // A running job decrypts credentials that are sealed to the user who sent them.
            guard!(
                "SELECT 1 WHERE NOT EXISTS (
                   SELECT 1 FROM cloud_apps a JOIN jobs j ON j.kind = 'take-down' AND j.subject_id = a.id
                   WHERE a.user_id = ?1 AND a.credential_sealed IS NOT NULL AND j.state = 'queued')",
                from
            ),
            give!("cloud_apps", from, to),
            // They are sealed to the user who stored them, so the new owner cannot use them.
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
    /// Stored credentials without the secret.
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

/// Stores a user's credentials, replacing earlier ones. Returns what the API shows of them.
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

pub(crate) fn find_credentials(user: &str, target: &str) -> Statement {
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

/// All of a user's stored credentials, as one list.
pub(crate) fn list_credentials(user: &str) -> Statement {
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

/// Selects all of a user's stored credentials as one list: each target with its sealed text.
macro_rules! sealed_list {
    ($user:expr) => {
        concat!(
            "SELECT json_group_array(json_object('target', cloud, 'sealed', sealed)) AS json
             FROM cloud_credentials WHERE user_id = ",
            $user
        )
    };
}
pub(crate) use sealed_list;

/// All of a user's stored credentials, as one list.
pub(crate) fn all_sealed(user: &str) -> Statement {
    sql!(sealed_list!("?1"), user)
}

shape! {
    /// The fact that credentials are stored, and for which target.
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
    /// The [`ResolvedCredentials::place`] of the credentials that deployed it.
    pub(crate) place: String,
    /// The source of those credentials. `None` for old rows without it.
    pub(crate) source: Option<CredentialSource>,
    /// The app's name at the cloud.
    pub(crate) name: String,
    /// The newest deployment that was pushed; the cloud has it as a mark.
    pub(crate) deployment_id: String,
    /// Whether it is live there, as far as we know.
    pub(crate) is_live: bool,
    /// Whether a deployment of it is running.
    pub(crate) is_busy: bool,
}

/// An [`App`] from the row `a`.
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

/// Removes the row of an app that no job will undeploy.
pub(crate) fn forget_app(id: &str) -> Statement {
    sql!("DELETE FROM cloud_apps WHERE id = ?1", id)
}

/// Records the credentials with which an app is undeployed.
pub(crate) fn mark_for_removal(
    id: &str,
    resolved: &ResolvedCredentials,
    sealed: Option<&str>,
    now: i64,
) -> Statement {
    sql!(
        "UPDATE cloud_apps SET credential_source = ?2, credential_sealed = ?3, updated_at = ?4 WHERE id = ?1",
        id,
        resolved.source.name(),
        sealed,
        now
    )
}
