//! Identity: who made it, as far as that was checked, and the package's hash
//! on chain. Neither can fail the job, whose work is done by now: a service
//! that fails is asked again a few times, one that is not set up right is not,
//! and then the job is completed and says what could not be done.
//!
//! A transaction is signed, kept, and only then sent, so that a Worker which
//! dies on the way sends the same one again. Jobs that end together may sign
//! with the same sequence number of the account. One of them gets it; the
//! others draw lots for when to sign anew, among the more the oftener they
//! have lost.

use hatch_tokens::concordium::transaction::SignedTransaction;
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

/// Attempts with a service; from then on it goes without.
const ATTEMPTS: u32 = 4;
/// How long a transaction may take to get into the chain, signed anew as
/// often as it has expired or lost its sequence number.
const LONGEST_S: i64 = 1_800;
/// Between two looks at a transaction.
const LOOK_MS: i64 = 2_000;
/// How long after its expiry a transaction that is in a block may take to be final.
const FINALITY_S: i64 = 300;

/// How a part of it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Snapshot {
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
    /// Until it has come to an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(skip))]
    under_way: Option<UnderWay>,
}

/// A registration that has begun.
#[derive(Debug, Serialize, Deserialize)]
struct UnderWay {
    /// Seconds since the epoch.
    since_s: i64,
    /// None when one is to be signed.
    transaction: Option<SignedTransaction>,
    /// Transactions whose sequence number another one got.
    losses: u32,
}

/// Whether a person has proved to be one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Verification {
    status: Snapshot,
    /// Why it failed.
    reason: Option<String>,
    /// The block of Concordium's chain that it was checked against.
    block: Option<String>,
    verified_at: Option<String>,
}

impl Default for Verification {
    fn default() -> Self {
        Self { status: Snapshot::NotRequested, reason: None, block: None, verified_at: None }
    }
}

/// Whether the package's hash is on Concordium's chain.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Registration {
    status: Snapshot,
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
            // One that was sent may still happen; its hash finds it.
            identity.registration.fail(&error.detail());
            let line = identity.registration.log(work);
            identity.finish(work, vec![line])
        }
    }
}

/// Whether what failed is tried once more. Where somebody has to change
/// something first, the engine would fail the job.
fn is_worth_another(work: &Work, error: &Error) -> bool {
    work.job.attempts < ATTEMPTS && error.is_retryable()
}

/// Attempts that come to no end, for each call of them is just in time, are
/// no more than those that fail.
fn require_attempt(work: &Work) -> Result<(), Error> {
    if work.job.attempts <= ATTEMPTS {
        return Ok(());
    }
    Err(Error::upstream(UpstreamKind::Timeout, "Concordium takes too long"))
}

