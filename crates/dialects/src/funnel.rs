//! What every answer goes through between its upstream's dialect and its
//! client's: tools get their own names back, arguments are always JSON, and
//! parts come one after the other where the client expects that.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{Event, Names, json::Raw, outgoing::CUSTOM_INPUT, response::PartKind};

#[derive(Debug, Default)]
pub(crate) struct Funnel {
    names: Names,
    id: String,
    calls: BTreeMap<u32, Call>,
    sequence: Option<Sequence>,
}

#[derive(Debug, Default)]
struct Call {
    /// The function's arguments, until the plain text in them is whole.
    wrapped: Option<String>,
    is_custom: bool,
    has_arguments: bool,
}

impl Funnel {
    /// `is_sequential`: no part begins before the one before it has ended.
    /// `id` makes the ids of calls that came without one.
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
                    // No arguments at all still have to be JSON.
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

/// The plain text in a function's arguments, or all of them if they are not
/// what was asked for.
fn unwrapped(arguments: String) -> String {
    let text = Raw::parse(&arguments).and_then(|raw| raw.get_str(CUSTOM_INPUT)).map(Cow::into_owned);
    text.unwrap_or(arguments)
}

/// Lets one part through at a time. The others wait, each whole behind the
/// one before it.
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
            Event::PartStart { part, choice, kind } if self.live.is_some() => {
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
                None => {
                    sink(event);
                    self.live = None;
                    self.next(sink);
                }
            },
            event => sink(event),
        }
    }

    /// Lets those through that have waited, up to one that has not ended.
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
