//! Whole messages: parses an upstream's and renders a client's.

use std::borrow::Cow;

use crate::{
    Error, Json, Reply, Response, Usage,
    chat::encode::carried,
    json::Raw,
    messages::{
        decode::stop,
        encode::{head, write_stop},
    },
    reply::pack,
    request::{Content, Part, Text, Thinking, ToolCall},
    response::{Choice, StopReason},
    usage,
    write::{self, Array},
};

pub(crate) fn parse(body: &[u8]) -> Result<Response, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).filter(|raw| raw.is_object()).ok_or_else(Error::malformed)?;
    if raw.get_str("type").is_some_and(|kind| kind == "error") {
        return Err(Error::of_event(raw));
    }
    let (Some(content), Some(reason)) = (raw.get("content"), raw.get_str("stop_reason")) else {
        return Err(Error::malformed());
    };
    let mut usage = raw.get("usage").map(|_| Usage::default());
    if let (Some(usage), Some(counts)) = (&mut usage, raw.get("usage")) {
        usage::update_from_anthropic(usage, counts);
    }
    let text = |name: &str| raw.get_str(name).map(Cow::into_owned).unwrap_or_default();
    let choice = Choice {
        parts: content.items().filter_map(block).map(Part::from).collect(),
        stop: stop(&reason, raw),
        logprobs: None,
    };
    Ok(Response { id: text("id"), model: text("model"), choices: vec![choice], usage, ..Response::default() })
}

/// A block that the other dialects can represent.
fn block(raw: Raw<'_>) -> Option<Content> {
    let text = |name: &str| raw.get_str(name).map(Cow::into_owned).unwrap_or_default();
    Some(match raw.get_str("type")?.as_ref() {
        "text" => Content::Text(Text { text: text("text"), annotations: citations(raw), ..Text::default() }),
        "thinking" if text("signature").is_empty() => Content::Thinking(Thinking::Plain(text("thinking"))),
        "thinking" => {
            Content::Thinking(Thinking::Signed { text: text("thinking"), signature: text("signature") })
        }
        "redacted_thinking" => Content::Thinking(Thinking::Redacted { data: text("data") }),
        "tool_use" => Content::ToolCall(ToolCall {
            id: text("id"),
            name: text("name"),
            namespace: None,
            arguments: raw.get("input").map_or("{}", Raw::text).to_owned(),
            is_custom: false,
        }),
        _ => return None,
    })
}

fn citations(raw: Raw<'_>) -> Option<Json> {
    let mut pages = raw.get("citations")?.items().filter(|citation| citation.get("url").is_some()).peekable();
    pages.peek()?;
    let mut out = String::new();
    write::array_into(&mut out, |a| {
        for page in pages {
            a.object(|o| {
                o.str("url", &page.get_str("url").unwrap_or_default());
                o.str("title", &page.get_str("title").unwrap_or_default());
            });
        }
    });
    Json::parse(&out)
}

pub(crate) fn render(response: &Response, reply: &Reply) -> String {
    let choice = response.choices.first();
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let mut stop = choice.map(|choice| choice.stop.clone()).unwrap_or_default();
    let has_refused = parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    if has_refused && stop.reason == StopReason::End {
        stop.reason = StopReason::Refusal;
    }
    write::object(|o| {
        head(&format!("msg_{}", reply.id), &reply.model, o);
        o.array("content", |a| parts.iter().for_each(|part| write_block(part, reply, a)));
        write_stop(&stop, o);
        o.null("container");
        o.object("usage", |o| usage::write_anthropic(&response.usage.unwrap_or_default(), o));
    })
}

fn write_block(part: &Part, reply: &Reply, a: &mut Array<'_>) {
    match &part.content {
        // The API refuses empty blocks when they are sent back.
        Content::Text(Text { text, .. }) | Content::Refusal(text) if text.is_empty() => {}
        // Anthropic leaves out citations that there are not, and the AI SDK refuses a null.
        Content::Text(Text { text, .. }) | Content::Refusal(text) => a.object(|o| {
            o.str("type", "text");
            o.str("text", text);
        }),
        Content::Thinking(Thinking::Signed { text, signature }) => thinking(text, signature, a),
        Content::Thinking(Thinking::Plain(text)) => {
            // The API refuses a thought without a signature when it is sent
            // back.
            if let Some(seal) = &reply.seal {
                thinking(text, &seal.seal(&pack(&Thinking::Plain(String::new()))), a);
            }
        }
        Content::Thinking(sealed) => {
            if let Some(data) = carried(sealed, reply.seal.as_deref()) {
                a.object(|o| {
                    o.str("type", "redacted_thinking");
                    o.str("data", &data);
                });
            }
        }
        Content::ToolCall(call) => a.object(|o| {
            o.str("type", "tool_use");
            o.str("id", &call.id);
            o.str("name", &call.name);
            match Raw::parse(&call.arguments).filter(|raw| raw.is_object()) {
                Some(input) => o.raw("input", input.text()),
                // The input must be an object, so other text is wrapped in one.
                None => o.object("input", |o| {
                    if !call.arguments.trim().is_empty() {
                        o.str("arguments", &call.arguments);
                    }
                }),
            }
        }),
        _ => {}
    }
}

fn thinking(text: &str, signature: &str, a: &mut Array<'_>) {
    a.object(|o| {
        o.str("type", "thinking");
        o.str("thinking", text);
        o.str("signature", signature);
    });
}
