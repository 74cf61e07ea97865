//! Stored completions in OpenAI's API
//! (platform.openai.com/docs/api-reference/chat/list).

use hatch_dialects::Error as DialectError;
use serde_json::{Map, Value, json};

use super::{
    completions::{Messages, not_found},
    large, store,
};
use crate::{
    error::Error,
    http::{RequestContext, body, page},
    platform::response::Response,
    store::page::Page,
};

const DEFAULT_LIMIT: u32 = 20;
const MOST_LIMIT: u32 = 100;
const MOST_METADATA: usize = 16;

/// `GET /v1/chat/completions?after=&limit=&order=&model=&metadata[key]=`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let limit = page::number(&context, "limit", DEFAULT_LIMIT, MOST_LIMIT)?;
    let (after, model) = (context.query("after"), context.query("model"));
    let metadata = json!(metadata_of(context.request.query())).to_string();
    let filter = store::Filter {
        after: after.as_deref(),
        model: model.as_deref(),
        metadata: &metadata,
        is_newest_first: order(&context)?.unwrap_or_default(),
    };
    let (database, mut page) = (context.database()?, Page::first(limit));
    let found = page::fetch(&database, &mut page, |page| store::list(user, &filter, page)).await?;
    let (next, list) = page::split(found.as_deref().unwrap_or_default());
    let list: Vec<Value> = hatch_json::from_str(&list).map_err(|error| Error::database(error.to_string()))?;
    Ok(page_of(list, next.is_some()))
}

/// `GET /v1/chat/completions/{id}`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let completion = context.database()?.query_json(store::completion(user, id)).await?;
    Ok(Response::json(200, completion.ok_or_else(not_found)?))
}

/// `GET /v1/chat/completions/{id}/messages?after=&limit=&order=`: the
/// messages before the answer.
pub(crate) async fn messages(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let wanted = Wanted::read(&context, false)?;
    let database = context.database()?;
    let messages = large::with_row(async || {
        let found: Option<Messages> = database.query(store::messages(user, id)).await?.first()?;
        found.ok_or_else(not_found)?.read(&context.env).await
    })
    .await?;
    Ok(wanted.page(messages.into_iter().map(stored_message).collect()))
}

/// The page that a client wants of a list that is stored as one: `after`, `limit` and `order`.
#[derive(Debug)]
pub(in crate::gateway) struct Wanted {
    after: Option<String>,
    limit: usize,
    is_newest_first: bool,
}

impl Wanted {
    /// # Errors
    /// 400 that names the parameter.
    pub(in crate::gateway) fn read(context: &RequestContext, is_newest_first: bool) -> Result<Self, Error> {
        let limit = page::number(context, "limit", DEFAULT_LIMIT, MOST_LIMIT)?;
        let is_newest_first = order(context)?.unwrap_or(is_newest_first);
        let limit = usize::try_from(limit).unwrap_or_default();
        Ok(Self { after: context.query("after"), limit, is_newest_first })
    }

    /// Takes the page from all entries, the oldest first.
    pub(in crate::gateway) fn page(&self, mut entries: Vec<Value>) -> Response {
        if self.is_newest_first {
            entries.reverse();
        }
        if let Some(after) = &self.after {
            let is_it = |entry: &Value| entry.get("id").is_some_and(|id| id == after);
            entries = entries.into_iter().skip_while(|entry| !is_it(entry)).skip(1).collect();
        }
        let has_more = entries.len() > self.limit;
        entries.truncate(self.limit);
        page_of(entries, has_more)
    }
}

/// `POST /v1/chat/completions/{id}`: replaces the metadata.
pub(crate) async fn update(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let metadata = read_update(body::object(&context).await?)?;
    let metadata = Value::Object(metadata).to_string();
    let completion = context.database()?.query_json(store::set_metadata(user, id, &metadata)).await?;
    Ok(Response::json(200, completion.ok_or_else(not_found)?))
}

/// `DELETE /v1/chat/completions/{id}`
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    if context.database()?.query(store::delete(user, id)).await?.is_empty() {
        return Err(not_found());
    }
    let deleted = json!({ "object": "chat.completion.deleted", "id": id, "deleted": true });
    Ok(Response::json(200, deleted.to_string()))
}

