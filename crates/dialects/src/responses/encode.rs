//! Encodes a stream as the events of a response, for a client.

use std::rc::Rc;

use crate::{
    Error, Event, Json, Reply, Usage,
    reply::{Seal, pack},
    request::Thinking,
    response::{CallStart, PartKind, Stop, StopReason},
    responses::native::with,
    usage,
    write::{self, Object},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    created: u64,
    model: String,
    echo: Vec<(String, Json)>,
    seal: Option<Rc<dyn Seal>>,
    /// The client has asked for the sealed thoughts.
    shows_sealed: bool,
    has_started: bool,
    sequence: u64,
    /// The completed items.
    output: Vec<String>,
    item: Option<Item>,
    /// A thought that has ended. Its encrypted form may follow, and belongs to
    /// the same item.
    thought: Option<Thought>,
    stop: Stop,
    usage: Option<Usage>,
}

/// The open item; items come one after the other.
#[derive(Debug)]
enum Item {
    Message {
        id: String,
        phase: Option<String>,
        done: Vec<String>,
        part: Option<ContentPart>,
    },
    Call {
        id: String,
        part: u32,
        call: CallStart<'static>,
        arguments: String,
    },
    Reasoning {
        part: u32,
        thought: Thought,
    },
    /// One of the vendor's that is not whole yet.
    Vendors {
        part: u32,
        item: Json,
    },
}

#[derive(Debug)]
struct Thought {
    id: String,
    text: String,
    signature: String,
}

#[derive(Debug)]
struct ContentPart {
    part: u32,
    is_refusal: bool,
    text: String,
    annotations: Vec<String>,
}

