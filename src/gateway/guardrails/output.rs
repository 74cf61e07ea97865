//! Checks an answer while it streams: what a rule redacts is left out, and a rule that blocks ends it.

use std::{collections::BTreeMap, rc::Rc};

use hatch_dialects::{
    Event, Filter,
    response::{CallStart, PartKind, Stop, StopReason},
};
use hatch_guardrails::{Action, Finding, Guard, JsonText, Redactor, escaped};

use super::texts::redacted;

/// The redaction of one part of an answer.
#[derive(Debug)]
struct PartRedaction {
    choice: u32,
    redactors: Vec<Redactor>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Text, and what it is for.
    Text(Option<String>),
    /// A function's arguments, which are checked as whoever parses them reads them.
    Arguments(JsonText),
    Other,
}

impl PartRedaction {
    fn new(choice: u32, kind: &PartKind<'_>, guards: &[Guard]) -> Self {
        let kind = match kind {
            PartKind::Text { phase } => Kind::Text(phase.clone()),
            PartKind::ToolCall(call) if !call.is_custom => Kind::Arguments(JsonText::default()),
            _ => Kind::Other,
        };
        Self { choice, redactors: guards.iter().map(Redactor::new).collect(), kind }
    }

    /// The text that may be sent now. None once a rule has blocked the part.
    fn push(&mut self, text: &str) -> Option<String> {
        let text = match &mut self.kind {
            Kind::Arguments(json) => json.push(text),
            _ => text.to_owned(),
        };
        let out = self.redactors.iter_mut().fold(text, |text, redactor| redactor.push(&text));
        (!self.is_blocked()).then(|| self.written(out))
    }

    fn finish(&mut self) -> String {
        let mut out = match &mut self.kind {
            Kind::Arguments(json) => json.finish(),
            _ => String::new(),
        };
        // Each redactor also gets what the one before has held back.
        for redactor in &mut self.redactors {
            let mut passed = redactor.push(&out);
            passed.push_str(&redactor.finish());
            out = passed;
        }
        self.written(out)
    }

    fn written(&self, text: String) -> String {
        if matches!(self.kind, Kind::Arguments(_)) { escaped(&text) } else { text }
    }

    /// Whether a text waits for what comes next.
    fn holds_text(&self) -> bool {
        matches!(self.kind, Kind::Text(_)) && self.redactors.iter().any(|redactor| redactor.held_bytes() > 0)
    }

    /// Whether a new part of the choice goes on with this text. A client without parts knows no phases.
    fn goes_on_as(&self, kind: &PartKind<'_>, has_parts: bool) -> bool {
        match (&self.kind, kind) {
            (Kind::Text(before), PartKind::Text { phase }) => before == phase || !has_parts,
            _ => false,
        }
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
#[derive(Debug, Default)]
pub(super) struct OutputFilter {
    guards: Rc<[Guard]>,
    /// The names of the client's own tools, which tell it nothing new.
    tools: Rc<[String]>,
    /// The client gets one part after the other, so that a text which waits would hold up what follows it.
    has_parts: bool,
    open: BTreeMap<u32, PartRedaction>,
    /// The text of each choice, to check it against a schema at its end.
    texts: BTreeMap<u32, String>,
    /// Texts that have ended where a secret may have begun, by their choices. A client joins the next text of the
    /// choice to it, so that one is its continuation.
    resting: BTreeMap<u32, u32>,
    /// The parts that continue another one.
    joined: BTreeMap<u32, u32>,
    is_over: bool,
}

impl OutputFilter {
    pub(super) fn new(guards: Rc<[Guard]>, tools: Rc<[String]>, has_parts: bool) -> Self {
        Self { guards, tools, has_parts, ..Self::default() }
    }

    fn start(&mut self, part: u32, choice: u32, kind: PartKind<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.goes_on(part, choice, &kind, sink) || self.is_over {
            return;
        }
        let redaction = PartRedaction::new(choice, &kind, &self.guards);
        self.open.insert(part, redaction);
        let kind = match kind {
            PartKind::Item(item) => match redacted(&item, &self.guards) {
                Some(item) => PartKind::Item(item),
                None => return self.block(sink),
            },
            PartKind::ToolCall(call) => match self.named(call) {
                Some(call) => PartKind::ToolCall(call),
                None => return self.block(sink),
            },
            kind => kind,
        };
        sink(Event::PartStart { part, choice, kind });
    }

    /// Whether the part is the continuation of a text that rests. Ends a text that no later part continues.
    fn goes_on(
        &mut self,
        part: u32,
        choice: u32,
        kind: &PartKind<'_>,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> bool {
        if !self.has_parts && !matches!(kind, PartKind::Text { .. }) {
            return false;
        }
        let Some(resting) = self.resting.remove(&choice) else { return false };
        let goes_on = self.open.get(&resting).is_some_and(|before| before.goes_on_as(kind, self.has_parts));
        if goes_on {
            self.joined.insert(part, resting);
        } else {
            self.stop(resting, sink);
        }
        goes_on
    }

    /// A call with what the rules leave of its name. None if they do not let it pass.
    fn named<'a>(&self, call: CallStart<'a>) -> Option<CallStart<'a>> {
        if self.tools.iter().any(|tool| *tool == call.name) {
            return Some(call);
        }
        let mut name = call.name.into_owned();
        let passes = self.guards.iter().all(|guard| !guard.redact(&mut [&mut name]).is_blocked);
        passes.then(|| CallStart { name: name.into(), ..call })
    }

