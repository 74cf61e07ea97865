//! How chat completions are stored: the answer and the messages before it, in a row or, if they are long, in an object.

use hatch_dialects::{Class, Dialect, Error as DialectError, Reply, Response as DialectResponse, tree};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use worker::Env;

use super::{
    large::{self, MOST_BYTES_IN_ROW, Unstored},
    store,
};
use crate::{
    error::Error,
    gateway::guardrails::Guards,
    platform::{clock::now_ms, random},
    store::{Database, Statement},
};

/// The parts of a request that are stored with its completion.
#[derive(Debug)]
pub(in crate::gateway) struct Keeper {
    /// The client's id of its conversation.
    name: Option<String>,
    messages: Vec<Value>,
    metadata: Map<String, Value>,
    env: Env,
}

impl Keeper {
    /// Takes the messages and metadata of a request. Text that a guardrail redacts for the
    /// model is redacted in the database too.
    pub(in crate::gateway) fn of(body: &[u8], name: Option<String>, guards: &Guards, env: &Env) -> Self {
        let mut body = str::from_utf8(body).ok().and_then(tree).unwrap_or_default();
        let mut take = |name: &str| body.as_object_mut().and_then(|body| body.remove(name));
        let mut messages = match take("messages") {
            Some(Value::Array(messages)) => messages,
            _ => Vec::new(),
        };
        messages.iter_mut().for_each(|message| guards.redact(message));
        let metadata = match take("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        Self { name, messages, metadata, env: env.clone() }
    }

    /// Stores a whole answer. It replaces the conversation's earlier one. An object of messages that are too
    /// large for a row is written before.
    pub(super) async fn statements(
        mut self,
        user: &str,
        answer: &DialectResponse,
        reply: &Reply,
        database: &Database,
    ) -> Result<Vec<Statement>, Unstored> {
        let rendered = Dialect::Chat.render_response(answer, reply);
        let mut body = tree(&rendered).ok_or(Unstored::Failed)?;
        let own_id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = self.name.unwrap_or_else(|| own_id.to_owned());
        if let Some(body) = body.as_object_mut() {
            body.insert("id".to_owned(), json!(id));
        }
        add_ids(&mut self.messages, &id);
        let body = body.to_string();
        let stored = Stored::of(self.messages, body.len(), &self.env, database).await?;
        let completion = store::NewCompletion {
            id: &id,
            model: &reply.model,
            metadata: &json!(self.metadata).to_string(),
            messages: &stored.messages,
            body: &body,
            file: stored.file.as_deref(),
            file_bytes: stored.file_bytes,
        };
        let mut statements = vec![store::put(user, &completion, now_ms())];
        statements.extend(stored.claim);
        statements.push(store::delete_excess(user));
        Ok(statements)
    }
}

/// Messages as their row has them.
#[derive(Default)]
struct Stored {
    /// JSON; only their ids if there is a file.
    messages: String,
    file: Option<String>,
    file_bytes: usize,
    claim: Option<Statement>,
}

impl Stored {
    /// The answer has to fit into the row, where lists find it. The messages may have 32 MB, so few copies of them
    /// exist at a time: a Worker has 128 MB.
    async fn of(
        messages: Vec<Value>,
        body_bytes: usize,
        env: &Env,
        database: &Database,
    ) -> Result<Self, Unstored> {
        let text = serde_json::to_string(&messages).map_err(|_| Unstored::Failed)?;
        if text.len() + body_bytes <= MOST_BYTES_IN_ROW {
            return Ok(Self { messages: text, ..Self::default() });
        }
        let ids = large::ids_of(&messages);
        drop(messages);
        if ids.len() + body_bytes > MOST_BYTES_IN_ROW {
            return Err(Unstored::TooLarge);
        }
        let name = random::uuid().map_err(|error| large::failed(&error))?;
        let (key, object) = (format!("completions/{name}"), format!(r#"{{"messages":{text}}}"#));
        drop(text);
        let file_bytes = object.len();
        let claim = large::write(&key, object, env, database).await?;
        Ok(Self { messages: ids, file: Some(key), file_bytes, claim: Some(claim) })
    }
}

/// The messages before a stored answer.
#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    pub(super) messages: Vec<Value>,
    #[serde(default)]
    pub(super) file: Option<String>,
}

impl Messages {
    /// All of them, from the object if there is one. None if it is gone.
    pub(super) async fn read(self, env: &Env) -> Result<Option<Vec<Value>>, Error> {
        let Some(file) = self.file else { return Ok(Some(self.messages)) };
        let object: Option<Self> = large::read(&file, env).await?;
        Ok(object.map(|object| object.messages))
    }
}

/// Gives an id to each message that has none.
fn add_ids(messages: &mut [Value], completion: &str) {
    for (index, message) in messages.iter_mut().enumerate() {
        let Some(members) = message.as_object_mut() else { continue };
        let id = members.entry("id").or_insert(Value::Null);
        if !id.is_string() {
            *id = json!(format!("{completion}-{index}"));
        }
    }
}

/// The error for a completion that is not stored, or belongs to another user.
pub(super) fn not_found() -> Error {
    DialectError::new(Class::NotFound, "There is no stored completion of this id").into()
}
