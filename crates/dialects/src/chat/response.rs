//! Whole chat completions: parses an upstream's and renders a client's.

use std::borrow::Cow;

use crate::{
    Error, Event, Json, Reply, Response,
    chat::{
        decode::Decoder,
        encode::{carried, encrypted, finish_reason, signed, url_citation},
    },
    collect::Collector,
    json::Raw,
    request::{Content, Part, Text, Thinking},
    response::{ChatMembers, Choice, ChoiceMembers, StopReason},
    sse::Frame,
    usage,
    write::{self, Object},
};

/// A completion is decoded like a stream with one chunk, with `message` in
/// place of `delta`.
pub(crate) fn parse(body: &[u8]) -> Result<Response, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).filter(|raw| raw.is_object()).ok_or_else(Error::malformed)?;
    let mut collector = Collector::default();
    let mut sink = |event: Event<'_>| collector.event(&event);
    let mut decoder = Decoder::default();
    decoder.frame(Frame { name: "", data: raw.text(), raw: body }, &mut sink);
    decoder.end(true, &mut sink);
    let mut response = collector.finish()?;
    response.created = raw.get_u64("created").unwrap_or_default();
    response.service_tier = raw.get_str("service_tier").map(Cow::into_owned);
    let Some(choices) = raw.get("choices") else { return Ok(response) };
    let mut choices: Vec<Raw<'_>> = choices.items().collect();
    choices.sort_by_key(|choice| choice.get_u64("index"));
    for (choice, raw) in response.choices.iter_mut().zip(&choices) {
        choice.logprobs = raw.get("logprobs").map(Json::from);
    }
    response.chat = ChatMembers {
        answer: others(raw, ANSWER),
        usage: raw.get("usage").map(Json::from),
        choices: choices.into_iter().map(choice_members).collect(),
    };
    Ok(response)
}

/// The members that are read, or that the gateway writes itself.
const ANSWER: &[&str] = &["id", "object", "created", "model", "choices", "usage", "service_tier", "error"];
const CHOICE: &[&str] = &["index", "message", "delta", "logprobs", "finish_reason"];
const MESSAGE: &[&str] = &[
    "role",
    "content",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "tool_calls",
    "function_call",
];

fn choice_members(raw: Raw<'_>) -> ChoiceMembers {
    let message = raw.get("message").map(|message| others(message, MESSAGE));
    ChoiceMembers { choice: others(raw, CHOICE), message: message.unwrap_or_default() }
}

fn others(raw: Raw<'_>, known: &[&str]) -> Vec<(String, Json)> {
    let others = raw.members().filter(|(name, value)| !known.contains(&name.as_ref()) && !value.is_null());
    others.map(|(name, value)| (name.into_owned(), Json::from(value))).collect()
}

fn write_others(others: &[(String, Json)], o: &mut Object<'_>) {
    others.iter().for_each(|(name, json)| o.raw(name, json.as_str()));
}

fn has(others: &[(String, Json)], name: &str) -> bool {
    others.iter().any(|(other, _)| other == name)
}

pub(crate) fn render(response: &Response, reply: &Reply) -> String {
    let (sent, none) = (&response.chat, ChoiceMembers::default());
    write::object(|o| {
        o.str("id", &format!("chatcmpl-{}", reply.id));
        o.str("object", "chat.completion");
        o.put("created", reply.created);
        o.str("model", &reply.model);
        o.array("choices", |a| {
            for (index, choice) in response.choices.iter().enumerate() {
                let sent = sent.choices.get(index).unwrap_or(&none);
                a.object(|o| {
                    o.put("index", index);
                    o.object("message", |o| message(choice, &sent.message, reply, o));
                    o.raw("logprobs", choice.logprobs.as_ref().map_or("null", Json::as_str));
                    o.str("finish_reason", finish_reason(&choice.stop, reply.has_legacy_functions));
                    write_others(&sent.choice, o);
                });
            }
        });
        let usage = response.usage.unwrap_or_default();
        let counts = sent.usage.as_ref().map(Json::raw);
        o.object("usage", |o| usage::write_openai_with(&usage, &usage::CHAT, counts, o));
        o.opt_str("service_tier", response.service_tier.as_deref());
        if !has(&sent.answer, "system_fingerprint") {
            o.null("system_fingerprint");
        }
        write_others(&sent.answer, o);
    })
}

