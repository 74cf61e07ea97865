//! Renders a request for an upstream that speaks Anthropic's Messages.

use std::collections::{HashMap, HashSet};

use crate::{
    Dialect, Error, Json, Rendered, Target,
    chat::render::{custom_description, opaque},
    json::Raw,
    outbound::{CUSTOM_SCHEMA, OutboundRequest},
    request::{
        Content, Document, Effort, Format, Image, MediaSource, Message, Part, Reasoning, Request, Role,
        Thinking, ThinkingMode, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
    },
    schema,
    target::{ANTHROPIC_NAME, hash, plain_id},
    write::{self, Array, Object},
};

/// `max_tokens` for a model without a known limit.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// The API requires a stream for longer answers.
const LONGEST_WITHOUT_STREAM: u64 = 21_333;

/// The API's limit of cache marks in one request.
const MAX_MARKS: usize = 4;

pub(crate) fn render(request: &Request, target: &Target) -> Result<Rendered, Error> {
    let mut out = OutboundRequest::new(request, target, Dialect::Messages, ANTHROPIC_NAME);
    out.refuse_many()?;
    out.refuse_audio_answers()?;
    let max_tokens = out.max_tokens().or(target.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
    let mut marks = Marks::of(request);
    let tools = tools(&mut out, &mut marks)?;
    let turns = Conversation::of(&mut out, &mut marks)?;
    let mut body = String::with_capacity(turns.len().saturating_add(1_024));
    let mut result = Ok(());
    write::object_into(&mut body, |o| {
        o.str("model", &target.model);
        o.put("max_tokens", max_tokens);
        turns.write(o);
        if let Some(tools) = &tools {
            o.raw("tools", tools);
        }
        result = settings(&mut out, tools.is_some(), max_tokens, o);
    });
    result?;
    let streams = request.stream || target.stream;
    let rendered = out.rendered(body);
    Ok(Rendered { needs_stream: max_tokens > LONGEST_WITHOUT_STREAM && !streams, ..rendered })
}

/// Selects the cache marks to keep: the last four.
struct Marks {
    skip: usize,
}

impl Marks {
    fn of(request: &Request) -> Self {
        let tools = request.tools.iter().filter(|tool| tool.cache.is_some()).count();
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let all = tools.saturating_add(parts.filter(|part| part.cache.is_some()).count());
        Self { skip: all.saturating_sub(MAX_MARKS) }
    }

    fn write(&mut self, cache: Option<&Json>, o: &mut Object<'_>) {
        let Some(cache) = cache else { return };
        if self.skip > 0 {
            self.skip = self.skip.saturating_sub(1);
        } else {
            o.raw("cache_control", cache.as_str());
        }
    }
}

fn settings(
    out: &mut OutboundRequest<'_>,
    has_tools: bool,
    max_tokens: u64,
    o: &mut Object<'_>,
) -> Result<(), Error> {
    let request = out.request;
    let is_forced = has_tools && tool_choice(out, o)?;
    let stops = stops(out);
    if !stops.is_empty() {
        o.array("stop_sequences", |a| stops.iter().for_each(|text| a.str(text)));
    }
    let is_thinking = thinking(out, max_tokens, is_forced, o)?;
    sampling(out, is_thinking, o)?;
    if let Some(user) = &request.user {
        let is_as_meant = out.is_same_dialect() || is_opaque(user);
        let user = if is_as_meant { user.clone() } else { opaque(user) };
        o.object("metadata", |o| o.str("user_id", &user));
    }
    match request.service_tier.as_deref() {
        Some("default" | "standard_only") => o.str("service_tier", "standard_only"),
        Some("auto") => o.str("service_tier", "auto"),
        tier => out.left_out("service_tier", tier.is_some()),
    }
    if request.stream || out.target.stream {
        o.put("stream", true);
    }
    out.leave_openai_sampling_out();
    out.left_out("verbosity", request.verbosity.is_some());
    out.left_out("metadata", request.metadata.is_some());
    out.extra(o)
}

/// Writes the sampling settings. This API takes either a temperature or `top_p`, and hardly any of them
/// with thinking.
fn sampling(out: &mut OutboundRequest<'_>, is_thinking: bool, o: &mut Object<'_>) -> Result<(), Error> {
    let request = out.request;
    let temperature = out.sampling("temperature", request.temperature)?;
    let top_p = out.sampling("top_p", request.top_p)?;
    let top_k = request.top_k.filter(|_| out.target.can.sampling);
    if out.is_same_dialect() {
        self::temperature(out, temperature, is_thinking, o);
        o.opt("top_p", top_p);
        o.opt("top_k", top_k);
        return Ok(());
    }
    // 1 is the default of both.
    let top_p = top_p.filter(|top_p| *top_p < 1.0);
    let temperature = temperature.filter(|temperature| top_p.is_none() || *temperature < 1.0);
    self::temperature(out, temperature, is_thinking, o);
    let is_taken = |top_p: &f64| if is_thinking { *top_p >= LEAST_TOP_P } else { temperature.is_none() };
    if top_p.is_some_and(|top_p| !is_taken(&top_p)) {
        out.warn("top_p: left out, this provider does not take it beside a temperature or thinking");
    }
    o.opt("top_p", top_p.filter(is_taken));
    if is_thinking && top_k.is_some() {
        out.warn("top_k: left out, this provider does not take it beside thinking");
    }
    o.opt("top_k", top_k.filter(|_| !is_thinking));
    Ok(())
}

/// The least `top_p` of a request that thinks.
const LEAST_TOP_P: f64 = 0.95;

fn temperature(
    out: &mut OutboundRequest<'_>,
    temperature: Option<f64>,
    is_thinking: bool,
    o: &mut Object<'_>,
) {
    let Some(temperature) = temperature else { return };
    if temperature > 1.0 {
        out.warn(format!("temperature: {temperature} is more than this provider's 1"));
    }
    if is_thinking {
        out.left_out("temperature", temperature < 1.0);
    } else {
        o.put("temperature", temperature.min(1.0));
    }
}

/// Whether the API accepts a user's name from another dialect. It wants an id, and refuses what may be
/// an e-mail address or a telephone number.
fn is_opaque(user: &str) -> bool {
    user.len() <= 64
        && user.bytes().any(|byte| byte.is_ascii_alphabetic())
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The stop sequences, without those that are blank: the API refuses them, so the gateway ends the text there.
fn stops<'r>(out: &mut OutboundRequest<'r>) -> Vec<&'r str> {
    let all = out.request.stop.iter().map(String::as_str);
    if out.is_same_dialect() {
        return all.collect();
    }
    let (blank, rest): (Vec<&str>, Vec<&str>) = all.partition(|text| text.trim().is_empty());
    if !blank.is_empty() {
        out.warn("stop: blank sequences left out, this provider does not take them");
        out.keep(blank.into_iter().map(str::to_owned));
    }
    rest
}

