//! Renders a request for an upstream that speaks Responses.

use crate::{
    Dialect, Error, Json, Rendered, Target,
    chat::render::{custom_description, is_strict, service_tier, short},
    outbound::{CUSTOM_SCHEMA, OutboundRequest},
    request::{
        Content, Document, Format, Image, MediaSource, Message, Part, Request, Role, Thinking, Tool,
        ToolChoice, ToolKind,
    },
    responses::native::{ENCRYPTED, encrypted},
    target::OPENAI_NAME,
    write::{self, Array, Object},
};

pub(crate) fn render(request: &Request, target: &Target) -> Result<Rendered, Error> {
    let mut out = OutboundRequest::new(request, target, Dialect::Responses, OPENAI_NAME);
    out.refuse_many()?;
    out.refuse_audio_answers()?;
    if !request.stop.is_empty() {
        let param = if request.dialect == Some(Dialect::Messages) { "stop_sequences" } else { "stop" };
        out.keep_stops(param)?;
    }
    let mut input = String::new();
    let mut result = Ok(());
    write::array_into(&mut input, |a| {
        result = request
            .messages
            .iter()
            .enumerate()
            .try_for_each(|(index, message)| items(&mut out, index, message, a));
    });
    result?;
    let mut body = String::with_capacity(input.len().saturating_add(1_024));
    let mut result = Ok(());
    write::object_into(&mut body, |o| result = members(&mut out, &input, o));
    result?;
    Ok(out.rendered(body))
}

fn members(out: &mut OutboundRequest<'_>, input: &str, o: &mut Object<'_>) -> Result<(), Error> {
    let request = out.request;
    o.str("model", &out.target.model);
    o.raw("input", input);
    tools(out, o)?;
    o.opt("max_output_tokens", out.max_tokens());
    o.opt("temperature", out.sampling("temperature", request.temperature)?);
    o.opt("top_p", out.sampling("top_p", request.top_p)?);
    out.left_out("top_k", request.top_k.is_some());
    o.opt("top_logprobs", request.top_logprobs.filter(|_| out.is_same_dialect()));
    text(out, o)?;
    if let Some(effort) = out.effort() {
        o.object("reasoning", |o| {
            o.str("effort", effort.name());
            let summary = request.reasoning.as_ref().and_then(|reasoning| reasoning.summary.as_deref());
            match summary {
                Some(summary @ ("auto" | "concise" | "detailed")) => o.str("summary", summary),
                Some("summarized") => o.str("summary", "auto"),
                _ => {}
            }
        });
    }
    o.opt_json("metadata", request.metadata.as_ref());
    o.opt_str("safety_identifier", request.user.as_deref().map(short).as_deref());
    o.opt_str("prompt_cache_key", request.prompt_cache_key.as_deref());
    o.opt_str("service_tier", service_tier(request));
    // The gateway stores responses itself.
    o.put("store", false);
    include(out, o);
    if request.stream || out.target.stream {
        o.put("stream", true);
    }
    out.leave_openai_sampling_out();
    out.extra(o)
}

/// What the client wants besides the usual, and the encrypted thoughts of a model that thinks, which it needs in the next
/// turn.
fn include(out: &OutboundRequest<'_>, o: &mut Object<'_>) {
    let of_client = out.request.include.iter().filter(|_| out.is_same_dialect()).map(String::as_str);
    let thoughts = out.target.can.reasoning.then_some(ENCRYPTED);
    let names: Vec<&str> = of_client.filter(|name| *name != ENCRYPTED).chain(thoughts).collect();
    if !names.is_empty() {
        o.array("include", |a| names.iter().for_each(|name| a.str(name)));
    }
}

