//! SQL of the fleet.

use constcat::concat;
use serde::Deserialize;
use serde_json::{Map, Value};

#[cfg(test)]
use super::row::{Health, Wallet};
use super::{
    status::Status,
    window::{GAP_MS, Window},
};
#[cfg(test)]
use crate::openapi::{Count, Time};
use crate::store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql};

// --- Deployments ------------------------------------------------------------

shape! {
    /// A deployment on the fleet.
    pub(crate) struct FleetDeployment, DEPLOYMENT_JSON {
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

/// Whether a deployment or a payment belongs to the user `?2`, who entered it or
/// whose wallet it is for; always true without `?2`.
macro_rules! is_theirs {
    () => {
        "(?2 IS NULL OR user_id = ?2 OR creator = (SELECT wallet_addr FROM users WHERE id = ?2))"
    };
}

/// The values of a new deployment.
#[derive(Debug)]
pub(super) struct NewDeployment<'a> {
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    pub(super) user: &'a str,
    pub(super) creator: &'a str,
    pub(super) port: u32,
    pub(super) branch: &'a str,
    pub(super) github: &'a str,
    pub(super) replicas: u32,
    /// JSON: a list of names.
    pub(super) env_names: &'a str,
    pub(super) env_sealed: Option<&'a str>,
}

/// Creates a deployment and returns it; no row when the name is taken.
pub(super) fn create(new: &NewDeployment<'_>, now: i64) -> Statement {
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

/// Selects the rows of a table that belong to the user `?1`: those that they
/// entered, and those for their wallet. Each half walks its own index in the
/// list's order, and SQLite merges the two.
macro_rules! of_user {
    ($table:literal) => {
        concat!(
            "(SELECT * FROM ",
            $table,
            " WHERE user_id = ?1 UNION ALL SELECT * FROM ",
            $table,
            " WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)"
        )
    };
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
pub(super) fn list(
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

pub(super) fn show(name: &str, user: Option<&str>) -> Statement {
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
pub(super) fn set_status(
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

pub(super) fn set_env(
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

pub(super) fn set_replicas(name: &str, user: Option<&str>, replicas: u32, now: i64) -> Statement {
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

pub(super) fn delete(name: &str, user: Option<&str>) -> Statement {
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
pub(super) struct Sealed {
    pub(super) sealed: Option<String>,
}

pub(super) fn sealed_env(name: &str, user: Option<&str>) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('sealed', env_sealed) AS json FROM fleet_deployments WHERE name = ?1 AND ",
            is_theirs!()
        ),
        name,
        user
    )
}

// --- Machines ---------------------------------------------------------------

/// Registers the machine of a wallet, or gives it a new token.
pub(super) fn register(wallet: &str, hash: &str, hint: &str, now: i64) -> Statement {
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

pub(super) fn revoke(wallet: &str, user: Option<&str>, now: i64) -> Statement {
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
    pub(super) struct WorkerEntry, WORKER_JSON {
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
pub(super) fn workers(user: Option<&str>, page: &Page, now: i64) -> Statement {
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
pub(super) struct Worker {
    pub(super) seen_at: Option<i64>,
    pub(super) start_at: Option<i64>,
    pub(super) end_at: Option<i64>,
    pub(super) containers: Option<Vec<Map<String, Value>>>,
    pub(super) system: Option<Value>,
    pub(super) hostname: Option<String>,
    pub(super) tailscale_ip: Option<String>,
}

impl Worker {
    /// A number that the machine reported about its system.
    pub(super) fn figure(&self, name: &str) -> Option<&Value> {
        self.system.as_ref()?.get(name).filter(|value| value.is_number())
    }
}

/// Selects the machine of a wallet, if it was registered or has beaten.
pub(super) fn worker(wallet: &str, user: Option<&str>) -> Statement {
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

/// The amounts that the ledger owes the machine of a wallet.
pub(super) fn owed(wallet: &str) -> Statement {
    sql!(
        "SELECT json_group_array(p.amount) AS json
         FROM payouts o JOIN payments p ON p.id = o.payment_id WHERE o.wallet = ?1",
        wallet
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
    pub(super) struct Metric, METRIC_JSON {
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
pub(super) fn metrics(wallet: &str, user: Option<&str>, since: i64) -> Statement {
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

// --- Beats ------------------------------------------------------------------

/// A valid beat.
#[derive(Debug)]
pub(super) struct Beat<'a> {
    pub(super) wallet: &'a str,
    pub(super) at: i64,
    /// JSON; none for a ping, which does not report them.
    pub(super) containers: Option<&'a str>,
    pub(super) system: Option<&'a str>,
    pub(super) hostname: Option<&'a str>,
    pub(super) tailscale_ip: Option<&'a str>,
}

/// [`super::window::beat`] in one statement, so that concurrent beats are
/// serialized. Returns the window; no row when the beat is stale. Triggers
/// record a closed window, the last report of an hour that is over, and a new
/// machine.
///
/// A window ends at the machine's time, but never later than our own clock, so
/// a clock that is ahead adds no uptime. The last time that the machine sent is
/// kept too, so that a repeated beat is stale.
///
/// A beat with the same time as the last one only reports the containers, once.
/// It is not a new sign of life, because it may be an old beat that is repeated.
///
/// The row also says which of the two KV keys this beat must write: `:time`
/// when `mirror_ms` have passed or the window is new, `:containers` when they
/// have changed, or after an hour, in case a write was lost.
pub(super) fn beat(beat: &Beat<'_>, now: i64, mirror_ms: i64) -> Statement {
    sql!(
        "INSERT INTO worker_windows
           (wallet, start_at, end_at, seen_at, containers, system, hostname, time_mirrored_at, containers_mirrored_at,
            tailscale_ip, said_at, stamped_at)
         VALUES (?1, min(?2, ?3), min(?2, ?3), ?3, coalesce(?4, '[]'), ?5, ?6, ?3, iif(?4 IS NULL, 0, ?3), ?9, iif(?4 IS NULL, NULL, ?2), ?2)
         ON CONFLICT (wallet) DO UPDATE SET
           start_at = iif(excluded.end_at - end_at <= ?7, start_at, excluded.end_at),
           end_at = iif(?2 > coalesce(stamped_at, end_at), max(end_at, excluded.end_at), end_at), stamped_at = ?2,
           seen_at = iif(?2 > coalesce(stamped_at, end_at), ?3, seen_at), containers = coalesce(?4, containers),
           system = coalesce(?5, system), hostname = coalesce(?6, hostname),
           tailscale_ip = coalesce(?9, tailscale_ip), said_at = iif(?4 IS NULL, said_at, ?2),
           time_mirrored_at = CASE WHEN excluded.end_at - end_at > ?7 OR (?2 > coalesce(stamped_at, end_at) AND ?3 - time_mirrored_at >= ?8)
             THEN ?3 ELSE time_mirrored_at END,
           containers_mirrored_at =
             CASE WHEN ?4 <> containers OR (?4 IS NOT NULL AND ?3 - containers_mirrored_at >= 3600000)
               THEN ?3 ELSE containers_mirrored_at END
         WHERE ?2 > coalesce(stamped_at, end_at) OR (?2 = coalesce(stamped_at, end_at) AND ?4 IS NOT NULL AND said_at IS NOT ?2)
         RETURNING json_object('start', start_at, 'end', end_at, 'mirrorsTime', json(iif(time_mirrored_at = ?3, 'true', 'false')),
           'mirrorsContainers', json(iif(containers_mirrored_at = ?3, 'true', 'false'))) AS json",
        beat.wallet,
        beat.at,
        now,
        beat.containers,
        beat.system,
        beat.hostname,
        GAP_MS,
        mirror_ms,
        beat.tailscale_ip
    )
}

/// The window of a machine, and which KV keys to write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpenWindow {
    pub(super) start: i64,
    pub(super) end: i64,
    #[serde(default)]
    pub(super) mirrors_time: bool,
    #[serde(default)]
    pub(super) mirrors_containers: bool,
}

impl From<&OpenWindow> for Window {
    fn from(open: &OpenWindow) -> Self {
        Self { start: open.start, end: open.end }
    }
}

pub(super) fn window(wallet: &str) -> Statement {
    sql!(
        "SELECT json_object('start', start_at, 'end', end_at) AS json FROM worker_windows WHERE wallet = ?1",
        wallet
    )
}

/// Checks the next machines of the sweep: records the windows of those that
/// were silent since `silent`, deletes the reports of those that were silent
/// since `forgotten`, and moves on. The window itself stays, because a pending
/// beat may still extend it; its record then grows with it.
pub(super) fn sweep(most: i64, silent: i64, forgotten: i64) -> [Statement; 4] {
    [
        sql!(
            "DELETE FROM worker_metrics WHERE wallet IN (
               SELECT wallet FROM (
                 SELECT * FROM worker_windows WHERE wallet > (SELECT after_wallet FROM fleet_sweep) ORDER BY wallet LIMIT ?1
               ) WHERE said_at < ?2
             )",
            most,
            forgotten
        ),
        sql!(
            "INSERT INTO worker_uptime_records (wallet, time_from, time_to)
             SELECT wallet, start_at, end_at FROM (
               SELECT * FROM worker_windows WHERE wallet > (SELECT after_wallet FROM fleet_sweep) ORDER BY wallet LIMIT ?1
             ) WHERE end_at < ?2 AND flushed_at_end IS NOT end_at
             ON CONFLICT (wallet, time_from) DO UPDATE SET time_to = max(time_to, excluded.time_to)",
            most,
            silent
        ),
        sql!(
            "UPDATE worker_windows SET flushed_at_end = end_at WHERE wallet IN (
               SELECT wallet FROM worker_windows WHERE wallet > (SELECT after_wallet FROM fleet_sweep)
               ORDER BY wallet LIMIT ?1
             ) AND end_at < ?2 AND flushed_at_end IS NOT end_at",
            most,
            silent
        ),
        sql!(
            "UPDATE fleet_sweep SET after_wallet = coalesce((
               SELECT wallet FROM worker_windows WHERE wallet > after_wallet ORDER BY wallet LIMIT 1 OFFSET ?1 - 1
             ), '') RETURNING json_object('after', after_wallet) AS json",
            most
        ),
    ]
}

// --- Uptime -----------------------------------------------------------------

/// The records and the present window of a machine that overlap a period,
/// clipped to it, newest first. A window that was recorded already counts once,
/// with its present end, and is not open. (D1 binds every number as a REAL, hence the casts.)
macro_rules! intervals {
    () => {
        "(SELECT max(time_from, CAST(?5 AS INTEGER)) AS time_from, min(time_to, CAST(?6 AS INTEGER)) AS time_to, open FROM (
            SELECT time_from, time_to, 0 AS open FROM worker_uptime_records r WHERE wallet = ?1
              AND NOT EXISTS (SELECT 1 FROM worker_windows x WHERE x.wallet = ?1 AND x.start_at = r.time_from)
            UNION ALL SELECT start_at, end_at, flushed_at_end IS NOT end_at FROM worker_windows WHERE wallet = ?1
          ) WHERE time_to >= ?5 AND time_from <= ?6)"
    };
}

shape! {
    /// A time during which a machine ran.
    pub(super) struct Interval, INTERVAL_JSON {
        timeFrom: Time = rfc3339!("time_from"), Time("2026-11-21T09:00:00.000Z");
        timeTo: Time = rfc3339!("time_to"), Time("2026-11-21T12:00:00.000Z");
        durationSeconds: Count = "(time_to - time_from) / 1000", Count(10_800);
        /// Whether it is the machine's present window, which is not recorded yet.
        open: bool = "json(iif(open, 'true', 'false'))", true;
    }
}

pub(super) fn uptime(wallet: &str, from: i64, to: i64, page: &Page) -> Statement {
    let (key, _) = page.bound();
    sql!(
        page!(
            rows: concat!("FROM ", intervals!(), " WHERE time_from < ?2 AND ?3 = '' ORDER BY time_from DESC"),
            key: "time_from || '.'",
            json: INTERVAL_JSON,
            bytes: "0"
        ),
        wallet,
        key,
        "",
        page.limit,
        from,
        to
    )
}

/// The whole seconds of a period for which a machine is paid: only since we
/// know it, whatever it reports about earlier times.
pub(super) fn paid_seconds(wallet: &str, from: i64, to: i64) -> Statement {
    sql!(
        concat!(
            "SELECT CAST(coalesce(sum(max(time_to - max(time_from, known), 0)), 0) / 1000 AS TEXT) AS json FROM ",
            intervals!(),
            ", (SELECT created_at AS known FROM workers WHERE wallet = ?1) WHERE ?2 = ?3 AND ?4 = 0"
        ),
        wallet,
        0_i64,
        0_i64,
        0_i64,
        from,
        to
    )
}

/// The whole seconds of a period in which the machine ran by its own reports.
pub(super) fn uptime_seconds(wallet: &str, from: i64, to: i64) -> Statement {
    sql!(
        concat!(
            "SELECT CAST(coalesce(sum(time_to - time_from), 0) / 1000 AS TEXT) AS json FROM ",
            intervals!(),
            " WHERE ?2 = ?3 AND ?4 = 0"
        ),
        wallet,
        0_i64,
        0_i64,
        0_i64,
        from,
        to
    )
}

// --- Payments ---------------------------------------------------------------

shape! {
    /// A payment in the ledger.
    pub(crate) struct Payment, PAYMENT_JSON {
        id: Count = "id", Count(1);
        name: &'static str = "name", "November";
        /// A uint256 in decimal.
        amount: &'static str = "amount", "1000000000000000000";
        creator: Wallet = "creator", Wallet::EXAMPLE;
        /// The hash in the form of the wallet's chain: without 0x on Stellar.
        txHash: Option<&'static str> = "iif(creator GLOB 'G*', substr(tx_hash, 3), tx_hash)",
            Some("0x2f1c5c2b44f771e942a8506148e256f94f1a464babc938ae0690c6e34cd79190");
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

/// The values of a new payment.
#[derive(Debug)]
pub(super) struct NewPayment<'a> {
    pub(super) user: &'a str,
    pub(super) name: &'a str,
    pub(super) amount: &'a str,
    pub(super) creator: &'a str,
    pub(super) tx_hash: Option<&'a str>,
}

/// Enters a payment and returns it; no row when its transaction is entered
/// already, or the payment itself: `entry` is the same for each retry of one request.
pub(super) fn pay(new: &NewPayment<'_>, entry: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO payments (entry_id, user_id, name, amount, creator, tx_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING RETURNING ",
            PAYMENT_JSON,
            " AS json"
        ),
        entry,
        new.user,
        new.name,
        new.amount,
        new.creator,
        new.tx_hash,
        now
    )
}

pub(super) fn payment_of(entry: &str, tx_hash: Option<&str>, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            PAYMENT_JSON,
            " AS json FROM payments WHERE (entry_id = ?1 OR tx_hash = ?2) AND user_id = ?3"
        ),
        entry,
        tx_hash,
        user
    )
}

pub(super) fn payment(id: i64, user: Option<&str>) -> Statement {
    sql!(
        concat!("SELECT ", PAYMENT_JSON, " AS json FROM payments WHERE id = ?1 AND ", is_theirs!()),
        id,
        user
    )
}

macro_rules! payments_page {
    ($rows:expr) => {
        page!(
            rows: concat!("FROM ", $rows, " WHERE (?5 IS NULL OR creator = ?5)
                   AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC"),
            key: "created_at || '.' || id",
            json: PAYMENT_JSON,
            bytes: "0"
        )
    };
}

/// A page of the payments that `user` entered or received, or of all payments.
pub(super) fn payments(user: Option<&str>, creator: Option<&str>, page: &Page) -> Statement {
    let (key, id) = page.bound();
    // Ids are numbers; without a cursor the bound is above all of them.
    let id = id.parse::<i64>().unwrap_or(i64::MAX >> 11);
    let mut list = sql!(payments_page!(of_user!("payments")), user, key, id, page.limit, creator);
    if user.is_none() {
        list.sql = payments_page!("(SELECT * FROM payments WHERE ?1 IS NULL)");
    }
    list
}

/// The values of a new payout.
#[derive(Debug)]
pub(super) struct NewPayout<'a> {
    pub(super) wallet: &'a str,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) seconds: i64,
    pub(super) payment: NewPayment<'a>,
}

shape! {
    // Uses the row `o` and its payment `p`.
    /// What a machine is owed for a period.
    pub(super) struct Payout, PAYOUT_JSON {
        walletAddress: Wallet = "o.wallet", Wallet::EXAMPLE;
        from: Time = rfc3339!("o.period_from"), Time("2026-11-21T09:00:00.000Z");
        to: Time = rfc3339!("o.period_to"), Time("2026-11-21T12:00:00.000Z");
        uptimeSeconds: Count = "o.uptime_seconds", Count(10_800);
        amount: &'static str = "p.amount", "10800000";
        paymentId: Count = "p.id", Count(1);
    }
}

/// Enters what is owed, unless a period that overlaps this one is closed
/// already. The first statement returns a row if it is entered now, and the
/// last one the payout of exactly this period.
pub(super) fn close(payout: &NewPayout<'_>, now: i64) -> [Statement; 3] {
    let NewPayout { wallet, from, to, seconds, payment } = payout;
    [
        sql!(
            "INSERT INTO payments (user_id, name, amount, creator, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
               SELECT 1 FROM payouts WHERE wallet = ?6 AND period_from < ?8 AND period_to > ?7
             ) RETURNING json_object('id', id) AS json",
            payment.user,
            payment.name,
            payment.amount,
            payment.creator,
            now,
            *wallet,
            *from,
            *to
        ),
        sql!(
            "INSERT INTO payouts (wallet, period_from, period_to, uptime_seconds, payment_id)
             SELECT ?1, ?2, ?3, ?4, (SELECT max(id) FROM payments) WHERE changes() > 0",
            *wallet,
            *from,
            *to,
            *seconds
        ),
        sql!(
            concat!(
                "SELECT ",
                PAYOUT_JSON,
                " AS json
                 FROM payouts o JOIN payments p ON p.id = o.payment_id
                 WHERE o.wallet = ?1 AND o.period_from = ?2 AND o.period_to = ?3"
            ),
            *wallet,
            *from,
            *to
        ),
    ]
}
