//! Uptime: when a machine ran, and for how much of that it is paid.

use constcat::concat;

#[cfg(test)]
use crate::openapi::{Count, Time};
use crate::store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql};

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
    pub(in crate::fleet) struct Interval, INTERVAL_JSON {
        timeFrom: Time = rfc3339!("time_from"), Time("2026-11-21T09:00:00.000Z");
        timeTo: Time = rfc3339!("time_to"), Time("2026-11-21T12:00:00.000Z");
        durationSeconds: Count = "(time_to - time_from) / 1000", Count(10_800);
        /// Whether it is the machine's present window, which is not recorded yet.
        open: bool = "json(iif(open, 'true', 'false'))", true;
    }
}

pub(in crate::fleet) fn uptime(wallet: &str, from: i64, to: i64, page: &Page) -> Statement {
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
pub(in crate::fleet) fn paid_seconds(wallet: &str, from: i64, to: i64) -> Statement {
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
pub(in crate::fleet) fn uptime_seconds(wallet: &str, from: i64, to: i64) -> Statement {
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
