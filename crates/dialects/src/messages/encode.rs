//! Encodes a stream as the events of a message, for a client.

use std::rc::Rc;

use crate::{
    Dialect, Error, Event, Reply, Usage,
    chat::encode::carried,
    reply::{Seal, pack},
    request::Thinking,
    response::{PartKind, Stop, StopReason},
    usage,
    write::{self, Object},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    model: String,
    request_id: String,
    prompt_estimate: u64,
    seal: Option<Rc<dyn Seal>>,
    has_started: bool,
    /// The open block; blocks are written one after the other.
    open: Option<Open>,
    next_index: u32,
    stop: Option<Stop>,
    has_refused: bool,
    usage: Option<Usage>,
}

#[derive(Debug)]
struct Open {
    part: u32,
    index: u32,
    lane: Lane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Text,
    Thinking { is_signed: bool },
    Call,
    Sealed,
}

impl Encoder {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            id: format!("msg_{}", reply.id),
            model: reply.model.clone(),
            request_id: reply.request_id.clone(),
            prompt_estimate: reply.prompt_estimate,
            seal: reply.seal.clone(),
            has_started: false,
            open: None,
            next_index: 0,
            stop: None,
            has_refused: false,
            usage: None,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        match event {
            Event::Start { .. } | Event::Working | Event::Progress { .. } => {}
            Event::PartStart { part, kind, .. } => self.start_block(part, &kind, out),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::Signature { part, signature } => self.sign(part, &signature, out),
            // OpenAI's annotations lack what Anthropic's citations need; the
            // text itself contains the links.
            Event::Annotation { .. } => {}
            Event::PartStop { part } => self.stop_block(part, out),
            Event::Finish { stop, .. } => self.stop = Some(stop),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.end(out),
            Event::Error(error) => self.error(&error, out),
        }
    }

    fn start(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        // The input tokens are an estimate; the last event has the real count.
        let estimate = Usage { input: self.prompt_estimate, output: 1, ..Usage::default() };
        let usage = self.usage.unwrap_or(estimate);
        frame("message_start", out, |o| {
            o.object("message", |o| {
                head(&self.id, &self.model, o);
                o.raw("content", "[]");
                o.null("stop_reason");
                o.null("stop_sequence");
                o.null("stop_details");
                o.null("container");
                o.object("usage", |o| usage::write_anthropic(&usage, o));
            });
        });
    }

    fn start_block(&mut self, part: u32, kind: &PartKind<'_>, out: &mut String) {
        let lane = match kind {
            PartKind::Text { .. } => Lane::Text,
            PartKind::Refusal => {
                self.has_refused = true;
                Lane::Text
            }
            PartKind::Thinking => Lane::Thinking { is_signed: false },
            PartKind::Sealed(_) => Lane::Sealed,
            PartKind::ToolCall(_) => Lane::Call,
            PartKind::Item(_) => return self.start(out),
        };
        let data = match kind {
            PartKind::Sealed(thinking) => carried(thinking, self.seal.as_deref()),
            _ => None,
        };
        // The API refuses a thought without a signature when it is sent back.
        let is_silent = match lane {
            Lane::Thinking { .. } => self.seal.is_none(),
            Lane::Sealed => data.is_none(),
            Lane::Text | Lane::Call => false,
        };
        self.start(out);
        if is_silent {
            return;
        }
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        self.open = Some(Open { part, index, lane });
        frame("content_block_start", out, |o| {
            o.put("index", index);
            o.object("content_block", |o| match kind {
                PartKind::Text { .. } | PartKind::Refusal => {
                    o.str("type", "text");
                    o.str("text", "");
                }
                PartKind::Thinking => {
                    o.str("type", "thinking");
                    o.str("thinking", "");
                    o.str("signature", "");
                }
                PartKind::Sealed(_) => {
                    o.str("type", "redacted_thinking");
                    o.str("data", data.as_deref().unwrap_or_default());
                }
                PartKind::ToolCall(call) => {
                    o.str("type", "tool_use");
                    o.str("id", &call.id);
                    o.str("name", &call.name);
                    o.raw("input", "{}");
                }
                PartKind::Item(_) => {}
            });
        });
    }

    fn delta(&self, part: u32, text: &str, out: &mut String) {
        let Some(open) = self.open.as_ref().filter(|open| open.part == part) else { return };
        let (kind, name) = match open.lane {
            Lane::Text => ("text_delta", "text"),
            Lane::Thinking { .. } => ("thinking_delta", "thinking"),
            Lane::Call => ("input_json_delta", "partial_json"),
            Lane::Sealed => return,
        };
        block_delta(open.index, kind, name, text, out);
    }

    fn sign(&mut self, part: u32, signature: &str, out: &mut String) {
        let Some(open) = self.open.as_mut().filter(|open| open.part == part) else { return };
        if let Lane::Thinking { is_signed: false } = open.lane {
            open.lane = Lane::Thinking { is_signed: true };
            block_delta(open.index, "signature_delta", "signature", signature, out);
        }
    }

    fn stop_block(&mut self, part: u32, out: &mut String) {
        let Some(open) = self.open.take_if(|open| open.part == part) else { return };
        if let (Lane::Thinking { is_signed: false }, Some(seal)) = (open.lane, &self.seal) {
            // The gateway's own signature, by which it recognises unsigned text
            // when the client sends it back.
            let signature = seal.seal(&pack(&Thinking::Plain(String::new())));
            block_delta(open.index, "signature_delta", "signature", &signature, out);
        }
        frame("content_block_stop", out, |o| o.put("index", open.index));
    }

    fn end(&mut self, out: &mut String) {
        self.start(out);
        let mut stop = self.stop.take().unwrap_or_default();
        if self.has_refused && stop.reason == StopReason::End {
            stop.reason = StopReason::Refusal;
        }
        let usage = self.usage.unwrap_or_default();
        frame("message_delta", out, |o| {
            o.object("delta", |o| {
                write_stop(&stop, o);
                o.null("container");
            });
            o.object("usage", |o| usage::write_anthropic(&usage, o));
        });
        frame("message_stop", out, |_| {});
    }

    fn error(&self, error: &Error, out: &mut String) {
        out.push_str("event: error\ndata: ");
        error.write(Dialect::Messages, &self.request_id, out);
        out.push_str("\n\n");
    }
}