/// Writes `thinking` and `output_config`. Returns whether thinking is on.
fn thinking(
    out: &mut OutboundRequest<'_>,
    max_tokens: u64,
    is_forced: bool,
    o: &mut Object<'_>,
) -> Result<bool, Error> {
    let effort = out.effort();
    let reasoning = out.request.reasoning.clone().unwrap_or_default();
    let mode = thinking_mode(out, &reasoning, effort);
    let mode = if is_forced { without_thinking(out, mode) } else { mode };
    let mode = if goes_on_without_thought(out) { without_budget(out, mode) } else { mode };
    match mode {
        None => {}
        Some(ThinkingMode::Disabled) => o.object("thinking", |o| o.str("type", "disabled")),
        Some(ThinkingMode::BetweenTools) => o.object("thinking", |o| o.str("type", "between_tools")),
        Some(ThinkingMode::Adaptive) => o.object("thinking", |o| {
            o.str("type", "adaptive");
            o.opt_str("display", display(&reasoning));
        }),
        Some(ThinkingMode::Enabled) => {
            let budget = reasoning.budget_tokens.unwrap_or_else(|| budget(effort.unwrap_or(Effort::Medium)));
            let most = max_tokens.saturating_sub(1);
            if most < 1_024 {
                out.warn("reasoning: left out, max_tokens is too small for it");
                return Ok(false);
            }
            o.object("thinking", |o| {
                o.str("type", "enabled");
                o.put("budget_tokens", budget.clamp(1_024, most));
                o.opt_str("display", display(&reasoning));
            });
        }
    }
    let format = format(out)?;
    let effort = effort.filter(|_| out.target.can.adaptive_thinking && reasoning.effort.is_some());
    if effort.is_some() || format.is_some() {
        o.object("output_config", |o| {
            if let Some(effort) = effort {
                o.str("effort", if effort < Effort::Low { "low" } else { effort.name() });
            }
            if let Some(schema) = &format {
                o.object("format", |o| {
                    o.str("type", "json_schema");
                    o.raw("schema", schema);
                });
            }
        });
    }
    Ok(!matches!(mode, None | Some(ThinkingMode::Disabled)))
}

