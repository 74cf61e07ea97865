//! Translates a stream from an upstream to a client.

use std::rc::Rc;

use crate::{
    ChatForm, Dialect, Error, Event, Json, Reply, Usage, chat, completions,
    funnel::Funnel,
    json::Raw,
    messages,
    response::{PartKind, Stop},
    responses,
    shortcut::Shortcut,
    sse::{Frame, Splitter},
    stops::Stops,
    tokens,
};

/// Translates a streamed response from the upstream's dialect into the
/// client's. [`Stream::meter`] reports its progress.
#[derive(Debug)]
pub struct Stream {
    splitter: Splitter,
    translation: Translation,
    /// For the pairs of dialects for which it is known to change nothing.
    shortcut: Option<Shortcut>,
    meter: Meter,
    text: String,
}

/// Sees a model's events before the client does: passes them on, changes them,
/// or ends the response.
pub trait Filter: std::fmt::Debug {
    /// Passes to `sink` what the client gets of an event.
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>));
}

/// What has arrived so far.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// The last counts that the upstream reported.
    pub usage: Option<Usage>,
    /// Output has arrived, so the gateway can no longer switch to another
    /// upstream.
    pub has_begun: bool,
    /// The response is complete.
    pub is_complete: bool,
    /// The response failed.
    pub error: Option<Error>,
    /// Why the model stopped; `None` until it has.
    pub stop: Option<Stop>,
    /// How many pieces of content arrived.
    pub pieces: u64,
    /// Their tokens, estimated by their text.
    pub estimated_output: u64,
    /// The model's name at the upstream.
    pub model: String,
}

impl Meter {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { model, .. } => model.as_ref().clone_into(&mut self.model),
            // A text that is still empty is no output: a failure now can be another model's answer.
            Event::PartStart { kind, .. } => self.has_begun |= !matches!(kind, PartKind::Text { .. }),
            Event::Working | Event::Progress { .. } => self.has_begun = true,
            Event::Delta { text, .. } => {
                self.has_begun = true;
                self.pieces = self.pieces.saturating_add(1);
                self.estimated_output = self.estimated_output.saturating_add(tokens::estimate(text));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { stop, .. } => {
                self.has_begun = true;
                self.stop = Some(stop.clone());
            }
            Event::End => self.is_complete = true,
            Event::Error(error) => self.error = Some(error.clone()),
            Event::Signature { .. } | Event::Annotation { .. } | Event::PartStop { .. } => {}
        }
    }

    /// The usage to bill, and whether it is an estimate: a response that broke
    /// off is billed for its prompt and the output so far.
    pub fn charged(&self, prompt_estimate: u64) -> (Usage, bool) {
        match self.usage {
            Some(usage) if self.is_complete => (usage, false),
            usage => {
                let usage = usage.unwrap_or(Usage { input: prompt_estimate, ..Usage::default() });
                let output = usage.output.max(self.estimated_output).max(self.pieces);
                (Usage { output, ..usage }, true)
            }
        }
    }
}

#[derive(Debug)]
enum Translation {
    Translate { decoder: Decoder, filter: Option<Box<dyn Filter>>, funnel: Box<Funnel>, encoder: Encoder },
    Chat(chat::normal::Normalizer),
    Responses(responses::normal::Normalizer),
    Messages(PassedOn),
}

/// A stream of Anthropic's that its client gets byte for byte.
#[derive(Debug)]
struct PassedOn {
    decoder: messages::decode::Decoder,
    request_id: String,
}

