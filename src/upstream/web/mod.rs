//! Reads web pages that users or models name: only from the public web (address.rs), within limits,
//! as plain text (html.rs, text.rs).
//!
//! Names are not resolved here. The runtime refuses names with private addresses: Cloudflare's
//! network only reaches public ones.

pub(crate) mod address;
mod html;
pub(crate) mod text;

use std::fmt;

use self::address::AddressError;
use crate::error::Error;
use crate::settings::{FromVars, ParseSettings, Vars, parses};
use crate::{
    platform::{
        self,
        fetch::{self, Deadline, Failure, FetchResponse, OutboundRequest},
    },
    settings::Settings,
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Proxy>()];

/// How many decoded bytes of a page are read. Its topic is clear from the beginning.
const MOST_BYTES: usize = 256 * 1024;
/// The time limit of a page, including its redirects.
const DEADLINE_MS: u64 = 8_000;
const REDIRECTS: u32 = 3;

/// The content of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The URL after redirects.
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// The visible text from the top, at most [`text::MOST_CHARS`].
    pub(crate) text: String,
}

/// Why a page was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The address must not be fetched.
    Address(AddressError),
    /// Too many redirects.
    Redirects,
    Status(u16),
    /// The page is not text.
    MediaType,
    Timeout,
    Network,
    /// The page has no text.
    Empty,
    /// One of our variables is invalid; the text says how.
    NotConfigured(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(refused) => write!(f, "{refused}"),
            Self::Redirects => f.write_str("it redirects too often"),
            Self::Status(status) => write!(f, "it answered {status}"),
            Self::MediaType => f.write_str("it is not a page of text"),
            Self::Timeout => f.write_str("it did not answer in time"),
            Self::Network => f.write_str("it cannot be reached"),
            Self::NotConfigured(detail) => f.write_str(detail),
            Self::Empty => f.write_str("there is no text on it"),
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Network(_) | Failure::TooLong => Self::Network,
        }
    }
}

/// The proxy through which pages are fetched: `<proxy>/https://host/path`.
struct Proxy(Option<String>);

impl FromVars for Proxy {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let url = vars.base_url("WEB_PROXY_URL", "")?;
        Ok(Self((!url.is_empty()).then_some(url)))
    }
}

/// Reads the page at `url`.
pub(crate) async fn read(url: &str, settings: &Settings) -> Result<Page, ReadError> {
    let deadline = Deadline::after(DEADLINE_MS);
    let own = settings.hosting_domain.as_deref();
    let mut url = public(url, None, own).map_err(ReadError::Address)?;
    for _ in 0..=REDIRECTS {
        let answer = get(&url, settings, deadline.left()?).await?;
        if let Some(next) = redirect(&answer) {
            // The target of a redirect is as untrusted as the first address.
            url = public(&next, Some(&url), own).map_err(ReadError::Address)?;
            continue;
        }
        return page(&url, answer, deadline.left()?).await;
    }
    Err(ReadError::Redirects)
}

/// The address of a public page, which may be relative to `base`, without its fragment. `own` is
/// the domain of the apps that we host.
pub(crate) fn public(
    text: &str,
    base: Option<&url::Url>,
    own: Option<&str>,
) -> Result<url::Url, AddressError> {
    address::public(platform::url::parse(text, base).map_err(|_| AddressError::NotAnUrl)?, own)
}

async fn get(url: &url::Url, settings: &Settings, timeout_ms: u64) -> Result<FetchResponse, ReadError> {
    // The address is checked before it is given to the operator's proxy.
    let proxy = Proxy::of(settings).map_err(|error| ReadError::NotConfigured(error.detail()))?;
    let target = match &proxy.0 {
        Some(proxy) => format!("{proxy}/{url}"),
        None => url.to_string(),
    };
    let request = OutboundRequest::get(target)
        .with("accept", "text/html, text/plain;q=0.9")
        .with("user-agent", "hatch-api (reads pages for its users)");
    Ok(fetch::send(request, timeout_ms).await?)
}

fn redirect(answer: &FetchResponse) -> Option<String> {
    matches!(answer.status(), 301 | 302 | 303 | 307 | 308).then(|| answer.header("location"))?
}

async fn page(url: &url::Url, answer: FetchResponse, timeout_ms: u64) -> Result<Page, ReadError> {
    if answer.status() != 200 {
        return Err(ReadError::Status(answer.status()));
    }
    let media_type = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let is_html = match media_type.split(';').next().unwrap_or_default().trim() {
        "text/html" => true,
        "text/plain" => false,
        _ => return Err(ReadError::MediaType),
    };
    let bytes = answer.beginning(MOST_BYTES, timeout_ms).await;
    let read = if is_html { text::of_html(&bytes) } else { text::of_plain(&bytes) };
    if read.text.is_empty() && read.description.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(Page { url: url.to_string(), title: read.title, description: read.description, text: read.text })
}
