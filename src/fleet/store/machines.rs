//! Machines: their tokens, and what each one last reported.

use constcat::concat;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql};
#[cfg(test)]
use crate::{
    fleet::row::{Health, Wallet},
    openapi::{Count, Time},
};

/// Registers the machine of a wallet, or gives it a new token.
pub(in crate::fleet) fn register(wallet: &str, hash: &str, hint: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO workers (wallet, token_hash, token_hint, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (wallet) DO UPDATE SET token_hash = excluded.token_hash,
           token_hint = excluded.token_hint, updated_at = excluded.updated_at",
        wallet,
        hash,
        hint,
        now
    )
}

pub(in crate::fleet) fn revoke(wallet: &str, user: Option<&str>, now: i64) -> Statement {
    sql!(
        "UPDATE workers SET token_hash = NULL, token_hint = NULL, updated_at = ?3
         WHERE wallet = ?1 AND (?2 IS NULL OR wallet = (SELECT wallet_addr FROM users WHERE id = ?2))
         RETURNING json_object('wallet', wallet) AS json",
        wallet,
        user,
        now
    )
}

shape! {
    // Uses the status at the time `?5`.
    /// A machine in the list of machines.
    #[schemars(rename = "Worker")]
    pub(in crate::fleet) struct WorkerEntry, WORKER_JSON {
        walletAddress: Wallet = "wallet", Wallet::EXAMPLE;
        tokenHint: Option<&'static str> = "token_hint", Some("wk_…wXyZ");
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        lastSeen: Option<Time> = rfc3339!("seen_at"), Some(Time("2026-11-21T12:00:00.000Z"));
        hostname: Option<&'static str> = "hostname", Some("atlas");
        system: Option<Map<String, Value>> = "json(system)", None;
        status: Health = "CASE WHEN seen_at IS NULL THEN 'UNKNOWN' WHEN ?5 - seen_at <= 900000 THEN 'HEALTHY' \
            WHEN ?5 - seen_at <= 1800000 THEN 'WARNING' ELSE 'DEAD' END", Health::Healthy;
    }
}

macro_rules! workers_page {
    ($of:literal) => {
        page!(
            rows: concat!("FROM (SELECT w.wallet, w.token_hint, w.created_at, x.seen_at, x.hostname, x.system
                         FROM workers w LEFT JOIN worker_windows x ON x.wallet = w.wallet WHERE ", $of, ") w
                   WHERE wallet > ?3 AND ?2 = ?2 ORDER BY wallet"),
            key: "'0.' || wallet",
            json: WORKER_JSON,
            bytes: "0"
        )
    };
}

/// A page of the machines of `user`'s wallet, or of all machines, by wallet.
pub(in crate::fleet) fn workers(user: Option<&str>, page: &Page, now: i64) -> Statement {
    let after = page.after.as_ref().map_or("", |(_, wallet)| wallet.as_str());
    let mut list = sql!(
        workers_page!("w.wallet = (SELECT wallet_addr FROM users WHERE id = ?1)"),
        user,
        0_i64,
        after,
        page.limit,
        now
    );
    if user.is_none() {
        list.sql = workers_page!("?1 IS NULL");
    }
    list
}

/// The data of a machine that its routes show.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fleet) struct Worker {
    pub(in crate::fleet) seen_at: Option<i64>,
    pub(in crate::fleet) start_at: Option<i64>,
    pub(in crate::fleet) end_at: Option<i64>,
    pub(in crate::fleet) containers: Option<Vec<Map<String, Value>>>,
    pub(in crate::fleet) system: Option<Value>,
    pub(in crate::fleet) hostname: Option<String>,
    pub(in crate::fleet) tailscale_ip: Option<String>,
}

impl Worker {
    /// A number that the machine reported about its system.
    pub(in crate::fleet) fn figure(&self, name: &str) -> Option<&Value> {
        self.system.as_ref()?.get(name).filter(|value| value.is_number())
    }
}

/// Selects the machine of a wallet, if it was registered or has beaten.
pub(in crate::fleet) fn worker(wallet: &str, user: Option<&str>) -> Statement {
    sql!(
        "SELECT json_object('seenAt', x.seen_at, 'startAt', x.start_at, 'endAt', x.end_at,
           'containers', json(x.containers), 'system', json(x.system), 'hostname', x.hostname,
           'tailscaleIp', x.tailscale_ip) AS json
         FROM workers w LEFT JOIN worker_windows x ON x.wallet = w.wallet
         WHERE w.wallet = ?1 AND (?2 IS NULL OR w.wallet = (SELECT wallet_addr FROM users WHERE id = ?2))",
        wallet,
        user
    )
}

/// A number that a machine reported about its system; 0 for any other value.
macro_rules! figure {
    ($name:literal) => {
        concat!(
            "iif(json_type(system, '$.",
            $name,
            "') IN ('integer', 'real'), json_extract(system, '$.",
            $name,
            "'), 0)"
        )
    };
}

shape! {
    /// A machine's last report in an hour, or its newest one; 0 for numbers that it
    /// did not report.
    pub(in crate::fleet) struct Metric, METRIC_JSON {
        timestamp: Time = rfc3339!("said_at"), Time("2026-11-21T12:00:00.000Z");
        cpuUsagePercent: f64 = "cpu", 12.5;
        ramUsedGb: f64 = "used", 9.8;
        ramTotalGb: f64 = "total", 31.2;
        /// What the ledger owed the machine at that time.
        creditsEarned: f64 = "(SELECT coalesce(sum(CAST(p.amount AS REAL)), 0) FROM payouts o
            JOIN payments p ON p.id = o.payment_id WHERE o.wallet = ?1 AND p.created_at <= said_at)", 0.0;
        containerCount: Count = "containers", Count(2);
    }
}

/// Selects a machine's reports after `since`: the last one of each hour that is
/// over, and the newest one, each with what the ledger owed at the time.
pub(in crate::fleet) fn metrics(wallet: &str, user: Option<&str>, since: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_group_array(json(metric)) AS json FROM (
               SELECT ",
            METRIC_JSON,
            " AS metric
               FROM (
                 SELECT said_at, coalesce(cpu_usage_percent, 0) AS cpu, coalesce(ram_used_gb, 0) AS used,
                   coalesce(ram_total_gb, 0) AS total, containers FROM worker_metrics WHERE wallet = ?1
                 UNION ALL SELECT said_at, ",
            figure!("cpuUsagePercent"),
            ", ",
            figure!("ramUsedGb"),
            ", ",
            figure!("ramTotalGb"),
            ", json_array_length(containers) FROM worker_windows WHERE wallet = ?1
               ) WHERE said_at > ?3 AND (?2 IS NULL OR ?1 = (SELECT wallet_addr FROM users WHERE id = ?2))
               ORDER BY said_at
             )"
        ),
        wallet,
        user,
        since
    )
}