/// Has a proof checked. A proof that fails is an answer; a verifier that
/// cannot decide is asked again.
async fn verification(work: &Work, sealed: &str) -> Result<Verification, Error> {
    let settings = &work.settings;
    let checked = async {
        require_attempt(work)?;
        let proof = Proof::open(sealed, &work.startup.id, settings)?;
        concordium::verify(&proof.presentation, &proof.challenge, &proof.since, settings).await
    };
    let failed = |reason: &str| Verification {
        status: Snapshot::Failed,
        reason: Some(reason.to_owned()),
        ..Verification::default()
    };
    match checked.await {
        Ok(Verdict::Verified(proved)) => Ok(Verification {
            status: Snapshot::Completed,
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

/// One go at the registration: the milliseconds after which to look again, or
/// none when it has come to an end.
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
    let under_way = under_way.get_or_insert(UnderWay { since_s: now_s, transaction: None, losses: 0 });
    let Some(transaction) = &under_way.transaction else {
        if now_s >= under_way.since_s.saturating_add(LONGEST_S) {
            registration.fail("Its transactions did not get into the chain");
            return Ok(None);
        }
        let data = format!("hatch:sha256:{sha256}");
        let transaction = concordium::prepare(&data, registrar, settings).await?;
        *registration = Registration {
            status: Snapshot::Pending,
            reason: None,
            network: Some(Concordium::of(settings)?.network.name().to_owned()),
            transaction_hash: Some(transaction.hash.clone()),
            data: Some(data),
        };
        under_way.transaction = Some(transaction);
        return Ok(Some(0));
    };
    match fate(transaction, registrar, settings, now_s).await? {
        Fate::Registered => registration.status = Snapshot::Completed,
        Fate::Failed(reason) => registration.fail(reason),
        Fate::Open => return Ok(Some(LOOK_MS)),
        Fate::Expired => {
            under_way.transaction = None;
            return Ok(Some(0));
        }
        Fate::Superseded => {
            under_way.transaction = None;
            under_way.losses = under_way.losses.saturating_add(1);
            return Ok(Some(pause_ms(under_way.losses, random::jitter())));
        }
    }
    Ok(None)
}

/// What has become of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Registered,
    Failed(&'static str),
    /// Not known yet.
    Open,
    /// It can no longer happen.
    Expired,
    /// It cannot happen: another one has its sequence number.
    Superseded,
}

/// Sends a transaction that is not known yet, and looks after it.
async fn fate(
    transaction: &SignedTransaction,
    registrar: &Registrar,
    settings: &Settings,
    now_s: i64,
) -> Result<Fate, Error> {
    let left_s = i64::try_from(transaction.expires_s).unwrap_or(i64::MAX).saturating_sub(now_s);
    let status = concordium::status(&transaction.hash, settings).await?;
    if status != Status::Absent || left_s <= 0 {
        return Ok(fate_of(status, left_s));
    }
    match concordium::submit(transaction, registrar, settings).await? {
        Sent::Taken => Ok(fate_of(concordium::status(&transaction.hash, settings).await?, left_s)),
        Sent::Superseded => Ok(Fate::Superseded),
    }
}

/// `left_s` is until it expires.
fn fate_of(status: Status, left_s: i64) -> Fate {
    match status {
        Status::Registered => Fate::Registered,
        Status::Rejected => Fate::Failed("Concordium's chain has rejected the transaction"),
        Status::Absent if left_s <= 0 => Fate::Expired,
        Status::Pending if left_s <= -FINALITY_S => {
            Fate::Failed("The transaction is in the chain and does not become final")
        }
        Status::Absent | Status::Pending => Fate::Open,
    }
}

/// The pause before the next transaction is signed: so many seconds, a lot
/// drawn with `jitter` among twice as many at each loss, and never among more
/// than eight. One of those that meet gets its number in any case, so more
/// lots would spare some requests and make everybody late.
fn pause_ms(losses: u32, jitter: u8) -> i64 {
    let lots = 1_i64 << losses.min(3);
    i64::from(jitter) % lots * 1_000
}

impl Identity {
    fn is_verified(&self) -> bool {
        self.verification.status == Snapshot::Completed
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
        self.status = Snapshot::Failed;
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
            let (status, fate) = (STATUSES[at], fate_of(STATUSES[at], left_s));
            prop_assert_eq!(fate == Fate::Registered, status == Status::Registered);
            prop_assert_eq!(fate == Fate::Expired, status == Status::Absent && left_s <= 0);
            let is_late = status == Status::Pending && left_s <= -FINALITY_S;
            prop_assert_eq!(matches!(fate, Fate::Failed(_)), status == Status::Rejected || is_late);
            // It does not stay open for ever.
            prop_assert!(fate != Fate::Open || left_s > -FINALITY_S);
        }

        #[test]
        fn the_oftener_one_has_lost_the_more_lots_there_are_to_draw(losses in 1_u32.., jitter: u8) {
            let pause = pause_ms(losses, jitter);
            prop_assert!((0..8_000).contains(&pause) && pause % 1_000 == 0);
            let lots = |losses: u32| -> std::collections::BTreeSet<i64> { (0..=u8::MAX).map(|jitter| pause_ms(losses, jitter)).collect() };
            let (now, next) = (lots(losses), lots(losses.saturating_add(1)));
            prop_assert!(now.len() >= 2 && now.is_subset(&next));
            prop_assert_eq!(next.len(), (now.len() * 2).min(8));
        }
    }
}
