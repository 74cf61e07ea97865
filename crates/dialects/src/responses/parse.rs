//! Parses a client's request for a response.

use std::{borrow::Cow, collections::HashSet};

use crate::{
    Class, Dialect, Error, InboundContext, Json,
    chat::parse::{allowed, effort, function, json_schema, plain_choice, user},
    inbound::{Pairs, check_tools, parse_media_url, shown},
    json::Raw,
    read::{At, Fields, body},
    reply::unpack,
    request::{
        Content, Document, Format, Image, MediaSource, Message, Part, Reasoning, Request, Role, Text,
        Thinking, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, unwrapped,
    },
    responses::native::reference,
};

/// What the neutral request has, or no upstream gets.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "store",
    "include",
    "previous_response_id",
    "client_metadata",
    "background",
];

/// Members of the request that the response repeats.
const ECHO: &[&str] = &[
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// What a request refers to and the gateway has stored: the previous response,
/// and items given by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// The id of the response that the request goes on from.
    pub previous_response_id: Option<String>,
    /// The ids in `item_reference`s, in their order.
    pub items: Vec<String>,
}

/// Lists what to load for [`InboundContext::previous`] and
/// [`InboundContext::item`].
pub fn references(bytes: &[u8]) -> Result<References, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let items = f.get("input").into_iter().flat_map(Raw::items);
    Ok(References {
        previous_response_id: f.string("previous_response_id")?,
        items: items.filter_map(|item| Some(reference(item)?.into_owned())).collect(),
    })
}

pub(crate) fn parse(bytes: &[u8], inbound: &InboundContext<'_>) -> Result<Request, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    if f.bool("background")? == Some(true) {
        return Err(f.at().key("background").unsupported("background responses are not supported here"));
    }
    let mut request = Request {
        model: f.need_string("model")?,
        dialect: Some(Dialect::Responses),
        extra: f.others(KNOWN),
        echo: f.these(ECHO),
        ..Request::default()
    };
    // Clients write the default too; no other dialect needs a warning of it.
    request.extra.retain(|(name, json)| name != "truncation" || json.as_str() != r#""disabled""#);
    if let Some(instructions) = f.str("instructions")? {
        request.messages.push(Message::new(Role::System, vec![Part::text(instructions)]));
    }
    let at = f.at().key("tools");
    for (index, raw) in f.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        tool(raw, at.index(index), None, &mut request.tools)?;
    }
    Input { request: &mut request, inbound, pairs: Pairs::default(), custom: HashSet::new() }.read(&f)?;
    check_tools(&request.tools, &at)?;
    settings(&f, &mut request)?;
    Ok(request)
}

fn settings(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    request.stream = f.bool("stream")?.unwrap_or(false);
    request.max_tokens = f.u64("max_output_tokens")?.filter(|tokens| *tokens > 0);
    request.temperature = f.number("temperature", 0.0, 2.0)?;
    request.top_p = f.number("top_p", 0.0, 1.0)?;
    request.top_logprobs = f.u64("top_logprobs")?.filter(|count| *count > 0);
    request.parallel_tool_calls = f.bool("parallel_tool_calls")?;
    request.tool_choice =
        f.get("tool_choice").map(|raw| tool_choice(raw, f.at().key("tool_choice"))).transpose()?;
    if let Some(raw) = f.get("text") {
        let f = Fields::of(raw, f.at().key("text"))?;
        request.verbosity = f.string("verbosity")?;
        request.format = f.get("format").map(|raw| format(raw, f.at().key("format"))).transpose()?;
    }
    if let Some(raw) = f.get("reasoning") {
        let f = Fields::of(raw, f.at().key("reasoning"))?;
        let name = f.str("effort")?;
        request.reasoning = Some(Reasoning {
            effort: name.map(|name| effort(&name, &f.at().key("effort"))).transpose()?,
            summary: f.string("summary")?,
            ..Reasoning::default()
        });
    }
    let include = f.array("include")?.unwrap_or_default();
    request.include = include.iter().filter_map(|raw| raw.as_str()).map(Cow::into_owned).collect();
    request.metadata = f.object("metadata")?;
    (request.user, request.older_user) = user(f)?;
    request.prompt_cache_key = f.string("prompt_cache_key")?;
    request.service_tier = f.string("service_tier")?;
    request.store = f.bool("store")?;
    Ok(())
}

