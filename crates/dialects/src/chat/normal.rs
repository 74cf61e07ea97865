//! Passes an upstream's chunks on to a client of the same dialect. Chunks that
//! look like OpenAI's pass unchanged. Members that would break a client's SDK
//! are rewritten, and the rest of the chunk is copied.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Error, Event, Reply, Usage,
    chat::{
        calls::{self, CallKey, CallRef},
        decode::Decoder,
        encode::finish_reason,
    },
    json::Raw,
    response::Stop,
    sse::Frame,
    usage,
    write::{self, Array, Object},
};

#[derive(Debug)]
pub(crate) struct Normalizer {
    decoder: Decoder,
    reply_id: String,
    id: String,
    created: String,
    model: String,
    /// What all chunks share is known.
    has_head: bool,
    include_usage: bool,
    request_id: String,
    choices: BTreeMap<u64, Choice>,
    usage: Option<Usage>,
    /// The choices that this chunk finishes, which still need a chunk for it.
    late_ends: Vec<(u64, &'static str)>,
    scratch: String,
}

#[derive(Debug, Default)]
struct Choice {
    has_role: bool,
    is_finished: bool,
    keys: Vec<CallKey>,
    /// One for each key, in the same order.
    calls: Vec<Call>,
}

/// A call of a tool as its client sees it.
#[derive(Debug, Default)]
struct Call {
    /// Its index, once its name has come.
    place: Option<usize>,
    /// What has come of its arguments before its name.
    early: String,
    is_custom: bool,
    has_arguments: bool,
}

impl Choice {
    /// The indexes of functions that have no arguments at all, which are no JSON.
    fn silent_calls(&self) -> impl Iterator<Item = usize> {
        self.calls.iter().filter(|call| !call.is_custom && !call.has_arguments).filter_map(|call| call.place)
    }

    /// The index of the next call that has a name.
    fn next_place(&self) -> usize {
        self.calls.iter().filter(|call| call.place.is_some()).count()
    }
}

/// The events that the decoder emitted for one chunk.
#[derive(Debug, Default)]
struct ChunkEvents {
    finishes: Vec<(u32, Stop)>,
    error: Option<Error>,
    is_over: bool,
}

impl Normalizer {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            decoder: Decoder::default(),
            reply_id: reply.id.clone(),
            id: format!("chatcmpl-{}", reply.id),
            created: reply.created.to_string(),
            model: reply.model.clone(),
            // The chunks of an answer that is stored are called as that is.
            has_head: reply.has_own_id,
            include_usage: reply.include_usage,
            request_id: reply.request_id.clone(),
            choices: BTreeMap::new(),
            usage: None,
            late_ends: Vec::new(),
            scratch: String::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        let events = self.observe(sink, |decoder, sink| decoder.frame(frame, sink));
        let raw = Raw::parse(frame.data.trim()).filter(|raw| raw.is_object());
        if let Some(raw) = raw.filter(|_| events.error.is_none()) {
            self.chunk(raw, &events, out);
        }
        self.close(&events, out);
    }

    pub(crate) fn end(&mut self, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        let events = self.observe(sink, |decoder, sink| decoder.end(false, sink));
        self.close(&events, out);
    }

