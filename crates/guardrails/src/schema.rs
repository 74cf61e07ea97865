//! Validates answers against a JSON Schema.
//!
//! Supports what the vendors' structured outputs support: types, properties, items, enumerations, bounds, `anyOf`,
//! `allOf`, `oneOf`, `not` and references within the schema. Full JSON Schema needs regular expressions and a URL
//! resolver, which would be larger than the rest of the gateway. An unknown keyword is an error and never ignored.

use std::fmt;

use serde_json::{Map, Value};

/// Maximum depth of the recursion.
const MAX_DEPTH: usize = 64;
/// Maximum number of comparisons for one answer: nested `anyOf` multiplies them.
const MAX_STEPS: usize = 200_000;

/// Why an answer does not fit, or could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaError {
    /// The answer is not JSON.
    NotJson,
    /// A value does not satisfy a keyword.
    Mismatch {
        /// The value's JSON pointer in the answer.
        pointer: String,
        /// The schema's keyword.
        keyword: String,
    },
    /// The schema is not supported.
    Unsupported {
        /// The keyword, or what is wrong with it.
        keyword: String,
    },
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the answer is not JSON"),
            Self::Mismatch { pointer, keyword } => write!(f, "the value at {pointer:?} breaks {keyword:?}"),
            Self::Unsupported { keyword } => write!(f, "{keyword:?} is not supported"),
        }
    }
}

impl std::error::Error for SchemaError {}

/// Keywords without an effect on validation.
const NOTES: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentMediaType",
];

/// Validates an answer against a schema.
///
/// # Errors
/// The first mismatch, or the unsupported keyword.
pub fn check_answer(schema: &Value, answer: &str) -> Result<(), SchemaError> {
    let answer: Value = hatch_json::from_str(answer).map_err(|_| SchemaError::NotJson)?;
    Checker { root: schema, pointer: Vec::new(), steps: MAX_STEPS, depth: 0 }.check(schema, &answer)
}

/// Checks that a schema has only supported keywords.
pub(crate) fn check_schema(schema: &Value) -> Result<(), SchemaError> {
    let unsupported = |keyword: &str| SchemaError::Unsupported { keyword: keyword.to_owned() };
    let Value::Object(keywords) = schema else {
        return if schema.is_boolean() { Ok(()) } else { Err(unsupported("a schema that is not an object")) };
    };
    for (keyword, value) in keywords {
        match keyword.as_str() {
            "properties" | "$defs" | "definitions" => children(value).try_for_each(check_schema)?,
            "anyOf" | "oneOf" | "allOf" => items(value).try_for_each(check_schema)?,
            "items" | "additionalProperties" | "not" => check_schema(value)?,
            _ if !is_known(keyword) => return Err(unsupported(keyword)),
            _ => {}
        }
    }
    Ok(())
}

fn is_known(keyword: &str) -> bool {
    const VALUES: [&str; 15] = [
        "$ref",
        "type",
        "enum",
        "const",
        "required",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ];
    NOTES.contains(&keyword) || VALUES.contains(&keyword)
}

fn children(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(Map::values)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

struct Checker<'s> {
    root: &'s Value,
    pointer: Vec<String>,
    steps: usize,
    depth: usize,
}

