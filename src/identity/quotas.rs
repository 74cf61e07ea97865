//! Daily quotas of users (UTC), counted exactly in the database under
//! concurrent requests.

use serde_json::json;

use super::DailyLimits;
use crate::store::owned::{Owned, released};
use crate::{
    error::{Error, Exceeded},
    platform::{
        clock::{DAY_MS, now_ms},
        log,
        response::Response,
    },
    store::{Database, Statement, guard, sql},
};

/// Usage stays when an account is deleted, so that a new one has no fresh day.
pub(crate) const OWNED: Owned = Owned {
    tables: &["daily_counters"],
    export: &[],
    in_files: &[],
    delete: |_| Vec::new(),
    give: |from, to| {
        vec![
            sql!(
                concat!(
                    "INSERT INTO daily_counters (user_id, name, day, used)
                     SELECT ?2, name, day, used FROM daily_counters WHERE user_id = ",
                    released!(),
                    " ON CONFLICT (user_id, name, day) DO UPDATE SET used = used + excluded.used"
                ),
                from,
                to
            ),
            sql!(concat!("DELETE FROM daily_counters WHERE user_id = ", released!()), from),
        ]
    },
};

/// What is counted; the name is that in the database and in `RateLimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Messages to Claude.
    Chat,
    /// Deployments.
    Deploy,
    /// The cost of Claude's answers, in micro-dollars.
    Budget,
}

impl Quota {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Deploy, Self::Budget];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat-day",
            Self::Deploy => "deploy-day",
            Self::Budget => "budget-day",
        }
    }

    /// The limit for a day; none is unlimited.
    pub(crate) fn limit(self, limits: &DailyLimits) -> Option<i64> {
        match self {
            Self::Chat => limits.chat,
            Self::Deploy => limits.deploy,
            Self::Budget => limits.budget_micro_usd,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Chat => "daily_chat_limit_reached",
            Self::Deploy => "daily_deploy_limit_reached",
            Self::Budget => "daily_budget_reached",
        }
    }

    fn describe(self, limit: i64) -> String {
        match self {
            Self::Chat => format!("You have sent your {limit} messages of today"),
            Self::Deploy => format!("You have made your {limit} deployments of today"),
            Self::Budget => format!("This would exceed today's budget of {limit} micro-dollars"),
        }
    }
}

/// An amount taken from a day's quota.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    quota: Quota,
    user: String,
    amount: i64,
    limit: i64,
    remaining: i64,
    at: i64,
}

/// Takes `amount` from today's `quota` of `user`. Returns none if the quota has
/// no limit.
///
/// # Errors
/// [`Error::TooManyRequests`] when less than `amount` is left;
/// [`Error::Unavailable`] when the database cannot count, for an uncounted
/// request is refused.
pub(crate) async fn take(
    quota: Quota,
    amount: i64,
    user: &str,
    limits: &DailyLimits,
    database: &Database,
) -> Result<Option<Taken>, Error> {
    let Some(limit) = quota.limit(limits) else { return Ok(None) };
    let at = now_ms();
    let used: Option<i64> = database.query(count(quota, user, amount, limit, at)).await?.first()?;
    let Some(used) = used else { return Err(exceeded(quota, limit, at)) };
    Ok(Some(Taken { quota, user: user.to_owned(), amount, limit, remaining: limit - used, at }))
}

/// Returns the new usage; no row when it would exceed the limit.
fn count(quota: Quota, user: &str, amount: i64, limit: i64, now: i64) -> Statement {
    sql!(
        "INSERT INTO daily_counters (user_id, name, day, used) SELECT ?1, ?2, ?3, ?4 WHERE ?4 <= ?5
         ON CONFLICT (user_id, name, day) DO UPDATE SET used = used + excluded.used
         WHERE used + excluded.used <= ?5
         RETURNING CAST(used AS TEXT) AS json",
        user,
        quota.name(),
        day(now),
        amount,
        limit
    )
}

/// [`take`] as a part of a batch, which fails when less than `amount` is left. The last row says how
/// much is used afterwards.
pub(crate) fn take_in_batch(quota: Quota, amount: i64, user: &str, limit: i64, now: i64) -> [Statement; 2] {
    let has_room = guard!(
        "SELECT 1 WHERE coalesce((SELECT used FROM daily_counters WHERE user_id = ?1 AND name = ?2 AND day = ?3), 0) + ?4 <= ?5",
        user,
        quota.name(),
        day(now),
        amount,
        limit
    );
    [has_room, spend(quota, user, amount, now)]
}

