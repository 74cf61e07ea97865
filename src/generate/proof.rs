//! The user's proof of identity: its challenge, and how it is stored until the
//! job checks it.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::store;
use crate::settings::FromVars as _;
use crate::store::sealing_key;
use crate::upstream::concordium::Concordium;
use crate::{
    error::{Error, rfc3339},
    http::RequestContext,
    platform::{
        clock::{MINUTE_MS, now_ms},
        log, random,
        response::Response,
    },
    settings::Settings,
    store::{Database, Statement, sealing},
    upstream::concordium::presentation,
};

/// How long a challenge is valid: a wallet needs some time for a proof.
const LIFETIME_MS: i64 = 15 * MINUTE_MS;
/// The largest proof, in bytes of JSON; one of a dozen statements has 20,000.
pub(super) const LARGEST: usize = 100_000;

/// A presentation, and the challenge of ours that it answers. It is sealed in
/// the database, because it describes a person.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Proof {
    pub(super) presentation: Value,
    pub(super) challenge: String,
    /// The day on which the challenge was issued, `YYYYMMDD`.
    pub(super) since: String,
}

/// `POST /api/generate/challenge`: issues a challenge for a Concordium wallet.
pub(crate) async fn challenge(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let mut bytes = [0; 32];
    random::fill(&mut bytes)?;
    let (challenge, now) = (base16ct::lower::encode_string(&bytes), now_ms());
    let expires_at = now + LIFETIME_MS;
    context.database()?.query(store::keep_challenge(&challenge, user, now, expires_at)).await?;
    let answer = json!({
        "challenge": challenge,
        "network": Concordium::of(&context.settings)?.network.name(),
        "expires_at": rfc3339(expires_at),
        "request": presentation::request(&challenge, &day(now)),
    });
    Ok(Response::json(200, answer.to_string()).not_kept())
}

/// The challenge of a proof is not one of ours, or is no longer valid.
pub(super) fn unknown_challenge() -> Error {
    Error::Refused {
        code: "unknown_challenge",
        detail: "The proof answers a challenge that is unknown, used or expired; ask for a new one"
            .to_owned(),
    }
}

impl Proof {
    /// Reads a presentation that answers one of the user's challenges.
    ///
    /// # Errors
    /// [`unknown_challenge`]. The challenge remains until [`Self::use_up`].
    pub(super) async fn of(
        presentation: Map<String, Value>,
        user: &str,
        database: &Database,
    ) -> Result<Self, Error> {
        let presentation = Value::Object(presentation);
        let challenge = presentation::challenge_of(&presentation).ok_or_else(unknown_challenge)?.to_owned();
        let since = day(unused(&challenge, user, database).await?.issued_at);
        Ok(Self { presentation, challenge, since })
    }

    /// # Errors
    /// [`unknown_challenge`], when its challenge has been used or has expired.
    pub(super) async fn require_unused(&self, user: &str, database: &Database) -> Result<(), Error> {
        unused(&self.challenge, user, database).await.map(drop)
    }

    /// Marks the challenge as used, in the batch that creates the startup.
    pub(super) fn use_up(&self, user: &str) -> [Statement; 2] {
        store::use_up_challenge(&self.challenge, user)
    }

    pub(super) fn seal(&self, startup_id: &str, settings: &Settings) -> Result<String, Error> {
        let json = serde_json::to_string(self).map_err(|error| Error::Internal(error.to_string()))?;
        sealing::seal(sealing_key(settings)?, &place(startup_id), &json)
    }

    pub(super) fn open(sealed: &str, startup_id: &str, settings: &Settings) -> Result<Self, Error> {
        let json = sealing::open(sealing_key(settings)?, &place(startup_id), sealed)?;
        hatch_json::from_str(&json).map_err(|error| Error::Internal(format!("a kept proof: {error}")))
    }
}

async fn unused(challenge: &str, user: &str, database: &Database) -> Result<store::Challenge, Error> {
    let kept = database.query(store::challenge(challenge, user, now_ms())).await?;
    kept.first()?.ok_or_else(unknown_challenge)
}

fn place(startup_id: &str) -> String {
    format!("startups/{startup_id}/proof")
}

/// The day of a time, `YYYYMMDD`, UTC.
fn day(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y%m%d").to_string()
}

/// Deletes expired challenges.
pub(crate) async fn sweep(env: &worker::Env) {
    let swept = async { Database::open(env)?.query(store::purge_challenges(now_ms())).await };
    if let Err(error) = swept.await {
        log::failure("generate.sweep", &error);
    }
}