fn message(choice: &Choice, sent: &[(String, Json)], reply: &Reply, o: &mut Object<'_>) {
    let texts: Vec<&str> = choice.parts.iter().filter_map(Part::as_text).collect();
    let calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let refusals: Vec<&str> = choice
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Refusal(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let explanation =
        choice.stop.explanation.as_deref().filter(|_| choice.stop.reason == StopReason::Refusal);
    o.str("role", "assistant");
    let says_more = calls || !refusals.is_empty() || explanation.is_some() || has(sent, "audio");
    if texts.is_empty() && says_more {
        o.null("content");
    } else {
        o.str("content", &texts.concat());
    }
    match (refusals.is_empty(), explanation) {
        (false, _) => o.str("refusal", &refusals.concat()),
        (true, explanation) => o.str_or_null("refusal", explanation),
    }
    if reply.show_reasoning {
        thoughts(choice, reply, o);
    }
    if !has(sent, "annotations") {
        annotations(choice, o);
    }
    if calls {
        tool_calls(choice, reply, o);
    }
    write_others(sent, o);
}

fn thoughts(choice: &Choice, reply: &Reply, o: &mut Object<'_>) {
    let all: Vec<&Thinking> = choice
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Thinking(thinking) => Some(thinking),
            _ => None,
        })
        .collect();
    let text: String = all
        .iter()
        .filter_map(|thinking| match thinking {
            Thinking::Plain(text) | Thinking::Signed { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if !text.is_empty() {
        o.str("reasoning_content", &text);
    }
    let seal = reply.seal.as_deref();
    let is_shown = |thinking: &&&Thinking| match thinking {
        Thinking::Plain(_) => false,
        Thinking::Encrypted { .. } => seal.is_some(),
        _ => true,
    };
    let shown: Vec<&&Thinking> = all.iter().filter(is_shown).collect();
    if shown.is_empty() {
        return;
    }
    o.array("reasoning_details", |a| {
        for (index, thinking) in (0_u32..).zip(shown) {
            a.object(|o| match thinking {
                Thinking::Signed { text, signature } => signed(index, text, signature, o),
                other => encrypted(index, &carried(other, seal).unwrap_or_default(), o),
            });
        }
    });
}

fn annotations(choice: &Choice, o: &mut Object<'_>) {
    o.array("annotations", |a| {
        let mut from = 0_usize;
        for part in &choice.parts {
            let Content::Text(Text { text, annotations, .. }) = &part.content else { continue };
            let end = from.saturating_add(text.chars().count());
            for annotation in annotations.iter().flat_map(|list| list.raw().items()) {
                a.object(|o| url_citation(&annotation.into(), from, end, o));
            }
            from = end;
        }
    });
}

fn tool_calls(choice: &Choice, reply: &Reply, o: &mut Object<'_>) {
    let mut calls = choice.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    });
    if reply.has_legacy_functions {
        if let Some(call) = calls.next() {
            o.object("function_call", |o| {
                o.str("name", &call.name);
                o.str("arguments", &call.arguments);
            });
        }
        return;
    }
    o.array("tool_calls", |a| {
        for call in calls {
            let (kind, text) = if call.is_custom { ("custom", "input") } else { ("function", "arguments") };
            a.object(|o| {
                o.str("id", &call.id);
                o.str("type", kind);
                o.object(kind, |o| {
                    o.str("name", &call.name);
                    o.str(text, &call.arguments);
                });
            });
        }
    });
}