    fn deliver(&mut self, part: u32, text: String, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(PartRedaction { choice, kind: Kind::Text(_), .. }) = self.open.get(&part) {
            self.texts.entry(*choice).or_default().push_str(&text);
        }
        if !text.is_empty() {
            sink(Event::Delta { part, text: text.into() });
        }
    }

    /// A part has ended, but its text may go on in the next one.
    fn rest(&mut self, part: u32, sink: &mut dyn FnMut(Event<'_>)) {
        match self.open.get(&part) {
            Some(redaction) if redaction.holds_text() => {
                if let Some(before) =
                    self.resting.insert(redaction.choice, part).filter(|before| *before != part)
                {
                    self.stop(before, sink);
                }
            }
            _ => self.stop(part, sink),
        }
    }

    fn stop(&mut self, part: u32, sink: &mut dyn FnMut(Event<'_>)) {
        let rest = self.open.get_mut(&part).map(PartRedaction::finish).unwrap_or_default();
        if self.open.get(&part).is_some_and(PartRedaction::is_blocked) {
            return self.block(sink);
        }
        self.deliver(part, rest, sink);
        self.open.remove(&part);
        sink(Event::PartStop { part });
    }

    fn finish(&mut self, choice: u32, stop: Stop, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(resting) = self.resting.remove(&choice) {
            self.stop(resting, sink);
            if self.is_over {
                return;
            }
        }
        let text = self.texts.remove(&choice).unwrap_or_default();
        let finding = self.guards.iter().find_map(|guard| guard.check_answer(&text));
        let is_refused = finding.is_some_and(|finding| finding.action == Action::Block);
        sink(Event::Finish { choice, stop: if is_refused { refusal() } else { stop } });
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

    /// The part as its client knows it.
    fn place(&self, part: u32) -> u32 {
        self.joined.get(&part).copied().unwrap_or(part)
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
            Event::PartStart { part, choice, kind } => self.start(part, choice, kind, sink),
            Event::Delta { part, text } => {
                let part = self.place(part);
                match self.open.get_mut(&part).map(|redaction| redaction.push(&text)) {
                    Some(Some(passed)) => self.deliver(part, passed, sink),
                    Some(None) => self.block(sink),
                    None => sink(Event::Delta { part, text }),
                }
            }
            Event::PartStop { part } => self.rest(self.place(part), sink),
            // A source has an address and a title.
            Event::Annotation { part, json } => match redacted(&json, &self.guards) {
                Some(json) => sink(Event::Annotation { part: self.place(part), json }),
                None => self.block(sink),
            },
            // A signature does not fit a text that was redacted.
            Event::Signature { part, .. } if self.open.get(&part).is_some_and(PartRedaction::is_changed) => {}
            Event::Finish { choice, stop } => self.finish(choice, stop, sink),
            other => sink(other),
        }
    }
}