pub(crate) fn head(id: &str, model: &str, o: &mut Object<'_>) {
    o.str("id", id);
    o.str("type", "message");
    o.str("role", "assistant");
    o.str("model", model);
}

pub(crate) fn write_stop(stop: &Stop, o: &mut Object<'_>) {
    let reason = match stop.reason {
        StopReason::End => "end_turn",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_use",
        StopReason::StopSequence => "stop_sequence",
        StopReason::Refusal => "refusal",
        StopReason::Context => "model_context_window_exceeded",
        StopReason::Pause => "pause_turn",
    };
    o.str("stop_reason", reason);
    o.str_or_null("stop_sequence", stop.sequence.as_deref());
    if stop.reason == StopReason::Refusal {
        o.object("stop_details", |o| {
            o.str("type", "refusal");
            o.str_or_null("category", stop.category.as_deref());
            o.str_or_null("explanation", stop.explanation.as_deref());
        });
    } else {
        o.null("stop_details");
    }
}

fn frame(name: &str, out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push_str("event: ");
    out.push_str(name);
    out.push_str("\ndata: ");
    write::object_into(out, |o| {
        o.str("type", name);
        fill(o);
    });
    out.push_str("\n\n");
}

fn block_delta(index: u32, kind: &str, name: &str, text: &str, out: &mut String) {
    frame("content_block_delta", out, |o| {
        o.put("index", index);
        o.object("delta", |o| {
            o.str("type", kind);
            o.str(name, text);
        });
    });
}
