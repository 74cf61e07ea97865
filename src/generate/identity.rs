//! Identity: checks the proof of who made the startup, and registers the
//! package's hash on Concordium's chain. Neither can fail the job, because the
//! startup is finished. A failing service is asked again a few times, a
//! misconfigured one is not, and then the job completes and reports what is missing.
//!
//! A transaction is signed, saved, and only then sent, so that after a crash
//! the same transaction is sent again. Jobs that end at the same time may sign
//! with the same sequence number of the account. One of them gets it; each of
//! the others waits a random time before it signs again, and the range of that
//! time grows with its losses.

use hatch_credentials::concordium::transaction::SignedTransaction;
use serde::{Deserialize, Serialize};

use super::{proof::Proof, steps::Step, store, work::Work};
use crate::upstream::concordium::{Concordium, Registrar};
use crate::{
    error::{Error, UpstreamKind, rfc3339},
    jobs::Outcome,
    platform::{clock::now_ms, random},
    settings::{FromVars as _, Settings},
    store::Statement,
    upstream::concordium::{self, Sent, Status, Verdict},
};

/// Attempts with a service before the job completes without it.
const ATTEMPTS: u32 = 4;
/// How long registering may take in all. A transaction that expires or loses
/// its sequence number is signed again within this time.
const LONGEST_S: i64 = 1_800;
/// The pause between two polls of a transaction.
const POLL_MS: i64 = 2_000;
/// How long after its expiry a transaction in a block may take to become final.
const FINALITY_S: i64 = 300;

/// The status of one part of the identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum PartStatus {
    /// No account is configured to register with.
    #[default]
    NotConfigured,
    /// The user sent no proof.
    NotRequested,
    Pending,
    Completed,
    Failed,
}

/// What is known about the maker of a startup. The owner sees it, and the row
/// keeps it between two runs of the step.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Identity {
    verification: Verification,
    registration: Registration,
    /// Present until the registration ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(skip))]
    under_way: Option<PendingRegistration>,
}

/// A registration that has begun.
#[derive(Debug, Serialize, Deserialize)]
struct PendingRegistration {
    /// Seconds since the epoch.
    since_s: i64,
    /// None when the next run must sign one.
    transaction: Option<SignedTransaction>,
    /// How many transactions lost their sequence number to another one.
    losses: u32,
}

/// Whether the proof of identity was verified.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Verification {
    status: PartStatus,
    /// Why it failed.
    reason: Option<String>,
    /// The block of Concordium's chain that it was checked against.
    block: Option<String>,
    verified_at: Option<String>,
}

impl Default for Verification {
    fn default() -> Self {
        Self { status: PartStatus::NotRequested, reason: None, block: None, verified_at: None }
    }
}

/// Whether the package's hash is on Concordium's chain.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Registration {
    status: PartStatus,
    /// Why it failed.
    reason: Option<String>,
    network: Option<String>,
    transaction_hash: Option<String>,
    /// The registered data: `hatch:sha256:` and the hash of the ZIP.
    data: Option<String>,
}

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let kept = work.startup.identity.as_deref().map(hatch_json::from_str).transpose();
    let mut identity: Identity =
        kept.map_err(|error| Error::Internal(format!("a kept identity: {error}")))?.unwrap_or_default();
    if let Some(sealed) = &work.startup.proof {
        work.announce("Checking the proof of identity").await?;
        identity.verification = verification(work, sealed).await?;
        return identity.again(work, 0, vec![identity.verification.log(work)]);
    }
    let (Some(registrar), Some(sha256)) = (&Concordium::of(&work.settings)?.registrar, &work.startup.sha256)
    else {
        return identity.finish(work, Vec::new());
    };
    match register(work, &mut identity, registrar, sha256).await {
        Ok(Some(wait_ms)) => identity.again(work, wait_ms, Vec::new()),
        Ok(None) => {
            let line = identity.registration.log(work);
            identity.finish(work, vec![line])
        }
        Err(error) if is_worth_another(work, &error) => Err(error),
        Err(error) => {
            // A transaction that was sent may still succeed; its hash finds it later.
            identity.registration.fail(&error.detail());
            let line = identity.registration.log(work);
            identity.finish(work, vec![line])
        }
    }
}

