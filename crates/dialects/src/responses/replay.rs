//! Writes a whole response as the stream that it could have been: for a client
//! that wants a stream of an answer that was cached, or held back.

use std::borrow::Cow;

use crate::{
    json::Raw,
    responses::native::with,
    write::{self, Object},
};

pub(crate) fn stream(response: Raw<'_>) -> String {
    let mut events = Events::default();
    let begun = with(
        response,
        &[("status", Some("\"in_progress\"")), ("output", Some("[]")), ("usage", Some("null"))],
    );
    for name in ["response.created", "response.in_progress"] {
        events.write(name, |o| o.raw("response", &begun));
    }
    for (index, item) in response.get("output").into_iter().flat_map(Raw::items).enumerate() {
        events.item(index, item);
    }
    let is_incomplete = response.get_str("status").is_some_and(|status| status == "incomplete");
    let name = if is_incomplete { "response.incomplete" } else { "response.completed" };
    events.write(name, |o| o.raw("response", response.text()));
    events.out
}

#[derive(Debug, Default)]
struct Events {
    out: String,
    sequence: u64,
}

/// Where a text stands in the response.
struct Place<'a> {
    id: Cow<'a, str>,
    item: usize,
    /// Its list within the item, and its index there.
    within: Option<(&'static str, usize)>,
}

impl Place<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.str("item_id", &self.id);
        o.put("output_index", self.item);
        if let Some((name, index)) = self.within {
            o.put(name, index);
        }
    }
}

impl Events {
    fn write(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.out.push_str("event: ");
        self.out.push_str(name);
        self.out.push_str("\ndata: ");
        write::object_into(&mut self.out, |o| {
            o.str("type", name);
            o.put("sequence_number", self.sequence);
            fill(o);
        });
        self.out.push_str("\n\n");
        self.sequence = self.sequence.saturating_add(1);
    }

    fn item(&mut self, index: usize, item: Raw<'_>) {
        self.item_event("response.output_item.added", index, &begun(item));
        let id = item.get_str("id").unwrap_or_default();
        let at = |within| Place { id: id.clone(), item: index, within };
        match item.get_str("type").unwrap_or_default().as_ref() {
            "message" => {
                let parts = item.get("content").into_iter().flat_map(Raw::items);
                parts.enumerate().for_each(|(n, part)| self.content(&at(Some(("content_index", n))), part));
            }
            "reasoning" => {
                let parts = item.get("summary").into_iter().flat_map(Raw::items);
                parts.enumerate().for_each(|(n, part)| self.summary(&at(Some(("summary_index", n))), part));
            }
            "function_call" => {
                self.text("response.function_call_arguments", &at(None), "arguments", item.get("arguments"));
            }
            "custom_tool_call" => {
                self.text("response.custom_tool_call_input", &at(None), "input", item.get("input"));
            }
            _ => {}
        }
        self.item_event("response.output_item.done", index, item.text());
    }

    fn item_event(&mut self, name: &str, index: usize, item: &str) {
        self.write(name, |o| {
            o.put("output_index", index);
            o.raw("item", item);
        });
    }

    fn content(&mut self, place: &Place<'_>, part: Raw<'_>) {
        let empty =
            with(part, &[("text", Some("\"\"")), ("refusal", Some("\"\"")), ("annotations", Some("[]"))]);
        self.part("response.content_part.added", place, &empty);
        if part.get("refusal").is_some() {
            self.text("response.refusal", place, "refusal", part.get("refusal"));
        } else {
            self.text("response.output_text", place, "text", part.get("text"));
        }
        let annotations = part.get("annotations").into_iter().flat_map(Raw::items);
        for (index, annotation) in annotations.enumerate() {
            self.write("response.output_text.annotation.added", |o| {
                place.write(o);
                o.put("annotation_index", index);
                o.raw("annotation", annotation.text());
            });
        }
        self.part("response.content_part.done", place, part.text());
    }

    fn summary(&mut self, place: &Place<'_>, part: Raw<'_>) {
        self.part("response.reasoning_summary_part.added", place, &with(part, &[("text", Some("\"\""))]));
        self.text("response.reasoning_summary_text", place, "text", part.get("text"));
        self.part("response.reasoning_summary_part.done", place, part.text());
    }

    fn part(&mut self, name: &str, place: &Place<'_>, part: &str) {
        self.write(name, |o| {
            place.write(o);
            o.raw("part", part);
        });
    }

    /// A text in one piece. `member` is its name in the event that ends it.
    fn text(&mut self, family: &str, place: &Place<'_>, member: &str, text: Option<Raw<'_>>) {
        let text = text.map_or("\"\"", Raw::text);
        for (end, member) in [("delta", "delta"), ("done", member)] {
            self.write(&format!("{family}.{end}"), |o| {
                place.write(o);
                o.raw(member, text);
                if family == "response.output_text" {
                    o.raw("logprobs", "[]");
                }
            });
        }
    }
}

/// An item before its texts have come.
fn begun(item: Raw<'_>) -> Cow<'_, str> {
    let progress = ("status", Some("\"in_progress\""));
    let changes: &[_] = match item.get_str("type").unwrap_or_default().as_ref() {
        "message" => &[progress, ("content", Some("[]"))],
        "reasoning" => &[progress, ("summary", Some("[]")), ("encrypted_content", None)],
        "function_call" => &[progress, ("arguments", Some("\"\""))],
        "custom_tool_call" => &[progress, ("input", Some("\"\""))],
        _ => return Cow::Borrowed(item.text()),
    };
    Cow::Owned(with(item, changes))
}
