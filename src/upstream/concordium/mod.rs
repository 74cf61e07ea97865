//! Concordium: verifies a person's proof of identity with its verifier
//! (https://github.com/Concordium/concordium-web3id), and registers data on its chain with its
//! wallet proxy.
//!
//! Registering takes three steps, so that it happens once: [`prepare`] signs a transaction, whose
//! bytes the caller stores; [`submit`] sends them, repeatedly if necessary; [`status`] returns the
//! result.

pub(crate) mod presentation;
mod settings;

pub(crate) use settings::SETTINGS;
pub(crate) use settings::{Concordium, Network, Registrar};

use hatch_credentials::concordium::transaction::{self, Header, SignedTransaction};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use worker::Method;

use self::presentation::{Mismatch, Proved};
use super::retry::Advice;
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::now_ms,
        fetch::{self, OutboundRequest},
    },
    settings::{FromVars as _, Settings},
};

/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 256 * 1024;
const DEADLINE_MS: u64 = 20_000;
/// The time in which a transaction must get into a block.
const LIFETIME_S: u64 = 600;

/// A response of either service.
struct ServiceResponse {
    status: u16,
    body: String,
    retry_after_s: Option<i64>,
}

/// The result of verifying a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Verified(Proved),
    /// The reason, in words for the sender of the proof.
    NotVerified(&'static str),
}

/// Verifies that a presentation answers the challenge from [`presentation::request`], which was
/// issued on the day `since` (`YYYYMMDD`).
///
/// # Errors
/// [`Error::Upstream`] when the verifier gives no verdict.
pub(crate) async fn verify(
    presentation: &Value,
    challenge: &str,
    since: &str,
    settings: &Settings,
) -> Result<Verdict, Error> {
    let concordium = Concordium::of(settings)?;
    let url = format!("{}/v0/verify", concordium.verifier_url);
    let answer = call(OutboundRequest::post_json(url, presentation.to_string()), settings).await?;
    match answer.status {
        200 => {}
        400 | 422 => {
            return Ok(Verdict::NotVerified("Concordium's verifier says that the proof is not valid"));
        }
        404 => return Ok(Verdict::NotVerified("The credential of the proof is not on Concordium's chain")),
        _ => return Err(answer.failure()),
    }
    let proved: Proved = answer.read()?;
    Ok(match proved.check(challenge, since, concordium.network) {
        Ok(()) => Verdict::Verified(proved),
        Err(Mismatch::Challenge) => Verdict::NotVerified("The proof answers another challenge than ours"),
        Err(Mismatch::Statement) => Verdict::NotVerified("The proof does not show what was asked for"),
    })
}

/// Signs the registration of `text`, at most 254 bytes, with the account's next sequence number.
/// Nothing is sent: store the result, then [`submit`] it. When two are prepared at once, only one
/// can succeed.
///
/// # Errors
/// [`Error::Upstream`] when the account's sequence number cannot be read.
pub(crate) async fn prepare(
    text: &str,
    registrar: &Registrar,
    settings: &Settings,
) -> Result<SignedTransaction, Error> {
    let nonce = next_nonce(registrar, settings).await?;
    let now_s = u64::try_from(now_ms() / 1000).unwrap_or_default();
    let header = Header { sender: registrar.sender, nonce, expires_s: now_s + LIFETIME_S };
    let data = transaction::cbor_text(text);
    let signed = data.and_then(|data| transaction::register_data(&header, &data, &registrar.key));
    signed.ok_or_else(|| Error::Internal("too much to register on Concordium's chain".to_owned()))
}

/// The account's next sequence number; pending transactions count as used.
async fn next_nonce(registrar: &Registrar, settings: &Settings) -> Result<u64, Error> {
    #[derive(Deserialize)]
    struct Next {
        nonce: u64,
    }
    let url = format!("{}/v0/accNonce/{}", Concordium::of(settings)?.wallet_proxy_url, registrar.sender);
    let answer = call(OutboundRequest::get(url), settings).await?;
    if answer.status == 404 {
        return Err(Error::NotConfigured {
            variable: "CONCORDIUM_SENDER",
            detail: "The account of CONCORDIUM_SENDER is not on Concordium's chain; set it to one that is"
                .to_owned(),
        });
    }
    Ok(answer.good()?.read::<Next>()?.nonce)
}

/// The wallet proxy's response to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Taken,
    /// Another transaction has its sequence number, so it can never succeed.
    Superseded,
}

