//! Web search by an engine. `models::web_search` also searches with Claude.

mod brave;
mod google;
mod hit;
mod settings;

pub(crate) use hit::Hit;
pub(crate) use settings::SETTINGS;
pub(crate) use settings::{Engine, Search};

use crate::{error::Error, settings::Settings};

/// The longest query: engines accept 400 characters and 50 words.
const MOST_CHARS: usize = 300;
const MOST_WORDS: usize = 40;

impl Engine {
    /// Searches for `query`, which [`short`] has shortened. Returns at most `count` results (20 with Brave,
    /// 10 with Google).
    ///
    /// # Errors
    /// Those of the engine; their detail is safe to show, because it never contains a key of ours.
    pub(crate) async fn search(
        &self,
        query: &str,
        count: usize,
        settings: &Settings,
    ) -> Result<Vec<Hit>, Error> {
        match self {
            Self::Brave { key, base_url } => brave::search(base_url, key, query, count, settings).await,
            Self::Google { key, engine, base_url } => {
                google::search(base_url, key, engine, query, count, settings).await
            }
        }
    }
}

/// Shortens a query so that every engine accepts it.
pub(crate) fn short(query: &str) -> String {
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
