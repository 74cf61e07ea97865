//! Stored chat completions (`store: true`). OpenAI's clients see single
//! completions (openai.rs). The original client sees whole conversations, whose ids
//! it chooses (conversations.rs). Other users cannot read them, except one that its
//! user shares, by its share id.

pub(crate) mod conversations;
pub(crate) mod openai;
#[cfg(test)]
pub(in crate::gateway) mod openapi;
pub(in crate::gateway) mod store;

use hatch_dialects::{Class, Dialect, Error as DialectError, Reply, Response as DialectResponse};
use serde_json::{Map, Value, json};

use super::guard::Guards;
use crate::{error::Error, platform::clock::now_ms, store::Statement};

/// The longest completion that is stored. A row of D1 holds two megabytes.
pub(super) const MOST_BYTES: usize = 1_500_000;

/// The parts of a request that are stored with its completion.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The client's id of its conversation.
    name: Option<String>,
    messages: Vec<Value>,
    metadata: Map<String, Value>,
    /// How long the request is, in bytes.
    request_bytes: usize,
}

impl Keeper {
    /// Takes the messages and metadata of a request. Text that a guardrail redacts for the
    /// model is redacted in the database too.
    pub(super) fn of(body: &[u8], name: Option<String>, guards: &Guards) -> Self {
        let request_bytes = body.len();
        let mut body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let mut messages = match body.remove("messages") {
            Some(Value::Array(messages)) => messages,
            _ => Vec::new(),
        };
        messages.iter_mut().for_each(|message| guards.redact(message));
        let metadata = match body.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        Self { name, messages, metadata, request_bytes }
    }

    /// The messages alone are more than is stored.
    pub(super) fn is_too_large(&self) -> bool {
        // They are only written out where the request is long enough for it.
        self.request_bytes > MOST_BYTES && json!(self.messages).to_string().len() > MOST_BYTES
    }

    /// Stores a whole answer. It replaces the conversation's earlier one.
    pub(super) fn statements(&self, user: &str, answer: &DialectResponse, reply: &Reply) -> Vec<Statement> {
        let rendered = Dialect::Chat.render_response(answer, reply);
        let Ok(mut body) = serde_json::from_str::<Value>(&rendered) else { return Vec::new() };
        let own_id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = self.name.clone().unwrap_or_else(|| own_id.to_owned());
        if let Some(body) = body.as_object_mut() {
            body.insert("id".to_owned(), json!(id));
        }
        let (messages, body) = (with_ids(&self.messages, &id).to_string(), body.to_string());
        if messages.len() + body.len() > MOST_BYTES {
            return Vec::new();
        }
        let metadata = json!(self.metadata).to_string();
        let completion = store::NewCompletion {
            id: &id,
            model: &reply.model,
            metadata: &metadata,
            messages: &messages,
            body: &body,
        };
        vec![store::put(user, &completion, now_ms()), store::delete_excess(user)]
    }
}

/// Gives an id to each message that has none.
fn with_ids(messages: &[Value], completion: &str) -> Value {
    let with_id = |(index, message): (usize, &Value)| {
        let mut message = message.clone();
        if let Some(members) = message.as_object_mut() {
            let id = members.entry("id").or_insert(Value::Null);
            if !id.is_string() {
                *id = json!(format!("{completion}-{index}"));
            }
        }
        message
    };
    messages.iter().enumerate().map(with_id).collect()
}

/// The error for a completion that is not stored, or belongs to another user.
fn not_found() -> Error {
    DialectError::new(Class::NotFound, "There is no stored completion of this id").into()
}
