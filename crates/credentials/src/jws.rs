//! Parses and verifies signed tokens in JWS compact form (RFC 7515), only with ES256 (RFC 7518 section 3.4), by the
//! rules of RFC 8725 ("JSON Web Token Best Current Practices").
//!
//! The header is untrusted until the signature has been verified: only `kid` is used, to choose among keys that we
//! already have. A key or a key's URL in the token itself (`jwk`, `jku`, `x5c`, `x5u`) is ignored. The payload is not
//! decoded before the signature has been verified.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// The longest token that is accepted.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
const MAX_KID_BYTES: usize = 128;

/// Why a text is not a token with a valid signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsError {
    /// More than 8 KB.
    TooLong,
    /// Not three parts of base64url without padding, the first and second being JSON objects.
    Form,
    /// A key occurs twice in the header or in the payload, so that two parsers could read different tokens.
    DuplicateKey,
    /// `alg` is not exactly `ES256`.
    Algorithm,
    /// `typ` is there and is not `JWT`.
    Type,
    /// `crit` names extensions, which are not supported.
    Critical,
    /// `kid` is missing, empty or too long.
    Kid,
    /// The signature is not 64 bytes of r and s, each in range; DER is not.
    SignatureForm,
    /// The key did not sign this.
    Signature,
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is longer than 8 KB",
            Self::Form => "the token is not a JWT in compact form",
            Self::DuplicateKey => "the token has the same key twice",
            Self::Algorithm => "the token's algorithm is not ES256",
            Self::Type => "the token's type is not JWT",
            Self::Critical => "the token needs extensions that are not supported",
            Self::Kid => "the token does not name its key",
            Self::SignatureForm => "the token's signature is not 64 bytes of ES256",
            Self::Signature => "the token's signature is wrong",
        })
    }
}

impl std::error::Error for JwsError {}

/// A well-formed token whose signature has not been verified.
#[derive(Debug)]
pub struct Jws<'a> {
    kid: String,
    /// The signed text: header and payload, unchanged.
    signed: &'a str,
    payload: &'a str,
    signature: Signature,
}

impl<'a> Jws<'a> {
    /// Decodes a token, except for its payload.
    ///
    /// # Errors
    /// [`JwsError`], never [`JwsError::Signature`].
    pub fn decode(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Form)?;
        let (header, payload) =
            signed.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or(JwsError::Form)?;
        let kid = read_header(&object(header)?)?;
        let signature = Signature::from_slice(&base64url(signature)?).map_err(|_| JwsError::SignatureForm)?;
        Ok(Self { kid, signed, payload, signature })
    }

    /// The key that the token claims to be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if `key` signed them.
    ///
    /// Both values of s that ECDSA allows are accepted: RFC 7518 permits both, and WebCrypto produces both. So a
    /// token's text does not identify it uniquely.
    ///
    /// # Errors
    /// [`JwsError::Signature`]; then [`JwsError::Form`] and [`JwsError::DuplicateKey`] of the payload.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Map<String, Value>, JwsError> {
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| JwsError::Signature)?;
        object(self.payload)
    }
}

/// Checks the header and returns the `kid`.
fn read_header(header: &Map<String, Value>) -> Result<String, JwsError> {
    if header.get("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(JwsError::Algorithm);
    }
    if header.get("typ").is_some_and(|typ| !typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))) {
        return Err(JwsError::Type);
    }
    if header.contains_key("crit") {
        return Err(JwsError::Critical);
    }
    let kid = header.get("kid").and_then(Value::as_str).ok_or(JwsError::Kid)?;
    let is_sane = (1..=MAX_KID_BYTES).contains(&kid.len());
    is_sane.then(|| kid.to_owned()).ok_or(JwsError::Kid)
}

fn base64url(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Form)
}

/// Decodes a part that must be a JSON object without duplicate keys.
fn object(part: &str) -> Result<Map<String, Value>, JwsError> {
    let Entries(entries) = hatch_json::from_slice(&base64url(part)?).map_err(|_| JwsError::Form)?;
    let mut object = Map::new();
    for (key, value) in entries {
        if object.insert(key, value).is_some() {
            return Err(JwsError::DuplicateKey);
        }
    }
    Ok(object)
}

