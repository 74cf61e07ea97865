//! How many messages a user may send in a day (UTC), and how many apps all
//! users together may begin. One batch of statements both counts a message and
//! begins its turn (message.rs), so that a message is never accepted uncounted.
//!
//! Handler: [`show`].

use serde_json::json;

use super::{
    settings::Apps,
    store::{self, limits::Usage},
};
use crate::{
    error::{Error, Exceeded, rfc3339},
    http::RequestContext,
    platform::{
        clock::{DAY_MS, now_ms},
        response::Response,
    },
    settings::{FromVars as _, Settings},
    store::Database,
};

pub(super) const MESSAGES: &str = "daily_message_limit_reached";
pub(super) const APPS: &str = "daily_apps_limit_reached";

/// Days since the Unix epoch.
pub(super) fn day(now: i64) -> i64 {
    now.div_euclid(DAY_MS)
}

fn midnight(now: i64) -> i64 {
    (day(now) + 1) * DAY_MS
}

/// A user's messages of today, and their limit.
pub(super) async fn usage(user: &str, settings: &Settings, database: &Database) -> Result<Usage, Error> {
    let default = Apps::of(settings)?.daily_messages;
    let usage = database.query(store::limits::usage(user, day(now_ms()), default)).await?;
    usage.first()?.ok_or_else(|| Error::Internal("no usage".to_owned()))
}

impl Usage {
    fn remaining(self) -> i64 {
        (self.limit - self.used).max(0)
    }

    /// Adds the headers that the original's clients read.
    pub(super) fn add_headers(self, response: Response) -> Response {
        response
            .with("x-dailylimit-limit", self.limit.to_string())
            .with("x-dailylimit-remaining", self.remaining().to_string())
            .with("x-dailylimit-usage", self.used.to_string())
            .with("x-dailylimit-reset", rfc3339(midnight(now_ms())))
    }
}

/// `GET /message-limit`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let usage = usage(user, &context.settings, &context.database()?).await?;
    let body = json!({
        "isUserLimitReached": usage.remaining() == 0, "dailyMessageLimit": usage.limit, "remainingMessages": usage.remaining(),
        "currentUsage": usage.used, "nextResetTime": rfc3339(midnight(now_ms())),
    });
    Ok(usage.add_headers(Response::json(200, body.to_string())))
}

/// The error for a user who has sent all messages of the day.
pub(super) fn messages_exceeded(limit: i64, now: i64) -> Error {
    exceeded(
        "app-messages-day",
        MESSAGES,
        format!("You have sent your {limit} messages of today"),
        limit,
        now,
    )
}

/// The error if all users together have begun as many apps as a day allows.
pub(super) fn apps_exceeded(limit: i64, now: i64) -> Error {
    let detail =
        "This service has begun as many new apps as it allows in a day; try again tomorrow".to_owned();
    exceeded("apps-day", APPS, detail, limit, now)
}

fn exceeded(policy: &'static str, code: &'static str, detail: String, limit: i64, now: i64) -> Error {
    Error::TooManyRequests(Box::new(Exceeded {
        policy,
        code,
        detail,
        limit,
        window_s: DAY_MS / 1000,
        reset_at_ms: midnight(now),
        reset_s: (midnight(now) - now + 999) / 1000,
    }))
}

/// Adds the headers that the original's clients read with a refusal.
pub(super) fn refusal_headers(exceeded: &Exceeded, response: Response) -> Response {
    let (limit, reset) = (exceeded.limit.to_string(), rfc3339(exceeded.reset_at_ms));
    match exceeded.code {
        MESSAGES => response
            .with("x-dailylimit-limit", limit.clone())
            .with("x-dailylimit-remaining", "0")
            .with("x-dailylimit-usage", limit)
            .with("x-dailylimit-reset", reset),
        APPS => response.with("x-daily-apps-limit", limit).with("x-daily-apps-reset", reset),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let noon = 20_778 * DAY_MS + DAY_MS / 2;
        assert_eq!(day(noon), 20_778);
        assert_eq!(midnight(noon), 20_779 * DAY_MS);
        assert_eq!(midnight(20_779 * DAY_MS), 20_780 * DAY_MS);
        let Error::TooManyRequests(exceeded) = messages_exceeded(10, noon) else { panic!() };
        assert_eq!(exceeded.reset_s, 43_200);
    }
}
