//! Joins the answers of a chat's steps into one: the client sees the texts of all
//! steps one after the other, but no calls of the gateway's tools.

use std::collections::{BTreeMap, BTreeSet};

use hatch_dialects::{
    Event, Filter, Reply, Response as DialectResponse, Usage,
    request::{Content, Part, ToolCall},
    response::{PartKind, Stop, StopReason},
};

/// How often a model is asked for one answer.
pub(super) const MOST_STEPS: u32 = 5;
/// How many tools run after one step.
const MOST_CALLS: usize = 8;
/// Stands between the texts of two steps.
const SEPARATOR: &str = "\n\n";
/// Its part of a stream. Those of answers count from 0.
const SEPARATOR_PART: u32 = u32::MAX;

/// A step of a chat, with what the client has seen of the steps before it.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Step {
    tools: Vec<&'static str>,
    pub(super) number: u32,
    /// How many characters of text the client has seen of the steps before.
    chars: usize,
    /// The usage of the steps before.
    usage: Usage,
    /// How the first step's answer is written. The whole answer has its id.
    pub(in crate::gateway) first: Option<Reply>,
}

impl Step {
    /// The first step of a chat that may call these tools.
    pub(super) fn first(tools: Vec<&'static str>) -> Self {
        Self { tools, number: 1, chars: 0, usage: Usage::default(), first: None }
    }

    /// Whether no model was asked before.
    pub(in crate::gateway) fn is_first(&self) -> bool {
        self.first.is_none()
    }

    /// How many characters of text the stream has had if this step continues one.
    pub(in crate::gateway) fn continued(&self) -> Option<usize> {
        self.first.as_ref().map(|_| self.chars)
    }

    /// The step after this one, which had this answer.
    pub(super) fn next(&self, answer: &DialectResponse, reply: &Reply) -> Self {
        let parts = self.visible(answer);
        let chars = parts.iter().filter_map(Part::as_text).map(|text| text.chars().count());
        Self {
            tools: self.tools.clone(),
            number: self.number + 1,
            chars: self.chars + chars.sum::<usize>(),
            usage: self.total(&answer.usage.unwrap_or_default()),
            first: Some(self.first.clone().unwrap_or_else(|| reply.clone())),
        }
    }

    /// The usage of this step and of those before.
    pub(super) fn total(&self, usage: &Usage) -> Usage {
        self.usage.plus(usage)
    }

    /// The calls that the gateway runs before the next step. None ends the chat: the
    /// model has answered, or the client has to run a tool of its own first.
    pub(super) fn calls(&self, answer: &DialectResponse) -> Vec<ToolCall> {
        // A refusal ends the chat, also that of a guardrail.
        let is_refused =
            answer.choices.first().is_some_and(|choice| choice.stop.reason == StopReason::Refusal);
        let calls: Vec<&ToolCall> = parts_of(answer).iter().filter_map(call_in).collect();
        match !is_refused && self.continues(calls.iter().map(|call| call.name.as_str())) {
            true => calls.into_iter().cloned().collect(),
            false => Vec::new(),
        }
    }

    /// The parts of this step's answer that the client sees.
    pub(super) fn visible(&self, answer: &DialectResponse) -> Vec<Part> {
        let is_visible = |part: &&Part| call_in(part).is_none_or(|call| !self.has(&call.name));
        let mut parts: Vec<Part> = parts_of(answer).iter().filter(is_visible).cloned().collect();
        let text = parts.iter().position(|part| part.as_text().is_some_and(|text| !text.is_empty()));
        if let (Some(at), true) = (text, self.chars > 0) {
            // In a part of its own, because citations have positions in their part.
            parts.insert(at, Part::text(SEPARATOR));
        }
        parts
    }

    /// The filter of this step's stream, behind that of the guardrails.
    pub(in crate::gateway) fn filter(&self, guardrails: Option<Box<dyn Filter>>) -> StepFilter {
        let joiner = Joiner {
            step: self.clone(),
            needs_separator: self.chars > 0,
            names: Vec::new(),
            hidden: BTreeSet::new(),
            empty: BTreeMap::new(),
            is_held: false,
            has_usage: false,
        };
        StepFilter { guardrails, joiner }
    }

    fn continues<'a>(&self, names: impl ExactSizeIterator<Item = &'a str>) -> bool {
        let is_some = (1..=MOST_CALLS).contains(&names.len());
        is_some && self.number < MOST_STEPS && { names }.all(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        self.tools.contains(&name)
    }
}

fn parts_of(answer: &DialectResponse) -> &[Part] {
    answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default()
}

