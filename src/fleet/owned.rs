//! The rows of the fleet that belong to a user, and their export, newest first.

#[cfg(test)]
use serde_json::{Map, Value};

use super::store::{deployments::DEPLOYMENT_JSON, payments::PAYMENT_JSON};
#[cfg(test)]
use super::{
    row::Wallet,
    store::{deployments::FleetDeployment, payments::Payment},
};
#[cfg(test)]
use crate::openapi::Time;
use crate::store::{
    Statement,
    owned::{Owned, give},
    page,
    page::Page,
    projects::rfc3339,
    shape::shape,
    sql,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["fleet_deployments", "payments"],
    export: &[
        ("fleetDeployments", deployments),
        ("machines", machines),
        ("uptime", uptime),
        ("payments", payments),
    ],
    in_files: &[],
    // A machine's uptime and the ledger of payments stay, but the machine can beat no more.
    delete: |user| {
        vec![
            sql!("DELETE FROM fleet_deployments WHERE user_id = ?1", user),
            sql!(
                "UPDATE workers SET token_hash = NULL, token_hint = NULL
                 WHERE wallet = (SELECT wallet_addr FROM users WHERE id = ?1)",
                user
            ),
        ]
    },
    give: |from, to| vec![give!("fleet_deployments", from, to), give!("payments", from, to)],
};

/// The lists of an export that are the fleet's.
#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportedFleet {
    fleet_deployments: Vec<FleetDeployment>,
    machines: Vec<ExportedMachine>,
    uptime: Vec<ExportedUptime>,
    payments: Vec<Payment>,
}

#[cfg(test)]
impl ExportedFleet {
    pub(crate) fn example() -> Self {
        Self {
            fleet_deployments: vec![FleetDeployment::example()],
            machines: vec![ExportedMachine::example()],
            uptime: vec![ExportedUptime::example()],
            payments: vec![Payment::example()],
        }
    }
}

/// The deployments that the user created, or another one created for their wallet.
fn deployments(user: &str, page: &Page) -> Statement {
    let (key, name) = page.bound();
    sql!(
        page!(
            rows: "FROM (SELECT * FROM fleet_deployments WHERE user_id = ?1
                     UNION ALL SELECT * FROM fleet_deployments
                     WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)
                   WHERE (created_at, name) < (?2, ?3) ORDER BY created_at DESC, name DESC",
            key: "created_at || '.' || name",
            // The values of variables are not exported, not even encrypted.
            json: DEPLOYMENT_JSON,
            bytes: "0"
        ),
        user,
        key,
        name,
        page.limit
    )
}

shape! {
    /// What a machine measured of itself.
    pub(crate) struct ExportedMetric, METRIC_JSON {
        timestamp: Time = rfc3339!("said_at"), Time("2026-11-21T12:00:00.000Z");
        cpuUsagePercent: Option<f64> = "cpu_usage_percent", None;
        ramUsedGb: Option<f64> = "ram_used_gb", None;
        ramTotalGb: Option<f64> = "ram_total_gb", None;
        containerCount: Option<u32> = "containers", None;
    }
}

shape! {
    /// A machine, as an export has it.
    pub(crate) struct ExportedMachine, MACHINE_JSON {
        walletAddress: Wallet = "wallet", Wallet::EXAMPLE;
        hostname: Option<&'static str> = "hostname", Some("atlas");
        tailscaleIp: Option<&'static str> = "tailscale_ip", None;
        system: Option<Map<String, Value>> = "json(system)", None;
        /// Those of its last beat, as it reported them.
        containers: Option<Vec<Map<String, Value>>> = "json(containers)", None;
        /// Of the last 24 hours.
        metrics: Vec<ExportedMetric> = "json(metrics)", vec![ExportedMetric::example()];
        /// When the period began that it has not closed yet.
        startTime: Option<Time> = rfc3339!("start_at"), None;
        endTime: Option<Time> = rfc3339!("end_at"), None;
        lastSeen: Option<Time> = rfc3339!("seen_at"), None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

/// The machine of the user's wallet in its last state.
fn machines(user: &str, page: &Page) -> Statement {
    let (key, wallet) = page.bound();
    sql!(
        page!(
            rows: constcat::concat!(
                "FROM (SELECT w.wallet, w.created_at, x.start_at, x.end_at, x.seen_at, x.hostname, x.tailscale_ip, x.system,
                   x.containers, (SELECT json_group_array(",
                METRIC_JSON,
                ") FROM worker_metrics WHERE wallet = w.wallet) AS metrics
                   FROM workers w LEFT JOIN worker_windows x ON x.wallet = w.wallet
                   WHERE w.wallet = (SELECT wallet_addr FROM users WHERE id = ?1))
                 WHERE (created_at, wallet) < (?2, ?3) ORDER BY created_at DESC, wallet DESC"
            ),
            key: "created_at || '.' || wallet",
            json: MACHINE_JSON,
            bytes: "0"
        ),
        user,
        key,
        wallet,
        page.limit
    )
}

shape! {
    /// A closed period in which a machine ran.
    pub(crate) struct ExportedUptime, UPTIME_JSON {
        walletAddress: Wallet = "wallet", Wallet::EXAMPLE;
        timeFrom: Time = rfc3339!("time_from"), Time("2026-11-21T12:00:00.000Z");
        timeTo: Time = rfc3339!("time_to"), Time("2026-11-21T18:00:00.000Z");
    }
}

/// The recorded uptime of that machine.
fn uptime(user: &str, page: &Page) -> Statement {
    let (key, wallet) = page.bound();
    sql!(
        page!(
            rows: "FROM worker_uptime_records WHERE wallet = (SELECT wallet_addr FROM users WHERE id = ?1)
                   AND (time_from, wallet) < (?2, ?3) ORDER BY time_from DESC, wallet DESC",
            key: "time_from || '.' || wallet",
            json: UPTIME_JSON,
            bytes: "0"
        ),
        user,
        key,
        wallet,
        page.limit
    )
}

/// Payments that the user entered, and those to their wallet.
fn payments(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM (SELECT * FROM payments WHERE user_id = ?1
                     UNION ALL SELECT * FROM payments
                     WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)
                   WHERE (created_at, id) < (?2, CAST(?3 AS INTEGER)) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: PAYMENT_JSON,
            bytes: "0"
        ),
        user,
        key,
        id,
        page.limit
    )
}
