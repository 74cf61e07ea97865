//! The SQL of the gateway.

use super::{dynamic_apps::store as dynamic_apps, stored::store as stored};
#[cfg(test)]
use crate::openapi::{Count, Id, Time};
use crate::{
    clouds,
    error::Error,
    identity,
    models::{buckets, budgets, reservations::release},
    platform::clock::DAY_MS,
    store::{
        Statement, guard,
        owned::{Owned, give},
        page::{Page, page},
        projects::rfc3339,
        shape::shape,
        sql,
    },
};
use constcat::concat;

/// How long an answer of the Responses API is stored.
pub(crate) const KEPT_MS: i64 = DAY_MS;
/// How long single calls are stored. `GET /v1/usage` goes back as far.
pub(super) const CALLS_DAYS: i64 = 100;

pub(crate) const OWNED: Owned = Owned {
    tables: &["model_calls", "model_responses", "guardrails", "stored_completions", "dynamic_app_responses"],
    export: &[
        ("modelCalls", calls),
        ("guardrails", policies),
        ("storedCompletions", stored::export),
        ("dynamicAppResponses", dynamic_apps::export),
    ],
    in_files: &["storedCompletions"],
    delete: |user| {
        vec![
            sql!("DELETE FROM model_calls WHERE user_id = ?1", user),
            sql!("DELETE FROM model_responses WHERE user_id = ?1", user),
            sql!("DELETE FROM guardrails WHERE user_id = ?1", user),
            stored::delete_all(user),
            dynamic_apps::delete_all(user),
        ]
    },
    give: |from, to| {
        vec![
            give!("model_calls", from, to),
            give!("model_responses", from, to),
            sql!(
                "DELETE FROM guardrails WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM guardrails WHERE user_id = ?2)",
                from,
                to
            ),
            give!("guardrails", from, to),
            stored::give(from, to),
            stored::leave(from),
            dynamic_apps::give(from, to),
        ]
    },
};

/// A call, as it is recorded.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) key: Option<String>,
    pub(super) at: i64,
    pub(super) day: String,
    pub(super) model: String,
    /// It is one that settings list, whether the catalogue's rows have it or not.
    pub(super) is_listed: bool,
    pub(super) status: u16,
    pub(super) attempts: u32,
    pub(super) is_hit: bool,
    pub(super) usage: hatch_dialects::Usage,
    pub(super) cost: i64,
    pub(super) is_estimated: bool,
    pub(super) first_token_ms: Option<i64>,
    pub(super) total_ms: i64,
}

/// Records a call. It replaces what the sweep has recorded if the call counted as lost.
pub(super) fn write(call: &Call) -> Statement {
    sql!(
        "INSERT INTO model_calls (id, user_id, key_id, created_at, day, model, status, attempts, cache, input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micro_usd, is_estimated,
           first_token_ms, total_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (id) DO UPDATE SET model = excluded.model, status = excluded.status, attempts = excluded.attempts,
           cache = excluded.cache, input_tokens = excluded.input_tokens, cache_read_tokens = excluded.cache_read_tokens,
           cache_write_tokens = excluded.cache_write_tokens, output_tokens = excluded.output_tokens,
           reasoning_tokens = excluded.reasoning_tokens, cost_micro_usd = excluded.cost_micro_usd,
           is_estimated = excluded.is_estimated, first_token_ms = excluded.first_token_ms, total_ms = excluded.total_ms",
        call.id.as_str(),
        call.user.as_str(),
        call.key.as_deref(),
        call.at,
        call.day.as_str(),
        call.model.as_str(),
        i64::from(call.status),
        call.attempts,
        if call.is_hit { "hit" } else { "miss" },
        tokens(call.usage.input),
        tokens(call.usage.cache_read),
        tokens(call.usage.cache_writes()),
        tokens(call.usage.output),
        tokens(call.usage.reasoning),
        call.cost,
        i64::from(call.is_estimated),
        call.first_token_ms,
        call.total_ms
    )
}

