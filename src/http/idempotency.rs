//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header, and as Stripe has it): a repeated
//! POST gets the first response again and does nothing twice.
//!
//! The first request with a key takes a row with a lease and stores its response there; later
//! requests get that response. A running request renews its lease. When it dies, a repeat takes the
//! row over after the lease has expired; the row's seed gives the same ids again
//! ([`crate::http::RequestContext::new_id`]), so the repeat finds what was created already. The
//! same happens after an error that leaves the result unknown, and for a response that is not
//! stored (a stream, or one with a secret).

use std::{borrow::Cow, cell::Cell, future::Future, rc::Rc};

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use worker::Env;

use crate::store::owned::{Owned, released};
use crate::{
    error::Error,
    http::{RequestContext, caller::Access, claim::Claim, route::Route},
    platform::{
        clock::{DAY_MS, now_ms, sleep, with_ticks},
        log, random,
        response::{Content, Response},
    },
    store::{Database, Statement, sql},
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["idempotency"],
    export: &[],
    in_files: &[],
    delete: |user| vec![sql!("DELETE FROM idempotency WHERE tenant = ?1", user)],
    give: |from, _| vec![sql!(concat!("DELETE FROM idempotency WHERE tenant = ", released!()), from)],
};

const MAX_KEY_BYTES: usize = 255;
/// The longest body that is hashed for the comparison; no route accepts more.
const MAX_BODY_BYTES: usize = 10_000_000;
/// The longest response that is stored.
const MAX_STORED_BYTES: usize = 256 * 1024;
/// How long a request may be silent before it counts as dead, and how often a running one renews
/// its lease.
const LEASE_MS: i64 = 15_000;
const RENEW_MS: u64 = 5_000;
const STORED_MS: i64 = DAY_MS;

/// The pauses of a request that waits for another one with its key.
const PAUSES_MS: &[u64] = &[20, 40, 80, 160, 320, 640, 640];

pub(crate) const IN_USE: Error = Error::InProgress {
    code: "idempotency_key_in_use",
    detail: "A request with this Idempotency-Key is being worked on; try again in a moment",
};

pub(crate) const REUSED: Error = Error::Unprocessable {
    code: "idempotency_key_reused",
    detail: "This Idempotency-Key was used for another request; use a new one, or send the same bytes again: bodies are \
             compared byte by byte, so that other white space or another order of fields makes another request",
};

pub(crate) fn wrong_key() -> Error {
    Error::invalid("Idempotency-Key", format!("must have 1 to {MAX_KEY_BYTES} visible characters"))
}

/// Whether a route honours the header: a POST of an authenticated caller.
pub(crate) fn takes_key(route: &Route) -> bool {
    route.method == "POST" && route.access != Access::Public
}

/// The result of looking up a key.
enum Lookup {
    /// This request does the work.
    Do(Claim),
    /// The work was done before; this is the stored response.
    Replay(Response),
}

/// Runs the route's handler, unless its response is stored.
///
/// # Errors
/// The handler's errors; 400 for a malformed key, 409 while another request with the key is
/// running, 422 when the key was used for another request.
pub(crate) async fn run(mut context: RequestContext, route: &Route) -> Result<Response, Error> {
    let handler = route.handler;
    let header = if takes_key(route) { context.request.header("idempotency-key") } else { None };
    let (Some(key), Some(tenant)) = (header, context.caller.name()) else { return handler(context).await };
    let (tenant, env) = (tenant.to_owned(), context.env.clone());
    let claim = match look_up(key, tenant, &context).await? {
        Lookup::Replay(response) => return Ok(response),
        Lookup::Do(claim) => claim,
    };
    context.idempotency = Some(claim.clone());
    let answer = while_renewing(&claim, &env, handler(context)).await;
    if let Err(error) = note(&claim, &answer, &env).await {
        // The work is done; a repeat finds its result by the ids.
        log::failure("idempotency.note", &error);
    }
    Ok(if claim.is_replay.get() { replayed(answer?) } else { answer? })
}

