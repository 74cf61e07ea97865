//! Parses a client's request for a message.

use crate::{
    Dialect, Error, InboundContext, Version,
    inbound::{Pairs, check_tools, shown},
    json::Raw,
    read::{At, Fields, body},
    reply::unpack,
    request::{
        Content, Document, Effort, Format, Image, MediaSource, Message, Part, Reasoning, Request, Role, Text,
        Thinking, ThinkingMode, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
    },
};

const KNOWN: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "stream",
    "stop_sequences",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "service_tier",
    "temperature",
    "top_p",
    "top_k",
];

pub(crate) fn parse(bytes: &[u8], inbound: &InboundContext<'_>) -> Result<Request, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    f.need("max_tokens")?;
    let max_tokens = f.u64("max_tokens")?;
    Ok(Request { max_tokens, stream: f.bool("stream")?.unwrap_or(false), ..counted(&f, inbound)? })
}

/// Parses a client's request to count the tokens of a prompt (Messages).
pub fn parse_count(bytes: &[u8], inbound: &InboundContext<'_>) -> Result<Request, Error> {
    counted(&Fields::of(body(bytes)?, At::ROOT)?, inbound)
}

fn counted(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Result<Request, Error> {
    let mut request = Request {
        model: f.need_string("model")?,
        messages: messages(f, inbound)?,
        dialect: Some(Dialect::Messages),
        extra: f.others(KNOWN),
        ..Request::default()
    };
    tools(f, &mut request)?;
    sampling(f, inbound.version, &mut request)?;
    thinking(f, &mut request)?;
    if let Some(raw) = f.get("metadata") {
        request.user = Fields::of(raw, f.at().key("metadata"))?.string("user_id")?;
    }
    request.service_tier = f.string("service_tier")?;
    Ok(request)
}

fn sampling(f: &Fields<'_, '_>, version: Version, request: &mut Request) -> Result<(), Error> {
    let gone = ["temperature", "top_p", "top_k"].into_iter().find(|name| f.get(name).is_some());
    if let (Some(name), Version::V2026_10_21) = (gone, version) {
        return Err(f.at().key(name).invalid("Extra inputs are not permitted"));
    }
    request.temperature = f.number("temperature", 0.0, 1.0)?;
    request.top_p = f.number("top_p", 0.0, 1.0)?;
    request.top_k = f.u64("top_k")?;
    let at = f.at().key("stop_sequences");
    for (index, raw) in f.array("stop_sequences")?.unwrap_or_default().into_iter().enumerate() {
        let text = raw.as_str().ok_or_else(|| at.index(index).invalid("Input should be a valid string"))?;
        request.stop.push(text.into_owned());
    }
    Ok(())
}

fn thinking(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    let mut reasoning = Reasoning::default();
    if let Some(raw) = f.get("thinking") {
        let f = Fields::of(raw, f.at().key("thinking"))?;
        reasoning.mode = Some(match f.kind()?.as_ref() {
            "enabled" => ThinkingMode::Enabled,
            "adaptive" => ThinkingMode::Adaptive,
            "between_tools" => ThinkingMode::BetweenTools,
            "disabled" => ThinkingMode::Disabled,
            other => {
                let message = format!("Input tag '{}' does not match any of the expected tags", shown(other));
                return Err(f.at().key("type").invalid(message));
            }
        });
        reasoning.budget_tokens = f.u64("budget_tokens")?;
        reasoning.summary = f.string("display")?;
    }
    if let Some(raw) = f.get("output_config") {
        let f = Fields::of(raw, f.at().key("output_config"))?;
        let at = f.at().key("effort");
        let effort = f.str("effort")?;
        let known =
            |name: &str| Effort::parse(name).ok_or_else(|| at.invalid("Input should be a known effort"));
        reasoning.effort = effort.map(|name| known(&name)).transpose()?;
        if let Some(raw) = f.get("format") {
            request.format = Some(format(&Fields::of(raw, f.at().key("format"))?)?);
        }
    }
    // The name of `output_config.format` while it was a beta, which older SDKs still send.
    if let (None, Some(raw)) = (&request.format, f.get("output_format")) {
        request.format = Some(format(&Fields::of(raw, f.at().key("output_format"))?)?);
    }
    request.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    Ok(())
}

fn format(f: &Fields<'_, '_>) -> Result<Format, Error> {
    match (f.kind()?.as_ref(), f.object("schema")?) {
        ("json_schema", Some(schema)) => {
            Ok(Format::JsonSchema { name: None, description: None, schema, strict: None })
        }
        ("json_schema", None) => Err(f.at().key("schema").invalid("Field required")),
        _ => Err(f.at().key("type").invalid("Input should be 'json_schema'")),
    }
}

fn tools(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    let at = f.at().key("tools");
    for (index, raw) in f.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw, at.index(index))?);
    }
    check_tools(&request.tools, &at)?;
    let Some(raw) = f.get("tool_choice") else { return Ok(()) };
    let f = Fields::of(raw, f.at().key("tool_choice"))?;
    request.tool_choice = Some(match f.kind()?.as_ref() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(f.need_string("name")?),
        other => {
            let message = format!("Input tag '{}' does not match any of the expected tags", shown(other));
            return Err(f.at().key("type").invalid(message));
        }
    });
    request.parallel_tool_calls =
        f.bool("disable_parallel_tool_use")?.filter(|is_off| *is_off).map(|_| false);
    Ok(())
}

