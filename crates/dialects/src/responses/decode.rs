//! Decodes the events of a response.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Error, Event, Json, Usage,
    json::Raw,
    piece::Piece,
    request::Thinking,
    response::{CallStart, PartKind, Stop, StopReason},
    sse::Frame,
    usage, write,
};

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    has_started: bool,
    is_over: bool,
    next_part: u32,
    /// Open parts, by the index of the item and the index within it.
    open: BTreeMap<(u64, u64), Open>,
    has_called: bool,
    /// The vendor's items that are not whole yet, by their index.
    working: BTreeMap<u64, Working>,
    /// The phases of messages, by their index.
    phases: BTreeMap<u64, String>,
}

/// An item of the vendor's that is not whole yet.
#[derive(Debug)]
struct Working {
    part: u32,
    kind: String,
    item: Json,
}

/// What becomes of the vendor's items, in events without any text.
const STATES: &[&str] =
    &["in_progress", "searching", "interpreting", "generating", "calling", "completed", "failed"];

#[derive(Debug)]
struct Open {
    piece: Piece,
    has_said: bool,
}

impl Decoder {
    pub(crate) fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if frame.data.trim() == "[DONE]" {
            return;
        }
        let Some(raw) = Raw::parse(frame.data).filter(|raw| raw.is_object()) else {
            return self.fail(Error::malformed(), sink);
        };
        let mut event = Fields { kind: Cow::Borrowed(frame.name), ..Fields::default() };
        for (name, value) in raw.members().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "type" => event.kind = value.as_str().unwrap_or_default(),
                "output_index" => event.item = value.as_u64().unwrap_or_default(),
                "content_index" | "summary_index" => event.place = value.as_u64().unwrap_or_default(),
                "delta" => event.delta = Some(value),
                "text" | "refusal" | "arguments" | "input" => event.whole = Some(value),
                "item" | "part" | "response" | "annotation" => event.of = Some(value),
                "error" if event.kind.is_empty() => event.kind = Cow::Borrowed("error"),
                _ => {}
            }
        }
        self.event(&event, raw, sink);
    }

    fn event(&mut self, event: &Fields<'_>, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let key = (event.item, event.place);
        match event.kind.as_ref() {
            "response.created" | "response.in_progress" => self.start(event.of, sink),
            "response.output_item.added" => self.item_added(event, sink),
            "response.output_item.done" => self.item_done(event, sink),
            "response.output_text.delta" => self.delta(key, PartKind::TEXT, event.delta, sink),
            "response.refusal.delta" => self.delta(key, PartKind::Refusal, event.delta, sink),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                // All paragraphs of a summary form one thought.
                self.delta((event.item, 0), PartKind::Thinking, event.delta, sink);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.push((event.item, 0), event.delta, sink);
            }
            "response.output_text.done" => self.whole(key, PartKind::TEXT, event.whole, sink),
            "response.refusal.done" => self.whole(key, PartKind::Refusal, event.whole, sink),
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.push_if_silent((event.item, 0), event.whole, sink);
            }
            "response.output_text.annotation.added" => {
                if let (Some(open), Some(annotation)) = (self.open.get(&key), event.of) {
                    sink(Event::Annotation { part: open.piece.part(), json: annotation.into() });
                }
            }
            "response.content_part.done" => {
                if let Some(mut open) = self.open.remove(&key) {
                    open.piece.end(sink);
                }
            }
            "response.completed" | "response.incomplete" | "response.done" => self.finish(event.of, sink),
            "response.failed" | "error" => self.fail_with(event.of, raw, sink),
            "response.cancelled" => self.fail(Error::cut(), sink),
            other => self.progress(event.item, other, sink),
        }
    }

    pub(crate) fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.fail(Error::cut(), sink);
    }

    pub(crate) fn fail(&mut self, error: Error, sink: &mut dyn FnMut(Event<'_>)) {
        if !std::mem::replace(&mut self.is_over, true) {
            sink(Event::Error(error));
        }
    }

    fn fail_with(&mut self, response: Option<Raw<'_>>, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = counts(response) {
            sink(Event::Usage(usage));
        }
        self.fail(Error::of_event(raw), sink);
    }

    fn start(&mut self, response: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name: &str| response.and_then(|response| response.get_str(name)).unwrap_or_default();
        sink(Event::Start { id: text("id"), model: text("model") });
    }

    fn new_part(&mut self) -> u32 {
        let part = self.next_part;
        self.next_part = part.saturating_add(1);
        part
    }

    fn begin(&mut self, key: (u64, u64), kind: PartKind<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let part = self.new_part();
        let kind = match kind {
            PartKind::Text { .. } => PartKind::Text { phase: self.phases.get(&key.0).cloned() },
            kind => kind,
        };
        sink(Event::PartStart { part, choice: 0, kind });
        self.open.insert(key, Open { piece: Piece::new(part), has_said: false });
    }

    fn item_added(&mut self, event: &Fields<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(item) = event.of else { return };
        let kind = item.get_str("type").unwrap_or_default();
        if is_vendors(&kind) {
            return self.vendors_added(event.item, kind.into_owned(), item, sink);
        }
        if let Some(phase) = item.get_str("phase") {
            self.phases.insert(event.item, phase.into_owned());
        }
        let is_custom = kind == "custom_tool_call";
        if is_custom || kind == "function_call" {
            self.has_called = true;
            let call = CallStart {
                id: item.get_str("call_id").unwrap_or_default(),
                name: item.get_str("name").unwrap_or_default(),
                namespace: item.get_str("namespace").map(Cow::into_owned),
                is_custom,
            };
            self.begin((event.item, 0), PartKind::ToolCall(call), sink);
        }
    }

    fn item_done(&mut self, event: &Fields<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(item) = event.of else { return };
        let kind = item.get_str("type").unwrap_or_default();
        if is_vendors(&kind) {
            return self.vendors_done(event.item, item, sink);
        }
        if matches!(kind.as_ref(), "function_call" | "custom_tool_call") {
            let key = (event.item, 0);
            if !self.open.contains_key(&key) && !self.has_seen(event.item) {
                self.item_added(event, sink);
            }
            self.push_if_silent(key, item.get("arguments").or_else(|| item.get("input")), sink);
        }
        self.stop_item(event.item, sink);
        if kind == "reasoning"
            && let Some(content) = item.get_str("encrypted_content")
        {
            let summary = item.get("summary").into_iter().flat_map(Raw::items);
            let thinking = Thinking::Encrypted {
                id: item.get_str("id").unwrap_or_default().into_owned(),
                summary: summary.filter_map(|part| Some(part.get_str("text")?.into_owned())).collect(),
                content: content.into_owned(),
            };
            let key = (event.item, u64::MAX);
            self.begin(key, PartKind::Sealed(thinking), sink);
            self.stop_item(event.item, sink);
        }
    }

    fn vendors_added(&mut self, index: u64, kind: String, item: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let has_id = item.get_str("id").is_some_and(|id| !id.is_empty());
        if !has_id || self.working.contains_key(&index) {
            return;
        }
        let (part, item) = (self.new_part(), without_texts(item));
        sink(Event::Progress { part, item: item.clone(), state: None });
        self.working.insert(index, Working { part, kind, item });
    }

    /// Tells what an event without text says of one of the vendor's items.
    fn progress(&self, index: u64, kind: &str, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(working) = self.working.get(&index) else { return };
        let said = kind.strip_prefix("response.").and_then(|rest| rest.strip_prefix(&*working.kind));
        let state = said.and_then(|rest| rest.strip_prefix('.'));
        if let Some(state) = STATES.iter().find(|known| state == Some(**known)) {
            sink(Event::Progress { part: working.part, item: working.item.clone(), state: Some(state) });
        }
    }

    fn vendors_done(&mut self, index: u64, item: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let begun = self.working.remove(&index).map(|working| (working.part, working.item));
        let is_same =
            |begun: &Json| ["id", "type"].iter().all(|name| begun.raw().get_str(name) == item.get_str(name));
        let part = match begun {
            Some((part, begun)) if is_same(&begun) => part,
            Some((part, _)) => {
                sink(Event::PartStop { part });
                self.new_part()
            }
            None => self.new_part(),
        };
        sink(Event::PartStart { part, choice: 0, kind: PartKind::Item(item.into()) });
        sink(Event::PartStop { part });
    }

    /// Items come in order, so an item after the last one is new.
    fn has_seen(&self, item: u64) -> bool {
        self.open.keys().any(|(open, _)| *open == item)
    }

    fn stop_item(&mut self, item: u64, sink: &mut dyn FnMut(Event<'_>)) {
        let keys: Vec<_> = self.open.range((item, 0)..=(item, u64::MAX)).map(|(key, _)| *key).collect();
        for mut open in keys.iter().filter_map(|key| self.open.remove(key)) {
            open.piece.end(sink);
        }
    }

    fn delta(
        &mut self,
        key: (u64, u64),
        kind: PartKind<'_>,
        delta: Option<Raw<'_>>,
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        if !self.open.contains_key(&key) {
            self.begin(key, kind, sink);
        }
        self.push(key, delta, sink);
    }

    fn push(&mut self, key: (u64, u64), delta: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        if let (Some(open), Some(delta)) = (self.open.get_mut(&key), delta) {
            open.has_said |= delta.text().len() > 2;
            open.piece.push(delta, sink);
        }
    }

    /// Emits a part that came without deltas.
    fn whole(
        &mut self,
        key: (u64, u64),
        kind: PartKind<'_>,
        whole: Option<Raw<'_>>,
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        if !self.open.contains_key(&key) && whole.is_some_and(|text| text.text().len() > 2) {
            self.begin(key, kind, sink);
        }
        self.push_if_silent(key, whole, sink);
    }

    fn push_if_silent(&mut self, key: (u64, u64), whole: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.open.get(&key).is_some_and(|open| !open.has_said) {
            self.push(key, whole, sink);
        }
    }

    fn finish(&mut self, response: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        for (item, _) in self.open.keys().copied().collect::<Vec<_>>() {
            self.stop_item(item, sink);
        }
        for (_, working) in std::mem::take(&mut self.working) {
            sink(Event::PartStop { part: working.part });
        }
        let stop = response.map(|response| stop(response, self.has_called)).unwrap_or_default();
        sink(Event::Finish { choice: 0, stop });
        if let Some(usage) = counts(response) {
            sink(Event::Usage(usage));
        }
        self.is_over = true;
        sink(Event::End);
    }
}