impl Stream {
    /// Makes a stream from an upstream's dialect to a client's; the two may be
    /// the same.
    pub fn new(upstream: Dialect, client: Dialect, reply: &Reply) -> Self {
        let translation = match (upstream, client) {
            (Dialect::Chat, Dialect::Chat) if !reply.is_changed() => {
                Translation::Chat(chat::normal::Normalizer::new(reply))
            }
            (Dialect::Responses, Dialect::Responses) if !reply.is_changed() => {
                Translation::Responses(responses::normal::Normalizer::new(reply))
            }
            (Dialect::Messages, Dialect::Messages) if !reply.is_changed() => {
                let request_id = reply.request_id.clone();
                let decoder = messages::decode::Decoder::default();
                Translation::Messages(PassedOn { decoder, request_id })
            }
            _ => Translation::translate(upstream, client, reply, None),
        };
        // A piece of text changes nothing in what these write of the next one, but for the encoder of
        // chunks, which counts characters: `rewrite` lets it count those of the shortcut.
        let has_shortcut = match &translation {
            Translation::Chat(_) | Translation::Messages(_) => true,
            Translation::Translate { encoder, .. } => {
                let has_pieces = upstream != Dialect::Responses && reply.stops.is_empty();
                has_pieces && matches!(encoder, Encoder::Chat(_) | Encoder::Messages(_))
            }
            Translation::Responses(_) => false,
        };
        Self { shortcut: has_shortcut.then(Shortcut::default), ..Self::of(translation) }
    }

    fn of(translation: Translation) -> Self {
        let (splitter, meter, text) = (Splitter::default(), Meter::default(), String::new());
        Self { splitter, translation, shortcut: None, meter, text }
    }

    #[cfg(test)]
    pub(crate) fn without_shortcut(self) -> Self {
        Self { shortcut: None, ..self }
    }

    #[cfg(test)]
    pub(crate) fn has_learnt(&self) -> bool {
        self.shortcut.as_ref().is_some_and(Shortcut::is_confirmed)
    }

    /// Like [`Stream::new`], but also translates between equal dialects: for an upstream
    /// whose events only resemble the dialect.
    pub fn translated(upstream: Dialect, client: Dialect, reply: &Reply) -> Self {
        Self::of(Translation::translate(upstream, client, reply, None))
    }

    /// Like [`Stream::new`], but the client gets only what `filter` passes on.
    /// The meter counts everything that arrived.
    pub fn filtered(upstream: Dialect, client: Dialect, reply: &Reply, filter: Box<dyn Filter>) -> Self {
        Self::of(Translation::translate(upstream, client, reply, Some(filter)))
    }

    /// What has arrived so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The stream will write nothing more.
    pub fn is_over(&self) -> bool {
        self.meter.is_complete || self.meter.error.is_some()
    }

    /// Takes the upstream's next bytes and appends their translation to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { splitter, translation, shortcut, meter, text } = self;
        text.clear();
        let pushed = splitter.push(bytes, |frame| translation.frame(frame, shortcut, meter, text, out));
        if pushed.is_err() {
            self.fail(
                Error::new(crate::Class::Upstream, "The model's provider sent an event that is too long"),
                out,
            );
        }
    }

    /// The upstream's stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { splitter, translation, shortcut, meter, text } = self;
        text.clear();
        splitter.finish(|frame| {
            // A last event may lack its blank line, so it counts only if its
            // data is complete. The error for a truncated stream follows below.
            if crate::json::Raw::parse(frame.data.trim()).is_some() || frame.data.trim() == "[DONE]" {
                translation.frame(frame, shortcut, meter, text, out);
                // What passes byte for byte lacks the blank line too, without which a client ignores the event.
                if matches!(translation, Translation::Messages(_)) {
                    out.extend_from_slice(b"\n\n");
                }
            }
        });
        if !self.is_over() {
            let Self { translation, meter, text, .. } = self;
            text.clear();
            translation.end(None, meter, text);
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// The gateway ends the response with an error: it took too long, or its
    /// text is not allowed.
    pub fn fail(&mut self, error: Error, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        let Self { translation, meter, text, .. } = self;
        text.clear();
        translation.end(Some(error), meter, text);
        out.extend_from_slice(text.as_bytes());
    }
}

impl Translation {
    fn translate(upstream: Dialect, client: Dialect, reply: &Reply, filter: Option<Box<dyn Filter>>) -> Self {
        Self::Translate {
            decoder: Decoder::new(upstream),
            filter: Stops::before(&reply.stops, filter),
            funnel: Box::new(Funnel::new(reply.names.clone(), client != Dialect::Chat, &reply.id)),
            encoder: Encoder::new(client, reply),
        }
    }

