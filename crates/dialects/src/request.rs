//! A client's request, independent of any dialect: messages, tools and
//! settings.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};
use memchr::{memchr, memchr3};

use crate::{Dialect, Error, Json, json::Raw, read::At, responses::native::ENCRYPTED};

/// A request. Every dialect is parsed into it and rendered from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The name that the client sent, such as `openai/gpt-6` or `auto`.
    pub model: String,
    /// In order; instructions (roles System and Developer) stay in their
    /// positions.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// `None` is the vendor's default: auto if there are tools.
    pub tool_choice: Option<ToolChoice>,
    /// Whether one answer may call several tools; `None` is the vendor's default.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer; `None` is text.
    pub format: Option<Format>,
    /// OpenAI's `low`, `medium` or `high`: how long the answer should be.
    pub verbosity: Option<String>,
    /// The most output tokens of an answer, thoughts included.
    pub max_tokens: Option<u64>,
    /// From 0 to 2 for OpenAI, to 1 for Anthropic; a higher one makes answers vary more.
    pub temperature: Option<f64>,
    /// The model chooses among the likeliest tokens that have this probability together: 0 to 1.
    pub top_p: Option<f64>,
    /// The model chooses among so many of the likeliest tokens (Anthropic).
    pub top_k: Option<u64>,
    /// -2 to 2: makes a token less likely the more often it has occurred (OpenAI).
    pub frequency_penalty: Option<f64>,
    /// -2 to 2: makes a token less likely once it has occurred (OpenAI).
    pub presence_penalty: Option<f64>,
    /// An object from ids of tokens to what is added to their likelihood, -100 to 100 (OpenAI).
    pub logit_bias: Option<Json>,
    /// The same seed should give the same answer (OpenAI).
    pub seed: Option<i64>,
    /// Texts at which the answer ends, without them.
    pub stop: Vec<String>,
    /// How many answers to generate.
    pub n: Option<u64>,
    /// Whether the answer has the log probabilities of its tokens (Chat Completions).
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens to list at each position, with their log probabilities (OpenAI).
    pub top_logprobs: Option<u64>,
    /// `None` is the model's default.
    pub reasoning: Option<Reasoning>,
    /// The client's own labels of the request, an object of texts (OpenAI).
    pub metadata: Option<Json>,
    /// The end user: `user`, `safety_identifier`, `metadata.user_id`.
    pub user: Option<String>,
    /// `user` beside a `safety_identifier`. No translation has it.
    pub older_user: Option<String>,
    /// Requests with the same key meet the same cache of prompts (OpenAI).
    pub prompt_cache_key: Option<String>,
    /// Which capacity serves the request, such as `auto`, `flex` or `standard_only`.
    pub service_tier: Option<String>,
    /// Whether the answer is stored; `None` is the dialect's default.
    pub store: Option<bool>,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// The client asked for a chunk with the usage (Chat Completions).
    pub include_usage: bool,
    /// The client used `functions` instead of `tools` (Chat Completions).
    pub has_legacy_functions: bool,
    /// What the answer has to hold besides the usual (Responses).
    pub include: Vec<String>,
    /// Members of the body without a field here. They are passed on to an
    /// upstream of the same dialect only.
    pub extra: Vec<(String, Json)>,
    /// Members that the Responses API repeats in its response.
    pub echo: Vec<(String, Json)>,
    /// The client's dialect.
    pub dialect: Option<Dialect>,
    /// What was changed or left out, for `x-gateway-warnings`.
    pub warnings: Vec<String>,
}

/// Anthropic's block for what a search has found: a title, an address and texts.
pub(crate) const SEARCH_RESULT: &str = "search_result";
/// Anthropic's block for a summary of what came before, and the member that asks for one.
pub(crate) const COMPACTION: &str = "compaction";