/// Records the lost calls with the cost of their prompts, and releases the rest of what was reserved for them.
pub(super) fn close_lost(now: i64) -> Vec<Statement> {
    let write = sql!(
        "INSERT INTO model_calls (id, user_id, key_id, created_at, day, model, status, attempts, cache, input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micro_usd, is_estimated,
           first_token_ms, total_ms)
         SELECT r.subject_id, r.user_id, r.call ->> 'key', r.call ->> 'at', date((r.call ->> 'at') / 1000, 'unixepoch'),
           r.call ->> 'model', 499, 1, 'miss', r.call ->> 'tokens', 0, 0, 0, 0, r.call ->> 'cost', 1, NULL, ?1 - (r.call ->> 'at')
         FROM model_reservations r WHERE r.until < ?1 AND r.call IS NOT NULL ON CONFLICT (id) DO NOTHING",
        now
    );
    [count_lost(now), write].into_iter().chain(release!("r.until < ?1", now)).collect()
}

/// Counts the lost calls for the operator, as [`count`] counts others. They have taken longer than any bound of the
/// histograms.
fn count_lost(now: i64) -> Statement {
    sql!(
        "INSERT INTO model_metrics (provider, model, outcome, calls, attempts, first_ms, total_ms, input_tokens, output_tokens,
           cost_micro_usd, first_buckets, total_buckets, attempt_buckets)
         SELECT provider, model, 'left', count(*), count(*), 0, sum(total_ms), sum(tokens), 0, sum(cost),
           '[0,0,0,0,0,0,0,0,0,0]', json_set('[0,0,0,0,0,0,0,0,0,0]', ?2, count(*)), json_set('[0,0,0,0,0]', ?3, count(*))
         FROM (
           SELECT lost.provider, lost.tokens, lost.cost, lost.total_ms,
             CASE WHEN lost.model = '' OR EXISTS (SELECT 1 FROM models WHERE id = lost.model)
               OR EXISTS (SELECT 1 FROM model_metrics m WHERE m.model = lost.model) THEN lost.model ELSE lost.provider || '/other' END AS model
           FROM (
             SELECT r.call ->> 'model' AS model, substr(r.call ->> 'model', 1, max(0, instr(r.call ->> 'model', '/') - 1)) AS provider,
               r.call ->> 'tokens' AS tokens, r.call ->> 'cost' AS cost, ?1 - (r.call ->> 'at') AS total_ms
             FROM model_reservations r
             WHERE r.until < ?1 AND r.call IS NOT NULL AND NOT EXISTS (SELECT 1 FROM model_calls c WHERE c.id = r.subject_id)
           ) lost
         ) WHERE true GROUP BY provider, model
         ON CONFLICT (model, outcome) DO UPDATE SET calls = calls + excluded.calls, attempts = attempts + excluded.attempts,
           total_ms = total_ms + excluded.total_ms, input_tokens = input_tokens + excluded.input_tokens,
           cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd,
           total_buckets = json_set(total_buckets, ?2, json_extract(total_buckets, ?2) + excluded.calls),
           attempt_buckets = json_set(attempt_buckets, ?3, json_extract(attempt_buckets, ?3) + excluded.calls)",
        now,
        buckets::of_time(i64::MAX),
        buckets::of_attempts(1)
    )
}

/// Counts a call for the operator. A name that neither catalogue nor settings have counts as its
/// provider's `other` until it has answered: names come from callers.
pub(super) fn count(call: &Call) -> Statement {
    let provider = call.model.split_once('/').map_or("", |(provider, _)| provider);
    let outcome = match call.status {
        200 if call.is_hit => "hit",
        200 => "ok",
        499 => "left",
        500.. => "failed",
        _ => "refused",
    };
    sql!(
        "INSERT INTO model_metrics (provider, model, outcome, calls, attempts, first_ms, total_ms, input_tokens, output_tokens,
           cost_micro_usd, first_buckets, total_buckets, attempt_buckets)
         SELECT ?1, CASE WHEN ?2 = '' OR ?13 OR ?3 IN ('ok', 'hit') OR EXISTS (SELECT 1 FROM models WHERE id = ?2)
             OR EXISTS (SELECT 1 FROM model_metrics WHERE model = ?2) THEN ?2 ELSE ?1 || '/other' END,
           ?3, 1, ?4, coalesce(?5, 0), ?6, ?7, ?8, ?9,
           CASE WHEN ?10 IS NULL THEN '[0,0,0,0,0,0,0,0,0,0]' ELSE json_set('[0,0,0,0,0,0,0,0,0,0]', ?10, 1) END,
           json_set('[0,0,0,0,0,0,0,0,0,0]', ?11, 1), json_set('[0,0,0,0,0]', ?12, 1)
         WHERE true
         ON CONFLICT (model, outcome) DO UPDATE SET calls = calls + 1, attempts = attempts + excluded.attempts,
           first_ms = first_ms + excluded.first_ms, total_ms = total_ms + excluded.total_ms,
           input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
           cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd,
           first_buckets = CASE WHEN ?10 IS NULL THEN first_buckets
             ELSE json_set(first_buckets, ?10, json_extract(first_buckets, ?10) + 1) END,
           total_buckets = json_set(total_buckets, ?11, json_extract(total_buckets, ?11) + 1),
           attempt_buckets = json_set(attempt_buckets, ?12, json_extract(attempt_buckets, ?12) + 1)",
        provider,
        call.model.as_str(),
        outcome,
        call.attempts,
        call.first_token_ms,
        call.total_ms,
        tokens(call.usage.input),
        tokens(call.usage.output),
        call.cost,
        call.first_token_ms.map(buckets::of_time),
        buckets::of_time(call.total_ms),
        buckets::of_attempts(call.attempts),
        i64::from(call.is_listed)
    )
}