fn text(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<(), Error> {
    let request = out.request;
    let is_schema = matches!(request.format, Some(Format::JsonSchema { .. }));
    if is_schema && !out.target.can.structured_output {
        out.refuse("response_format", "this model does not answer by a schema")?;
        return Ok(());
    }
    if request.format.is_none() && request.verbosity.is_none() {
        return Ok(());
    }
    o.object("text", |o| {
        o.opt_str("verbosity", request.verbosity.as_deref());
        match &request.format {
            None => {}
            Some(Format::Text) => o.object("format", |o| o.str("type", "text")),
            Some(Format::JsonObject) => o.object("format", |o| o.str("type", "json_object")),
            Some(Format::JsonSchema { name, description, schema, strict }) => o.object("format", |o| {
                o.str("type", "json_schema");
                o.str("name", name.as_deref().unwrap_or("answer"));
                o.opt_str("description", description.as_deref());
                o.raw("schema", schema.as_str());
                // Unlike in Chat Completions, absent means strict here.
                o.put("strict", is_strict(request, *strict, schema.as_str()).unwrap_or(false));
            }),
        }
    });
    Ok(())
}

fn tools(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<(), Error> {
    let tools = out.tools();
    let choice = out.tool_choice()?;
    if tools.is_empty() {
        return Ok(());
    }
    let takes_custom = out.takes_custom();
    o.array("tools", |a| {
        for (name, known) in &tools {
            match &known.kind {
                ToolKind::Hosted { json, .. } => a.raw(json.as_str()),
                _ => a.object(|o| tool(out, name, known, o)),
            }
        }
    });
    let kind_of =
        |name: &str| match tools.iter().find(|(_, tool)| tool.name == name).map(|(_, tool)| &tool.kind) {
            Some(ToolKind::Custom { .. }) if takes_custom => "custom",
            _ => "function",
        };
    match choice {
        None => {}
        Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
        Some(ToolChoice::None) => o.str("tool_choice", "none"),
        Some(ToolChoice::Required) => o.str("tool_choice", "required"),
        Some(ToolChoice::Tool(name)) => o.object("tool_choice", |o| {
            let is_hosted = tools
                .iter()
                .any(|(_, tool)| matches!(&tool.kind, ToolKind::Hosted { kind, .. } if *kind == name));
            if is_hosted {
                return o.str("type", &name);
            }
            o.str("type", kind_of(&name));
            o.str("name", &out.sent_name_of(&name));
        }),
        Some(ToolChoice::Allowed { names, is_required }) => o.object("tool_choice", |o| {
            o.str("type", "allowed_tools");
            o.str("mode", if is_required { "required" } else { "auto" });
            o.array("tools", |a| {
                for name in &names {
                    a.object(|o| {
                        o.str("type", kind_of(name));
                        o.str("name", &out.sent_name_of(name));
                    });
                }
            });
        }),
    }
    o.opt("parallel_tool_calls", out.request.parallel_tool_calls);
    Ok(())
}

fn tool(out: &OutboundRequest<'_>, name: &str, tool: &Tool, o: &mut Object<'_>) {
    match &tool.kind {
        ToolKind::Function { parameters } => {
            o.str("type", "function");
            o.str("name", name);
            o.opt_str("description", tool.description.as_deref());
            o.raw("parameters", parameters.as_ref().map_or("null", Json::as_str));
            // Unlike in the other dialects, absent means strict here.
            o.put("strict", tool.strict.unwrap_or(false));
            out.extra_of(tool, o);
        }
        ToolKind::Custom { format } if out.takes_custom() => {
            o.str("type", "custom");
            o.str("name", name);
            o.opt_str("description", tool.description.as_deref());
            o.opt_json("format", format.as_ref());
        }
        ToolKind::Custom { format } => {
            o.str("type", "function");
            o.str("name", name);
            o.opt_str("description", custom_description(tool, format.as_ref().map(Json::as_str)).as_deref());
            o.raw("parameters", CUSTOM_SCHEMA);
            o.put("strict", true);
        }
        ToolKind::Hosted { kind, .. } => o.str("type", kind),
    }
}

/// The items of one message, in order. Consecutive content parts form one item, if their texts are of one phase.
fn items(
    out: &mut OutboundRequest<'_>,
    index: usize,
    message: &Message,
    a: &mut Array<'_>,
) -> Result<(), Error> {
    let mut content: Vec<&Part> = Vec::new();
    for part in &message.parts {
        match &part.content {
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Document(_)
            | Content::Audio { .. } => {
                if is_of_another_phase(part, &content) {
                    message_item(out, index, message, &mut content, a)?;
                }
                content.push(part);
            }
            _ => {
                message_item(out, index, message, &mut content, a)?;
                other_item(out, index, part, a)?;
            }
        }
    }
    message_item(out, index, message, &mut content, a)
}

/// Whether this is a text, and the texts before it in the item are for something else.
fn is_of_another_phase(part: &Part, item: &[&Part]) -> bool {
    let first = item.iter().find(|part| part.as_text().is_some());
    part.as_text().is_some() && first.is_some_and(|first| phase(first) != phase(part))
}

/// What a text is for, as the Responses API says it.
fn phase(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text(text) => text.phase.as_deref(),
        _ => None,
    }
}

fn message_item(
    out: &mut OutboundRequest<'_>,
    index: usize,
    message: &Message,
    parts: &mut Vec<&Part>,
    a: &mut Array<'_>,
) -> Result<(), Error> {
    let parts = std::mem::take(parts);
    // An assistant that only calls tools has no message item.
    let is_silent = message.role == Role::Assistant && parts.iter().all(|part| part.as_text() == Some(""));
    if parts.is_empty() || (is_silent && message.parts.len() > parts.len()) {
        return Ok(());
    }
    let role = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    };
    let mut result = Ok(());
    a.object(|o| {
        o.str("type", "message");
        o.str("role", role);
        o.opt_str("phase", parts.iter().find_map(|part| phase(part)));
        o.array("content", |a| {
            result = parts.iter().try_for_each(|part| message_part(out, index, message.role, part, a))
        });
    });
    result
}

