//! Renders a request for an upstream that speaks Chat Completions.

use crate::{
    Dialect, Error, Rendered, Target,
    outbound::{CUSTOM_SCHEMA, OutboundRequest, REFUSED},
    request::{
        Content, Document, Format, Image, MediaSource, Message, Part, Request, Role, Thinking, Tool,
        ToolChoice, ToolKind, ToolResult,
    },
    schema,
    target::{OPENAI_NAME, hash},
    write::{self, Array, Object},
};

pub(crate) fn render(request: &Request, target: &Target) -> Result<Rendered, Error> {
    let mut out = OutboundRequest::new(request, target, Dialect::Chat, OPENAI_NAME);
    let messages = Messages { out: &mut out, images: Vec::new() }.render()?;
    let mut body = String::with_capacity(messages.len().saturating_add(1_024));
    let mut result = Ok(());
    write::object_into(&mut body, |o| result = members(&mut out, &messages, o));
    result?;
    Ok(out.rendered(body))
}

fn members(out: &mut OutboundRequest<'_>, messages: &str, o: &mut Object<'_>) -> Result<(), Error> {
    let request = out.request;
    let can = &out.target.can;
    o.str("model", &out.target.model);
    o.raw("messages", messages);
    tools(out, o)?;
    let tokens = if can.openai { "max_completion_tokens" } else { "max_tokens" };
    o.opt(tokens, out.max_tokens());
    out.left_out("top_k", request.top_k.is_some());
    if can.openai && !can.sampling {
        for name in request.refused_by_thinking() {
            match name {
                "stop" | "stop_sequences" => out.keep_stops(name)?,
                _ => out.refuse(name, REFUSED)?,
            }
        }
    } else {
        sampling(out, o)?;
    }
    o.opt("seed", request.seed);
    o.opt("n", request.n);
    format(out, o)?;
    if let Some(effort) = out.effort() {
        o.str("reasoning_effort", effort.name());
    }
    if can.openai {
        o.opt_str("verbosity", request.verbosity.as_deref());
        o.opt_str("prompt_cache_key", request.prompt_cache_key.as_deref());
        o.opt_str("service_tier", service_tier(request));
        o.opt_json(
            "metadata",
            request.metadata.as_ref().filter(|_| request.dialect != Some(Dialect::Messages)),
        );
        o.opt("store", request.store.filter(|_| request.dialect == Some(Dialect::Chat)));
    }
    if let Some(user) = &request.user {
        o.str(if can.openai { "safety_identifier" } else { "user" }, &short(user));
    }
    if request.stream || out.target.stream {
        o.put("stream", true);
        if can.stream_usage {
            o.object("stream_options", |o| o.put("include_usage", true));
        }
    }
    out.extra(o)
}