fn thinking_mode(
    out: &mut OutboundRequest<'_>,
    reasoning: &Reasoning,
    effort: Option<Effort>,
) -> Option<ThinkingMode> {
    let can = &out.target.can;
    if !can.reasoning {
        return None;
    }
    let mode = reasoning.mode.or_else(|| {
        let is_plain = out.request.temperature.is_some_and(|temperature| temperature < 1.0);
        match effort? {
            Effort::None => Some(ThinkingMode::Disabled),
            Effort::Minimal => None,
            // Thinking and a temperature exclude each other. An effort alone
            // does not turn thinking on.
            _ if is_plain && can.adaptive_thinking => None,
            _ => Some(ThinkingMode::Adaptive),
        }
    })?;
    match mode {
        ThinkingMode::Disabled if !can.thinking_off => {
            out.warn("reasoning: thinking cannot be turned off for this model");
            None
        }
        // Claude Sonnet 5.5 refuses to think not at all: this is the least that it does.
        ThinkingMode::Disabled if can.between_tools => Some(ThinkingMode::BetweenTools),
        // Other models have nothing in between: some always think, and the rest do so only on request.
        ThinkingMode::BetweenTools if !can.between_tools => {
            (!can.thinking_off).then_some(ThinkingMode::Adaptive)
        }
        ThinkingMode::Adaptive if !can.adaptive_thinking => Some(ThinkingMode::Enabled),
        mode => Some(mode),
    }
}

/// The mode of a request that makes the model call a tool. OpenAI's models think then, too; this API
/// refuses it.
fn without_thinking(out: &mut OutboundRequest<'_>, mode: Option<ThinkingMode>) -> Option<ThinkingMode> {
    if matches!(mode, None | Some(ThinkingMode::Disabled)) || is_written(out, mode) {
        return mode;
    }
    out.warn("reasoning: left out, this provider's models do not think when they are made to call a tool");
    None
}

/// Whether a client of this API has written the mode itself, and not for a model with another form of thinking.
fn is_written(out: &OutboundRequest<'_>, mode: Option<ThinkingMode>) -> bool {
    let written = out.request.reasoning.as_ref().and_then(|reasoning| reasoning.mode);
    out.is_same_dialect() && written == mode
}

/// Whether the assistant's turn that the model goes on with has none of its thoughts, as in Chat
/// Completions, where no client sends them back.
fn goes_on_without_thought(out: &OutboundRequest<'_>) -> bool {
    let is_assistants = |message: &&Message| message.role == Role::Assistant;
    let messages = &out.request.messages;
    let turn = || messages.iter().rev().skip_while(|one| !is_assistants(one)).take_while(is_assistants);
    let is_open = messages.last().as_ref().is_some_and(is_assistants)
        || turn().any(|one| one.tool_calls().next().is_some());
    is_open && !turn().flat_map(|one| &one.parts).any(|part| is_sent_back(out, part))
}

