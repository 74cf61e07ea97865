//! Normalises events between the upstream's decoder and the client's encoder:
//! restores the tools' names, makes sure that arguments are JSON, and puts
//! parts one after the other for clients that need it.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{Event, Names, json::Raw, outbound::CUSTOM_INPUT, response::PartKind};

#[derive(Debug, Default)]
pub(crate) struct Funnel {
    names: Names,
    id: String,
    calls: BTreeMap<u32, Call>,
    sequence: Option<Sequence>,
}

#[derive(Debug, Default)]
struct Call {
    /// The function's arguments, collected until the plain text in them is
    /// complete.
    wrapped: Option<String>,
    is_custom: bool,
    has_arguments: bool,
}

impl Funnel {
    /// With `is_sequential`, a part begins only after the previous one has
    /// ended. Calls without an id get one made from `id`.
    pub(crate) fn new(names: Names, is_sequential: bool, id: &str) -> Self {
        let sequence = is_sequential.then(Sequence::default);
        Self { names, id: id.to_owned(), calls: BTreeMap::new(), sequence }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Self { names, id, calls, sequence } = self;
        let mut next = |event: Event<'_>| match sequence {
            Some(sequence) => sequence.event(event, sink),
            None => sink(event),
        };
        match event {
            Event::PartStart { part, choice, kind: PartKind::ToolCall(mut call) } => {
                let mut state = Call { is_custom: call.is_custom, ..Call::default() };
                if let Some(renamed) = names.of(&call.name) {
                    state.wrapped = renamed.is_custom.then(String::new);
                    call.is_custom |= renamed.is_custom;
                    call.namespace.clone_from(&renamed.namespace);
                    call.name = Cow::Owned(renamed.name.clone());
                }
                if call.id.is_empty() {
                    call.id = Cow::Owned(format!("call_{id}_{part}"));
                }
                calls.insert(part, state);
                next(Event::PartStart { part, choice, kind: PartKind::ToolCall(call) });
            }
            Event::Delta { part, text } => match calls.get_mut(&part) {
                Some(Call { wrapped: Some(wrapped), .. }) => wrapped.push_str(&text),
                Some(call) => {
                    call.has_arguments |= !text.trim().is_empty();
                    next(Event::Delta { part, text });
                }
                None => next(Event::Delta { part, text }),
            },
            Event::PartStop { part } => {
                match calls.remove(&part) {
                    Some(Call { wrapped: Some(wrapped), .. }) => {
                        next(Event::Delta { part, text: Cow::Owned(unwrapped(wrapped)) });
                    }
                    // Empty arguments must still be JSON.
                    Some(Call { is_custom: false, has_arguments: false, .. }) => {
                        next(Event::Delta { part, text: Cow::Borrowed("{}") });
                    }
                    _ => {}
                }
                next(Event::PartStop { part });
            }
            event => next(event),
        }
    }
}

/// The plain text in a function's arguments, or the arguments unchanged if they
/// do not fit the schema.
fn unwrapped(arguments: String) -> String {
    let text = Raw::parse(&arguments).and_then(|raw| raw.get_str(CUSTOM_INPUT)).map(Cow::into_owned);
    text.unwrap_or(arguments)
}

/// Lets one part through at a time. Events of later parts are queued.
#[derive(Debug, Default)]
struct Sequence {
    live: Option<u32>,
    /// In the order in which they began.
    waiting: BTreeMap<u32, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    choice: u32,
    kind: PartKind<'static>,
    text: String,
    later: Vec<Event<'static>>,
    is_over: bool,
}

impl Sequence {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match event {
            // An item may take its place before its part starts. Its progress is nothing to wait for.
            Event::Progress { part, .. } => {
                if *self.live.get_or_insert(part) == part {
                    sink(event);
                }
            }
            Event::PartStart { part, choice, kind } if self.live.is_some_and(|live| live != part) => {
                let waiting = Waiting {
                    choice,
                    kind: kind.into_owned(),
                    text: String::new(),
                    later: Vec::new(),
                    is_over: false,
                };
                self.waiting.insert(part, waiting);
            }
            Event::PartStart { part, .. } => {
                self.live = Some(part);
                sink(event);
            }
            Event::Delta { part, ref text } => match self.waiting.get_mut(&part) {
                Some(waiting) => waiting.text.push_str(text),
                None => sink(event),
            },
            Event::Signature { part, ref signature } => match self.waiting.get_mut(&part) {
                Some(waiting) => {
                    let signature = Cow::Owned(signature.clone().into_owned());
                    waiting.later.push(Event::Signature { part, signature });
                }
                None => sink(event),
            },
            Event::Annotation { part, ref json } => match self.waiting.get_mut(&part) {
                Some(waiting) => waiting.later.push(Event::Annotation { part, json: json.clone() }),
                None => sink(event),
            },
            Event::PartStop { part } => match self.waiting.get_mut(&part) {
                Some(waiting) => waiting.is_over = true,
                None if self.live == Some(part) => {
                    sink(event);
                    self.live = None;
                    self.next(sink);
                }
                None => {}
            },
            event => sink(event),
        }
    }

    /// Emits queued parts, up to and including the first that has not ended.
    fn next(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        while let Some((part, waiting)) = self.waiting.pop_first() {
            sink(Event::PartStart { part, choice: waiting.choice, kind: waiting.kind });
            if !waiting.text.is_empty() {
                sink(Event::Delta { part, text: Cow::Owned(waiting.text) });
            }
            waiting.later.into_iter().for_each(&mut *sink);
            if !waiting.is_over {
                self.live = Some(part);
                return;
            }
            sink(Event::PartStop { part });
        }
    }
}
