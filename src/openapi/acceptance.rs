//! Checks the document against the handlers: the schemas accept every body that a handler accepts.
//! Bodies that only the handler refuses are listed here, because no schema can express those rules.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{document, operation::Operation};
use crate::{error::Error, routes::contracts};

/// Fields with rules that no schema expresses, by operation: checksums, days of a month, sums and
/// byte counts, git's names, and rules that depend on other fields.
const BEYOND_SCHEMAS: [(&str, &[&str]); 19] = [
    ("accounts.challenge", &["address"]),
    ("apps.send", &["settings"]),
    ("deploy.create", &["code", "git", "image", "registrySecret", "target"]),
    ("fleet.beat", &["system", "timestamp", "walletAddress", "wallet_address"]),
    ("fleet.close", &["from", "to", "walletAddress", "wallet_address"]),
    (
        "fleet.create_deployment",
        &["branch", "creator", "envVars", "env_vars", "github", "githubRepo", "github_repo"],
    ),
    ("fleet.pay", &["amount", "creator"]),
    ("fleet.ping", &["system", "timestamp", "walletAddress", "wallet_address"]),
    ("fleet.register", &["walletAddress"]),
    ("fleet.set_env", &["envVars", "env_vars"]),
    ("fleet.set_status", &["url"]),
    ("gateway.chat", &["messages"]),
    ("gateway.chat-at-the-root", &["messages"]),
    ("gateway.compact", &["input"]),
    ("gateway.count-tokens", &["messages"]),
    ("gateway.messages", &["max_tokens", "messages"]),
    ("gateway.set-guardrails", &["input", "output"]),
    ("projects.create", &["code"]),
    ("projects.update", &["code"]),
];

/// Texts at the boundaries of every rule in the handlers.
fn texts() -> Vec<String> {
    let written = include_str!("acceptance.txt").lines().map(str::to_owned);
    let long =
        [20, 21, 63, 64, 65, 100, 101, 128, 129, 240, 253, 254, 255, 256, 500, 501, 1024, 2000, 2001, 4097];
    let of_length = long.iter().flat_map(|length| ["a".repeat(*length), "é".repeat(*length)]);
    let odd =
        ["", " ", "\u{feff}", "\u{85}", "\u{3000}", "\t\n", "a\nb", "a\0b", "\u{ad}x", " main", "http://a\n"];
    written.chain(of_length).chain(odd.map(str::to_owned)).collect()
}

fn values() -> Vec<Value> {
    let numbers = [
        json!(-1),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(10),
        json!(11),
        json!(137),
        json!(3650),
        json!(3651),
        json!(8080),
        json!(80.0),
        json!(65_535),
        json!(65_536),
        json!(9_007_199_254_740_991_u64),
        json!(9_007_199_254_740_992_u64),
        json!(u64::MAX),
        json!(1e300),
    ];
    let files = |path: &str| json!({ path: "<p>" });
    let containers = |container: Value| json!([container]);
    let composed = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([[]]),
        json!(["chat"]),
        json!(["chat", "chat"]),
        json!(["everything"]),
        json!([1]),
        json!({ "a": 1 }),
        json!({ "1A": "x" }),
        json!({ "API_KEY": "x\u{1}" }),
        json!({ "API_KEY": "a\0" }),
        json!({ "LONG": "x".repeat(70_000) }),
        json!({ "cpuCores": 8.5, "of": { "a": [] } }),
        files("index.html"),
        files("a/../b"),
        files(".git/config"),
        files("a."),
        files("A\u{200b}"),
        files(""),
        json!({ "a": "", "A": "" }),
        json!({ "a": "", "a/b": "" }),
        json!({ "a": null }),
        containers(json!({ "containerName": "web", "port": 8080 })),
        containers(json!({ "name": "db", "port": null })),
        containers(json!({ "name": "db", "port": "80/tcp", "cpuPercent": 1, "memUsageMb": null })),
        containers(json!({ "name": "a", "containerName": "b" })),
        containers(json!({ "name": "a", "port": 80.0 })),
        containers(json!({ "name": "a", "port": 65_536 })),
        containers(json!({ "name": "a", "port": -1 })),
        containers(json!({ "name": "a", "port": "é".repeat(100) })),
        containers(json!({ "name": "a", "cpuPercent": "1" })),
        containers(json!({ "name": "" })),
        containers(json!({ "name": "a", "more": 1 })),
        containers(json!({})),
        json!(vec![json!({ "name": "a" }); 501]),
        json!({ "repository": "https://github.com/owner/repo.name", "branch": "feature/x" }),
        json!({ "repository": "github.com/owner/name", "builder": "docker" }),
        json!({ "repository": "a" }),
        json!({ "repository": "github.com/owner/name", "builder": "other" }),
    ];
    numbers.into_iter().chain(composed).chain(texts().into_iter().map(Value::from)).collect()
}