/// Runs `work` and renews the lease of `claim` while it runs.
async fn while_renewing<T>(claim: &Claim, env: &Env, work: impl Future<Output = T>) -> T {
    let renewal = async || {
        // A renewal fails only without the database, where a takeover would fail too.
        let _ = write(renew(claim, now_ms()), env).await;
    };
    with_ticks(RENEW_MS, renewal, work).await
}

async fn look_up(header: String, tenant: String, context: &RequestContext) -> Result<Lookup, Error> {
    let key = unquoted(&header).into_owned();
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(wrong_key());
    }
    let request = fingerprint(context).await?;
    let is_replay = Rc::new(Cell::new(false));
    let claim =
        Claim { tenant, key, owner: random::uuid()?, seed: random::uuid()?, is_again: false, is_replay };
    let database = context.database()?;
    let mut pauses = PAUSES_MS.iter();
    let mut statement = take(&claim, &request, now_ms());
    loop {
        let row: Option<Row> = database.query(statement).await?.first()?;
        let Some(row) = row else {
            // The request that held the key has released it.
            statement = take(&claim, &request, now_ms());
            continue;
        };
        if row.request != request {
            return Err(REUSED);
        }
        let (is_mine, is_again) = (row.owner == claim.owner, row.seed != claim.seed);
        match (row.status, row.body) {
            (Some(status), Some(body)) => {
                return Ok(Lookup::Replay(replayed(stored_response(status, row.headers, body))));
            }
            (None, _) if !is_mine => {}
            // Ours to do; or done without a stored response, which is made once more.
            _ => {
                claim.is_replay.set(row.status.is_some());
                return Ok(Lookup::Do(Claim { seed: row.seed, is_again, ..claim }));
            }
        }
        // Most requests finish in a moment, and then every waiting one gets the response.
        let Some(pause) = pauses.next() else { return Err(IN_USE) };
        sleep(*pause).await;
        statement = find_key(&claim);
    }
}

/// The key in a header: a string of structured fields (RFC 9651, 3.3.3), which is the draft's form,
/// or bare, which is Stripe's form and means the same.
fn unquoted(header: &str) -> Cow<'_, str> {
    let inside = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.and_then(unescaped).unwrap_or(Cow::Borrowed(header))
}

/// The content of such a string, where only quotes and backslashes are escaped.
fn unescaped(inside: &str) -> Option<Cow<'_, str>> {
    if !inside.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inside));
    }
    let (mut text, mut rest) = (String::with_capacity(inside.len()), inside.chars());
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => text.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => text.push(c),
        }
    }
    Some(Cow::Owned(text))
}

/// SHA-256 in hex of everything that distinguishes two requests.
async fn fingerprint(context: &RequestContext) -> Result<String, Error> {
    let request = &context.request;
    let body = request.keep_body(MAX_BODY_BYTES).await?;
    let mut hash = Sha256::new();
    hash.update(format!("{}?{}\n", request.path(), request.query()));
    hash.update(&body);
    Ok(base16ct::lower::encode_string(&hash.finalize()))
}

/// The row of a key.
#[derive(Deserialize)]
struct Row {
    request: String,
    seed: String,
    owner: String,
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

macro_rules! row_json {
    () => {
        "json_object('request', request, 'seed', seed, 'owner', owner, 'status', status, \
         'headers', json(coalesce(headers, '[]')), 'body', body) AS json"
    };
}

/// Takes the key's row when it is new or its lease has expired, and returns the row whichever
/// request holds it.
fn take(claim: &Claim, request: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO idempotency (tenant, key, request, seed, owner, lease_until, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (tenant, key) DO UPDATE SET
               owner = CASE WHEN status IS NULL AND lease_until <= ?7 AND request = ?3 THEN ?5 ELSE owner END,
               lease_until =
                 CASE WHEN status IS NULL AND lease_until <= ?7 AND request = ?3 THEN ?6 ELSE lease_until END
             RETURNING ",
            row_json!()
        ),
        claim.tenant.as_str(),
        claim.key.as_str(),
        request,
        claim.seed.as_str(),
        claim.owner.as_str(),
        now + LEASE_MS,
        now
    )
}