/// Whether no other dialect has items of this kind.
pub(crate) fn is_vendors(kind: &str) -> bool {
    !matches!(kind, "" | "message" | "reasoning" | "function_call" | "custom_tool_call")
}

/// An item of the vendor's as it is before it is whole, without any text that it may have.
fn without_texts(item: Raw<'_>) -> Json {
    Json::written(write::object(|o| {
        for (name, value) in item.members() {
            let is_opaque = matches!(name.as_ref(), "type" | "id" | "status") || name.ends_with("_id");
            if is_opaque || !(value.is_string() || value.is_array() || value.is_object()) {
                o.raw(&name, value.text());
            } else if value.is_string() {
                o.str(&name, "");
            } else if value.is_array() {
                o.raw(&name, "[]");
            }
        }
    }))
}

#[derive(Debug, Default)]
struct Fields<'a> {
    kind: Cow<'a, str>,
    item: u64,
    place: u64,
    delta: Option<Raw<'a>>,
    whole: Option<Raw<'a>>,
    of: Option<Raw<'a>>,
}

fn counts(response: Option<Raw<'_>>) -> Option<Usage> {
    usage::of_openai(response?.get("usage")?)
}

/// Why a response ended, by its status.
pub(crate) fn stop(response: Raw<'_>, has_called: bool) -> Stop {
    let reason = response.get("incomplete_details").and_then(|details| details.get_str("reason"));
    let is_incomplete = response.get_str("status").is_some_and(|status| status == "incomplete");
    Stop::from(match reason.as_deref() {
        Some("content_filter") => StopReason::Refusal,
        Some(_) => StopReason::Length,
        None if is_incomplete => StopReason::Length,
        None if has_called => StopReason::ToolCalls,
        None => StopReason::End,
    })
}
