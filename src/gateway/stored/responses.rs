//! Answers of the Responses API. They are stored for a day, so that a later request can refer to them by
//! `previous_response_id` or by the id of an item.

use std::collections::BTreeSet;

use hatch_dialects::{Class, Dialect, Error as DialectError, Json, Reply, Response as DialectResponse, tree};
use serde::Deserialize;
use serde_json::{Value, json};
use worker::Env;

use super::{
    large::{self, MOST_BYTES_IN_ROW, Unstored},
    openai::Wanted,
};
use crate::{
    error::Error,
    gateway::{
        guardrails::Guards,
        store::{self, NewResponse},
    },
    http::RequestContext,
    platform::{clock::now_ms, response::Response},
    store::{Database, Statement},
};

/// The parts of a request to the Responses API that are stored with its answer.
#[derive(Debug)]
pub(in crate::gateway) struct Keeper {
    /// The items before the answer's own.
    items: Vec<Value>,
    env: Env,
}

impl Keeper {
    /// Takes the items of the request and of the answers before it. Text that a
    /// guardrail redacts for the model is redacted in the database too.
    pub(in crate::gateway) fn of(items: &[Json], guards: &Guards, env: &Env) -> Self {
        let mut items: Vec<Value> = items.iter().filter_map(|item| tree(item.as_str())).collect();
        items.iter_mut().for_each(|item| guards.redact(item));
        Self { items, env: env.clone() }
    }

    pub(super) async fn statements(
        &self,
        user: &str,
        answer: &DialectResponse,
        reply: &Reply,
        database: &Database,
    ) -> Result<Vec<Statement>, Unstored> {
        if answer.native.as_ref().is_some_and(|native| native.as_str().len() > MOST_BYTES) {
            return Err(Unstored::TooLarge);
        }
        let body = Dialect::Responses.render_response(answer, reply);
        let whole = Dialect::Responses.render_response(answer, &with_thoughts(reply));
        let value = tree(&whole).ok_or(Unstored::Failed)?;
        let (id, output) =
            (value.get("id").and_then(Value::as_str), value.get("output").and_then(Value::as_array));
        let (Some(id), Some(output)) = (id, output) else { return Err(Unstored::Failed) };
        let items: Vec<&Value> = self.items.iter().chain(output).collect();
        let json = serde_json::to_string(&items).map_err(|_| Unstored::Failed)?;
        let input_items = self.items.len();
        if json.len() + body.len() <= MOST_BYTES_IN_ROW {
            let row = NewResponse { id, items: &json, input_items, body: &body, file: None };
            return Ok(vec![store::keep(user, &row, now_ms())]);
        }
        let body = tree(&body).ok_or(Unstored::Failed)?;
        let key = format!("responses/{id}");
        let object = format!(r#"{{"items":{json},"body":{body}}}"#);
        if object.len() > MOST_BYTES {
            return Err(Unstored::TooLarge);
        }
        let claim = large::write(&key, object, &self.env, database).await?;
        let ids = large::ids_of(items);
        let row = NewResponse { id, items: &ids, input_items, body: "null", file: Some(&key) };
        Ok(vec![store::keep(user, &row, now_ms()), claim])
    }
}

/// The reply of a client that asks for the model's thoughts: the next request needs
/// them, whether this client sees them or not.
pub(in crate::gateway) fn with_thoughts(reply: &Reply) -> Reply {
    Reply { include_encrypted_reasoning: true, ..reply.clone() }
}

/// The longest answer, with the items before it, that is stored at all. A longer conversation would not be taken
/// back either.
const MOST_BYTES: usize = 32_000_000;

/// The items of a stored answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptItems {
    items: Vec<Value>,
    /// How many of them are before the answer's own.
    input_items: usize,
    file: Option<String>,
}

/// An item of a stored answer. It has only its id if it is in a file.
#[derive(Deserialize)]
struct NamedItem {
    item: Value,
    file: Option<String>,
}

/// What is too large for a row, as an object in the bucket.
#[derive(Deserialize)]
struct LargeResponse {
    items: Vec<Value>,
    body: Value,
}

impl KeptItems {
    /// None if there is no such answer.
    async fn read(id: &str, user: &str, env: &Env, database: &Database) -> Result<Option<Self>, Error> {
        large::with_row(async || {
            let kept: Option<Self> = database.query(store::kept_items(id, user, now_ms())).await?.first()?;
            let Some(Self { input_items, file: Some(file), .. }) = kept else { return Ok(Some(kept)) };
            let object: Option<LargeResponse> = large::read(&file, env).await?;
            Ok(object.map(|LargeResponse { items, .. }| Some(Self { items, input_items, file: None })))
        })
        .await
    }
}

/// The items of an answer and of all answers before it.
pub(in crate::gateway) async fn items_of(
    id: &str,
    user: &str,
    env: &Env,
    database: &Database,
) -> Result<Vec<Json>, Error> {
    let kept = KeptItems::read(id, user, env, database).await?.ok_or_else(|| no_previous(id))?;
    Ok(kept.items.iter().filter_map(|item| Json::parse(&item.to_string())).collect())
}

/// The most items that a request may refer to.
const MOST_NAMED: usize = 500;
/// The most objects that are read for them. An answer has all items before it, so a conversation needs one.
const MOST_FILES: usize = 4;