/// Fails if the call is recorded.
pub(super) fn is_new(call: &Call) -> Statement {
    guard!("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM model_calls WHERE id = ?1)", call.id.as_str())
}

/// Adds a list of numbers to a column that has such a list.
macro_rules! plus {
    ($column:literal) => {
        concat!(
            $column,
            " = (SELECT json_group_array(a.value + b.value) FROM json_each(",
            $column,
            ") a
               CROSS JOIN json_each(excluded.",
            $column,
            ") b WHERE b.key = a.key)"
        )
    };
}

/// [`count`] and [`write`] for many calls, none of which may be recorded. Each list has the values of those statements.
pub(super) fn write_all(calls: &[&Call]) -> Result<[Statement; 2], Error> {
    let values = |statement: fn(&Call) -> Statement| {
        let rows: Vec<_> = calls.iter().map(|call| statement(call).values).collect();
        serde_json::to_string(&rows).map_err(|error| Error::Internal(error.to_string()))
    };
    let count = sql!(
        concat!(
            "INSERT INTO model_metrics (provider, model, outcome, calls, attempts, first_ms, total_ms, input_tokens, output_tokens,
               cost_micro_usd, first_buckets, total_buckets, attempt_buckets)
             SELECT provider, CASE WHEN c.model = '' OR max(listed) OR outcome IN ('ok', 'hit') OR EXISTS (SELECT 1 FROM models WHERE id = c.model)
                 OR EXISTS (SELECT 1 FROM model_metrics m WHERE m.model = c.model) THEN c.model ELSE provider || '/other' END,
               outcome, count(*), sum(attempts), coalesce(sum(first), 0), sum(total), sum(input), sum(output), sum(cost),
               json_array(sum(f IS '$[0]'), sum(f IS '$[1]'), sum(f IS '$[2]'), sum(f IS '$[3]'), sum(f IS '$[4]'),
                 sum(f IS '$[5]'), sum(f IS '$[6]'), sum(f IS '$[7]'), sum(f IS '$[8]'), sum(f IS '$[9]')),
               json_array(sum(t = '$[0]'), sum(t = '$[1]'), sum(t = '$[2]'), sum(t = '$[3]'), sum(t = '$[4]'),
                 sum(t = '$[5]'), sum(t = '$[6]'), sum(t = '$[7]'), sum(t = '$[8]'), sum(t = '$[9]')),
               json_array(sum(a = '$[0]'), sum(a = '$[1]'), sum(a = '$[2]'), sum(a = '$[3]'), sum(a = '$[4]'))
             FROM (
               SELECT value ->> 0 AS provider, value ->> 1 AS model, value ->> 2 AS outcome, value ->> 3 AS attempts, value ->> 4 AS first,
                 value ->> 5 AS total, value ->> 6 AS input, value ->> 7 AS output, value ->> 8 AS cost, value ->> 9 AS f,
                 value ->> 10 AS t, value ->> 11 AS a, value ->> 12 AS listed
               FROM json_each(?1)
             ) c GROUP BY c.model, outcome
             ON CONFLICT (model, outcome) DO UPDATE SET calls = calls + excluded.calls, attempts = attempts + excluded.attempts,
               first_ms = first_ms + excluded.first_ms, total_ms = total_ms + excluded.total_ms,
               input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
               cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd, ",
            plus!("first_buckets"), ", ", plus!("total_buckets"), ", ", plus!("attempt_buckets")
        ),
        values(count)?
    );
    let write = sql!(
        "INSERT INTO model_calls (id, user_id, key_id, created_at, day, model, status, attempts, cache, input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micro_usd, is_estimated,
           first_token_ms, total_ms)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15,
           value ->> 16, value ->> 17
         FROM json_each(?1)",
        values(write)?
    );
    Ok([count, write])
}

