//! Applies guardrails: to a request before a model is asked, and to an answer
//! before the client gets it.

use std::rc::Rc;

use hatch_dialects::{Class, Dialect, Error as DialectError, Filter, Request, Response, has_duplicates};
use hatch_guardrails::{Finding, Guard, Policy, PolicyError, Rule};
use serde_json::Value;

use super::{output::OutputFilter, texts};
use crate::error::Error;

/// The guardrails of one request: those of its user, and those of its key.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Guards {
    pub(super) input: Vec<Guard>,
    output: Rc<[Guard]>,
    /// The names of the client's own tools.
    tools: Rc<[String]>,
    /// Its client gets the parts of an answer one after the other, and not all texts as one.
    has_parts: bool,
    /// The rules that a moderation model judges.
    pub(in crate::gateway) moderate_input: Vec<Rule>,
    pub(in crate::gateway) moderate_output: Vec<Rule>,
    /// A text of the policies, for the cache key.
    pub(in crate::gateway) fingerprint: String,
}

impl Guards {
    pub(in crate::gateway) fn new(policies: &[&Policy]) -> Result<Self, PolicyError> {
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
        let (input, output) = (input?, output?.into());
        Ok(Self { input, output, moderate_input, moderate_output, fingerprint, ..Self::default() })
    }

    /// Notes what the request says of its answer: the client's own tools may be called, whatever the rules find in their
    /// names.
    pub(in crate::gateway) fn expect(&mut self, request: &Request) {
        if self.has_output() {
            self.tools = request.tools.iter().map(|tool| tool.name.clone()).collect();
            self.has_parts = request.dialect.is_some_and(|dialect| dialect != Dialect::Chat);
        }
    }

    /// Whether a model that gets a client's own body reads what was checked.
    pub(in crate::gateway) fn have_read(&self, body: &[u8]) -> bool {
        self.input.is_empty() || !has_duplicates(body)
    }

    /// Redacts all texts of a JSON value but what only providers read, as [`Self::check`] redacts a request.
    pub(in crate::gateway) fn redact(&self, value: &mut Value) {
        texts::redact(value, &self.input);
    }

    /// Whether the rules of one side let a text pass, and which of them find
    /// something in it.
    pub(in crate::gateway) fn inspect(&self, text: &str, is_output: bool) -> (bool, Vec<String>) {
        let (mut passes, mut rules) = (true, Vec::new());
        let guards = if is_output { &*self.output } else { &self.input };
        for inspection in guards.iter().map(|guard| guard.inspect(text)) {
            passes &= !inspection.is_blocked;
            note(&inspection.findings, &mut rules);
        }
        (passes, rules)
    }

    pub(in crate::gateway) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// The filter that a stream passes.
    pub(in crate::gateway) fn filter(&self) -> Option<Box<dyn Filter>> {
        self.has_output().then(|| Box::new(self.output_filter()) as Box<dyn Filter>)
    }

    fn output_filter(&self) -> OutputFilter {
        OutputFilter::new(self.output.clone(), self.tools.clone(), self.has_parts)
    }

    /// Passes a whole answer through the same filter, and returns the result.
    pub(in crate::gateway) fn watch(&self, response: &Response) -> Result<Response, DialectError> {
        if !self.has_output() {
            return Ok(response.clone());
        }
        let (mut filter, mut collector) = (self.output_filter(), hatch_dialects::Collector::default());
        hatch_dialects::replay(response, &mut |event| {
            filter.event(event, &mut |event| collector.event(&event))
        });
        let left = collector.finish()?;
        Ok(Response { created: response.created, usage: response.usage, ..left })
    }
}

pub(super) fn note(findings: &[Finding], rules: &mut Vec<String>) {
    for finding in findings {
        if !rules.contains(&finding.rule) {
            rules.push(finding.rule.clone());
        }
    }
}

/// The error for a text that these rules block.
pub(super) fn blocked_by(rules: &[String]) -> Error {
    let message = format!("This is not allowed by the guardrails of this key or user ({})", rules.join(", "));
    DialectError::new(Class::ContentPolicy, message).into()
}
