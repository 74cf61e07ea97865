//! What the renderers of upstream requests share.

use crate::{
    Dialect, Error, Names, Rendered, Target,
    request::{COMPACTION, Effort, Reasoning, Request, ThinkingMode, Tool, ToolCall, ToolChoice, ToolKind},
    target::{Renamed, sent_name},
    write,
};

/// A request while it is rendered for a target.
#[derive(Debug)]
pub(crate) struct OutboundRequest<'r> {
    pub(crate) request: &'r Request,
    pub(crate) target: &'r Target,
    dialect: Dialect,
    name_limit: usize,
    names: Names,
    stops: Vec<String>,
    warnings: Vec<String>,
}

/// The argument that carries a custom tool's text where the tool has to be a
/// function.
pub(crate) const CUSTOM_INPUT: &str = "input";

pub(crate) const CUSTOM_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// What a client is told of a setting that the model refuses.
pub(crate) const REFUSED: &str = "this model does not accept it";

/// What a client is told of a setting that is left out because the model refuses it. The gateway ends the text at stop
/// sequences itself.
pub fn refusal_warning(param: &str) -> String {
    let instead = match param {
        "stop" | "stop_sequences" => {
            ", so the gateway cuts the text there, and you also pay for what the model writes after that"
        }
        _ => "",
    };
    format!("{param}: {REFUSED}{instead}")
}

/// What a client is told that asks for a longer answer than the model can write.
pub fn length_warning(asked: u64, most: u64) -> String {
    format!("max_tokens: {asked} is more than the model's {most}")
}

/// Each byte of an answer is compared with all stop sequences.
const MOST_STOPS: usize = 64;

/// More would not fit into the response header.
const MAX_WARNINGS: usize = 32;

impl<'r> OutboundRequest<'r> {
    pub(crate) fn new(request: &'r Request, target: &'r Target, dialect: Dialect, name_limit: usize) -> Self {
        let warnings = request.warnings.clone();
        let (names, stops) = (Names::default(), Vec::new());
        Self { request, target, dialect, name_limit, names, stops, warnings }
    }

    pub(crate) fn rendered(self, body: String) -> Rendered {
        let Self { names, stops, warnings, .. } = self;
        Rendered { body, names, stops, warnings, needs_stream: false }
    }