/// An upstream's count, limited to what the column holds.
fn tokens(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).min(1 << 50)
}

shape! {
/// A call, as it appears in an export.
    pub(crate) struct ExportedCall, CALL_JSON {
        id: Id = "id", Id("9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62");
        keyId: Option<Id> = "key_id", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-29T12:00:00.000Z");
        model: &'static str = "model", "anthropic/claude-sonnet-5-5";
        status: Count = "status", Count(200);
        attempts: Count = "attempts", Count(1);
        inputTokens: Count = "input_tokens", Count(9);
        outputTokens: Count = "output_tokens", Count(1);
        costMicroUsd: Count = "cost_micro_usd", Count(28);
    }
}

fn calls(user: &str, page: &Page) -> Statement {
    let (at, id) = page.bound();
    sql!(
        page!(
            rows: "FROM model_calls WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: CALL_JSON,
            bytes: "0"
        ),
        user,
        at,
        id,
        page.limit
    )
}

fn policies(user: &str, page: &Page) -> Statement {
    let (at, id) = page.bound();
    sql!(
        page!(
            rows: "FROM guardrails WHERE user_id = ?1 AND (updated_at, user_id) < (?2, ?3) ORDER BY updated_at DESC",
            key: "updated_at || '.' || user_id",
            json: POLICY,
            bytes: "0"
        ),
        user,
        at,
        id,
        page.limit
    )
}

/// Sums of a user's calls between two days, grouped by day, model and key.
pub(super) fn usage(user: &str, from: &str, to: &str, by: [bool; 3], key: Option<&str>) -> Statement {
    let [day, model, by_key] = by.map(i64::from);
    sql!(
        "SELECT json_group_array(json(row)) AS json FROM (
           SELECT json_object('day', CASE ?4 WHEN 1 THEN day END, 'model', CASE ?5 WHEN 1 THEN model END,
             'keyId', CASE ?6 WHEN 1 THEN key_id END, 'requests', count(*), 'failed', sum(status >= 400),
             'inputTokens', sum(input_tokens), 'cacheReadTokens', sum(cache_read_tokens),
             'cacheWriteTokens', sum(cache_write_tokens), 'outputTokens', sum(output_tokens),
             'reasoningTokens', sum(reasoning_tokens), 'costMicroUsd', sum(cost_micro_usd),
             'cacheHits', sum(cache = 'hit')) AS row
           FROM model_calls
           WHERE user_id = ?1 AND created_at >= unixepoch(?2) * 1000 AND created_at < unixepoch(?3, '+1 day') * 1000
             AND (?7 IS NULL OR key_id = ?7)
           GROUP BY CASE ?4 WHEN 1 THEN day END, CASE ?5 WHEN 1 THEN model END, CASE ?6 WHEN 1 THEN key_id END
           ORDER BY 1 LIMIT 10000)",
        user,
        from,
        to,
        day,
        model,
        by_key,
        key
    )
}

/// A user's guardrails as JSON. A text that is none is a JSON string, which is no policy: it must fail the calls
/// of its user, and not the statement.
const POLICY: &str = "CASE json_valid(policy) WHEN 1 THEN json(policy) ELSE json_quote(policy) END";

/// Selects the [`Account`](super::account::Account) of the only row of a table with the column `user_id`.
macro_rules! account {
    ($owner:expr) => {
        concat!(
            "SELECT json_object('policy', json((SELECT ",
            POLICY,
            " FROM guardrails WHERE user_id = owner.user_id)), 'keys', json((",
            clouds::store::sealed_list!("owner.user_id"),
            "))) AS json FROM ",
            $owner,
            " owner"
        )
    };
}