impl Encoder {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            id: reply.id.clone(),
            created: reply.created,
            model: reply.model.clone(),
            echo: reply.echo.clone(),
            seal: reply.seal.clone(),
            shows_sealed: reply.include_encrypted_reasoning,
            has_started: false,
            sequence: 0,
            output: Vec::new(),
            item: None,
            thought: None,
            stop: Stop::default(),
            usage: None,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        if !self.has_started {
            self.start(out);
        }
        if let Some(thought) = self.thought.take() {
            let sealed = match &event {
                Event::PartStart { kind: PartKind::Sealed(sealed), .. } => Some(sealed),
                _ => None,
            };
            let is_merged = self.reasoning_done(thought, sealed, out);
            if is_merged {
                return;
            }
        }
        match event {
            Event::Start { .. } | Event::Working => {}
            Event::Progress { part, item, state } => self.progress(part, item, state, out),
            Event::PartStart { part, kind, .. } => self.start_part(part, kind, out),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::Signature { part, signature } => self.sign(part, &signature),
            Event::Annotation { part, json } => self.annotate(part, &json, out),
            Event::PartStop { part } => self.stop_part(part, out),
            Event::Finish { stop, .. } => self.stop = stop,
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.end(out),
            Event::Error(error) => self.fail(&error, out),
        }
    }

    /// The whole response, as the last event carries it.
    pub(crate) fn response(&self) -> String {
        let status = self.status();
        write::object(|o| self.write_response(status, None, o))
    }

    fn start(&mut self, out: &mut String) {
        self.has_started = true;
        for name in ["response.created", "response.in_progress"] {
            let response = write::object(|o| self.write_response("in_progress", None, o));
            self.frame(name, out, |o| o.raw("response", &response));
        }
    }

    fn frame(&mut self, name: &str, out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
        out.push_str("event: ");
        out.push_str(name);
        out.push_str("\ndata: ");
        write::object_into(out, |o| {
            o.str("type", name);
            o.put("sequence_number", self.sequence);
            fill(o);
        });
        out.push_str("\n\n");
        self.sequence = self.sequence.saturating_add(1);
    }

    fn output_index(&self) -> usize {
        self.output.len()
    }

    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.id, self.output_index())
    }

    fn add_item(&mut self, item: &str, out: &mut String) {
        let index = self.output_index();
        self.frame("response.output_item.added", out, |o| {
            o.put("output_index", index);
            o.raw("item", item);
        });
    }

    fn item_done(&mut self, item: String, out: &mut String) {
        let index = self.output_index();
        self.frame("response.output_item.done", out, |o| {
            o.put("output_index", index);
            o.raw("item", &item);
        });
        self.output.push(item);
    }

    fn start_part(&mut self, part: u32, kind: PartKind<'_>, out: &mut String) {
        match kind {
            PartKind::Text { phase } => {
                if matches!(&self.item, Some(Item::Message { phase: open, .. }) if *open != phase) {
                    self.close_message(out);
                }
                self.start_content(part, false, phase, out);
            }
            PartKind::Refusal => self.start_content(part, true, None, out),
            PartKind::Thinking => {
                self.close_message(out);
                let id = self.item_id("rs");
                self.add_item(&reasoning_item(&id, None, None), out);
                let index = self.output_index();
                self.frame("response.reasoning_summary_part.added", out, |o| {
                    place(&id, index, o);
                    o.put("summary_index", 0);
                    o.object("part", |o| summary_part("", o));
                });
                let thought = Thought { id, text: String::new(), signature: String::new() };
                self.item = Some(Item::Reasoning { part, thought });
            }
            PartKind::Sealed(thinking) => self.sealed(&thinking, out),
            PartKind::Item(item) => {
                if !self.has_begun(part) {
                    self.close_message(out);
                    self.add_item(item.as_str(), out);
                }
                self.item = None;
                self.item_done(item.as_str().to_owned(), out);
            }
            PartKind::ToolCall(call) => {
                self.close_message(out);
                let PartKind::ToolCall(call) = PartKind::ToolCall(call).into_owned() else { return };
                let id = self.item_id(if call.is_custom { "ctc" } else { "fc" });
                self.add_item(&call_item(&id, &call, "", "in_progress"), out);
                self.item = Some(Item::Call { id, part, call, arguments: String::new() });
            }
        }
    }

    /// Shows an item of the vendor's before it is whole, and then what becomes of it.
    fn progress(&mut self, part: u32, item: Json, state: Option<&str>, out: &mut String) {
        let Some(state) = state else {
            self.close_message(out);
            self.add_item(item.as_str(), out);
            self.item = Some(Item::Vendors { part, item });
            return;
        };
        if !self.has_begun(part) {
            return;
        }
        let text = |name: &str| item.raw().get_str(name).unwrap_or_default();
        let index = self.output_index();
        self.frame(&format!("response.{}.{state}", text("type")), out, |o| place(&text("id"), index, o));
    }

    /// Whether the open item is this one of the vendor's.
    fn has_begun(&self, part: u32) -> bool {
        matches!(&self.item, Some(Item::Vendors { part: open, .. }) if *open == part)
    }

    /// Begins a part of the open message, or of a new one of this phase.
    fn start_content(&mut self, part: u32, is_refusal: bool, phase: Option<String>, out: &mut String) {
        if !matches!(self.item, Some(Item::Message { .. })) {
            let id = self.item_id("msg");
            self.add_item(&message_item(&id, phase.as_deref(), &[], "in_progress"), out);
            self.item = Some(Item::Message { id, phase, done: Vec::new(), part: None });
        }
        let index = self.output_index();
        let Some(Item::Message { id, done, part: content, .. }) = &mut self.item else { return };
        *content = Some(ContentPart { part, is_refusal, text: String::new(), annotations: Vec::new() });
        let (id, content_index) = (id.clone(), done.len());
        self.frame("response.content_part.added", out, |o| {
            place(&id, index, o);
            o.put("content_index", content_index);
            o.object("part", |o| content_part(is_refusal, "", &[], o));
        });
    }

    fn delta(&mut self, part: u32, delta: &str, out: &mut String) {
        let index = self.output_index();
        let sequence = self.sequence;
        // Written by hand for speed: nearly all events of a stream are deltas.
        let (name, id, place_in) = match &mut self.item {
            Some(Item::Message { id, done, part: Some(content), .. }) if content.part == part => {
                content.text.push_str(delta);
                let name =
                    if content.is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
                (name, id.as_str(), Some(("content_index", done.len())))
            }
            Some(Item::Call { id, part: open, call, arguments }) if *open == part => {
                arguments.push_str(delta);
                let name = if call.is_custom {
                    "response.custom_tool_call_input.delta"
                } else {
                    "response.function_call_arguments.delta"
                };
                (name, id.as_str(), None)
            }
            Some(Item::Reasoning { part: open, thought }) if *open == part => {
                thought.text.push_str(delta);
                ("response.reasoning_summary_text.delta", thought.id.as_str(), Some(("summary_index", 0)))
            }
            _ => return,
        };
        out.push_str("event: ");
        out.push_str(name);
        out.push_str("\ndata: ");
        write::object_into(out, |o| {
            o.str("type", name);
            o.put("sequence_number", sequence);
            place(id, index, o);
            if let Some((name, place)) = place_in {
                o.put(name, place);
            }
            o.str("delta", delta);
            if name == "response.output_text.delta" {
                o.raw("logprobs", "[]");
            }
        });
        out.push_str("\n\n");
        self.sequence = sequence.saturating_add(1);
    }

    fn sign(&mut self, part: u32, signed: &str) {
        if let Some(Item::Reasoning { part: open, thought }) = &mut self.item
            && *open == part
        {
            signed.clone_into(&mut thought.signature);
        }
    }

    fn annotate(&mut self, part: u32, json: &Json, out: &mut String) {
        let index = self.output_index();
        let Some(Item::Message { id, done, part: Some(content), .. }) = &mut self.item else { return };
        if content.part != part {
            return;
        }
        let annotation = flat_citation(json, content.text.chars().count());
        let (id, content_index, nth) = (id.clone(), done.len(), content.annotations.len());
        content.annotations.push(annotation.clone());
        self.frame("response.output_text.annotation.added", out, |o| {
            place(&id, index, o);
            o.put("content_index", content_index);
            o.put("annotation_index", nth);
            o.raw("annotation", &annotation);
        });
    }

    fn stop_part(&mut self, part: u32, out: &mut String) {
        match self.item.take() {
            Some(Item::Message { id, phase, mut done, part: Some(content) }) if content.part == part => {
                self.content_done(&id, &mut done, &content, out);
                // The message stays open for further content.
                self.item = Some(Item::Message { id, phase, done, part: None });
            }
            Some(Item::Call { id, part: open, call, arguments }) if open == part => {
                self.call_done(&id, &call, &arguments, out);
            }
            Some(Item::Reasoning { part: open, thought }) if open == part => {
                self.summary_done(&thought, out);
                self.thought = Some(thought);
            }
            // The vendor has not completed it, or a guardrail does not let it pass.
            Some(Item::Vendors { part: open, item }) if open == part => {
                self.item_done(with(item.raw(), &[("status", Some("\"failed\""))]), out);
            }
            other => self.item = other,
        }
    }

    fn content_done(&mut self, id: &str, done: &mut Vec<String>, content: &ContentPart, out: &mut String) {
        let (index, content_index) = (self.output_index(), done.len());
        let (name, member) = if content.is_refusal {
            ("response.refusal.done", "refusal")
        } else {
            ("response.output_text.done", "text")
        };
        self.frame(name, out, |o| {
            place(id, index, o);
            o.put("content_index", content_index);
            o.str(member, &content.text);
            if !content.is_refusal {
                o.raw("logprobs", "[]");
            }
        });
        let part =
            write::object(|o| content_part(content.is_refusal, &content.text, &content.annotations, o));
        self.frame("response.content_part.done", out, |o| {
            place(id, index, o);
            o.put("content_index", content_index);
            o.raw("part", &part);
        });
        done.push(part);
    }

    fn call_done(&mut self, id: &str, call: &CallStart<'_>, arguments: &str, out: &mut String) {
        let index = self.output_index();
        let (name, member) = if call.is_custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        self.frame(name, out, |o| {
            place(id, index, o);
            if !call.is_custom {
                o.str("name", &call.name);
            }
            o.str(member, arguments);
        });
        self.item_done(call_item(id, call, arguments, "completed"), out);
    }

    fn summary_done(&mut self, thought: &Thought, out: &mut String) {
        let (index, Thought { id, text, .. }) = (self.output_index(), thought);
        self.frame("response.reasoning_summary_text.done", out, |o| {
            place(id, index, o);
            o.put("summary_index", 0);
            o.str("text", text);
        });
        self.frame("response.reasoning_summary_part.done", out, |o| {
            place(id, index, o);
            o.put("summary_index", 0);
            o.object("part", |o| summary_part(text, o));
        });
    }

    /// Ends the item of a thought. Returns whether `next` is the same thought in
    /// its encrypted form, which becomes the item's own.
    fn reasoning_done(&mut self, thought: Thought, next: Option<&Thinking>, out: &mut String) -> bool {
        let Thought { id, text, signature } = thought;
        let is_same = matches!(next, Some(Thinking::Encrypted { summary, .. }) if summary.concat() == text);
        let sealed = match next.filter(|_| is_same) {
            Some(encrypted) => self.seal(encrypted),
            None if signature.is_empty() => None,
            None => self.seal(&Thinking::Signed { text: text.clone(), signature }),
        };
        self.item_done(reasoning_item(&id, Some(&text), self.shown(sealed.as_deref())), out);
        is_same
    }

    fn seal(&self, thinking: &Thinking) -> Option<String> {
        self.seal.as_ref().map(|seal| seal.seal(&pack(thinking)))
    }

    fn shown<'s>(&self, sealed: Option<&'s str>) -> Option<&'s str> {
        sealed.filter(|_| self.shows_sealed)
    }

    /// An item of its own. Without its content it is there as well, so that
    /// items have the same ids in what the client sees and in what is stored.
    fn sealed(&mut self, thinking: &Thinking, out: &mut String) {
        let Some(content) = self.seal(thinking) else { return };
        self.close_message(out);
        let id = self.item_id("rs");
        self.add_item(&reasoning_item(&id, None, None), out);
        self.item_done(reasoning_item(&id, None, self.shown(Some(&content))), out);
    }

    fn close_message(&mut self, out: &mut String) {
        match self.item.take() {
            Some(Item::Message { id, phase, done, .. }) => {
                self.item_done(message_item(&id, phase.as_deref(), &done, "completed"), out);
            }
            other => self.item = other,
        }
    }

    fn status(&self) -> &'static str {
        if self.incomplete_reason().is_some() { "incomplete" } else { "completed" }
    }

    fn incomplete_reason(&self) -> Option<&'static str> {
        match self.stop.reason {
            StopReason::Length | StopReason::Context => Some("max_output_tokens"),
            StopReason::Refusal => Some("content_filter"),
            _ => None,
        }
    }

    fn end(&mut self, out: &mut String) {
        if let Some(Item::Vendors { part, .. }) = self.item {
            self.stop_part(part, out);
        }
        self.close_message(out);
        let status = self.status();
        let response = write::object(|o| self.write_response(status, None, o));
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.frame(name, out, |o| o.raw("response", &response));
    }

    /// Ends the response as failed, without completing its open item.
    fn fail(&mut self, error: &Error, out: &mut String) {
        let response = write::object(|o| self.write_response("failed", Some(error), o));
        self.frame("response.failed", out, |o| o.raw("response", &response));
    }

    fn write_response(&self, status: &str, error: Option<&Error>, o: &mut Object<'_>) {
        o.str("id", &format!("resp_{}", self.id));
        o.str("object", "response");
        o.put("created_at", self.created);
        o.str("status", status);
        match error {
            Some(error) => o.object("error", |o| {
                o.str("code", error.response_code());
                o.str("message", &error.message);
            }),
            None => o.null("error"),
        }
        match self.incomplete_reason().filter(|_| status == "incomplete") {
            Some(reason) => o.object("incomplete_details", |o| o.str("reason", reason)),
            None => o.null("incomplete_details"),
        }
        o.str("model", &self.model);
        o.array("output", |a| self.output.iter().for_each(|item| a.raw(item)));
        match self.usage.filter(|_| status != "in_progress") {
            Some(usage) => o.object("usage", |o| usage::write_openai(&usage, &usage::RESPONSES, o)),
            None => o.null("usage"),
        }
        self.write_echo(o);
    }

    /// The request's settings, or their defaults.
    fn write_echo(&self, o: &mut Object<'_>) {
        const DEFAULTS: &[(&str, &str)] = &[
            ("instructions", "null"),
            ("max_output_tokens", "null"),
            ("metadata", "{}"),
            ("parallel_tool_calls", "true"),
            ("previous_response_id", "null"),
            ("reasoning", "{\"effort\":null,\"summary\":null}"),
            // An answer is stored unless the request says otherwise.
            ("store", "true"),
            ("temperature", "null"),
            ("text", "{\"format\":{\"type\":\"text\"}}"),
            ("tool_choice", "\"auto\""),
            ("tools", "[]"),
            ("top_p", "null"),
            ("truncation", "\"disabled\""),
        ];
        for (name, json) in &self.echo {
            o.raw(name, json.as_str());
        }
        for (name, default) in DEFAULTS {
            if !self.echo.iter().any(|(known, _)| known == name) {
                o.raw(name, default);
            }
        }
    }
}