/// Checks that today's `quota` is not used up.
///
/// # Errors
/// [`Error::TooManyRequests`] when it is.
pub(crate) async fn require(
    quota: Quota,
    user: &str,
    limits: &DailyLimits,
    database: &Database,
) -> Result<(), Error> {
    let Some(limit) = quota.limit(limits) else { return Ok(()) };
    let at = now_ms();
    let used: Option<i64> = database.query(used(quota, user, at)).await?.first()?;
    if used.unwrap_or_default() < limit { Ok(()) } else { Err(exceeded(quota, limit, at)) }
}

fn used(quota: Quota, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT CAST(used AS TEXT) AS json FROM daily_counters WHERE user_id = ?1 AND name = ?2 AND day = ?3",
        user,
        quota.name(),
        day(now)
    )
}

/// Books `amount`, which was spent already, even beyond the limit. Returns how much is used afterwards.
pub(crate) fn spend(quota: Quota, user: &str, amount: i64, now: i64) -> Statement {
    sql!(
        "INSERT INTO daily_counters (user_id, name, day, used) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id, name, day) DO UPDATE SET used = used + excluded.used
         RETURNING CAST(used AS TEXT) AS json",
        user,
        quota.name(),
        day(now),
        amount
    )
}

/// Returns `amount` to the quota of the day of `at`.
fn give_back(quota: Quota, user: &str, amount: i64, at: i64) -> Statement {
    sql!(
        "UPDATE daily_counters SET used = max(0, used - ?4) WHERE user_id = ?1 AND name = ?2 AND day = ?3",
        user,
        quota.name(),
        day(at),
        amount
    )
}

impl Taken {
    /// Returns all of it, because nothing was delivered.
    pub(crate) fn refund(&self) -> Statement {
        give_back(self.quota, &self.user, self.amount, self.at)
    }

    /// [`Self::refund`], whose failure is only logged.
    pub(crate) async fn give_back(&self, database: &Database) {
        if let Err(error) = database.query(self.refund()).await {
            log::failure("quotas.give_back", &error);
        }
    }

    /// Adds the headers for the remaining quota (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn add_headers(&self, response: Response) -> Response {
        let (name, reset_s) = (self.quota.name(), seconds_to_midnight(self.at));
        response
            .with_listed("ratelimit-policy", format!("\"{name}\";q={};w={}", self.limit, DAY_MS / 1000))
            .with_listed("ratelimit", format!("\"{name}\";r={};t={reset_s}", self.remaining))
    }
}

/// The error of an exceeded quota.
pub(crate) fn exceeded(quota: Quota, limit: i64, now: i64) -> Error {
    Error::TooManyRequests(Box::new(Exceeded {
        policy: quota.name(),
        code: quota.code(),
        detail: quota.describe(limit),
        limit,
        window_s: DAY_MS / 1000,
        reset_at_ms: (day(now) + 1) * DAY_MS,
        reset_s: seconds_to_midnight(now),
    }))
}

/// Today's usage of each quota that has a limit.
pub(crate) async fn usage(
    user: &str,
    limits: &DailyLimits,
    database: &Database,
) -> Result<serde_json::Value, Error> {
    let now = now_ms();
    let used = sql!(
        "SELECT json_group_object(name, used) AS json FROM daily_counters WHERE user_id = ?1 AND day = ?2",
        user,
        day(now)
    );
    let used: Option<std::collections::BTreeMap<String, i64>> = database.query(used).await?.first()?;
    let used = used.unwrap_or_default();
    let of = |quota: &Quota| {
        let limit = quota.limit(limits)?;
        let used = used.get(quota.name()).copied().unwrap_or_default();
        Some(json!({
            "name": quota.name(), "limit": limit, "used": used, "remaining": (limit - used).max(0),
            "resetsAt": crate::error::rfc3339((day(now) + 1) * DAY_MS),
        }))
    };
    Ok(Quota::ALL.iter().filter_map(of).collect())
}

/// Days since the Unix epoch.
pub(crate) fn day(now_ms: i64) -> i64 {
    now_ms.div_euclid(DAY_MS)
}

fn seconds_to_midnight(now_ms: i64) -> i64 {
    (DAY_MS - now_ms.rem_euclid(DAY_MS) + 999) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let midnight = 20_778 * DAY_MS;
        assert_eq!((day(midnight - 1), day(midnight)), (20_777, 20_778));
        assert_eq!((seconds_to_midnight(midnight), seconds_to_midnight(midnight - 1)), (86_400, 1));
        assert_eq!(seconds_to_midnight(midnight - 1_001), 2);
    }
}