fn format(raw: Raw<'_>, at: At<'_>) -> Result<Format, Error> {
    let f = Fields::of(raw, at)?;
    match f.kind()?.as_ref() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => json_schema(&f),
        other => Err(at.key("type").unsupported(format!("Unsupported value: '{}'", shown(other)))),
    }
}

/// A tool, or all tools of a namespace.
fn tool(raw: Raw<'_>, at: At<'_>, namespace: Option<&str>, tools: &mut Vec<Tool>) -> Result<(), Error> {
    let f = Fields::of(raw, at)?;
    let kind = f.kind()?;
    let tool = match kind.as_ref() {
        "function" => function(&f, None)?,
        "custom" => Tool {
            name: f.need_string("name")?,
            namespace: None,
            description: f.string("description")?,
            kind: ToolKind::Custom { format: f.json("format") },
            strict: None,
            cache: None,
            extra: Vec::new(),
        },
        "namespace" if namespace.is_none() => {
            let (name, at) = (f.need_str("name")?, f.at().key("tools"));
            let inner = f.array("tools")?.unwrap_or_default();
            return inner
                .into_iter()
                .enumerate()
                .try_for_each(|(index, raw)| tool_of(raw, at.index(index), &name, tools));
        }
        other => Tool {
            name: f
                .string("server_label")?
                .map_or_else(|| other.to_owned(), |label| format!("{other}:{label}")),
            namespace: None,
            description: None,
            kind: ToolKind::Hosted { dialect: Dialect::Responses, kind: other.to_owned(), json: raw.into() },
            strict: None,
            cache: None,
            extra: Vec::new(),
        },
    };
    tools.push(Tool { namespace: namespace.map(str::to_owned), ..tool });
    Ok(())
}

fn tool_of(raw: Raw<'_>, at: At<'_>, namespace: &str, tools: &mut Vec<Tool>) -> Result<(), Error> {
    tool(raw, at, Some(namespace), tools)
}

fn tool_choice(raw: Raw<'_>, at: At<'_>) -> Result<ToolChoice, Error> {
    if let Some(name) = raw.as_str() {
        return plain_choice(&name)
            .ok_or_else(|| at.unsupported(format!("Unsupported value: '{}'", shown(&name))));
    }
    let f = Fields::of(raw, at)?;
    match f.kind()?.as_ref() {
        "function" | "custom" => Ok(ToolChoice::Tool(f.need_string("name")?)),
        "allowed_tools" => allowed(&f),
        // A tool that runs at the vendor.
        other => Ok(ToolChoice::Tool(other.to_owned())),
    }
}

/// Reads the items of the conversation. Consecutive items of the assistant
/// become one message.
struct Input<'i, 'r> {
    request: &'r mut Request,
    inbound: &'r InboundContext<'i>,
    pairs: Pairs,
    /// The ids of calls of custom tools.
    custom: HashSet<String>,
}

impl Input<'_, '_> {
    fn read(mut self, f: &Fields<'_, '_>) -> Result<(), Error> {
        let at = f.at().key("input");
        for (index, item) in self.inbound.previous.iter().enumerate() {
            self.item(item.raw(), at.index(index))?;
        }
        // The answers before can be all that there is.
        if self.inbound.previous.is_empty() || f.get("input").is_some() {
            let input = f.need("input")?;
            if let Some(text) = input.as_str() {
                self.message(Role::User, vec![Part::text(text)]);
            } else if input.is_array() {
                input.items().enumerate().try_for_each(|(index, raw)| self.item(raw, at.index(index)))?;
            } else {
                return Err(at.invalid("expected a string or an array of items").with_code("invalid_type"));
            }
        }
        self.pairs.turn(&at)?;
        if self.request.messages.is_empty() {
            return Err(at.invalid("expected at least one item"));
        }
        Ok(())
    }

