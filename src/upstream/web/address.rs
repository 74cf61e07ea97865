//! Decides which addresses belong to public pages. Pure.
//!
//! A user could name an internal machine of ours or of our provider instead of a page (server-side
//! request forgery). So an address must have a public name with a dot in it and nothing unusual.
//! The parsed address is judged, not its spelling (`0x7f.1`, `%32.0.0.1`, `https:\\host`).

use std::fmt;

use url::{Host, Url};

/// The longest address, in bytes.
const LONGEST: usize = 2_048;

/// Suffixes of names that are not public: names of private networks, and names that will never be
/// top-level domains.
const PRIVATE: &[&str] = &[
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "onion",
    "invalid",
    "test",
];

/// Workers must not call each other, or themselves, in loops.
const LOOPS: &[&str] = &["workers.dev"];

/// Why an address is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressError {
    NotAnUrl,
    /// Not https, another port, or a user name and password.
    NotPlainHttps,
    /// A number instead of a name.
    IpAddress,
    /// A name of a private network, or of our own domain.
    PrivateName,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnUrl => "its address is not a URL",
            Self::NotPlainHttps => "its address is not plain https",
            Self::IpAddress => "its address is a number, not a name",
            Self::PrivateName => "its name is not one of the public web",
        })
    }
}

/// The address of a public page, without its fragment. `own` is the domain of the apps that we
/// host.
pub(crate) fn public(mut url: Url, own: Option<&str>) -> Result<Url, AddressError> {
    if url.as_str().len() > LONGEST {
        return Err(AddressError::NotAnUrl);
    }
    let is_plain = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        return Err(AddressError::NotPlainHttps);
    }
    match url.host() {
        None => return Err(AddressError::NotAnUrl),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => return Err(AddressError::IpAddress),
        Some(Host::Domain(name)) if !is_public(name, own) => return Err(AddressError::PrivateName),
        Some(Host::Domain(_)) => {}
    }
    url.set_fragment(None);
    Ok(url)
}

fn is_public(name: &str, own: Option<&str>) -> bool {
    let is_within =
        |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.contains('.')
        && name.split('.').all(|label| !label.is_empty())
        && !PRIVATE.iter().chain(LOOPS).copied().chain(own).any(is_within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Option<AddressError> {
        Url::parse(text)
            .map_or(Some(AddressError::NotAnUrl), |url| public(url, Some("hatch-apps.example")).err())
    }

    #[test]
    fn a_page_of_the_public_web_is_fetched() {
        for (text, url) in [
            ("https://acme.example", "https://acme.example/"),
            ("https://Acme.Example:443/a/../b?q=1#part", "https://acme.example/b?q=1"),
            ("https://XN--bcher-kva.example/", "https://xn--bcher-kva.example/"),
            ("https://notworkers.dev/", "https://notworkers.dev/"),
            ("https://local.example/", "https://local.example/"),
        ] {
            assert_eq!(public(Url::parse(text).unwrap(), None).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn an_address_that_is_not_plain_https_is_refused() {
        for text in [
            "http://acme.example/",
            "ftp://acme.example/",
            "file:///etc/passwd",
            "data:text/html,hi",
            "https://user@acme.example/",
            "https://user:password@acme.example/",
            "https://acme.example:8443/",
            "https://acme.example:80/",
        ] {
            assert_eq!(refused(text), Some(AddressError::NotPlainHttps), "{text}");
        }
        for text in ["", "acme.example", "//acme.example", "https://", "https://a b.example/"] {
            assert_eq!(refused(text), Some(AddressError::NotAnUrl), "{text}");
        }
        assert_eq!(
            refused(&format!("https://acme.example/{}", "a".repeat(LONGEST))),
            Some(AddressError::NotAnUrl)
        );
    }

    #[test]
    fn a_number_in_any_notation_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "017700000001",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "8.8.8.8",
            "127.0.0.1.",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd00::1]",
            "[fe80::1]",
            "[64:ff9b::a00:1]",
            "%31%32%37.0.0.1",
        ] {
            assert_eq!(refused(&format!("https://{host}/")), Some(AddressError::IpAddress), "{host}");
        }
    }

    #[test]
    fn a_private_name_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "app.localhost",
            "intranet",
            "metadata",
            "printer.local",
            "metadata.google.internal",
            "db.internal.",
            "router.lan",
            "1.0.0.127.in-addr.arpa",
            "x.onion",
            "hatch.someone.workers.dev",
            "workers.dev",
            "shop.hatch-apps.example",
            "hatch-apps.example",
            "a..example",
        ] {
            assert_eq!(refused(&format!("https://{host}/")), Some(AddressError::PrivateName), "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_notation_of_an_ipv4_address_is_accepted(address: u32, form in 0_u8..6) {
            let [a, b, c, d] = address.to_be_bytes();
            let low = address & 0x00FF_FFFF;
            let host = match form {
                0 => format!("{a}.{b}.{c}.{d}"),
                1 => address.to_string(),
                2 => format!("0x{address:x}"),
                3 => format!("0{a:o}.0x{b:X}.{c}.{d}"),
                4 => format!("{a}.{low}"),
                _ => format!("[::ffff:{a}.{b}.{c}.{d}]"),
            };
            prop_assert_eq!(refused(&format!("https://{host}/")), Some(AddressError::IpAddress));
        }

        #[test]
        fn an_accepted_address_has_a_public_name_and_parses_to_itself(text in "(https:/{0,3})?[a-z0-9.:@\\\\/#?%\\[\\]\\PC]{0,40}") {
            if let Some(url) = Url::parse(&text).ok().and_then(|url| public(url, None).ok()) {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(matches!(url.host(), Some(Host::Domain(name)) if is_public(name, None)));
                prop_assert_eq!(public(url.clone(), None).unwrap(), url);
            }
        }
    }
}
