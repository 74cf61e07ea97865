//! The audit log: who did what, in a form that shows later changes.
//!
//! An entry is written in the same batch as the change that it records, into a
//! table whose triggers refuse UPDATE and DELETE. Soon after, the sweep or a
//! verification seals it: a hash of the entry and of the hash before it goes
//! into a second such table. A change that gets around the triggers breaks the
//! chain, and anyone who noted its last hash can prove it.

mod chain;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::Env;

#[cfg(test)]
use crate::openapi::{Count, Time};
use crate::{
    error::Error,
    platform::log,
    store::{Database, Statement, page, page::Page, projects::rfc3339, shape::shape, sql},
};

/// How many entries are sealed or verified at a time.
const BATCH: i64 = 500;

/// Writes an entry, in the batch of the change that it records.
pub(crate) fn entry(actor: &str, action: &str, subject: &str, request_id: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO audit_log (at, actor, action, subject, request_id) VALUES (?1, ?2, ?3, ?4, ?5)",
        now,
        actor,
        action,
        subject,
        request_id
    )
}

/// Writes an [`entry`] only if the statement right before it changed a row.
pub(crate) fn entry_of_change(
    actor: &str,
    action: &str,
    subject: &str,
    request_id: &str,
    now: i64,
) -> Statement {
    sql!(
        "INSERT INTO audit_log (at, actor, action, subject, request_id) SELECT ?1, ?2, ?3, ?4, ?5
         WHERE changes() > 0",
        now,
        actor,
        action,
        subject,
        request_id
    )
}

shape! {
    /// An entry of the audit log.
    pub(crate) struct Entry, ENTRY_JSON {
        seq: Count = "seq", Count(1);
        at: Time = rfc3339!("at"), Time("2026-11-21T12:00:00.000Z");
        /// A user's id, or `operator`.
        actor: &'static str = "actor", "8d2e6b4f-1a70-4c93-b5e8-0f9a7c3d2e61";
        action: &'static str = "action", "key.create";
        /// The id of the changed object.
        subject: &'static str = "subject", "5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305";
        requestId: &'static str = "request_id", "req_01890a5d-ac96-774b-bcce-b302099a8057";
        /// The hash of the entry and of the hash before it; null until the entry is sealed.
        hash: Option<&'static str> = "hash", Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    }
}

/// Newest first.
pub(crate) fn list(page: &Page) -> Statement {
    let (seq, _) = page.bound();
    sql!(
        page!(
            rows: "FROM audit_log LEFT JOIN audit_chain USING (seq) WHERE seq < ?2 AND ?1 = '' AND ?3 = ?3 ORDER BY seq DESC",
            key: "seq || '.'",
            json: ENTRY_JSON,
            bytes: "0"
        ),
        "",
        seq,
        "",
        page.limit
    )
}

/// Seals the entries that are not sealed yet. Concurrent runs write the same hashes.
async fn seal(database: &Database) -> Result<(), Error> {
    loop {
        let [last, entries] = database.batch([last_link(), unsealed()]).await?;
        let entries: Vec<chain::Entry> = entries.read()?;
        if entries.is_empty() {
            return Ok(());
        }
        let last: Option<Link> = last.first()?;
        let mut hash = last.map_or_else(String::new, |link| link.hash);
        let links: Vec<Value> = entries
            .iter()
            .map(|entry| {
                hash = chain::link(&hash, entry);
                json!([entry.seq, hash])
            })
            .collect();
        database.query(add_links(&json!(links).to_string())).await?;
    }
}

/// Seals new entries from time to time.
pub(crate) async fn sweep(env: &Env) {
    let sealed: Result<_, Error> = async { seal(&Database::open(env)?).await }.await;
    if let Err(error) = sealed {
        log::failure("audit.sweep", &error);
    }
}

/// The result of a verification.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    pub(crate) intact: bool,
    #[cfg_attr(test, schemars(with = "Count"))]
    pub(crate) entries: i64,
    /// The newest hash. A copy of it, kept elsewhere, reveals any later change.
    pub(crate) head: String,
    /// The first entry that was changed or deleted, or the first one that was
    /// inserted later between others.
    pub(crate) broken_at: Option<i64>,
}

/// Seals the remaining entries, then checks the chain from its beginning.
pub(crate) async fn verify(database: &Database) -> Result<Verdict, Error> {
    seal(database).await?;
    let (mut verdict, mut seq) = (Verdict::default(), 0);
    loop {
        let links: Vec<Sealed> = database.query(sealed_after(seq)).await?.read()?;
        let Some(last) = links.last() else {
            let broken_at: Option<i64> = database.query(first_inserted(seq)).await?.first()?;
            return Ok(Verdict { intact: broken_at.is_none(), broken_at, ..verdict });
        };
        seq = last.seq;
        for link in links {
            let expected = link.entry.map(|entry| chain::link(&verdict.head, &entry));
            if expected.as_ref() != Some(&link.hash) {
                return Ok(Verdict { broken_at: Some(link.seq), ..verdict });
            }
            verdict.head = link.hash;
            verdict.entries += 1;
        }
    }
}

#[derive(Deserialize)]
struct Link {
    hash: String,
}

/// A hash of the chain with its entry.
#[derive(Deserialize)]
struct Sealed {
    seq: i64,
    hash: String,
    entry: Option<chain::Entry>,
}

macro_rules! entry_json {
    () => {
        "json_object('seq', l.seq, 'at', l.at, 'actor', l.actor, 'action', l.action, 'subject', l.subject, \
         'requestId', l.request_id)"
    };
}

fn last_link() -> Statement {
    sql!("SELECT json_object('hash', hash) AS json FROM audit_chain ORDER BY seq DESC LIMIT 1")
}

fn unsealed() -> Statement {
    sql!(
        concat!(
            "SELECT ",
            entry_json!(),
            " AS json FROM audit_log l
             WHERE l.seq > (SELECT coalesce(max(seq), 0) FROM audit_chain) ORDER BY l.seq LIMIT ?1"
        ),
        BATCH
    )
}

fn add_links(links: &str) -> Statement {
    sql!(
        "INSERT INTO audit_chain (seq, hash)
         SELECT value ->> 0, value ->> 1 FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM audit_chain WHERE seq = value ->> 0)",
        links
    )
}

/// The first entry that is missing in the chain although later ones are in it.
fn first_inserted(last: i64) -> Statement {
    sql!(
        "SELECT CAST(seq AS TEXT) AS json FROM audit_log
         WHERE seq < ?1 AND seq NOT IN (SELECT seq FROM audit_chain) ORDER BY seq LIMIT 1",
        last
    )
}

fn sealed_after(seq: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('seq', c.seq, 'hash', c.hash,
               'entry', CASE WHEN l.seq IS NOT NULL THEN ",
            entry_json!(),
            " END) AS json FROM audit_chain c LEFT JOIN audit_log l ON l.seq = c.seq
             WHERE c.seq > ?1 ORDER BY c.seq LIMIT ?2"
        ),
        seq,
        BATCH
    )
}
