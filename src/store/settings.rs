//! Settings: the database server when it is not D1, and the key that seals secrets.

use std::fmt;

use crate::{
    error::Error,
    settings::{Environment, FromVars, ParseSettings, Settings, Vars, parses, vars::wrong},
};

/// Reports faults in the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Option<Turso>>(), parses::<SealingKey>()];

/// A libSQL server that replaces D1.
pub(crate) struct Turso {
    /// `https://host`, or `http://host` in a private network.
    pub(super) url: String,
    pub(super) token: Option<String>,
    /// Applies until the response begins, and again until it has ended.
    pub(super) timeout_ms: u64,
}

impl fmt::Debug for Turso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turso").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FromVars for Option<Turso> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(url) = vars.get("DATABASE_URL") else { return Ok(None) };
        let token = vars.get("DATABASE_AUTH_TOKEN");
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(wrong("DATABASE_AUTH_TOKEN", "the token alone, in one line"));
        }
        let url = libsql_url(&url).ok_or(wrong(
            "DATABASE_URL",
            "libsql://host (http://host in a private network), without a path, a query or a password",
        ))?;
        Ok(Some(Turso { url, token, timeout_ms: vars.number("DATABASE_TIMEOUT_MS", 10_000)? }))
    }
}

/// `libsql://host` is Turso's form of `https://host`. Plain http would expose the token on the
/// network, so it is only allowed in private networks.
fn libsql_url(text: &str) -> Option<String> {
    let https = text.strip_prefix("libsql://").map(|host| format!("https://{host}"));
    let url = url::Url::parse(https.as_deref().unwrap_or(text)).ok()?;
    let allowed = match url.scheme() {
        "https" => true,
        "http" => url.host().is_some_and(|host| is_private(&host)),
        _ => false,
    };
    let origin = url.origin().ascii_serialization();
    // Only a scheme, a host and a port.
    (allowed && url.as_str() == format!("{origin}/")).then_some(origin)
}

fn is_private(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => !name.contains('.') || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => address.is_loopback() || address.is_private(),
        url::Host::Ipv6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// The key that seals secrets at rest.
struct SealingKey(Option<[u8; 32]>);

/// 64 hex digits. Development Workers have a public default.
impl FromVars for SealingKey {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(hex) = vars.get("SEALING_KEY") else {
            return Ok(Self(Environment::of(vars)?.is_development().then_some([0; 32])));
        };
        let bytes = base16ct::mixed::decode_vec(&hex).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(|key| Self(Some(key)))
            .ok_or(wrong("SEALING_KEY", "64 hexadecimal digits, as of `openssl rand -hex 32`"))
    }
}

/// The key that seals secrets.
///
/// # Errors
/// [`Error::NotConfigured`] without a key: secrets are never stored in clear.
pub(crate) fn sealing_key(settings: &Settings) -> Result<&'static [u8; 32], Error> {
    SealingKey::of(settings)?.0.as_ref().ok_or_else(|| Error::NotConfigured {
        variable: "SEALING_KEY",
        detail: "Set SEALING_KEY, which secrets are kept under: `openssl rand -hex 32`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Option<Turso>, Error> {
        Option::<Turso>::from_vars(&Vars::for_test(vars))
    }

    fn database(url: &str) -> Result<Option<String>, Error> {
        parse(&[("DATABASE_URL", url)]).map(|turso| turso.map(|turso| turso.url))
    }

    #[test]
    fn a_libsql_url_is_https_and_http_is_for_private_networks() {
        for (url, reached) in [
            ("libsql://hatch-me.turso.io", "https://hatch-me.turso.io"),
            ("https://hatch-me.turso.io/", "https://hatch-me.turso.io"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://sqld:8080/", "http://sqld:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(database(url), Ok(Some(reached.to_owned())), "{url}");
        }
        for url in [
            "http://hatch-me.turso.io",
            "http://8.8.8.8",
            "file:hatch.db",
            "wss://hatch-me.turso.io",
            "libsql://",
            "libsql://user:password@hatch-me.turso.io",
            "libsql://hatch-me.turso.io?authToken=abc",
            "libsql://hatch-me.turso.io/hatch",
        ] {
            assert!(
                matches!(database(url), Err(Error::NotConfigured { variable: "DATABASE_URL", .. })),
                "{url}"
            );
        }
        assert_eq!(database(""), Ok(None));
    }

    #[test]
    fn a_malformed_token_is_refused_and_never_shown() {
        let set = |token| parse(&[("DATABASE_URL", "libsql://db.turso.io"), ("DATABASE_AUTH_TOKEN", token)]);
        let error = set("secret\nand more").unwrap_err();
        assert!(matches!(error, Error::NotConfigured { variable: "DATABASE_AUTH_TOKEN", .. }));
        assert!(!error.detail().contains("secret"));
        assert!(!format!("{:?}", set("secret").unwrap()).contains("secret"));
    }
}