impl Request {
    /// This request for an API that knows neither Anthropic's search results, loaded tools and summaries nor titles of
    /// texts: with all that they say as plain text. None if there are none.
    pub(crate) fn in_plain_text(&self) -> Option<Self> {
        let is_there = |part: &Part| match &part.content {
            Content::ToolResult(result) => result.parts.iter().any(|part| part.plain_text().is_some()),
            _ => part.plain_text().is_some(),
        };
        if !self.messages.iter().flat_map(|message| &message.parts).any(is_there) {
            return None;
        }
        let mut plain = self.clone();
        for part in plain.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match &mut part.content {
                Content::ToolResult(result) => result.parts.iter_mut().for_each(Part::make_plain),
                _ => part.make_plain(),
            }
        }
        Some(plain)
    }

    /// Whether the client wants encrypted reasoning that it can send back.
    #[must_use]
    pub fn include_encrypted_reasoning(&self) -> bool {
        self.include.iter().any(|name| name == ENCRYPTED)
    }

    /// Whether the answer is to be spoken (Chat Completions: `modalities`).
    pub fn wants_audio(&self) -> bool {
        let is_audio = |item: Raw<'_>| item.as_str().is_some_and(|kind| kind == "audio");
        let modalities = self.extra.iter().find(|(name, _)| name == "modalities");
        modalities.is_some_and(|(_, json)| json.raw().items().any(is_audio))
    }

    /// Whether the answer is to have the probabilities of its words.
    pub fn wants_logprobs(&self) -> bool {
        let is_named = |name: &String| name == "message.output_text.logprobs";
        self.logprobs == Some(true) || self.top_logprobs.is_some() || self.include.iter().any(is_named)
    }

    /// Whether the model is to go on with a message of the assistant's. A turn that Anthropic's API has paused
    /// is not one: it is continued by sending it back.
    #[must_use]
    pub fn has_prefill(&self) -> bool {
        self.messages.last().is_some_and(|last| {
            let is_paused = last.parts.last().is_some_and(|part| {
                matches!(part.content, Content::Foreign { dialect: Dialect::Messages, .. })
            });
            last.role == Role::Assistant && !is_paused
        })
    }

    /// The settings of this request that OpenAI's thinking models do not accept. Those that say what is the
    /// default anyway are not among them.
    pub fn refused_by_thinking(&self) -> Vec<&'static str> {
        let stop = if self.dialect == Some(Dialect::Messages) { "stop_sequences" } else { "stop" };
        let differs = |value: Option<f64>, default: f64| value.is_some_and(|value| value != default);
        let settings = [
            ("temperature", differs(self.temperature, 1.0)),
            ("top_p", differs(self.top_p, 1.0)),
            ("frequency_penalty", differs(self.frequency_penalty, 0.0)),
            ("presence_penalty", differs(self.presence_penalty, 0.0)),
            ("logit_bias", self.logit_bias.is_some()),
            ("logprobs", self.logprobs == Some(true)),
            ("top_logprobs", self.top_logprobs.is_some()),
            (stop, !self.stop.is_empty()),
        ];
        settings.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect()
    }
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions; Anthropic's `system`.
    System,
    /// OpenAI's newer name of instructions.
    Developer,
    /// Whoever asks the model.
    User,
    /// The model, in earlier turns.
    Assistant,
    /// Only tool results.
    Tool,
}

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Distinguishes several users or assistants (Chat Completions).
    pub name: Option<String>,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A part of a message, and whether the prompt is cached up to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Text, a medium, a call of a tool or its result.
    pub content: Content,
    /// Anthropic's `cache_control`, unchanged.
    pub cache: Option<Json>,
}

