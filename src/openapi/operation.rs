//! The contract of a route, as its module describes it. Facts in the routing table (access, and the
//! errors that follow from it) are not repeated here.

use std::fmt;

use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{error::Error, http::body};

/// The contracts of one module.
#[derive(Debug)]
pub(crate) struct Module {
    /// The prefix of its operations' ids.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) operations: Vec<Operation>,
}

pub(super) const PROBLEM: &str = "application/problem+json";

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The contract of one route.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) method: &'static str,
    pub(super) pattern: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: Option<&'static str>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<DocumentedResponse>,
    pub(super) failures: Vec<Error>,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: Schema,
    pub(super) required: bool,
    pub(super) example: Option<Value>,
    /// The handler's own check of this value, if there is one.
    pub(super) check: Option<Check<bool>>,
}

#[derive(Debug)]
pub(super) struct Body {
    pub(super) schema: SchemaOfBody,
    pub(super) example: Value,
    pub(super) is_required: bool,
    /// The handler's own check of this JSON.
    pub(super) check: Check<Result<(), Error>>,
}

/// A check that a handler applies to a text of the request.
pub(super) struct Check<T>(pub(super) Box<dyn Fn(&str) -> T>);

impl<T> fmt::Debug for Check<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// The source of a body's schema.
#[derive(Debug)]
pub(super) enum SchemaOfBody {
    Derived(SchemaOf),
    Written(Schema),
}

impl SchemaOfBody {
    pub(super) fn of(&self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Derived(derive) => derive(generator),
            Self::Written(schema) => schema.clone(),
        }
    }
}

impl Operation {
    /// `route` as in the table (`POST /api/projects`), `id` as module and verb (`projects.create`).
    pub(crate) fn new(route: &'static str, id: &'static str, summary: &'static str) -> Self {
        let (method, pattern) = route.split_once(' ').unwrap();
        Self {
            method,
            pattern,
            id,
            summary,
            about: None,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Details beyond the summary, in Markdown.
    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = Some(about);
        self
    }

    /// A parameter of the pattern.
    pub(crate) fn path<T: JsonSchema + Serialize>(
        self,
        name: &'static str,
        about: &'static str,
        example: T,
    ) -> Self {
        // A parameter has no place for shared definitions, so subschemas are inlined.
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().subschema_for::<T>();
        self.parameter(Parameter {
            name,
            place: "path",
            about,
            schema,
            required: true,
            example: Some(json!(example)),
            check: None,
        })
    }

    /// A parameter of the query string with its JSON schema. An invalid value gets 400.
    pub(crate) fn query(self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.parameter(Parameter {
            name,
            place: "query",
            about,
            schema,
            required: false,
            example: None,
            check: None,
        })
    }

    /// [`Self::query`] for a required parameter.
    pub(crate) fn must_query(self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.parameter(Parameter {
            name,
            place: "query",
            about,
            schema,
            required: true,
            example: None,
            check: None,
        })
    }

    /// An optional request header.
    pub(crate) fn header(self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.parameter(Parameter {
            name,
            place: "header",
            about,
            schema,
            required: false,
            example: None,
            check: None,
        })
    }

    /// Sets the handler's check for the last parameter.
    pub(crate) fn read_by(mut self, reads: fn(&str) -> bool) -> Self {
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.check = Some(Check(Box::new(reads)));
        }
        self
    }

