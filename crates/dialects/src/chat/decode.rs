//! Decodes the chunks of a chat completion, from OpenAI or from an upstream
//! that is nearly compatible.

use std::borrow::Cow;

use crate::{
    Error, Event, Json, Usage,
    chat::calls::{self, CallKey, CallRef},
    json::{Balance, Raw},
    piece::Piece,
    response::{CallStart, PartKind, Stop, StopReason},
    sse::Frame,
    usage, write,
};

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    has_started: bool,
    is_over: bool,
    next_part: u32,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    /// The open part: only one of text, thoughts and refusal at a time.
    open_text: Option<(TextKind, Piece)>,
    /// How many parts of text have begun.
    texts: u32,
    keys: Vec<CallKey>,
    /// One for each key, in the same order.
    calls: Vec<Call>,
    is_finished: bool,
    /// The last chunk had an empty `finish_reason`.
    is_blank: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Text,
    Thinking,
    Refusal,
}

#[derive(Debug)]
struct Call {
    piece: Piece,
    balance: Balance,
    is_custom: bool,
    is_open: bool,
    /// What has come of its arguments, while its name has not: some upstreams send that in a later piece.
    nameless: Option<String>,
}

/// Upper bound of choices, and of calls in one choice.
const MAX_PARTS: usize = 1_024;

