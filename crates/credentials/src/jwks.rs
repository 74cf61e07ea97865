//! A set of public keys for ES256 (JWKS, RFC 7517 section 5).

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub use p256::ecdsa::VerifyingKey;
use serde::Deserialize;

/// The longest document that is read; the caller should not fetch more either.
pub const MAX_JWKS_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 16;
const MAX_KID_BYTES: usize = 128;

/// Why a document is unusable, so that the previous keys stay in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwksError {
    /// Longer than [`MAX_JWKS_BYTES`].
    TooLong,
    /// Not `{"keys": [object, …]}`.
    Form,
    /// More than 16 keys.
    TooManyKeys,
    /// Two keys have the same name, so a token's key would be ambiguous.
    DuplicateKid,
    /// No key is for ES256. Using the set would lock out all users.
    NoUsableKey,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the key set is longer than 64 KB",
            Self::Form => "the key set is not a JWKS document",
            Self::TooManyKeys => "the key set has more than 16 keys",
            Self::DuplicateKid => "the key set has two keys of one name",
            Self::NoUsableKey => "the key set has no key for ES256",
        })
    }
}

impl std::error::Error for JwksError {}

/// The usable keys of a document by `kid`; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks(BTreeMap<String, VerifyingKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// A key in the format of RFC 7517 and RFC 7518 section 6.2. Other members are ignored.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    y: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl Jwks {
    /// Parses a document and keeps the keys for ES256; others are ignored, as RFC 7517 asks.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        if document.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLong);
        }
        let document: Document = hatch_json::from_slice(document).map_err(|_| JwksError::Form)?;
        if document.keys.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let mut keys = BTreeMap::new();
        for value in document.keys {
            let Some((kid, key)) = hatch_json::from_value(&value).ok().and_then(Jwk::usable) else {
                continue;
            };
            if keys.insert(kid, key).is_some() {
                return Err(JwksError::DuplicateKid);
            }
        }
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// The key of this name.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }
}

impl Jwk {
    /// Name and key, if it is for verifying ES256 and is a point on the curve.
    fn usable(self) -> Option<(String, VerifyingKey)> {
        let is_for_es256 = self.kty == "EC"
            && self.crv == "P-256"
            && self.alg.is_none_or(|alg| alg == "ES256")
            && self.purpose.is_none_or(|purpose| purpose == "sig")
            && self.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"))
            && (1..=MAX_KID_BYTES).contains(&self.kid.len());
        let point = [vec![UNCOMPRESSED], coordinate(&self.x)?, coordinate(&self.y)?].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).ok()?;
        is_for_es256.then_some((self.kid, key))
    }
}

/// SEC 1's tag for an uncompressed point.
const UNCOMPRESSED: u8 = 0x04;

/// 32 bytes, leading zeros included.
fn coordinate(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{super::jws::tests::key, *};

    /// The public part of `key(seed)`, as a JWK named `kid`.
    pub(crate) fn jwk(kid: &str, seed: u8) -> Value {
        let point = key(seed).verifying_key().to_sec1_point(false);
        let [x, y] = [1..33, 33..65].map(|range| URL_SAFE_NO_PAD.encode(&point.as_bytes()[range]));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y })
    }

    pub(crate) fn jwks(keys: &[Value]) -> Result<Jwks, JwksError> {
        Jwks::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    /// `jwk("k1", 1)` with one member set.
    fn changed(name: &str, value: Value) -> Value {
        let mut jwk = jwk("k1", 1);
        jwk.as_object_mut().unwrap().insert(name.to_owned(), value);
        jwk
    }

    #[test]
    fn keys_are_found_by_their_name() {
        let keys = jwks(&[jwk("new", 1), jwk("legacy", 2)]).unwrap();
        assert_eq!(keys.get("new"), Some(key(1).verifying_key()));
        assert_eq!(keys.get("legacy"), Some(key(2).verifying_key()));
        assert_eq!(keys.get("other"), None);
    }

    #[test]
    fn keys_declared_for_es256_signatures_are_used() {
        for (name, value) in [
            ("alg", json!("ES256")),
            ("use", json!("sig")),
            ("key_ops", json!(["verify"])),
            ("ext", json!(true)),
            ("alg", json!(null)),
        ] {
            assert!(jwks(&[changed(name, value)]).is_ok(), "{name}");
        }
    }

    #[test]
    fn keys_that_are_not_for_es256_are_ignored() {
        for (name, value) in [
            ("kty", json!("RSA")),
            ("kty", json!("oct")),
            ("crv", json!("secp256k1")),
            ("crv", json!("P-384")),
            ("alg", json!("ES384")),
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("kid", json!("")),
            ("kid", json!("k".repeat(129))),
            ("kid", json!(null)),
            ("x", json!("AA")),
            ("x", json!("")),
            // 32 bytes that are not the x of a point with this y.
            ("x", json!("A".repeat(43))),
        ] {
            assert_eq!(jwks(&[changed(name, value)]), Err(JwksError::NoUsableKey), "{name}");
            let (bad, good) = (changed(name, json!(7)), jwk("good", 2));
            assert!(jwks(&[bad, good]).unwrap().get("good").is_some(), "{name}");
        }
    }

    #[test]
    fn a_document_without_usable_keys_is_refused() {
        assert_eq!(jwks(&[]), Err(JwksError::NoUsableKey));
        for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"error":"down"}"#, "<html>"] {
            assert_eq!(Jwks::parse(bad.as_bytes()), Err(JwksError::Form), "{bad}");
        }
        assert_eq!(jwks(&[json!("k1")]), Err(JwksError::NoUsableKey));
    }

    #[test]
    fn two_keys_of_one_name_are_refused() {
        assert_eq!(jwks(&[jwk("k1", 1), jwk("k1", 2)]), Err(JwksError::DuplicateKid));
    }

    #[test]
    fn a_document_of_any_size_is_bounded() {
        let many: Vec<Value> = (1..=17).map(|seed| jwk(&format!("k{seed}"), seed)).collect();
        assert_eq!(jwks(&many), Err(JwksError::TooManyKeys));
        assert!(jwks(&many[..16]).is_ok());
        assert_eq!(Jwks::parse(&[b' '; MAX_JWKS_BYTES + 1]), Err(JwksError::TooLong));
    }

    proptest! {
        #[test]
        fn any_document_is_parsed_or_refused(document in "(\\{\"keys\":\\[\\{)?\\PC{0,80}") {
            let _ = Jwks::parse(document.as_bytes());
        }
    }
}
