//! The texts of JSON that guardrails check: of items, of what tools take and return, and of schemas.

use hatch_dialects::{Json, tree};
use hatch_guardrails::{Guard, JsonText, escaped};
use serde_json::{Map, Value};

/// Takes a text in the parts that it is divided into.
pub(super) type Visit<'a> = dyn FnMut(&mut [&mut String]) + 'a;
/// Hands over the texts of a JSON value.
pub(super) type ForEachText = fn(&mut Value, &mut Visit<'_>);

/// Members that are no text: a provider refuses them if they are changed.
const OPAQUE: &[&str] = &[
    "encrypted_content",
    "encrypted_index",
    "encrypted_stdout",
    "signature",
    "id",
    "call_id",
    "tool_use_id",
    "type",
    "status",
    "image_url",
];
/// Members of a JSON Schema whose texts are not the author's.
const SCHEMA_WORDS: &[&str] = &["$id", "$ref", "$schema", "format", "pattern", "required", "type"];
/// Members of a JSON Schema that hold values which it describes.
const SCHEMA_VALUES: &[&str] = &["const", "default", "enum", "example", "examples"];
/// Members whose own members a client, a tool or a user names: what a tool is called with, and what a found file has.
const FREE: &[&str] = &["input", "attributes"];
/// The item whose `result` is the bytes of a picture.
const PICTURE: &str = "image_generation_call";

/// Redacts all texts of a JSON value but what only providers read. Returns whether no rule blocks one.
pub(super) fn redact(value: &mut Value, guards: &[Guard]) -> bool {
    let mut passes = true;
    for_each_text(value, &mut |text| {
        for guard in guards {
            passes &= !guard.redact(text).is_blocked;
        }
    });
    passes
}

/// Hands over all texts of a JSON value but what only providers read.
pub(super) fn for_each_text(value: &mut Value, visit: &mut Visit<'_>) {
    match value {
        Value::String(text) => visit(&mut [text]),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| for_each_text(item, visit));
            for_each_run(items, text_of, visit);
        }
        Value::Object(members) => {
            let is = |kind: &str| members.get("type").is_some_and(|given| given == kind);
            let (is_picture, is_base64) = (is(PICTURE), is("base64"));
            let is_bytes = move |name: &str| is_picture && name == "result" || is_base64 && name == "data";
            let is_opaque = |name: &str| OPAQUE.contains(&name) || is_bytes(name);
            for (name, member) in members.iter_mut().filter(|(name, _)| !is_opaque(name)) {
                for_each_text_of(name, member, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn for_each_text_of(name: &str, member: &mut Value, visit: &mut Visit<'_>) {
    match (name, member) {
        ("arguments", Value::String(text)) => for_json(text, visit),
        ("input_schema", schema) => for_each_text_of_schema(schema, visit),
        (_, member) if FREE.contains(&name) => for_each_value(member, visit),
        (_, member) => for_each_text(member, visit),
    }
}

/// Hands over JSON that is a text as whoever parses it reads it.
pub(super) fn for_json(text: &mut String, visit: &mut Visit<'_>) {
    let mut json = JsonText::default();
    let before = json.push(text) + &json.finish();
    let mut left = before.clone();
    visit(&mut [&mut left]);
    if left != before {
        *text = escaped(&left);
    }
}

/// Hands over all texts of a JSON value in which members may be called as they like, with their names.
pub(super) fn for_each_value(value: &mut Value, visit: &mut Visit<'_>) {
    match value {
        Value::String(text) => visit(&mut [text]),
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_value(item, visit)),
        Value::Object(members) => {
            for (mut name, mut member) in std::mem::take(members) {
                visit(&mut [&mut name]);
                for_each_value(&mut member, visit);
                members.insert(distinct(name, members), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name that none of `members` has: two names may be redacted to the same mark, and no value is lost by that.
fn distinct(name: String, members: &Map<String, Value>) -> String {
    if !members.contains_key(&name) {
        return name;
    }
    let mut numbered = (members.len() + 1..).map(|number| format!("{name} {number}"));
    numbered.find(|numbered| !members.contains_key(numbered)).unwrap_or_default()
}

fn text_of(part: &mut Value) -> Option<&mut String> {
    match part.get_mut("text") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Hands over neighbouring texts together, because a model reads them as one: what is divided by their border is
/// whole to it.
pub(super) fn for_each_run<T>(
    parts: &mut [T],
    text_of: fn(&mut T) -> Option<&mut String>,
    visit: &mut Visit<'_>,
) {
    let mut run = Vec::new();
    for part in parts {
        match text_of(part) {
            Some(text) => run.push(text),
            None => visit_run(&mut run, visit),
        }
    }
    visit_run(&mut run, visit);
}

fn visit_run(run: &mut Vec<&mut String>, visit: &mut Visit<'_>) {
    if run.len() > 1 {
        visit(run);
    }
    run.clear();
}

/// Hands over all texts of a JSON Schema but its words.
pub(super) fn for_each_text_of_schema(schema: &mut Value, visit: &mut Visit<'_>) {
    match schema {
        Value::String(text) => visit(&mut [text]),
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_text_of_schema(item, visit)),
        Value::Object(members) => {
            // A property may be called like one of these, but its schema is an object.
            let is_word = |name: &str, member: &Value| SCHEMA_WORDS.contains(&name) && !member.is_object();
            for (name, member) in members.iter_mut().filter(|(name, member)| !is_word(name, member)) {
                let is_value = SCHEMA_VALUES.contains(&name.as_str());
                let for_each = if is_value { for_each_value } else { for_each_text_of_schema };
                for_each(member, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An item of the answer with what the rules leave of its texts. None if they do not let it pass.
pub(super) fn redacted(item: &Json, guards: &[Guard]) -> Option<Json> {
    let mut value: Value = tree(item.as_str())?;
    let before = value.clone();
    if !redact(&mut value, guards) {
        return None;
    }
    if value == before { Some(item.clone()) } else { Json::parse(&value.to_string()) }
}
