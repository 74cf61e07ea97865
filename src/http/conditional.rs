//! Conditional requests (RFC 9110, 13), by a revision counter or by the content.

use sha2::{Digest as _, Sha256};

/// The strong entity tag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// The strong entity tag of these bytes.
pub(crate) fn etag_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("\"{}\"", base16ct::lower::encode_string(hash.get(..16).unwrap_or_default()))
}

/// Whether `If-None-Match` names this entity tag, so that the response is 304.
pub(crate) fn matches_any(if_none_match: Option<&str>, etag: &str) -> bool {
    let Some(tags) = if_none_match else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// The revision that `If-Match` requires; `None` when any revision will do. A tag in another format
/// maps to a revision that no row has. The condition is checked last: a request that fails without
/// it must fail in the same way with it (RFC 9110, 13.2.1).
pub(crate) fn wanted_revision(if_match: Option<&str>) -> Option<i64> {
    match if_match.map(str::trim) {
        None | Some("*") => None,
        Some(tag) => {
            let revision = tag.trim_matches('"').parse().ok();
            // Tags are compared as text: "+7" is not "7".
            revision.filter(|revision| etag(*revision) == tag).or(Some(NO_REVISION))
        }
    }
}

/// Revisions count from 1.
const NO_REVISION: i64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        assert!(matches_any(Some("\"1\", W/\"7\""), "\"7\""));
        assert!(matches_any(Some("*"), "\"7\""));
        assert!(!matches_any(Some("\"71\""), "\"7\""));
        assert!(!matches_any(None, "\"7\""));
    }

    #[test]
    fn if_match_wants_a_revision_or_any() {
        assert_eq!(wanted_revision(Some("\"7\"")), Some(7));
        assert_eq!(wanted_revision(Some("*")), None);
        assert_eq!(wanted_revision(None), None);
        for tag in ["7", "\"x\"", "", "W/\"7\"", "\"+7\"", "\"07\"", "\"\"7\"\""] {
            assert_eq!(wanted_revision(Some(tag)), Some(NO_REVISION), "{tag}");
        }
    }
}