    fn frame(
        &mut self,
        frame: Frame<'_>,
        shortcut: &mut Option<Shortcut>,
        meter: &mut Meter,
        text: &mut String,
        out: &mut Vec<u8>,
    ) {
        if meter.is_complete || meter.error.is_some() {
            return;
        }
        if let Self::Messages(passed) = self {
            if passed.frame(frame, shortcut, meter, text) {
                out.extend_from_slice(frame.raw);
            }
        } else if !frame.is_silent() {
            self.rewrite(frame, shortcut, meter, text);
        }
        out.extend_from_slice(text.as_bytes());
        text.clear();
    }

    fn rewrite(
        &mut self,
        frame: Frame<'_>,
        shortcut: &mut Option<Shortcut>,
        meter: &mut Meter,
        text: &mut String,
    ) {
        if let Some(event) = shortcut.as_ref().and_then(|shortcut| shortcut.translate(frame, text)) {
            if let Self::Translate { encoder: Encoder::Chat(encoder), .. } = self {
                encoder.count(&event);
            }
            return meter.event(&event);
        }
        let mut see = |event: &Event<'_>| see(event, meter, shortcut);
        match self {
            Self::Translate { decoder, filter, funnel, encoder } => decoder.frame(frame, &mut |event| {
                see(&event);
                let mut encode =
                    |event: Event<'_>| funnel.event(event, &mut |event| encoder.event(event, text));
                match filter {
                    Some(filter) => filter.event(event, &mut encode),
                    None => encode(event),
                }
            }),
            Self::Chat(normalizer) => normalizer.frame(frame, text, &mut see),
            Self::Responses(normalizer) => normalizer.frame(frame, text, &mut see),
            Self::Messages(_) => {}
        }
        if let Some(shortcut) = shortcut {
            shortcut.learn(frame, Some(text));
        }
    }

    /// Ends a stream whose last event is missing, with the gateway's error if
    /// there is one.
    fn end(&mut self, error: Option<Error>, meter: &mut Meter, text: &mut String) {
        match self {
            Self::Translate { decoder, filter, funnel, encoder } => {
                let mut sink = |event: Event<'_>| {
                    meter.event(&event);
                    let mut encode =
                        |event: Event<'_>| funnel.event(event, &mut |event| encoder.event(event, text));
                    match filter {
                        Some(filter) => filter.event(event, &mut encode),
                        None => encode(event),
                    }
                };
                match error {
                    Some(error) => decoder.fail(error, &mut sink),
                    None => decoder.end(&mut sink),
                }
            }
            Self::Chat(normalizer) => {
                let mut sink = |event: &Event<'_>| meter.event(event);
                match error {
                    Some(error) => normalizer.fail(error, text, &mut sink),
                    None => normalizer.end(text, &mut sink),
                }
            }
            Self::Responses(normalizer) => {
                let mut sink = |event: &Event<'_>| meter.event(event);
                match error {
                    Some(error) => normalizer.fail(error, text, &mut sink),
                    None => normalizer.end(text, &mut sink),
                }
            }
            Self::Messages(passed) => passed.end(error, meter, text),
        }
    }
}

/// Sees an event of a frame that is translated without the shortcut.
fn see(event: &Event<'_>, meter: &mut Meter, shortcut: &mut Option<Shortcut>) {
    meter.event(event);
    if let Some(shortcut) = shortcut {
        shortcut.see(event);
    }
}

