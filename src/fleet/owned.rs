//! The rows of the fleet that belong to a user, and their export, newest first.

use super::store::{DEPLOYMENT_JSON, PAYMENT_JSON};
use crate::store::{
    Statement,
    owned::{Owned, give},
    page,
    page::Page,
    projects::rfc3339,
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

/// The machine of the user's wallet in its last state.
fn machines(user: &str, page: &Page) -> Statement {
    let (key, wallet) = page.bound();
    sql!(
        page!(
            rows: concat!("FROM (SELECT w.wallet, w.created_at, x.start_at, x.end_at, x.seen_at, x.hostname, x.tailscale_ip, x.system,
                           x.containers, (
                             SELECT json_group_array(json_object('timestamp', ", rfc3339!("said_at"), ", 'cpuUsagePercent', cpu_usage_percent,
                               'ramUsedGb', ram_used_gb, 'ramTotalGb', ram_total_gb, 'containerCount', containers))
                             FROM worker_metrics m WHERE m.wallet = w.wallet
                           ) AS metrics
                         FROM workers w LEFT JOIN worker_windows x ON x.wallet = w.wallet
                         WHERE w.wallet = (SELECT wallet_addr FROM users WHERE id = ?1))
                   WHERE (created_at, wallet) < (?2, ?3) ORDER BY created_at DESC, wallet DESC"),
            key: "created_at || '.' || wallet",
            json: concat!(
                "json_object('walletAddress', wallet, 'hostname', hostname, 'tailscaleIp', tailscale_ip, ",
                "'system', json(system), 'containers', json(containers), 'metrics', json(metrics), 'startTime', ",
                rfc3339!("start_at"), ", 'endTime', ", rfc3339!("end_at"), ", 'lastSeen', ", rfc3339!("seen_at"), ", 'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "0"
        ),
        user,
        key,
        wallet,
        page.limit
    )
}

/// The recorded uptime of that machine.
fn uptime(user: &str, page: &Page) -> Statement {
    let (key, wallet) = page.bound();
    sql!(
        page!(
            rows: "FROM worker_uptime_records WHERE wallet = (SELECT wallet_addr FROM users WHERE id = ?1)
                   AND (time_from, wallet) < (?2, ?3) ORDER BY time_from DESC, wallet DESC",
            key: "time_from || '.' || wallet",
            json: concat!(
                "json_object('walletAddress', wallet, 'timeFrom', ", rfc3339!("time_from"),
                ", 'timeTo', ", rfc3339!("time_to"), ")"
            ),
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
