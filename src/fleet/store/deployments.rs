//! Deployments: what the machines of the fleet should run.

use constcat::concat;
use serde::Deserialize;

use super::owner::{is_theirs, of_user};
#[cfg(test)]
use crate::{
    fleet::row::Wallet,
    openapi::{Count, Time},
};
use crate::{
    fleet::status::Status,
    store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql},
};

shape! {
    /// A deployment on the fleet.
    pub(in crate::fleet) struct FleetDeployment, DEPLOYMENT_JSON {
        id: Count = "id", Count(1);
        name: &'static str = "name", "my-app";
        /// The name again, in the field that dashboards read.
        appName: &'static str = "name", "my-app";
        /// The address: under `FLEET_DOMAIN`, unless its deployer set another one.
        url: &'static str = "url", "http://my-app.localhost";
        port: u16 = "port", 3000;
        branch: &'static str = "branch", "main";
        status: Status = "status", Status::Pending;
        /// The repository's URL, in one form however it was sent.
        github: &'static str = "github", "https://github.com/owner/repository";
        /// The same as `owner/name`: the part after https://github.com/.
        githubRepo: &'static str = "substr(github, 20)", "owner/repository";
        replicas: u8 = "replicas", 1;
        creator: Wallet = "creator", Wallet::EXAMPLE;
        errorMessage: Option<&'static str> = "error", None;
        /// The values are encrypted, and only deployers see them.
        envVarNames: Vec<&'static str> = "json(env_names)", vec!["API_KEY"];
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        updatedAt: Time = rfc3339!("updated_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

/// The values of a new deployment.
#[derive(Debug)]
pub(in crate::fleet) struct NewDeployment<'a> {
    pub(in crate::fleet) name: &'a str,
    pub(in crate::fleet) url: &'a str,
    pub(in crate::fleet) user: &'a str,
    pub(in crate::fleet) creator: &'a str,
    pub(in crate::fleet) port: u32,
    pub(in crate::fleet) branch: &'a str,
    pub(in crate::fleet) github: &'a str,
    pub(in crate::fleet) replicas: u32,
    /// JSON: a list of names.
    pub(in crate::fleet) env_names: &'a str,
    pub(in crate::fleet) env_sealed: Option<&'a str>,
}

/// Creates a deployment and returns it; no row when the name is taken.
pub(in crate::fleet) fn create(new: &NewDeployment<'_>, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO fleet_deployments
               (name, user_id, creator, port, branch, github, replicas, env_names, env_sealed, created_at, updated_at, url)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11) ON CONFLICT (name) DO NOTHING RETURNING ",
            DEPLOYMENT_JSON,
            " AS json"
        ),
        new.name,
        new.user,
        new.creator,
        new.port,
        new.branch,
        new.github,
        new.replicas,
        new.env_names,
        new.env_sealed,
        now,
        new.url
    )
}

macro_rules! deployments_page {
    ($rows:expr) => {
        page!(
            rows: concat!("FROM ", $rows, " WHERE (?5 IS NULL OR creator = ?5) AND (?6 IS NULL OR status = ?6)
                   AND (created_at, name) < (?2, ?3) ORDER BY created_at DESC, name DESC"),
            key: "created_at || '.' || name",
            json: DEPLOYMENT_JSON,
            bytes: "0"
        )
    };
}

/// A page of the deployments of `user`, or of all deployments.
pub(in crate::fleet) fn list(
    user: Option<&str>,
    creator: Option<&str>,
    status: Option<Status>,
    page: &Page,
) -> Statement {
    let (key, name) = page.bound();
    let mut list = sql!(
        deployments_page!(of_user!("fleet_deployments")),
        user,
        key,
        name,
        page.limit,
        creator,
        status.map(Status::name)
    );
    if user.is_none() {
        list.sql = deployments_page!("(SELECT * FROM fleet_deployments WHERE ?1 IS NULL)");
    }
    list
}

pub(in crate::fleet) fn show(name: &str, user: Option<&str>) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            DEPLOYMENT_JSON,
            " AS json FROM fleet_deployments WHERE name = ?1 AND ",
            is_theirs!()
        ),
        name,
        user
    )
}

/// Changes the status to `status` if that follows the present one, and returns
/// the deployment.
pub(in crate::fleet) fn set_status(
    name: &str,
    user: Option<&str>,
    status: Status,
    url: Option<&str>,
    error: Option<&str>,
    now: i64,
) -> Statement {
    sql!(
        concat!(
            "UPDATE fleet_deployments SET status = ?3, url = coalesce(?5, url), error = ?6, updated_at = ?7
             WHERE name = ?1 AND status = ?4 AND ",
            is_theirs!(),
            " RETURNING ",
            DEPLOYMENT_JSON,
            " AS json"
        ),
        name,
        user,
        status.name(),
        status.follows().name(),
        url,
        error,
        now
    )
}

pub(in crate::fleet) fn set_env(
    name: &str,
    user: Option<&str>,
    env_names: &str,
    env_sealed: Option<&str>,
    port: Option<u32>,
    now: i64,
) -> Statement {
    sql!(
        concat!(
            "UPDATE fleet_deployments SET env_names = ?3, env_sealed = ?4, port = coalesce(?5, port), updated_at = ?6
             WHERE name = ?1 AND ",
            is_theirs!(),
            " RETURNING ",
            DEPLOYMENT_JSON,
            " AS json"
        ),
        name,
        user,
        env_names,
        env_sealed,
        port,
        now
    )
}

pub(in crate::fleet) fn set_replicas(name: &str, user: Option<&str>, replicas: u32, now: i64) -> Statement {
    sql!(
        concat!(
            "UPDATE fleet_deployments SET replicas = ?3, updated_at = ?4
             WHERE name = ?1 AND ",
            is_theirs!(),
            " RETURNING ",
            DEPLOYMENT_JSON,
            " AS json"
        ),
        name,
        user,
        replicas,
        now
    )
}

pub(in crate::fleet) fn delete(name: &str, user: Option<&str>) -> Statement {
    sql!(
        concat!(
            "DELETE FROM fleet_deployments WHERE name = ?1 AND ",
            is_theirs!(),
            " RETURNING json_object('name', name) AS json"
        ),
        name,
        user
    )
}

/// The encrypted variables of a deployment.
#[derive(Debug, Deserialize)]
pub(in crate::fleet) struct Sealed {
    pub(in crate::fleet) sealed: Option<String>,
}

pub(in crate::fleet) fn sealed_env(name: &str, user: Option<&str>) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('sealed', env_sealed) AS json FROM fleet_deployments WHERE name = ?1 AND ",
            is_theirs!()
        ),
        name,
        user
    )
}