    /// Adds a warning, unless it was added before.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn left_out(&mut self, param: &str, is_there: bool) {
        if is_there {
            self.warn(format!("{param}: left out, this provider does not know it"));
        }
    }

    pub(crate) fn refuse(&mut self, param: &str, message: &str) -> Result<(), Error> {
        self.target.refuse(&mut self.warnings, param, message)
    }

    /// Leaves the stop sequences to the gateway, because the model does not accept them. A client of OpenAI's is
    /// refused, as there, unless it is lenient.
    pub(crate) fn keep_stops(&mut self, param: &str) -> Result<(), Error> {
        let is_kept = self.request.dialect == Some(Dialect::Messages) || self.target.is_lenient;
        if !is_kept || self.request.stop.len() > MOST_STOPS {
            return self.refuse(param, REFUSED);
        }
        self.warn(refusal_warning(param));
        self.keep(self.request.stop.iter().cloned());
        Ok(())
    }

    /// The gateway ends the answer at these sequences.
    pub(crate) fn keep(&mut self, stops: impl IntoIterator<Item = String>) {
        self.stops.extend(stops);
    }

    /// The client and the upstream speak the same dialect.
    pub(crate) fn is_same_dialect(&self) -> bool {
        self.request.dialect == Some(self.dialect)
    }

    /// Only OpenAI supports custom tools.
    pub(crate) fn takes_custom(&self) -> bool {
        self.dialect != Dialect::Messages && self.target.can.openai
    }

    /// The name of a call's tool at the upstream.
    pub(crate) fn call_name(&self, call: &ToolCall) -> String {
        sent_name(call.namespace.as_deref(), &call.name, self.name_limit)
    }

    /// The arguments of a call in the history, as text.
    pub(crate) fn call_arguments(&self, call: &ToolCall) -> String {
        if call.is_custom && !self.takes_custom() {
            return write::object(|o| o.str(CUSTOM_INPUT, &call.arguments));
        }
        if call.arguments.trim().is_empty() && !call.is_custom {
            "{}".to_owned()
        } else {
            call.arguments.clone()
        }
    }

    /// The tools to send, with their names at the upstream. Tools that run at
    /// another vendor are left out, with a warning.
    pub(crate) fn tools(&mut self) -> Vec<(String, &'r Tool)> {
        let mut tools = Vec::new();
        let request = self.request;
        for tool in &request.tools {
            if !self.is_allowed(tool) {
                continue;
            }
            if let ToolKind::Hosted { dialect, kind, .. } = &tool.kind
                && *dialect != self.dialect
            {
                self.warn(format!("tools: '{kind}' left out, this provider does not run it"));
                continue;
            }
            let sent = sent_name(tool.namespace.as_deref(), &tool.name, self.name_limit);
            if !matches!(tool.kind, ToolKind::Hosted { .. }) {
                self.names.insert(Renamed {
                    sent: sent.clone(),
                    name: tool.name.clone(),
                    namespace: tool.namespace.clone(),
                    is_custom: matches!(tool.kind, ToolKind::Custom { .. }) && !self.takes_custom(),
                });
            }
            tools.push((sent, tool));
        }
        tools
    }

    /// For upstreams without `allowed_tools`, the other tools are not sent.
    fn is_allowed(&self, tool: &Tool) -> bool {
        let is_known = self.dialect != Dialect::Messages && self.target.can.openai;
        match &self.request.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) if !is_known => names.contains(&tool.name),
            _ => true,
        }
    }

    /// The tool choice, as far as the model supports it.
    pub(crate) fn tool_choice(&mut self) -> Result<Option<ToolChoice>, Error> {
        let Some(choice) = self.request.tool_choice.clone() else { return Ok(None) };
        if choice.is_forced() && !self.target.can.forced_tools {
            self.refuse("tool_choice", "this model cannot be made to call a tool")?;
            return Ok(Some(ToolChoice::Auto));
        }
        Ok(Some(choice))
    }

    pub(crate) fn sent_name_of(&self, name: &str) -> String {
        let tool = self.request.tools.iter().find(|tool| tool.name == name);
        sent_name(tool.and_then(|tool| tool.namespace.as_deref()), name, self.name_limit)
    }

    pub(crate) fn max_tokens(&mut self) -> Option<u64> {
        let asked = self.request.max_tokens?;
        match self.target.max_output {
            Some(most) if asked > most => {
                self.warn(length_warning(asked, most));
                Some(most)
            }
            _ => Some(asked),
        }
    }

    /// A sampling setting such as the temperature, if the model accepts it. The
    /// default is always accepted.
    pub(crate) fn sampling(&mut self, param: &str, value: Option<f64>) -> Result<Option<f64>, Error> {
        let Some(value) = value else { return Ok(None) };
        if self.target.can.sampling {
            return Ok(Some(value));
        }
        if (value - 1.0).abs() > f64::EPSILON {
            self.refuse(param, "this model does not accept it")?;
        }
        Ok(None)
    }

    /// The reasoning effort, from any of its forms.
    pub(crate) fn effort(&mut self) -> Option<Effort> {
        let reasoning = self.request.reasoning.as_ref()?;
        if !self.target.can.reasoning {
            let is_wish = requested_effort(reasoning).is_some_and(|effort| effort > Effort::Minimal);
            self.left_out("reasoning", is_wish);
            return None;
        }
        let wanted = requested_effort(reasoning)?;
        if wanted > self.target.can.max_effort {
            self.warn(format!("reasoning: '{}' is more than the model knows", wanted.name()));
        }
        Some(wanted.min(self.target.can.max_effort))
    }

    /// Leaves out sampling settings that only OpenAI has.
    pub(crate) fn leave_openai_sampling_out(&mut self) {
        let request = self.request;
        self.left_out("seed", request.seed.is_some());
        self.left_out("logit_bias", request.logit_bias.is_some());
        self.left_out("frequency_penalty", request.frequency_penalty.is_some_and(|value| value != 0.0));
        self.left_out("presence_penalty", request.presence_penalty.is_some_and(|value| value != 0.0));
        self.left_out("logprobs", request.wants_logprobs() && !self.is_same_dialect());
    }

    /// Leaves out members that only the client's dialect has.
    pub(crate) fn leave_extra_out(&mut self) {
        let names: Vec<&str> = self.request.extra.iter().map(|(name, _)| name.as_str()).collect();
        for name in names {
            self.left_out(name, true);
        }
    }

    /// Passes the client's extra members on, if they are of this dialect.
    pub(crate) fn extra(&mut self, o: &mut write::Object<'_>) -> Result<(), Error> {
        if self.is_same_dialect() {
            self.request.extra.iter().for_each(|(name, json)| o.raw(name, json.as_str()));
            return Ok(());
        }
        // With it Anthropic's API answers with a summary of the conversation, and without it nobody does.
        if self.request.extra.iter().any(|(name, _)| name == COMPACTION) {
            self.refuse(COMPACTION, "this provider does not summarize conversations")?;
        }
        self.leave_extra_out();
        Ok(())
    }

    /// Passes a tool's extra members on, if they are of this dialect. Without them the tool is the same, so nothing
    /// warns of them.
    pub(crate) fn extra_of(&self, tool: &Tool, o: &mut write::Object<'_>) {
        if self.is_same_dialect() {
            tool.extra.iter().for_each(|(name, json)| o.raw(name, json.as_str()));
        }
    }

    /// Refuses `n` above 1: these dialects return one answer.
    pub(crate) fn refuse_many(&self) -> Result<(), Error> {
        match self.request.n {
            Some(n) if n > 1 => Err(Error::unsupported("n", "this provider gives one answer at a time")),
            _ => Ok(()),
        }
    }

    pub(crate) fn refuse_audio_answers(&self) -> Result<(), Error> {
        if self.request.wants_audio() {
            return Err(Error::unsupported("modalities", "this model does not answer in audio"));
        }
        Ok(())
    }
}

fn requested_effort(reasoning: &Reasoning) -> Option<Effort> {
    let by_mode = match reasoning.mode {
        Some(ThinkingMode::Disabled) => return Some(Effort::None),
        Some(ThinkingMode::Enabled) => {
            Some(reasoning.budget_tokens.map_or(Effort::Medium, Effort::of_budget))
        }
        Some(ThinkingMode::Adaptive | ThinkingMode::BetweenTools) | None => None,
    };
    reasoning.effort.or(by_mode)
}