fn is_sent_back(out: &OutboundRequest<'_>, part: &Part) -> bool {
    let is_signed =
        matches!(part.content, Content::Thinking(Thinking::Signed { .. } | Thinking::Redacted { .. }));
    is_signed && out.target.keeps_thoughts
}

/// The mode of a request that goes on with a turn without thoughts: with a budget for thinking this
/// API refuses it.
fn without_budget(out: &mut OutboundRequest<'_>, mode: Option<ThinkingMode>) -> Option<ThinkingMode> {
    if mode != Some(ThinkingMode::Enabled) || is_written(out, mode) {
        return mode;
    }
    out.warn("reasoning: left out, this model thinks only in a turn that began with its thoughts");
    None
}

fn display(reasoning: &Reasoning) -> Option<&str> {
    match reasoning.summary.as_deref() {
        Some(display @ ("summarized" | "omitted")) => Some(display),
        Some("auto" | "concise" | "detailed") => Some("summarized"),
        _ => None,
    }
}

fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 4_096,
        Effort::High => 16_384,
        Effort::Xhigh | Effort::Max => 32_768,
    }
}

fn format(out: &mut OutboundRequest<'_>) -> Result<Option<String>, Error> {
    let Some(Format::JsonSchema { schema, .. }) = &out.request.format else { return Ok(None) };
    if !out.target.can.structured_output {
        out.refuse("response_format", "this model does not answer by a schema")?;
        return Ok(None);
    }
    if out.is_same_dialect() {
        return Ok(Some(schema.as_str().to_owned()));
    }
    let param =
        if out.request.dialect == Some(Dialect::Responses) { "text.format" } else { "response_format" };
    let (text, is_told) = schema::for_anthropic(schema.raw(), param)?;
    if is_told {
        out.warn(format!(
            "{param}: limits that this provider does not enforce were moved into the descriptions"
        ));
    }
    Ok(Some(text))
}

fn tools(out: &mut OutboundRequest<'_>, marks: &mut Marks) -> Result<Option<String>, Error> {
    let tools = out.tools();
    if tools.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    write::array_into(&mut text, |a| {
        for (name, known) in &tools {
            match &known.kind {
                ToolKind::Hosted { json, .. } => a.raw(json.as_str()),
                _ => a.object(|o| tool(out, name, known, marks, o)),
            }
        }
    });
    Ok(Some(text))
}

fn tool(out: &mut OutboundRequest<'_>, name: &str, tool: &Tool, marks: &mut Marks, o: &mut Object<'_>) {
    o.str("name", name);
    match &tool.kind {
        ToolKind::Function { parameters } => {
            o.opt_str("description", tool.description.as_deref());
            let strict = if out.is_same_dialect() { None } else { strict_schema(tool, parameters.as_ref()) };
            match (&strict, parameters) {
                (Some(schema), _) => o.raw("input_schema", schema),
                (None, Some(parameters)) => o.raw("input_schema", &object_schema(parameters.raw())),
                (None, None) => o.raw("input_schema", r#"{"type":"object","properties":{}}"#),
            }
            if out.is_same_dialect() {
                o.opt("strict", tool.strict);
            } else if strict.is_some() {
                o.put("strict", true);
            } else if tool.strict == Some(true) {
                out.warn(format!("tools: '{}' is not strict at this provider", tool.name));
            }
            out.extra_of(tool, o);
        }
        ToolKind::Custom { format } => {
            let format = format.as_ref().map(Json::as_str);
            o.opt_str("description", custom_description(tool, format).as_deref());
            o.raw("input_schema", CUSTOM_SCHEMA);
        }
        ToolKind::Hosted { kind, .. } => o.str("type", kind),
    }
    marks.write(tool.cache.as_ref(), o);
}

/// The schema of a strict tool, if the API can enforce it unchanged. One without the `type` that it requires gets
/// that added, as the schema of any other tool.
fn strict_schema(tool: &Tool, parameters: Option<&Json>) -> Option<String> {
    let has_type = |parameters: &&Json| parameters.raw().get("type").is_some();
    let parameters = parameters.filter(|_| tool.strict == Some(true)).filter(has_type)?;
    let (schema, is_told) = schema::for_anthropic(parameters.raw(), "tools").ok()?;
    (!is_told).then_some(schema)
}

/// Adds the `type` that Anthropic requires and OpenAI's clients may leave out.
fn object_schema(schema: Raw<'_>) -> String {
    if schema.get("type").is_some() {
        return schema.text().to_owned();
    }
    write::object(|o| {
        o.str("type", "object");
        schema
            .members()
            .filter(|(name, _)| name != "type")
            .for_each(|(name, value)| o.raw(&name, value.text()));
    })
}

/// Writes `tool_choice`. Returns whether it makes the model call a tool.
fn tool_choice(out: &mut OutboundRequest<'_>, o: &mut Object<'_>) -> Result<bool, Error> {
    let is_single = out.request.parallel_tool_calls == Some(false);
    let choice = out.tool_choice()?.or(is_single.then_some(ToolChoice::Auto));
    let Some(choice) = choice else { return Ok(false) };
    o.object("tool_choice", |o| {
        match &choice {
            ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. } => o.str("type", "auto"),
            ToolChoice::None => o.str("type", "none"),
            ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. } => o.str("type", "any"),
            ToolChoice::Tool(name) => {
                o.str("type", "tool");
                o.str("name", &out.sent_name_of(name));
            }
        }
        if is_single && choice != ToolChoice::None {
            o.put("disable_parallel_tool_use", true);
        }
    });
    Ok(choice.is_forced())
}

