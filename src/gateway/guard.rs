//! Applies guardrails: to a request before a model is asked, and to an answer
//! before the client gets it.

use std::{borrow::Cow, collections::BTreeMap, rc::Rc};

use hatch_dialects::{
    Class, Error as DialectError, Event, Filter, Json, Request, Response,
    request::{Content, MediaSource, Part, SEARCH_RESULT},
    response::{PartKind, Stop, StopReason},
    tree,
};
use hatch_guardrails::{Action, Finding, Guard, Policy, PolicyError, Redactor, Rule};

use serde_json::Value;

use crate::error::Error;

/// The guardrails of one request: those of its user, and those of its key.
#[derive(Debug, Default)]
pub(super) struct Guards {
    input: Vec<Guard>,
    output: Rc<[Guard]>,
    /// The rules that a moderation model judges.
    pub(super) moderate_input: Vec<Rule>,
    pub(super) moderate_output: Vec<Rule>,
    /// A text of the policies, for the cache key.
    pub(super) fingerprint: String,
}

/// The result of checking a request.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// The request was redacted, so the client's bytes must not be sent on.
    pub(super) is_changed: bool,
    /// The rules that found something, each once.
    pub(super) rules: Vec<String>,
}

/// Members that are no text: a provider refuses them if they are changed.
const OPAQUE: &[&str] = &["encrypted_content", "id", "call_id", "type", "status"];
/// The item whose `result` is the bytes of a picture.
const PICTURE: &str = "image_generation_call";

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

    /// Checks all texts of a request, and redacts them where a rule demands it.
    ///
    /// # Errors
    /// 400 with the names of the rules that block it.
    pub(super) fn check(&self, request: &mut Request) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        let names = request.messages.iter_mut().filter_map(|message| message.name.as_mut());
        let descriptions = request.tools.iter_mut().filter_map(|tool| tool.description.as_mut());
        for text in names.chain(descriptions) {
            self.check_text(text, &mut checked)?;
        }
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            self.check_part(part, &mut checked)?;
        }
        Ok(checked)
    }

    /// Redacts all texts of a JSON value but what only providers read, as [`Self::check`] redacts a request.
    pub(super) fn redact(&self, value: &mut Value) {
        redact(value, &self.input, &mut true);
    }

    fn check_part(&self, part: &mut Part, checked: &mut Checked) -> Result<(), Error> {
        let text = match &mut part.content {
            Content::Text(text) => &mut text.text,
            Content::ToolCall(call) => &mut call.arguments,
            Content::Document(document) => {
                for text in [&mut document.title, &mut document.context].into_iter().flatten() {
                    self.check_text(text, checked)?;
                }
                return self.check_file(&mut document.source, checked);
            }
            Content::Foreign { kind, json, .. } if kind == SEARCH_RESULT => {
                return self.check_json(json, checked);
            }
            Content::ToolResult(result) => {
                return result.parts.iter_mut().try_for_each(|part| self.check_part(part, checked));
            }
            _ => return Ok(()),
        };
        self.check_text(text, checked)
    }

    fn check_file(&self, file: &mut MediaSource, checked: &mut Checked) -> Result<(), Error> {
        let Some(text) = file.as_text() else { return Ok(()) };
        let mut left = text.to_string();
        self.check_text(&mut left, checked)?;
        if left != text {
            file.set_text(left);
        }
        Ok(())
    }

    fn check_json(&self, json: &mut Json, checked: &mut Checked) -> Result<(), Error> {
        let mut value = tree(json.as_str()).ok_or_else(|| blocked_by(&["unreadable".to_owned()]))?;
        let mut passes = Ok(());
        for_each_text(&mut value, &mut |text| {
            if passes.is_ok() {
                passes = self.check_text(text, checked);
            }
        });
        if let Some(left) = Json::parse(&value.to_string()).filter(|_| checked.is_changed) {
            *json = left;
        }
        passes
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

    /// The filter that a stream passes.
    pub(super) fn filter(&self) -> Option<Box<dyn Filter>> {
        self.has_output().then(|| Box::new(OutputFilter::new(self.output.clone())) as Box<dyn Filter>)
    }

    /// Passes a whole answer through the same filter, and returns the result.
    pub(super) fn watch(&self, response: &Response) -> Result<Response, DialectError> {
        if !self.has_output() {
            return Ok(response.clone());
        }
        let (mut filter, mut collector) =
            (OutputFilter::new(self.output.clone()), hatch_dialects::Collector::default());
        hatch_dialects::replay(response, &mut |event| {
            filter.event(event, &mut |event| collector.event(&event))
        });
        let left = collector.finish()?;
        Ok(Response { created: response.created, usage: response.usage, ..left })
    }
}

/// Redacts all texts of a JSON value but what only providers read. `passes` becomes false if a rule blocks one.
fn redact(value: &mut Value, guards: &[Guard], passes: &mut bool) {
    for_each_text(value, &mut |text| {
        for guard in guards {
            let inspection = guard.inspect(text);
            *passes &= !inspection.is_blocked;
            if let Cow::Owned(left) = inspection.text {
                *text = left;
            }
        }
    });
}