fn call_in(part: &Part) -> Option<&ToolCall> {
    match &part.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// The reason to stop of an answer from which calls were removed.
pub(super) fn stop_without_calls(stop: Stop, has_calls: bool) -> Stop {
    match stop.reason {
        StopReason::ToolCalls if !has_calls => StopReason::End.into(),
        _ => stop,
    }
}

/// Passes on what the client sees of a step.
#[derive(Debug)]
pub(in crate::gateway) struct StepFilter {
    guardrails: Option<Box<dyn Filter>>,
    joiner: Joiner,
}

impl Filter for StepFilter {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Self { guardrails, joiner } = self;
        match guardrails {
            Some(guardrails) => guardrails.event(event, &mut |event| joiner.event(event, sink)),
            None => joiner.event(event, sink),
        }
    }
}

#[derive(Debug)]
struct Joiner {
    step: Step,
    /// The first text of this step is not the first of the stream.
    needs_separator: bool,
    /// The names of all calls of this step.
    names: Vec<String>,
    /// The parts that are calls of the gateway's tools.
    hidden: BTreeSet<u32>,
    /// The texts that have not begun, which the separator comes before, and their choices: citations have
    /// positions in their part.
    empty: BTreeMap<u32, u32>,
    /// Another step follows, so the stream does not end with this one.
    is_held: bool,
    has_usage: bool,
}

impl Joiner {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match event {
            Event::Start { .. } if self.step.number > 1 => {}
            Event::PartStart { part, choice, kind } => self.start(part, choice, kind, sink),
            Event::Delta { part, .. }
            | Event::Signature { part, .. }
            | Event::Annotation { part, .. }
            | Event::PartStop { part }
                if self.hidden.contains(&part) => {}
            Event::Delta { part, text } => {
                if !text.is_empty() {
                    self.begin(part, sink);
                }
                sink(Event::Delta { part, text });
            }
            // Claude cites before it writes what the citation is of.
            Event::Annotation { part, json } => {
                self.begin(part, sink);
                sink(Event::Annotation { part, json });
            }
            Event::PartStop { part } => {
                if let Some(choice) = self.empty.remove(&part) {
                    sink(Event::PartStart { part, choice, kind: PartKind::TEXT });
                }
                sink(Event::PartStop { part });
            }
            Event::Finish { choice, stop } => {
                let is_refused = stop.reason == StopReason::Refusal;
                self.is_held = !is_refused && self.step.continues(self.names.iter().map(String::as_str));
                if !self.is_held {
                    let stop = stop_without_calls(stop, self.names.len() > self.hidden.len());
                    sink(Event::Finish { choice, stop });
                }
            }
            Event::Usage(_) | Event::End if self.is_held => {}
            Event::Usage(usage) => {
                self.has_usage = true;
                sink(Event::Usage(self.step.total(&usage)));
            }
            Event::End => {
                if !self.has_usage {
                    sink(Event::Usage(self.step.usage));
                }
                sink(Event::End);
            }
            event => sink(event),
        }
    }

    /// Begins a text that was empty so far, behind the separator if it is the first one.
    fn begin(&mut self, part: u32, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(choice) = self.empty.remove(&part) else { return };
        if std::mem::take(&mut self.needs_separator) {
            sink(Event::PartStart { part: SEPARATOR_PART, choice, kind: PartKind::TEXT });
            sink(Event::Delta { part: SEPARATOR_PART, text: SEPARATOR.into() });
            sink(Event::PartStop { part: SEPARATOR_PART });
        }
        sink(Event::PartStart { part, choice, kind: PartKind::TEXT });
    }

    fn start(&mut self, part: u32, choice: u32, kind: PartKind<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match &kind {
            PartKind::Text { .. } if self.needs_separator => {
                self.empty.insert(part, choice);
                return;
            }
            PartKind::ToolCall(call) => {
                self.names.push(call.name.clone().into_owned());
                if self.step.has(&call.name) {
                    self.hidden.insert(part);
                    return;
                }
            }
            _ => {}
        }
        sink(Event::PartStart { part, choice, kind });
    }
}

#[cfg(test)]
mod tests {
    use hatch_dialects::{Collector, replay};
    use serde_json::{Value, json};

    use super::*;

    fn answer(text: &str, names: &[&str]) -> DialectResponse {
        let call = |(index, name): (usize, &&str)| {
            let function = json!({ "name": name, "arguments": "{}" });
            json!({ "id": format!("call_{index}"), "type": "function", "function": function })
        };
        let calls: Vec<Value> = names.iter().enumerate().map(call).collect();
        let message = json!({ "role": "assistant", "content": text, "tool_calls": calls });
        let finish = if names.is_empty() { "stop" } else { "tool_calls" };
        let body = json!({
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
        });
        hatch_dialects::Dialect::Chat.parse_response(body.to_string().as_bytes()).unwrap()
    }

