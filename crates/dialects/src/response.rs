//! A model's response, independent of any dialect.

use std::{borrow::Cow, rc::Rc};

use crate::{Json, request::Part};

/// A whole response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// The upstream's id of it.
    pub id: String,
    /// The model's name, as the upstream reports it.
    pub model: String,
    /// Seconds since 1970; 0 if the upstream does not report it.
    pub created: u64,
    /// The answers: one, unless the client asked for [`crate::Request::n`].
    pub choices: Vec<Choice>,
    /// `None` if the upstream does not report it.
    pub usage: Option<Usage>,
    /// The capacity that served it, in the upstream's words.
    pub service_tier: Option<String>,
    /// What only Chat Completions has.
    pub chat: ChatMembers,
    /// The response as the upstream sent it, if that speaks Responses: it has
    /// items that no other dialect knows.
    pub native: Option<Rc<Json>>,
}

/// What only an answer of Chat Completions has, as its upstream sent it: for clients of the same dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatMembers {
    pub(crate) answer: Vec<(String, Json)>,
    /// All counts, with kinds of tokens that [`Usage`] does not have.
    pub(crate) usage: Option<Json>,
    pub(crate) choices: Vec<ChoiceMembers>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ChoiceMembers {
    pub(crate) choice: Vec<(String, Json)>,
    /// Audio, annotations with their positions.
    pub(crate) message: Vec<(String, Json)>,
}

/// One of the answers to a request: more than one only if the client asks for `n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What the model said, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub stop: Stop,
    /// OpenAI's `logprobs`, unchanged.
    pub logprobs: Option<Json>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StopReason {
    /// It had said everything.
    #[default]
    End,
    /// It reached the limit of tokens.
    Length,
    /// It waits for the results of the tools that it called.
    ToolCalls,
    /// It was about to write one of [`crate::Request::stop`].
    StopSequence,
    /// It refused, or a filter stopped it.
    Refusal,
    /// The context is full.
    Context,
    /// It asks the client to continue the turn (Anthropic's server tools).
    Pause,
}

/// Why a model stopped, with details.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    /// The reason, without details.
    pub reason: StopReason,
    /// The stop sequence that matched; only Anthropic reports it.
    pub sequence: Option<String>,
    /// The reason for a refusal, if reported.
    pub explanation: Option<String>,
    /// The kind of refusal; only Anthropic reports it.
    pub category: Option<String>,
}

impl From<StopReason> for Stop {
    fn from(reason: StopReason) -> Self {
        Self { reason, ..Self::default() }
    }
}

/// Token counts. Each token is counted in exactly one of the input fields, so
/// that it is priced once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens at the full price: neither read from nor written to the
    /// cache.
    pub input: u64,
    /// Input tokens that were read from the cache, at a lower price.
    pub cache_read: u64,
    /// Written to the cache for a short time (5 or 30 minutes).
    pub cache_write: u64,
    /// Written to the cache for a long time (an hour, 12 hours).
    pub cache_write_long: u64,
    /// All output tokens, thoughts included.
    pub output: u64,
    /// The output tokens that were thoughts.
    pub reasoning: u64,
    /// Web searches, which are priced individually.
    pub web_searches: u64,
}

impl Usage {
    /// All input tokens.
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_writes())
    }

    /// Tokens that were written to a cache of either duration.
    pub fn cache_writes(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_long)
    }

    /// All tokens, in and out.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// The usage of two answers together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let Self { input, cache_read, cache_write, cache_write_long, output, reasoning, web_searches } =
            other;
        Self {
            input: self.input.saturating_add(*input),
            cache_read: self.cache_read.saturating_add(*cache_read),
            cache_write: self.cache_write.saturating_add(*cache_write),
            cache_write_long: self.cache_write_long.saturating_add(*cache_write_long),
            output: self.output.saturating_add(*output),
            reasoning: self.reasoning.saturating_add(*reasoning),
            web_searches: self.web_searches.saturating_add(*web_searches),
        }
    }
}

