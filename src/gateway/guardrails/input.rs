//! Checks what goes to a model, and redacts it.

use hatch_dialects::{
    Json, Request,
    request::{Content, Format, MediaSource, Part, Text, Thinking, Tool, ToolKind},
    tree,
};
use hatch_guardrails::{Action, Finding};

use super::{
    guards::{Guards, blocked_by, note},
    texts::{ForEachText, for_each_run, for_each_text, for_each_text_of_schema, for_each_value, for_json},
};
use crate::error::Error;

/// The result of checking a request.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Checked {
    /// The request was redacted, so the client's bytes must not be sent on.
    pub(in crate::gateway) is_changed: bool,
    /// The rules that found something, each once.
    pub(in crate::gateway) rules: Vec<String>,
}

impl Guards {
    /// Checks all texts of a request, and redacts them where a rule demands it.
    ///
    /// # Errors
    /// 400 with the names of the rules that block it.
    pub(in crate::gateway) fn check(&self, request: &mut Request) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        if self.input.is_empty() {
            return Ok(checked);
        }
        for message in &mut request.messages {
            message.name.iter_mut().try_for_each(|name| self.check_text(name, &mut checked))?;
            self.check_parts(&mut message.parts, &mut checked)?;
        }
        request.tools.iter_mut().try_for_each(|tool| self.check_tool(tool, &mut checked))?;
        if let Some(Format::JsonSchema { description, schema, .. }) = &mut request.format {
            description.iter_mut().try_for_each(|text| self.check_text(text, &mut checked))?;
            self.check_schema(schema, &mut checked)?;
        }
        // What the answer is expected to be is a text like the others.
        for (_, json) in request.extra.iter_mut().filter(|(name, _)| name == "prediction") {
            self.check_json(json, &mut checked)?;
        }
        self.check_settings(request, &mut checked)?;
        Ok(checked)
    }

    /// No model reads these, but its provider does.
    fn check_settings(&self, request: &mut Request, checked: &mut Checked) -> Result<(), Error> {
        let names =
            request.user.iter_mut().chain(&mut request.older_user).chain(&mut request.prompt_cache_key);
        names.chain(&mut request.stop).try_for_each(|text| self.check_text(text, checked))?;
        request.metadata.iter_mut().try_for_each(|json| self.check_texts(json, for_each_value, checked))
    }

    fn check_tool(&self, tool: &mut Tool, checked: &mut Checked) -> Result<(), Error> {
        tool.description.iter_mut().try_for_each(|text| self.check_text(text, checked))?;
        for (_, examples) in tool.extra.iter_mut().filter(|(name, _)| name == "input_examples") {
            self.check_texts(examples, for_each_value, checked)?;
        }
        match &mut tool.kind {
            ToolKind::Function { parameters: Some(schema) } => self.check_schema(schema, checked),
            ToolKind::Custom { format: Some(format) } => self.check_json(format, checked),
            // What a tool of the vendor's has is for the vendor, such as its credentials.
            _ => Ok(()),
        }
    }

    fn check_parts(&self, parts: &mut [Part], checked: &mut Checked) -> Result<(), Error> {
        parts.iter_mut().try_for_each(|part| self.check_part(part, checked))?;
        let mut passes = Ok(());
        for_each_run(parts, text_of, &mut |run| {
            if passes.is_ok() {
                passes = self.check_run(run, checked);
            }
        });
        passes
    }

    fn check_part(&self, part: &mut Part, checked: &mut Checked) -> Result<(), Error> {
        let text = match &mut part.content {
            Content::Text(Text { text, annotations, citations, .. }) => {
                // A source has an address, a title and the words that are cited.
                let mut sources = annotations.iter_mut().chain(citations);
                sources.try_for_each(|json| self.check_json(json, checked))?;
                text
            }
            Content::Refusal(text) => text,
            Content::ToolCall(call) if call.is_custom => &mut call.arguments,
            Content::ToolCall(call) => return self.check_arguments(&mut call.arguments, checked),
            Content::Thinking(thinking) => return self.check_thinking(thinking, checked),
            Content::Document(document) => {
                for text in [&mut document.title, &mut document.context].into_iter().flatten() {
                    self.check_text(text, checked)?;
                }
                return self.check_file(&mut document.source, checked);
            }
            Content::Foreign { json, .. } => return self.check_json(json, checked),
            Content::ToolResult(result) => return self.check_parts(&mut result.parts, checked),
            _ => return Ok(()),
        };
        self.check_text(text, checked)
    }

    /// Arguments are checked as whoever parses them reads them.
    fn check_arguments(&self, arguments: &mut String, checked: &mut Checked) -> Result<(), Error> {
        let mut passes = Ok(());
        for_json(arguments, &mut |text| passes = self.check_run(text, checked));
        passes
    }

    fn check_thinking(&self, thinking: &mut Thinking, checked: &mut Checked) -> Result<(), Error> {
        match thinking {
            Thinking::Plain(text) => self.check_text(text, checked),
            Thinking::Encrypted { summary, .. } => {
                summary.iter_mut().try_for_each(|text| self.check_text(text, checked))
            }
            // The signature fits no other text.
            Thinking::Signed { text, .. } => {
                let mut left = text.clone();
                self.check_text(&mut left, checked)?;
                if left != *text {
                    *thinking = Thinking::Plain(left);
                }
                Ok(())
            }
            Thinking::Redacted { .. } => Ok(()),
        }
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
        self.check_texts(json, for_each_text, checked)
    }

    /// A schema's descriptions and values are read by the model too.
    fn check_schema(&self, schema: &mut Json, checked: &mut Checked) -> Result<(), Error> {
        self.check_texts(schema, for_each_text_of_schema, checked)
    }

    fn check_texts(
        &self,
        json: &mut Json,
        for_each: ForEachText,
        checked: &mut Checked,
    ) -> Result<(), Error> {
        let mut value = tree(json.as_str()).ok_or_else(|| blocked_by(&["unreadable".to_owned()]))?;
        let (was_changed, mut passes) = (std::mem::take(&mut checked.is_changed), Ok(()));
        for_each(&mut value, &mut |text| {
            if passes.is_ok() {
                passes = self.check_run(text, checked);
            }
        });
        // Otherwise it stays as it came: written anew its members have another order.
        if checked.is_changed
            && let Some(left) = Json::parse(&value.to_string())
        {
            *json = left;
        }
        checked.is_changed |= was_changed;
        passes
    }

    fn check_text(&self, text: &mut String, checked: &mut Checked) -> Result<(), Error> {
        self.check_run(&mut [text], checked)
    }

    /// Checks a text that is divided into these parts.
    fn check_run(&self, run: &mut [&mut String], checked: &mut Checked) -> Result<(), Error> {
        for guard in &self.input {
            let redaction = guard.redact(run);
            note(&redaction.findings, &mut checked.rules);
            if redaction.is_blocked {
                return Err(blocked(&redaction.findings));
            }
            checked.is_changed |= redaction.is_changed;
        }
        Ok(())
    }
}

fn text_of(part: &mut Part) -> Option<&mut String> {
    match &mut part.content {
        Content::Text(text) => Some(&mut text.text),
        _ => None,
    }
}

fn blocked(findings: &[Finding]) -> Error {
    let mut rules = Vec::new();
    let blocking = findings.iter().filter(|finding| finding.action == Action::Block).cloned();
    note(&blocking.collect::<Vec<_>>(), &mut rules);
    blocked_by(&rules)
}