/// Whether to try again after this error. Errors that need an operator would
/// make the job engine fail the job.
fn is_worth_another(work: &Work, error: &Error) -> bool {
    work.job.attempts < ATTEMPTS && error.is_retryable()
}

/// Fails after too many attempts. Without it, attempts that time out one after
/// the other would never count as failures.
fn require_attempt(work: &Work) -> Result<(), Error> {
    if work.job.attempts <= ATTEMPTS {
        return Ok(());
    }
    Err(Error::upstream(UpstreamKind::Timeout, "Concordium takes too long"))
}

/// Has the proof checked. An invalid proof is a result; if the verifier cannot
/// decide, the step is tried again.
async fn verification(work: &Work, sealed: &str) -> Result<Verification, Error> {
    let settings = &work.settings;
    let checked = async {
        require_attempt(work)?;
        let proof = Proof::open(sealed, &work.startup.id, settings)?;
        concordium::verify(&proof.presentation, &proof.challenge, &proof.since, settings).await
    };
    let failed = |reason: &str| Verification {
        status: PartStatus::Failed,
        reason: Some(reason.to_owned()),
        ..Verification::default()
    };
    match checked.await {
        Ok(Verdict::Verified(proved)) => Ok(Verification {
            status: PartStatus::Completed,
            reason: None,
            block: Some(proved.block),
            verified_at: Some(rfc3339(now_ms())),
        }),
        Ok(Verdict::NotVerified(reason)) => Ok(failed(reason)),
        Err(error) if is_worth_another(work, &error) => Err(error),
        Err(error @ Error::NotConfigured { .. }) => Ok(failed(&format!(
            "Your proof cannot be opened any more; send a new one with your next startup ({})",
            error.detail()
        ))),
        Err(error) => Ok(failed(&error.detail())),
    }
}

