//! Identity: who made it, as far as that was checked, and the package's hash
//! on chain. Neither can fail the job, whose work is done by now; what could
//! not be done is said.
//!
//! A transaction is signed, kept, and only then sent, so that a Worker which
//! dies on the way sends the same one again.

use serde::{Deserialize, Serialize};

use super::{job::Work, proof::Proof, steps::Step, store};
use crate::{
    error::{Error, rfc3339},
    jobs::Outcome,
    platform::clock::now_ms,
    settings::Registrar,
    store::Statement,
    upstream::concordium::{self, Sent, Status, Verdict, transaction::Signed},
};

/// Attempts with a service; from then on it goes without.
const ATTEMPTS: u32 = 4;
/// Transactions that are tried before the registration is given up.
const MOST_TRANSACTIONS: u32 = 3;
/// Between two looks at a transaction.
const LOOK_MS: i64 = 2_000;
/// How long after its expiry a transaction that is in a block may take to be final.
const FINALITY_S: i64 = 300;

/// How a part of it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Standing {
    /// No account is set to register with.
    #[default]
    NotConfigured,
    /// No proof was sent.
    NotRequested,
    Pending,
    Completed,
    Failed,
}

/// What is known of who made a startup, as its owner sees it and as it is
/// kept between two goes at the step.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Identity {
    verification: Verification,
    registration: Registration,
    /// Kept until it is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(skip))]
    transaction: Option<Signed>,
    /// How many there have been.
    #[serde(skip_serializing_if = "is_zero")]
    #[cfg_attr(test, schemars(skip))]
    transactions: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes by reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Whether a person has proved to be one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Verification {
    status: Standing,
    /// Why it failed.
    reason: Option<String>,
    /// The block of Concordium's chain that it was checked against.
    block: Option<String>,
    verified_at: Option<String>,
}

impl Default for Verification {
    fn default() -> Self {
        Self { status: Standing::NotRequested, reason: None, block: None, verified_at: None }
    }
}

/// Whether the package's hash is on Concordium's chain.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Registration {
    status: Standing,
    /// Why it failed.
    reason: Option<String>,
    network: Option<String>,
    transaction_hash: Option<String>,
    /// What is registered: `hatch:sha256:`, and the hash of the ZIP.
    data: Option<String>,
}

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let kept = work.startup.identity.as_deref().map(serde_json::from_str).transpose();
    let mut identity: Identity =
        kept.map_err(|error| Error::Internal(format!("a kept identity: {error}")))?.unwrap_or_default();
    if let Some(sealed) = &work.startup.proof {
        work.announce("Checking the proof of identity").await?;
        identity.verification = verification(work, sealed).await?;
        return identity.again(work, 0, vec![identity.verification.log(work)]);
    }
    let (Some(registrar), Some(sha256)) = (&work.settings.concordium.registrar, &work.startup.sha256) else {
        return identity.finish(work, Vec::new());
    };
    match register(work, &mut identity, registrar, sha256).await {
        Ok(Some(wait_ms)) => identity.again(work, wait_ms, Vec::new()),
        Ok(None) => {
            let line = identity.registration.log(work);
            identity.finish(work, vec![line])
        }
        Err(error) if work.job.attempts < ATTEMPTS => Err(error),
        Err(error) => {
            // One that was sent may still happen: its hash tells.
            identity.registration.fail(&error.detail());
            let line = identity.registration.log(work);
            identity.finish(work, vec![line])
        }
    }
}

/// Has a proof checked. What is not proved is said; a verifier that cannot
/// tell is asked again.
async fn verification(work: &Work, sealed: &str) -> Result<Verification, Error> {
    let settings = &work.settings;
    let checked = async {
        let proof = Proof::open(sealed, &work.startup.id, settings)?;
        concordium::verify(&proof.presentation, &proof.challenge, &proof.since, settings).await
    };
    let failed = |reason: &str| Verification {
        status: Standing::Failed,
        reason: Some(reason.to_owned()),
        ..Verification::default()
    };
    match checked.await {
        Ok(Verdict::Verified(proved)) => Ok(Verification {
            status: Standing::Completed,
            reason: None,
            block: Some(proved.block),
            verified_at: Some(rfc3339(now_ms())),
        }),
        Ok(Verdict::NotVerified(reason)) => Ok(failed(reason)),
        Err(error) if work.job.attempts < ATTEMPTS => Err(error),
        Err(error) => Ok(failed(&error.detail())),
    }
}

