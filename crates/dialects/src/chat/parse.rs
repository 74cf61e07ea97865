//! Parses a client's request for a chat completion.

use crate::{
    Dialect, Error, InboundContext, Json,
    inbound::{Pairs, check_tools, parse_media_url, shown},
    json::Raw,
    read::{At, Fields, body},
    reply::unpack,
    request::{
        Content, Document, Effort, Format, Image, MediaSource, Message, Part, Reasoning, Request, Role, Text,
        Thinking, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, unwrapped,
    },
};

const KNOWN: &[&str] = &[
    "messages",
    "model",
    "stream",
    "stream_options",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "metadata",
    "store",
    "service_tier",
    "functions",
    "function_call",
];

pub(crate) fn parse(bytes: &[u8], inbound: &InboundContext<'_>) -> Result<Request, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let mut request = Request {
        model: match (f.get("model"), inbound.default_model) {
            (None, Some(model)) => model.to_owned(),
            _ => f.need_string("model")?,
        },
        messages: messages(&f, inbound)?,
        dialect: Some(Dialect::Chat),
        extra: f.others(KNOWN),
        ..Request::default()
    };
    tools(&f, &mut request)?;
    sampling(&f, &mut request)?;
    request.format =
        f.get("response_format").map(|raw| format(raw, f.at().key("response_format"))).transpose()?;
    request.reasoning = reasoning(&f)?;
    stream(&f, &mut request)?;
    request.verbosity = f.string("verbosity")?;
    request.metadata = f.object("metadata")?;
    (request.user, request.older_user) = user(&f)?;
    request.prompt_cache_key = f.string("prompt_cache_key")?;
    request.service_tier = f.string("service_tier")?;
    request.store = f.bool("store")?;
    Ok(request)
}

/// The end user by the newer name, and by the older one beside it.
pub(crate) fn user(f: &Fields<'_, '_>) -> Result<(Option<String>, Option<String>), Error> {
    let (newer, older) = (f.string("safety_identifier")?, f.string("user")?);
    Ok(if newer.is_some() { (newer, older) } else { (older, None) })
}

fn stream(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    request.stream = f.bool("stream")?.unwrap_or(false);
    if let Some(options) = f.get("stream_options") {
        let options = Fields::of(options, f.at().key("stream_options"))?;
        // Accepted without `stream` too, because the SDKs' own tests send it
        // so.
        request.include_usage = options.bool("include_usage")?.unwrap_or(false);
    }
    Ok(())
}

fn sampling(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    // The older name counts only if the newer one is absent. Some clients send
    // zero for no limit.
    let max_tokens = f.u64("max_completion_tokens")?.or(f.u64("max_tokens")?);
    request.max_tokens = max_tokens.filter(|tokens| *tokens > 0);
    request.temperature = f.number("temperature", 0.0, 2.0)?;
    request.top_p = f.number("top_p", 0.0, 1.0)?;
    request.frequency_penalty = f.number("frequency_penalty", -2.0, 2.0)?;
    request.presence_penalty = f.number("presence_penalty", -2.0, 2.0)?;
    request.logit_bias = f.object("logit_bias")?;
    request.seed = f.i64("seed")?;
    request.logprobs = f.bool("logprobs")?;
    request.top_logprobs = f.u64("top_logprobs")?;
    request.n = f.u64("n")?;
    if request.n.is_some_and(|n| !(1..=128).contains(&n)) {
        return Err(f.at().key("n").invalid("expected a whole number from 1 to 128"));
    }
    request.stop = stop(f)?;
    Ok(())
}

pub(crate) fn stop(f: &Fields<'_, '_>) -> Result<Vec<String>, Error> {
    let at = f.at().key("stop");
    let wrong = || at.invalid("expected a string or an array of at most 4 strings");
    let Some(stop) = f.get("stop") else { return Ok(Vec::new()) };
    if let Some(one) = stop.as_str() {
        return Ok(vec![one.into_owned()]);
    }
    let texts: Option<Vec<String>> =
        stop.items().map(|item| item.as_str().map(std::borrow::Cow::into_owned)).collect();
    texts.filter(|texts| stop.is_array() && texts.len() <= 4).ok_or_else(wrong)
}

fn reasoning(f: &Fields<'_, '_>) -> Result<Option<Reasoning>, Error> {
    let Some(name) = f.str("reasoning_effort")? else { return Ok(None) };
    let effort = effort(&name, &f.at().key("reasoning_effort"))?;
    Ok(Some(Reasoning { effort: Some(effort), ..Reasoning::default() }))
}

pub(crate) fn effort(name: &str, at: &At<'_>) -> Result<Effort, Error> {
    let message = || {
        let known = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'";
        format!("Unsupported value: '{}'. Supported values are: {known}", shown(name))
    };
    Effort::parse(name).ok_or_else(|| at.unsupported(message()))
}

