//! Guardrails at work: what goes to a model is looked at before it is asked,
//! what it says before the client sees it.

use std::{collections::BTreeMap, rc::Rc};

use hatch_dialects::{
    Class, Error as Said, Event, Filter, Request, Response,
    request::{Content, Part, Source},
    response::{Stop, StopReason},
};
use hatch_guardrails::{Action, Finding, Guard, Policy, PolicyError, Redactor, Rule};

use serde_json::Value;

use crate::error::Error;

/// The guardrails of one request: those of its user, and those of its key.
#[derive(Debug, Default)]
pub(super) struct Guards {
    input: Vec<Guard>,
    output: Rc<[Guard]>,
    /// What a moderation model is asked about.
    pub(super) moderate_input: Vec<Rule>,
    pub(super) moderate_output: Vec<Rule>,
    /// Of the policies: the same for the same ones.
    pub(super) fingerprint: String,
}

/// What was done to a request.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// It is another one now: the client's bytes cannot go on as they are.
    pub(super) is_changed: bool,
    /// The rules that found something, each once.
    pub(super) rules: Vec<String>,
}

impl Guards {
    pub(super) fn new(policies: &[&Policy]) -> Result<Self, PolicyError> {
        let nothing = hatch_guardrails::Rules::default();
        let ready = |side: fn(&Policy) -> &hatch_guardrails::Rules| {
            policies
                .iter()
                .map(|policy| side(policy))
                .filter(|rules| **rules != nothing)
                .map(Guard::new)
                .collect()
        };
        let input: Result<Vec<Guard>, _> = ready(|policy| &policy.input);
        let output: Result<Vec<Guard>, _> = ready(|policy| &policy.output);
        let fingerprint = serde_json::to_string(policies).unwrap_or_default();
        let moderate_input = policies.iter().filter_map(|policy| policy.input.moderation).collect();
        let moderate_output = policies.iter().filter_map(|policy| policy.output.moderation).collect();
        Ok(Self { input: input?, output: output?.into(), moderate_input, moderate_output, fingerprint })
    }