/// What a part of a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text that was written, or that a tool returned.
    Text(Text),
    /// A picture.
    Image(Image),
    /// A file that the model reads.
    Document(Document),
    /// Sound (Chat Completions' `input_audio`).
    Audio {
        /// In base64.
        data: String,
        /// `wav` or `mp3`.
        format: String,
    },
    /// The model calls a tool. Only in messages of the assistant.
    ToolCall(ToolCall),
    /// What a tool has returned to a call.
    ToolResult(ToolResult),
    /// What the model thought before it spoke.
    Thinking(Thinking),
    /// The model's words for why it does not answer (OpenAI).
    Refusal(String),
    /// A part that only one dialect has, unchanged.
    Foreign {
        /// Whose part it is.
        dialect: Dialect,
        /// Its type in that dialect.
        kind: String,
        /// The whole part.
        json: Json,
    },
}

/// A text, and what the vendors add to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// May be empty.
    pub text: String,
    /// OpenAI's `annotations`, an array.
    pub annotations: Option<Json>,
    /// Anthropic's `citations` of an assistant's text. They pass in the client's own body only.
    pub citations: Option<Json>,
    /// Responses: what an assistant's text is for, such as `commentary` or `final_answer`.
    pub phase: Option<String>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where its bytes are.
    pub source: MediaSource,
    /// OpenAI's `low`, `high`, `auto`, `original`.
    pub detail: Option<String>,
}

/// A file that the model reads, such as a PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where its bytes are.
    pub source: MediaSource,
    /// The name of the file.
    pub title: Option<String>,
    /// What the model should know of it, which is not cited (Anthropic).
    pub context: Option<String>,
    /// Anthropic's `citations`: an object that says whether the answer cites the document.
    pub citations: Option<Json>,
}

/// Where the bytes of a picture or a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// In the request itself.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Without blanks and line breaks.
        data: String,
    },
    /// The vendor fetches it from this address.
    Url(String),
    /// The id of a file stored at the vendor.
    File(String),
    /// Plain text (Anthropic's documents).
    Text(String),
}

impl MediaSource {
    /// Base64 as vendors accept it: encoders such as MIME's break it into lines, which
    /// Anthropic refuses. `at` is the member that has it.
    pub(crate) fn base64(media_type: impl Into<String>, data: &str, at: &At<'_>) -> Result<Self, Error> {
        let data = unwrapped(data);
        if data.is_empty() {
            return Err(at.invalid("expected base64, and there is none"));
        }
        Ok(Self::Base64 { media_type: media_type.into(), data })
    }

    /// The text of a text file, also if it came as base64, and whatever its media type says.
    /// None for other files, and for those that are elsewhere.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Base64 { data, .. } => {
                String::from_utf8(WITH_OR_WITHOUT_PADDING.decode(data).ok()?).ok().map(Cow::Owned)
            }
            Self::Url(_) | Self::File(_) => None,
        }
    }

    /// Replaces the text of a file that has one.
    pub fn set_text(&mut self, text: String) {
        match self {
            Self::Text(known) => *known = text,
            Self::Base64 { data, .. } => *data = STANDARD.encode(text),
            Self::Url(_) | Self::File(_) => {}
        }
    }
}

/// Vendors decode base64 without its padding too.
const WITH_OR_WITHOUT_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 without the blanks and line breaks that encoders put in. Megabytes without any are the usual case, which
/// a loop over single bytes would make slow.
pub(crate) fn unwrapped(data: &str) -> String {
    let bytes = data.as_bytes();
    if memchr3(b'\n', b'\r', b' ', bytes).or_else(|| memchr(b'\t', bytes)).is_none() {
        return data.to_owned();
    }
    let mut whole = String::with_capacity(data.len());
    whole.extend(data.split_ascii_whitespace());
    whole
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The key that pairs a call with its result.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Codex's namespaces (Responses).
    pub namespace: Option<String>,
    /// JSON as the model wrote it, or the plain text of a custom tool.
    pub arguments: String,
    /// A tool that takes plain text (OpenAI's custom tools).
    pub is_custom: bool,
}

/// What a called tool has returned.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// What it returned, in order.
    pub parts: Vec<Part>,
    /// Whether the tool failed (Anthropic's `is_error`).
    pub is_error: bool,
    /// Whether the call was of a custom tool.
    pub is_custom: bool,
}