/// The conversation in Anthropic's form: instructions separate, user and
/// assistant taking turns, tool results first in their turn.
#[derive(Default)]
struct Conversation {
    system: Vec<String>,
    turns: Vec<RenderedTurn>,
    ids: HashMap<String, String>,
    taken: HashSet<String>,
}

struct RenderedTurn {
    role: &'static str,
    /// Tool results, which are written before all other blocks.
    results: Vec<String>,
    blocks: Vec<String>,
}

impl Conversation {
    fn of(out: &mut OutboundRequest<'_>, marks: &mut Marks) -> Result<Self, Error> {
        let mut turns = Self::default();
        let messages = &out.request.messages;
        let leading = messages.iter().take_while(|message| message.is_instruction()).count();
        // If there are only instructions, the last one becomes the user's
        // message.
        let leading = if leading == messages.len() { leading.saturating_sub(1) } else { leading };
        for (index, message) in messages.iter().enumerate() {
            if index < leading {
                let blocks = turns.blocks(out, marks, index, message)?;
                turns.system.extend(blocks);
            } else {
                turns.message(out, marks, index, message)?;
            }
        }
        if out.request.format == Some(Format::JsonObject) {
            turns.system.push(text_block("Reply with one JSON object.", None, marks));
        }
        turns.check(out)?;
        Ok(turns)
    }

    fn len(&self) -> usize {
        let turns = self.turns.iter().flat_map(|turn| turn.results.iter().chain(&turn.blocks));
        turns.chain(&self.system).map(String::len).sum()
    }

    /// OpenAI's conversations may begin with a greeting of the assistant, or be cut before its message.
    fn begin_with_user(&mut self, out: &mut OutboundRequest<'_>) {
        out.warn("messages: a user's message was put before the assistant's, this provider wants one first");
        let blocks = vec![text_block(".", None, &mut Marks { skip: 0 })];
        self.turns.insert(0, RenderedTurn { role: "user", results: Vec::new(), blocks });
    }

    fn check(&mut self, out: &mut OutboundRequest<'_>) -> Result<(), Error> {
        if self.turns.first().is_none_or(|turn| turn.role != "user") {
            if out.is_same_dialect() || self.turns.is_empty() {
                return Err(Error::unsupported(
                    "messages",
                    "this provider wants the first message to be the user's",
                ));
            }
            self.begin_with_user(out);
        }
        let last = out.request.messages.len().saturating_sub(1);
        let is_continued =
            self.turns.last().is_some_and(|turn| turn.role == "assistant") && out.request.has_prefill();
        if is_continued && !out.target.can.prefill {
            let param = format!("messages[{last}]");
            return Err(Error::unsupported(param, "this model does not continue a message of the assistant"));
        }
        Ok(())
    }

