//! Pages of the web that somebody else has named: fetched only where the
//! public web is (address.rs), within limits, and read as plain text
//! (html.rs, text.rs).
//!
//! A name is not resolved here. One that leads to a private address is the
//! runtime's to refuse: Cloudflare's network reaches public addresses alone.

pub(crate) mod address;
mod html;
pub(crate) mod text;

use std::fmt;

use crate::error::Error;
use crate::settings::{FromVars, ParseSettings, Vars, parses};
use crate::{
    platform::fetch::{self, Answer, Deadline, Failure, OutboundRequest},
    settings::Settings,
};

/// Finds what is wrong with its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Proxy>()];

/// As much of a page as is read, in bytes, unpacked. What a page is about
/// stands at its beginning.
const MOST_BYTES: usize = 256 * 1024;
/// For all of a page, its redirects included.
const DEADLINE_MS: u64 = 8_000;
const REDIRECTS: u32 = 3;

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Where it was at last.
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// What a reader sees, from the top, at most [`text::MOST_CHARS`].
    pub(crate) text: String,
}

/// Why a page was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It may not be fetched.
    Address(address::Refused),
    /// It led on and on.
    Redirects,
    Status(u16),
    /// It is no text.
    MediaType,
    Timeout,
    Network,
    /// There is nothing to read on it.
    Empty,
    /// A variable of ours is wrong; in words.
    NotConfigured(String),
}

impl fmt::Display for Unread {
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

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Network(_) | Failure::TooLong => Self::Network,
        }
    }
}

/// What pages are fetched through: `<it>/https://host/path`.
struct Proxy(Option<String>);

impl FromVars for Proxy {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let url = vars.base_url("WEB_PROXY_URL", "")?;
        Ok(Self((!url.is_empty()).then_some(url)))
    }
}

/// Reads the page at `url`.
pub(crate) async fn read(url: &str, settings: &Settings) -> Result<Page, Unread> {
    let deadline = Deadline::after(DEADLINE_MS);
    let own = settings.hosting_domain.as_deref();
    let mut url = address::public(url, own).map_err(Unread::Address)?;
    for _ in 0..=REDIRECTS {
        let answer = get(&url, settings, deadline.left()?).await?;
        if let Some(next) = redirect(&answer) {
            let next = url.join(&next).map_err(|_| Unread::Address(address::Refused::NotAnUrl))?;
            // Wherever it leads is no more to be trusted than where it began.
            url = address::public(next.as_str(), own).map_err(Unread::Address)?;
            continue;
        }
        return page(&url, answer, deadline.left()?).await;
    }
    Err(Unread::Redirects)
}

async fn get(url: &url::Url, settings: &Settings, timeout_ms: u64) -> Result<Answer, Unread> {
    // The address is checked before it is given to the operator's proxy.
    let proxy = Proxy::of(settings).map_err(|error| Unread::NotConfigured(error.detail()))?;
    let asked = match &proxy.0 {
        Some(proxy) => format!("{proxy}/{url}"),
        None => url.to_string(),
    };
    let request = OutboundRequest::get(asked)
        .with("accept", "text/html, text/plain;q=0.9")
        .with("user-agent", "hatch-api (reads pages for its users)");
    Ok(fetch::send(request, timeout_ms).await?)
}

fn redirect(answer: &Answer) -> Option<String> {
    matches!(answer.status(), 301 | 302 | 303 | 307 | 308).then(|| answer.header("location"))?
}

async fn page(url: &url::Url, answer: Answer, timeout_ms: u64) -> Result<Page, Unread> {
    if answer.status() != 200 {
        return Err(Unread::Status(answer.status()));
    }
    let media_type = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let is_html = match media_type.split(';').next().unwrap_or_default().trim() {
        "text/html" => true,
        "text/plain" => false,
        _ => return Err(Unread::MediaType),
    };
    let bytes = answer.beginning(MOST_BYTES, timeout_ms).await;
    let read = if is_html { text::of_html(&bytes) } else { text::of_plain(&bytes) };
    if read.text.is_empty() && read.description.is_empty() {
        return Err(Unread::Empty);
    }
    Ok(Page { url: url.to_string(), title: read.title, description: read.description, text: read.text })
}
