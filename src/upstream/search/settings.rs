//! Settings: the provider of web search.

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Reports faults in the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Option<Search>>()];

/// The provider of web search.
pub(crate) enum Search {
    Engine(Engine),
    /// Claude's own web search.
    Claude,
}

/// A search engine.
pub(crate) enum Engine {
    Brave {
        key: String,
        base_url: String,
    },
    /// Google's Custom Search JSON API, until it ends on 2027-01-01.
    Google {
        key: String,
        engine: String,
        base_url: String,
    },
}

/// The named provider, or the one whose key is set. Claude's search costs money each time, so it
/// must be named.
impl FromVars for Option<Search> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let (name, brave, google) =
            (vars.get("SEARCH_PROVIDER"), vars.get("BRAVE_API_KEY"), vars.get("GOOGLE_API_KEY"));
        match (name.as_deref(), brave, google) {
            (None | Some("brave"), Some(key), _) => {
                let base_url = vars.base_url("BRAVE_BASE_URL", "https://api.search.brave.com")?;
                Ok(Some(Search::Engine(Engine::Brave { key, base_url })))
            }
            (None | Some("google"), _, Some(key)) => {
                let missing = wrong("GOOGLE_CSE_ID", "the id of a search engine, when GOOGLE_API_KEY is set");
                let engine = vars.get("GOOGLE_CSE_ID").ok_or(missing)?;
                let base_url = vars.base_url("GOOGLE_BASE_URL", "https://www.googleapis.com")?;
                Ok(Some(Search::Engine(Engine::Google { key, engine, base_url })))
            }
            (Some("claude"), ..) => Ok(Some(Search::Claude)),
            (None, None, None) => Ok(None),
            (Some("brave"), None, _) => Err(wrong("BRAVE_API_KEY", "set, when SEARCH_PROVIDER is brave")),
            (Some("google"), _, None) => Err(wrong("GOOGLE_API_KEY", "set, when SEARCH_PROVIDER is google")),
            (Some(_), ..) => Err(wrong("SEARCH_PROVIDER", "`brave`, `google` or `claude`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_provider_is_named_or_follows_from_its_key() {
        let search = |vars: &[(&str, &str)]| Option::<Search>::from_vars(&Vars::for_test(vars));
        assert!(matches!(search(&[]), Ok(None)));
        assert!(matches!(search(&[("CLAUDE_API_KEY", "k")]), Ok(None)));
        assert!(matches!(search(&[("SEARCH_PROVIDER", "claude")]), Ok(Some(Search::Claude))));
        let both = [("BRAVE_API_KEY", "b"), ("GOOGLE_API_KEY", "g"), ("GOOGLE_CSE_ID", "c")];
        assert!(matches!(search(&both), Ok(Some(Search::Engine(Engine::Brave { .. })))));
        let named = [&both[..], &[("SEARCH_PROVIDER", "google")]].concat();
        assert!(matches!(search(&named), Ok(Some(Search::Engine(Engine::Google { .. })))));
        for (vars, missing) in [
            (&[("SEARCH_PROVIDER", "brave")], "BRAVE_API_KEY"),
            (&[("SEARCH_PROVIDER", "google")], "GOOGLE_API_KEY"),
            (&[("GOOGLE_API_KEY", "g")], "GOOGLE_CSE_ID"),
        ] {
            assert!(
                matches!(search(vars), Err(Error::NotConfigured { variable, .. }) if variable == missing)
            );
        }
    }
}
