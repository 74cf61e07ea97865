//! JSON Schemas: which keywords each vendor can enforce.

use std::collections::HashSet;

use crate::{
    Error,
    json::Raw,
    write::{self, Object},
};

const MAX_STRICT_PROPERTIES: usize = 5_000;

/// Whether OpenAI's strict mode accepts a schema: every object must list and
/// require all of its properties.
pub(crate) fn is_strict(schema: &str) -> bool {
    Raw::parse(schema).is_some_and(is_strict_value)
}

fn is_strict_value(raw: Raw<'_>) -> bool {
    if raw.is_array() {
        return raw.items().all(is_strict_value);
    }
    if !raw.is_object() {
        return true;
    }
    let is_object =
        raw.get_str("type").is_some_and(|kind| kind == "object") || raw.get("properties").is_some();
    if is_object {
        let is_closed = raw.get("additionalProperties").and_then(Raw::as_bool) == Some(false);
        let required: Vec<_> = raw
            .get("required")
            .map(|list| list.items().filter_map(Raw::as_str).collect())
            .unwrap_or_default();
        if required.len() > MAX_STRICT_PROPERTIES {
            return false;
        }
        let names_all = raw
            .get("properties")
            .is_none_or(|known| known.members().all(|(name, _)| required.contains(&name)));
        if !is_closed || !names_all {
            return false;
        }
    }
    raw.members().all(|(name, value)| {
        if matches!(name.as_ref(), "properties" | "$defs" | "definitions") {
            value.members().all(|(_, schema)| is_strict_value(schema))
        } else {
            matches!(name.as_ref(), "enum" | "const" | "default" | "examples") || is_strict_value(value)
        }
    })
}

/// Keywords that Anthropic's structured output does not enforce; they are moved
/// into the description.
const DESCRIBED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contains",
    "default",
    "examples",
];

/// Keywords that can be neither enforced nor described.
const UNSUPPORTED: &[&str] = &[
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "if",
    "then",
    "else",
    "not",
    "unevaluatedProperties",
    "prefixItems",
];

/// Upper bound, because checking definitions for recursion takes time.
const MAX_DEFINITIONS: usize = 200;

/// Rewrites a schema for Anthropic's structured output. Returns whether a
/// keyword was moved into a description.
pub(crate) fn for_anthropic(schema: Raw<'_>, param: &str) -> Result<(String, bool), Error> {
    let mut rewrite = Rewrite { root: schema, param, is_told: false, good: HashSet::new() };
    let mut out = String::with_capacity(schema.text().len());
    rewrite.schema(schema, "#", &mut out)?;
    Ok((out, rewrite.is_told))
}

struct Rewrite<'s> {
    root: Raw<'s>,
    param: &'s str,
    is_told: bool,
    /// Definitions that are known not to be recursive.
    good: HashSet<String>,
}

impl Rewrite<'_> {
    /// The body's depth is bounded, so this recursion is, too.
    fn schema(&mut self, raw: Raw<'_>, pointer: &str, out: &mut String) -> Result<(), Error> {
        if !raw.is_object() {
            out.push_str(raw.text());
            return Ok(());
        }
        let mut result = Ok(());
        write::object_into(out, |o| result = self.members(raw, pointer, o));
        result
    }

    fn members(&mut self, raw: Raw<'_>, pointer: &str, o: &mut Object<'_>) -> Result<(), Error> {
        let mut described = Vec::new();
        let mut description = None;
        for (name, value) in raw.members() {
            let here = || format!("{pointer}/{name}");
            match name.as_ref() {
                "description" => description = value.as_str(),
                "minItems" if value.as_u64().is_some_and(|count| count <= 1) => {
                    o.raw("minItems", value.text())
                }
                "minItems" => described.push(format!("minItems: {}", value.text())),
                name if DESCRIBED.contains(&name) => described.push(format!("{name}: {}", value.text())),
                name if UNSUPPORTED.contains(&name) => return Err(self.refused(&here(), name)),
                "additionalProperties" if value.as_bool() == Some(false) => {}
                "additionalProperties" => return Err(self.refused(&here(), "additionalProperties")),
                "$ref" => {
                    self.reference(value, pointer)?;
                    o.raw("$ref", value.text());
                }
                "properties" | "$defs" | "definitions" => {
                    let mut result = Ok(());
                    o.object(&name, |o| {
                        for (key, schema) in value.members() {
                            if result.is_ok() {
                                result = self.schema(schema, &format!("{}/{key}", here()), o.key(&key));
                            }
                        }
                    });
                    result?;
                }
                "items" => self.schema(value, &here(), o.key("items"))?,
                "anyOf" | "allOf" | "oneOf" => {
                    let key = if name == "oneOf" { "anyOf" } else { name.as_ref() };
                    let mut result = Ok(());
                    o.array(key, |a| {
                        for (index, schema) in value.items().enumerate() {
                            if result.is_ok() {
                                result = self.schema(schema, &format!("{}/{index}", here()), a.item());
                            }
                        }
                    });
                    result?;
                }
                name => o.raw(name, value.text()),
            }
        }
        let is_object =
            raw.get_str("type").is_some_and(|kind| kind == "object") || raw.get("properties").is_some();
        if is_object {
            o.put("additionalProperties", false);
        }
        self.describe(description.as_deref(), &described, o);
        Ok(())
    }

    fn describe(&mut self, description: Option<&str>, described: &[String], o: &mut Object<'_>) {
        if described.is_empty() {
            return o.opt_str("description", description);
        }
        self.is_told = true;
        let described = described.join(", ");
        o.str(
            "description",
            &match description {
                Some(text) => format!("{text}\n\n{{{described}}}"),
                None => format!("{{{described}}}"),
            },
        );
    }

    /// Refuses a recursive schema, which cannot be enforced.
    fn reference(&mut self, target: Raw<'_>, pointer: &str) -> Result<(), Error> {
        let target = target.as_str().unwrap_or_default();
        let is_inside = target == "#" || pointer == target || pointer.starts_with(&format!("{target}/"));
        let is_known = target == "#" || self.find(&target).is_some();
        if self.good.contains(target.as_ref()) && !is_inside {
            return Ok(());
        }
        let is_too_much = self.good.len() >= MAX_DEFINITIONS;
        if is_inside || !is_known || is_too_much || self.is_recursive(&target) {
            return Err(self.refused(&format!("{pointer}/$ref"), "$ref"));
        }
        self.good.insert(target.into_owned());
        Ok(())
    }

    fn find(&self, target: &str) -> Option<Raw<'_>> {
        let mut steps = target.strip_prefix("#/")?.split('/');
        steps.try_fold(self.root, |raw, step| raw.get(&step.replace("~1", "/").replace("~0", "~")))
    }

    /// Whether the definition at `target` refers to itself, directly or
    /// indirectly.
    fn is_recursive(&self, target: &str) -> bool {
        let (mut seen, mut rest) = (HashSet::new(), vec![target.to_owned()]);
        while let Some(next) = rest.pop() {
            let found = self.find(&next).map(references).unwrap_or_default();
            if found.iter().any(|reference| reference == target) {
                return true;
            }
            rest.extend(found.into_iter().filter(|reference| seen.insert(reference.clone())));
        }
        false
    }

    fn refused(&self, pointer: &str, keyword: &str) -> Error {
        let message = format!("this provider does not support '{keyword}' at {pointer} of the schema");
        Error::unsupported(self.param, message)
    }
}

