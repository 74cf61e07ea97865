//! Encodes a stream for the original client: events with a `type`, each one line
//! of data. Of several choices the client sees the first one.

use std::collections::BTreeMap;

use crate::{
    DailyBudget, Error, Event, Reply, Usage,
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
    budget: Option<DailyBudget>,
}

/// The events that a part becomes.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Text,
    Thinking,
    /// The place of the call.
    Call(usize),
}

/// A call of the client's tool. Its events follow after the text.
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
            budget: reply.budget.clone(),
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        match event {
            Event::Start { .. } => {
                state("init", out);
                self.limits(&Usage::default(), out);
                state("thinking", out);
            }
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
            PartKind::Text { .. } | PartKind::Refusal => Lane::Text,
            PartKind::Thinking => Lane::Thinking,
            PartKind::Sealed(_) | PartKind::Item(_) => return,
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
            Some(Lane::Text) => write_event("content_block_delta", out, |o| o.str("content", text)),
            Some(Lane::Thinking) => write_event("thinking_delta", out, |o| o.str("thinking", text)),
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
        write_event("content_block_stop", out, |_| {});
        write_event("message_delta", out, |o| {
            o.str("id", &self.id);
            o.str("object", "chat.completion");
            o.put("created", self.created);
            o.str("model", &self.model);
            o.str("log_id", &self.id);
            o.object("usage", |o| usage::write_openai(&self.usage, &usage::CHAT, o));
            o.str("finish_reason", finish_reason(&self.stop, false));
        });
        write_event("message_stop", out, |_| {});
        for call in &self.calls {
            write_event("tool_use_start", out, |o| {
                o.str("tool_id", &call.id);
                o.str("tool_name", &call.name);
            });
            write_event("tool_use_delta", out, |o| {
                o.str("tool_id", &call.id);
                o.str("parameters", &call.arguments);
            });
            write_event("tool_use_stop", out, |o| o.str("tool_id", &call.id));
        }
        self.limits(&self.usage, out);
        state("done", out);
        out.push_str("data: [DONE]\n\n");
    }

    /// What the user has spent of a daily budget, with this usage.
    fn limits(&self, usage: &Usage, out: &mut String) {
        let Some(budget) = &self.budget else { return };
        let cost = budget.pricing.as_ref().map_or(0, |pricing| pricing.cost(usage));
        write_event("usage_limits", out, |o| {
            o.object("usage_limits", |o| {
                o.object("daily", |o| {
                    o.put("used", budget.used.saturating_add(cost));
                    o.put("limit", budget.limit);
                });
            });
        });
    }

    /// Without `[DONE]`, because an interrupted answer is not done.
    fn error(&self, error: &Error, out: &mut String) {
        out.push_str("data: ");
        error.write(crate::Dialect::Chat, &self.request_id, out);
        out.push_str("\n\n");
    }
}

fn state(name: &str, out: &mut String) {
    write_event("state", out, |o| o.str("state", name));
}

fn write_event(kind: &str, out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
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

    use std::rc::Rc;

    use crate::{ChatForm, DailyBudget, Dialect, InboundContext, Pricing, Reply, Stream, Usage};

    #[derive(Debug)]
    struct TwoEach;

    impl Pricing for TwoEach {
        fn cost(&self, usage: &Usage) -> i64 {
            i64::try_from(2 * (usage.input + usage.output)).unwrap()
        }
    }

    fn events(upstream: &str, budget: Option<DailyBudget>) -> Vec<Value> {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        let request = Dialect::Chat.parse_request(body, &InboundContext::default()).unwrap();
        let reply = Reply { form: ChatForm::Original, budget, ..Reply::new(&request, "1", 5) };
        let mut stream = Stream::new(Dialect::Chat, Dialect::Chat, &reply);
        let mut out = Vec::new();
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
    fn an_answer_has_the_order_of_the_original_server() {
        let call = json!([{ "index": 0, "id": "t1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }]);
        let upstream = [
            chunk(&json!({ "role": "assistant", "reasoning_content": "Hm" }), &Value::Null),
            chunk(&json!({ "content": "Hello" }), &Value::Null),
            chunk(&json!({ "tool_calls": call }), &Value::Null),
            chunk(&json!({}), &json!("tool_calls")),
            "data: [DONE]\n\n".to_owned(),
        ];
        let events = events(&upstream.concat(), None);
        let kinds: Vec<_> = events
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
        assert_eq!(events[3]["content"], "Hello");
        assert_eq!(events[6]["finish_reason"], "tool_calls");
        assert_eq!(events[9]["parameters"], "{\"a\":1}");
    }

    #[test]
    fn an_interrupted_answer_is_not_done() {
        let events = events(&chunk(&json!({ "role": "assistant", "content": "Hel" }), &Value::Null), None);
        assert!(events.last().unwrap()["error"]["message"].is_string(), "{events:?}");
    }

    #[test]
    fn the_daily_budget_is_shown_before_and_after_the_answer() {
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2 } });
        let upstream = [
            chunk(&json!({ "content": "Hello" }), &json!("stop")),
            format!("data: {usage}\n\ndata: [DONE]\n\n"),
        ];
        let limits = |pricing: Option<Rc<dyn Pricing>>| -> Vec<(usize, Value)> {
            let budget = DailyBudget { used: 50, limit: 100, pricing };
            let events = events(&upstream.concat(), Some(budget)).into_iter().enumerate();
            events
                .filter(|(_, event)| event["type"] == "usage_limits")
                .map(|(at, event)| (at, event["usage_limits"].clone()))
                .collect()
        };
        let daily = |used: i64| json!({ "daily": { "used": used, "limit": 100 } });
        assert_eq!(limits(Some(Rc::new(TwoEach))), [(1, daily(50)), (8, daily(60))]);
        assert_eq!(limits(None), [(1, daily(50)), (8, daily(50))]);
    }
}