impl Decoder {
    pub(crate) fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let data = frame.data.trim();
        if data == "[DONE]" {
            return self.end(true, sink);
        }
        // Plain text between chunks is a comment whose colon is missing.
        if !data.starts_with(['{', '[']) {
            return;
        }
        match Raw::parse(data) {
            Some(raw) if frame.name == "error" => self.fail(Error::of_event(raw), sink),
            Some(raw) if raw.is_object() => self.chunk(raw, sink),
            // The unreadable event may have contained text.
            _ => self.fail(Error::malformed(), sink),
        }
    }

    /// Ends the stream. `has_done_event` is true if `[DONE]` has come.
    pub(crate) fn end(&mut self, has_done_event: bool, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        for place in 0..self.choices.len() {
            if has_done_event
                && self.choices.get(place).is_some_and(|choice| !choice.is_finished && choice.is_blank)
            {
                self.finish(place, "stop", sink);
            }
        }
        let is_whole = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.is_finished);
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        self.is_over = true;
        sink(if is_whole { Event::End } else { Event::Error(Error::cut()) });
    }

    pub(crate) fn fail(&mut self, error: Error, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        self.is_over = true;
        sink(Event::Error(error));
    }

    fn chunk(&mut self, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let (mut id, mut model, mut choices) = (None, None, None);
        let (mut response, mut calls) = (None, None);
        for (name, value) in raw.members().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "id" => id = value.as_str(),
                "model" => model = value.as_str(),
                "choices" => choices = Some(value),
                "response" => response = Some(value),
                "tool_calls" => calls = Some(value),
                "usage" => self.usage = usage::of_openai(value).or(self.usage),
                "error" if value.as_bool() != Some(false) => return self.fail(Error::of_event(raw), sink),
                _ => {}
            }
        }
        if !self.has_started {
            self.has_started = true;
            sink(Event::Start { id: id.unwrap_or_default(), model: model.unwrap_or_default() });
        }
        if choices.is_none() && (response.is_some() || calls.is_some()) {
            self.native(response, calls, sink);
        }
        for choice in choices.into_iter().flat_map(Raw::items) {
            if self.is_over {
                return;
            }
            self.choice(choice, sink);
        }
    }

    /// An event of the older models of Workers AI: `{response, tool_calls?}`. They
    /// send no `finish_reason`, so `[DONE]` finishes the answer.
    fn native(&mut self, response: Option<Raw<'_>>, calls: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        let place = self.place(0);
        if let Some(choice) = self.choices.get_mut(place) {
            choice.is_blank = true;
        }
        match response {
            // In JSON mode the response is the value itself.
            Some(value) if value.as_str().is_none() => {
                let mut text = String::new();
                crate::write::string(&mut text, value.text());
                if let Some(text) = Raw::parse(&text) {
                    self.push_text(place, TextKind::Text, text, sink);
                }
            }
            Some(text) => self.push_text(place, TextKind::Text, text, sink),
            None => {}
        }
        for (nth, raw) in (0..).zip(calls.into_iter().flat_map(Raw::items)) {
            let id = raw.get_str("id").filter(|id| !id.is_empty());
            let inner = raw.get("function").unwrap_or(raw);
            self.function(place, CallRef { index: Some(nth), id, has_name: false }, false, inner, sink);
        }
    }

    /// The place of the choice with this index.
    fn place(&mut self, index: u32) -> usize {
        let place = self.choices.iter().position(|choice| choice.index == index);
        place.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len().saturating_sub(1)
        })
    }

    fn choice(&mut self, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let (mut index, mut delta, mut finish) = (0, None, None);
        for (name, value) in raw.members().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "index" => {
                    index = value.as_u64().and_then(|index| u32::try_from(index).ok()).unwrap_or_default()
                }
                "delta" | "message" => delta = Some(value),
                "finish_reason" => finish = value.as_str(),
                _ => {}
            }
        }
        let place = self.place(index);
        if self.choices.len() > MAX_PARTS {
            return self.fail(Error::malformed(), sink);
        }
        if self.choices.get(place).is_none_or(|choice| choice.is_finished) {
            return;
        }
        if let Some(delta) = delta {
            self.delta(place, delta, sink);
        }
        let finish = finish.as_deref();
        if let Some(choice) = self.choices.get_mut(place) {
            choice.is_blank = finish == Some("");
        }
        match finish {
            None | Some("") => {}
            Some("error") => self.fail(Error::of_event(raw), sink),
            Some(reason) => self.finish(place, reason, sink),
        }
    }

    /// Thoughts, text and calls may share one delta; they are emitted in the
    /// order in which a model produces them.
    fn delta(&mut self, place: usize, delta: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let (mut thinking, mut text, mut refusal, mut calls, mut call) = (None, None, None, None, None);
        let (mut details, mut annotations) = (None, None);
        for (name, value) in delta.members().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "content" => text = Some(value),
                "reasoning_content" => thinking = Some(value),
                "reasoning" if thinking.is_none() => thinking = Some(value),
                "reasoning_details" => details = Some(value),
                "refusal" => refusal = Some(value),
                "annotations" => annotations = Some(value),
                "tool_calls" => calls = Some(value),
                "function_call" => call = Some(value),
                _ => {}
            }
        }
        if let Some(thinking) = thinking {
            self.push_text(place, TextKind::Thinking, thinking, sink);
        }
        for detail in details.into_iter().flat_map(Raw::items) {
            self.detail(place, detail, thinking.is_none(), sink);
        }
        match text {
            Some(text) if text.is_array() => {
                text.items().for_each(|part| self.content_part(place, part, sink))
            }
            Some(text) => self.push_text(place, TextKind::Text, text, sink),
            None => {}
        }
        if let Some(refusal) = refusal {
            self.push_text(place, TextKind::Refusal, refusal, sink);
        }
        for raw in annotations.into_iter().flat_map(Raw::items) {
            self.annotation(place, raw, sink);
        }
        for (nth, raw) in calls.into_iter().flat_map(Raw::items).enumerate() {
            let nth = u64::try_from(nth).unwrap_or(u64::MAX);
            self.call(place, raw.get_u64("index"), nth, raw, sink);
        }
        if let Some(raw) = call {
            let of = CallRef { index: Some(0), id: None, has_name: false };
            self.function(place, of, false, raw, sink);
        }
    }

    /// Mistral sends content as an array of texts and thoughts.
    fn content_part(&mut self, place: usize, part: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(text) = part.get("text") {
            self.push_text(place, TextKind::Text, text, sink);
        }
        match part.get("thinking") {
            Some(thinking) if thinking.is_array() => {
                for text in thinking.items().filter_map(|inner| inner.get("text")) {
                    self.push_text(place, TextKind::Thinking, text, sink);
                }
            }
            Some(thinking) => self.push_text(place, TextKind::Thinking, thinking, sink),
            None => {}
        }
    }

    /// One of OpenRouter's `reasoning_details`: its text, unless the delta also
    /// has it elsewhere, and its signature.
    fn detail(&mut self, place: usize, detail: Raw<'_>, wants_text: bool, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(text) = detail.get("text").filter(|_| wants_text) {
            self.push_text(place, TextKind::Thinking, text, sink);
        }
        let Some(signature) = detail.get_str("signature").filter(|signature| !signature.is_empty()) else {
            return;
        };
        let Some(choice) = self.choices.get(place) else { return };
        if let Some((TextKind::Thinking, piece)) = &choice.open_text {
            sink(Event::Signature { part: piece.part(), signature });
        }
    }

    /// A citation of the open text.
    fn annotation(&self, place: usize, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let (Some(citation), Some(choice)) = (raw.get("url_citation"), self.choices.get(place)) else {
            return;
        };
        let Some((TextKind::Text, piece)) = &choice.open_text else { return };
        let text = |name: &str| citation.get_str(name).unwrap_or_default();
        let json = write::object(|o| {
            o.str("url", &text("url"));
            o.str("title", &text("title"));
            // The positions are those in the whole message: a later part begins elsewhere.
            if choice.texts == 1 {
                o.opt("start_index", citation.get_u64("start_index"));
                o.opt("end_index", citation.get_u64("end_index"));
            }
        });
        if let Some(json) = Json::parse(&json) {
            sink(Event::Annotation { part: piece.part(), json });
        }
    }

    fn push_text(&mut self, place: usize, what: TextKind, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        // An empty text next to a call does not begin a part.
        if raw.text().len() <= 2 {
            return;
        }
        let next = self.next_part;
        let Some(choice) = self.choices.get_mut(place) else { return };
        if choice.open_text.as_ref().is_none_or(|(open, _)| *open != what) {
            if let Some((_, piece)) = choice.open_text.take() {
                piece.stop(sink);
            }
            choice.stop_whole_calls(sink);
            self.next_part = next.saturating_add(1);
            choice.texts = choice.texts.saturating_add(u32::from(what == TextKind::Text));
            let kind = match what {
                TextKind::Text => PartKind::TEXT,
                TextKind::Thinking => PartKind::Thinking,
                TextKind::Refusal => PartKind::Refusal,
            };
            sink(Event::PartStart { part: next, choice: choice.index, kind });
            choice.open_text = Some((what, Piece::new(next)));
        }
        if let Some((_, piece)) = &mut choice.open_text {
            piece.push(raw, sink);
        }
    }

    fn call(
        &mut self,
        place: usize,
        index: Option<u64>,
        nth: u64,
        raw: Raw<'_>,
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        let id = raw.get_str("id").filter(|id| !id.is_empty());
        let custom = raw.get("custom");
        let Some(inner) = custom.or_else(|| raw.get("function")) else { return };
        // Calls in one delta without index and id are numbered by their order.
        let index = index.or_else(|| (id.is_none() && nth > 0).then_some(nth));
        self.function(place, CallRef { index, id, has_name: false }, custom.is_some(), inner, sink);
    }

    fn function(
        &mut self,
        place: usize,
        mut of: CallRef<'_>,
        is_custom: bool,
        raw: Raw<'_>,
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        let Some(choice) = self.choices.get_mut(place) else { return };
        let name = raw.get_str("name").filter(|name| !name.is_empty());
        of.has_name = name.is_some();
        let known = calls::place(&choice.keys, &of);
        let known = match known {
            Some(known) => known,
            None => {
                if choice.calls.len() >= MAX_PARTS {
                    return self.fail(Error::malformed(), sink);
                }
                if let Some((_, piece)) = choice.open_text.take() {
                    piece.stop(sink);
                }
                choice.stop_whole_calls(sink);
                let part = self.next_part;
                self.next_part = part.saturating_add(1);
                choice.keys.push(CallKey { index: of.index, ..CallKey::default() });
                let (piece, balance, nameless) = (Piece::new(part), Balance::default(), Some(String::new()));
                choice.calls.push(Call { piece, balance, is_custom, is_open: true, nameless });
                choice.calls.len().saturating_sub(1)
            }
        };
        let (Some(call), Some(key)) = (choice.calls.get_mut(known), choice.keys.get_mut(known)) else {
            return;
        };
        key.fill(of.id.as_deref());
        if let Some(name) = name
            && let Some(arguments) = call.nameless.take()
        {
            let id = Cow::Borrowed(&*key.id);
            let start = CallStart { id, name, namespace: None, is_custom: call.is_custom };
            let kind = PartKind::ToolCall(start);
            sink(Event::PartStart { part: call.piece.part(), choice: choice.index, kind });
            call.piece.push_text(Cow::Owned(arguments), sink);
        }
        let nameless = &mut call.nameless;
        let mut sink = |event: Event<'_>| match (nameless.as_mut(), event) {
            (Some(arguments), Event::Delta { text, .. }) => arguments.push_str(&text),
            (_, event) => sink(event),
        };
        match raw.get(if is_custom { "input" } else { "arguments" }) {
            // Some upstreams send the arguments as an object.
            Some(arguments) if arguments.is_object() => {
                call.balance.push(arguments.text());
                call.piece.push_text(Cow::Borrowed(arguments.text()), &mut sink);
            }
            Some(arguments) => {
                let balance = &mut call.balance;
                call.piece.push_and(arguments, |text| balance.push(text), &mut sink);
            }
            None => {}
        }
    }

    fn finish(&mut self, place: usize, reason: &str, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(choice) = self.choices.get_mut(place) else { return };
        if let Some((_, piece)) = choice.open_text.take() {
            piece.stop(sink);
        }
        // A call that never got a name was none.
        choice.calls.retain(|call| call.nameless.is_none());
        let is_torn = choice.calls.iter().any(|call| !call.is_custom && call.balance.is_open());
        for call in choice.calls.iter_mut().filter(|call| call.is_open) {
            call.is_open = false;
            call.piece.end(sink);
        }
        choice.is_finished = true;
        let reason = match stop_reason(reason) {
            // Incomplete arguments mean that the call was cut off, whatever the
            // finish reason says.
            StopReason::End | StopReason::ToolCalls if is_torn => StopReason::Length,
            StopReason::End if !choice.calls.is_empty() => StopReason::ToolCalls,
            StopReason::ToolCalls if choice.calls.is_empty() => StopReason::End,
            reason => reason,
        };
        sink(Event::Finish { choice: choice.index, stop: Stop::from(reason) });
    }
}

impl Choice {
    /// Ends calls with complete arguments, because another part begins.
    fn stop_whole_calls(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        for call in self.calls.iter_mut().filter(|call| call.is_open && call.balance.is_complete()) {
            if !call.is_custom && call.nameless.is_none() {
                call.is_open = false;
                call.piece.end(sink);
            }
        }
    }
}

/// Maps an upstream's finish reason to a stop reason.
pub(crate) fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => StopReason::Length,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolCalls,
        "content_filter" | "refusal" | "safety" => StopReason::Refusal,
        _ => StopReason::End,
    }
}
