//! The events of an app's conversation, for its streams and its history. Pure:
//! the statement that stores an event adds the trace id and the app id.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whether more messages follow.
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

/// One event of a turn.
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
    /// A message of the Worker or of the agent.
    pub(super) fn message(status: Status, kind: MessageKind, text: impl Into<String>) -> Self {
        Self { event: "message", status: Some(status), kind: Some(kind), ..DONE }.with_text("assistant", text)
    }

    /// The user's message. Streams leave it out, the history shows it.
    pub(super) fn user(text: &str) -> Self {
        let event = Self { event: "user", kind: Some(MessageKind::UserMessage), ..DONE };
        event.with_text("user", text)
    }

    /// An event that only staff receives.
    pub(super) fn debug(text: impl Into<String>) -> Self {
        Self { event: "debug", ..Self::running(MessageKind::WipUpdate, text) }
    }

    /// A message that others follow.
    pub(super) fn running(kind: MessageKind, text: impl Into<String>) -> Self {
        Self::message(Status::Running, kind, text)
    }

    /// The agent's last message.
    pub(super) fn idle(kind: MessageKind, text: impl Into<String>) -> Self {
        Self::message(Status::Idle, kind, text)
    }

    /// A notice of the platform. `metadata` has its `type`.
    pub(super) fn notice(text: impl Into<String>, metadata: Value) -> Self {
        Self { metadata: Some(metadata), ..Self::idle(MessageKind::PlatformMessage, text) }
    }

    /// Adds a text.
    pub(super) fn with_text(mut self, role: &str, text: impl Into<String>) -> Self {
        self.messages.push(json!({ "role": role, "content": text.into() }));
        self
    }

    /// Adds the app's new name and the commit message.
    pub(super) fn with_names(self, app_name: Option<String>, commit_message: Option<String>) -> Self {
        Self { app_name, commit_message, ..self }
    }
}