/// A model's thoughts. Only the provider that signed a block accepts it, and
/// only unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thinking {
    /// Anthropic's.
    Signed {
        /// The thoughts; empty if the client is not shown them.
        text: String,
        /// Anthropic's signature, by which it knows its own thoughts.
        signature: String,
    },
    /// Anthropic's `redacted_thinking`.
    Redacted {
        /// The thoughts, encrypted by Anthropic.
        data: String,
    },
    /// OpenAI's reasoning item, encrypted by OpenAI.
    Encrypted {
        /// The item's id at OpenAI.
        id: String,
        /// The paragraphs of the summary that clients are shown.
        summary: Vec<String>,
        /// What OpenAI calls `encrypted_content`: only the provider can read it.
        content: String,
    },
    /// Unsigned text.
    Plain(String),
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The name by which the model calls the tool.
    pub name: String,
    /// The group that it belongs to, as in [`ToolCall::namespace`].
    pub namespace: Option<String>,
    /// What it does, which the model reads.
    pub description: Option<String>,
    /// Who runs it, and what it takes.
    pub kind: ToolKind,
    /// Whether the arguments have to fit the schema exactly; `None` is the vendor's default.
    pub strict: Option<bool>,
    /// Anthropic's `cache_control`, unchanged.
    pub cache: Option<Json>,
    /// Members without a field here. They are passed on to an upstream of the same dialect only.
    pub extra: Vec<(String, Json)>,
}

/// Who runs a tool, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolKind {
    /// Takes arguments that fit a JSON Schema.
    Function {
        /// The JSON Schema of its arguments; `None` if the client gave none.
        parameters: Option<Json>,
    },
    /// Takes plain text, which may have to fit a grammar.
    Custom {
        /// OpenAI's `format`: plain text or a grammar.
        format: Option<Json>,
    },
    /// Runs at the vendor.
    Hosted {
        /// Whose tool it is.
        dialect: Dialect,
        /// Its type, such as `web_search_20250305`.
        kind: String,
        /// The tool as the client declared it.
        json: Json,
    },
}

/// Which tools the model may or must call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides whether it calls a tool.
    Auto,
    /// The model calls no tool.
    None,
    /// The model must call a tool.
    Required,
    /// The model must call the tool of this name.
    Tool(String),
    /// The model may, or must, call one of these.
    Allowed {
        /// The tools' names.
        names: Vec<String>,
        /// Whether the model must call one of them.
        is_required: bool,
    },
}

impl ToolChoice {
    /// Whether the model has to call a tool.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Required | Self::Tool(_) | Self::Allowed { is_required: true, .. })
    }
}

/// The form that the answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Text without a form.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// OpenAI's name of the schema.
        name: Option<String>,
        /// What the answer is for, which the model reads.
        description: Option<String>,
        /// The JSON Schema.
        schema: Json,
        /// Whether the answer has to fit exactly; `None` is the vendor's default.
        strict: Option<bool>,
    },
}

/// How much the model should think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The reasoning effort.
    pub effort: Option<Effort>,
    /// Anthropic's form: a mode and a number of tokens.
    pub mode: Option<ThinkingMode>,
    /// The most tokens of thoughts; only with [`ThinkingMode::Enabled`].
    pub budget_tokens: Option<u64>,
    /// How much of it the client sees: OpenAI's `summary`, Anthropic's
    /// `display`.
    pub summary: Option<String>,
}

/// Anthropic's `thinking.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingMode {
    /// It thinks, for at most as many tokens as its budget has.
    Enabled,
    /// The model decides how much it thinks.
    Adaptive,
    /// It thinks only between calls of tools: the least that some models do.
    BetweenTools,
    /// It does not think.
    Disabled,
}

