//! SQL of the generate module. A step's writes take effect only while its job
//! runs; those of a cancelled job are dropped.

use hatch_code::CodeMap;
use serde::Deserialize;

use super::competitors::Competitor;
#[cfg(test)]
use crate::openapi::{Count, Id, Time};
use crate::{
    error::Error,
    store::{
        Statement, guard, newest_of_user,
        owned::{Owned, give},
        page::Page,
        projects::{rfc3339, user_exists},
        shape::shape,
        sql,
    },
};
#[cfg(test)]
use serde_json::{Map, Value};

pub(crate) const OWNED: Owned = Owned {
    tables: &["startups", "proof_challenges"],
    export: &[("startups", startups_of_user)],
    in_files: &[],
    delete: |user| {
        vec![
            sql!("DELETE FROM startups WHERE user_id = ?1", user),
            sql!("DELETE FROM proof_challenges WHERE user_id = ?1", user),
        ]
    },
    // A challenge is bound to its account: after a merge the wallet asks for a new one.
    give: |from, to| vec![give!("startups", from, to)],
};

/// Which states a client knows. The original clients do not know `cancelled`
/// and would wait for ever, so they see such a job as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum States {
    Original,
    All,
}

/// A startup as the steps of its job read it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Startup {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) prompt: String,
    pub(super) name: String,
    pub(super) turns: u32,
    /// JSON.
    pub(super) problems: String,
    /// JSON, as [`save_competitors`] wrote it.
    competitors: String,
    /// Present once there is a launch kit.
    pub(super) tagline: Option<String>,
    /// JSON, present once the video was begun.
    pub(super) video: Option<String>,
    /// Sealed.
    pub(super) proof: Option<String>,
    /// JSON, as the last run of the step left it.
    pub(super) identity: Option<String>,
    /// The archive's hash, in hex.
    pub(super) sha256: Option<String>,
    /// The API key that began it.
    pub(super) key_id: Option<String>,
    /// The limits of that key, as JSON which models/limits.rs reads.
    pub(super) key_limits: Option<String>,
    /// The code of its project, if there is one.
    code: Option<String>,
    /// The version of the code; 0 before there is any.
    version: i64,
}

impl Startup {
    /// The code so far.
    pub(super) fn code(&self) -> Result<CodeMap, Error> {
        CodeMap::stored(self.code.as_deref().unwrap_or("{}"))
            .map_err(|error| Error::Internal(format!("stored code: {error}")))
    }

    /// The competitors that discovery found; empty before that.
    pub(super) fn competitors(&self) -> Vec<Competitor> {
        #[derive(Deserialize)]
        struct Found {
            competitors: Vec<Competitor>,
        }
        hatch_json::from_str::<Found>(&self.competitors).map(|found| found.competitors).unwrap_or_default()
    }
}

/// Reads the startup if its job is still running.
pub(super) fn startup(id: &str) -> Statement {
    sql!(
        "SELECT json_object('id', s.id, 'userId', s.user_id, 'prompt', s.prompt, 'name', s.name, 'turns', s.turns,
           'problems', s.problems, 'competitors', s.competitors, 'tagline', s.tagline, 'video', s.video,
           'proof', s.proof, 'identity', s.identity, 'keyId', s.key_id,
           'keyLimits', (SELECT gateway FROM api_keys WHERE id = s.key_id),
           'sha256', json_extract(s.archive, '$.sha256'), 'code', p.code,
           'version', coalesce(p.version, 0)) AS json
         FROM startups s LEFT JOIN projects p ON p.id = s.id WHERE s.id = ?1 AND s.status = 'processing'",
        id
    )
}

/// The values of a new startup.
#[derive(Debug)]
pub(super) struct NewStartup<'a> {
    pub(super) id: &'a str,
    pub(super) job_id: &'a str,
    pub(super) user: &'a str,
    pub(super) prompt: &'a str,
    pub(super) name: &'a str,
    pub(super) proof: Option<&'a str>,
    /// The API key that it is begun with.
    pub(super) key: Option<&'a str>,
}

