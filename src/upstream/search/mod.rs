//! Searching the web, by whichever provider the settings name.

mod brave;
mod claude;
mod google;

use hatch_wire::anthropic::Usage;

use super::{anthropic::complete::Failed, download, web::text};
use crate::{
    error::Error,
    settings::{Search, Settings},
};

/// The longest query: engines take 400 characters and 50 words.
const MOST_CHARS: usize = 300;
const MOST_WORDS: usize = 40;
/// The longest list of results, in bytes.
const LONGEST_ANSWER: usize = 2_000_000;

/// A page that a search has found. All of it is the web's, so untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) title: String,
    pub(crate) url: String,
    /// One line; may be empty.
    pub(crate) snippet: String,
}

/// What a search has found, the best first, and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) hits: Vec<Hit>,
    /// Claude's tokens; none of other providers.
    pub(crate) usage: Usage,
    /// What Claude cost; the other providers have their own bills.
    pub(crate) cost_micro_usd: i64,
}

/// Searches for `query`, a question or a few words: at most `count` results
/// (20 of Brave, 10 of Google).
///
/// # Errors
/// [`Failed`], its detail safe to show: no key of ours is ever in it.
pub(crate) async fn search(
    provider: &Search,
    query: &str,
    count: usize,
    settings: &Settings,
) -> Result<Found, Failed> {
    let query = short(query);
    let hits = match provider {
        Search::Claude => return claude::search(&query, count, settings).await,
        Search::Brave { key, base_url } => brave::search(base_url, key, &query, count, settings).await,
        Search::Google { key, engine, base_url } => {
            google::search(base_url, key, engine, &query, count, settings).await
        }
    };
    match hits {
        Ok(hits) => Ok(Found { hits, ..Found::default() }),
        Err(error) => Err(Failed { error, cost_micro_usd: 0 }),
    }
}

/// A query that every engine takes.
fn short(query: &str) -> String {
    let words: Vec<&str> =
        query.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let words = words.get(..MOST_WORDS).unwrap_or(&words);
    words.join(" ").chars().take(MOST_CHARS).collect::<String>().trim_end().to_owned()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Hit {
    /// A result as an engine tells it, with marks of HTML in it.
    fn of(title: &str, url: String, snippet: &str) -> Self {
        Self { title: text::of_snippet(title), url, snippet: text::of_snippet(snippet) }
    }
}

/// An engine's refusal. Its own words, and the runtime's, may quote the
/// address with the key in it, so neither is passed on.
fn refused(name: &str, variable: &str, refusal: &download::Refusal) -> Error {
    let after_s = refusal.retry_after_ms.map(|ms| ms.saturating_add(999) / 1000);
    let (status, code, detail) = match refusal.status {
        None => (502, "upstream_unreachable", format!("{name} cannot be reached")),
        Some(429) => (429, "upstream_rate_limited", format!("{name} takes no more searches for now")),
        Some(status @ 400..500) => {
            (502, "upstream_auth", format!("{name} refused the search ({status}): check {variable}"))
        }
        Some(status) => (502, "upstream_error", format!("{name} failed ({status})")),
    };
    Error::Upstream { status, code, detail, retry_after_s: after_s }
}

fn unreadable(name: &str) -> Error {
    Error::Upstream {
        status: 502,
        code: "upstream_unreadable",
        detail: format!("{name} answered something that is not its API"),
        retry_after_s: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_tells_what_to_do_and_never_the_key() {
        let refusal = |status, reason: &str| download::Refusal {
            status,
            retry_after_ms: Some(1_500),
            reason: reason.to_owned(),
        };
        let told = |refusal| refused("Google", "GOOGLE_API_KEY", &refusal).detail();
        assert_eq!(told(refusal(Some(403), "")), "Google refused the search (403): check GOOGLE_API_KEY");
        assert_eq!(told(refusal(None, "https://x/?key=AIzaSecret")), "Google cannot be reached");
        let limited = refused("Brave", "BRAVE_API_KEY", &refusal(Some(429), ""));
        assert!(matches!(limited, Error::Upstream { status: 429, retry_after_s: Some(2), .. }));
    }

    proptest! {
        #[test]
        fn any_prompt_makes_a_query_that_engines_take(prompt in "(\\PC|[\\s\\x00-\\x1f]|w ){0,500}") {
            let query = short(&prompt);
            prop_assert!(query.chars().count() <= MOST_CHARS && query.split(' ').count() <= MOST_WORDS);
            prop_assert!(!query.contains(char::is_control));
            prop_assert_eq!(short(&query), query);
        }
    }
}
