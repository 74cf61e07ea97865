//! Reads a client's request: the body in its dialect, and the gateway's headers.

use hatch_dialects::{
    ChatForm, Dialect, Error as DialectError, InboundContext, Items, Json, Request, Seal, Version, forward,
    references,
    request::{Content, MediaSource, Part},
    tree,
};
use serde_json::Value;

use super::{
    stored::{self, responses},
    thoughts::ReasoningSeal,
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    models::{KeyLimits, Preference},
    store::Database,
};

/// A client's request.
#[derive(Debug)]
pub(super) struct GatewayRequest {
    pub(super) client: Dialect,
    pub(super) request: Request,
    pub(super) bytes: Vec<u8>,
    /// The body for an upstream of the same dialect, if the client's refers to
    /// what only the gateway knows: earlier answers, thoughts that it has sealed.
    passed: Option<String>,
    /// The body refers to earlier answers.
    pub(super) has_references: bool,
    /// The members of the body that are for the gateway only.
    pub(super) ours: Ours,
    /// The items of a request to the Responses API, with those of earlier
    /// answers. They are stored with this answer's.
    pub(super) items: Vec<Json>,
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
    /// The client's request has been counted in the minute of its key: this is another question of it.
    pub(super) is_counted: bool,
    /// The estimated tokens of a body whose texts are not messages.
    pub(super) other_tokens: u64,
    version: Option<String>,
    beta: Option<String>,
}

impl Options {
    pub(super) fn read(context: &RequestContext) -> Result<Self, Error> {
        let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
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
            is_lenient: limits.lenient || header("x-gateway-lenient").as_deref() == Some("true"),
            is_buffered,
            cache: header("x-gateway-cache").map(|header| CacheControl::parse(&header)).transpose()?,
            provider_key: header("x-provider-key").filter(|key| !key.is_empty()),
            is_counted: false,
            other_tokens: 0,
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
        incoming.default_model = (context.request.path() == AT_THE_ROOT).then_some("auto");
        let (mut previous, mut named) = (Vec::new(), Vec::new());
        if client == Dialect::Responses {
            let wanted = references(&bytes)?;
            if let Some(id) = &wanted.previous_response_id {
                previous = responses::items_of(id, user, &context.env, database).await?;
            }
            named = responses::items_named(&wanted.items, user, &context.env, database).await?;
        }
        let find = |id: &str| named.iter().find(|(known, _)| known == id).map(|(_, item)| item.clone());
        let sealed = ReasoningSeal::of(context, user);
        incoming.seal = sealed.as_ref().map(|seal| seal as &dyn Seal);
        incoming.previous = &previous;
        incoming.item = Some(&find);
        let mut request = client.parse_request(&bytes, &incoming)?;
        let ours = Ours::take(&mut request, context.query("format").as_deref())?;
        if request.model.len() > LONGEST_MODEL {
            return Err(DialectError::invalid("model", "is too long").into());
        }
        let Items { all: items, input } = match client {
            Dialect::Responses => Items::of(&bytes, &incoming)?,
            Dialect::Chat | Dialect::Messages => Items::default(),
        };
        let passed = input.map(|input| forward(&bytes, &[("input", Some(input))])).transpose()?;
        let has_references = !previous.is_empty() || !named.is_empty();
        options.fallbacks.extend(take_fallbacks(&mut request)?);
        Ok(Self { client, request, bytes, passed, has_references, ours, items, options })
    }

    /// A request that the gateway itself makes.
    ///
    /// # Errors
    /// 400 for fallbacks that are no list of names.
    pub(super) fn ours(request: Request, options: Options) -> Result<Self, Error> {
        Self::chat_for(request, ChatForm::Chat, Vec::new(), options)
    }

    /// A chat for a client that has sent something else, `bytes`: no upstream gets that.
    ///
    /// # Errors
    /// As [`Self::ours`].
    pub(super) fn chat_for(
        mut request: Request,
        form: ChatForm,
        bytes: Vec<u8>,
        mut options: Options,
    ) -> Result<Self, Error> {
        let ours = Ours { form, is_bare: true, ..Ours::default() };
        options.fallbacks.extend(take_fallbacks(&mut request)?);
        Ok(Self {
            client: Dialect::Chat,
            request,
            bytes,
            passed: None,
            has_references: false,
            ours,
            items: Vec::new(),
            options,
        })
    }

    /// The client's body, with what only the gateway knows in place of its ids.
    pub(super) fn body(&self) -> &[u8] {
        self.passed.as_ref().map_or(self.bytes.as_slice(), String::as_bytes)
    }

    /// The body for an upstream of the same dialect, if it may have the client's.
    pub(super) fn bytes_to_pass_on(&self) -> Option<(&[u8], Dialect)> {
        (!self.ours.is_bare).then_some((self.body(), self.client))
    }

    /// The models to ask, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        let fallbacks = self.options.fallbacks.iter().map(String::as_str);
        std::iter::once(self.request.model.as_str()).chain(fallbacks).take(MOST_MODELS).collect()
    }
}

/// The original client's address for chats. That client leaves the choice of a model to the router.
const AT_THE_ROOT: &str = "/chat/completions";

