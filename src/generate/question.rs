//! A question to a model, and its answer as text. Pure.

use hatch_dialects::{
    Json, Request, Response,
    request::{Format, Message, Part, Role},
    response::StopReason,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::{Error, UpstreamKind};

/// A question, and the limits of its answer.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) system: &'static str,
    /// The application's files, which the provider caches. May be empty.
    pub(super) context: String,
    pub(super) message: String,
    /// A JSON Schema for the answer. Build every object in it with [`object`]; not every provider
    /// knows bounds of numbers, lengths and items.
    pub(super) schema: Option<Value>,
    /// The longest answer, in tokens; none is as long as the budget pays for.
    pub(super) max_tokens: Option<u64>,
}

/// The schema of an object with exactly these properties.
pub(super) fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": names, "additionalProperties": false, "properties": properties })
}

impl Question {
    pub(super) fn new(system: &'static str, message: String) -> Self {
        Self { system, context: String::new(), message, schema: None, max_tokens: None }
    }

    /// The request. It offers no tools and sets no sampling, because the newest models refuse both.
    pub(super) fn request(&self) -> Request {
        let mut system = vec![cached(self.system)];
        if !self.context.is_empty() {
            system.push(cached(&self.context));
        }
        let schema = self.schema.as_ref().and_then(|schema| Json::parse(&schema.to_string()));
        Request {
            messages: vec![
                Message::new(Role::System, system),
                Message::new(Role::User, vec![cached(&self.message)]),
            ],
            format: schema.map(|schema| Format::JsonSchema {
                name: Some("answer".to_owned()),
                description: None,
                schema,
                strict: Some(true),
            }),
            ..Request::default()
        }
    }
}

fn cached(text: &str) -> Part {
    Part { cache: Json::parse(r#"{"type":"ephemeral"}"#), ..Part::text(text) }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerEnd {
    /// The answer is complete.
    Finished,
    /// The answer reached its length limit and is incomplete.
    RanOut,
    /// The model declined; the text so far must not be used.
    Refused,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextAnswer {
    pub(super) text: String,
    pub(super) end: AnswerEnd,
    /// The model that answered, as its provider names it.
    pub(super) model: String,
    /// The model's name in messages to the owner.
    pub(super) who: &'static str,
}

impl TextAnswer {
    pub(super) fn of(response: Response, who: &'static str) -> Self {
        let choice = response.choices.first();
        let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
        let end = match choice.map(|choice| choice.stop.reason) {
            Some(StopReason::Refusal) => AnswerEnd::Refused,
            Some(StopReason::Length | StopReason::Context) => AnswerEnd::RanOut,
            _ => AnswerEnd::Finished,
        };
        Self { text: parts.iter().filter_map(Part::as_text).collect(), end, model: response.model, who }
    }

    /// Parses the answer to a question with a schema.
    ///
    /// # Errors
    /// [`Error::Upstream`] when the model declined or reached the length limit, and when the text
    /// does not match the schema.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let failed = |kind, detail: &str| Err(Error::upstream(kind, format!("{} {detail}", self.who)));
        match self.end {
            AnswerEnd::Refused => failed(UpstreamKind::Declined, "declined to answer this; rephrase it"),
            AnswerEnd::RanOut => failed(UpstreamKind::RanOut, "has answered at too great a length"),
            AnswerEnd::Finished => hatch_json::from_str(&self.text).or_else(|_| {
                failed(UpstreamKind::Unreadable, "has not answered in the form that was asked for")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use hatch_dialects::response::Choice;

    use super::*;

    fn answer(reason: StopReason, text: &str) -> TextAnswer {
        let choice = Choice { parts: vec![Part::text(text)], stop: reason.into(), logprobs: None };
        TextAnswer::of(Response { choices: vec![choice], ..Response::default() }, "Claude")
    }

    #[test]
    fn a_refusal_and_an_answer_that_ran_out_have_different_errors() {
        assert_eq!(answer(StopReason::End, "[1,2]").read::<Vec<u8>>(), Ok(vec![1, 2]));
        let code = |reason, text| answer(reason, text).read::<Vec<u8>>().unwrap_err().code();
        assert_eq!(code(StopReason::Refusal, "[1]"), "upstream_refused");
        assert_eq!(code(StopReason::Length, "[1]"), "upstream_ran_out");
        assert_eq!(code(StopReason::End, "1"), "upstream_unreadable");
    }

    #[test]
    fn an_empty_context_is_left_out_and_an_object_has_exactly_its_properties() {
        let question = Question::new("You plan.", "A clock".to_owned());
        assert_eq!(question.request().messages[0].parts.len(), 1);
        let schema = object(&json!({ "a": { "type": "string" } }));
        let request = Question { schema: Some(schema), context: "x".to_owned(), ..question }.request();
        assert_eq!(request.messages[0].parts.len(), 2);
        let Some(Format::JsonSchema { schema, .. }) = request.format else { panic!("no schema") };
        assert!(
            schema.as_str().contains(r#""required":["a"]"#)
                && schema.as_str().contains(r#""additionalProperties":false"#)
        );
    }
}