/// One go at the registration: the milliseconds after which to look again, or
/// none when it has come to an end.
async fn register(
    work: &Work,
    identity: &mut Identity,
    registrar: &Registrar,
    sha256: &str,
) -> Result<Option<i64>, Error> {
    let settings = &work.settings;
    let data = format!("hatch:sha256:{sha256}");
    let Some(transaction) = &identity.transaction else {
        if identity.transactions >= MOST_TRANSACTIONS {
            identity.registration.fail("Its transactions did not get into the chain");
            return Ok(None);
        }
        work.announce("Registering the package's hash on Concordium's chain").await?;
        let transaction = concordium::prepare(&data, registrar, settings).await?;
        identity.registration = Registration {
            status: Standing::Pending,
            reason: None,
            network: Some(settings.concordium.network.name().to_owned()),
            transaction_hash: Some(transaction.hash.clone()),
            data: Some(data),
        };
        identity.transaction = Some(transaction);
        identity.transactions += 1;
        return Ok(Some(0));
    };
    let now_s = now_ms() / 1000;
    let expires_s = i64::try_from(transaction.expires_s).unwrap_or(i64::MAX);
    let mut status = concordium::status(&transaction.hash, settings).await?;
    if status == Status::Absent && now_s < expires_s {
        match concordium::submit(transaction, registrar, settings).await? {
            Sent::Taken => status = concordium::status(&transaction.hash, settings).await?,
            Sent::Superseded => {
                identity.transaction = None;
                return Ok(Some(0));
            }
        }
    }
    match status {
        Status::Registered => identity.registration.status = Standing::Completed,
        Status::Rejected => identity.registration.fail("Concordium's chain has rejected the transaction"),
        Status::Absent if now_s >= expires_s => {
            identity.transaction = None;
            return Ok(Some(0));
        }
        Status::Pending if now_s >= expires_s + FINALITY_S => {
            identity.registration.fail("The transaction is in the chain and does not become final");
        }
        Status::Absent | Status::Pending => return Ok(Some(LOOK_MS)),
    }
    Ok(None)
}

impl Identity {
    fn is_verified(&self) -> bool {
        self.verification.status == Standing::Completed
    }

    fn keep(&self, work: &Work) -> Result<Statement, Error> {
        let json = serde_json::to_string(self).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(store::identified(&work.startup.id, self.is_verified(), &json))
    }

    /// Keeps what is known and comes back to it.
    fn again(&self, work: &Work, after_ms: i64, mut writes: Vec<Statement>) -> Result<Outcome, Error> {
        writes.push(self.keep(work)?);
        Ok(Outcome::Wait { after_ms, writes })
    }

    /// Ends the job.
    fn finish(mut self, work: &Work, mut writes: Vec<Statement>) -> Result<Outcome, Error> {
        (self.transaction, self.transactions) = (None, 0);
        writes.push(self.keep(work)?);
        writes.push(work.log("success", "Your startup is ready"));
        writes.push(work.done(Step::Identity));
        writes.push(store::end(&work.startup.id, "completed", now_ms()));
        Ok(Outcome::Done { writes })
    }
}

impl Verification {
    fn log(&self, work: &Work) -> Statement {
        match &self.reason {
            None => work.log("success", "Your identity is verified"),
            Some(reason) => work.log("error", &format!("Your identity is not verified: {reason}")),
        }
    }
}

impl Registration {
    fn fail(&mut self, reason: &str) {
        self.status = Standing::Failed;
        self.reason = Some(reason.to_owned());
    }

    fn log(&self, work: &Work) -> Statement {
        match (&self.reason, &self.transaction_hash) {
            (None, hash) => {
                let hash = hash.as_deref().unwrap_or_default();
                work.log(
                    "success",
                    &format!("The package's hash is on Concordium's chain, transaction {hash}"),
                )
            }
            (Some(reason), _) => {
                work.log("error", &format!("The package's hash is not registered: {reason}"))
            }
        }
    }
}
