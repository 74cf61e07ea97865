//! Signs and verifies URLs that permit one kind of request for a limited time. The signature covers the method, the
//! path, the expiry, and the limits of the request.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a signed URL permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    /// `GET` or `PUT`, in capitals.
    pub method: &'a str,
    /// The URL's path, without the query.
    pub path: &'a str,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
    /// The media type of the body; empty if there is no body.
    pub content_type: &'a str,
    /// The largest permitted body, in bytes.
    pub max_bytes: u64,
}

impl Grant<'_> {
    fn mac(&self, key: &[u8; 32]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        let Self { method, path, expires_at, content_type, max_bytes } = self;
        let text = format!("hatch-url\n{method}\n{path}\n{expires_at}\n{content_type}\n{max_bytes}");
        mac.update(text.as_bytes());
        Some(mac)
    }

    /// The signature, in URL-safe base64.
    pub fn sign(&self, key: &[u8; 32]) -> String {
        self.mac(key).map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Whether `signature` matches this grant (compared in constant time) and the grant has not expired.
    pub fn is_valid(&self, key: &[u8; 32], signature: &str, now: i64) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.mac(key).is_some_and(|mac| mac.verify_slice(&signature).is_ok()) && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_valid_only_for_its_own_fields_and_until_it_expires() {
        let key = [7; 32];
        let grant = Grant {
            method: "PUT",
            path: "/a",
            expires_at: 1_000,
            content_type: "application/zip",
            max_bytes: 5,
        };
        let signature = grant.sign(&key);
        assert!(grant.is_valid(&key, &signature, 999));
        assert!(!grant.is_valid(&key, &signature, 1_000));
        for other in [
            Grant { method: "GET", ..grant },
            Grant { path: "/b", ..grant },
            Grant { expires_at: 2_000, ..grant },
            Grant { content_type: "text/html", ..grant },
            Grant { max_bytes: 6, ..grant },
        ] {
            assert!(!other.is_valid(&key, &signature, 0), "{other:?}");
        }
        assert!(!grant.is_valid(&[8; 32], &signature, 0));
        for bad in ["", "x", "!!", signature.trim_start_matches(|c: char| c.is_ascii_graphic())] {
            assert!(!grant.is_valid(&key, bad, 0), "{bad}");
        }
    }
}
