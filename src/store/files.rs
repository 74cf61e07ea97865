//! Files in R2, which are too large for a row or are streamed.

use serde::Deserialize;
use worker::{Bucket, Env, Range};

use super::{Database, Statement, sql};
use crate::{
    error::Error,
    platform::{
        clock::{HOUR_MS, now_ms},
        log,
        stream::Body,
    },
    settings::binding,
};

/// The most objects that one sweep deletes: R2's limit per call.
const MOST: u32 = 1_000;

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: worker::Error) -> Error {
    Error::Internal(format!("R2: {error}"))
}

fn bucket(env: &Env) -> Result<Bucket, Error> {
    env.bucket(binding::FILES).map_err(failed)
}

/// How long a step has to claim an object that it wrote. Before the write it records the object in
/// `unused_files`; after this time the sweep deletes it.
pub(crate) const UNCLAIMED_MS: i64 = HOUR_MS;

/// Marks an object as used; belongs in the batch that writes the row with its key.
pub(crate) fn claim(key: &str) -> Statement {
    sql!("DELETE FROM unused_files WHERE key = ?1", key)
}

/// Writes an object. A key always gets the same bytes.
pub(crate) async fn put(env: &Env, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
    bucket(env)?.put(key, bytes).execute().await.map(drop).map_err(failed)
}

/// Writes an object that the sweep deletes later, unless it is claimed.
pub(crate) async fn put_unclaimed(
    env: &Env,
    database: &Database,
    key: &str,
    bytes: Vec<u8>,
) -> Result<(), Error> {
    database.query(announce(key, now_ms() + UNCLAIMED_MS)).await?;
    put(env, key, bytes).await
}

/// Records an object before it is written, as unused from `since` on.
fn announce(key: &str, since: i64) -> Statement {
    sql!("INSERT OR REPLACE INTO unused_files (key, since) VALUES (?1, ?2)", key, since)
}

/// Reads `length` bytes of an object from `offset` as a stream; `None` when there is no such
/// object.
pub(crate) async fn read(env: &Env, key: &str, offset: u64, length: u64) -> Result<Option<Body>, Error> {
    read_range(env, key, Range::OffsetWithLength { offset, length }).await
}

/// Reads an object from `offset` to its end, as [`read`].
pub(crate) async fn read_from(env: &Env, key: &str, offset: u64) -> Result<Option<Body>, Error> {
    read_range(env, key, Range::OffsetToEnd { offset }).await
}

async fn read_range(env: &Env, key: &str, range: Range) -> Result<Option<Body>, Error> {
    let object = bucket(env)?.get(key).range(range).execute().await.map_err(failed)?;
    let Some(body) = object.as_ref().and_then(worker::Object::body) else { return Ok(None) };
    match body.response_body().map_err(failed)? {
        worker::ResponseBody::Stream(stream) => Ok(Some(Body::new(stream))),
        _ => Ok(None),
    }
}

/// Reads a whole object as text; `None` when there is no such object.
pub(crate) async fn read_text(env: &Env, key: &str) -> Result<Option<String>, Error> {
    let object = bucket(env)?.get(key).execute().await.map_err(failed)?;
    let Some(body) = object.as_ref().and_then(worker::Object::body) else { return Ok(None) };
    body.text().await.map(Some).map_err(failed)
}

#[derive(Deserialize)]
struct Unused {
    key: String,
}

/// Deletes objects that no row uses. A key is removed only after its object is gone.
pub(crate) async fn sweep(env: &Env) {
    if let Err(error) = delete_unused(env).await {
        log::failure("files.sweep", &error);
    }
}

async fn delete_unused(env: &Env) -> Result<(), Error> {
    let database = Database::open(env)?;
    let unused: Vec<Unused> = database.query(unused(now_ms())).await?.read()?;
    if unused.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = unused.into_iter().map(|unused| unused.key).collect();
    bucket(env)?.delete_multiple(keys.clone()).await.map_err(failed)?;
    let keys = serde_json::to_string(&keys).map_err(|e| Error::Internal(e.to_string()))?;
    database.query(forget(&keys)).await.map(drop)
}

fn unused(now: i64) -> Statement {
    sql!("SELECT json_object('key', key) AS json FROM unused_files WHERE since <= ?1 LIMIT ?2", now, MOST)
}

fn forget(keys: &str) -> Statement {
    sql!("DELETE FROM unused_files WHERE key IN (SELECT value FROM json_each(?1))", keys)
}
