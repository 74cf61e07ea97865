//! How a GitHub App says who it is: a JSON Web Token that its RSA key signs
//! (docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App"). The
//! signature itself is the platform's work.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;

/// GitHub's clock may be behind ours by as much.
const BEHIND_S: i64 = 60;
/// GitHub refuses more than ten minutes, counted from when it was issued.
const GOOD_S: i64 = 9 * 60;

/// The header and the claims of a token, which are to be signed by RS256.
#[must_use]
pub fn unsigned(app_id: &str, now_s: i64) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "iss": app_id, "iat": now_s - BEHIND_S, "exp": now_s - BEHIND_S + GOOD_S });
    format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
}

/// The whole token.
#[must_use]
pub fn signed(unsigned: &str, signature: &[u8]) -> String {
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The RSA key of a PEM file as PKCS#8, which is the one form that WebCrypto
/// takes. GitHub hands out PKCS#1, which is wrapped. Where a variable has no
/// lines, they may be written as `\n`.
#[must_use]
pub fn private_key(pem: &str) -> Option<Vec<u8>> {
    let pem = pem.replace("\\n", "\n");
    let der = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (base64, _) = rest.split_once(&format!("-----END {label}-----"))?;
        STANDARD.decode(base64.split_whitespace().collect::<String>()).ok()
    };
    let key = der("PRIVATE KEY").or_else(|| Some(wrapped(&der("RSA PRIVATE KEY")?)))?;
    key.windows(RSA.len()).any(|part| part == RSA).then_some(key)
}

/// The algorithm rsaEncryption, without parameters (RFC 8017, A.1), in DER.
const RSA: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const VERSION: [u8; 3] = [2, 1, 0];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 4;

/// PKCS#8 around PKCS#1 (RFC 5208, 5).
fn wrapped(pkcs1: &[u8]) -> Vec<u8> {
    tagged(SEQUENCE, &[&VERSION[..], &RSA[..], &tagged(OCTET_STRING, pkcs1)].concat())
}

/// A value of DER: its tag, its length, itself.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let bytes = content.len().to_be_bytes();
    let length: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut value = vec![tag];
    match length.as_slice() {
        [] => value.push(0),
        [short @ 0..0x80] => value.push(*short),
        // No length of a `Vec` has more than eight bytes.
        long => {
            value.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            value.extend_from_slice(long);
        }
    }
    value.extend_from_slice(content);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_less_than_ten_minutes_of_a_clock_that_is_behind() {
        let token = unsigned("12345", 1_000_000);
        let parts: Vec<String> = token
            .split('.')
            .map(|part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(
            parts,
            [r#"{"alg":"RS256","typ":"JWT"}"#, r#"{"exp":1000480,"iat":999940,"iss":"12345"}"#]
        );
        assert_eq!(signed("a.b", &[0xff, 0xfe]), "a.b.__4");
    }

    #[test]
    fn a_length_is_written_as_der_writes_it() {
        assert_eq!(tagged(4, &[7]), [4, 1, 7]);
        assert_eq!(tagged(4, &[]), [4, 0]);
        assert_eq!(tagged(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tagged(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn both_forms_of_a_key_are_taken_and_nothing_else() {
        let pkcs1 = [1, 2, 3];
        let pem = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
        };
        let key = private_key(&pem("RSA PRIVATE KEY", &pkcs1)).unwrap();
        assert_eq!(key.len(), 2 + VERSION.len() + RSA.len() + 2 + pkcs1.len());
        assert_eq!(private_key(&pem("PRIVATE KEY", &key)).as_ref(), Some(&key));
        let in_one_line = pem("RSA PRIVATE KEY", &pkcs1).replace('\n', "\\n");
        assert_eq!(private_key(&in_one_line).as_ref(), Some(&key));
        for wrong in [
            "",
            "-----BEGIN RSA PRIVATE KEY-----",
            &pem("EC PRIVATE KEY", &pkcs1),
            &pem("PRIVATE KEY", &pkcs1),
            "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----",
        ] {
            assert_eq!(private_key(wrong), None, "{wrong}");
        }
    }
}