/// A guard: fails the batch if the user has the most running jobs they may have.
pub(super) fn require_free_slot(user: &str, most: u32) -> Statement {
    guard!(
        "SELECT 1 WHERE (SELECT count(*) FROM startups WHERE user_id = ?1 AND status = 'processing') < ?2",
        user,
        most
    )
}

pub(super) fn create(new: &NewStartup<'_>, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO startups (id, job_id, user_id, prompt, name, proof, created_at, updated_at, key_id)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8 WHERE ",
            user_exists!("?3")
        ),
        new.id,
        new.job_id,
        new.user,
        new.prompt,
        new.name,
        new.proof,
        now,
        new.key
    )
}

pub(super) fn exists(job_id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('id', id) AS json FROM startups WHERE job_id = ?1 AND user_id = ?2",
        job_id,
        user
    )
}

/// Raises the job's progress to `percent`; never lowers it.
pub(super) fn progress(id: &str, percent: u32, now: i64) -> Statement {
    sql!(
        "UPDATE startups SET progress = max(progress, CAST(?2 AS INTEGER)), updated_at = ?3
         WHERE id = ?1 AND status = 'processing'",
        id,
        percent,
        now
    )
}

/// Adds tokens and cost of Claude's answers to the job.
pub(super) fn spend(id: &str, input_tokens: i64, output_tokens: i64, cost_micro_usd: i64) -> Statement {
    sql!(
        "UPDATE startups SET input_tokens = input_tokens + ?2, output_tokens = output_tokens + ?3,
           cost_micro_usd = cost_micro_usd + ?4 WHERE id = ?1",
        id,
        input_tokens,
        output_tokens,
        cost_micro_usd
    )
}

/// Saves the result of discovery: `{"source", "competitors": […]}`.
pub(super) fn save_competitors(id: &str, competitors: &str) -> Statement {
    sql!("UPDATE startups SET competitors = ?2 WHERE id = ?1", id, competitors)
}

/// Saves the code of a step as a version of the project, and makes the project
/// if it is the first one. Fails the batch if the owner changed the code since
/// it was read; the step then runs again on the new code. A name that the owner
/// gave the project stays.
pub(super) fn save_code(startup: &Startup, name: &str, code: &str, now: i64) -> [Statement; 3] {
    [
        guard!(
            "SELECT 1 WHERE coalesce((SELECT version FROM projects WHERE id = ?1), 0) = ?2",
            startup.id.as_str(),
            startup.version
        ),
        sql!(
            "INSERT INTO projects (id, user_id, name, description, code, version, created_at, updated_at)
             SELECT id, user_id, ?2, substr(prompt, 1, 2000), ?3, 1, ?4, ?4 FROM startups WHERE id = ?1
             ON CONFLICT (id) DO UPDATE SET name = iif(name = ?5, excluded.name, name), code = excluded.code,
               version = version + 1, revision = revision + 1, updated_at = excluded.updated_at
             WHERE code IS NOT excluded.code",
            startup.id.as_str(),
            name,
            code,
            now,
            startup.name.as_str()
        ),
        crate::store::projects::record_version(&startup.id, &startup.user_id, "generate", None),
    ]
}

/// Saves the end of a building turn.
pub(super) fn save_turn(id: &str, name: &str, turns: u32, problems: &str, model: &str) -> Statement {
    sql!(
        "UPDATE startups SET name = ?2, turns = ?3, problems = ?4, model = ?5 WHERE id = ?1",
        id,
        name,
        turns,
        problems,
        model
    )
}

/// Records an archive before it is written, so that it is deleted if it is
/// never used. Skips an archive in use: a run that has lost its lease must not
/// mark the archive that another run committed, which has the same key.
pub(super) fn record_archive(id: &str, key: &str, since: i64) -> Statement {
    sql!(
        "INSERT OR REPLACE INTO unused_files (key, since) SELECT ?2, ?3
         WHERE NOT EXISTS (SELECT 1 FROM startups WHERE id = ?1 AND json_extract(archive, '$.key') = ?2)",
        id,
        key,
        since
    )
}