    /// Looks at all texts of a request, and redacts them where a rule says so.
    ///
    /// # Errors
    /// 400 with the names of the rules that block it.
    pub(super) fn check(&self, request: &mut Request) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            self.check_part(part, &mut checked)?;
        }
        for description in request.tools.iter_mut().filter_map(|tool| tool.description.as_mut()) {
            self.check_text(description, &mut checked)?;
        }
        Ok(checked)
    }

    /// Redacts all texts of a JSON value as [`Self::check`] does those of a
    /// request.
    pub(super) fn redact(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for guard in &self.input {
                    *text = guard.inspect(text).text.into_owned();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.redact(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check_part(&self, part: &mut Part, checked: &mut Checked) -> Result<(), Error> {
        let text = match &mut part.content {
            Content::Text(text) => &mut text.text,
            Content::ToolCall(call) => &mut call.arguments,
            Content::Document(document) => match &mut document.source {
                Source::Text(text) => text,
                _ => return Ok(()),
            },
            Content::ToolResult(result) => {
                return result.parts.iter_mut().try_for_each(|part| self.check_part(part, checked));
            }
            _ => return Ok(()),
        };
        self.check_text(text, checked)
    }

    fn check_text(&self, text: &mut String, checked: &mut Checked) -> Result<(), Error> {
        for guard in &self.input {
            let inspection = guard.inspect(text);
            note(&inspection.findings, &mut checked.rules);
            if inspection.is_blocked {
                return Err(blocked(&inspection.findings));
            }
            if inspection.text != *text {
                checked.is_changed = true;
                *text = inspection.text.into_owned();
            }
        }
        Ok(())
    }

    /// Whether the rules of one side let a text pass, and which of them find
    /// something in it.
    pub(super) fn inspect(&self, text: &str, is_output: bool) -> (bool, Vec<String>) {
        let (mut passes, mut rules) = (true, Vec::new());
        let guards = if is_output { &*self.output } else { &self.input };
        for inspection in guards.iter().map(|guard| guard.inspect(text)) {
            passes &= !inspection.is_blocked;
            note(&inspection.findings, &mut rules);
        }
        (passes, rules)
    }

    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// What a stream goes through.
    pub(super) fn filter(&self) -> Option<Box<dyn Filter>> {
        self.has_output().then(|| Box::new(Watched::new(self.output.clone())) as Box<dyn Filter>)
    }

    /// The same for a whole answer: what is left of it.
    pub(super) fn watch(&self, response: &Response) -> Result<Response, Said> {
        if !self.has_output() {
            return Ok(response.clone());
        }
        let (mut watched, mut collector) =
            (Watched::new(self.output.clone()), hatch_dialects::Collector::default());
        hatch_dialects::replay(response, &mut |event| {
            watched.event(event, &mut |event| collector.event(&event))
        });
        let left = collector.finish()?;
        Ok(Response { created: response.created, usage: response.usage, ..left })
    }
}

fn note(findings: &[Finding], rules: &mut Vec<String>) {
    for finding in findings {
        if !rules.contains(&finding.rule) {
            rules.push(finding.rule.clone());
        }
    }
}

fn blocked(findings: &[Finding]) -> Error {
    let mut rules = Vec::new();
    let blocking = findings.iter().filter(|finding| finding.action == Action::Block).cloned();
    note(&blocking.collect::<Vec<_>>(), &mut rules);
    blocked_by(&rules)
}

/// That these rules let nothing pass.
pub(super) fn blocked_by(rules: &[String]) -> Error {
    let message = format!("This is not allowed by the guardrails of this key or user ({})", rules.join(", "));
    Said::new(Class::ContentPolicy, message).into()
}

/// One part of an answer on its way.
#[derive(Debug)]
struct Lane {
    choice: u32,
    redactors: Vec<Redactor>,
    is_text: bool,
}

impl Lane {
    /// What may leave; none once a rule has blocked it.
    fn push(&mut self, text: &str) -> Option<String> {
        let out = self.redactors.iter_mut().fold(text.to_owned(), |text, redactor| redactor.push(&text));
        (!self.is_blocked()).then_some(out)
    }

    fn finish(&mut self) -> String {
        // What the first one held back goes through the next one.
        let mut out = String::new();
        for redactor in &mut self.redactors {
            let mut passed = redactor.push(&out);
            passed.push_str(&redactor.finish());
            out = passed;
        }
        out
    }

    fn is_blocked(&self) -> bool {
        self.redactors.iter().any(Redactor::is_blocked)
    }

    fn is_changed(&self) -> bool {
        let changes = |finding: &Finding| finding.action != Action::Flag;
        self.redactors.iter().any(|redactor| redactor.findings().iter().any(changes))
    }
}

/// An answer that is looked at while it comes.
#[derive(Debug)]
struct Watched {
    guards: Rc<[Guard]>,
    open: BTreeMap<u32, Lane>,
    /// The text of each choice, where a schema has to be held against it.
    texts: BTreeMap<u32, String>,
    is_over: bool,
}

impl Watched {
    fn new(guards: Rc<[Guard]>) -> Self {
        Self { guards, open: BTreeMap::new(), texts: BTreeMap::new(), is_over: false }
    }

    fn deliver(&mut self, part: u32, text: String, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(lane) = self.open.get(&part).filter(|lane| lane.is_text) {
            self.texts.entry(lane.choice).or_default().push_str(&text);
        }
        if !text.is_empty() {
            sink(Event::Delta { part, text: text.into() });
        }
    }

    /// Ends the answer here: what was clean has left.
    fn block(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.is_over = true;
        let mut choices: Vec<u32> = Vec::new();
        for (part, lane) in std::mem::take(&mut self.open) {
            sink(Event::PartStop { part });
            if !choices.contains(&lane.choice) {
                choices.push(lane.choice);
            }
        }
        for choice in choices {
            sink(Event::Finish { choice, stop: refusal() });
        }
        sink(Event::End);
    }
}

fn refusal() -> Stop {
    let explanation = Some("The answer was ended by the guardrails of this key or user".to_owned());
    Stop { explanation, ..StopReason::Refusal.into() }
}

impl Filter for Watched {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        match event {
            Event::PartStart { part, choice, kind } => {
                let is_text = matches!(kind, hatch_dialects::response::PartKind::Text);
                let redactors = self.guards.iter().map(Redactor::new).collect();
                self.open.insert(part, Lane { choice, redactors, is_text });
                sink(Event::PartStart { part, choice, kind });
            }
            Event::Delta { part, text } => match self.open.get_mut(&part).map(|lane| lane.push(&text)) {
                Some(Some(passed)) => self.deliver(part, passed, sink),
                Some(None) => self.block(sink),
                None => sink(Event::Delta { part, text }),
            },
            Event::PartStop { part } => {
                let rest = self.open.get_mut(&part).map(Lane::finish).unwrap_or_default();
                if self.open.get(&part).is_some_and(Lane::is_blocked) {
                    return self.block(sink);
                }
                self.deliver(part, rest, sink);
                self.open.remove(&part);
                sink(Event::PartStop { part });
            }
            // A signature is of the very text: of another one it is worth nothing.
            Event::Signature { part, .. } if self.open.get(&part).is_some_and(Lane::is_changed) => {}
            Event::Finish { choice, stop } => {
                let text = self.texts.remove(&choice).unwrap_or_default();
                let finding = self.guards.iter().find_map(|guard| guard.check_answer(&text));
                let is_refused = finding.is_some_and(|finding| finding.action == Action::Block);
                sink(Event::Finish { choice, stop: if is_refused { refusal() } else { stop } });
            }
            other => sink(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use hatch_dialects::{Dialect, Incoming, Reply, Stream};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";

    fn guards(policy: Value) -> Guards {
        Guards::new(&[&serde_json::from_value(policy).unwrap()]).unwrap()
    }

    fn asked(text: &str) -> Request {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string();
        Dialect::Chat.parse_request(body.as_bytes(), &Incoming::default()).unwrap()
    }

    #[test]
    fn a_request_is_blocked_redacted_or_left_as_it_is() {
        let mut request = asked(&format!("my key is {SECRET}"));
        let error =
            guards(json!({ "input": { "secrets": { "action": "block" } } })).check(&mut request).unwrap_err();
        assert!(error.detail().contains("secret:") && !error.detail().contains(SECRET), "{error:?}");
        let checked =
            guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut request).unwrap();
        assert!(checked.is_changed && !request.messages[0].text().contains("ghp_"));
        let mut harmless = asked("hello");
        let checked =
            guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut harmless).unwrap();
        assert!(!checked.is_changed && checked.rules.is_empty());
    }

    proptest! {
        #[test]
        fn no_prefix_of_a_secret_leaves_however_it_is_cut(sizes in prop::collection::vec(1_usize..9, 1..40), blocks in any::<bool>()) {
            let action = if blocks { "block" } else { "redact" };
            let guards = guards(json!({ "output": { "secrets": { "action": action } } }));
            let reply = Reply::new(&asked("x"), "1", 1);
            let mut stream = Stream::filtered(Dialect::Chat, Dialect::Chat, &reply, guards.filter().unwrap());
            let (mut out, text) = (Vec::new(), format!("It is {SECRET}, as you know."));
            let mut rest = text.as_str();
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*size));
                let chunk = json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": piece } }] });
                stream.push(format!("data: {chunk}\n\n").as_bytes(), &mut out);
                rest = after;
                if rest.is_empty() { break }
            }
            stream.push(b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", &mut out);
            let told: String = String::from_utf8(out).unwrap().lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
                .filter_map(|chunk| Some(chunk["choices"].get(0)?["delta"].get("content")?.as_str()?.to_owned())).collect();
            prop_assert!(!told.contains("ghp_") && told.starts_with("It is "), "{}", told);
            prop_assert_eq!(told.ends_with("as you know."), !blocks);
        }
    }
}