fn tool(raw: Raw<'_>, at: At<'_>) -> Result<Tool, Error> {
    let f = Fields::of(raw, at)?;
    let name = f.need_string("name");
    if let Some(kind) = f.string("type")?.filter(|kind| kind != "custom") {
        // Tool servers have no `name`.
        let name = name.unwrap_or_else(|_| kind.clone());
        let kind = ToolKind::Hosted { dialect: Dialect::Messages, kind, json: raw.into() };
        let (strict, cache, extra) = (None, None, Vec::new());
        return Ok(Tool { name, namespace: None, description: None, kind, strict, cache, extra });
    }
    f.need("input_schema")?;
    Ok(Tool {
        name: name?,
        namespace: None,
        description: f.string("description")?,
        kind: ToolKind::Function { parameters: f.object("input_schema")? },
        strict: f.bool("strict")?,
        cache: f.json("cache_control"),
        extra: f.others(&["type", "name", "description", "input_schema", "strict", "cache_control"]),
    })
}

fn messages(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Result<Vec<Message>, Error> {
    f.need("messages")?;
    let mut messages = Vec::new();
    let system = blocks(f, "system", Role::System, inbound)?;
    if !system.is_empty() {
        messages.push(Message::new(Role::System, system));
    }
    let at = f.at().key("messages");
    let raws = f.array("messages")?.unwrap_or_default();
    if raws.is_empty() {
        return Err(at.invalid("at least one message is required"));
    }
    let mut pairs = Pairs::default();
    for (index, raw) in raws.into_iter().enumerate() {
        turn(&Fields::of(raw, at.index(index))?, inbound, &mut pairs, &mut messages)?;
    }
    Ok(messages)
}

fn turn(
    f: &Fields<'_, '_>,
    inbound: &InboundContext<'_>,
    pairs: &mut Pairs,
    messages: &mut Vec<Message>,
) -> Result<(), Error> {
    f.need("content")?;
    let role = match f.need_str("role")?.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => {
            let message = "Input should be 'user', 'assistant' or 'system'";
            return Err(f.at().key("role").invalid(message));
        }
    };
    let parts = blocks(f, "content", role, inbound)?;
    let (results, rest): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| matches!(part.content, Content::ToolResult(_)));
    let (results, rest) = (Message::new(Role::Tool, results), Message::new(role, rest));
    results.tool_results().try_for_each(|result| pairs.result(&result.call_id, f.at()))?;
    if role == Role::User {
        pairs.turn(f.at())?;
    }
    rest.tool_calls().try_for_each(|call| pairs.call(&call.id, f.at()))?;
    let is_only_results = rest.parts.is_empty() && !results.parts.is_empty();
    if !results.parts.is_empty() {
        messages.push(results);
    }
    if !is_only_results {
        messages.push(rest);
    }
    Ok(())
}

fn blocks(
    f: &Fields<'_, '_>,
    name: &str,
    role: Role,
    inbound: &InboundContext<'_>,
) -> Result<Vec<Part>, Error> {
    let at = f.at().key(name);
    let Some(raw) = f.get(name) else { return Ok(Vec::new()) };
    if let Some(text) = raw.as_str() {
        return Ok(vec![Part::text(text)]);
    }
    if !raw.is_array() {
        return Err(at.invalid("Input should be a valid string or a valid list"));
    }
    raw.items().enumerate().map(|(index, raw)| block(raw, at.index(index), role, inbound)).collect()
}

