//! What a model answers, in no dialect.

use std::borrow::Cow;

use crate::{Json, request::Part};

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    pub id: String,
    pub model: String,
    /// Seconds since 1970; 0 if the upstream does not say.
    pub created: u64,
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub parts: Vec<Part>,
    pub stop: Stop,
    /// OpenAI's `logprobs`, as they came.
    pub logprobs: Option<Json>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StopReason {
    #[default]
    End,
    /// As many tokens as it might say.
    Length,
    ToolCalls,
    StopSequence,
    /// It will not answer, or may not.
    Refusal,
    /// The context is full.
    Context,
    /// It wants to be asked to go on (Anthropic's server tools).
    Pause,
}

/// Why a model stopped, and what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    pub reason: StopReason,
    /// Which stop sequence; only Anthropic tells.
    pub sequence: Option<String>,
    /// Why it refuses, if it says so.
    pub explanation: Option<String>,
    /// What kind of refusal; only Anthropic tells.
    pub category: Option<String>,
}

impl From<StopReason> for Stop {
    fn from(reason: StopReason) -> Self {
        Self { reason, ..Self::default() }
    }
}

/// What was read and written, each token in one place and so priced once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read for the full price: neither from the cache nor into it.
    pub input: u64,
    pub cache_read: u64,
    /// Written to the cache for a short time (5 or 30 minutes).
    pub cache_write: u64,
    /// Written to the cache for a long time (an hour, 12 hours).
    pub cache_write_long: u64,
    /// All that was written, thoughts included.
    pub output: u64,
    /// How much of the output was thought.
    pub reasoning: u64,
    /// Searches of the web, which are paid by the piece.
    pub web_searches: u64,
}

impl Usage {
    /// All that was read.
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_writes())
    }

    pub fn cache_writes(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_long)
    }

    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}

/// One thing that happens while an answer comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The answer begins. What the upstream does not tell is empty.
    Start {
        id: Cow<'a, str>,
        model: Cow<'a, str>,
    },
    /// A part begins. `part` is counted from 0 over all choices.
    PartStart {
        part: u32,
        choice: u32,
        kind: PartKind<'a>,
    },
    /// A part goes on: text, thoughts, a refusal, or arguments.
    Delta {
        part: u32,
        text: Cow<'a, str>,
    },
    /// A thought is signed.
    Signature {
        part: u32,
        signature: Cow<'a, str>,
    },
    /// A source of a text, as one of OpenAI's annotations.
    Annotation {
        part: u32,
        json: Json,
    },
    PartStop {
        part: u32,
    },
    /// A choice ends, after all of its parts.
    Finish {
        choice: u32,
        stop: Stop,
    },
    /// All counts together; the last ones hold.
    Usage(Usage),
    /// The answer is whole. Nothing follows.
    End,
    /// The answer will not be whole. Nothing follows.
    Error(crate::Error),
}

#[derive(Debug, Clone, PartialEq)]
pub enum PartKind<'a> {
    Text,
    Refusal,
    Thinking,
    /// Thoughts that only the provider can read; there are no deltas.
    Sealed(crate::request::Thinking),
    ToolCall(CallStart<'a>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallStart<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub namespace: Option<String>,
    pub is_custom: bool,
}

impl PartKind<'_> {
    pub(crate) fn into_owned(self) -> PartKind<'static> {
        match self {
            Self::Text => PartKind::Text,
            Self::Refusal => PartKind::Refusal,
            Self::Thinking => PartKind::Thinking,
            Self::Sealed(thinking) => PartKind::Sealed(thinking),
            Self::ToolCall(call) => PartKind::ToolCall(CallStart {
                id: Cow::Owned(call.id.into_owned()),
                name: Cow::Owned(call.name.into_owned()),
                namespace: call.namespace,
                is_custom: call.is_custom,
            }),
        }
    }
}