/// The names of all fields that a schema defines.
fn fields(schema: &Value, document: &Value, names: &mut BTreeSet<String>) {
    if let Some(place) = schema["$ref"].as_str() {
        return fields(document.pointer(place.trim_start_matches('#')).unwrap(), document, names);
    }
    names.extend(schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned());
    for rule in ["allOf", "oneOf", "anyOf"] {
        for part in schema[rule].as_array().into_iter().flatten() {
            fields(part, document, names);
        }
    }
}

/// Variants of the example: one field set to each value, one field replaced by another, or one
/// field removed.
fn bodies(example: &Value, fields: &BTreeSet<String>) -> Vec<Value> {
    let example = example.as_object().unwrap();
    let mut bodies = vec![json!(example), json!({}), json!([example])];
    let mut places: Vec<Map<String, Value>> = vec![example.clone()];
    for name in example.keys() {
        let mut without = example.clone();
        without.remove(name);
        bodies.push(json!(without));
        places.push(without);
    }
    for (place, name) in places.iter().flat_map(|place| fields.iter().map(move |name| (place, name))) {
        for value in values() {
            let mut body = place.clone();
            body.insert(name.clone(), value);
            bodies.push(json!(body));
        }
    }
    bodies
}

fn validator(schema: &Value, document: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn document() -> (Value, Vec<Operation>) {
    let modules = contracts();
    let document = json!(document::build(&modules));
    (document, modules.into_iter().flat_map(|module| module.operations).collect())
}

fn place<'a>(document: &'a Value, operation: &Operation) -> &'a Value {
    &document["paths"][operation.template()][operation.method.to_ascii_lowercase()]
}

/// The operation and field in which a handler found a fault.
fn faults(operation: &Operation, error: &Error) -> Vec<(&'static str, String)> {
    if let Error::Model(error) = error {
        let param = error.error.param.as_deref().unwrap_or_default();
        return vec![(operation.id, param.split(['[', '.']).next().unwrap_or_default().to_owned())];
    }
    let Error::Invalid(violations) = error else { return vec![(operation.id, format!("{error:?}"))] };
    let field = |pointer: &str| pointer.split('/').nth(1).unwrap_or_default().to_owned();
    violations.iter().map(|violation| (operation.id, field(&violation.pointer))).collect()
}

#[test]
fn the_document_accepts_every_body_that_a_handler_accepts() {
    let (document, operations) = document();
    let (mut beyond, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for operation in &operations {
        let Some(body) = &operation.body else { continue };
        let schema = &place(&document, operation)["requestBody"]["content"]["application/json"]["schema"];
        let validator = validator(schema, &document);
        let mut names = BTreeSet::from(["somethingElse".to_owned()]);
        fields(schema, &document, &mut names);
        for body_of in bodies(&body.example, &names) {
            match ((body.check.0)(&body_of.to_string()), validator.validate(&body_of)) {
                (Ok(()), Err(error)) => {
                    let place = (operation.id, error.instance_path().to_string());
                    refused.insert(place, format!("takes {body_of:.300}, but {error:.300}"));
                }
                // Handlers also refuse U+0000 in fields that they do not read, which no schema
                // expresses.
                (Err(_), Ok(())) if body_of.to_string().contains("\\u0000") => {}
                (Err(error), Ok(())) => {
                    beyond
                        .extend(faults(operation, &error).into_iter().map(|fault| (fault, body_of.clone())));
                }
                _ => {}
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    let listed: BTreeSet<_> = BEYOND_SCHEMAS
        .iter()
        .flat_map(|(id, fields)| fields.iter().map(|field| (*id, (*field).to_owned())))
        .collect();
    let describe = |((id, field), body): &(&(&str, String), &Value)| {
        (!listed.contains(&(*id, field.clone())))
            .then(|| format!("{id} refuses {body:.200}, and the document does not: {field}"))
    };
    let unlisted: Vec<String> = beyond.iter().filter_map(|place| describe(&place)).collect();
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
    for place in listed {
        assert!(beyond.contains_key(&place), "the document has all rules of {place:?}");
    }
}

#[test]
fn the_document_accepts_every_parameter_that_a_handler_accepts() {
    let (document, operations) = document();
    let of_number = |text: &String| json!(text.parse::<i64>().ok().map_or(json!(text), Value::from));
    let mut refused = Vec::new();
    for operation in &operations {
        for parameter in &operation.parameters {
            let Some(check) = &parameter.check else { continue };
            let validator = validator(&json!(parameter.schema), &document);
            let is_number = parameter.schema.get("type").is_some_and(|kind| kind == "integer");
            for text in texts() {
                let value = if is_number { of_number(&text) } else { json!(text) };
                if (check.0)(&text) && !validator.is_valid(&value) {
                    refused.push(format!("{} {} takes {text:?}", operation.id, parameter.name));
                }
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