fn block(raw: Raw<'_>, at: At<'_>, role: Role, inbound: &InboundContext<'_>) -> Result<Part, Error> {
    let f = Fields::of(raw, at)?;
    let kind = f.kind()?;
    let is_new = inbound.version == Version::V2026_10_21;
    let content = match kind.as_ref() {
        "text" => {
            let citations = f.json("citations").filter(|list| list.raw().items().next().is_some());
            if is_new && role == Role::User && citations.is_some() {
                return Err(f.at().key("citations").invalid("Extra inputs are not permitted"));
            }
            Content::Text(Text { text: f.need_string("text")?, citations, ..Text::default() })
        }
        "document" if is_new && role == Role::Assistant => {
            return Err(f.at().invalid("document blocks are not permitted in assistant messages"));
        }
        "image" => Content::Image(Image { source: source(&f)?, detail: None }),
        "document" => document(&f)?,
        "tool_use" => Content::ToolCall(ToolCall {
            id: f.need_string("id")?,
            name: f.need_string("name")?,
            namespace: None,
            arguments: match f.object("input")? {
                Some(input) => input.as_str().to_owned(),
                None => return Err(f.at().key("input").invalid("Field required")),
            },
            is_custom: false,
        }),
        "tool_result" => {
            let parts = blocks(&f, "content", Role::Tool, inbound)?;
            let cache = f.json("cache_control").or_else(|| parts.last()?.cache.clone());
            let result = ToolResult {
                call_id: f.need_string("tool_use_id")?,
                parts,
                is_error: f.bool("is_error")?.unwrap_or(false),
                is_custom: false,
            };
            return Ok(Part { content: Content::ToolResult(result), cache });
        }
        "thinking" => Content::Thinking(thought(&f, inbound)?),
        "redacted_thinking" => {
            let data = f.need_string("data")?;
            let ours = inbound.seal.and_then(|seal| unpack(&seal.open(&data)?));
            Content::Thinking(ours.unwrap_or(Thinking::Redacted { data }))
        }
        _ => {
            Content::Foreign { dialect: Dialect::Messages, kind: kind.clone().into_owned(), json: raw.into() }
        }
    };
    Ok(Part { content, cache: f.json("cache_control") })
}

/// A signature made by the gateway contains another provider's thoughts.
fn thought(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Result<Thinking, Error> {
    let (text, signature) = (f.need_string("thinking")?, f.string("signature")?.unwrap_or_default());
    let ours = inbound.seal.and_then(|seal| unpack(&seal.open(&signature)?));
    Ok(match ours {
        Some(Thinking::Plain(_)) => Thinking::Plain(text),
        Some(other) => other,
        // An empty signature means that the thought is unsigned.
        None if signature.is_empty() => Thinking::Plain(text),
        None => Thinking::Signed { text, signature },
    })
}

fn source(f: &Fields<'_, '_>) -> Result<MediaSource, Error> {
    let f = Fields::of(f.need("source")?, f.at().key("source"))?;
    match f.kind()?.as_ref() {
        "base64" => {
            MediaSource::base64(f.need_string("media_type")?, &f.need_str("data")?, &f.at().key("data"))
        }
        "url" => Ok(MediaSource::Url(f.need_string("url")?)),
        "file" => Ok(MediaSource::File(f.need_string("file_id")?)),
        "text" => Ok(MediaSource::Text(f.need_string("data")?)),
        "content" => {
            let texts = f.get("content").map(|content| match content.as_str() {
                Some(text) => text.into_owned(),
                None => content.items().filter_map(|part| part.get_str("text")).collect(),
            });
            Ok(MediaSource::Text(texts.unwrap_or_default()))
        }
        other => {
            let message = format!("Input tag '{}' does not match any of the expected tags", shown(other));
            Err(f.at().key("type").invalid(message))
        }
    }
}

fn document(f: &Fields<'_, '_>) -> Result<Content, Error> {
    Ok(Content::Document(Document {
        source: source(f)?,
        title: f.string("title")?,
        context: f.string("context")?,
        citations: f.json("citations"),
    }))
}