fn message_part(
    out: &mut OutboundRequest<'_>,
    index: usize,
    role: Role,
    part: &Part,
    a: &mut Array<'_>,
) -> Result<(), Error> {
    let param = || format!("messages[{index}].content");
    match &part.content {
        Content::Text(text) => a.object(|o| {
            o.str("type", if role == Role::Assistant { "output_text" } else { "input_text" });
            o.str("text", &text.text);
            if role == Role::Assistant {
                o.raw("annotations", text.annotations.as_ref().map_or("[]", Json::as_str));
            }
        }),
        Content::Refusal(text) => a.object(|o| {
            o.str("type", "refusal");
            o.str("refusal", text);
        }),
        Content::Image(image) => {
            if !out.target.can.images {
                return out.refuse(&param(), "this model does not read images");
            }
            image_part(out, image, &param(), a)?;
        }
        Content::Document(document) => {
            if !out.target.can.documents && !matches!(document.source, MediaSource::Text(_)) {
                return out.refuse(&param(), "this model does not read documents");
            }
            document_part(out, document, &param(), a)?;
        }
        Content::Audio { data, format } => a.object(|o| {
            o.str("type", "input_audio");
            o.object("input_audio", |o| {
                o.str("data", data);
                o.str("format", format);
            });
        }),
        _ => {}
    }
    Ok(())
}

fn refuse_file(out: &OutboundRequest<'_>, param: &str) -> Result<(), Error> {
    // OpenAI's file ids are valid in both of its APIs.
    if out.request.dialect == Some(Dialect::Messages) {
        return Err(Error::unsupported(
            param,
            "files that another provider keeps cannot be sent; send the data",
        ));
    }
    Ok(())
}

fn image_part(out: &OutboundRequest<'_>, image: &Image, param: &str, a: &mut Array<'_>) -> Result<(), Error> {
    if matches!(image.source, MediaSource::File(_)) {
        refuse_file(out, param)?;
    }
    a.object(|o| {
        o.str("type", "input_image");
        match &image.source {
            MediaSource::Url(url) | MediaSource::Text(url) => o.str("image_url", url),
            MediaSource::Base64 { media_type, data } => {
                o.str("image_url", &format!("data:{media_type};base64,{data}"))
            }
            MediaSource::File(id) => o.str("file_id", id),
        }
        o.str("detail", image.detail.as_deref().unwrap_or("auto"));
    });
    Ok(())
}

fn document_part(
    out: &OutboundRequest<'_>,
    document: &Document,
    param: &str,
    a: &mut Array<'_>,
) -> Result<(), Error> {
    if matches!(document.source, MediaSource::File(_)) {
        refuse_file(out, param)?;
    }
    a.object(|o| match &document.source {
        MediaSource::Text(text) => {
            o.str("type", "input_text");
            o.str("text", text);
        }
        MediaSource::Url(url) => {
            o.str("type", "input_file");
            o.str("file_url", url);
        }
        MediaSource::File(id) => {
            o.str("type", "input_file");
            o.str("file_id", id);
        }
        MediaSource::Base64 { media_type, data } => {
            o.str("type", "input_file");
            o.str("filename", document.title.as_deref().unwrap_or("document.pdf"));
            o.str("file_data", &format!("data:{media_type};base64,{data}"));
        }
    });
    Ok(())
}

fn other_item(
    out: &mut OutboundRequest<'_>,
    index: usize,
    part: &Part,
    a: &mut Array<'_>,
) -> Result<(), Error> {
    match &part.content {
        Content::ToolCall(call) => {
            let is_custom = call.is_custom && out.takes_custom();
            a.object(|o| {
                o.str("type", if is_custom { "custom_tool_call" } else { "function_call" });
                o.str("call_id", &call.id);
                o.str("name", &out.call_name(call));
                o.str(if is_custom { "input" } else { "arguments" }, &out.call_arguments(call));
            });
        }
        Content::ToolResult(result) => {
            let is_custom = result.is_custom && out.takes_custom();
            let texts: Option<Vec<&str>> = result.parts.iter().map(Part::as_text).collect();
            let mut written = Ok(());
            a.object(|o| {
                o.str("type", if is_custom { "custom_tool_call_output" } else { "function_call_output" });
                o.str("call_id", &result.call_id);
                match texts {
                    Some(texts) if texts.concat().is_empty() && result.is_error => {
                        o.str("output", "tool error")
                    }
                    Some(texts) => o.str("output", &texts.join("\n")),
                    None => o.array("output", |a| {
                        written = result
                            .parts
                            .iter()
                            .try_for_each(|part| message_part(out, index, Role::Tool, part, a));
                    }),
                }
            });
            return written;
        }
        Content::Thinking(Thinking::Encrypted { id, summary, content }) if out.target.keeps_thoughts => {
            a.object(|o| encrypted(id, summary, content, o));
        }
        Content::Thinking(Thinking::Plain(_)) => {}
        Content::Thinking(_) => out.warn("messages: signed thoughts left out, they are another provider's"),
        Content::Foreign { dialect: Dialect::Responses, json, .. } => a.raw(json.as_str()),
        Content::Foreign { kind, .. } => {
            out.warn(format!("messages[{index}]: '{kind}' left out, this provider does not know it"));
        }
        _ => {}
    }
    Ok(())
}
