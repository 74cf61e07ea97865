//! Converts events to a whole response, and back.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Dialect, Event, Json, Response,
    request::{Content, Part, Text, Thinking, ToolCall},
    response::{CallStart, Choice, PartKind, Stop},
    write,
};

/// Collects a stream's events into a response.
#[derive(Debug, Default)]
pub struct Collector {
    response: Response,
    parts: BTreeMap<u32, (u32, Content)>,
    annotations: BTreeMap<u32, Vec<Json>>,
    stops: BTreeMap<u32, Stop>,
    error: Option<crate::Error>,
    is_whole: bool,
}

impl Collector {
    /// Adds an event to the answer.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { id, model } => {
                id.as_ref().clone_into(&mut self.response.id);
                model.as_ref().clone_into(&mut self.response.model);
            }
            Event::PartStart { part, choice, kind } => {
                self.parts.insert(*part, (*choice, begun(kind)));
            }
            Event::Delta { part, text } => {
                if let Some((_, content)) = self.parts.get_mut(part) {
                    append(content, text);
                }
            }
            Event::Signature { part, signature } => {
                if let Some((_, Content::Thinking(thinking))) = self.parts.get_mut(part)
                    && let Thinking::Plain(text) = thinking
                {
                    *thinking = Thinking::Signed {
                        text: std::mem::take(text),
                        signature: signature.clone().into_owned(),
                    };
                }
            }
            Event::Annotation { part, json } => self.annotations.entry(*part).or_default().push(json.clone()),
            Event::PartStop { .. } | Event::Working | Event::Progress { .. } => {}
            Event::Finish { choice, stop } => {
                self.stops.insert(*choice, stop.clone());
            }
            Event::Usage(usage) => self.response.usage = Some(*usage),
            Event::End => self.is_whole = true,
            Event::Error(error) => self.error = Some(error.clone()),
        }
    }

    /// The text of the first choice so far.
    pub(crate) fn text(&self) -> String {
        let first = self.parts.values().filter(|(choice, _)| *choice == 0);
        let texts = first.filter_map(|(_, content)| match content {
            Content::Text(text) => Some(text.text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The response, if the stream was complete.
    pub fn finish(mut self) -> Result<Response, crate::Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if !self.is_whole {
            return Err(crate::Error::cut());
        }
        let mut choices: BTreeMap<u32, Choice> = self
            .stops
            .into_iter()
            .map(|(index, stop)| (index, Choice { parts: Vec::new(), stop, logprobs: None }))
            .collect();
        for (part, (index, mut content)) in self.parts {
            if let (Content::Text(text), Some(annotations)) = (&mut content, self.annotations.remove(&part)) {
                text.annotations = list(&annotations);
            }
            if let Some(choice) = choices.get_mut(&index) {
                choice.parts.push(content.into());
            }
        }
        self.response.choices = choices.into_values().collect();
        Ok(self.response)
    }
}

fn list(annotations: &[Json]) -> Option<Json> {
    let mut out = String::new();
    write::array_into(&mut out, |a| annotations.iter().for_each(|json| a.raw(json.as_str())));
    Json::parse(&out)
}

fn begun(kind: &PartKind<'_>) -> Content {
    match kind {
        PartKind::Text { phase } => Content::Text(Text { phase: phase.clone(), ..Text::default() }),
        PartKind::Refusal => Content::Refusal(String::new()),
        PartKind::Thinking => Content::Thinking(Thinking::Plain(String::new())),
        PartKind::Sealed(thinking) => Content::Thinking(thinking.clone()),
        PartKind::ToolCall(call) => Content::ToolCall(ToolCall {
            id: call.id.clone().into_owned(),
            name: call.name.clone().into_owned(),
            namespace: call.namespace.clone(),
            arguments: String::new(),
            is_custom: call.is_custom,
        }),
        PartKind::Item(json) => Content::Foreign {
            dialect: Dialect::Responses,
            kind: json.raw().get_str("type").unwrap_or_default().into_owned(),
            json: json.clone(),
        },
    }
}

fn append(content: &mut Content, text: &str) {
    match content {
        Content::Text(Text { text: known, .. })
        | Content::Refusal(known)
        | Content::Thinking(Thinking::Plain(known) | Thinking::Signed { text: known, .. })
        | Content::ToolCall(ToolCall { arguments: known, .. }) => known.push_str(text),
        _ => {}
    }
}

/// Emits a whole response as the events that a stream of it would have had.
pub fn replay(response: &Response, sink: &mut dyn FnMut(Event<'_>)) {
    sink(Event::Start { id: Cow::Borrowed(&response.id), model: Cow::Borrowed(&response.model) });
    let mut next = 0_u32;
    for (index, choice) in (0_u32..).zip(&response.choices) {
        for part in &choice.parts {
            replay_part(next, index, part, sink);
            next = next.saturating_add(1);
        }
        sink(Event::Finish { choice: index, stop: choice.stop.clone() });
    }
    if let Some(usage) = response.usage {
        sink(Event::Usage(usage));
    }
    sink(Event::End);
}

fn replay_part(part: u32, choice: u32, of: &Part, sink: &mut dyn FnMut(Event<'_>)) {
    let Some((kind, text)) = kind_of(&of.content) else { return };
    sink(Event::PartStart { part, choice, kind });
    if !text.is_empty() {
        sink(Event::Delta { part, text: Cow::Borrowed(text) });
    }
    match &of.content {
        Content::Thinking(Thinking::Signed { signature, .. }) => {
            sink(Event::Signature { part, signature: Cow::Borrowed(signature) });
        }
        Content::Text(Text { annotations: Some(annotations), .. }) => {
            annotations.raw().items().for_each(|json| sink(Event::Annotation { part, json: json.into() }));
        }
        _ => {}
    }
    sink(Event::PartStop { part });
}

fn kind_of(content: &Content) -> Option<(PartKind<'_>, &str)> {
    Some(match content {
        Content::Text(text) => (PartKind::Text { phase: text.phase.clone() }, &text.text),
        Content::Refusal(text) => (PartKind::Refusal, text),
        Content::Thinking(Thinking::Plain(text) | Thinking::Signed { text, .. }) => {
            (PartKind::Thinking, text)
        }
        Content::Thinking(sealed) => (PartKind::Sealed(sealed.clone()), ""),
        Content::ToolCall(call) => {
            let start = CallStart {
                id: Cow::Borrowed(&call.id),
                name: Cow::Borrowed(&call.name),
                namespace: call.namespace.clone(),
                is_custom: call.is_custom,
            };
            (PartKind::ToolCall(start), &call.arguments)
        }
        Content::Foreign { dialect: Dialect::Responses, json, .. } => (PartKind::Item(json.clone()), ""),
        _ => return None,
    })
}