/// Reads the row, for a request that waits.
fn find_key(claim: &Claim) -> Statement {
    sql!(
        concat!("SELECT ", row_json!(), " FROM idempotency WHERE tenant = ?1 AND key = ?2"),
        claim.tenant.as_str(),
        claim.key.as_str()
    )
}

/// Stores the response. Releases the key when nothing was done, and only the lease when the result
/// is unknown.
async fn note(claim: &Claim, answer: &Result<Response, Error>, env: &Env) -> Result<(), Error> {
    let statement = match answer {
        Ok(response) => store_response(claim, response),
        Err(error) if error.status() < 500 && !claim.is_again => release(claim),
        Err(_) => renew(claim, 0),
    };
    write(statement, env).await
}

async fn write(statement: Statement, env: &Env) -> Result<(), Error> {
    Database::open(env)?.query(statement).await.map(drop)
}

/// Extends the lease from `now`; 0 ends it.
fn renew(claim: &Claim, now: i64) -> Statement {
    sql!(
        "UPDATE idempotency SET lease_until = ?4 WHERE tenant = ?1 AND key = ?2 AND owner = ?3 AND status IS NULL",
        claim.tenant.as_str(),
        claim.key.as_str(),
        claim.owner.as_str(),
        if now == 0 { 0 } else { now + LEASE_MS }
    )
}

fn store_response(claim: &Claim, response: &Response) -> Statement {
    let body = match &response.content {
        Content::Bytes(bytes) if response.may_keep && bytes.len() <= MAX_STORED_BYTES => {
            std::str::from_utf8(bytes).ok()
        }
        Content::Empty => Some(""),
        _ => None,
    };
    let mut headers: Vec<(&str, &str)> = vec![("content-type", &response.content_type)];
    headers.extend(response.headers.iter().map(|(name, value)| (*name, value.as_str())));
    sql!(
        "UPDATE idempotency SET status = ?4, headers = ?5, body = ?6
         WHERE tenant = ?1 AND key = ?2 AND owner = ?3 AND status IS NULL",
        claim.tenant.as_str(),
        claim.key.as_str(),
        claim.owner.as_str(),
        i64::from(response.status),
        json!(headers).to_string(),
        body
    )
}

fn release(claim: &Claim) -> Statement {
    sql!(
        "DELETE FROM idempotency WHERE tenant = ?1 AND key = ?2 AND owner = ?3 AND status IS NULL",
        claim.tenant.as_str(),
        claim.key.as_str(),
        claim.owner.as_str()
    )
}

fn stored_response(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let mut response = Response::json(status, body);
    for (name, value) in headers {
        match STORED_HEADERS.iter().find(|known| **known == name) {
            Some(known) => response = response.with(known, value),
            None if name == "content-type" => response.content_type = value.into(),
            None => {}
        }
    }
    response
}

/// Headers that describe what was created, not when the response was sent.
const STORED_HEADERS: &[&str] = &["location", "etag"];

fn replayed(response: Response) -> Response {
    response.with("idempotency-replayed", "true")
}

/// Deletes the keys that are older than a day.
pub(crate) async fn sweep(env: &Env) {
    let purge = sql!("DELETE FROM idempotency WHERE created_at < ?1", now_ms() - STORED_MS);
    let purged: Result<_, Error> = async { Database::open(env)?.query(purge).await }.await;
    if let Err(error) = purged {
        log::failure("idempotency.sweep", &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quoted_and_the_bare_form_of_a_key_are_one_key() {
        for (header, key) in [
            ("k", "k"),
            ("\"k\"", "k"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("\"\"", ""),
            // Any other text is the key as it is.
            ("\"", "\""),
            ("\"k", "\"k"),
            ("k\"", "k\""),
            (r#""a"b""#, r#""a"b""#),
            (r#""a\""#, r#""a\""#),
            (r#""a\n""#, r#""a\n""#),
        ] {
            assert_eq!(unquoted(header), key, "{header}");
        }
    }
}