/// Runs the registration once. Returns the milliseconds until the next poll, or
/// none when the registration has ended.
async fn register(
    work: &Work,
    identity: &mut Identity,
    registrar: &Registrar,
    sha256: &str,
) -> Result<Option<i64>, Error> {
    require_attempt(work)?;
    let (settings, now_s) = (&work.settings, now_ms() / 1000);
    let Identity { registration, under_way, .. } = identity;
    if under_way.is_none() {
        work.announce("Registering the package's hash on Concordium's chain").await?;
    }
    let under_way =
        under_way.get_or_insert(PendingRegistration { since_s: now_s, transaction: None, losses: 0 });
    let Some(transaction) = &under_way.transaction else {
        if now_s >= under_way.since_s.saturating_add(LONGEST_S) {
            registration.fail("Its transactions did not get into the chain");
            return Ok(None);
        }
        let data = format!("hatch:sha256:{sha256}");
        let transaction = concordium::prepare(&data, registrar, settings).await?;
        *registration = Registration {
            status: PartStatus::Pending,
            reason: None,
            network: Some(Concordium::of(settings)?.network.name().to_owned()),
            transaction_hash: Some(transaction.hash.clone()),
            data: Some(data),
        };
        under_way.transaction = Some(transaction);
        return Ok(Some(0));
    };
    match transaction_outcome(transaction, registrar, settings, now_s).await? {
        TransactionOutcome::Registered => registration.status = PartStatus::Completed,
        TransactionOutcome::Failed(reason) => registration.fail(reason),
        TransactionOutcome::Open => return Ok(Some(POLL_MS)),
        TransactionOutcome::Expired => {
            under_way.transaction = None;
            return Ok(Some(0));
        }
        TransactionOutcome::Superseded => {
            under_way.transaction = None;
            under_way.losses = under_way.losses.saturating_add(1);
            return Ok(Some(pause_ms(under_way.losses, random::jitter())));
        }
    }
    Ok(None)
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionOutcome {
    Registered,
    Failed(&'static str),
    /// Not decided yet.
    Open,
    /// Its time is over, so it can no longer succeed.
    Expired,
    /// Another transaction has its sequence number, so it cannot succeed.
    Superseded,
}

/// Sends a transaction if the chain does not know it yet, and checks its status.
async fn transaction_outcome(
    transaction: &SignedTransaction,
    registrar: &Registrar,
    settings: &Settings,
    now_s: i64,
) -> Result<TransactionOutcome, Error> {
    let left_s = i64::try_from(transaction.expires_s).unwrap_or(i64::MAX).saturating_sub(now_s);
    let status = concordium::status(&transaction.hash, settings).await?;
    if status != Status::Absent || left_s <= 0 {
        return Ok(outcome_of(status, left_s));
    }
    match concordium::submit(transaction, registrar, settings).await? {
        Sent::Taken => Ok(outcome_of(concordium::status(&transaction.hash, settings).await?, left_s)),
        Sent::Superseded => Ok(TransactionOutcome::Superseded),
    }
}

/// `left_s` is the time until the transaction expires.
fn outcome_of(status: Status, left_s: i64) -> TransactionOutcome {
    match status {
        Status::Registered => TransactionOutcome::Registered,
        Status::Rejected => TransactionOutcome::Failed("Concordium's chain has rejected the transaction"),
        Status::Absent if left_s <= 0 => TransactionOutcome::Expired,
        Status::Pending if left_s <= -FINALITY_S => {
            TransactionOutcome::Failed("The transaction is in the chain and does not become final")
        }
        Status::Absent | Status::Pending => TransactionOutcome::Open,
    }
}

/// The pause before the next transaction is signed: a random number of seconds
/// from a range that doubles with each loss, up to eight. One of the competing
/// jobs always gets its number, so a wider range would save few requests and
/// delay every job.
fn pause_ms(losses: u32, jitter: u8) -> i64 {
    let lots = 1_i64 << losses.min(3);
    i64::from(jitter) % lots * 1_000
}

impl Identity {
    fn is_verified(&self) -> bool {
        self.verification.status == PartStatus::Completed
    }

    fn keep(&self, work: &Work) -> Result<Statement, Error> {
        let json = serde_json::to_string(self).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(store::save_identity(&work.startup.id, self.is_verified(), &json))
    }

    /// Saves the state and runs the step again later.
    fn again(&self, work: &Work, after_ms: i64, mut writes: Vec<Statement>) -> Result<Outcome, Error> {
        writes.push(self.keep(work)?);
        Ok(Outcome::Wait { after_ms, writes })
    }

    /// Completes the job.
    fn finish(mut self, work: &Work, mut writes: Vec<Statement>) -> Result<Outcome, Error> {
        self.under_way = None;
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
        self.status = PartStatus::Failed;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUSES: [Status; 4] = [Status::Absent, Status::Pending, Status::Registered, Status::Rejected];

    proptest! {
        #[test]
        fn a_transaction_is_given_up_only_when_it_can_no_longer_happen(at in 0..STATUSES.len(), left_s in -4_000..4_000_i64) {
            let (status, transaction_outcome) = (STATUSES[at], outcome_of(STATUSES[at], left_s));
            prop_assert_eq!(transaction_outcome == TransactionOutcome::Registered, status == Status::Registered);
            prop_assert_eq!(transaction_outcome == TransactionOutcome::Expired, status == Status::Absent && left_s <= 0);
            let is_late = status == Status::Pending && left_s <= -FINALITY_S;
            prop_assert_eq!(matches!(transaction_outcome, TransactionOutcome::Failed(_)), status == Status::Rejected || is_late);
            // It does not stay open for ever.
            prop_assert!(transaction_outcome != TransactionOutcome::Open || left_s > -FINALITY_S);
        }

        #[test]
        fn the_range_of_pauses_grows_with_each_loss(losses in 1_u32.., jitter: u8) {
            let pause = pause_ms(losses, jitter);
            prop_assert!((0..8_000).contains(&pause) && pause % 1_000 == 0);
            let lots = |losses: u32| -> std::collections::BTreeSet<i64> { (0..=u8::MAX).map(|jitter| pause_ms(losses, jitter)).collect() };
            let (now, next) = (lots(losses), lots(losses.saturating_add(1)));
            prop_assert!(now.len() >= 2 && now.is_subset(&next));
            prop_assert_eq!(next.len(), (now.len() * 2).min(8));
        }
    }
}