    fn message(
        &mut self,
        out: &mut OutboundRequest<'_>,
        marks: &mut Marks,
        index: usize,
        message: &Message,
    ) -> Result<(), Error> {
        let blocks = self.blocks(out, marks, index, message)?;
        match message.role {
            Role::System | Role::Developer => self.instruction(out, blocks),
            Role::User if blocks.is_empty() => {
                return Err(Error::unsupported(format!("messages[{index}].content"), "must not be empty"));
            }
            Role::User => self.turn("user").blocks.extend(blocks),
            Role::Tool => self.turn("user").results.extend(blocks),
            Role::Assistant if blocks.is_empty() => {
                out.warn(format!("messages[{index}]: left out, it is empty"));
            }
            Role::Assistant => self.turn("assistant").blocks.extend(blocks),
        }
        Ok(())
    }

    /// Instructions in the middle stay in place: as a system message if the
    /// model supports it, else as a user's message.
    fn instruction(&mut self, out: &OutboundRequest<'_>, blocks: Vec<String>) {
        if blocks.is_empty() {
            return;
        }
        let follows_user = self.turns.last().is_some_and(|turn| turn.role != "assistant");
        if out.target.can.mid_system && follows_user {
            self.turn("system").blocks.extend(blocks);
        } else {
            self.turn("user").blocks.extend(blocks);
        }
    }

    /// The last turn if it has this role, else a new one.
    fn turn(&mut self, role: &'static str) -> &mut RenderedTurn {
        let is_new = self.turns.last().is_none_or(|turn| turn.role != role);
        if is_new {
            self.turns.push(RenderedTurn { role, results: Vec::new(), blocks: Vec::new() });
        }
        let last = self.turns.len().saturating_sub(1);
        // The list is not empty: a turn was pushed above if needed.
        #[expect(clippy::indexing_slicing, reason = "the list is not empty")]
        &mut self.turns[last]
    }

    fn blocks(
        &mut self,
        out: &mut OutboundRequest<'_>,
        marks: &mut Marks,
        index: usize,
        message: &Message,
    ) -> Result<Vec<String>, Error> {
        let is_last = index.saturating_add(1) == out.request.messages.len();
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (place, part) in message.parts.iter().enumerate() {
            let ends =
                is_last && message.role == Role::Assistant && place.saturating_add(1) == message.parts.len();
            blocks.extend(self.block(out, marks, index, part, ends)?);
        }
        // Thoughts must come before the blocks that they led to.
        if message.role == Role::Assistant {
            blocks.sort_by_key(|(is_thought, _)| !is_thought);
        }
        Ok(blocks.into_iter().map(|(_, block)| block).collect())
    }