    fn message(&mut self, role: Role, parts: Vec<Part>) {
        let messages = &mut self.request.messages;
        match messages.last_mut().filter(|last| last.role == role && role == Role::Assistant) {
            Some(last) => last.parts.extend(parts),
            None => messages.push(Message::new(role, parts)),
        }
    }

    fn item(&mut self, raw: Raw<'_>, at: At<'_>) -> Result<(), Error> {
        let f = Fields::of(raw, at)?;
        let kind = f.str("type")?.unwrap_or(Cow::Borrowed("message"));
        match kind.as_ref() {
            "message" => self.message_item(&f)?,
            "function_call" | "custom_tool_call" => {
                let is_custom = kind == "custom_tool_call";
                let call = ToolCall {
                    id: f.need_string("call_id")?,
                    name: f.need_string("name")?,
                    namespace: f.string("namespace")?,
                    arguments: f.need_string(if is_custom { "input" } else { "arguments" })?,
                    is_custom,
                };
                self.pairs.call(&call.id, &at)?;
                if is_custom {
                    self.custom.insert(call.id.clone());
                }
                self.message(Role::Assistant, vec![Content::ToolCall(call).into()]);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let call_id = f.need_string("call_id")?;
                self.pairs.result(&call_id, &at)?;
                let is_custom = kind == "custom_tool_call_output";
                self.refuse_other_kind(&call_id, is_custom, &at)?;
                f.need("output")?;
                let parts = content(&f, "output")?;
                let result = ToolResult { call_id, parts, is_error: false, is_custom };
                self.message(Role::Tool, vec![Content::ToolResult(result).into()]);
            }
            "reasoning" => {
                if let Some(thinking) = reasoning(&f, self.inbound)? {
                    self.message(Role::Assistant, vec![Content::Thinking(thinking).into()]);
                }
            }
            "additional_tools" => {
                let at = at.key("tools");
                for (index, raw) in f.array("tools")?.unwrap_or_default().into_iter().enumerate() {
                    tool(raw, at.index(index), None, &mut self.request.tools)?;
                }
            }
            "item_reference" => {
                let id = f.need_str("id")?;
                let item = self.inbound.item.and_then(|find| find(&id));
                let Some(item) = item.filter(|item| !is_reference(item)) else {
                    let message = format!("Item with id '{}' not found.", shown(&id));
                    return Err(Error {
                        param: Some(at.to_string()),
                        ..Error::new(Class::NotFound, message)
                    });
                };
                self.item(item.raw(), at)?;
            }
            other => {
                let content = Content::Foreign {
                    dialect: Dialect::Responses,
                    kind: other.to_owned(),
                    json: raw.into(),
                };
                self.message(Role::Assistant, vec![content.into()]);
            }
        }
        Ok(())
    }

    /// Call and output have the same id, so they must also be of the same kind.
    fn refuse_other_kind(&self, call_id: &str, is_custom: bool, at: &At<'_>) -> Result<(), Error> {
        if self.custom.contains(call_id) == is_custom {
            return Ok(());
        }
        Err(at.key("type").invalid("the output and its call are of different kinds"))
    }

    fn message_item(&mut self, f: &Fields<'_, '_>) -> Result<(), Error> {
        let role = match f.need_str("role")?.as_ref() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let known = "'assistant', 'system', 'developer', and 'user'";
                let message = format!("Invalid value: '{}'. Supported values are: {known}.", shown(other));
                return Err(f.at().key("role").invalid(message).with_code("invalid_value"));
            }
        };
        f.need("content")?;
        let mut parts = content(f, "content")?;
        if role == Role::Assistant {
            set_phase(&mut parts, f.string("phase")?.as_ref());
        } else {
            self.pairs.turn(f.at())?;
        }
        self.message(role, parts);
        Ok(())
    }
}

fn set_phase(parts: &mut [Part], phase: Option<&String>) {
    for part in parts {
        if let Content::Text(text) = &mut part.content {
            text.phase = phase.cloned();
        }
    }
}

fn is_reference(item: &Json) -> bool {
    item.raw().get_str("type").is_some_and(|kind| kind == "item_reference")
}

