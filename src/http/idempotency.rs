//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header, and as
//! Stripe has it): a POST that is sent again is answered again, not done again.
//!
//! The first request with a key takes a row with a lease; its answer goes
//! into the row, and whoever comes after gets it. One that dies in between is
//! taken over when the lease, which it renewed while it lived, has run out: the
//! row's seed gives the same ids once more ([`crate::http::RequestContext::new_id`]),
//! so what had been made is found and not made twice. So it is after an error
//! that does not tell whether anything was made, and for an answer that is not
//! kept, a stream or one with a secret.

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
        clock::{now_ms, sleep, with_ticks},
        log, random,
        response::{Content, Response},
    },
    store::{Database, Statement, sql},
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["idempotency"],
    export: &[],
    delete: |user| vec![sql!("DELETE FROM idempotency WHERE tenant = ?1", user)],
    give: |from, _| vec![sql!(concat!("DELETE FROM idempotency WHERE tenant = ", released!()), from)],
};

const MAX_KEY_BYTES: usize = 255;
/// The longest body that is read to compare it: no route takes more.
const MAX_BODY_BYTES: usize = 10_000_000;
/// The longest answer that is kept.
const MAX_KEPT_BYTES: usize = 256 * 1024;
/// How long a request may be silent before it counts as dead, and how often
/// one that lives renews its lease.
const LEASE_MS: i64 = 15_000;
const RENEW_MS: u64 = 5_000;
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How long a request waits for another one with its key, look by look.
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

/// Whether a route honours the header: a POST of somebody's who is known.
pub(crate) fn takes_key(route: &Route) -> bool {
    route.method == "POST" && route.access != Access::Public
}

/// What a key leads to.
enum Lookup {
    /// This request is the one that does it.
    Do(Claim),
    /// It is done.
    Answer(Response),
}

/// Runs the route's handler unless its answer is known.
///
/// # Errors
/// The handler's; 400 for a key that is none, 409 while another request with
/// the key is in flight, 422 when the key was used for something else.
pub(crate) async fn run(mut context: RequestContext, route: &Route) -> Result<Response, Error> {
    let handler = route.handler;
    let header = if takes_key(route) { context.request.header("idempotency-key") } else { None };
    let (Some(key), Some(tenant)) = (header, context.caller.name()) else { return handler(context).await };
    let (tenant, env) = (tenant.to_owned(), context.env.clone());
    let claim = match look_up(key, tenant, &context).await? {
        Lookup::Answer(response) => return Ok(response),
        Lookup::Do(claim) => claim,
    };
    context.idempotency = Some(claim.clone());
    let answer = while_renewing(&claim, &env, handler(context)).await;
    if let Err(error) = note(&claim, &answer, &env).await {
        // The work is done; a repeat will find it by its ids.
        log::failure("idempotency.note", &error);
    }
    Ok(if claim.is_replay.get() { replayed(answer?) } else { answer? })
}

/// Runs `work`, and renews the lease of `claim` for as long as it takes.
async fn while_renewing<T>(claim: &Claim, env: &Env, work: impl Future<Output = T>) -> T {
    let renewal = async || {
        // Lost with the database, which then keeps the others waiting too.
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
    let mut asked = take(&claim, &request, now_ms());
    loop {
        let row: Option<Row> = database.query(asked).await?.first()?;
        let Some(row) = row else {
            // Whoever had the key has let it go.
            asked = take(&claim, &request, now_ms());
            continue;
        };
        if row.request != request {
            return Err(REUSED);
        }
        let (is_mine, is_again) = (row.owner == claim.owner, row.seed != claim.seed);
        match (row.status, row.body) {
            (Some(status), Some(body)) => {
                return Ok(Lookup::Answer(replayed(kept(status, row.headers, body))));
            }
            (None, _) if !is_mine => {}
            // Ours to do; or done, and its answer is made once more.
            _ => {
                claim.is_replay.set(row.status.is_some());
                return Ok(Lookup::Do(Claim { seed: row.seed, is_again, ..claim }));
            }
        }
        // Most are answered in a moment, and then all of them alike.
        let Some(pause) = pauses.next() else { return Err(IN_USE) };
        sleep(*pause).await;
        asked = find_key(&claim);
    }
}

/// The key that a header gives: as a string of structured fields (RFC 9651,
/// 3.3.3), which is the draft's form, or bare, which is Stripe's and means the same.
fn unquoted(header: &str) -> Cow<'_, str> {
    let inside = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.and_then(unescaped).unwrap_or(Cow::Borrowed(header))
}

/// The inside of such a string, in which only a quote and a backslash are escaped.
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

/// SHA-256 of all that tells one request from another, in hex.
async fn fingerprint(context: &RequestContext) -> Result<String, Error> {
    let request = &context.request;
    let body = request.keep_body(MAX_BODY_BYTES).await?;
    let mut hash = Sha256::new();
    hash.update(format!("{}?{}\n", request.path(), request.query()));
    hash.update(&body);
    Ok(base16ct::lower::encode_string(&hash.finalize()))
}

/// What the row of a key says.
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

/// Takes the key's row, new or with its lease run out, and answers with it
/// whoever has it.
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

/// The row as it is, for those who wait.
fn find_key(claim: &Claim) -> Statement {
    sql!(
        concat!("SELECT ", row_json!(), " FROM idempotency WHERE tenant = ?1 AND key = ?2"),
        claim.tenant.as_str(),
        claim.key.as_str()
    )
}

/// Keeps the answer; lets go of the key when nothing was done, and of the lease
/// alone when that is not known.
async fn note(claim: &Claim, answer: &Result<Response, Error>, env: &Env) -> Result<(), Error> {
    let statement = match answer {
        Ok(response) => keep(claim, response),
        Err(error) if error.status() < 500 && !claim.is_again => release(claim),
        Err(_) => renew(claim, 0),
    };
    write(statement, env).await
}

async fn write(statement: Statement, env: &Env) -> Result<(), Error> {
    Database::open(env)?.query(statement).await.map(drop)
}

/// Makes the lease last from `now` on; from 0, it has run out.
fn renew(claim: &Claim, now: i64) -> Statement {
    sql!(
        "UPDATE idempotency SET lease_until = ?4 WHERE tenant = ?1 AND key = ?2 AND owner = ?3 AND status IS NULL",
        claim.tenant.as_str(),
        claim.key.as_str(),
        claim.owner.as_str(),
        if now == 0 { 0 } else { now + LEASE_MS }
    )
}

fn keep(claim: &Claim, response: &Response) -> Statement {
    let body = match &response.content {
        Content::Bytes(bytes) if response.may_keep && bytes.len() <= MAX_KEPT_BYTES => {
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

fn kept(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let mut response = Response::json(status, body);
    for (name, value) in headers {
        match KEPT_HEADERS.iter().find(|known| **known == name) {
            Some(known) => response = response.with(known, value),
            None if name == "content-type" => response.content_type = value.into(),
            None => {}
        }
    }
    response
}

/// Headers of an answer that are of what was made, and not of when it was sent.
const KEPT_HEADERS: &[&str] = &["location", "etag"];

fn replayed(response: Response) -> Response {
    response.with("idempotency-replayed", "true")
}

/// Forgets the keys of more than a day ago.
pub(crate) async fn sweep(env: &Env) {
    let purge = sql!("DELETE FROM idempotency WHERE created_at < ?1", now_ms() - KEPT_MS);
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
            // What is no such string is taken as it is.
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
