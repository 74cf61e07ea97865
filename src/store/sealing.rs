//! Encrypts secrets at rest: AES-256-GCM with a key from the environment (`SEALING_KEY`).

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{error::Error, platform::random};

/// Names the key and the format, in case either changes.
const VERSION: &str = "v1.";
const NONCE_BYTES: usize = 12;

/// A key of 32 bytes.
pub(crate) type Key = [u8; 32];

/// Seals `secret`. Opening it needs the same `place` (its owner's row), so a sealed text that is
/// moved to another row cannot be opened.
pub(crate) fn seal(key: &Key, place: &str, secret: &str) -> Result<String, Error> {
    let mut nonce = [0; NONCE_BYTES];
    random::fill(&mut nonce)?;
    seal_with(key, place, secret, nonce)
}

fn seal_with(key: &Key, place: &str, secret: &str, nonce: [u8; NONCE_BYTES]) -> Result<String, Error> {
    let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
    let sealed = Aes256Gcm::new(key.into())
        .encrypt(&nonce.into(), payload)
        .map_err(|_| Error::Internal("a secret cannot be sealed".to_owned()))?;
    Ok(format!("{VERSION}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
}

/// Opens what [`seal`] sealed with the same key and place.
pub(crate) fn open(key: &Key, place: &str, sealed: &str) -> Result<String, Error> {
    let opened = || {
        let bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let secret = Aes256Gcm::new(key.into()).decrypt(&(*nonce).into(), payload).ok()?;
        String::from_utf8(secret).ok()
    };
    opened().ok_or_else(|| Error::NotConfigured {
        variable: "SEALING_KEY",
        detail: "This was sealed with another SEALING_KEY; set it again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_place() {
        let (key, place) = ([7; 32], "deployments/app");
        let sealed = seal_with(&key, place, "a secret", [1; 12]).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(open(&key, place, &sealed).unwrap(), "a secret");
        assert!(open(&key, "deployments/other", &sealed).is_err());
        assert!(open(&[8; 32], place, &sealed).is_err());
        let forged: String = sealed.chars().rev().collect();
        assert!(open(&key, place, &format!("{VERSION}{forged}")).is_err());
        assert!(open(&key, place, "").is_err());
    }
}
