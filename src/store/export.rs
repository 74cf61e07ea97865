//! All that is a user's, for them to take along: lists, newest first.

use super::{
    Statement, page,
    page::Page,
    projects::{project_json, rfc3339},
    sql,
};

macro_rules! list {
    ($user:expr, $page:expr, $rows:literal, $json:expr, $bytes:literal) => {{
        let (key, id) = $page.bound();
        sql!(
            page!(
                rows: concat!($rows, " AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC"),
                key: "created_at || '.' || id",
                json: $json,
                bytes: $bytes
            ),
            $user,
            key,
            id,
            $page.limit
        )
    }};
}

pub(crate) fn projects(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM projects WHERE user_id = ?1",
        project_json!(),
        "length(CAST(coalesce(code, '') || coalesce(description, '') AS BLOB)) + 400"
    )
}

pub(crate) fn messages(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM chat_messages WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'projectId', project_id, 'role', role, 'content', content, 'status', status, ",
            "'model', model, 'usage', json(usage), 'changes', json(changes), 'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "length(CAST(content AS BLOB))"
    )
}

pub(crate) fn deployments(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM deployments WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'projectId', project_id, 'target', target, 'status', status, 'url', url, ",
            "'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "0"
    )
}

/// How the startups among the projects were made, and what came of them.
pub(crate) fn startups(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM startups WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'jobId', job_id, 'prompt', prompt, 'status', status, 'name', name, ",
            "'tagline', tagline, 'competitors', json(competitors), 'launchChannels', json(channels), ",
            "'pitchDeck', deck, 'verified', json(iif(verified, 'true', 'false')), 'costMicroUsd', cost_micro_usd, ",
            "'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "length(CAST(prompt || competitors || channels || coalesce(deck, '') AS BLOB)) + 400"
    )
}

/// Ordered by version and not by time: that is what the table is kept by.
pub(crate) fn versions(user: &str, page: &Page) -> Statement {
    let (version, project) = page.bound();
    sql!(
        page!(
            rows: "FROM project_versions WHERE project_id IN (SELECT id FROM projects WHERE user_id = ?1)
                   AND (version, project_id) < (?2, ?3) ORDER BY version DESC, project_id DESC",
            key: "version || '.' || project_id",
            json: concat!(
                "json_object('projectId', project_id, 'version', version, 'origin', origin, 'code', code, ",
                "'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "length(CAST(code AS BLOB))"
        ),
        user,
        version,
        project,
        page.limit
    )
}

/// What the user, or whoever else for their wallet, has put on the fleet.
pub(crate) fn fleet_deployments(user: &str, page: &Page) -> Statement {
    let (key, name) = page.bound();
    sql!(
        page!(
            rows: "FROM (SELECT * FROM fleet_deployments WHERE user_id = ?1
                     UNION ALL SELECT * FROM fleet_deployments
                     WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)
                   WHERE (created_at, name) < (?2, ?3) ORDER BY created_at DESC, name DESC",
            key: "created_at || '.' || name",
            // Not even sealed do their variables' values leave.
            json: concat!(
                "json_object('name', name, 'github', github, 'branch', branch, 'url', url, 'port', port, ",
                "'replicas', replicas, 'status', status, 'creator', creator, 'envVarNames', json(env_names), ",
                "'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "0"
        ),
        user,
        key,
        name,
        page.limit
    )
}

/// The machine of the user's wallet, as it last was.
pub(crate) fn machines(user: &str, page: &Page) -> Statement {
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

/// When that machine ran, as far as it is recorded.
pub(crate) fn uptime(user: &str, page: &Page) -> Statement {
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
pub(crate) fn payments(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM (SELECT * FROM payments WHERE user_id = ?1
                     UNION ALL SELECT * FROM payments
                     WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)
                   WHERE (created_at, id) < (?2, CAST(?3 AS INTEGER)) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: concat!(
                "json_object('id', id, 'name', name, 'amount', amount, 'creator', creator, ",
                "'txHash', iif(creator GLOB 'G*', substr(tx_hash, 3), tx_hash), 'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "0"
        ),
        user,
        key,
        id,
        page.limit
    )
}