/// `archive` is `{"key", "bytes", "etag", "slug", "sha256"}`.
pub(super) fn save_archive(id: &str, archive: &str, stack: &str) -> Statement {
    sql!("UPDATE startups SET archive = ?2, stack = ?3 WHERE id = ?1", id, archive, stack)
}

/// The launch kit of a startup, without the video.
#[derive(Debug)]
pub(super) struct LaunchKit<'a> {
    pub(super) tagline: &'a str,
    /// JSON.
    pub(super) channels: &'a str,
    /// HTML, and the token in its address.
    pub(super) deck: &'a str,
    pub(super) deck_token: &'a str,
}

pub(super) fn keep_launch_kit(id: &str, kit: &LaunchKit<'_>) -> Statement {
    sql!(
        "UPDATE startups SET tagline = ?2, channels = ?3, deck = ?4, deck_token = ?5 WHERE id = ?1",
        id,
        kit.tagline,
        kit.channels,
        kit.deck,
        kit.deck_token
    )
}

/// Saves the state of the video, as JSON.
pub(super) fn save_video(id: &str, video: &str) -> Statement {
    sql!("UPDATE startups SET video = ?2 WHERE id = ?1", id, video)
}

/// Saves the state of the identity step; `identity` is JSON. Deletes a proof
/// that was checked.
pub(super) fn save_identity(id: &str, verified: bool, identity: &str) -> Statement {
    sql!(
        "UPDATE startups SET verified = ?2, identity = ?3, proof = NULL WHERE id = ?1",
        id,
        i64::from(verified),
        identity
    )
}

/// Saves a challenge that the user's wallet is to answer.
pub(super) fn keep_challenge(challenge: &str, user: &str, now: i64, expires_at: i64) -> Statement {
    sql!(
        "INSERT INTO proof_challenges (challenge, user_id, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        challenge,
        user,
        now,
        expires_at
    )
}

/// An open challenge.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Challenge {
    pub(super) issued_at: i64,
}

pub(super) fn challenge(challenge: &str, user: &str, now: i64) -> Statement {
    sql!(
        "SELECT json_object('issuedAt', issued_at) AS json FROM proof_challenges
         WHERE challenge = ?1 AND user_id = ?2 AND expires_at > ?3",
        challenge,
        user,
        now
    )
}

/// Marks a challenge as used, or fails the batch, so that only one of two proofs counts.
pub(super) fn use_up_challenge(challenge: &str, user: &str) -> [Statement; 2] {
    [
        guard!("SELECT 1 FROM proof_challenges WHERE challenge = ?1 AND user_id = ?2", challenge, user),
        sql!("DELETE FROM proof_challenges WHERE challenge = ?1 AND user_id = ?2", challenge, user),
    ]
}

/// Deletes expired challenges.
pub(super) fn purge_challenges(now: i64) -> Statement {
    sql!("DELETE FROM proof_challenges WHERE expires_at <= ?1", now)
}

/// Ends the job with `status`. A proof is kept until the job is completed,
/// because a retry cannot answer the same challenge a second time.
pub(super) fn end(id: &str, status: &str, now: i64) -> Statement {
    sql!(
        "UPDATE startups SET status = ?2, progress = iif(?2 = 'completed', 100, progress),
           proof = iif(?2 = 'completed', NULL, proof), updated_at = ?3 WHERE id = ?1 AND status = 'processing'",
        id,
        status,
        now
    )
}

/// Begins the job again; building gets all of its turns again.
pub(super) fn reopen(id: &str, now: i64) -> Statement {
    sql!(
        "UPDATE startups SET status = 'processing', turns = 0, updated_at = ?2
         WHERE id = ?1 AND status IN ('failed', 'cancelled')",
        id,
        now
    )
}

/// A job of the caller.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnJob {
    pub(super) id: String,
    pub(super) status: String,
}

pub(super) fn owned(job_id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('id', id, 'status', status) AS json FROM startups WHERE job_id = ?1 AND user_id = ?2",
        job_id,
        user
    )
}

