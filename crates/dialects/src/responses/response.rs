//! Whole responses: parses an upstream's and renders a client's.

use std::{borrow::Cow, rc::Rc};

use crate::{
    Dialect, Error, Json, Reply, Response,
    collect::replay,
    funnel::Funnel,
    json::Raw,
    request::{Content, Part, Text, Thinking, ToolCall},
    response::Choice,
    responses::{
        decode::{is_vendors, stop},
        encode::Encoder,
        native::adopted,
    },
    usage,
};

pub(crate) fn parse(body: &[u8]) -> Result<Response, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).filter(|raw| raw.is_object()).ok_or_else(Error::malformed)?;
    let status = raw.get_str("status");
    if raw.get("error").is_some() || status.as_deref() == Some("failed") {
        return Err(Error::of_event(raw));
    }
    if matches!(status.as_deref(), Some("cancelled" | "queued" | "in_progress")) {
        return Err(Error::cut());
    }
    let Some(output) = raw.get("output") else { return Err(Error::malformed()) };
    let parts: Vec<Part> = output.items().flat_map(item).map(Part::from).collect();
    let has_called = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let text = |name: &str| raw.get_str(name).map(Cow::into_owned);
    Ok(Response {
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: raw.get_u64("created_at").unwrap_or_default(),
        choices: vec![Choice { parts, stop: stop(raw, has_called), logprobs: None }],
        usage: raw.get("usage").and_then(usage::of_openai),
        service_tier: text("service_tier"),
        native: Some(Rc::new(raw.into())),
        ..Response::default()
    })
}

fn item(raw: Raw<'_>) -> Vec<Content> {
    let text = |name: &str| raw.get_str(name).map(Cow::into_owned).unwrap_or_default();
    let kind = text("type");
    match kind.as_str() {
        "message" => {
            let phase = raw.get_str("phase");
            let parts = raw.get("content").into_iter().flat_map(Raw::items);
            parts.filter_map(|part| content(part, phase.as_deref())).collect()
        }
        "function_call" | "custom_tool_call" => {
            let is_custom = kind == "custom_tool_call";
            vec![Content::ToolCall(ToolCall {
                id: text("call_id"),
                name: text("name"),
                namespace: raw.get_str("namespace").map(Cow::into_owned),
                arguments: text(if is_custom { "input" } else { "arguments" }),
                is_custom,
            })]
        }
        "reasoning" => {
            let summary: Vec<String> = raw
                .get("summary")
                .into_iter()
                .flat_map(Raw::items)
                .filter_map(|part| Some(part.get_str("text")?.into_owned()))
                .collect();
            let plain = summary.concat();
            let plain = (!plain.is_empty()).then_some(Content::Thinking(Thinking::Plain(plain)));
            let content = raw.get_str("encrypted_content").map(Cow::into_owned);
            let sealed = content
                .map(|content| Content::Thinking(Thinking::Encrypted { id: text("id"), summary, content }));
            plain.into_iter().chain(sealed).collect()
        }
        kind if is_vendors(kind) => {
            vec![Content::Foreign { dialect: Dialect::Responses, kind: kind.to_owned(), json: raw.into() }]
        }
        _ => Vec::new(),
    }
}

fn content(part: Raw<'_>, phase: Option<&str>) -> Option<Content> {
    match part.get_str("type")?.as_ref() {
        "output_text" => Some(Content::Text(Text {
            text: part.get_str("text")?.into_owned(),
            annotations: part.get("annotations").filter(|list| list.items().next().is_some()).map(Json::from),
            phase: phase.map(str::to_owned),
            ..Text::default()
        })),
        "refusal" => Some(Content::Refusal(part.get_str("refusal")?.into_owned())),
        _ => None,
    }
}

/// The upstream's own response, if the client can have it: with all of its items.
pub(crate) fn native(response: &Response, reply: &Reply) -> Option<String> {
    let raw = response.native.as_ref()?.raw();
    // Some servers leave the items out at the end of a stream.
    let has_items = raw.get("output")?.items().next().is_some();
    (has_items && !reply.is_changed()).then(|| adopted(raw, reply))
}

/// Renders the same items that a stream would have had.
pub(crate) fn render(response: &Response, reply: &Reply) -> String {
    let (mut encoder, mut funnel, mut events) =
        (Encoder::new(reply), Funnel::new(crate::Names::default(), true, &reply.id), String::new());
    replay(response, &mut |event| {
        funnel.event(event, &mut |event| {
            events.clear();
            encoder.event(event, &mut events);
        });
    });
    encoder.response()
}