/// The items of these ids.
pub(in crate::gateway) async fn items_named(
    ids: &[String],
    user: &str,
    env: &Env,
    database: &Database,
) -> Result<Vec<(String, Json)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids.get(..MOST_NAMED).unwrap_or(ids);
    let items = large::with_row(async || read_named(ids, user, env, database).await).await?;
    let with_id = |item: Value| Some((item.get("id")?.as_str()?.to_owned(), Json::parse(&item.to_string())?));
    Ok(items.into_iter().filter_map(with_id).collect())
}

/// The items of these ids. None if an object with some of them is gone.
async fn read_named(
    ids: &[String],
    user: &str,
    env: &Env,
    database: &Database,
) -> Result<Option<Vec<Value>>, Error> {
    let rows = database.query(store::kept_named(&json!(ids).to_string(), user, now_ms())).await?;
    let named: Vec<NamedItem> = rows.read()?;
    let is_wanted = |item: &Value| {
        let id = item.get("id").and_then(Value::as_str);
        id.is_some_and(|id| ids.iter().any(|wanted| wanted == id))
    };
    let in_files: BTreeSet<&str> = named.iter().filter_map(|named| named.file.as_deref()).collect();
    let mut items: Vec<Value> = Vec::new();
    for file in in_files.into_iter().take(MOST_FILES) {
        let Some(large) = large::read::<LargeResponse>(file, env).await? else { return Ok(None) };
        items.extend(large.items.into_iter().filter(is_wanted));
    }
    items.extend(named.into_iter().filter(|named| named.file.is_none()).map(|named| named.item));
    Ok(Some(items))
}

/// `GET /v1/responses/{id}`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    if context.query("stream").as_deref() == Some("true") {
        let words = "This response cannot be streamed because it was not created with background=true.";
        return Err(only_in_background(words));
    }
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let database = context.database()?;
    let body = large::with_row(async || read_body(id, user, &context.env, &database).await).await?;
    Ok(Response::json(200, body))
}

/// The body of an answer. None if the object with it is gone.
async fn read_body(id: &str, user: &str, env: &Env, database: &Database) -> Result<Option<String>, Error> {
    let now = now_ms();
    let [file, body] =
        database.batch([store::kept_file(id, user, now), store::kept_body(id, user, now)]).await?;
    let file: Option<String> = file.first()?;
    let Some(file) = file else { return body.into_json().map(Some).ok_or_else(not_stored) };
    let object: Option<LargeResponse> = large::read(&file, env).await?;
    Ok(object.map(|object| object.body.to_string()))
}

/// `GET /v1/responses/{id}/input_items?after=&limit=&order=`: the items before the
/// answer, those of earlier answers included.
pub(crate) async fn input_items(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let wanted = Wanted::read(&context, true)?;
    let kept = KeptItems::read(id, user, &context.env, &context.database()?).await?;
    let KeptItems { items, input_items, .. } = kept.ok_or_else(not_stored)?;
    let items = items.into_iter().take(input_items).enumerate();
    Ok(wanted.page(items.filter_map(|(at, item)| listed(item, id, at)).collect()))
}

/// An item in the form in which OpenAI's API lists it: with an id, and a message's text as
/// a list of parts. It has no encrypted thoughts, which have to be asked for.
fn listed(mut item: Value, response: &str, at: usize) -> Option<Value> {
    let members = item.as_object_mut()?;
    let kind = members.entry("type").or_insert_with(|| json!("message")).as_str()?.to_owned();
    let prefix = if kind == "message" { "msg" } else { "item" };
    members
        .entry("id")
        .or_insert_with(|| json!(format!("{prefix}_{}_{at}", response.trim_start_matches("resp_"))));
    if kind == "reasoning" {
        members.remove("encrypted_content");
    }
    if let Some(content) =
        members.get_mut("content").filter(|content| kind == "message" && content.is_string())
    {
        *content = json!([{ "type": "input_text", "text": content.take() }]);
    }
    Some(item)
}

/// `DELETE /v1/responses/{id}`
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    if context.database()?.query(store::forget_kept(id, user)).await?.is_empty() {
        return Err(not_stored());
    }
    Ok(Response::json(200, json!({ "id": id, "object": "response.deleted", "deleted": true }).to_string()))
}

/// `POST /v1/responses/{id}/cancel`: none can be cancelled, because a client waits for each answer that is made here.
pub(crate) async fn cancel(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    if context.database()?.query(store::is_kept(id, user, now_ms())).await?.is_empty() {
        return Err(not_stored());
    }
    Err(only_in_background("Cannot cancel a synchronous response."))
}

/// What OpenAI's API can do only with a response that it makes in the background. The words are OpenAI's.
fn only_in_background(words: &str) -> Error {
    DialectError::new(Class::Invalid, words).into()
}

/// Why an answer may not be found.
const KEPT: &str = "an answer is kept for one day, and only its own user can read it";

fn not_stored() -> Error {
    DialectError::new(Class::NotFound, format!("Response not found; {KEPT}")).into()
}

/// As OpenAI's API says it: its clients know the code.
fn no_previous(id: &str) -> Error {
    let id: String = id.chars().take(LONGEST_SHOWN).collect();
    let words = format!("Previous response with id '{id}' not found; {KEPT}.");
    let error = DialectError::new(Class::Invalid, words).with_code("previous_response_not_found");
    DialectError { param: Some("previous_response_id".to_owned()), ..error }.into()
}

/// How much of an id an error repeats.
const LONGEST_SHOWN: usize = 80;