/// An event of a streamed response.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The response begins. Fields that the upstream does not report are empty.
    Start {
        /// The upstream's id of the response.
        id: Cow<'a, str>,
        /// The model's name, as the upstream reports it.
        model: Cow<'a, str>,
    },
    /// A part begins. `part` counts from 0 across all choices.
    PartStart {
        /// The number by which later events name it.
        part: u32,
        /// The number of the answer that it belongs to, from 0.
        choice: u32,
        /// Text, a thought, or the call of a tool.
        kind: PartKind<'a>,
    },
    /// A part continues: text, thoughts, a refusal, or arguments.
    Delta {
        /// The part that continues.
        part: u32,
        /// What follows the pieces before.
        text: Cow<'a, str>,
    },
    /// A thought is signed.
    Signature {
        /// The part with the thought.
        part: u32,
        /// As Anthropic wrote it.
        signature: Cow<'a, str>,
    },
    /// A source of a text, in the form of OpenAI's annotations.
    Annotation {
        /// The part with the text.
        part: u32,
        /// One annotation, an object.
        json: Json,
    },
    /// A part is complete.
    PartStop {
        /// The index of the part.
        part: u32,
    },
    /// The vendor runs a tool of its own: the answer has begun, though no other dialect shows it.
    Working,
    /// The vendor works on an item that no other dialect has: `item` is what is there of it, without any text.
    /// Its part starts when the item is whole.
    Progress {
        /// The number that the part will have.
        part: u32,
        /// The item, in the form of the Responses API.
        item: Json,
        /// Such as `searching`. None when the item is new.
        state: Option<&'static str>,
    },
    /// A choice ends, after all of its parts.
    Finish {
        /// The number of the choice, from 0.
        choice: u32,
        /// Why it ends.
        stop: Stop,
    },
    /// Total counts so far; later ones replace earlier ones.
    Usage(Usage),
    /// The response is complete. No event follows.
    End,
    /// The response failed. No event follows.
    Error(crate::Error),
}

/// What the part of an answer is that begins.
#[derive(Debug, Clone, PartialEq)]
pub enum PartKind<'a> {
    /// Text for the client.
    Text {
        /// Responses: what the text is for, such as `commentary` or `final_answer`.
        phase: Option<String>,
    },
    /// The model's words for why it does not answer.
    Refusal,
    /// Thoughts that clients may read.
    Thinking,
    /// Thoughts that only the provider can read; they have no deltas.
    Sealed(crate::request::Thinking),
    /// A call of a tool.
    ToolCall(CallStart<'a>),
    /// A whole item of the Responses API that no other dialect has, such as a web search; it has no deltas.
    Item(Json),
}

/// The beginning of a call of a tool; its arguments follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallStart<'a> {
    /// The key that pairs the call with its result.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// The group that the tool belongs to, as in [`crate::request::ToolCall::namespace`].
    pub namespace: Option<String>,
    /// Whether the tool takes plain text instead of JSON.
    pub is_custom: bool,
}

impl PartKind<'_> {
    /// A text of no phase.
    pub const TEXT: PartKind<'static> = PartKind::Text { phase: None };

    pub(crate) fn into_owned(self) -> PartKind<'static> {
        match self {
            Self::Text { phase } => PartKind::Text { phase },
            Self::Refusal => PartKind::Refusal,
            Self::Thinking => PartKind::Thinking,
            Self::Sealed(thinking) => PartKind::Sealed(thinking),
            Self::ToolCall(call) => PartKind::ToolCall(CallStart {
                id: Cow::Owned(call.id.into_owned()),
                name: Cow::Owned(call.name.into_owned()),
                namespace: call.namespace,
                is_custom: call.is_custom,
            }),
            Self::Item(json) => PartKind::Item(json),
        }
    }
}
