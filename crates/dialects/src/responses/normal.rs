//! Passes an upstream's events on to a client of the same dialect: only events
//! that the SDKs know, numbered without gaps, and never a completion for a
//! stream that broke off. The response has the id under which it is stored here.

use std::borrow::Cow;

use crate::{
    Error, Event, Json, Reply,
    json::Raw,
    responses::{
        decode::Decoder,
        encode::Encoder,
        native::{adopted, unthought},
    },
    sse::Frame,
    write,
};

#[derive(Debug)]
pub(crate) struct Normalizer {
    decoder: Decoder,
    sequence: u64,
    /// The response from the first event, for an end event that the upstream
    /// does not send.
    response: Option<Json>,
    reply: Reply,
}

impl Normalizer {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self { decoder: Decoder::default(), sequence: 0, response: None, reply: reply.clone() }
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        let error = observe(&mut self.decoder, sink, |decoder, sink| decoder.frame(frame, sink));
        let raw = Raw::parse(frame.data).filter(|raw| raw.is_object());
        let kind = raw.and_then(|raw| raw.get_str("type")).unwrap_or_default();
        if let Some(error) = error
            && kind != "response.failed"
        {
            return self.write_failure(&error, out);
        }
        let Some(raw) = raw.filter(|_| is_known(&kind)) else { return };
        out.push_str("event: ");
        out.push_str(&kind);
        out.push_str("\ndata: ");
        match self.adopted(&kind, raw) {
            None if raw.get_u64("sequence_number") == Some(self.sequence) => out.push_str(raw.text()),
            None => self.renumbered(raw, None, out),
            Some((member, json)) => self.renumbered(raw, Some((member, &json)), out),
        }
        out.push_str("\n\n");
        self.sequence = self.sequence.saturating_add(1);
    }

    /// The member of an event that the client gets in another form. Events
    /// of mere pieces have none, and pass as they are.
    fn adopted<'r>(&mut self, kind: &str, raw: Raw<'r>) -> Option<(&'static str, Cow<'r, str>)> {
        match kind {
            "response.output_item.added" | "response.output_item.done" => {
                let item = raw.get("item").filter(|_| !self.reply.include_encrypted_reasoning)?;
                Some(("item", unthought(item)))
            }
            "response.created"
            | "response.in_progress"
            | "response.queued"
            | "response.completed"
            | "response.incomplete"
            | "response.failed" => {
                let response = adopted(raw.get("response")?, &self.reply);
                if kind == "response.created" {
                    self.response = Json::parse(&response);
                }
                Some(("response", Cow::Owned(response)))
            }
            _ => None,
        }
    }

    fn renumbered(&self, raw: Raw<'_>, change: Option<(&str, &str)>, out: &mut String) {
        write::object_into(out, |o| {
            for (name, value) in raw.members().filter(|(name, _)| name != "sequence_number") {
                match change {
                    Some((changed, json)) if changed == name => o.raw(&name, json),
                    _ => o.raw(&name, value.text()),
                }
            }
            o.put("sequence_number", self.sequence);
        });
    }

    pub(crate) fn end(&mut self, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        if let Some(error) = observe(&mut self.decoder, sink, Decoder::end) {
            self.write_failure(&error, out);
        }
    }

    pub(crate) fn fail(&mut self, error: Error, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        if let Some(error) = observe(&mut self.decoder, sink, |decoder, sink| decoder.fail(error, sink)) {
            self.write_failure(&error, out);
        }
    }

    /// Writes `response.failed` with the upstream's response, or with an empty
    /// one if none has begun.
    fn write_failure(&mut self, error: &Error, out: &mut String) {
        let Some(response) = &self.response else {
            return Encoder::new(&self.reply).event(Event::Error(error.clone()), out);
        };
        out.push_str("event: response.failed\ndata: ");
        write::object_into(out, |o| {
            o.str("type", "response.failed");
            o.put("sequence_number", self.sequence);
            o.object("response", |o| {
                for (name, value) in response.raw().members() {
                    if !matches!(name.as_ref(), "status" | "error") {
                        o.raw(&name, value.text());
                    }
                }
                o.str("status", "failed");
                o.object("error", |o| {
                    o.str("code", error.response_code());
                    o.str("message", &error.message);
                });
            });
        });
        out.push_str("\n\n");
    }
}

fn observe(
    decoder: &mut Decoder,
    sink: &mut dyn FnMut(&Event<'_>),
    run: impl FnOnce(&mut Decoder, &mut dyn FnMut(Event<'_>)),
) -> Option<Error> {
    let mut error = None;
    run(decoder, &mut |event| {
        sink(&event);
        if let Event::Error(upstream_error) = event {
            error = Some(upstream_error);
        }
    });
    error
}

/// Whether the SDKs accept this event; they throw at unknown ones.
fn is_known(kind: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "output_item",
        "content_part",
        "output_text",
        "refusal",
        "function_call_arguments",
        "custom_tool_call_input",
        "reasoning_summary_part",
        "reasoning_summary_text",
        "reasoning_text",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "code_interpreter_call_code",
        "image_generation_call",
        "mcp_call",
        "mcp_call_arguments",
        "mcp_list_tools",
        "audio",
    ];
    let Some(rest) = kind.strip_prefix("response.") else { return kind == "keepalive" };
    match rest.split_once('.') {
        None => matches!(rest, "created" | "in_progress" | "completed" | "incomplete" | "failed" | "queued"),
        Some((family, _)) => FAMILIES.contains(&family),
    }
}