fn format(raw: Raw<'_>, at: At<'_>) -> Result<Format, Error> {
    let f = Fields::of(raw, at)?;
    match f.kind()?.as_ref() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => json_schema(&Fields::of(f.need("json_schema")?, f.at().key("json_schema"))?),
        other => Err(at.key("type").unsupported(format!("Unsupported value: '{}'", shown(other)))),
    }
}

/// Both of OpenAI's APIs have these members.
pub(crate) fn json_schema(f: &Fields<'_, '_>) -> Result<Format, Error> {
    Ok(Format::JsonSchema {
        name: Some(f.need_string("name")?),
        description: f.string("description")?,
        schema: match f.object("schema")? {
            Some(schema) => schema,
            None => return Err(f.at().key("schema").invalid("Field required")),
        },
        strict: f.bool("strict")?,
    })
}

fn tools(f: &Fields<'_, '_>, request: &mut Request) -> Result<(), Error> {
    let at = f.at().key("tools");
    for (index, raw) in f.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw, at.index(index))?);
    }
    let at = f.at().key("functions");
    for (index, raw) in f.array("functions")?.unwrap_or_default().into_iter().enumerate() {
        let tool = function(&Fields::of(raw, at.index(index))?, None)?;
        // Clients may send the same tool in both the old and the new form.
        if !request.tools.iter().any(|known| known.name == tool.name) {
            request.tools.push(tool);
        }
    }
    request.has_legacy_functions = f.get("tools").is_none() && f.get("functions").is_some();
    check_tools(&request.tools, &f.at().key("tools"))?;
    request.parallel_tool_calls = f.bool("parallel_tool_calls")?;
    request.tool_choice = match (f.get("tool_choice"), f.get("function_call")) {
        (Some(raw), _) => Some(tool_choice(raw, f.at().key("tool_choice"))?),
        (None, Some(raw)) => Some(legacy_choice(raw, f.at().key("function_call"))?),
        (None, None) => None,
    };
    Ok(())
}

fn tool(raw: Raw<'_>, at: At<'_>) -> Result<Tool, Error> {
    let f = Fields::of(raw, at)?;
    let cache = f.json("cache_control");
    match f.kind()?.as_ref() {
        "function" => function(&Fields::of(f.need("function")?, f.at().key("function"))?, cache),
        "custom" => {
            let f = Fields::of(f.need("custom")?, f.at().key("custom"))?;
            Ok(Tool {
                name: f.need_string("name")?,
                namespace: None,
                description: f.string("description")?,
                kind: ToolKind::Custom { format: f.json("format") },
                strict: None,
                cache,
                extra: Vec::new(),
            })
        }
        other => Err(at.key("type").unsupported(format!("Unsupported value: '{}'", shown(other)))),
    }
}

pub(crate) fn function(f: &Fields<'_, '_>, cache: Option<Json>) -> Result<Tool, Error> {
    Ok(Tool {
        name: f.need_string("name")?,
        namespace: None,
        description: f.string("description")?,
        kind: ToolKind::Function { parameters: f.object("parameters")? },
        strict: f.bool("strict")?,
        cache: cache.or_else(|| f.json("cache_control")),
        extra: f.others(&["type", "name", "description", "parameters", "strict", "cache_control"]),
    })
}