fn place(id: &str, index: usize, o: &mut Object<'_>) {
    o.str("item_id", id);
    o.put("output_index", index);
}

fn content_part(is_refusal: bool, text: &str, annotations: &[String], o: &mut Object<'_>) {
    if is_refusal {
        o.str("type", "refusal");
        return o.str("refusal", text);
    }
    o.str("type", "output_text");
    o.str("text", text);
    o.array("annotations", |a| annotations.iter().for_each(|annotation| a.raw(annotation)));
    o.raw("logprobs", "[]");
}

fn summary_part(text: &str, o: &mut Object<'_>) {
    o.str("type", "summary_text");
    o.str("text", text);
}

fn message_item(id: &str, phase: Option<&str>, parts: &[String], status: &str) -> String {
    write::object(|o| {
        o.str("type", "message");
        o.str("id", id);
        o.str("status", status);
        o.str("role", "assistant");
        o.opt_str("phase", phase);
        o.array("content", |a| parts.iter().for_each(|part| a.raw(part)));
    })
}

fn call_item(id: &str, call: &CallStart<'_>, arguments: &str, status: &str) -> String {
    write::object(|o| {
        o.str("type", if call.is_custom { "custom_tool_call" } else { "function_call" });
        o.str("id", id);
        o.str("call_id", &call.id);
        o.str("name", &call.name);
        o.opt_str("namespace", call.namespace.as_deref());
        o.str(if call.is_custom { "input" } else { "arguments" }, arguments);
        o.str("status", status);
    })
}

fn reasoning_item(id: &str, text: Option<&str>, sealed: Option<&str>) -> String {
    write::object(|o| {
        o.str("type", "reasoning");
        o.str("id", id);
        o.array("summary", |a| {
            if let Some(text) = text {
                a.object(|o| summary_part(text, o));
            }
        });
        o.opt_str("encrypted_content", sealed);
    })
}

/// An annotation in the flat form of the Responses API.
fn flat_citation(json: &Json, end: usize) -> String {
    let raw = json.raw();
    let raw = raw.get("url_citation").unwrap_or(raw);
    write::object(|o| {
        o.str("type", "url_citation");
        o.put("start_index", raw.get_u64("start_index").unwrap_or_default());
        o.put("end_index", raw.get_u64("end_index").unwrap_or(end as u64));
        o.str("url", &raw.get_str("url").unwrap_or_default());
        o.str("title", &raw.get_str("title").unwrap_or_default());
    })
}