impl PassedOn {
    /// Reads an event. Returns whether the client gets its bytes; else `text` is what it gets in their place.
    fn frame(
        &mut self,
        frame: Frame<'_>,
        shortcut: &mut Option<Shortcut>,
        meter: &mut Meter,
        text: &mut String,
    ) -> bool {
        if let Some(event) = shortcut.as_ref().and_then(|shortcut| shortcut.translate(frame, text)) {
            meter.event(&event);
            return true;
        }
        if frame.is_silent() {
            return true;
        }
        let is_json = crate::json::Raw::parse(frame.data).is_some();
        self.decoder.frame(frame, &mut |event| see(&event, meter, shortcut));
        if let Some(shortcut) = shortcut {
            shortcut.learn(frame, None);
        }
        match &meter.error {
            Some(error) if !is_json => {
                write_error(error, &self.request_id, text);
                false
            }
            _ => true,
        }
    }

    /// Ends a stream whose last event is missing, with the gateway's error if
    /// there is one.
    fn end(&mut self, error: Option<Error>, meter: &mut Meter, text: &mut String) {
        let mut sink = |event: Event<'_>| meter.event(&event);
        match error {
            Some(error) => self.decoder.fail(error, &mut sink),
            None => self.decoder.end(&mut sink),
        }
        if let Some(error) = &meter.error {
            write_error(error, &self.request_id, text);
        }
    }
}

fn write_error(error: &Error, request_id: &str, text: &mut String) {
    text.push_str("event: error\ndata: ");
    error.write(Dialect::Messages, request_id, text);
    text.push_str("\n\n");
}

/// Decodes an upstream's events.
#[derive(Debug)]
enum Decoder {
    Chat(chat::decode::Decoder),
    Responses(responses::decode::Decoder),
    Messages(messages::decode::Decoder),
}

impl Decoder {
    fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat(chat::decode::Decoder::default()),
            Dialect::Responses => Self::Responses(responses::decode::Decoder::default()),
            Dialect::Messages => Self::Messages(messages::decode::Decoder::default()),
        }
    }

    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Chat(decoder) => decoder.frame(frame, sink),
            Self::Responses(decoder) => decoder.frame(frame, sink),
            Self::Messages(decoder) => decoder.frame(frame, sink),
        }
    }

    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Chat(decoder) => decoder.end(false, sink),
            Self::Responses(decoder) => decoder.end(sink),
            Self::Messages(decoder) => decoder.end(sink),
        }
    }

    fn fail(&mut self, error: Error, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Chat(decoder) => decoder.fail(error, sink),
            Self::Responses(decoder) => decoder.fail(error, sink),
            Self::Messages(decoder) => decoder.fail(error, sink),
        }
    }
}

/// Encodes events for a client.
#[derive(Debug)]
enum Encoder {
    Chat(chat::encode::Encoder),
    Original(chat::original::Encoder),
    Completion(completions::Encoder),
    Responses(Box<responses::encode::Encoder>),
    Messages(messages::encode::Encoder),
}

impl Encoder {
    fn new(dialect: Dialect, reply: &Reply) -> Self {
        match dialect {
            Dialect::Chat => match &reply.form {
                ChatForm::Chat => Self::Chat(chat::encode::Encoder::new(reply)),
                ChatForm::Original => Self::Original(chat::original::Encoder::new(reply)),
                ChatForm::Completion { prompt } => {
                    Self::Completion(completions::Encoder::new(reply, prompt.clone()))
                }
            },
            Dialect::Responses => Self::Responses(Box::new(responses::encode::Encoder::new(reply))),
            Dialect::Messages => Self::Messages(messages::encode::Encoder::new(reply)),
        }
    }

    fn event(&mut self, event: Event<'_>, out: &mut String) {
        match self {
            Self::Chat(encoder) => encoder.event(event, out),
            Self::Original(encoder) => encoder.event(event, out),
            Self::Completion(encoder) => encoder.event(event, out),
            Self::Responses(encoder) => encoder.event(event, out),
            Self::Messages(encoder) => encoder.event(event, out),
        }
    }
}

/// Collects an upstream's stream into a whole response, for a client that did
/// not ask for a stream or an API without streams.
#[derive(Debug)]
pub struct Reader {
    splitter: Splitter,
    decoder: Decoder,
    collector: crate::collect::Collector,
    meter: Meter,
    /// The last response in the stream of an upstream that speaks Responses.
    native: Option<Json>,
}