pub(crate) fn plain_choice(name: &str) -> Option<ToolChoice> {
    match name {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn tool_choice(raw: Raw<'_>, at: At<'_>) -> Result<ToolChoice, Error> {
    if let Some(name) = raw.as_str() {
        return plain_choice(&name)
            .ok_or_else(|| at.unsupported(format!("Unsupported value: '{}'", shown(&name))));
    }
    let f = Fields::of(raw, at)?;
    let kind = f.kind()?;
    match kind.as_ref() {
        "function" | "custom" => {
            Ok(ToolChoice::Tool(Fields::of(f.need(&kind)?, f.at().key(&kind))?.need_string("name")?))
        }
        "allowed_tools" => allowed(&Fields::of(f.need("allowed_tools")?, f.at().key("allowed_tools"))?),
        other => Err(at.key("type").unsupported(format!("Unsupported value: '{}'", shown(other)))),
    }
}

pub(crate) fn allowed(f: &Fields<'_, '_>) -> Result<ToolChoice, Error> {
    let tools = f.array("tools")?.unwrap_or_default();
    let name = |raw: &Raw<'_>| {
        let inner = raw.get("function").or_else(|| raw.get("custom")).unwrap_or(*raw);
        Some(inner.get_str("name")?.into_owned())
    };
    Ok(ToolChoice::Allowed {
        names: tools.iter().filter_map(name).collect(),
        is_required: f.need_str("mode")? == "required",
    })
}

fn legacy_choice(raw: Raw<'_>, at: At<'_>) -> Result<ToolChoice, Error> {
    match raw.as_str() {
        Some(name) => plain_choice(&name).ok_or_else(|| at.unsupported("Unsupported value")),
        None => Ok(ToolChoice::Tool(Fields::of(raw, at)?.need_string("name")?)),
    }
}

fn messages(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Result<Vec<Message>, Error> {
    f.need("messages")?;
    let at = f.at().key("messages");
    let raws = f.array("messages")?.unwrap_or_default();
    if raws.is_empty() {
        return Err(at.invalid("expected at least one message"));
    }
    let (mut messages, mut pairs) = (Vec::with_capacity(raws.len()), Pairs::default());
    for (index, raw) in raws.into_iter().enumerate() {
        let at = at.index(index);
        let message = message(&Fields::of(raw, at)?, index, inbound)?;
        if message.role != Role::Tool {
            pairs.turn(&at)?;
        }
        message.tool_calls().try_for_each(|call| pairs.call(&call.id, &at))?;
        message.tool_results().try_for_each(|result| pairs.result(&result.call_id, &at))?;
        messages.push(message);
    }
    pairs.turn(&at)?;
    Ok(messages)
}

fn message(f: &Fields<'_, '_>, index: usize, inbound: &InboundContext<'_>) -> Result<Message, Error> {
    let role = f.need_str("role")?;
    let name = f.string("name")?;
    let mut parts = match role.as_ref() {
        "system" | "developer" | "user" => {
            f.need("content")?;
            content(f)?
        }
        "assistant" => assistant(f, index, inbound)?,
        "tool" => vec![tool_result(f, f.need_string("tool_call_id")?)?],
        "function" => vec![tool_result(f, legacy_id(&f.need_str("name")?, index.saturating_sub(1)))?],
        other => {
            let known = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
            let message = format!("Invalid value: '{}'. Supported values are: {known}.", shown(other));
            return Err(f.at().key("role").invalid(message).with_code("invalid_value"));
        }
    };
    if let (Some(cache), Some(last)) = (f.json("cache_control"), parts.last_mut()) {
        last.cache.get_or_insert(cache);
    }
    let role = match role.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Tool,
    };
    Ok(Message { role, name: name.filter(|_| role != Role::Tool), parts })
}

/// Legacy function calls have no ids: one is made from the function's name and
/// the index of the message. The result follows right after the call.
fn legacy_id(name: &str, index: usize) -> String {
    format!("call_{index}_{name}")
}

fn tool_result(f: &Fields<'_, '_>, call_id: String) -> Result<Part, Error> {
    let parts = content(f)?;
    let cache = parts.last().and_then(|part| part.cache.clone());
    let result = ToolResult { call_id, parts, is_error: false, is_custom: false };
    Ok(Part { content: Content::ToolResult(result), cache })
}

/// `content`: a text or a list of parts; empty if absent or null.
fn content(f: &Fields<'_, '_>) -> Result<Vec<Part>, Error> {
    let at = f.at().key("content");
    let Some(raw) = f.get("content") else { return Ok(Vec::new()) };
    if let Some(text) = raw.as_str() {
        return Ok(vec![Part::text(text)]);
    }
    if !raw.is_array() {
        return Err(at.invalid("expected a string or an array of parts").with_code("invalid_type"));
    }
    raw.items().enumerate().map(|(index, raw)| part(&Fields::of(raw, at.index(index))?)).collect()
}

fn part(f: &Fields<'_, '_>) -> Result<Part, Error> {
    let kind = f.kind()?;
    let content = match kind.as_ref() {
        "text" => Content::Text(Text { text: f.need_string("text")?, ..Text::default() }),
        "refusal" => Content::Refusal(f.need_string("refusal")?),
        "image_url" => image(f)?,
        "file" => file(&Fields::of(f.need("file")?, f.at().key("file"))?)?,
        // Parts of the original client.
        "document_url" => {
            let f = Fields::of(f.need("document_url")?, f.at().key("document_url"))?;
            let source = parse_media_url(&f.need_str("url")?, &f.at().key("url"))?;
            document(source, f.string("name")?)
        }
        "markdown_document" => {
            let f = Fields::of(f.need("markdown_document")?, f.at().key("markdown_document"))?;
            document(MediaSource::Text(f.need_string("markdown")?), f.string("name")?)
        }
        "input_audio" => {
            let f = Fields::of(f.need("input_audio")?, f.at().key("input_audio"))?;
            Content::Audio { data: unwrapped(&f.need_str("data")?), format: f.need_string("format")? }
        }
        other => {
            let known = "'text', 'image_url', 'input_audio', 'refusal', and 'file'";
            let message = format!("Invalid value: '{}'. Supported values are: {known}.", shown(other));
            return Err(f.at().key("type").invalid(message).with_code("invalid_value"));
        }
    };
    Ok(Part { content, cache: f.json("cache_control") })
}

fn image(f: &Fields<'_, '_>) -> Result<Content, Error> {
    let raw = f.need("image_url")?;
    let at = f.at().key("image_url");
    // Some clients send only the URL.
    if let Some(url) = raw.as_str() {
        return Ok(Content::Image(Image { source: parse_media_url(&url, &at)?, detail: None }));
    }
    let f = Fields::of(raw, at)?;
    let source = parse_media_url(&f.need_str("url")?, &at.key("url"))?;
    Ok(Content::Image(Image { source, detail: f.string("detail")?.filter(|detail| detail != "auto") }))
}

fn file(f: &Fields<'_, '_>) -> Result<Content, Error> {
    let source = match (f.str("file_data")?, f.string("file_id")?) {
        (Some(data), _) if data.starts_with("data:") => parse_media_url(&data, &f.at().key("file_data"))?,
        (Some(data), _) => MediaSource::base64("application/pdf", &data, &f.at().key("file_data"))?,
        (None, Some(id)) => MediaSource::File(id),
        (None, None) => return Err(f.at().invalid("expected file_data or file_id")),
    };
    Ok(document(source, f.string("filename")?))
}

fn document(source: MediaSource, title: Option<String>) -> Content {
    Content::Document(Document { source, title, context: None, citations: None })
}

fn assistant(f: &Fields<'_, '_>, index: usize, inbound: &InboundContext<'_>) -> Result<Vec<Part>, Error> {
    let mut parts = thoughts(f, inbound);
    parts.extend(content(f)?);
    if let Some(refusal) = f.string("refusal")? {
        parts.push(Content::Refusal(refusal).into());
    }
    let at = f.at().key("tool_calls");
    for (place, raw) in f.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        parts.push(Content::ToolCall(tool_call(&Fields::of(raw, at.index(place))?)?).into());
    }
    if let Some(raw) = f.get("function_call") {
        let f = Fields::of(raw, f.at().key("function_call"))?;
        let name = f.need_string("name")?;
        let id = legacy_id(&name, index);
        let arguments = f.string("arguments")?.unwrap_or_default();
        parts.push(
            Content::ToolCall(ToolCall { id, name, namespace: None, arguments, is_custom: false }).into(),
        );
    }
    if parts.is_empty() && f.get("audio").is_none() {
        return Err(f.at().key("content").invalid("expected content or tool_calls"));
    }
    Ok(parts)
}