fn content(f: &Fields<'_, '_>, name: &str) -> Result<Vec<Part>, Error> {
    let at = f.at().key(name);
    let Some(raw) = f.get(name) else { return Ok(Vec::new()) };
    if let Some(text) = raw.as_str() {
        return Ok(vec![Part::text(text)]);
    }
    if !raw.is_array() {
        return Err(at.invalid("expected a string or an array of parts").with_code("invalid_type"));
    }
    raw.items().enumerate().map(|(index, raw)| part(raw, at.index(index))).collect()
}

fn part(raw: Raw<'_>, at: At<'_>) -> Result<Part, Error> {
    let f = Fields::of(raw, at)?;
    let content = match f.kind()?.as_ref() {
        "input_text" | "output_text" | "text" | "summary_text" => {
            let annotations = f.json("annotations").filter(|list| list.raw().items().next().is_some());
            Content::Text(Text { text: f.need_string("text")?, annotations, ..Text::default() })
        }
        "refusal" => Content::Refusal(f.need_string("refusal")?),
        "input_image" => {
            let source = match (f.str("image_url")?, f.string("file_id")?) {
                (Some(url), _) => parse_media_url(&url, &f.at().key("image_url"))?,
                (None, Some(id)) => MediaSource::File(id),
                (None, None) => return Err(f.at().invalid("expected image_url or file_id")),
            };
            Content::Image(Image { source, detail: f.string("detail")?.filter(|detail| detail != "auto") })
        }
        "input_file" => Content::Document(file(&f)?),
        "input_audio" => {
            let f = Fields::of(f.need("input_audio")?, f.at().key("input_audio"))?;
            Content::Audio { data: unwrapped(&f.need_str("data")?), format: f.need_string("format")? }
        }
        other => {
            let known = "'input_text', 'input_image', 'input_file', 'output_text', and 'refusal'";
            let message = format!("Invalid value: '{}'. Supported values are: {known}.", shown(other));
            return Err(at.key("type").invalid(message).with_code("invalid_value"));
        }
    };
    Ok(content.into())
}

fn file(f: &Fields<'_, '_>) -> Result<Document, Error> {
    let source = match (f.str("file_data")?, f.str("file_url")?, f.string("file_id")?) {
        (Some(data), ..) if data.starts_with("data:") => parse_media_url(&data, &f.at().key("file_data"))?,
        (Some(data), ..) => MediaSource::base64("application/pdf", &data, &f.at().key("file_data"))?,
        (None, Some(url), _) => parse_media_url(&url, &f.at().key("file_url"))?,
        (None, None, Some(id)) => MediaSource::File(id),
        (None, None, None) => return Err(f.at().invalid("expected file_data, file_url or file_id")),
    };
    Ok(Document { source, title: f.string("filename")?, context: None, citations: None })
}

/// Thoughts that the client sends back: another provider's, sealed by the
/// gateway, or OpenAI's own. Without encrypted content they are those that are
/// stored under this id, or those of a server that has them in plain text.
fn reasoning(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Result<Option<Thinking>, Error> {
    let Some(content) = f.string("encrypted_content")? else {
        let stored = f.str("id")?.and_then(|id| inbound.item?(&id));
        let content = |json: &Json| json.raw().get("encrypted_content").is_some();
        return match stored.filter(content) {
            Some(stored) => reasoning(&Fields::of(stored.raw(), *f.at())?, inbound),
            None => Ok(plain(f).map(Thinking::Plain)),
        };
    };
    if let Some(ours) = inbound.seal.and_then(|seal| unpack(&seal.open(&content)?)) {
        return Ok(Some(ours));
    }
    let summary = f.array("summary")?.unwrap_or_default();
    let summary = summary.iter().filter_map(|part| Some(part.get_str("text")?.into_owned())).collect();
    Ok(Some(Thinking::Encrypted { id: f.string("id")?.unwrap_or_default(), summary, content }))
}

/// All that can be read of a thought. What has a summary only is none: no upstream gets it.
fn plain(f: &Fields<'_, '_>) -> Option<String> {
    let texts = |name: &str| -> String {
        f.get(name).into_iter().flat_map(Raw::items).filter_map(|part| part.get_str("text")).collect()
    };
    let content = texts("content");
    (!content.is_empty()).then(|| texts("summary") + &content)
}
