//! What the parsers of client requests share.

use std::collections::HashSet;

use crate::{
    Error, Json,
    read::At,
    reply::Seal,
    request::{MediaSource, Tool, unwrapped},
};

/// Looks up a stored item by its id.
pub type FindItem<'i> = dyn Fn(&str) -> Option<Json> + 'i;

/// What the parsers need besides the body.
#[derive(Clone, Copy, Default)]
pub struct InboundContext<'i> {
    /// Messages: the version from the header `anthropic-version`.
    pub version: Version,
    /// Opens thoughts that were sealed by [`crate::Reply::seal`].
    pub seal: Option<&'i dyn Seal>,
    /// Responses: looks up stored items (`item_reference`).
    pub item: Option<&'i FindItem<'i>>,
    /// Responses: the items of earlier turns (`previous_response_id`).
    pub previous: &'i [Json],
    /// Chat Completions: the model to ask if the body names none.
    pub default_model: Option<&'i str>,
}

impl std::fmt::Debug for InboundContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundContext").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A version of Anthropic's API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    #[default]
    /// The version that Anthropic's SDKs send.
    V2023_06_01,
    /// Does not accept `temperature`, `top_p` and `top_k`.
    V2026_10_21,
}

impl Version {
    /// Parses the header `anthropic-version`.
    pub fn parse(header: Option<&str>) -> Result<Self, Error> {
        match header.map(str::trim) {
            Some("2023-06-01") => Ok(Self::V2023_06_01),
            Some("2026-10-21") => Ok(Self::V2026_10_21),
            None | Some("") => {
                Err(Error::new(crate::Class::Invalid, "anthropic-version: header is required"))
            }
            Some(other) => {
                let shown: String = other.chars().take(40).collect();
                let message = format!("anthropic-version: \"{shown}\" is not a valid version");
                Err(Error::new(crate::Class::Invalid, message))
            }
        }
    }

    /// As the header `anthropic-version` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2023_06_01 => "2023-06-01",
            Self::V2026_10_21 => "2026-10-21",
        }
    }
}

/// Checks that each tool call has exactly one result, right after it.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    open: HashSet<String>,
    answered: HashSet<String>,
}

impl Pairs {
    pub(crate) fn call(&mut self, id: &str, at: &At<'_>) -> Result<(), Error> {
        if self.open.insert(id.to_owned()) {
            return Ok(());
        }
        Err(at.invalid(format!("two tool calls have the id '{}'", shown(id))))
    }

    pub(crate) fn result(&mut self, id: &str, at: &At<'_>) -> Result<(), Error> {
        if self.open.remove(id) {
            self.answered.insert(id.to_owned());
            return Ok(());
        }
        let is_again = self.answered.contains(id);
        let id = shown(id);
        Err(at.invalid(if is_again {
            format!("the tool call '{id}' already has a result")
        } else {
            format!("messages with role 'tool' must be a response to a preceding message with 'tool_calls'; there is no call '{id}'")
        }))
    }

    /// Called when something other than a result follows: no call may be left
    /// open.
    pub(crate) fn turn(&mut self, at: &At<'_>) -> Result<(), Error> {
        match self.open.iter().min() {
            None => Ok(()),
            Some(id) => Err(at.invalid(format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
                shown(id)
            ))),
        }
    }
}

/// Shortens a client's text for an error message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// More than any vendor accepts.
const MAX_TOOLS: usize = 2_000;

/// Checks that tools have names and that the names are unique.
pub(crate) fn check_tools(tools: &[Tool], at: &At<'_>) -> Result<(), Error> {
    if tools.len() > MAX_TOOLS {
        return Err(at.invalid(format!("expected at most {MAX_TOOLS} tools")));
    }
    let mut seen = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        if tool.name.is_empty() {
            return Err(at.index(index).invalid("a tool needs a name"));
        }
        if !seen.insert((tool.namespace.as_deref(), tool.name.as_str())) {
            let message = format!("Tool names must be unique; '{}' appears twice", shown(&tool.name));
            return Err(at.index(index).invalid(message));
        }
    }
    Ok(())
}

/// Parses a `data:` URL into data and media type; keeps a web URL as it is.
/// Percent-encoded data becomes base64.
pub(crate) fn parse_media_url(url: &str, at: &At<'_>) -> Result<MediaSource, Error> {
    let Some(rest) = url.strip_prefix("data:") else {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        return if is_web {
            Ok(MediaSource::Url(url.to_owned()))
        } else {
            Err(at.invalid("expected an https or data URL"))
        };
    };
    let Some((header, data)) = rest.split_once(',') else {
        return Err(at.invalid("the data URL has no data"));
    };
    let mut parameters = header.split(';');
    let media_type = parameters.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_base64 = parameters.any(|parameter| parameter.trim().eq_ignore_ascii_case("base64"));
    let data = if is_base64 { base64_of_url(data) } else { base64(&percent_decoded(data)) };
    if data.is_empty() {
        return Err(at.invalid("the data URL has no data"));
    }
    Ok(MediaSource::Base64 { media_type: known_media_type(&media_type), data })
}

/// The base64 of a data URL, in which `+`, `=` and line breaks may be percent-encoded.
fn base64_of_url(data: &str) -> String {
    if data.contains('%') {
        unwrapped(&String::from_utf8_lossy(&percent_decoded(data)))
    } else {
        unwrapped(data)
    }
}

fn known_media_type(media_type: &str) -> String {
    match media_type {
        "image/jpg" => "image/jpeg".to_owned(),
        other => other.to_owned(),
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn text_of_base64(data: &str) -> Option<String> {
    use ::base64::Engine as _;
    String::from_utf8(::base64::engine::general_purpose::STANDARD.decode(data).ok()?).ok()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let code = tail.split_at_checked(2).filter(|_| byte == b'%').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        match code {
            Some((decoded, after)) => {
                out.push(decoded);
                rest = after;
            }
            None => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_parsed() {
        let source = |url: &str| parse_media_url(url, &At::ROOT).unwrap();
        let base64 = |media_type: &str, data: &str| MediaSource::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(source("data:image/png;base64,AAA"), base64("image/png", "AAA"));
        assert_eq!(source("data:image/jpg;base64,AAA"), base64("image/jpeg", "AAA"));
        assert_eq!(source("data:text/plain,a%20b"), base64("text/plain", "YSBi"));
        assert_eq!(source("data:image/png;base64,\r\n AA\tA\nB "), base64("image/png", "AAAB"));
        assert_eq!(source("data:image/png;base64,AA\tAB"), base64("image/png", "AAAB"));
        assert_eq!(source("data:image/png;base64,AA%2BB%0D%0AAA%3D%3D"), base64("image/png", "AA+BAA=="));
        assert_eq!(source("https://x.test/a.png"), MediaSource::Url("https://x.test/a.png".to_owned()));
        for bad in
            ["data:image/png", "file:///etc/passwd", "data:image/png;base64,", "data:image/png;base64,\n", ""]
        {
            assert!(parse_media_url(bad, &At::ROOT).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_two_known_versions_are_accepted() {
        assert_eq!(Version::parse(Some("2026-10-21")), Ok(Version::V2026_10_21));
        assert!(Version::parse(None).is_err() && Version::parse(Some("2024-01-01")).is_err());
    }
}