fn sampling(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<(), Error> {
    let request = out.request;
    o.opt("temperature", out.sampling("temperature", request.temperature)?);
    o.opt("top_p", out.sampling("top_p", request.top_p)?);
    o.opt("frequency_penalty", request.frequency_penalty);
    o.opt("presence_penalty", request.presence_penalty);
    o.opt_json("logit_bias", request.logit_bias.as_ref());
    o.opt("logprobs", request.logprobs);
    o.opt("top_logprobs", request.top_logprobs);
    stop(request, o)
}

/// OpenAI limits user names to 64 characters; Claude Code sends longer ones.
pub(crate) fn short(user: &str) -> String {
    if user.chars().count() <= 64 { user.to_owned() } else { opaque(user) }
}

/// Another name for a user, always the same one.
pub(crate) fn opaque(user: &str) -> String {
    let reversed: String = user.chars().rev().collect();
    format!("user_{:08x}{:08x}", hash(user), hash(&reversed))
}

/// The service tier in OpenAI's terms; Anthropic's `standard_only` is the
/// default tier.
pub(crate) fn service_tier(request: &Request) -> Option<&str> {
    match request.service_tier.as_deref() {
        Some("standard_only") => Some("default"),
        tier => tier,
    }
}

fn stop(request: &Request, o: &mut Object<'_>) -> Result<(), Error> {
    match request.stop.as_slice() {
        [] => {}
        [one] => o.str("stop", one),
        [_, _] | [_, _, _] | [_, _, _, _] => {
            o.array("stop", |a| request.stop.iter().for_each(|text| a.str(text)))
        }
        _ => return Err(Error::unsupported("stop_sequences", "this provider takes at most 4")),
    }
    Ok(())
}

fn format(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<(), Error> {
    let Some(format) = &out.request.format else { return Ok(()) };
    if !out.target.can.structured_output && matches!(format, Format::JsonSchema { .. }) {
        return out.refuse("response_format", "this model does not answer by a schema");
    }
    match format {
        Format::Text if out.is_same_dialect() => {
            o.object("response_format", |o| o.str("type", "text"));
        }
        Format::Text => {}
        Format::JsonObject => o.object("response_format", |o| o.str("type", "json_object")),
        Format::JsonSchema { name, description, schema, strict } => o.object("response_format", |o| {
            o.str("type", "json_schema");
            o.object("json_schema", |o| {
                o.str("name", name.as_deref().unwrap_or("answer"));
                o.opt_str("description", description.as_deref());
                o.raw("schema", schema.as_str());
                o.opt("strict", is_strict(out.request, *strict, schema.as_str()));
            });
        }),
    }
    Ok(())
}

/// Whether to ask for strict mode. Anthropic always enforces a schema; OpenAI
/// can enforce only some schemas.
pub(crate) fn is_strict(request: &Request, strict: Option<bool>, schema: &str) -> Option<bool> {
    let is_from_anthropic = request.dialect == Some(Dialect::Messages);
    strict.or_else(|| (is_from_anthropic && schema::is_strict(schema)).then_some(true))
}

fn tools(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<(), Error> {
    let tools = out.tools();
    let choice = out.tool_choice()?;
    if tools.is_empty() {
        return Ok(());
    }
    let takes_custom = out.takes_custom();
    o.array("tools", |a| tools.iter().for_each(|(name, known)| a.object(|o| tool(out, name, known, o))));
    match choice {
        None => {}
        Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
        Some(ToolChoice::None) => o.str("tool_choice", "none"),
        Some(ToolChoice::Required) => o.str("tool_choice", "required"),
        Some(ToolChoice::Tool(name)) => {
            let is_custom = takes_custom
                && tools
                    .iter()
                    .any(|(_, tool)| tool.name == name && matches!(tool.kind, ToolKind::Custom { .. }));
            let kind = if is_custom { "custom" } else { "function" };
            o.object("tool_choice", |o| {
                o.str("type", kind);
                o.object(kind, |o| o.str("name", &out.sent_name_of(&name)));
            });
        }
        Some(ToolChoice::Allowed { names, is_required }) if out.target.can.openai => {
            o.object("tool_choice", |o| {
                o.str("type", "allowed_tools");
                o.object("allowed_tools", |o| {
                    o.str("mode", if is_required { "required" } else { "auto" });
                    o.array("tools", |a| {
                        for name in &names {
                            a.object(|o| {
                                o.str("type", "function");
                                o.object("function", |o| o.str("name", &out.sent_name_of(name)));
                            });
                        }
                    });
                });
            })
        }
        Some(ToolChoice::Allowed { is_required, .. }) => {
            o.str("tool_choice", if is_required { "required" } else { "auto" });
        }
    }
    o.opt("parallel_tool_calls", out.request.parallel_tool_calls);
    Ok(())
}

fn tool(out: &OutboundRequest<'_>, name: &str, tool: &Tool, o: &mut Object<'_>) {
    match &tool.kind {
        ToolKind::Function { parameters } => {
            o.str("type", "function");
            o.object("function", |o| {
                o.str("name", name);
                o.opt_str("description", tool.description.as_deref());
                o.opt_json("parameters", parameters.as_ref());
                o.opt("strict", tool.strict);
                out.extra_of(tool, o);
            });
        }
        ToolKind::Custom { format } if out.takes_custom() => {
            o.str("type", "custom");
            o.object("custom", |o| {
                o.str("name", name);
                o.opt_str("description", tool.description.as_deref());
                o.opt_json("format", format.as_ref());
            });
        }
        ToolKind::Custom { format } => {
            o.str("type", "function");
            o.object("function", |o| {
                o.str("name", name);
                o.opt_str(
                    "description",
                    custom_description(tool, format.as_ref().map(crate::Json::as_str)).as_deref(),
                );
                o.raw("parameters", CUSTOM_SCHEMA);
            });
        }
        // `OutboundRequest::tools` lets none of another dialect through, and Chat
        // Completions has none of its own.
        ToolKind::Hosted { kind, .. } => o.str("type", kind),
    }
}

/// Puts a grammar that the target cannot enforce into the tool's description.
pub(crate) fn custom_description(tool: &Tool, format: Option<&str>) -> Option<String> {
    let description = tool.description.clone();
    match format {
        None => description,
        Some(format) => {
            let description = description.map(|text| text + "\n\n").unwrap_or_default();
            Some(format!("{description}The input has this format: {format}"))
        }
    }
}

/// Renders messages. Images of tool results wait until all results of their
/// turn have been written.
struct Messages<'o, 'r> {
    out: &'o mut OutboundRequest<'r>,
    images: Vec<(String, &'r Part)>,
}

impl<'r> Messages<'_, 'r> {
    fn render(mut self) -> Result<String, Error> {
        let mut text = String::new();
        let mut result = Ok(());
        let messages = &self.out.request.messages;
        write::array_into(&mut text, |a| {
            result =
                messages.iter().enumerate().try_for_each(|(index, message)| self.message(index, message, a));
            if result.is_ok() {
                result = self.flush(None, 0, a);
            }
        });
        result.map(|()| text)
    }

    fn message(&mut self, index: usize, message: &'r Message, a: &mut Array<'_>) -> Result<(), Error> {
        match message.role {
            Role::Tool => message.tool_results().try_for_each(|result| self.tool_result(index, result, a)),
            Role::User => self.flush(Some(message), index, a),
            Role::System | Role::Developer | Role::Assistant => {
                self.flush(None, index, a)?;
                let parts = self.known(index, &message.parts)?;
                let is_assistant = message.role == Role::Assistant;
                let mut result = Ok(());
                a.object(|o| {
                    o.str("role", self.role(message.role));
                    o.opt_str("name", message.name.as_deref());
                    if is_assistant {
                        self.assistant(&parts, o);
                    } else {
                        result = self.content(index, &parts, o);
                    }
                });
                result
            }
        }
    }

    fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Developer if self.out.target.can.openai => "developer",
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// Writes the waiting images and the user's next message as one message.
    fn flush(&mut self, message: Option<&'r Message>, index: usize, a: &mut Array<'_>) -> Result<(), Error> {
        let images = std::mem::take(&mut self.images);
        if images.is_empty() && message.is_none() {
            return Ok(());
        }
        let labels: Vec<Part> = images
            .iter()
            .map(|(id, _)| Part::text(format!("Content of the result of tool call {id}:")))
            .collect();
        let mut parts: Vec<&Part> =
            labels.iter().zip(&images).flat_map(|(label, (_, image))| [label, *image]).collect();
        if let Some(message) = message {
            parts.extend(self.known(index, &message.parts)?);
        }
        let mut result = Ok(());
        a.object(|o| {
            o.str("role", "user");
            o.opt_str("name", message.and_then(|message| message.name.as_deref()));
            result = self.content(index, &parts, o);
        });
        result
    }

    /// The parts that this API supports.
    fn known<'p>(&mut self, index: usize, parts: &'p [Part]) -> Result<Vec<&'p Part>, Error> {
        let mut known = Vec::with_capacity(parts.len());
        for part in parts {
            match &part.content {
                Content::Foreign { kind, .. } => {
                    self.out.warn(format!(
                        "messages[{index}]: '{kind}' left out, this provider does not know it"
                    ));
                }
                Content::Image(_) if !self.out.target.can.images => {
                    self.out
                        .refuse(&format!("messages[{index}].content"), "this model does not read images")?;
                }
                Content::Document(document)
                    if !self.out.target.can.documents && !matches!(document.source, MediaSource::Text(_)) =>
                {
                    self.out.refuse(
                        &format!("messages[{index}].content"),
                        "this model does not read documents",
                    )?;
                }
                _ => known.push(part),
            }
        }
        Ok(known)
    }

    fn tool_result(&mut self, index: usize, result: &'r ToolResult, a: &mut Array<'_>) -> Result<(), Error> {
        self.known(index, &result.parts)?;
        let mut texts: Vec<&str> = result.parts.iter().filter_map(Part::as_text).collect();
        let before = self.images.len();
        for part in &result.parts {
            match &part.content {
                Content::Document(Document { source: MediaSource::Text(text), .. }) => texts.push(text),
                Content::Image(_) | Content::Document(_) => self.images.push((result.call_id.clone(), part)),
                _ => {}
            }
        }
        let mut text = texts.join("\n");
        if text.is_empty() && self.images.len() > before {
            text.push_str("(image below)");
        }
        if text.is_empty() && result.is_error {
            text.push_str("tool error");
        }
        a.object(|o| {
            o.str("role", "tool");
            o.str("tool_call_id", &result.call_id);
            o.str("content", &text);
        });
        Ok(())
    }

    fn assistant(&mut self, parts: &[&Part], o: &mut Object<'_>) {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.as_text()).collect();
        let calls: Vec<_> = parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::ToolCall(call) => Some(call),
                _ => None,
            })
            .collect();
        let refusal: Option<&str> = parts.iter().find_map(|part| match &part.content {
            Content::Refusal(text) => Some(text.as_str()),
            _ => None,
        });
        if texts.is_empty() && (!calls.is_empty() || refusal.is_some()) {
            o.null("content");
        } else {
            o.str("content", &texts.concat());
        }
        o.opt_str("refusal", refusal);
        self.thoughts(parts, o);
        if calls.is_empty() {
            return;
        }
        let takes_custom = self.out.takes_custom();
        o.array("tool_calls", |a| {
            for call in calls {
                let is_custom = call.is_custom && takes_custom;
                let (kind, text) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
                a.object(|o| {
                    o.str("id", &call.id);
                    o.str("type", kind);
                    o.object(kind, |o| {
                        o.str("name", &self.out.call_name(call));
                        o.str(text, &self.out.call_arguments(call));
                    });
                });
            }
        });
    }

    /// Upstreams that send thoughts expect them back between tool calls; OpenAI
    /// has no such member. Signed thoughts belong to another provider.
    fn thoughts(&mut self, parts: &[&Part], o: &mut Object<'_>) {
        let mut plain = String::new();
        for part in parts {
            match &part.content {
                Content::Thinking(Thinking::Plain(text)) => plain.push_str(text),
                Content::Thinking(_) => {
                    self.out.warn("messages: signed thoughts left out, they are another provider's")
                }
                _ => {}
            }
        }
        if !plain.is_empty() && !self.out.target.can.openai && self.out.target.can.reasoning {
            o.str("reasoning_content", &plain);
        }
    }

    fn content(&mut self, index: usize, parts: &[&Part], o: &mut Object<'_>) -> Result<(), Error> {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.as_text()).collect();
        if texts.len() == parts.len() && parts.len() <= 1 {
            o.str("content", &texts.concat());
            return Ok(());
        }
        let mut result = Ok(());
        o.array("content", |a| {
            for part in parts {
                if result.is_ok() {
                    a.object(|o| result = content_part(index, part, o));
                }
            }
        });
        result
    }
}

