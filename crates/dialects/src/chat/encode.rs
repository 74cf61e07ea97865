//! Encodes a stream as the chunks of a chat completion, for a client.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    Error, Event, Json, Reply, Usage,
    reply::{Seal, pack},
    request::Thinking,
    response::{CallStart, PartKind, Stop, StopReason},
    usage,
    write::{self, Object},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    /// The beginning that all chunks share.
    head: String,
    include_usage: bool,
    show_reasoning: bool,
    is_legacy: bool,
    seal: Option<Rc<dyn Seal>>,
    request_id: String,
    choices: BTreeMap<u32, Choice>,
    parts: BTreeMap<u32, Part>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Choice {
    calls: u32,
    thoughts: u32,
    /// Characters of text so far; annotations need the position.
    text_chars: usize,
}

#[derive(Debug)]
struct Part {
    choice: u32,
    lane: Lane,
}

#[derive(Debug)]
enum Lane {
    Text {
        from: usize,
    },
    Refusal,
    Thinking {
        text: String,
        signature: String,
    },
    Call {
        index: u32,
        is_custom: bool,
    },
    /// The client gets nothing of this part.
    Silent,
}

impl Encoder {
    pub(crate) fn new(reply: &Reply) -> Self {
        let mut head = String::from("data: {\"id\":");
        write::string(&mut head, &format!("chatcmpl-{}", reply.id));
        head.push_str(",\"object\":\"chat.completion.chunk\",\"created\":");
        write::display(&mut head, reply.created);
        head.push_str(",\"model\":");
        write::string(&mut head, &reply.model);
        head.push_str(",\"choices\":[");
        Self {
            head,
            include_usage: reply.include_usage,
            show_reasoning: reply.show_reasoning,
            is_legacy: reply.has_legacy_functions,
            seal: reply.seal.clone(),
            request_id: reply.request_id.clone(),
            choices: reply.continues.map(begun).into_iter().collect(),
            parts: BTreeMap::new(),
            usage: None,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        match event {
            Event::Start { .. } => {
                self.choice(0, out);
            }
            Event::PartStart { part, choice, kind } => self.start(part, choice, kind, out),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::Signature { part, signature } => {
                if let Some(Part { lane: Lane::Thinking { signature: known, .. }, .. }) =
                    self.parts.get_mut(&part)
                {
                    *known = signature.into_owned();
                }
            }
            Event::Annotation { part, json } => self.annotation(part, &json, out),
            Event::PartStop { part } => self.stop(part, out),
            Event::Working | Event::Progress { .. } => {}
            Event::Finish { choice, stop } => self.finish(choice, &stop, out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.end(out),
            Event::Error(error) => self.error(&error, out),
        }
    }

    /// The choice with this index. Its first chunk carries the role.
    fn choice(&mut self, index: u32, out: &mut String) -> &mut Choice {
        if !self.choices.contains_key(&index) {
            self.chunk(index, None, out, |o| {
                o.str("role", "assistant");
                o.str("content", "");
                o.null("refusal");
            });
        }
        self.choices.entry(index).or_default()
    }

    fn chunk(&self, index: u32, finish: Option<&str>, out: &mut String, delta: impl FnOnce(&mut Object<'_>)) {
        out.push_str(&self.head);
        write::object_into(out, |o| {
            o.put("index", index);
            o.object("delta", delta);
            o.null("logprobs");
            o.str_or_null("finish_reason", finish);
        });
        out.push_str(if self.include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" });
    }

    fn start(&mut self, part: u32, choice: u32, kind: PartKind<'_>, out: &mut String) {
        let state = self.choice(choice, out);
        let lane = match kind {
            PartKind::Text { .. } => Lane::Text { from: state.text_chars },
            PartKind::Refusal => Lane::Refusal,
            PartKind::Thinking => Lane::Thinking { text: String::new(), signature: String::new() },
            PartKind::Sealed(thinking) => {
                self.sealed(choice, &thinking, out);
                Lane::Silent
            }
            PartKind::Item(_) => Lane::Silent,
            PartKind::ToolCall(call) => {
                let index = state.calls;
                state.calls = index.saturating_add(1);
                self.call(choice, index, &call, out);
                Lane::Call { index, is_custom: call.is_custom }
            }
        };
        self.parts.insert(part, Part { choice, lane });
    }

    fn call(&self, choice: u32, index: u32, call: &CallStart<'_>, out: &mut String) {
        self.chunk(choice, None, out, |o| {
            if self.is_legacy {
                return o.object("function_call", |o| {
                    o.str("name", &call.name);
                    o.str("arguments", "");
                });
            }
            o.array("tool_calls", |a| {
                a.object(|o| {
                    let (kind, text) =
                        if call.is_custom { ("custom", "input") } else { ("function", "arguments") };
                    o.put("index", index);
                    o.str("id", &call.id);
                    o.str("type", kind);
                    o.object(kind, |o| {
                        o.str("name", &call.name);
                        o.str(text, "");
                    });
                });
            });
        });
    }

    /// Counts a piece of text that was written without this encoder.
    pub(crate) fn count(&mut self, event: &Event<'_>) {
        if let Event::Delta { part, text } = event
            && let Some(Part { choice, lane: Lane::Text { .. } }) = self.parts.get(part)
        {
            count_chars(&mut self.choices, *choice, text);
        }
    }

    fn delta(&mut self, part: u32, text: &str, out: &mut String) {
        let Some(Part { choice, lane }) = self.parts.get_mut(&part) else { return };
        let choice = *choice;
        match lane {
            Lane::Text { .. } => {
                count_chars(&mut self.choices, choice, text);
                self.chunk(choice, None, out, |o| o.str("content", text));
            }
            Lane::Refusal => self.chunk(choice, None, out, |o| o.str("refusal", text)),
            Lane::Thinking { text: known, .. } => {
                if self.show_reasoning {
                    known.push_str(text);
                    self.chunk(choice, None, out, |o| o.str("reasoning_content", text));
                }
            }
            Lane::Call { index, is_custom } => {
                let (index, is_custom) = (*index, *is_custom);
                self.arguments(choice, index, is_custom, text, out);
            }
            Lane::Silent => {}
        }
    }

    fn arguments(&self, choice: u32, index: u32, is_custom: bool, text: &str, out: &mut String) {
        self.chunk(choice, None, out, |o| {
            if self.is_legacy {
                return o.object("function_call", |o| o.str("arguments", text));
            }
            let (kind, name) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
            o.array("tool_calls", |a| {
                a.object(|o| {
                    o.put("index", index);
                    o.object(kind, |o| o.str(name, text));
                });
            });
        });
    }

    /// Repeats signed thoughts as `reasoning_details`, so that the client can
    /// send them back.
    fn stop(&mut self, part: u32, out: &mut String) {
        let Some(Part { choice, lane }) = self.parts.remove(&part) else { return };
        let Lane::Thinking { text, signature } = lane else { return };
        if signature.is_empty() || !self.show_reasoning {
            return;
        }
        let index = self.next_thought(choice);
        self.chunk(choice, None, out, |o| {
            o.array("reasoning_details", |a| {
                a.object(|o| signed(index, &text, &signature, o));
            });
        });
    }

    fn next_thought(&mut self, choice: u32) -> u32 {
        let state = self.choices.entry(choice).or_default();
        let index = state.thoughts;
        state.thoughts = index.saturating_add(1);
        index
    }

    fn sealed(&mut self, choice: u32, thinking: &Thinking, out: &mut String) {
        if !self.show_reasoning {
            return;
        }
        let Some(data) = carried(thinking, self.seal.as_deref()) else { return };
        let index = self.next_thought(choice);
        self.chunk(choice, None, out, |o| {
            o.array("reasoning_details", |a| a.object(|o| encrypted(index, &data, o)));
        });
    }

    fn annotation(&mut self, part: u32, json: &Json, out: &mut String) {
        let Some(Part { choice, lane: Lane::Text { from } }) = self.parts.get(&part) else { return };
        let (choice, from) = (*choice, *from);
        let end = self.choices.get(&choice).map_or(from, |state| state.text_chars);
        self.chunk(choice, None, out, |o| {
            o.array("annotations", |a| a.object(|o| url_citation(json, from, end, o)));
        });
    }

    fn finish(&mut self, choice: u32, stop: &Stop, out: &mut String) {
        self.choice(choice, out);
        let reason = finish_reason(stop, self.is_legacy);
        let explanation = stop.explanation.as_deref().filter(|_| stop.reason == StopReason::Refusal);
        self.chunk(choice, Some(reason), out, |o| o.opt_str("refusal", explanation));
    }

    fn end(&mut self, out: &mut String) {
        if self.include_usage {
            out.push_str(&self.head);
            out.push_str("],\"usage\":");
            write::object_into(out, |o| {
                usage::write_openai(&self.usage.unwrap_or_default(), &usage::CHAT, o)
            });
            out.push_str("}\n\n");
        }
        out.push_str("data: [DONE]\n\n");
    }

    /// `[DONE]` is left out: a broken stream must not look complete.
    fn error(&self, error: &Error, out: &mut String) {
        out.push_str("data: ");
        error.write(crate::Dialect::Chat, &self.request_id, out);
        out.push_str("\n\n");
    }
}

/// The choice of a stream that has begun with so many characters of text.
fn begun(text_chars: usize) -> (u32, Choice) {
    (0, Choice { text_chars, ..Choice::default() })
}

fn count_chars(choices: &mut BTreeMap<u32, Choice>, choice: u32, text: &str) {
    if let Some(choice) = choices.get_mut(&choice) {
        choice.text_chars = choice.text_chars.saturating_add(text.chars().count());
    }
}

pub(crate) fn finish_reason(stop: &Stop, is_legacy: bool) -> &'static str {
    match stop.reason {
        StopReason::End | StopReason::StopSequence | StopReason::Pause => "stop",
        StopReason::Length | StopReason::Context => "length",
        StopReason::ToolCalls if is_legacy => "function_call",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Refusal => "content_filter",
    }
}

/// The data that carries encrypted thoughts to a client: the provider's own, or
/// sealed by the gateway.
pub(crate) fn carried(thinking: &Thinking, seal: Option<&dyn Seal>) -> Option<String> {
    match (thinking, seal) {
        (Thinking::Redacted { data }, _) => Some(data.clone()),
        (thinking, Some(seal)) => Some(seal.seal(&pack(thinking))),
        _ => None,
    }
}

pub(crate) fn signed(index: u32, text: &str, signature: &str, o: &mut Object<'_>) {
    o.str("type", "reasoning.text");
    o.put("index", index);
    o.str("text", text);
    o.str("signature", signature);
}

pub(crate) fn encrypted(index: u32, data: &str, o: &mut Object<'_>) {
    o.str("type", "reasoning.encrypted");
    o.put("index", index);
    o.str("data", data);
}

/// An annotation in the form of Chat Completions, of a part that goes `from` a character of the message
/// to its `end`. OpenAI's own annotations have positions in their part.
pub(crate) fn url_citation(json: &Json, from: usize, end: usize, o: &mut Object<'_>) {
    let raw = json.raw();
    let text = |name: &str| raw.get_str(name).unwrap_or_default();
    o.str("type", "url_citation");
    o.object("url_citation", |o| {
        let place = |name: &str| raw.get_u64(name).map(|index| index.saturating_add(from as u64));
        o.put("start_index", place("start_index").unwrap_or(from as u64));
        o.put("end_index", place("end_index").unwrap_or(end as u64));
        o.str("url", &text("url"));
        o.str("title", &text("title"));
    });
}
