//! Web search with the configured provider.

mod brave;
mod claude;
mod google;
mod hit;
mod settings;

pub(crate) use hit::{Found, Hit};
pub(crate) use settings::SETTINGS;
pub(crate) use settings::Search;

use super::anthropic::complete::Failed;
use crate::settings::Settings;

/// The most that a search by Claude costs, in micro-dollars: three searches and the tokens of their results.
pub(crate) const MOST_MICRO_USD: i64 = 100_000;
/// The least that it costs: one search, without the tokens.
pub(crate) const LEAST_MICRO_USD: i64 = 10_000;
/// The longest query: engines accept 400 characters and 50 words.
const MOST_CHARS: usize = 300;
const MOST_WORDS: usize = 40;

/// Searches for `query`, a question or a few words. Returns at most `count` results (20 with Brave,
/// 10 with Google).
///
/// # Errors
/// [`Failed`], whose detail is safe to show: it never contains a key of ours.
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

/// Shortens a query so that every engine accepts it.
fn short(query: &str) -> String {
    let words: Vec<&str> =
        query.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let words = words.get(..MOST_WORDS).unwrap_or(&words);
    words.join(" ").chars().take(MOST_CHARS).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
