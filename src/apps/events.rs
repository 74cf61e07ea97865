//! What an app's conversation tells, as its streams and its history have it.
//! Pure: the database adds trace and app to each event.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whether more comes, as clients read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Running,
    Idle,
}

/// The kinds of messages that clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum MessageKind {
    StageResult,
    RuntimeError,
    RefinementRequest,
    ReviewResult,
    WipUpdate,
    PlatformMessage,
    UserMessage,
}

/// One event; which turn's, the statement that writes it knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<MessageKind>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

/// The last event of a turn.
pub(super) const DONE: Event = Event {
    event: "done",
    status: None,
    kind: None,
    messages: Vec::new(),
    app_name: None,
    commit_message: None,
    metadata: None,
};

impl Event {
    /// A message of ours, or of the agent's.
    pub(super) fn message(status: Status, kind: MessageKind, text: impl Into<String>) -> Self {
        Self { event: "message", status: Some(status), kind: Some(kind), ..DONE }.saying("assistant", text)
    }

    /// The user's own words, which no stream repeats.
    pub(super) fn user(text: &str) -> Self {
        let said = Self { event: "user", kind: Some(MessageKind::UserMessage), ..DONE };
        said.saying("user", text)
    }

    /// What only staff is told.
    pub(super) fn debug(text: impl Into<String>) -> Self {
        Self { event: "debug", ..Self::running(MessageKind::WipUpdate, text) }
    }

    /// A message after which more comes.
    pub(super) fn running(kind: MessageKind, text: impl Into<String>) -> Self {
        Self::message(Status::Running, kind, text)
    }

    /// A message after which nothing of the agent's comes.
    pub(super) fn idle(kind: MessageKind, text: impl Into<String>) -> Self {
        Self::message(Status::Idle, kind, text)
    }

    /// A notice of the platform's; `metadata` has its `type`.
    pub(super) fn notice(text: impl Into<String>, metadata: Value) -> Self {
        Self { metadata: Some(metadata), ..Self::idle(MessageKind::PlatformMessage, text) }
    }

    /// One more text.
    pub(super) fn saying(mut self, role: &str, text: impl Into<String>) -> Self {
        self.messages.push(json!({ "role": role, "content": text.into() }));
        self
    }

    /// What the app is called from now on, and what the commit says.
    pub(super) fn naming(self, app_name: Option<String>, commit_message: Option<String>) -> Self {
        Self { app_name, commit_message, ..self }
    }
}
