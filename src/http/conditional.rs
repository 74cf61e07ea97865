//! Conditional requests (RFC 9110, 13) on resources that count their revisions.

use crate::error::Error;

/// The strong entity tag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Whether `If-None-Match` names this entity tag, so that 304 is the answer.
pub(crate) fn matches_any(if_none_match: Option<&str>, etag: &str) -> bool {
    let Some(tags) = if_none_match else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// The revision that `If-Match` asks for; none when any will do.
///
/// # Errors
/// [`Error::PreconditionFailed`] for a tag that is none of ours.
pub(crate) fn wanted_revision(if_match: Option<&str>) -> Result<Option<i64>, Error> {
    match if_match.map(str::trim) {
        None | Some("*") => Ok(None),
        Some(tag) => {
            let revision = tag.trim_matches('"').parse().ok();
            // Tags are compared as text: "+7" is not "7".
            revision.filter(|revision| etag(*revision) == tag).map(Some).ok_or(Error::PreconditionFailed)
        }
    }
}

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
        assert_eq!(wanted_revision(Some("\"7\"")), Ok(Some(7)));
        assert_eq!(wanted_revision(Some("*")), Ok(None));
        assert_eq!(wanted_revision(None), Ok(None));
        for tag in ["7", "\"x\"", "", "W/\"7\"", "\"+7\"", "\"07\"", "\"\"7\"\""] {
            assert_eq!(wanted_revision(Some(tag)), Err(Error::PreconditionFailed), "{tag}");
        }
    }
}