    pub(crate) fn fail(&mut self, error: Error, out: &mut String, sink: &mut dyn FnMut(&Event<'_>)) {
        let events = self.observe(sink, |decoder, sink| decoder.fail(error, sink));
        self.close(&events, out);
    }

    fn observe(
        &mut self,
        sink: &mut dyn FnMut(&Event<'_>),
        run: impl FnOnce(&mut Decoder, &mut dyn FnMut(Event<'_>)),
    ) -> ChunkEvents {
        let (mut events, usage) = (ChunkEvents::default(), &mut self.usage);
        run(&mut self.decoder, &mut |event| {
            sink(&event);
            match event {
                Event::Finish { choice, stop } => events.finishes.push((choice, stop)),
                Event::Usage(counts) => *usage = Some(counts),
                Event::End => events.is_over = true,
                Event::Error(error) => events.error = Some(error),
                _ => {}
            }
        });
        events
    }

    fn close(&mut self, events: &ChunkEvents, out: &mut String) {
        if let Some(error) = &events.error {
            out.push_str("data: ");
            error.write(crate::Dialect::Chat, &self.request_id, out);
            return out.push_str("\n\n");
        }
        if !events.is_over {
            return;
        }
        self.finish_silent_ends(events, out);
        if self.include_usage {
            let usage = self.usage.unwrap_or_default();
            out.push_str("data: ");
            write::object_into(out, |o| {
                self.head(o);
                o.raw("choices", "[]");
                o.object("usage", |o| usage::write_openai(&usage, &usage::CHAT, o));
            });
            out.push_str("\n\n");
        }
        out.push_str("data: [DONE]\n\n");
    }

    /// A choice that only `[DONE]` ended still needs its last chunk.
    fn finish_silent_ends(&mut self, events: &ChunkEvents, out: &mut String) {
        for (index, stop) in &events.finishes {
            let choice = self.choices.entry(u64::from(*index)).or_default();
            if !std::mem::replace(&mut choice.is_finished, true) {
                self.last_chunk(u64::from(*index), finish_reason(stop, false), out);
            }
        }
    }

    /// The last chunk of a choice. Functions without arguments get the `{}` that clients parse.
    fn last_chunk(&self, index: u64, reason: &str, out: &mut String) {
        let silent: Vec<usize> =
            self.choices.get(&index).into_iter().flat_map(Choice::silent_calls).collect();
        out.push_str("data: ");
        write::object_into(out, |o| {
            self.head(o);
            o.array("choices", |a| {
                a.object(|o| {
                    o.put("index", index);
                    o.object("delta", |o| {
                        if !silent.is_empty() {
                            o.array("tool_calls", |a| {
                                silent.iter().for_each(|place| no_arguments(*place, a))
                            });
                        }
                    });
                    o.str("finish_reason", reason);
                });
            });
            if self.include_usage {
                o.null("usage");
            }
        });
        out.push_str("\n\n");
    }

    fn head(&self, o: &mut Object<'_>) {
        o.str("id", &self.id);
        o.str("object", "chat.completion.chunk");
        o.raw("created", &self.created);
        o.str("model", &self.model);
    }

    fn chunk(&mut self, raw: Raw<'_>, events: &ChunkEvents, out: &mut String) {
        self.begin(raw);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let (mut is_changed, mut has_choices) = (false, false);
        write::object_into(&mut scratch, |o| {
            is_changed |= self.members(raw, o);
            for (name, value) in raw.members() {
                match name.as_ref() {
                    "id" | "object" | "created" | "model" | "usage" => {}
                    "choices" => {
                        let (changed, count) = self.choices(value, events, o);
                        is_changed |= changed;
                        has_choices |= count > 0;
                    }
                    _ => o.raw(&name, value.text()),
                }
            }
            if self.include_usage {
                o.null("usage");
            }
        });
        if has_choices {
            out.push_str("data: ");
            out.push_str(if is_changed { &scratch } else { raw.text() });
            out.push_str("\n\n");
        }
        self.scratch = scratch;
        for (index, reason) in std::mem::take(&mut self.late_ends) {
            self.last_chunk(index, reason, out);
        }
    }

    /// Takes over from the first chunk what all chunks share.
    fn begin(&mut self, raw: Raw<'_>) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        if let Some(id) = raw.get_str("id").filter(|id| !id.is_empty()) {
            self.id = id.into_owned();
        }
        if let Some(created) = raw.get("created").filter(|created| created.as_u64().is_some()) {
            created.text().clone_into(&mut self.created);
        }
        if let Some(model) = raw.get_str("model").filter(|model| !model.is_empty()) {
            self.model = model.into_owned();
        }
    }

    /// Writes the members that every chunk has. Returns whether any of them
    /// differs from the upstream's.
    fn members(&self, raw: Raw<'_>, o: &mut Object<'_>) -> bool {
        self.head(o);
        let (mut same, mut usage) = (0_u8, None);
        for (name, value) in raw.members() {
            let is_same = match name.as_ref() {
                "id" => value.as_str().is_some_and(|id| id == self.id),
                "object" => value.as_str().is_some_and(|object| object == "chat.completion.chunk"),
                "created" => value.text() == self.created,
                "model" => value.as_str().is_some_and(|model| model == self.model),
                "usage" => {
                    usage = Some(value.is_null());
                    false
                }
                _ => false,
            };
            same = same.saturating_add(u8::from(is_same));
        }
        let is_usage_right = usage == self.include_usage.then_some(true);
        same != 4 || !is_usage_right
    }

    /// Returns whether anything changed, and how many choices are left.
    fn choices(&mut self, raw: Raw<'_>, events: &ChunkEvents, o: &mut Object<'_>) -> (bool, usize) {
        let (mut is_changed, mut count) = (false, 0_usize);
        o.array("choices", |a| {
            for choice in raw.items() {
                let index = choice.get_u64("index");
                let place = index.unwrap_or_default();
                if self.choices.get(&place).is_some_and(|choice| choice.is_finished) {
                    is_changed = true;
                    continue;
                }
                is_changed |= index.is_none();
                count = count.saturating_add(1);
                a.object(|o| is_changed |= self.choice(place, choice, events, o));
            }
        });
        (is_changed, count)
    }

    fn choice(&mut self, index: u64, raw: Raw<'_>, events: &ChunkEvents, o: &mut Object<'_>) -> bool {
        let Self { choices, reply_id, late_ends, .. } = self;
        let state = choices.entry(index).or_default();
        let stop = events.finishes.iter().find(|(place, _)| u64::from(*place) == index).map(|(_, stop)| stop);
        let (mut is_changed, mut has_delta) = (false, false);
        o.put("index", index);
        for (name, value) in raw.members() {
            match name.as_ref() {
                "index" | "finish_reason" => {}
                "delta" | "message" => {
                    has_delta = true;
                    is_changed |= name == "message" || value.is_null();
                    o.object("delta", |o| is_changed |= delta(state, reply_id, value, o));
                }
                _ => o.raw(&name, value.text()),
            }
        }
        if !has_delta {
            is_changed = true;
            o.raw("delta", "{}");
        }
        let reason = stop.map(|stop| finish_reason(stop, false));
        let given = raw.members().find(|(name, _)| name == "finish_reason").map(|(_, value)| value);
        let is_legacy = given.and_then(Raw::as_str).is_some_and(|given| given == "function_call");
        let reason = if is_legacy { reason.map(|_| "function_call") } else { reason };
        is_changed |= match (given, reason) {
            (Some(given), Some(reason)) => given.as_str().is_none_or(|given| given != reason),
            (Some(given), None) => !given.is_null(),
            (None, _) => true,
        };
        state.is_finished |= reason.is_some();
        let late = reason.filter(|_| !is_legacy && state.silent_calls().next().is_some());
        late_ends.extend(late.map(|reason| (index, reason)));
        o.str_or_null("finish_reason", reason.filter(|_| late.is_none()));
        is_changed | late.is_some()
    }
}

fn delta(state: &mut Choice, reply_id: &str, raw: Raw<'_>, o: &mut Object<'_>) -> bool {
    let mut is_changed = false;
    let has_thoughts = raw.get("reasoning_content").is_some();
    if !state.has_role && raw.get_str("role").is_none_or(|role| role != "assistant") {
        is_changed = true;
        state.has_role = true;
        o.str("role", "assistant");
    }
    for (name, value) in raw.members() {
        match name.as_ref() {
            "role" if state.has_role => is_changed = true,
            "role" => {
                state.has_role = true;
                o.raw("role", value.text());
            }
            "content" if value.is_array() => {
                is_changed = true;
                let texts: Vec<_> = value.items().filter_map(|part| part.get_str("text")).collect();
                o.str("content", &texts.concat());
            }
            "reasoning" => {
                is_changed = true;
                if !has_thoughts && value.is_string() {
                    o.raw("reasoning_content", value.text());
                }
            }
            "tool_calls" if value.is_array() => {
                let mut calls = String::new();
                write::array_into(&mut calls, |a| {
                    for (nth, call) in (0_u64..).zip(value.items()) {
                        is_changed |= tool_call(state, reply_id, nth, call, a);
                    }
                });
                // Clients read the first call without asking whether there is one.
                if calls == "[]" {
                    is_changed = true;
                } else {
                    o.raw("tool_calls", &calls);
                }
            }
            "tool_calls" => is_changed = true,
            _ => o.raw(&name, value.text()),
        }
    }
    is_changed
}

fn no_arguments(place: usize, a: &mut Array<'_>) {
    a.object(|o| {
        o.put("index", place);
        o.object("function", |o| o.str("arguments", "{}"));
    });
}

fn tool_call(state: &mut Choice, reply_id: &str, nth: u64, raw: Raw<'_>, a: &mut Array<'_>) -> bool {
    let id = raw.get_str("id").filter(|id| !id.is_empty());
    let kind = if raw.get("custom").is_some() { "custom" } else { "function" };
    let inner = raw.get(kind);
    let name = inner.and_then(|inner| inner.get_str("name")).filter(|name| !name.is_empty());
    let given = raw.get_u64("index");
    let index = given.or_else(|| (id.is_none() && nth > 0).then_some(nth));
    let known = calls::place(&state.keys, &CallRef { index, id: id.clone(), has_name: name.is_some() });
    let next = state.next_place();
    let at = known.unwrap_or(state.keys.len());
    if known.is_none() {
        state.keys.push(CallKey { index, ..CallKey::default() });
        state.calls.push(Call { is_custom: kind == "custom", ..Call::default() });
    }
    let (Some(call), Some(key)) = (state.calls.get_mut(at), state.keys.get_mut(at)) else { return true };
    key.fill(id.as_deref());
    let text = if kind == "custom" { "input" } else { "arguments" };
    let arguments = inner.and_then(|inner| inner.get(text));
    let said = arguments.map(|arguments| arguments.as_str().unwrap_or(Cow::Borrowed(arguments.text())));
    call.has_arguments |= said.as_ref().is_some_and(|said| !said.trim().is_empty());
    let is_new = call.place.is_none();
    if is_new && name.is_none() {
        call.early.push_str(&said.unwrap_or_default());
        return true;
    }
    let place = *call.place.get_or_insert(next);
    let early = std::mem::take(&mut call.early);
    let has_type = raw.get("type").is_some();
    let mut is_changed = given != u64::try_from(place).ok()
        || inner.is_none()
        || !early.is_empty()
        || arguments.is_none_or(|arguments| !arguments.is_string())
        || if is_new {
            id.is_none() || !has_type
        } else {
            // A key that is null or empty also breaks SDKs.
            raw.members().any(|(name, _)| name == "id" || name == "type")
                || inner.is_some_and(|inner| inner.members().any(|(name, _)| name == "name"))
        };
    a.object(|o| {
        o.put("index", place);
        if is_new {
            match key.id.as_str() {
                "" => o.str("id", &format!("call_{reply_id}_{place}")),
                id => o.str("id", id),
            }
            o.str("type", kind);
        }
        o.object(kind, |o| {
            if is_new {
                o.str("name", name.as_deref().unwrap_or_default());
            }
            match arguments {
                Some(arguments) if arguments.is_string() && early.is_empty() => o.raw(text, arguments.text()),
                _ => o.str(text, &(early + &said.unwrap_or_default())),
            }
        });
        for (name, value) in raw.members() {
            if !matches!(name.as_ref(), "index" | "id" | "type" | "function" | "custom") {
                o.raw(&name, value.text());
            }
        }
    });
    is_changed |= raw.get("type").is_some_and(|given| given.as_str().is_none_or(|given| given != kind));
    is_changed
}