impl<'s> Checker<'s> {
    fn check(&mut self, schema: &'s Value, value: &Value) -> Result<(), SchemaError> {
        self.steps =
            self.steps.checked_sub(1).ok_or_else(|| unsupported("a schema with this many alternatives"))?;
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(self.mismatch("false")),
            _ => return Err(unsupported("a schema that is not an object")),
        };
        if self.depth >= MAX_DEPTH {
            return Err(unsupported("a schema of this depth"));
        }
        self.depth += 1;
        let result =
            keywords.iter().try_for_each(|(keyword, rule)| self.keyword(keywords, keyword, rule, value));
        self.depth -= 1;
        result
    }

    fn mismatch(&self, keyword: &str) -> SchemaError {
        let pointer =
            self.pointer.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")));
        SchemaError::Mismatch { pointer: pointer.collect(), keyword: keyword.to_owned() }
    }

    fn keyword(
        &mut self,
        keywords: &'s Map<String, Value>,
        keyword: &str,
        rule: &'s Value,
        value: &Value,
    ) -> Result<(), SchemaError> {
        let fits = match keyword {
            "$ref" => return self.check(self.resolve(rule)?, value),
            "type" => {
                items(rule).chain(Some(rule)).any(|name| is_of_type(name.as_str().unwrap_or_default(), value))
            }
            "enum" => items(rule).any(|allowed| is_equal(allowed, value)),
            "const" => is_equal(rule, value),
            "properties" => return self.properties(rule, value),
            "additionalProperties" => return self.additional(keywords.get("properties"), rule, value),
            "items" => return self.items(rule, value),
            "required" => value.as_object().is_none_or(|object| {
                items(rule).all(|name| name.as_str().is_some_and(|name| object.contains_key(name)))
            }),
            "allOf" => return items(rule).try_for_each(|schema| self.check(schema, value)),
            "anyOf" => self.count_fitting(rule, value)? > 0,
            "oneOf" => self.count_fitting(rule, value)? == 1,
            "not" => !self.fits(rule, value)?,
            "minimum" => bound(rule, value.as_f64(), |bound, number| number >= bound),
            "maximum" => bound(rule, value.as_f64(), |bound, number| number <= bound),
            "exclusiveMinimum" => bound(rule, value.as_f64(), |bound, number| number > bound),
            "exclusiveMaximum" => bound(rule, value.as_f64(), |bound, number| number < bound),
            "minLength" => count(rule, chars(value), |bound, count| count >= bound),
            "maxLength" => count(rule, chars(value), |bound, count| count <= bound),
            "minItems" => count(rule, value.as_array().map(Vec::len), |bound, count| count >= bound),
            "maxItems" => count(rule, value.as_array().map(Vec::len), |bound, count| count <= bound),
            "minProperties" => count(rule, value.as_object().map(Map::len), |bound, count| count >= bound),
            "maxProperties" => count(rule, value.as_object().map(Map::len), |bound, count| count <= bound),
            _ if NOTES.contains(&keyword) => true,
            _ => return Err(unsupported(keyword)),
        };
        if fits { Ok(()) } else { Err(self.mismatch(keyword)) }
    }

    /// Resolves a reference within the schema.
    fn resolve(&self, reference: &Value) -> Result<&'s Value, SchemaError> {
        let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.root.pointer(pointer)).ok_or_else(|| unsupported("$ref"))
    }

    fn properties(&mut self, rule: &'s Value, value: &Value) -> Result<(), SchemaError> {
        let (Some(schemas), Some(object)) = (rule.as_object(), value.as_object()) else { return Ok(()) };
        for (name, schema) in schemas {
            if let Some(value) = object.get(name) {
                self.below(name.clone(), schema, value)?;
            }
        }
        Ok(())
    }

    fn additional(
        &mut self,
        named: Option<&Value>,
        rule: &'s Value,
        value: &Value,
    ) -> Result<(), SchemaError> {
        let is_named = |name: &str| named.is_some_and(|named| named.get(name).is_some());
        for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !is_named(name)) {
            self.below(name.clone(), rule, value)?;
        }
        Ok(())
    }

    fn items(&mut self, rule: &'s Value, value: &Value) -> Result<(), SchemaError> {
        items(value).enumerate().try_for_each(|(index, item)| self.below(index.to_string(), rule, item))
    }

    fn below(&mut self, part: String, schema: &'s Value, value: &Value) -> Result<(), SchemaError> {
        self.pointer.push(part);
        let result = self.check(schema, value);
        self.pointer.pop();
        result
    }

    fn count_fitting(&mut self, schemas: &'s Value, value: &Value) -> Result<usize, SchemaError> {
        items(schemas).try_fold(0, |count, schema| Ok(count + usize::from(self.fits(schema, value)?)))
    }

    fn fits(&mut self, schema: &'s Value, value: &Value) -> Result<bool, SchemaError> {
        let (depth, pointer) = (self.depth, self.pointer.len());
        let result = self.check(schema, value);
        self.depth = depth;
        self.pointer.truncate(pointer);
        match result {
            Ok(()) => Ok(true),
            Err(SchemaError::Unsupported { keyword }) => Err(SchemaError::Unsupported { keyword }),
            Err(_) => Ok(false),
        }
    }
}

fn unsupported(keyword: &str) -> SchemaError {
    SchemaError::Unsupported { keyword: keyword.to_owned() }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Compares numbers by value: `1` equals `1.0`.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a_number), Some(b_number)) => a == b || a_number == b_number,
        _ => a == b,
    }
}

fn chars(value: &Value) -> Option<usize> {
    value.as_str().map(|text| text.chars().count())
}

/// Checks a numeric bound; other values always pass.
fn bound(rule: &Value, number: Option<f64>, holds: fn(f64, f64) -> bool) -> bool {
    number.is_none_or(|number| rule.as_f64().is_some_and(|bound| holds(bound, number)))
}

fn count(rule: &Value, count: Option<usize>, holds: fn(usize, usize) -> bool) -> bool {
    let rule = rule.as_u64().and_then(|rule| usize::try_from(rule).ok());
    count.is_none_or(|count| rule.is_some_and(|bound| holds(bound, count)))
}