/// Hands over all texts of a JSON value but what only providers read.
fn for_each_text(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_text(item, visit)),
        Value::Object(members) => {
            let is_picture = members.get("type").is_some_and(|kind| kind == PICTURE);
            let is_opaque = |name: &str| OPAQUE.contains(&name) || is_picture && name == "result";
            let texts = members.iter_mut().filter(|(name, _)| !is_opaque(name));
            texts.for_each(|(_, member)| for_each_text(member, visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An item of the answer with what the rules leave of its texts. None if they do not let it pass.
fn redacted(item: &Json, guards: &[Guard]) -> Option<Json> {
    let mut value: Value = tree(item.as_str())?;
    let (before, mut passes) = (value.clone(), true);
    redact(&mut value, guards, &mut passes);
    match passes {
        true if value == before => Some(item.clone()),
        true => Json::parse(&value.to_string()),
        false => None,
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

/// The error for a text that these rules block.
pub(super) fn blocked_by(rules: &[String]) -> Error {
    let message = format!("This is not allowed by the guardrails of this key or user ({})", rules.join(", "));
    DialectError::new(Class::ContentPolicy, message).into()
}

/// The redaction of one part of an answer.
#[derive(Debug)]
struct PartRedaction {
    choice: u32,
    redactors: Vec<Redactor>,
    is_text: bool,
}

impl PartRedaction {
    /// The text that may be sent now. None once a rule has blocked the part.
    fn push(&mut self, text: &str) -> Option<String> {
        let out = self.redactors.iter_mut().fold(text.to_owned(), |text, redactor| redactor.push(&text));
        (!self.is_blocked()).then_some(out)
    }

    fn finish(&mut self) -> String {
        // Each redactor also gets what the one before has held back.
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

/// Checks an answer while it streams.
#[derive(Debug)]
struct OutputFilter {
    guards: Rc<[Guard]>,
    open: BTreeMap<u32, PartRedaction>,
    /// The text of each choice, to check it against a schema at its end.
    texts: BTreeMap<u32, String>,
    is_over: bool,
}

impl OutputFilter {
    fn new(guards: Rc<[Guard]>) -> Self {
        Self { guards, open: BTreeMap::new(), texts: BTreeMap::new(), is_over: false }
    }

    fn deliver(&mut self, part: u32, text: String, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(redaction) = self.open.get(&part).filter(|redaction| redaction.is_text) {
            self.texts.entry(redaction.choice).or_default().push_str(&text);
        }
        if !text.is_empty() {
            sink(Event::Delta { part, text: text.into() });
        }
    }

    /// Ends the answer here. The clean text before has been sent.
    fn block(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.is_over = true;
        let mut choices: Vec<u32> = Vec::new();
        for (part, redaction) in std::mem::take(&mut self.open) {
            sink(Event::PartStop { part });
            if !choices.contains(&redaction.choice) {
                choices.push(redaction.choice);
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

impl Filter for OutputFilter {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        match event {
            Event::PartStart { part, choice, kind: PartKind::Item(item) } => {
                self.open.insert(part, PartRedaction { choice, redactors: Vec::new(), is_text: false });
                match redacted(&item, &self.guards) {
                    Some(item) => sink(Event::PartStart { part, choice, kind: PartKind::Item(item) }),
                    None => self.block(sink),
                }
            }
            Event::PartStart { part, choice, kind } => {
                let is_text = matches!(kind, PartKind::Text { .. });
                let redactors = self.guards.iter().map(Redactor::new).collect();
                self.open.insert(part, PartRedaction { choice, redactors, is_text });
                sink(Event::PartStart { part, choice, kind });
            }
            Event::Delta { part, text } => {
                match self.open.get_mut(&part).map(|redaction| redaction.push(&text)) {
                    Some(Some(passed)) => self.deliver(part, passed, sink),
                    Some(None) => self.block(sink),
                    None => sink(Event::Delta { part, text }),
                }
            }
            Event::PartStop { part } => {
                let rest = self.open.get_mut(&part).map(PartRedaction::finish).unwrap_or_default();
                if self.open.get(&part).is_some_and(PartRedaction::is_blocked) {
                    return self.block(sink);
                }
                self.deliver(part, rest, sink);
                self.open.remove(&part);
                sink(Event::PartStop { part });
            }
            // A signature does not fit a text that was redacted.
            Event::Signature { part, .. } if self.open.get(&part).is_some_and(PartRedaction::is_changed) => {}
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
    use hatch_dialects::{Dialect, InboundContext, Reply, Stream};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";

    fn guards(policy: Value) -> Guards {
        Guards::new(&[&serde_json::from_value(policy).unwrap()]).unwrap()
    }

    fn request_of(text: &str) -> Request {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string();
        Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap()
    }

    #[test]
    fn a_request_is_blocked_redacted_or_unchanged() {
        let mut request = request_of(&format!("my key is {SECRET}"));
        let error =
            guards(json!({ "input": { "secrets": { "action": "block" } } })).check(&mut request).unwrap_err();
        assert!(error.detail().contains("secret:") && !error.detail().contains(SECRET), "{error:?}");
        let checked =
            guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut request).unwrap();
        assert!(checked.is_changed && !request.messages[0].text().contains("ghp_"));
        let mut harmless = request_of("hello");
        let checked =
            guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut harmless).unwrap();
        assert!(!checked.is_changed && checked.rules.is_empty());
    }

    proptest! {
        #[test]
        fn no_prefix_of_a_secret_is_sent_however_the_stream_is_cut(sizes in prop::collection::vec(1_usize..9, 1..40), blocks in any::<bool>()) {
            let action = if blocks { "block" } else { "redact" };
            let guards = guards(json!({ "output": { "secrets": { "action": action } } }));
            let reply = Reply::new(&request_of("x"), "1", 1);
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
            let shown: String = String::from_utf8(out).unwrap().lines()
                .filter_map(|line| hatch_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
                .filter_map(|chunk| Some(chunk["choices"].get(0)?["delta"].get("content")?.as_str()?.to_owned())).collect();
            prop_assert!(!shown.contains("ghp_") && shown.starts_with("It is "), "{}", shown);
            prop_assert_eq!(shown.ends_with("as you know."), !blocks);
        }
    }
}