/// The members of a chat that are for the gateway. No upstream gets them.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// The completion is stored.
    pub(super) is_stored: bool,
    /// The client's id of its conversation.
    pub(super) completion_id: Option<String>,
    /// The names of the gateway's tools that the model may call. Some may be unknown.
    pub(super) enabled_tools: Vec<String>,
    /// How the client reads the answer.
    pub(super) form: ChatForm,
    /// The client's bytes contain such a member, so they cannot be sent to an upstream.
    pub(super) is_bare: bool,
}

/// The original client sends these with every chat.
const ORIGINAL_MEMBERS: &[&str] =
    &["enabled_tools", "mode", "platform", "rag_options", "response_mode", "use_multi_model", "use_rag"];
const LONGEST_ID: usize = 64;
const MOST_TOOLS: usize = 64;

impl Ours {
    /// Removes these members from a request.
    ///
    /// # Errors
    /// 400 that names the member.
    fn take(request: &mut Request, format: Option<&str>) -> Result<Self, Error> {
        if request.dialect != Some(Dialect::Chat) {
            return Ok(Self::default());
        }
        let form = match format {
            None | Some("openai") => ChatForm::Chat,
            Some("polychat") => ChatForm::Original,
            Some(_) => return Err(Error::invalid("format", "must be openai or polychat")),
        };
        let mut ours = Self { form, is_stored: request.store == Some(true), ..Self::default() };
        let known = |name: &str| request.extra.iter().find(|(known, _)| known == name);
        let read = |name: &str| known(name).map(|(_, json)| hatch_json::from_str::<Value>(json.as_str()));
        match read("completion_id") {
            None | Some(Ok(Value::Null)) => {}
            Some(Ok(Value::String(id))) if is_id(&id) => ours.completion_id = Some(id),
            Some(_) => {
                let words = "expected 1 to 64 letters, digits, `-`, `_` and `.`";
                return Err(DialectError::invalid("completion_id", words).into());
            }
        }
        match read("enabled_tools") {
            None | Some(Ok(Value::Null)) => {}
            Some(Ok(Value::Array(names)))
                if names.len() <= MOST_TOOLS && names.iter().all(Value::is_string) =>
            {
                ours.enabled_tools = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            Some(_) => return Err(DialectError::invalid("enabled_tools", "expected a list of names").into()),
        }
        let is_from_original = ["platform", "enabled_tools"].iter().any(|name| known(name).is_some());
        ours.is_bare = ours.is_stored
            || is_from_original
            || known("completion_id").is_some()
            || request.messages.iter().flat_map(|message| &message.parts).any(is_original_part);
        let is_ours =
            |name: &str| name == "completion_id" || is_from_original && ORIGINAL_MEMBERS.contains(&name);
        request.extra.retain(|(name, _)| !is_ours(name));
        if ours.is_stored {
            // The provider need not store it. OpenAI accepts metadata only with `store`.
            request.store = None;
            let metadata = request.metadata.take();
            if let Some(Value::Object(metadata)) = metadata.and_then(|metadata| tree(metadata.as_str())) {
                stored::openai::check_metadata(&metadata)?;
            }
        }
        Ok(ours)
    }
}

/// Whether OpenAI's API does not know this part: its documents have data or an id.
fn is_original_part(part: &Part) -> bool {
    let Content::Document(document) = &part.content else { return false };
    matches!(document.source, MediaSource::Url(_) | MediaSource::Text(_))
}

fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_plain)
}

const LONGEST_MODEL: usize = 256;
const MOST_MODELS: usize = 8;

/// Takes the list `models` out of the body, as OpenRouter's API has it. No upstream knows it.
fn take_fallbacks(request: &mut Request) -> Result<Vec<String>, Error> {
    let Some(at) = request.extra.iter().position(|(name, _)| name == "models") else {
        return Ok(Vec::new());
    };
    let (_, list) = request.extra.remove(at);
    let refused = || DialectError::invalid("models", "expected a list of the names of models");
    match hatch_json::from_str(list.as_str()) {
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
    fn members_for_the_gateway_are_removed_from_a_chat() {
        let read = |more: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#);
            let mut request =
                Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
            let ours = Ours::take(&mut request, None);
            let left: Vec<String> = request.extra.into_iter().map(|(name, _)| name).collect();
            ours.map(|ours| (ours, left))
        };
        let (ours, left) = read(r#","top_k":1,"mode":"x""#).unwrap();
        assert!(!ours.is_bare && left == ["top_k", "mode"]);
        let original = r#","completion_id":"17-1","platform":"web","mode":"remote","enabled_tools":["a"],"use_rag":false,"top_k":1"#;
        let (ours, left) = read(original).unwrap();
        assert!(ours.is_bare && ours.enabled_tools == ["a"] && left == ["top_k"]);
        assert_eq!(ours.completion_id.as_deref(), Some("17-1"));
        assert!(read(r#","store":true"#).unwrap().0.is_bare);
        let document = r#","messages":[{"role":"user","content":[{"type":"markdown_document","markdown_document":{"markdown":"x"}}]}]"#;
        assert!(read(document).unwrap().0.is_bare);
        for wrong in [
            r#","completion_id":"../x""#,
            r#","completion_id":1"#,
            r#","enabled_tools":"a""#,
            r#","enabled_tools":[1]"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

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
