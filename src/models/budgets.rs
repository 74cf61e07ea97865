//! Counts the requests and the spending of keys, users and the whole Worker.
//! One batch takes from all budgets of a request or from none, so that parallel
//! requests never exceed a budget. reservations.rs reconciles them.

use chrono::{DateTime, Datelike as _, Months};
use serde::Serialize;

use super::limits::{Budget, Period};
use crate::{
    error::{Error, Exceeded},
    platform::clock::{DAY_MS, MINUTE_MS},
    store::{Database, Statement, guard, sql},
};

/// One limit that applies to a request.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Limit {
    /// `key:<id>`, `user:<id>`, `all`, or `rpm:<id>`.
    #[serde(rename = "s")]
    subject: String,
    #[serde(rename = "p")]
    period: String,
    #[serde(rename = "l")]
    most: i64,
    /// What this request takes from it.
    #[serde(rename = "a")]
    amount: i64,
    #[serde(skip)]
    resets_at_ms: i64,
}

impl Limit {
    /// A limit of money: the request takes `amount` micro-dollars of a budget.
    pub(crate) fn money(subject: String, budget: Budget, amount: i64, now: i64) -> Self {
        let (period, resets_at_ms) = period(budget.per, now);
        Self { subject, period, most: budget.micro_usd, amount, resets_at_ms }
    }

    /// A limit of requests: the request counts in its key's minute.
    pub(crate) fn request(key: &str, rpm: i64, now: i64) -> Self {
        let minute = now.div_euclid(MINUTE_MS);
        let resets_at_ms = (minute + 1) * MINUTE_MS;
        Self {
            subject: format!("rpm:{key}"),
            period: minute_name(minute),
            most: rpm,
            amount: 1,
            resets_at_ms,
        }
    }

    /// The same limit with `amount` less to give back.
    pub(crate) fn less(&self, amount: i64) -> Self {
        Self { amount: self.amount.saturating_sub(amount), ..self.clone() }
    }

    fn is_money(&self) -> bool {
        !self.subject.starts_with("rpm:")
    }
}

/// The name of a period, and when it ends.
fn period(per: Period, now: i64) -> (String, i64) {
    let day = DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive();
    let (name, next) = match per {
        Period::Day => (day.format("%Y-%m-%d").to_string(), day.succ_opt()),
        Period::Month => (
            day.format("%Y-%m").to_string(),
            day.with_day(1).and_then(|first| first.checked_add_months(Months::new(1))),
        ),
    };
    let next =
        next.and_then(|date| date.and_hms_opt(0, 0, 0)).map_or(now, |at| at.and_utc().timestamp_millis());
    (name, next)
}

/// Counts a request in its key's minute.
///
/// # Errors
/// [`Error::TooManyRequests`] if the key has sent all its requests of this minute.
pub(crate) async fn count_request(limit: Limit, now: i64, database: &Database) -> Result<(), Error> {
    let json = to_json(std::slice::from_ref(&limit))?;
    let taken: Option<i64> = database.query(take(&json)).await?.first()?;
    taken.map(drop).ok_or_else(|| exceeded(&limit, now))
}

/// Which of `limits` has no room, if one has none.
pub(crate) async fn refusal(limits: &[Limit], now: i64, database: &Database) -> Result<Option<Error>, Error> {
    if limits.is_empty() {
        return Ok(None);
    }
    let reached: Option<String> = database.query(reached(&to_json(limits)?)).await?.first()?;
    let named = limits.iter().find(|limit| Some(&limit.subject) == reached.as_ref());
    Ok(named.map(|limit| exceeded(limit, now)))
}

/// Takes the amounts of all limits, as a part of a batch, which fails where one has no room.
pub(crate) fn take_in_batch(limits: &[Limit]) -> Result<Vec<Statement>, Error> {
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let json = to_json(limits)?;
    let has_room = guard!(
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) w
           LEFT JOIN model_budgets b ON b.subject = w.value ->> 's' AND b.period = w.value ->> 'p'
           WHERE coalesce(b.used, 0) + (w.value ->> 'a') > (w.value ->> 'l'))",
        json.as_str()
    );
    Ok(vec![has_room, add(&json)])
}