impl Reader {
    /// Reads the stream of an upstream that speaks this dialect.
    pub fn new(upstream: Dialect) -> Self {
        Self {
            splitter: Splitter::default(),
            decoder: Decoder::new(upstream),
            collector: crate::collect::Collector::default(),
            meter: Meter::default(),
            native: None,
        }
    }

    /// What has arrived so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The text of the first choice so far, without thoughts and calls.
    pub fn text(&self) -> String {
        self.collector.text()
    }

    /// Reads the next bytes, which may end anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut splitter = std::mem::take(&mut self.splitter);
        if splitter.push(bytes, |frame| self.frame(frame)).is_err() {
            self.meter.error.get_or_insert_with(Error::malformed);
        }
        self.splitter = splitter;
    }

    fn frame(&mut self, frame: Frame<'_>) {
        let Self { decoder, collector, meter, native, .. } = self;
        if frame.is_silent() || meter.is_complete || meter.error.is_some() {
            return;
        }
        decoder.frame(frame, &mut |event| {
            meter.event(&event);
            collector.event(&event);
        });
        if meter.is_complete && matches!(decoder, Decoder::Responses(_)) {
            *native = Raw::parse(frame.data).and_then(|event| event.get("response")).map(Json::from);
        }
    }

    /// The response, if the stream was complete.
    pub fn finish(mut self) -> Result<crate::Response, Error> {
        std::mem::take(&mut self.splitter).finish(|frame| self.frame(frame));
        let Self { decoder, collector, meter, .. } = &mut self;
        if !meter.is_complete && meter.error.is_none() {
            decoder.end(&mut |event| {
                meter.event(&event);
                collector.event(&event);
            });
        }
        match self.meter.error {
            Some(error) => Err(error),
            None => {
                let response = self.collector.finish()?;
                Ok(crate::Response { native: self.native.map(Rc::new), ..response })
            }
        }
    }
}

/// Writes a whole response as a client's stream: from the cache, or if the
/// gateway had to wait for the whole response.
pub fn stream_of(response: &crate::Response, client: Dialect, reply: &Reply) -> String {
    if client == Dialect::Responses
        && let Some(native) = responses::response::native(response, reply)
    {
        return responses::replay::stream(Json::written(native).raw());
    }
    let mut out = String::new();
    let mut funnel = Funnel::new(reply.names.clone(), client != Dialect::Chat, &reply.id);
    let mut encoder = Encoder::new(client, reply);
    crate::collect::replay(response, &mut |event| {
        funnel.event(event, &mut |event| encoder.event(event, &mut out));
    });
    out
}

/// Like [`stream_of`], but the client gets only what `filter` passes on.
pub fn filtered_stream_of(
    response: &crate::Response,
    client: Dialect,
    reply: &Reply,
    filter: &mut dyn Filter,
) -> String {
    let mut out = String::new();
    let mut funnel = Funnel::new(reply.names.clone(), client != Dialect::Chat, &reply.id);
    let mut encoder = Encoder::new(client, reply);
    crate::collect::replay(response, &mut |event| {
        filter.event(event, &mut |event| {
            funnel.event(event, &mut |event| encoder.event(event, &mut out));
        });
    });
    out
}

/// The response with the client's own tool names.
pub(crate) fn restored(response: &crate::Response, reply: &Reply) -> crate::Response {
    let mut funnel = Funnel::new(reply.names.clone(), false, &reply.id);
    let mut collector = crate::collect::Collector::default();
    crate::collect::replay(response, &mut |event| {
        funnel.event(event, &mut |event| collector.event(&event));
    });
    // Replaying a complete response cannot fail.
    let mut restored = collector.finish().unwrap_or_default();
    restored.created = response.created;
    restored.service_tier.clone_from(&response.service_tier);
    restored.chat.clone_from(&response.chat);
    for (choice, before) in restored.choices.iter_mut().zip(&response.choices) {
        choice.logprobs.clone_from(&before.logprobs);
    }
    restored
}