    /// Renders a part as a block. Returns whether it is a thought.
    fn block(
        &mut self,
        out: &mut OutboundRequest<'_>,
        marks: &mut Marks,
        index: usize,
        part: &Part,
        ends: bool,
    ) -> Result<Option<(bool, String)>, Error> {
        let cache = part.cache.as_ref();
        let param = || format!("messages[{index}].content");
        Ok(match &part.content {
            Content::Text(text) => {
                // The API refuses trailing blanks in a text that the model
                // continues.
                let text = if ends { text.text.trim_end() } else { &text.text };
                let is_empty = text.trim().is_empty();
                (!is_empty).then(|| (false, text_block(text, cache, marks)))
            }
            Content::Refusal(text) => {
                (!text.trim().is_empty()).then(|| (false, text_block(text, cache, marks)))
            }
            Content::Image(image) => {
                if !out.target.can.images {
                    out.refuse(&param(), "this model does not read images")?;
                    return Ok(None);
                }
                refuse_files(out, &image.source, &param())?;
                Some((false, image_block(image, &param(), cache, marks)?))
            }
            Content::Document(document) => {
                if !out.target.can.documents && !matches!(document.source, MediaSource::Text(_)) {
                    out.refuse(&param(), "this model does not read documents")?;
                    return Ok(None);
                }
                refuse_files(out, &document.source, &param())?;
                Some((false, document_block(document, &param(), cache, marks)?))
            }
            Content::Audio { .. } => {
                out.refuse(&param(), "this model does not read audio")?;
                None
            }
            Content::ToolCall(call) => Some((false, self.call_block(out, index, call, cache, marks)?)),
            Content::ToolResult(result) => {
                Some((false, self.result_block(out, index, result, cache, marks)?))
            }
            Content::Thinking(thinking) => thought_block(out, thinking).map(|block| (true, block)),
            Content::Foreign { dialect: Dialect::Messages, json, .. } => {
                Some((false, json.as_str().to_owned()))
            }
            Content::Foreign { kind, .. } => {
                out.warn(format!("messages[{index}]: '{kind}' left out, this provider does not know it"));
                None
            }
        })
    }

    fn call_block(
        &mut self,
        out: &mut OutboundRequest<'_>,
        index: usize,
        call: &ToolCall,
        cache: Option<&Json>,
        marks: &mut Marks,
    ) -> Result<String, Error> {
        let arguments = out.call_arguments(call);
        let input = match Raw::parse(&arguments) {
            Some(raw) if raw.is_object() => arguments,
            Some(_) => {
                out.warn(format!(
                    "messages[{index}]: arguments of '{}' are not an object and were wrapped in one",
                    call.name
                ));
                wrapped(&arguments)
            }
            None => {
                let place = out.request.messages.get(index).into_iter().flat_map(Message::tool_calls);
                let place = place.take_while(|other| other.id != call.id).count();
                let param = format!("messages[{index}].tool_calls[{place}].function.arguments");
                out.refuse(&param, "the arguments are not JSON")?;
                wrapped(&arguments)
            }
        };
        let (id, name) = (self.id(&call.id), out.call_name(call));
        Ok(write::object(|o| {
            o.str("type", "tool_use");
            o.str("id", &id);
            o.str("name", &name);
            o.raw("input", &input);
            marks.write(cache, o);
        }))
    }

    fn result_block(
        &mut self,
        out: &mut OutboundRequest<'_>,
        index: usize,
        result: &ToolResult,
        cache: Option<&Json>,
        marks: &mut Marks,
    ) -> Result<String, Error> {
        let id = self.id(&result.call_id);
        let mut none = Marks { skip: usize::MAX };
        let mut blocks = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            let block = self.block(out, &mut none, index, part, false)?;
            blocks.extend(block.map(|(_, block)| block));
        }
        let texts: Option<Vec<&str>> = result.parts.iter().map(Part::as_text).collect();
        Ok(write::object(|o| {
            o.str("type", "tool_result");
            o.str("tool_use_id", &id);
            match texts {
                Some(texts) if texts.len() <= 1 => o.str("content", &texts.concat()),
                _ => o.array("content", |a: &mut Array<'_>| blocks.iter().for_each(|block| a.raw(block))),
            }
            if result.is_error {
                o.put("is_error", true);
            }
            marks.write(cache, o);
        }))
    }

    /// The id in a form that Anthropic accepts: the same for a call and its
    /// result, and different for different ids.
    fn id(&mut self, id: &str) -> String {
        if let Some(sent) = self.ids.get(id) {
            return sent.clone();
        }
        let mut sent = plain_id(id);
        if sent.is_empty() || self.taken.contains(&sent) {
            sent = format!("{sent}_{:08x}", hash(id));
        }
        self.taken.insert(sent.clone());
        self.ids.insert(id.to_owned(), sent.clone());
        sent
    }