pub(super) fn account(user: &str) -> Statement {
    sql!(account!("(SELECT ?1 AS user_id)"), user)
}

/// [`account`] of the owner of a token.
pub(crate) fn account_of_token(hash: &str) -> Statement {
    sql!(account!(identity::store::owner!()), hash)
}

/// A user's guardrails, as JSON text.
pub(super) fn policy(user: &str) -> Statement {
    sql!(concat!("SELECT ", POLICY, " AS json FROM guardrails WHERE user_id = ?1"), user)
}

pub(super) fn put_policy(user: &str, policy: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO guardrails (user_id, policy, updated_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id) DO UPDATE SET policy = excluded.policy, updated_at = excluded.updated_at",
        user,
        policy,
        now
    )
}

/// An answer of the Responses API to store. `items` and `body` are JSON.
pub(super) struct NewResponse<'a> {
    pub(super) id: &'a str,
    /// All items up to the answer's own; only their ids if there is a file.
    pub(super) items: &'a str,
    /// How many of them are before the answer's own.
    pub(super) input_items: usize,
    /// The answer; `null` if there is a file.
    pub(super) body: &'a str,
    /// The key of the object that holds both if they are too large for a row.
    pub(super) file: Option<&'a str>,
}

pub(super) fn keep(user: &str, response: &NewResponse<'_>, now: i64) -> Statement {
    sql!(
        "INSERT INTO model_responses (id, user_id, items, input_items, body, file, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        response.id,
        user,
        response.items,
        i64::try_from(response.input_items).unwrap_or_default(),
        response.body,
        response.file,
        now + KEPT_MS
    )
}

/// The items of a stored answer: [`super::stored::responses::KeptItems`].
pub(super) fn kept_items(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT json_object('items', json(items), 'inputItems', input_items, 'file', file) AS json
         FROM model_responses WHERE id = ?1 AND user_id = ?2 AND expires_at > ?3",
        id,
        user,
        now
    )
}

pub(super) fn kept_body(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT body AS json FROM model_responses WHERE id = ?1 AND user_id = ?2 AND expires_at > ?3",
        id,
        user,
        now
    )
}

/// Finds an answer that is kept: a row if there is one.
pub(super) fn is_kept(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT 'true' AS json FROM model_responses WHERE id = ?1 AND user_id = ?2 AND expires_at > ?3",
        id,
        user,
        now
    )
}

/// The key of the object that holds an answer, if there is one.
pub(super) fn kept_file(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT json_quote(file) AS json FROM model_responses
         WHERE id = ?1 AND user_id = ?2 AND expires_at > ?3 AND file IS NOT NULL",
        id,
        user,
        now
    )
}

/// The items of these ids (a JSON list) in a user's newest stored answers, from the newest that has them:
/// [`super::stored::responses::NamedItem`]. Each answer is stored with all items before it.
pub(super) fn kept_named(ids: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT json_object('item', json(item.value), 'file', r.file) AS json, max(r.expires_at) FROM (
           SELECT items, file, expires_at FROM model_responses WHERE user_id = ?2 AND expires_at > ?3
           ORDER BY expires_at DESC LIMIT 50
         ) r, json_each(r.items) item
         WHERE item.value ->> 'id' IN (SELECT value FROM json_each(?1)) GROUP BY item.value ->> 'id' LIMIT 500",
        ids,
        user,
        now
    )
}

/// Returns a row if there was such an answer.
pub(super) fn forget_kept(id: &str, user: &str) -> Statement {
    sql!(
        "DELETE FROM model_responses WHERE id = ?1 AND user_id = ?2 RETURNING json_quote(id) AS json",
        id,
        user
    )
}

/// Deletes expired rows.
pub(super) fn forget(now: i64) -> Vec<Statement> {
    let mut statements = close_lost(now);
    statements.extend(budgets::forget(now));
    statements.push(sql!("DELETE FROM model_responses WHERE expires_at <= ?1", now));
    statements.push(stored::forget(now));
    statements.push(dynamic_apps::forget(now));
    statements.push(sql!("DELETE FROM model_calls WHERE created_at < ?1", now - CALLS_DAYS * DAY_MS));
    statements
}