/// # Errors
/// 400 if `metadata` is missing, or not of OpenAI's form.
pub(in crate::gateway) fn read_update(mut body: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    match body.remove("metadata") {
        Some(Value::Object(metadata)) => check_metadata(&metadata).map(|()| metadata),
        Some(Value::Null) => Ok(Map::new()),
        _ => Err(DialectError::invalid("metadata", "must be an object of strings").into()),
    }
}

/// # Errors
/// 400 for more than 16 pairs, a name of more than 64 characters, or a value that is
/// not a string of at most 512.
pub(in crate::gateway) fn check_metadata(metadata: &Map<String, Value>) -> Result<(), Error> {
    let is_short = |text: &str, most: usize| text.chars().count() <= most;
    let fits = |(name, value): (&String, &Value)| {
        is_short(name, 64) && value.as_str().is_some_and(|text| is_short(text, 512))
    };
    if metadata.len() <= MOST_METADATA && metadata.iter().all(fits) {
        return Ok(());
    }
    let words = "must have at most 16 pairs: names of up to 64 characters and strings of up to 512";
    Err(DialectError::invalid("metadata", words).into())
}

/// Whether the newest entries come first; none if the query does not say.
fn order(context: &RequestContext) -> Result<Option<bool>, Error> {
    match context.query("order").as_deref() {
        None => Ok(None),
        Some("asc") => Ok(Some(false)),
        Some("desc") => Ok(Some(true)),
        Some(_) => Err(Error::invalid("order", "must be asc or desc")),
    }
}

/// `metadata[key]=value` of a query string.
fn metadata_of(query: &str) -> Map<String, Value> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let named = pairs.filter_map(|(name, value)| {
        let key = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((key.to_owned(), json!(value)))
    });
    named.collect()
}

/// A page in OpenAI's form.
fn page_of(rows: Vec<Value>, has_more: bool) -> Response {
    let id = |row: Option<&Value>| row.and_then(|row| row.get("id")).cloned().unwrap_or_default();
    let (first_id, last_id) = (id(rows.first()), id(rows.last()));
    let list = Value::from_iter([
        ("object", "list".into()),
        ("data", Value::from(rows)),
        ("first_id", first_id),
        ("last_id", last_id),
        ("has_more", has_more.into()),
    ]);
    Response::json(200, list.to_string())
}

/// A stored message in OpenAI's form, which has its parts in a member of their own.
fn stored_message(mut message: Value) -> Value {
    let Some(members) = message.as_object_mut() else { return message };
    let parts = members.get_mut("content").filter(|content| content.is_array()).map(Value::take);
    members.insert("content_parts".to_owned(), parts.unwrap_or_default());
    members.entry("content").or_insert(Value::Null);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_wanted_metadata() {
        let wanted = metadata_of("limit=2&metadata%5Ba%5D=1&metadata[b c]=x%26y&metadata=z");
        assert_eq!(json!(wanted), json!({ "a": "1", "b c": "x&y" }));
    }

    #[test]
    fn metadata_has_only_short_strings() {
        let read = |metadata: Value| read_update(Map::from_iter([("metadata".to_owned(), metadata)]));
        assert!(read(json!({ "a": "b" })).is_ok() && read(json!(null)).is_ok());
        for wrong in [
            json!([]),
            json!("a"),
            json!({ "a": 1 }),
            json!({ "a": "x".repeat(513) }),
            json!({ "x".repeat(65): "" }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!(""))).collect();
        assert!(read(json!(many)).is_err() && read_update(Map::new()).is_err());
    }

    #[test]
    fn the_parts_of_a_stored_message_have_a_member_of_their_own() {
        let parts = json!([{ "type": "text", "text": "Hi" }]);
        let shown = stored_message(json!({ "id": "m", "role": "user", "content": parts }));
        assert_eq!(shown, json!({ "id": "m", "role": "user", "content": null, "content_parts": parts }));
        let shown = stored_message(json!({ "id": "m", "role": "user", "content": "Hi" }));
        assert_eq!(shown, json!({ "id": "m", "role": "user", "content": "Hi", "content_parts": null }));
    }
}