fn tool_call(f: &Fields<'_, '_>) -> Result<ToolCall, Error> {
    let id = f.need_string("id")?;
    let is_custom = f.str("type")?.is_some_and(|kind| kind == "custom");
    let (member, text) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
    let f = Fields::of(f.need(member)?, f.at().key(member))?;
    let arguments = f.string(text)?.unwrap_or_default();
    Ok(ToolCall { id, name: f.need_string("name")?, namespace: None, arguments, is_custom })
}

/// Thoughts in the forms that clients send back: OpenRouter's
/// `reasoning_details` and LiteLLM's `thinking_blocks`. If one has no
/// signature, all are dropped. `reasoning_content` alone has no signature.
fn thoughts(f: &Fields<'_, '_>, inbound: &InboundContext<'_>) -> Vec<Part> {
    let details = f.get("reasoning_details").or_else(|| f.get("thinking_blocks"));
    let all: Option<Vec<Thinking>> =
        details.map(|details| details.items().map(|raw| thought(raw, inbound)).collect()).unwrap_or_default();
    if let Some(all) = all.filter(|all| !all.is_empty()) {
        return all.into_iter().map(|thinking| Content::Thinking(thinking).into()).collect();
    }
    let plain = ["reasoning_content", "reasoning"].iter().find_map(|name| f.get(name)?.as_str());
    let plain = plain.filter(|text| !text.is_empty());
    plain.map(|text| Content::Thinking(Thinking::Plain(text.into_owned())).into()).into_iter().collect()
}

fn thought(raw: Raw<'_>, inbound: &InboundContext<'_>) -> Option<Thinking> {
    let text = |name: &str| raw.get_str(name).map(std::borrow::Cow::into_owned);
    match raw.get_str("type")?.as_ref() {
        "reasoning.text" | "thinking" => {
            let signature = text("signature").filter(|signature| !signature.is_empty())?;
            Some(Thinking::Signed {
                text: text("text").or_else(|| text("thinking")).unwrap_or_default(),
                signature,
            })
        }
        "reasoning.encrypted" | "redacted_thinking" => {
            let data = text("data").filter(|data| !data.is_empty())?;
            let opened = inbound.seal.and_then(|seal| seal.open(&data)).and_then(|packed| unpack(&packed));
            Some(opened.unwrap_or(Thinking::Redacted { data }))
        }
        _ => None,
    }
}