    /// `limit`, with this default, and `cursor`, as [`crate::http::page`] reads them.
    pub(crate) fn paged(self, default: u32) -> Self {
        self.query(
            "limit",
            "The most entries to return.",
            schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 100, "default": default }),
        )
        .query(
            "cursor",
            "The start of the page, from the `Link` of the page before.",
            schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{13}(?:[2-7][0-9a-f])*$" }),
        )
    }

    /// The JSON body, with the type that the handler deserializes.
    pub(crate) fn body<T>(self, example: Value) -> Self
    where
        T: JsonSchema + DeserializeOwned + Validate<Context = ()> + 'static,
    {
        self.body_read_by::<T>(example, |_| Ok(()))
    }

    /// [`Self::body`] with a further check of the handler.
    pub(crate) fn body_read_by<T>(mut self, example: Value, read: fn(T) -> Result<(), Error>) -> Self
    where
        T: JsonSchema + DeserializeOwned + Validate<Context = ()> + 'static,
    {
        self.body = Some(Body {
            schema: SchemaOfBody::Derived(|generator| generator.subschema_for::<T>()),
            example,
            is_required: true,
            check: Check(Box::new(move |json| body::parse::<T>(json.as_bytes()).and_then(read))),
        });
        self
    }

    /// [`Self::body`], optional.
    pub(crate) fn optional_body<T>(self, example: Value) -> Self
    where
        T: JsonSchema + DeserializeOwned + Validate<Context = ()> + 'static,
    {
        let operation = self.body::<T>(example);
        let body = operation.body.map(|body| Body { is_required: false, ..body });
        Self { body, ..operation }
    }

    /// A JSON object that the module checks field by field with `read`.
    pub(crate) fn object(
        mut self,
        schema: Schema,
        example: Value,
        read: fn(Map<String, Value>) -> Result<(), Error>,
    ) -> Self {
        self.body = Some(Body {
            schema: SchemaOfBody::Written(schema),
            example,
            is_required: true,
            check: Check(Box::new(move |json| body::parse_object(json.as_bytes()).and_then(read))),
        });
        self
    }

    /// A successful response of the route.
    pub(crate) fn answers(mut self, answer: DocumentedResponse) -> Self {
        self.answers.push(answer);
        self
    }

    /// An error beyond those that follow from the table, the parameters and the body.
    pub(crate) fn fails(mut self, error: Error) -> Self {
        self.failures.push(error);
        self
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The names of the pattern's parameters.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        let parts = self.pattern.split('{').skip(1).filter_map(|part| part.split('}').next());
        parts.map(|name| name.trim_start_matches('*'))
    }

    /// The pattern in OpenAPI's syntax, which has no wildcard.
    pub(super) fn template(&self) -> String {
        self.pattern.replace("{*", "{")
    }
}

/// One status of a route's responses, with its media types and headers.
#[derive(Debug)]
pub(crate) struct DocumentedResponse {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// Media type, schema and example.
    pub(super) contents: Vec<(&'static str, SchemaOf, Option<Value>)>,
    /// Name, meaning, and whether it is always sent.
    pub(super) headers: Vec<(&'static str, &'static str, bool)>,
    pub(super) links: Vec<Link>,
}

/// A link to an operation that can follow, with a value from this response.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) target: &'static str,
    /// A parameter of the target, and the position of its value in the response.
    pub(super) parameter: Option<(&'static str, &'static str)>,
    pub(super) body: Option<Value>,
}

impl DocumentedResponse {
    pub(crate) fn new(status: u16, about: &'static str) -> Self {
        Self { status, about, contents: Vec::new(), headers: Vec::new(), links: Vec::new() }
    }

    /// A JSON body with an example.
    pub(crate) fn json<T: JsonSchema + Serialize>(mut self, example: T) -> Self {
        self.contents.push((
            "application/json",
            |generator| generator.subschema_for::<T>(),
            Some(json!(example)),
        ));
        self
    }

    /// Server-sent events. `T` is one event as OpenAPI 3.2's `itemSchema` describes it: `event`,
    /// `id` and `data`.
    pub(crate) fn events<T: JsonSchema>(mut self, example: &str) -> Self {
        self.contents.push((
            "text/event-stream",
            |generator| generator.subschema_for::<T>(),
            Some(json!(example)),
        ));
        self
    }

    /// A body that is passed through unchanged.
    pub(crate) fn file(mut self, media_type: &'static str) -> Self {
        let schema: SchemaOf = match media_type {
            "application/json" => |_| schemars::json_schema!({ "type": "object" }),
            _ => |_| schemars::json_schema!({ "type": "string" }),
        };
        self.contents.push((media_type, schema, None));
        self
    }

    /// A header that is always sent.
    pub(crate) fn with(mut self, name: &'static str, about: &'static str) -> Self {
        self.headers.push((name, about, true));
        self
    }

    /// A header that is sometimes sent.
    pub(crate) fn may_have(mut self, name: &'static str, about: &'static str) -> Self {
        self.headers.push((name, about, false));
        self
    }

    /// Links to operations that take the value at `pointer` (a JSON pointer into the response) as
    /// their path's `parameter`.
    pub(crate) fn leads_to(
        mut self,
        targets: &[&'static str],
        parameter: &'static str,
        pointer: &'static str,
    ) -> Self {
        self.links.extend(targets.iter().map(|target| Link {
            target,
            parameter: Some((parameter, pointer)),
            body: None,
        }));
        self
    }

    /// A link to an operation whose body takes values from the response, as runtime expressions
    /// (`$response.body#/id`).
    pub(crate) fn leads_to_body(mut self, target: &'static str, body: Value) -> Self {
        self.links.push(Link { target, parameter: None, body: Some(body) });
        self
    }
}
