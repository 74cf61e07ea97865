//! Chat completions that their users keep (`store: true`): for OpenAI's
//! clients one completion each (openai.rs), for Polychat's whole conversations,
//! which they name themselves (polychat.rs). Nobody else reads them, unless by
//! the id under which their user shares one.

pub(crate) mod openai;
#[cfg(test)]
pub(in crate::gateway) mod openapi;
pub(crate) mod polychat;
pub(in crate::gateway) mod store;

use hatch_dialects::{Class, Dialect, Error as DialectError, Reply, Response as DialectResponse};
use serde_json::{Map, Value, json};

use super::guard::Guards;
use crate::{error::Error, platform::clock::now_ms, store::Statement};

/// A row of D1 takes two megabytes; what is longer is not kept.
const MOST_BYTES: usize = 1_500_000;

/// Knows what has to be kept of a completion.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The client's name for its conversation.
    name: Option<String>,
    messages: Vec<Value>,
    metadata: Map<String, Value>,
}

impl Keeper {
    /// What a guardrail kept from the model is kept from the database too.
    pub(super) fn of(body: &[u8], name: Option<String>, guards: &Guards) -> Self {
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
        Self { name, messages, metadata }
    }

    /// Keeps a whole answer, in the place of the one before it.
    pub(super) fn statements(&self, user: &str, answer: &DialectResponse, reply: &Reply) -> Vec<Statement> {
        let told = Dialect::Chat.render_response(answer, reply);
        let Ok(mut body) = serde_json::from_str::<Value>(&told) else { return Vec::new() };
        let told_id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = self.name.clone().unwrap_or_else(|| told_id.to_owned());
        if let Some(body) = body.as_object_mut() {
            body.insert("id".to_owned(), json!(id));
        }
        let (messages, body) = (with_ids(&self.messages, &id).to_string(), body.to_string());
        if messages.len() + body.len() > MOST_BYTES {
            return Vec::new();
        }
        let metadata = json!(self.metadata).to_string();
        let kept = store::Kept {
            id: &id,
            model: &reply.model,
            metadata: &metadata,
            messages: &messages,
            body: &body,
        };
        vec![store::keep(user, &kept, now_ms()), store::keep_to_most(user)]
    }
}

/// Each message with an id: the client's own, or of its place.
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

/// That a completion is not kept here, or is somebody else's.
fn not_found() -> Error {
    DialectError::new(Class::NotFound, "There is no stored completion of this id").into()
}