/// Books what was spent of each limit, whatever is left of it.
pub(crate) fn spend(limits: &[Limit], spent: i64) -> Result<Option<Statement>, Error> {
    if limits.is_empty() {
        return Ok(None);
    }
    let spent: Vec<Limit> = limits.iter().map(|limit| Limit { amount: spent, ..limit.clone() }).collect();
    Ok(Some(add(&to_json(&spent)?)))
}

fn add(limits: &str) -> Statement {
    sql!(
        "INSERT INTO model_budgets (subject, period, used)
         SELECT value ->> 's', value ->> 'p', value ->> 'a' FROM json_each(?1) WHERE true
         ON CONFLICT (subject, period) DO UPDATE SET used = used + excluded.used",
        limits
    )
}

pub(crate) fn to_json(limits: &[Limit]) -> Result<String, Error> {
    serde_json::to_string(limits).map_err(|error| Error::Internal(error.to_string()))
}

/// Takes the amounts and returns rows if no limit is exceeded.
fn take(limits: &str) -> Statement {
    sql!(
        "INSERT INTO model_budgets (subject, period, used)
         SELECT value ->> 's', value ->> 'p', value ->> 'a' FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) w
           LEFT JOIN model_budgets b ON b.subject = w.value ->> 's' AND b.period = w.value ->> 'p'
           WHERE coalesce(b.used, 0) + (w.value ->> 'a') > (w.value ->> 'l'))
         ON CONFLICT (subject, period) DO UPDATE SET used = used + excluded.used
         RETURNING CAST(used AS TEXT) AS json",
        limits
    )
}

/// The subject of the first limit that would be exceeded.
fn reached(limits: &str) -> Statement {
    sql!(
        "SELECT json_quote(w.value ->> 's') AS json FROM json_each(?1) w
         LEFT JOIN model_budgets b ON b.subject = w.value ->> 's' AND b.period = w.value ->> 'p'
         WHERE coalesce(b.used, 0) + (w.value ->> 'a') > (w.value ->> 'l') ORDER BY w.key LIMIT 1",
        limits
    )
}

fn exceeded(limit: &Limit, now: i64) -> Error {
    let (policy, code, whose) = match limit.subject.split_once(':') {
        Some(("rpm", _)) => {
            ("key-minute", "rate_limit_exceeded", "This API key has sent all its requests of this minute")
        }
        Some(("key", _)) => ("key-budget", "budget_exceeded", "This API key has spent its budget"),
        Some(("user", _)) => ("user-budget", "budget_exceeded", "You have spent your budget"),
        _ => ("budget", "budget_exceeded", "The budget of this service is spent"),
    };
    let window_ms = if limit.is_money() { DAY_MS } else { MINUTE_MS };
    Error::TooManyRequests(Box::new(Exceeded {
        policy,
        code,
        detail: whose.to_owned(),
        limit: limit.most,
        window_s: window_ms / 1_000,
        reset_at_ms: limit.resets_at_ms,
        reset_s: (limit.resets_at_ms.saturating_sub(now) / 1_000).max(1),
    }))
}

/// The name of a minute. No day or month begins with this letter.
fn minute_name(minute: i64) -> String {
    format!("m{minute}")
}

/// Deletes the counts of periods that are over.
pub(crate) fn forget(now: i64) -> Vec<Statement> {
    let last_minute = minute_name(now.div_euclid(MINUTE_MS) - 5);
    let (last_month, _) = period(Period::Month, now - 62 * DAY_MS);
    vec![
        sql!("DELETE FROM model_budgets WHERE period >= 'm' AND period < ?1", last_minute),
        sql!("DELETE FROM model_budgets WHERE period < ?1", last_month),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_910_400_000; // 2026-11-29T00:00:00Z

    #[test]
    fn a_budget_ends_with_its_day_or_its_month() {
        assert_eq!(period(Period::Day, NOW), ("2026-11-29".to_owned(), NOW + DAY_MS));
        assert_eq!(period(Period::Month, NOW + 5), ("2026-11".to_owned(), NOW + 2 * DAY_MS));
        let december = period(Period::Month, NOW + 20 * DAY_MS);
        assert_eq!(december, ("2026-12".to_owned(), NOW + 33 * DAY_MS));
    }
}
