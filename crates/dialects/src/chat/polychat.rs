//! A stream as Polychat's own client reads it: events with a `type`, each one
//! line of data. Of several choices the first one is told.

use std::collections::BTreeMap;

use crate::{
    Error, Event, Reply, Usage,
    chat::encode::finish_reason,
    response::{PartKind, Stop},
    usage,
    write::{self, Object},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    created: u64,
    model: String,
    request_id: String,
    parts: BTreeMap<u32, Lane>,
    calls: Vec<Call>,
    stop: Stop,
    usage: Usage,
}

/// What a part is told as.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Text,
    Thinking,
    /// The place of the call.
    Call(usize),
}

/// Told once the text has ended.
#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Encoder {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            id: format!("chatcmpl-{}", reply.id),
            created: reply.created,
            model: reply.model.clone(),
            request_id: reply.request_id.clone(),
            parts: BTreeMap::new(),
            calls: Vec::new(),
            stop: Stop::default(),
            usage: Usage::default(),
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        match event {
            Event::Start { .. } => ["init", "thinking"].into_iter().for_each(|name| state(name, out)),
            Event::PartStart { part, choice: 0, kind } => self.start(part, kind),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::Finish { choice: 0, stop } => self.stop = stop,
            Event::Usage(usage) => self.usage = usage,
            Event::End => self.end(out),
            Event::Error(error) => self.error(&error, out),
            _ => {}
        }
    }

    fn start(&mut self, part: u32, kind: PartKind<'_>) {
        let lane = match kind {
            PartKind::Text | PartKind::Refusal => Lane::Text,
            PartKind::Thinking => Lane::Thinking,
            PartKind::Sealed(_) => return,
            PartKind::ToolCall(call) => {
                let (id, name) = (call.id.into_owned(), call.name.into_owned());
                self.calls.push(Call { id, name, arguments: String::new() });
                Lane::Call(self.calls.len().saturating_sub(1))
            }
        };
        self.parts.insert(part, lane);
    }

    fn delta(&mut self, part: u32, text: &str, out: &mut String) {
        match self.parts.get(&part) {
            Some(Lane::Text) => told("content_block_delta", out, |o| o.str("content", text)),
            Some(Lane::Thinking) => told("thinking_delta", out, |o| o.str("thinking", text)),
            Some(Lane::Call(index)) => {
                if let Some(call) = self.calls.get_mut(*index) {
                    call.arguments.push_str(text);
                }
            }
            None => {}
        }
    }

    fn end(&mut self, out: &mut String) {
        state("post_processing", out);
        told("content_block_stop", out, |_| {});
        told("message_delta", out, |o| {
            o.str("id", &self.id);
            o.str("object", "chat.completion");
            o.put("created", self.created);
            o.str("model", &self.model);
            o.str("log_id", &self.id);
            o.object("usage", |o| usage::write_openai(&self.usage, &usage::CHAT, o));
            o.str("finish_reason", finish_reason(&self.stop, false));
        });
        told("message_stop", out, |_| {});
        for call in &self.calls {
            told("tool_use_start", out, |o| {
                o.str("tool_id", &call.id);
                o.str("tool_name", &call.name);
            });
            told("tool_use_delta", out, |o| {
                o.str("tool_id", &call.id);
                o.str("parameters", &call.arguments);
            });
            told("tool_use_stop", out, |o| o.str("tool_id", &call.id));
        }
        state("done", out);
        out.push_str("data: [DONE]\n\n");
    }

    /// Without `[DONE]`: what is broken off is not done.
    fn error(&self, error: &Error, out: &mut String) {
        out.push_str("data: ");
        error.write(crate::Dialect::Chat, &self.request_id, out);
        out.push_str("\n\n");
    }
}

fn state(name: &str, out: &mut String) {
    told("state", out, |o| o.str("state", name));
}

fn told(kind: &str, out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push_str("data: ");
    write::object_into(out, |o| {
        o.str("type", kind);
        fill(o);
    });
    out.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Dialect, InboundContext, Reply, Stream};

    fn told(upstream: &str) -> Vec<Value> {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        let request = Dialect::Chat.parse_request(body, &InboundContext::default()).unwrap();
        let reply = Reply { is_polychat: true, ..Reply::new(&request, "1", 5) };
        let mut stream = Stream::new(Dialect::Chat, Dialect::Chat, &reply);
        let mut out = Vec::new();
        // Whatever pieces it comes in.
        upstream.as_bytes().chunks(7).for_each(|piece| stream.push(piece, &mut out));
        stream.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.split_terminator("\n\n")
            .map(|block| {
                let data = block.strip_prefix("data: ").unwrap();
                serde_json::from_str(data).unwrap_or_else(|_| json!(data))
            })
            .collect()
    }

    fn chunk(delta: &Value, finish: &Value) -> String {
        let chunk =
            json!({ "id": "c", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
        format!("data: {chunk}\n\n")
    }

    #[test]
    fn an_answer_is_told_in_the_order_of_polychat() {
        let call = json!([{ "index": 0, "id": "t1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }]);
        let upstream = [
            chunk(&json!({ "role": "assistant", "reasoning_content": "Hm" }), &Value::Null),
            chunk(&json!({ "content": "Hello" }), &Value::Null),
            chunk(&json!({ "tool_calls": call }), &Value::Null),
            chunk(&json!({}), &json!("tool_calls")),
            "data: [DONE]\n\n".to_owned(),
        ];
        let told = told(&upstream.concat());
        let kinds: Vec<_> = told
            .iter()
            .map(|event| {
                let name = |member: &str| event[member].as_str().map(str::to_owned);
                match name("type") {
                    Some(kind) if kind == "state" => name("state").unwrap(),
                    Some(kind) => kind,
                    None => event.as_str().unwrap().to_owned(),
                }
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "init",
                "thinking",
                "thinking_delta",
                "content_block_delta",
                "post_processing",
                "content_block_stop",
                "message_delta",
                "message_stop",
                "tool_use_start",
                "tool_use_delta",
                "tool_use_stop",
                "done",
                "[DONE]",
            ]
        );
        assert_eq!(told[3]["content"], "Hello");
        assert_eq!(told[6]["finish_reason"], "tool_calls");
        assert_eq!(told[9]["parameters"], "{\"a\":1}");
    }

    #[test]
    fn an_answer_that_is_cut_is_not_done() {
        let told = told(&chunk(&json!({ "role": "assistant", "content": "Hel" }), &Value::Null));
        assert!(told.last().unwrap()["error"]["message"].is_string(), "{told:?}");
    }
}
