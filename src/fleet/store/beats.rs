//! Beats, the windows that they extend, and the sweep of machines that fell silent.

use serde::Deserialize;

use crate::{
    fleet::window::{GAP_MS, Window},
    store::{Statement, sql},
};

/// A valid beat.
#[derive(Debug)]
pub(in crate::fleet) struct Beat<'a> {
    pub(in crate::fleet) wallet: &'a str,
    pub(in crate::fleet) at: i64,
    /// JSON; none for a ping, which does not report them.
    pub(in crate::fleet) containers: Option<&'a str>,
    pub(in crate::fleet) system: Option<&'a str>,
    pub(in crate::fleet) hostname: Option<&'a str>,
    pub(in crate::fleet) tailscale_ip: Option<&'a str>,
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
pub(in crate::fleet) fn beat(beat: &Beat<'_>, now: i64, mirror_ms: i64) -> Statement {
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
pub(in crate::fleet) struct OpenWindow {
    pub(in crate::fleet) start: i64,
    pub(in crate::fleet) end: i64,
    /// The beat was no later one than those before it.
    #[serde(default)]
    pub(in crate::fleet) is_stale: bool,
    #[serde(default)]
    pub(in crate::fleet) mirrors_time: bool,
    #[serde(default)]
    pub(in crate::fleet) mirrors_containers: bool,
}

impl From<&OpenWindow> for Window {
    fn from(open: &OpenWindow) -> Self {
        Self { start: open.start, end: open.end }
    }
}

/// The window of a machine whose beat of `at` has changed nothing at `now`: it is stale, unless this very beat was
/// taken before, when it shared its round trip with others and nothing was heard of that.
pub(in crate::fleet) fn window(wallet: &str, at: i64, now: i64) -> Statement {
    sql!(
        "SELECT json_object('start', start_at, 'end', end_at, 'isStale', json(iif(is_own, 'false', 'true')),
           'mirrorsTime', json(iif(is_own AND time_mirrored_at = ?3, 'true', 'false')),
           'mirrorsContainers', json(iif(is_own AND containers_mirrored_at = ?3, 'true', 'false'))) AS json
         FROM (SELECT *, stamped_at = ?2 AND seen_at = ?3 AS is_own FROM worker_windows WHERE wallet = ?1)",
        wallet,
        at,
        now
    )
}

/// Checks the next machines of the sweep: records the windows of those that
/// were silent since `silent`, deletes the reports of those that were silent
/// since `forgotten`, and moves on. The window itself stays, because a pending
/// beat may still extend it; its record then grows with it.
pub(in crate::fleet) fn sweep(most: i64, silent: i64, forgotten: i64) -> [Statement; 4] {
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
