//! The hash chain of the audit log. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An entry as it is hashed. The order of the fields is part of the hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) seq: i64,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    request_id: String,
}

/// The hash of `entry`: SHA-256, in hex, of `previous`, a line break and the
/// entry's JSON. `previous` is the hash before it, empty for the first entry.
pub(super) fn link(previous: &str, entry: &Entry) -> String {
    // A struct of numbers and texts can always be serialized.
    let entry = serde_json::to_string(entry).unwrap_or_default();
    base16ct::lower::encode_string(&Sha256::digest(format!("{previous}\n{entry}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: i64, actor: &str, action: &str) -> Entry {
        let text = str::to_owned;
        Entry {
            seq,
            at: 1,
            actor: text(actor),
            action: text(action),
            subject: text("s"),
            request_id: text("r"),
        }
    }

    #[test]
    fn every_field_and_the_past_are_in_the_hash() {
        let first = link("", &entry(1, "a", "b"));
        assert_eq!(first.len(), 64);
        assert_ne!(first, link("x", &entry(1, "a", "b")));
        assert_ne!(first, link("", &entry(2, "a", "b")));
        // Moving a character from one field to the next changes the hash.
        assert_ne!(link("", &entry(1, "ab", "")), link("", &entry(1, "a", "b")));
    }
}