    /// What a client collects of a step's stream; none if the stream goes on.
    fn seen(step: &Step, answer: &DialectResponse) -> (String, Option<DialectResponse>) {
        let (mut filter, mut collector, mut text) = (step.filter(None), Collector::default(), String::new());
        replay(answer, &mut |event| {
            filter.event(event, &mut |event| {
                if let Event::Delta { text: delta, .. } = &event {
                    text.push_str(delta);
                }
                collector.event(&event);
            });
        });
        (text, collector.finish().ok())
    }

    fn texts(parts: &[Part]) -> String {
        parts.iter().filter_map(Part::as_text).collect()
    }

    #[test]
    fn a_stream_and_a_whole_answer_join_the_steps_alike() {
        let first = Step::first(vec!["search", "weather"]);
        let answers =
            [answer("Let me look.", &["search", "weather"]), answer("", &["search"]), answer("Done.", &[])];
        let reply = |id: &str| Reply { id: id.to_owned(), ..Reply::default() };
        let second = first.next(&answers[0], &reply("id"));
        let third = second.next(&answers[1], &reply("other"));
        assert_eq!(third.first.as_ref().unwrap().id, "id");
        for ((step, answer), text) in
            [&first, &second, &third].into_iter().zip(&answers).zip(["Let me look.", "", "\n\nDone."])
        {
            let (streamed, whole) = seen(step, answer);
            assert_eq!((streamed.as_str(), texts(&step.visible(answer)).as_str()), (text, text));
            assert_eq!(whole.is_some(), step.number == 3);
            assert_eq!(step.calls(answer).is_empty(), step.number == 3);
        }
        assert_eq!(third.visible(&answers[2]), [Part::text(SEPARATOR), Part::text("Done.")]);
        let last = seen(&third, &answers[2]).1.unwrap();
        let usage = last.usage.unwrap();
        assert_eq!((usage.input, usage.output), (30, 15));
        assert_eq!(usage, third.total(&answers[2].usage.unwrap()));
    }

    #[test]
    fn a_citation_before_its_words_begins_their_text() {
        let second = Step::first(vec!["search"])
            .next(&answer("Let me look.", &["search"]), &Reply { id: "id".to_owned(), ..Reply::default() });
        let (mut filter, mut seen) = (second.filter(None), Vec::new());
        let json = hatch_dialects::Json::parse(r#"{"url":"https://a.test"}"#).unwrap();
        for event in [
            Event::PartStart { part: 0, choice: 0, kind: PartKind::TEXT },
            Event::Annotation { part: 0, json },
            Event::Delta { part: 0, text: "It rains.".into() },
            Event::PartStop { part: 0 },
        ] {
            filter.event(event, &mut |event| {
                seen.push(match event {
                    Event::PartStart { part: SEPARATOR_PART, .. } => "separator",
                    Event::PartStart { .. } => "start",
                    Event::Annotation { .. } => "citation",
                    Event::Delta { part: 0, .. } => "words",
                    _ => return,
                });
            });
        }
        assert_eq!(seen, ["separator", "start", "citation", "words"]);
    }

    #[test]
    fn a_call_for_the_client_ends_the_chat_and_hides_only_the_gateways_calls() {
        let step = Step::first(vec!["search"]);
        let mixed = answer("", &["search", "theirs"]);
        assert!(step.calls(&mixed).is_empty());
        let whole = seen(&step, &mixed).1.unwrap();
        let names: Vec<&str> =
            parts_of(&whole).iter().filter_map(call_in).map(|call| call.name.as_str()).collect();
        assert_eq!(
            (names.as_slice(), &whole.choices[0].stop.reason),
            (&["theirs"][..], &StopReason::ToolCalls)
        );
        assert_eq!(step.visible(&mixed).len(), 1);
    }

    #[test]
    fn a_refusal_ends_the_chat_whatever_was_called_before() {
        let step = Step::first(vec!["search"]);
        let mut refused = answer("I had begun.", &["search"]);
        refused.choices[0].stop = StopReason::Refusal.into();
        assert!(step.calls(&refused).is_empty());
        let (text, whole) = seen(&step, &refused);
        assert_eq!(
            (text.as_str(), &whole.unwrap().choices[0].stop.reason),
            ("I had begun.", &StopReason::Refusal)
        );
    }

    #[test]
    fn the_last_step_ends_the_stream_whatever_it_calls() {
        let mut step = Step::first(vec!["search"]);
        step.number = MOST_STEPS;
        let calling = answer("Enough.", &["search"]);
        assert!(step.calls(&calling).is_empty());
        let (text, whole) = seen(&step, &calling);
        assert_eq!((text.as_str(), &whole.unwrap().choices[0].stop.reason), ("Enough.", &StopReason::End));
        let many = answer("So many.", &["search"; MOST_CALLS + 1]);
        step.number = 1;
        assert!(step.calls(&many).is_empty() && seen(&step, &many).1.is_some());
    }
}