/// Sends a transaction; repeating it is safe.
///
/// # Errors
/// [`Error::Upstream`] when the wallet proxy has not accepted it.
pub(crate) async fn submit(
    signed: &SignedTransaction,
    registrar: &Registrar,
    settings: &Settings,
) -> Result<Sent, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Submission {
        submission_id: String,
    }
    let url = format!("{}/v0/submitRawTransaction", Concordium::of(settings)?.wallet_proxy_url);
    let bytes = signed.bytes().ok_or_else(|| Error::Internal("a kept transaction is no hex".to_owned()))?;
    let request = OutboundRequest::new(Method::Put, url).carrying("application/octet-stream", bytes);
    let answer = call(request, settings).await?;
    if answer.status == 400 {
        return match status(&signed.hash, settings).await? {
            Status::Absent if next_nonce(registrar, settings).await? > signed.nonce => Ok(Sent::Superseded),
            Status::Absent => Err(refused()),
            // It was accepted before, and is not accepted twice.
            Status::Pending | Status::Registered | Status::Rejected => Ok(Sent::Taken),
        };
    }
    let submission: Submission = answer.good()?.read()?;
    if submission.submission_id == signed.hash { Ok(Sent::Taken) } else { Err(unreadable()) }
}

/// The state of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Unknown: not sent, or superseded. After it has expired a new one may be prepared.
    Absent,
    /// Pending; poll again.
    Pending,
    /// Final on the chain.
    Registered,
    /// Final on the chain, and rejected there.
    Rejected,
}

/// The state of the transaction with this hash.
///
/// # Errors
/// [`Error::Upstream`] when the wallet proxy does not know.
pub(crate) async fn status(hash: &str, settings: &Settings) -> Result<Status, Error> {
    let url = format!("{}/v0/submissionStatus/{hash}", Concordium::of(settings)?.wallet_proxy_url);
    let answer = call(OutboundRequest::get(url), settings).await?;
    let message: SubmissionStatus = answer.good()?.read()?;
    message.meaning().ok_or_else(unreadable)
}

#[derive(Deserialize)]
struct SubmissionStatus {
    status: String,
    outcome: Option<String>,
}

impl SubmissionStatus {
    fn meaning(&self) -> Option<Status> {
        match (self.status.as_str(), self.outcome.as_deref()) {
            ("absent", _) => Some(Status::Absent),
            ("received" | "committed", _) => Some(Status::Pending),
            ("finalized", Some("success")) => Some(Status::Registered),
            ("finalized", Some("reject")) => Some(Status::Rejected),
            _ => None,
        }
    }
}

async fn call(request: OutboundRequest, settings: &Settings) -> Result<ServiceResponse, Error> {
    let deadline_ms = settings.timeouts.head_ms.min(DEADLINE_MS);
    let unreached = |_| upstream(UpstreamKind::Unreachable, "Concordium cannot be reached", None);
    let answer = fetch::send(request, deadline_ms).await.map_err(unreached)?;
    let (status, advice) = (answer.status(), Advice::read(|name| answer.header(name), now_ms()));
    let body = answer.text(LONGEST_ANSWER, deadline_ms).await.map_err(unreached)?;
    Ok(ServiceResponse { status, body, retry_after_s: advice.after_s() })
}

impl ServiceResponse {
    fn good(self) -> Result<Self, Error> {
        if self.status == 200 { Ok(self) } else { Err(self.failure()) }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        hatch_json::from_str(&self.body).map_err(|_| unreadable())
    }

    fn failure(&self) -> Error {
        let detail = format!("Concordium answered {}", self.status);
        let kind = if self.status == 429 { UpstreamKind::RateLimited } else { UpstreamKind::Failed };
        upstream(kind, &detail, self.retry_after_s)
    }
}

fn refused() -> Error {
    let detail = "Concordium does not take the transaction; check that CONCORDIUM_SIGNING_KEY is the key of \
         CONCORDIUM_SENDER, and that this account has CCD";
    upstream(UpstreamKind::Failed, detail, None)
}

fn unreadable() -> Error {
    upstream(UpstreamKind::Unreadable, "Concordium answered something that is not its API", None)
}

fn upstream(kind: UpstreamKind, detail: &str, retry_after_s: Option<i64>) -> Error {
    Error::Upstream { kind, detail: detail.to_owned(), retry_after_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_transaction_counts_as_registered() {
        let meaning = |status: &str, outcome: Option<&str>| {
            SubmissionStatus { status: status.to_owned(), outcome: outcome.map(str::to_owned) }.meaning()
        };
        assert_eq!(meaning("absent", None), Some(Status::Absent));
        assert_eq!(meaning("received", None), Some(Status::Pending));
        assert_eq!(meaning("committed", Some("success")), Some(Status::Pending));
        assert_eq!(meaning("finalized", Some("success")), Some(Status::Registered));
        assert_eq!(meaning("finalized", Some("reject")), Some(Status::Rejected));
        assert_eq!(meaning("finalized", Some("ambiguous")), None);
        assert_eq!(meaning("", None), None);
    }
}