fn references(raw: Raw<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![raw];
    while let Some(raw) = rest.pop() {
        rest.extend(raw.items());
        for (name, value) in raw.members() {
            match value.as_str() {
                Some(target) if name == "$ref" => found.push(target.into_owned()),
                _ => rest.push(value),
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rewritten(schema: &Value) -> Result<Value, Error> {
        let text = schema.to_string();
        let (out, _) = for_anthropic(Raw::parse(&text).unwrap(), "response_format")?;
        Ok(serde_json::from_str(&out).unwrap())
    }

    #[test]
    fn unenforced_keywords_are_moved_into_the_description() {
        let schema = json!({ "type": "object", "properties": { "age": { "type": "integer", "minimum": 0, "description": "Years" }, "name": { "type": "string", "pattern": "^a" }, "of": { "oneOf": [{ "type": "string" }, { "type": "null" }] } } });
        assert_eq!(
            rewritten(&schema).unwrap(),
            json!({ "type": "object", "additionalProperties": false, "properties": { "age": { "type": "integer", "description": "Years\n\n{minimum: 0}" }, "name": { "type": "string", "description": "{pattern: \"^a\"}" }, "of": { "anyOf": [{ "type": "string" }, { "type": "null" }] } } })
        );
    }

    #[test]
    fn unsupported_keywords_are_refused_with_their_pointer() {
        let recursive = json!({ "$defs": { "n": { "type": "object", "properties": { "next": { "$ref": "#/$defs/n" } } } }, "$ref": "#/$defs/n" });
        assert!(rewritten(&recursive).unwrap_err().message.contains("'$ref'"));
        let open = json!({ "type": "object", "properties": { "a": { "type": "object", "additionalProperties": true } } });
        assert!(rewritten(&open).unwrap_err().message.contains("#/properties/a/additionalProperties"));
        let mutual = json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "type": "object" });
        assert!(rewritten(&mutual).is_err());
    }

    #[test]
    fn a_definition_that_is_used_twice_is_not_recursive() {
        let schema = json!({ "$defs": { "n": { "type": "string" } }, "type": "object", "properties": { "a": { "$ref": "#/$defs/n" }, "b": { "$ref": "#/$defs/n" } } });
        assert!(rewritten(&schema).is_ok());
    }

    #[test]
    fn a_property_may_have_the_name_of_a_keyword() {
        let schema = json!({ "type": "object", "properties": { "pattern": { "type": "string" }, "not": { "type": "string" } } });
        assert!(rewritten(&schema).unwrap()["properties"]["not"].is_object());
    }

    #[test]
    fn thirty_levels_are_rewritten() {
        let mut schema = json!({ "type": "string" });
        for _ in 0..30 {
            schema = json!({ "type": "object", "properties": { "a": schema } });
        }
        assert!(rewritten(&schema).is_ok());
    }

    #[test]
    fn strict_mode_requires_every_property_and_no_other() {
        assert!(is_strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#
        ));
        assert!(!is_strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#
        ));
        assert!(!is_strict(r#"{"type":"object","properties":{},"required":[]}"#));
    }
}
