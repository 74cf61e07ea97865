//! What passes between a client and an upstream that both speak this dialect:
//! the items of a request, and an answer as it came.

use std::borrow::Cow;

use crate::{
    Error, InboundContext, Json, Reply, Seal,
    json::Raw,
    read::{At, Fields, body},
    reply::unpack,
    request::Thinking,
    write::{self, Object},
};

/// The items of a client's request.
#[derive(Debug, Default)]
pub struct Items {
    /// Those of earlier answers, then the body's own. What the body only refers
    /// to stands in its place.
    pub all: Vec<Json>,
    /// What an upstream of this dialect gets instead of the body's `input`; none
    /// if that can pass as it is.
    pub input: Option<String>,
}

impl Items {
    /// Reads the items of a body.
    ///
    /// # Errors
    /// [`Error`] of the class `Invalid` for a body that is not JSON.
    pub fn of(bytes: &[u8], inbound: &InboundContext<'_>) -> Result<Self, Error> {
        let f = Fields::of(body(bytes)?, At::ROOT)?;
        let mut all = inbound.previous.to_vec();
        let mut is_changed = !all.is_empty();
        match f.get("input") {
            Some(text) if text.is_string() => all.push(user_message(text)),
            input => {
                for item in input.into_iter().flat_map(Raw::items) {
                    let stored = stored(item, inbound);
                    is_changed |= stored.is_some();
                    all.push(stored.unwrap_or_else(|| item.into()));
                }
            }
        }
        let passed: Vec<_> = all.iter().map(|item| passed(item.raw(), inbound.seal)).collect();
        is_changed |= passed.iter().any(|item| !matches!(item, Some(Cow::Borrowed(_))));
        let input = is_changed.then(|| list(&passed));
        Ok(Self { all, input })
    }
}

fn user_message(text: Raw<'_>) -> Json {
    let message = write::object(|o| {
        o.str("type", "message");
        o.str("role", "user");
        o.raw("content", text.text());
    });
    Json::written(message)
}

fn list(items: &[Option<Cow<'_, str>>]) -> String {
    let mut out = String::new();
    write::array_into(&mut out, |a| items.iter().flatten().for_each(|item| a.raw(item)));
    out
}

/// The id of a stored item that this one stands for: a reference, or a thought
/// whose content the client has not asked for.
pub(crate) fn reference(item: Raw<'_>) -> Option<Cow<'_, str>> {
    match item.get_str("type")?.as_ref() {
        "item_reference" => item.get_str("id"),
        "reasoning" if is_bare(item) => item.get_str("id"),
        _ => None,
    }
}

fn stored(item: Raw<'_>, inbound: &InboundContext<'_>) -> Option<Json> {
    let (id, find) = (reference(item)?, inbound.item?);
    let kind = |item: Raw<'_>| item.get_str("type").map(Cow::into_owned);
    let is_named = kind(item).is_some_and(|kind| kind == "item_reference");
    find(&id).filter(|stored| is_named || kind(stored.raw()) == kind(item))
}

/// A thought of which the client has at most a summary. Some servers have its
/// text in `content`.
pub(crate) fn is_bare(reasoning: Raw<'_>) -> bool {
    let has_text = reasoning.get("content").into_iter().flat_map(Raw::items).next().is_some();
    reasoning.get("encrypted_content").is_none() && !has_text
}

/// An item as the upstream gets it. None for a thought that it cannot read: it
/// is another provider's, or only an id, under which the upstream stores nothing.
fn passed<'i>(item: Raw<'i>, seal: Option<&dyn Seal>) -> Option<Cow<'i, str>> {
    let as_it_is = Some(Cow::Borrowed(item.text()));
    if item.get_str("type").is_none_or(|kind| kind != "reasoning") {
        return as_it_is;
    }
    if is_bare(item) {
        return None;
    }
    let content = item.get_str("encrypted_content");
    let ours = content.zip(seal).and_then(|(content, seal)| unpack(&seal.open(&content)?));
    match ours {
        None => as_it_is,
        Some(Thinking::Encrypted { id, summary, content }) => {
            Some(Cow::Owned(write::object(|o| encrypted(&id, &summary, &content, o))))
        }
        Some(_) => None,
    }
}

/// A thought of an upstream of this dialect.
pub(crate) fn encrypted(id: &str, summary: &[String], content: &str, o: &mut Object<'_>) {
    o.str("type", "reasoning");
    o.str("id", id);
    o.array("summary", |a| {
        for text in summary {
            a.object(|o| {
                o.str("type", "summary_text");
                o.str("text", text);
            });
        }
    });
    o.str("encrypted_content", content);
}

/// What a model's thoughts are called among the things that a request includes.
pub(crate) const ENCRYPTED: &str = "reasoning.encrypted_content";

/// The body's `include`, with the encrypted thoughts added.
pub fn include_thoughts(bytes: &[u8]) -> Result<String, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let mut out = String::new();
    write::array_into(&mut out, |a| {
        let known = f.get("include").into_iter().flat_map(Raw::items);
        known.for_each(|name| a.raw(name.text()));
        a.str(ENCRYPTED);
    });
    Ok(out)
}

/// The body's `input` without thoughts; none if it has none.
pub fn without_thoughts(bytes: &[u8]) -> Result<Option<String>, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let items: Vec<_> = f.get("input").into_iter().flat_map(Raw::items).collect();
    let is_thought = |item: &Raw<'_>| item.get_str("type").is_some_and(|kind| kind == "reasoning");
    if !items.iter().any(is_thought) {
        return Ok(None);
    }
    let mut out = String::new();
    let others = items.iter().filter(|item| !is_thought(item));
    write::array_into(&mut out, |a| others.for_each(|item| a.raw(item.text())));
    Ok(Some(out))
}

/// An upstream's response as its client gets it: as it came, but stored here and
/// not there, and without the thoughts if the client has not asked for them.
pub(crate) fn adopted(response: Raw<'_>, reply: &Reply) -> String {
    let is_shown = reply.include_encrypted_reasoning;
    write::object(|o| {
        o.str("id", &format!("resp_{}", reply.id));
        for (name, value) in response.members() {
            match name.as_ref() {
                "id" | "store" | "previous_response_id" => {}
                "output" if !is_shown => o.array("output", |a| {
                    value.items().for_each(|item| a.raw(&unthought(item)));
                }),
                _ => o.raw(&name, value.text()),
            }
        }
        o.raw("store", reply.echoed("store").unwrap_or("true"));
        o.raw("previous_response_id", reply.echoed("previous_response_id").unwrap_or("null"));
    })
}

/// An item without its encrypted thoughts.
pub(crate) fn unthought(item: Raw<'_>) -> Cow<'_, str> {
    let is_thought = item.get_str("type").is_some_and(|kind| kind == "reasoning");
    if !is_thought || item.get("encrypted_content").is_none() {
        return Cow::Borrowed(item.text());
    }
    Cow::Owned(with(item, &[("encrypted_content", None)]))
}

/// An object with some of its members changed, or left out.
pub(crate) fn with(object: Raw<'_>, changes: &[(&str, Option<&str>)]) -> String {
    let changed = |name: &str| changes.iter().find(|(known, _)| *known == name);
    write::object(|o| {
        for (name, value) in object.members() {
            match changed(&name) {
                None => o.raw(&name, value.text()),
                Some((_, Some(json))) => o.raw(&name, json),
                Some((_, None)) => {}
            }
        }
    })
}