fn content_part(index: usize, part: &Part, o: &mut Object<'_>) -> Result<(), Error> {
    match &part.content {
        Content::Text(text) => {
            o.str("type", "text");
            o.str("text", &text.text);
        }
        Content::Image(image) => return image_part(index, image, o),
        Content::Document(document) => return document_part(index, document, o),
        Content::Audio { data, format } => {
            o.str("type", "input_audio");
            o.object("input_audio", |o| {
                o.str("data", data);
                o.str("format", format);
            });
        }
        _ => {
            return Err(Error::unsupported(
                format!("messages[{index}].content"),
                "this part cannot stand here",
            ));
        }
    }
    Ok(())
}

fn image_part(index: usize, image: &Image, o: &mut Object<'_>) -> Result<(), Error> {
    let url = match &image.source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        MediaSource::File(_) | MediaSource::Text(_) => {
            let param = format!("messages[{index}].content");
            return Err(Error::unsupported(param, "files that another provider keeps cannot be sent"));
        }
    };
    o.str("type", "image_url");
    o.object("image_url", |o| {
        o.str("url", &url);
        o.opt_str("detail", image.detail.as_deref());
    });
    Ok(())
}

fn document_part(index: usize, document: &Document, o: &mut Object<'_>) -> Result<(), Error> {
    match &document.source {
        MediaSource::Text(text) => {
            o.str("type", "text");
            o.str("text", text);
        }
        MediaSource::Base64 { media_type, data } => {
            o.str("type", "file");
            o.object("file", |o| {
                o.str("filename", document.title.as_deref().unwrap_or("document.pdf"));
                o.str("file_data", &format!("data:{media_type};base64,{data}"));
            });
        }
        MediaSource::File(id) => {
            o.str("type", "file");
            o.object("file", |o| o.str("file_id", id));
        }
        MediaSource::Url(_) => {
            let param = format!("messages[{index}].content");
            return Err(Error::unsupported(param, "this provider does not fetch documents; send the data"));
        }
    }
    Ok(())
}
