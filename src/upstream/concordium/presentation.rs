//! Proof of personhood: the request for a Concordium wallet, and the check of its response. Pure.
//!
//! The request discloses nothing about the person except that an identity provider of Concordium
//! has seen an identity document that is still valid. The verifier checks the cryptography; we
//! check that the proof answers our request and is recent.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Network;

/// The attribute with the last day of an identity document, `YYYYMMDD`.
const EXPIRY: &str = "idDocExpiresAt";
/// After the expiry of every document.
const NEVER: &str = "99990101";
/// The identity providers by their numbers on the chain. A wallet offers the credentials that one
/// of them issued.
const PROVIDERS: std::ops::Range<u32> = 0..8;

/// The argument for a wallet's `requestVerifiablePresentation`. `challenge` is 64 hex digits, used
/// once; `today` is `YYYYMMDD`.
pub(crate) fn request(challenge: &str, today: &str) -> Value {
    json!({
        "challenge": challenge,
        "credentialStatements": [{
            "idQualifier": { "type": "cred", "issuers": PROVIDERS.collect::<Vec<_>>() },
            "statement": [{ "type": "AttributeInRange", "attributeTag": EXPIRY, "lower": today, "upper": NEVER }],
        }],
    })
}

/// The challenge that a presentation claims to answer, which only the verifier can confirm.
pub(crate) fn challenge_of(presentation: &Value) -> Option<&str> {
    let challenge = presentation.get("presentationContext")?.as_str()?;
    (challenge.len() == 64 && challenge.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .then_some(challenge)
}

/// What the verifier found to be proved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proved {
    /// The block against which it was checked.
    pub(crate) block: String,
    challenge: String,
    credential_statements: Vec<Proof>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Proof {
    /// `did:ccd:{network}:cred:{credential}`
    id: String,
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "type")]
    kind: String,
    attribute_tag: Value,
    lower: Option<Value>,
    upper: Option<Value>,
}

/// Why a valid proof does not answer the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It answers another challenge.
    Challenge,
    /// It proves something else, or belongs to another network.
    Statement,
}

impl Proved {
    /// Whether this answers a [`request`] that was made on the day `since`
    /// (`YYYYMMDD`).
    pub(super) fn check(&self, challenge: &str, since: &str, network: Network) -> Result<(), Mismatch> {
        if self.challenge != challenge {
            return Err(Mismatch::Challenge);
        }
        let holder = format!("did:ccd:{}:cred:", network.name());
        let is_asked_for = |statement: &Statement| {
            let day = |bound: &Option<Value>| bound.as_ref().and_then(Value::as_str).map(str::to_owned);
            statement.kind == "AttributeInRange"
                && statement.attribute_tag == EXPIRY
                && day(&statement.lower).is_some_and(|lower| is_day(&lower) && *lower >= *since)
                && day(&statement.upper).is_some_and(|upper| is_day(&upper))
        };
        match self.credential_statements.as_slice() {
            [proof] if proof.id.starts_with(&holder) && proof.statement.iter().any(is_asked_for) => Ok(()),
            _ => Err(Mismatch::Statement),
        }
    }
}

fn is_day(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "dbd9887999b7ce48236f86fa35d29dd7a8335287b422b186e11ec6d1d02b3291";
    const TODAY: &str = "20261121";

    fn answer() -> Value {
        let sent = request(CHALLENGE, TODAY);
        json!({
            "block": "c4fa", "blockTime": "2026-11-21T10:00:00Z", "challenge": CHALLENGE,
            "credentialStatements": [
                { "id": "did:ccd:testnet:cred:8567", "statement": sent["credentialStatements"][0]["statement"] },
            ],
        })
    }

    fn check(answer: Value) -> Result<(), Mismatch> {
        let proved: Proved = serde_json::from_value(answer).unwrap();
        proved.check(CHALLENGE, TODAY, Network::Testnet)
    }

    #[test]
    fn a_proof_of_what_was_asked_for_is_good() {
        assert_eq!(check(answer()), Ok(()));
    }

    #[test]
    fn a_good_proof_of_something_else_is_not() {
        let with = |pointer: &str, value: Value| {
            let mut answer = answer();
            *answer.pointer_mut(pointer).unwrap() = value;
            check(answer)
        };
        assert_eq!(with("/challenge", "00".into()), Err(Mismatch::Challenge));
        for (pointer, value) in [
            ("/credentialStatements", json!([])),
            ("/credentialStatements/0/id", json!("did:ccd:mainnet:cred:8567")),
            ("/credentialStatements/0/id", json!("did:ccd:testnet:sci:4718:0/credentialEntry/2eec")),
            ("/credentialStatements/0/statement", json!([])),
            ("/credentialStatements/0/statement/0/type", json!("AttributeNotInSet")),
            ("/credentialStatements/0/statement/0/attributeTag", json!("dob")),
            ("/credentialStatements/0/statement/0/lower", json!("20201121")),
            ("/credentialStatements/0/statement/0/lower", json!("3")),
            ("/credentialStatements/0/statement/0/lower", json!(30_000_000)),
            ("/credentialStatements/0/statement/0/upper", json!(null)),
        ] {
            assert_eq!(with(pointer, value.clone()), Err(Mismatch::Statement), "{pointer} {value}");
        }
    }

    #[test]
    fn a_presentation_names_its_challenge() {
        assert_eq!(challenge_of(&json!({ "presentationContext": CHALLENGE })), Some(CHALLENGE));
        for odd in
            [json!({}), json!([]), json!({ "presentationContext": "x" }), json!({ "presentationContext": 7 })]
        {
            assert_eq!(challenge_of(&odd), None);
        }
    }
}