/// OpenAI's `reasoning_effort`, which Anthropic has as `output_config.effort`. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// It does not think.
    None,
    /// The least with which it thinks; not every model has it.
    Minimal,
    /// Less than 2,048 tokens of thoughts, where a model counts them.
    Low,
    /// 2,048 tokens of thoughts and more.
    Medium,
    /// 8,192 tokens of thoughts and more.
    High,
    /// 24,576 tokens of thoughts and more; not every model has it.
    Xhigh,
    /// As many as the model can; not every model has it.
    Max,
}

const EFFORTS: &[(&str, Effort)] = &[
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::Xhigh),
    ("max", Effort::Max),
];

impl Effort {
    /// The effort of this name; none if no vendor has it.
    pub fn parse(text: &str) -> Option<Self> {
        EFFORTS.iter().find(|(name, _)| *name == text).map(|(_, effort)| *effort)
    }

    /// As the vendors write it.
    pub fn name(self) -> &'static str {
        EFFORTS.iter().find(|(_, effort)| *effort == self).map_or("medium", |(name, _)| name)
    }

    /// The effort that corresponds to a thinking budget in tokens.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..=2_047 => Self::Low,
            2_048..=8_191 => Self::Medium,
            8_192..=24_575 => Self::High,
            _ => Self::Xhigh,
        }
    }
}

impl Message {
    /// A message without a name.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, name: None, parts }
    }

    /// Whether it instructs the model: of the system or the developer.
    pub fn is_instruction(&self) -> bool {
        matches!(self.role, Role::System | Role::Developer)
    }

    /// All text parts, concatenated.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }

    /// The calls among its parts.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The results among its parts.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::ToolResult(result) => Some(result),
            _ => None,
        })
    }
}

impl Part {
    /// A part that is only this text.
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text(Text { text: text.into(), ..Text::default() }).into()
    }

    /// Its text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// All texts that a model reads in it.
    pub fn texts(&self) -> Vec<Cow<'_, str>> {
        match &self.content {
            Content::ToolResult(result) => result.parts.iter().flat_map(Self::texts).collect(),
            Content::Document(Document { source, title, context, .. }) => {
                let about = [title.as_deref(), context.as_deref()].into_iter().flatten().map(Cow::Borrowed);
                about.chain(source.as_text()).collect()
            }
            _ => self
                .as_text()
                .map(Cow::Borrowed)
                .or_else(|| self.plain_text().map(Cow::Owned))
                .into_iter()
                .collect(),
        }
    }

    /// What a search result, a loaded tool or a summary says, or a text with a title or a context.
    fn plain_text(&self) -> Option<String> {
        let (head, text) = match &self.content {
            Content::Document(Document { source: MediaSource::Text(text), title, context, .. }) => {
                ([title.clone(), context.clone()], text.clone())
            }
            Content::Foreign { dialect: Dialect::Messages, kind, json } if kind == SEARCH_RESULT => {
                let head = ["title", "source"].map(|name| json.raw().get_str(name).map(Cow::into_owned));
                let texts = json.raw().get("content")?.items().filter_map(|part| part.get_str("text"));
                (head, texts.collect::<Vec<_>>().join("\n"))
            }
            // The client has declared the tool, which is all that other APIs need.
            Content::Foreign { dialect: Dialect::Messages, kind, json } if kind == "tool_reference" => {
                return Some(format!("The tool {} is loaded.", json.raw().get_str("tool_name")?));
            }
            // It stands for the conversation before it.
            Content::Foreign { dialect: Dialect::Messages, kind, json } if kind == COMPACTION => {
                return json.raw().get_str("content").map(Cow::into_owned);
            }
            _ => return None,
        };
        let lines: Vec<String> = head.into_iter().flatten().filter(|line| !line.is_empty()).collect();
        (!lines.is_empty()).then(|| format!("{}\n\n{text}", lines.join("\n")))
    }

    fn make_plain(&mut self) {
        if let Some(text) = self.plain_text() {
            self.content = Content::Text(Text { text, ..Text::default() });
        }
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None }
    }
}