/// An object's entries in order, with duplicates: `serde_json::Map` would silently keep only the last one.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;

        impl<'de> Visitor<'de> for AsWritten {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(AsWritten)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use p256::ecdsa::{SigningKey, signature::Signer as _};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(crate) fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A token with exactly these texts, signed.
    pub(crate) fn token(header: &str, payload: &str, key: &SigningKey) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature: Signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", encode(signature.to_bytes()))
    }

    pub(crate) const HEADER: &str = r#"{"alg":"ES256","kid":"k1"}"#;

    fn decode_error(token: &str) -> JwsError {
        Jws::decode(token).unwrap_err()
    }

    fn header_error(header: &str) -> JwsError {
        decode_error(&token(header, "{}", &key(1)))
    }

    /// RFC 7515, appendix A.3: its key, and its payload's signature under a header without `kid`.
    #[test]
    fn the_example_of_rfc_7515_has_a_valid_signature() {
        let coordinates =
            ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
        let point = coordinates.iter().fold(vec![4], |point, c| [point, base64url(c).unwrap()].concat());
        let payload =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signed = format!("eyJhbGciOiJFUzI1NiJ9.{payload}");
        let signature =
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert_eq!(decode_error(&format!("{signed}.{signature}")), JwsError::Kid);
        let signature = Signature::from_slice(&base64url(signature).unwrap()).unwrap();
        let jws = Jws { kid: String::new(), signed: &signed, payload, signature };
        let claims = jws.verify(&VerifyingKey::from_sec1_bytes(&point).unwrap()).unwrap();
        assert_eq!(claims.get("iss"), Some(&json!("joe")));
    }

    #[test]
    fn claims_are_returned_only_for_the_right_key() {
        let token = token(HEADER, r#"{"a":1}"#, &key(1));
        let jws = Jws::decode(&token).unwrap();
        assert_eq!(jws.kid(), "k1");
        assert_eq!(jws.verify(key(1).verifying_key()).unwrap().get("a"), Some(&json!(1)));
        assert_eq!(jws.verify(key(2).verifying_key()), Err(JwsError::Signature));
    }

    #[test]
    fn both_halves_of_s_are_accepted_because_webcrypto_produces_both() {
        let low = token(HEADER, "{}", &key(1));
        let (signed, signature) = low.rsplit_once('.').unwrap();
        let signature = Signature::from_slice(&base64url(signature).unwrap()).unwrap();
        let twin = Signature::from_scalars(*signature.r(), -*signature.s()).unwrap();
        let twin = format!("{signed}.{}", encode(twin.to_bytes()));
        for token in [&low, &twin] {
            assert!(Jws::decode(token).unwrap().verify(key(1).verifying_key()).is_ok());
        }
    }

    #[test]
    fn any_other_algorithm_is_refused() {
        for alg in ["none", "None", "", "HS256", "RS256", "ES384", "es256", "ES256 "] {
            assert_eq!(
                header_error(&json!({ "alg": alg, "kid": "k1" }).to_string()),
                JwsError::Algorithm,
                "{alg}"
            );
        }
        assert_eq!(header_error(r#"{"kid":"k1"}"#), JwsError::Algorithm);
        assert_eq!(header_error(r#"{"alg":["ES256"],"kid":"k1"}"#), JwsError::Algorithm);
    }

    #[test]
    fn a_kid_is_a_text_of_limited_length() {
        for kid in [json!(null), json!(1), json!(""), json!("k".repeat(129))] {
            assert_eq!(header_error(&json!({ "alg": "ES256", "kid": kid }).to_string()), JwsError::Kid);
        }
    }

    #[test]
    fn a_type_that_is_not_jwt_and_critical_extensions_are_refused() {
        assert_eq!(header_error(r#"{"alg":"ES256","kid":"k1","typ":"JOSE"}"#), JwsError::Type);
        assert_eq!(header_error(r#"{"alg":"ES256","kid":"k1","typ":1}"#), JwsError::Type);
        assert_eq!(
            header_error(r#"{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}"#),
            JwsError::Critical
        );
        assert!(Jws::decode(&token(r#"{"alg":"ES256","kid":"k1","typ":"jwt"}"#, "{}", &key(1))).is_ok());
    }

    #[test]
    fn a_duplicate_key_in_the_header_is_refused_even_if_escaped() {
        assert_eq!(header_error(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#), JwsError::DuplicateKey);
        assert_eq!(header_error(r#"{"alg":"ES256","kid":"k1","\u006bid":"k2"}"#), JwsError::DuplicateKey);
    }

    #[test]
    fn anything_but_compact_jws_is_refused() {
        let good = token(HEADER, "{}", &key(1));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        for bad in [
            "",
            ".",
            "..",
            "a.b.c",
            signed,
            &format!("{good}="),
            &format!("{good} "),
            &format!("{good}\n"),
            &format!("{good}.AA"),
            &format!("{signed}.e30.{signature}"),
            &good.replacen('.', "=.", 1),
        ] {
            assert_eq!(decode_error(bad), JwsError::Form, "{bad}");
        }
        for header in ["", "[]", "null", "{}x", r#"{"alg":"ES256","kid":"k1"} {}"#, "\u{feff}{}"] {
            assert_eq!(header_error(header), JwsError::Form, "{header}");
        }
        assert_eq!(decode_error(&format!("{signed}.")), JwsError::SignatureForm);
    }

    #[test]
    fn a_payload_that_is_not_an_object_is_refused() {
        for payload in ["", "[]", "1", r#"{"a":1}x"#] {
            let token = token(HEADER, payload, &key(1));
            assert_eq!(
                Jws::decode(&token).unwrap().verify(key(1).verifying_key()),
                Err(JwsError::Form),
                "{payload}"
            );
        }
    }

    #[test]
    fn deeply_nested_json_is_refused_and_does_not_exhaust_the_stack() {
        let header = format!(r#"{{"alg":"ES256","kid":"k1","x":{}"#, "[".repeat(5000));
        assert_eq!(header_error(&header), JwsError::Form);
    }

    #[test]
    fn scalars_of_zero_are_refused() {
        let signed = format!("{}.{}", encode(HEADER), encode("{}"));
        assert_eq!(decode_error(&format!("{signed}.{}", encode([0; 64]))), JwsError::SignatureForm);
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_or_refused(text in "[A-Za-z0-9_.-]{0,200}|\\PC{0,60}") {
            let _ = Jws::decode(&text);
        }

        #[test]
        fn any_header_is_decoded_or_refused(header in "\\{\"alg\":\"ES256\",\\PC{0,60}\\}?") {
            let _ = Jws::decode(&format!("{}.e30.{}", encode(header), encode([1; 64])));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_changed_character_in_a_token_is_detected(at: prop::sample::Index, other in "[A-Za-z0-9_-]") {
            let good = token(HEADER, r#"{"sub":"u1","admin":false}"#, &key(1));
            let at = at.index(good.len());
            let mut bad = good.clone();
            bad.replace_range(at..=at, &other);
            prop_assume!(bad != good);
            let is_good = Jws::decode(&bad).is_ok_and(|jws| jws.verify(key(1).verifying_key()).is_ok());
            prop_assert!(!is_good);
        }
    }
}
