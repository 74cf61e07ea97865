//! The limits of a day: how many messages each user has sent, and how many apps all users have begun.

use constcat::concat;
use serde::Deserialize;

use crate::store::{Statement, guard, sql};

/// The daily counters: messages of each user, and new apps of all users under an empty id.
const MESSAGES: &str = "app-messages-day";
const APPS: &str = "apps-day";
const EVERYBODY: &str = "";

/// The messages of a user's day.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::apps) struct Usage {
    pub(in crate::apps) used: i64,
    pub(in crate::apps) limit: i64,
}

/// A user's messages of a day, `{"used", "limit"}`. `?2` is the day, `?3` the default limit.
pub(super) const USAGE: &str = "json_object('used', coalesce((SELECT used FROM daily_counters
    WHERE user_id = ?1 AND name = 'app-messages-day' AND day = ?2), 0),
  'limit', coalesce((SELECT daily_message_limit FROM custom_message_limits WHERE user_id = ?1), CAST(?3 AS INTEGER)))";

pub(in crate::apps) fn usage(user: &str, day: i64, default: i64) -> Statement {
    sql!(concat!("SELECT ", USAGE, " AS json"), user, day, default)
}

/// Checks the limit of a user's day, and counts a message.
pub(in crate::apps) fn count_message(user: &str, day: i64, default: i64) -> [Statement; 2] {
    [
        guard!(
            "SELECT 1 WHERE coalesce((SELECT used FROM daily_counters
               WHERE user_id = ?1 AND name = 'app-messages-day' AND day = ?2), 0)
             < coalesce((SELECT daily_message_limit FROM custom_message_limits WHERE user_id = ?1), CAST(?3 AS INTEGER))",
            user,
            day,
            default
        ),
        add_one(user, MESSAGES, day),
    ]
}

/// Checks the daily limit of new apps, and counts one. An exempt user is counted too.
pub(in crate::apps) fn count_app(day: i64, limit: i64, is_exempt: bool) -> [Statement; 2] {
    [
        guard!(
            "SELECT 1 WHERE ?4 OR coalesce((SELECT used FROM daily_counters
               WHERE user_id = ?1 AND name = 'apps-day' AND day = ?2), 0) < CAST(?3 AS INTEGER)",
            EVERYBODY,
            day,
            limit,
            i64::from(is_exempt)
        ),
        add_one(EVERYBODY, APPS, day),
    ]
}

fn add_one(user: &str, name: &str, day: i64) -> Statement {
    sql!(
        "INSERT INTO daily_counters (user_id, name, day, used) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (user_id, name, day) DO UPDATE SET used = used + 1",
        user,
        name,
        day
    )
}

/// Uncounts the message of a turn without any answer. Must run before the turn is ended.
pub(in crate::apps) fn refund(turn: &str) -> Statement {
    sql!(
        "UPDATE daily_counters SET used = max(0, used - 1)
         WHERE (user_id, name, day) IN (SELECT user_id, 'app-messages-day', counted_day FROM app_turns
           WHERE id = ?1 AND status = 'running' AND steps = 0)",
        turn
    )
}

/// Sets how many messages a user may send in a day. Returns a row if the user exists.
pub(in crate::apps) fn set_limit(user: &str, limit: i64, now: i64) -> Statement {
    sql!(
        "INSERT INTO custom_message_limits (user_id, daily_message_limit, updated_at)
         SELECT id, ?2, ?3 FROM users WHERE id = ?1
         ON CONFLICT (user_id) DO UPDATE SET daily_message_limit = excluded.daily_message_limit, updated_at = excluded.updated_at
         RETURNING json_object('id', user_id) AS json",
        user,
        limit,
        now
    )
}