    fn write(&self, o: &mut Object<'_>) {
        if !self.system.is_empty() {
            o.array("system", |a| self.system.iter().for_each(|block| a.raw(block)));
        }
        o.array("messages", |a| {
            for turn in &self.turns {
                a.object(|o| {
                    o.str("role", turn.role);
                    o.array("content", |a| {
                        turn.results.iter().chain(&turn.blocks).for_each(|block| a.raw(block))
                    });
                });
            }
        });
    }
}

fn wrapped(arguments: &str) -> String {
    write::object(|o| o.str("arguments", arguments))
}

fn text_block(text: &str, cache: Option<&Json>, marks: &mut Marks) -> String {
    write::object(|o| {
        o.str("type", "text");
        o.str("text", text);
        marks.write(cache, o);
    })
}

fn image_block(image: &Image, param: &str, cache: Option<&Json>, marks: &mut Marks) -> Result<String, Error> {
    const KNOWN: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];
    if let MediaSource::Base64 { media_type, .. } = &image.source
        && !KNOWN.contains(&media_type.as_str())
    {
        let message = format!("images of type '{}' are not known", crate::inbound::shown(media_type));
        return Err(Error::unsupported(param, message));
    }
    Ok(write::object(|o| {
        o.str("type", "image");
        o.object("source", |o| source(&image.source, o));
        marks.write(cache, o);
    }))
}

/// A file stored at another vendor cannot be sent.
fn refuse_files(out: &OutboundRequest<'_>, source: &MediaSource, param: &str) -> Result<(), Error> {
    if matches!(source, MediaSource::File(_)) && !out.is_same_dialect() {
        return Err(Error::unsupported(
            param,
            "files that another provider keeps cannot be sent; send the data",
        ));
    }
    Ok(())
}

fn document_block(
    document: &Document,
    param: &str,
    cache: Option<&Json>,
    marks: &mut Marks,
) -> Result<String, Error> {
    if let MediaSource::Base64 { media_type, data } = &document.source
        && media_type != "application/pdf"
    {
        // Text documents are sent as text.
        if let Some(text) = crate::inbound::text_of_base64(data).filter(|_| media_type.starts_with("text/")) {
            let document = Document { source: MediaSource::Text(text), ..document.clone() };
            return document_block(&document, param, cache, marks);
        }
        let message = format!("documents of type '{}' are not known", crate::inbound::shown(media_type));
        return Err(Error::unsupported(param, message));
    }
    Ok(write::object(|o| {
        o.str("type", "document");
        o.object("source", |o| source(&document.source, o));
        o.opt_str("title", document.title.as_deref());
        o.opt_str("context", document.context.as_deref());
        o.opt_json("citations", document.citations.as_ref());
        marks.write(cache, o);
    }))
}

fn source(source: &MediaSource, o: &mut Object<'_>) {
    match source {
        MediaSource::Base64 { media_type, data } => {
            o.str("type", "base64");
            o.str("media_type", media_type);
            o.str("data", data);
        }
        MediaSource::Url(url) => {
            o.str("type", "url");
            o.str("url", url);
        }
        MediaSource::File(id) => {
            o.str("type", "file");
            o.str("file_id", id);
        }
        MediaSource::Text(text) => {
            o.str("type", "text");
            o.str("media_type", "text/plain");
            o.str("data", text);
        }
    }
}

/// Thoughts that this provider signed, unchanged. The API refuses all others.
fn thought_block(out: &mut OutboundRequest<'_>, thinking: &Thinking) -> Option<String> {
    if !out.target.keeps_thoughts {
        out.warn("messages: signed thoughts left out, they are another provider's");
        return None;
    }
    match thinking {
        Thinking::Signed { text, signature } => Some(write::object(|o| {
            o.str("type", "thinking");
            o.str("thinking", text);
            o.str("signature", signature);
        })),
        Thinking::Redacted { data } => Some(write::object(|o| {
            o.str("type", "redacted_thinking");
            o.str("data", data);
        })),
        Thinking::Encrypted { .. } => {
            out.warn("messages: sealed thoughts left out, they are another provider's");
            None
        }
        // Unsigned thoughts cannot be sent.
        Thinking::Plain(_) => None,
    }
}
