//! Reads a client's request: the body in its dialect, and the gateway's headers.

use hatch_dialects::{
    Dialect, Error as DialectError, InboundContext, Json, Request, Seal, Version, references,
};
use serde_json::Value;

use super::{stored_responses, thoughts::ReasoningSeal};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::Preference,
    store::Database,
};

/// A client's request.
#[derive(Debug)]
pub(super) struct GatewayRequest {
    pub(super) client: Dialect,
    pub(super) request: Request,
    pub(super) bytes: Vec<u8>,
    /// The body refers to stored items that the upstream does not know (an
    /// earlier answer), so it has to be rendered anew.
    pub(super) needs_us: bool,
    /// The items of earlier answers. They are stored with this one's.
    pub(super) previous: Vec<Json>,
    pub(super) options: Options,
}

/// The values of the gateway's own headers.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) preference: Preference,
    /// The models to ask if the first one does not answer.
    pub(super) fallbacks: Vec<String>,
    pub(super) is_lenient: bool,
    /// The client gets a stream only when all of it has arrived.
    pub(super) is_buffered: bool,
    /// For how long the answer may be cached. None uses no cache.
    pub(super) cache: Option<CacheControl>,
    pub(super) provider_key: Option<String>,
    version: Option<String>,
    beta: Option<String>,
}

impl Options {
    pub(super) fn read(context: &RequestContext) -> Result<Self, Error> {
        let header = |name| context.request.header(name);
        let preference = match header("x-gateway-route") {
            None => Preference::default(),
            Some(name) => Preference::parse(&name)
                .ok_or_else(|| wrong("x-gateway-route", "must be balanced, cost, speed or quality"))?,
        };
        let is_buffered = match header("x-gateway-stream-mode").as_deref() {
            None | Some("live") => false,
            Some("buffered") => true,
            Some(_) => return Err(wrong("x-gateway-stream-mode", "must be live or buffered")),
        };
        let list = header("x-gateway-models").unwrap_or_default();
        Ok(Self {
            preference,
            fallbacks: list
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            is_lenient: header("x-gateway-lenient").as_deref() == Some("true"),
            is_buffered,
            cache: header("x-gateway-cache").map(|header| CacheControl::parse(&header)).transpose()?,
            provider_key: header("x-provider-key").filter(|key| !key.is_empty()),
            version: header("anthropic-version"),
            beta: header("anthropic-beta"),
        })
    }

    /// A text of the options that decide which model answers, and how.
    pub(super) fn fingerprint(&self) -> String {
        let routing = (self.preference, &self.fallbacks, self.is_lenient);
        format!("{:?}", (routing, &self.provider_key, &self.version, &self.beta))
    }

    /// The client's version and beta headers, for an upstream that is Anthropic.
    pub(super) fn anthropic(&self) -> Option<(&str, Option<&str>)> {
        Some((self.version.as_deref()?, self.beta.as_deref()))
    }
}

fn wrong(header: &str, words: &str) -> Error {
    DialectError::invalid(header, words).into()
}

/// What the parser of a body needs besides the body.
pub(super) fn incoming(context: &RequestContext) -> Result<InboundContext<'static>, Error> {
    let version = match context.request.header("anthropic-version") {
        None => Version::default(),
        version => Version::parse(version.as_deref())?,
    };
    Ok(InboundContext { version, ..InboundContext::default() })
}

impl GatewayRequest {
    /// # Errors
    /// 400 for a body that is not a request of this dialect, 404 for an answer
    /// or an item that is not stored.
    pub(super) async fn read(
        context: &RequestContext,
        client: Dialect,
        user: &str,
        database: &Database,
    ) -> Result<Self, Error> {
        let mut options = Options::read(context)?;
        let bytes = body::bytes(context).await?;
        if client == Dialect::Messages {
            Version::parse(context.request.header("anthropic-version").as_deref())?;
        }
        let mut incoming = incoming(context)?;
        let (mut previous, mut items) = (Vec::new(), Vec::new());
        if client == Dialect::Responses {
            let wanted = references(&bytes)?;
            if let Some(id) = &wanted.previous_response_id {
                previous = stored_responses::items_of(id, user, database).await?;
            }
            items = stored_responses::items_named(&wanted.items, user, database).await?;
        }
        let find = |id: &str| items.iter().find(|(known, _)| known == id).map(|(_, item)| item.clone());
        let sealed = ReasoningSeal::of(context, user);
        incoming.seal = sealed.as_ref().map(|seal| seal as &dyn Seal);
        incoming.previous = &previous;
        incoming.item = Some(&find);
        let request = client.parse_request(&bytes, &incoming)?;
        if request.model.len() > LONGEST_MODEL {
            return Err(DialectError::invalid("model", "is too long").into());
        }
        let needs_us = !previous.is_empty() || !items.is_empty();
        options.fallbacks.extend(fallbacks(&request)?);
        Ok(Self { client, request, bytes, needs_us, previous, options })
    }

    /// The models to ask, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        let fallbacks = self.options.fallbacks.iter().map(String::as_str);
        std::iter::once(self.request.model.as_str()).chain(fallbacks).take(MOST_MODELS).collect()
    }
}

const LONGEST_MODEL: usize = 256;
const MOST_MODELS: usize = 8;

/// The list `models` in the body, as in OpenRouter's API.
fn fallbacks(request: &Request) -> Result<Vec<String>, Error> {
    let Some((_, list)) = request.extra.iter().find(|(name, _)| name == "models") else {
        return Ok(Vec::new());
    };
    let refused = || DialectError::invalid("models", "expected a list of the names of models");
    match serde_json::from_str(list.as_str()) {
        Ok(Value::Array(names)) => names
            .into_iter()
            .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| refused().into()))
            .collect(),
        _ => Err(refused().into()),
    }
}

const LONGEST_CACHE_S: u32 = 24 * 60 * 60;

/// The value of `x-gateway-cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheControl {
    pub(super) seconds: u32,
    /// Also caches answers of a temperature above 0.
    pub(super) is_forced: bool,
}

impl CacheControl {
    /// `<seconds>`, or `<seconds>;force` for a temperature above 0 as well.
    ///
    /// # Errors
    /// 400 that names the header.
    pub(super) fn parse(header: &str) -> Result<Self, Error> {
        let (seconds, force) =
            header.split_once(';').map_or((header, None), |(s, force)| (s, Some(force.trim())));
        let seconds = seconds.trim().parse().ok().filter(|seconds| (1..=LONGEST_CACHE_S).contains(seconds));
        match (seconds, force) {
            (Some(seconds), None) => Ok(Self { seconds, is_forced: false }),
            (Some(seconds), Some("force")) => Ok(Self { seconds, is_forced: true }),
            _ => Err(DialectError::invalid(
                "x-gateway-cache",
                "must be 1 to 86400 seconds, such as `60` or `60;force`",
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_answer_lives_for_a_day_at_most() {
        assert_eq!(CacheControl::parse("60").unwrap(), CacheControl { seconds: 60, is_forced: false });
        assert_eq!(
            CacheControl::parse("86400; force").unwrap(),
            CacheControl { seconds: 86_400, is_forced: true }
        );
        for wrong in ["", "0", "86401", "-1", "true", "60;never", "1e3"] {
            assert!(CacheControl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