/// One of the three steps that clients see: done at `$ends`, begun at `$begins`.
macro_rules! visible_step {
    ($id:literal, $title:literal, $begins:literal, $ends:literal) => {
        concat!(
            "json_object('id', ",
            $id,
            ", 'title', '",
            $title,
            "', 'status', CASE
               WHEN s.progress >= ",
            $ends,
            " THEN 'completed'
               WHEN s.progress < ",
            $begins,
            " THEN 'pending'
               WHEN s.status = 'processing' THEN 'in_progress' ELSE 'failed' END)"
        )
    };
}

/// The status of `startups s`; `?3` says whether the client knows all states.
macro_rules! shown_status {
    () => {
        "iif(s.status = 'cancelled' AND NOT ?3, 'failed', s.status)"
    };
}

/// The job's status without its log, from `startups s JOIN jobs j`.
macro_rules! status_json {
    ($more:expr) => {
        concat!(
            "json_object('job_id', s.job_id, 'status', ",
            shown_status!(),
            ", 'progress', s.progress, 'steps', json_array(",
            visible_step!(1, "Finding competitors", 10, 33),
            ",",
            visible_step!(2, "Building MVP", 33, 66),
            ",",
            visible_step!(3, "Packaging startup", 66, 90),
            ")",
            $more,
            ", 'project_id', iif(s.status = 'completed', s.id, NULL),
             'project_name', s.name, 'error', iif(",
            shown_status!(),
            " = 'failed', j.error, NULL),
             'usage', json_object('model', s.model, 'input_tokens', s.input_tokens,
               'output_tokens', s.output_tokens, 'cost_micro_usd', s.cost_micro_usd))"
        )
    };
}

macro_rules! log_line {
    () => {
        "'timestamp', strftime('%H:%M:%S', created_at / 1000.0, 'unixepoch'), 'message', message, 'type', level"
    };
}

/// Selects `overdue job\n{status}`.
pub(super) fn status(job_id: &str, user: &str, states: States, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT coalesce((SELECT o.job_id FROM outbox o WHERE o.job_id = j.id AND o.send_at <= ?4), '')
               || char(10) || ",
            status_json!(concat!(
                ", 'logs', (SELECT json_group_array(json(line)) FROM (SELECT json_object(",
                log_line!(),
                ") AS line FROM job_logs WHERE job_id = j.id ORDER BY seq))"
            )),
            " AS json FROM startups s JOIN jobs j ON j.id = s.job_id WHERE s.job_id = ?1 AND s.user_id = ?2"
        ),
        job_id,
        user,
        i64::from(states == States::All),
        now
    )
}

/// Selects the status, and the log lines after `seen`.
pub(super) fn snapshot(job_id: &str, user: &str, states: States, seen: i64, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('status', ",
            status_json!(""),
            ", 'ended', json(iif(s.status = 'processing', 'false', 'true')),
               'overdueJob', (SELECT o.job_id FROM outbox o WHERE o.job_id = j.id AND o.send_at <= ?5),
               'logs', (SELECT json_group_array(json(line)) FROM (
                 SELECT json_object('seq', seq, ",
            log_line!(),
            ") AS line
                 FROM job_logs WHERE job_id = j.id AND seq > ?4 ORDER BY seq))) AS json
             FROM startups s JOIN jobs j ON j.id = s.job_id WHERE s.job_id = ?1 AND s.user_id = ?2"
        ),
        job_id,
        user,
        i64::from(states == States::All),
        seen,
        now
    )
}

#[cfg(test)]
pub(super) const JOB: Id = Id("3d0c1f5a-9b7e-4c28-8a64-1e5f7b90c2d3");
#[cfg(test)]
pub(super) const PROJECT: Id = Id("a1c94e70-52d8-4f3b-b6e1-7d08c95fa263");

#[cfg(test)]
#[derive(Debug, Clone, Copy, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "a value of the schema that no example has")]
pub(crate) enum JobStatus {
    Processing,
    Completed,
    Failed,
    Cancelled,
}

shape! {
    /// A job in the list of jobs.
    pub(super) struct Generation, GENERATION_JSON {
        job_id: Id = "job_id", JOB;
        status: JobStatus = "status", JobStatus::Completed;
        progress: Count = "progress", Count(100);
        project_id: Option<Id> = "iif(status = 'completed', id, NULL)", Some(PROJECT);
        project_name: &'static str = "name", "Slotwise";
        prompt: &'static str = "prompt", "AI scheduling tool for freelancers";
        created_at: Time = rfc3339!("created_at"), Time("2026-11-21T09:32:00.000Z");
    }
}

/// The user's jobs, newest first, without their logs.
pub(super) fn list(user: &str, page: &Page) -> Statement {
    newest_of_user!(
        table: "startups",
        json: GENERATION_JSON,
        bytes: "length(CAST(prompt AS BLOB)) + 400",
        user,
        page
    )
}

shape! {
    /// A startup in the owner's export: how it was made, and its results.
    pub(crate) struct ExportedStartup, EXPORTED_STARTUP_JSON {
        id: Id = "id", PROJECT;
        jobId: Id = "job_id", JOB;
        prompt: &'static str = "prompt", "AI scheduling tool for freelancers";
        status: JobStatus = "status", JobStatus::Completed;
        name: &'static str = "name", "Slotwise";
        tagline: Option<&'static str> = "tagline", Some("Your week, booked while you work.");
        competitors: Map<String, Value> = "json(competitors)", Map::new();
        launchChannels: Vec<Map<String, Value>> = "json(channels)", Vec::new();
        /// The page of the pitch deck.
        pitchDeck: Option<&'static str> = "deck", None;
        verified: bool = "json(iif(verified, 'true', 'false'))", false;
        /// In millionths of a dollar.
        costMicroUsd: Count = "cost_micro_usd", Count(429_240);
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:32:00.000Z");
    }
}

fn startups_of_user(user: &str, page: &Page) -> Statement {
    newest_of_user!(
        table: "startups",
        json: EXPORTED_STARTUP_JSON,
        bytes: "length(CAST(prompt || competitors || channels || coalesce(deck, '') AS BLOB)) + 400",
        user,
        page
    )
}

/// A complete startup, for its owner. `origin` is the origin of the deck's address.
pub(super) fn show(id: &str, user: &str, origin: &str) -> Statement {
    sql!(
        "SELECT json_object('project_id', s.id, 'project_name', s.name, 'tagline', coalesce(s.tagline, ''),
               'prompt', s.prompt, 'stack', json(s.stack), 'verified', json(iif(s.verified, 'true', 'false')),
               'marketing_assets', json_object(
                 'video', json(s.video),
                 'pitch_deck', json_object('deck_url', ?3 || '/decks/' || s.deck_token, 'slides', CAST(?4 AS INTEGER),
                   'status', iif(s.deck IS NULL, 'failed', 'completed'))),
               'launch_channels', json(s.channels),
               'competitors', json_extract(s.competitors, '$.competitors'),
               'competitors_source', json_extract(s.competitors, '$.source'),
               'identity', json(s.identity),
               'files', (SELECT json_group_array(json_object('path', f.key, 'bytes', length(CAST(f.value AS BLOB))))
                         FROM json_each(coalesce(p.code, '{}')) f),
               'usage', json_object('model', s.model, 'input_tokens', s.input_tokens,
                 'output_tokens', s.output_tokens, 'cost_micro_usd', s.cost_micro_usd),
               'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.created_at / 1000.0, 'unixepoch')) AS json
             FROM startups s JOIN projects p ON p.id = s.id
             WHERE s.id = ?1 AND s.user_id = ?2 AND s.status = 'completed'",
        id,
        user,
        origin,
        super::deck::SLIDES
    )
}

/// The object that holds a startup's ZIP.
#[derive(Debug, Deserialize)]
pub(super) struct Archive {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) etag: String,
    pub(super) slug: String,
}

pub(super) fn archive(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT archive AS json FROM startups WHERE id = ?1 AND user_id = ?2 AND status = 'completed' AND archive IS NOT NULL",
        id,
        user
    )
}

pub(super) fn deck(token: &str) -> Statement {
    sql!("SELECT deck AS json FROM startups WHERE deck_token = ?1 AND deck IS NOT NULL", token)
}
