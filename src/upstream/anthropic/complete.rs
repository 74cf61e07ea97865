//! One question to Claude and its complete answer, for work without a waiting client. The answer is
//! streamed all the same, because a long one outlasts the timeout of a silent connection.

use std::cell::RefCell;

use hatch_wire::{
    anthropic::{
        Message, Usage,
        blocks::{self, SearchResult},
        request::Prompt,
    },
    sse::Decoder,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{models, open};
use crate::upstream::anthropic::Claude;
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::now_ms,
        pump::{Deadlines, End},
    },
    settings::Settings,
};

/// A queue consumer has a quarter of an hour; the rest of it is for processing the answer.
const ANSWER_MS: i64 = 10 * 60_000;
/// How often a turn that the API pauses is continued.
const CONTINUATIONS: u32 = 6;

/// A question and the limits of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) prompt: Prompt,
    /// The longest answer, in tokens; `None` means the limit of a chat.
    pub(crate) max_tokens: Option<u32>,
    /// A JSON Schema for the answer. Build every object in it with [`object`]; the API does not
    /// know bounds of numbers, lengths and items.
    pub(crate) schema: Option<Value>,
    /// How often Claude may search the web; 0 means never.
    pub(crate) web_searches: u32,
}

impl Question {
    /// A plain question to the configured model.
    pub(crate) fn new(claude: &Claude, system: impl Into<String>, message: impl Into<String>) -> Self {
        let prompt = Prompt {
            model: claude.model.clone(),
            system: system.into(),
            context: String::new(),
            history: Vec::new(),
            images: Vec::new(),
            message: message.into(),
        };
        Self { prompt, max_tokens: None, schema: None, web_searches: 0 }
    }

    /// The request body. Tools are offered but never forced, and no sampling setting is sent: the
    /// models of the 5.5 generation refuse both.
    fn body(&self) -> Value {
        let mut body = super::body(&self.prompt);
        let Some(fields) = body.as_object_mut() else { return body };
        if let Some(most) = self.max_tokens {
            fields.insert("max_tokens".to_owned(), most.min(models::max_tokens(&self.prompt.model)).into());
        }
        if let Some(schema) = &self.schema {
            let format = json!({ "type": "json_schema", "schema": schema });
            fields.insert("output_config".to_owned(), json!({ "format": format }));
        }
        if self.web_searches > 0 {
            let tool =
                json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": self.web_searches });
            fields.insert("tools".to_owned(), json!([tool]));
        }
        body
    }
}

/// The schema of an object with exactly these properties, for a [`Question::schema`].
pub(crate) fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": names, "additionalProperties": false, "properties": properties })
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The answer is complete.
    Finished,
    /// The answer reached its length limit and is incomplete.
    RanOut,
    /// Claude declined; the text so far must not be used.
    Refused,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) stop: Stop,
    /// The results of its web searches.
    pub(crate) found: Vec<SearchResult>,
    /// The model that answered.
    pub(crate) model: String,
    pub(crate) usage: Usage,
    /// In micro-dollars, with the web searches.
    pub(crate) cost_micro_usd: i64,
}

impl Completion {
    /// Parses the answer to a question with a schema.
    ///
    /// # Errors
    /// [`Error::Upstream`] when Claude declined or reached the length limit, and when the text does
    /// not match the schema.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let failed = |kind, detail: &str| Err(Error::upstream(kind, detail));
        match self.stop {
            Stop::Refused => {
                return failed(UpstreamKind::Declined, "Claude declined to answer this; rephrase it");
            }
            Stop::RanOut => return failed(UpstreamKind::RanOut, "Claude's answer became too long"),
            Stop::Finished => {}
        }
        serde_json::from_str(&self.text).or_else(|_| {
            failed(UpstreamKind::Unreadable, "Claude's answer was not in the form that was asked for")
        })
    }
}

/// Why there is no answer, and what the attempt cost.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// In micro-dollars; an estimate, because an interrupted answer does not report its tokens.
    pub(crate) cost_micro_usd: i64,
}

/// Asks `question` and reads the answer to its end.
///
/// # Errors
/// [`Failed`]: without a key, when every attempt failed before its first byte, and when the answer
/// was interrupted, which is worth a later retry.
pub(crate) async fn complete(settings: &Settings, question: &Question) -> Result<Completion, Failed> {
    complete_with_progress(settings, question, async |_, _| ()).await
}

/// As [`complete`], with progress: `so_far` gets the text so far and its estimated cost in
/// micro-dollars, when the answer begins and then every few seconds.
///
/// # Errors
/// As [`complete`].
pub(crate) async fn complete_with_progress(
    settings: &Settings,
    question: &Question,
    so_far: impl AsyncFn(&str, i64),
) -> Result<Completion, Failed> {
    let mut request = question.body();
    let ends_ms = now_ms().saturating_add(ANSWER_MS);
    let mut answer = Completion {
        text: String::new(),
        stop: Stop::Finished,
        found: Vec::new(),
        model: question.prompt.model.clone(),
        usage: Usage::default(),
        cost_micro_usd: 0,
    };
    for _ in 0..=CONTINUATIONS {
        let (model, before) = (&answer.model, answer.cost_micro_usd);
        let prompt_tokens = prompt_tokens(&request);
        let progress = async |message: &Message| {
            let cost = before.saturating_add(models::cost_of_answer(model, message, prompt_tokens));
            so_far(&message.text, cost).await;
        };
        let (message, content) = match round(settings, &request, ends_ms, progress).await {
            Ok((message, content)) => (message, content),
            Err(failed) => {
                let cost_micro_usd = answer.cost_micro_usd.saturating_add(failed.cost_micro_usd);
                return Err(Failed { cost_micro_usd, ..failed });
            }
        };
        answer.add(&message, prompt_tokens);
        answer.found.extend(blocks::search_results(&content));
        if !message.is_paused() {
            return Ok(answer);
        }
        continue_turn(&mut request, &content);
    }
    Err(Failed {
        error: Error::upstream(UpstreamKind::Interrupted, "Claude paused again and again without an answer"),
        cost_micro_usd: answer.cost_micro_usd,
    })
}

impl Completion {
    /// Adds a message, which is the whole answer or a part of it.
    fn add(&mut self, message: &Message, prompt_tokens: u64) {
        self.text.push_str(&message.text);
        self.stop = match (message.was_refused(), message.ran_out()) {
            (true, _) => Stop::Refused,
            (false, true) => Stop::RanOut,
            (false, false) => Stop::Finished,
        };
        self.cost_micro_usd =
            self.cost_micro_usd.saturating_add(models::cost_of_answer(&self.model, message, prompt_tokens));
        self.usage += &message.usage;
        if let Some(model) = &message.model {
            self.model.clone_from(model);
        }
    }
}

/// One request; returns its message and, with tools, its content blocks.
async fn round(
    settings: &Settings,
    request: &Value,
    ends_ms: i64,
    so_far: impl AsyncFn(&Message),
) -> Result<(Message, Vec<Value>), Failed> {
    let deadlines =
        Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: (ends_ms - now_ms()).max(0) };
    let source =
        open(settings, request, deadlines).await.map_err(|error| Failed { error, cost_micro_usd: 0 })?;
    let arriving = RefCell::new((Decoder::default(), Message::default()));
    let checkpoint = async |new: Vec<u8>| {
        let message = {
            let (decoder, message) = &mut *arriving.borrow_mut();
            decoder.push(&new, |data| message.observe(data));
            message.clone()
        };
        so_far(&message).await;
    };
    so_far(&Message::of(source.first())).await;
    let outcome = source.collect(deadlines, checkpoint).await;
    let message = Message::of(&outcome.received);
    if !message.is_complete() {
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
        let cost_micro_usd = models::cost_of_answer(model, &message, prompt_tokens(request));
        return Err(Failed { error: interrupted(&message, outcome.end), cost_micro_usd });
    }
    let has_tools = request.get("tools").is_some();
    Ok((message, if has_tools { blocks::content(&outcome.received) } else { Vec::new() }))
}

/// Estimates the tokens of a request, for APIs that do not count them.
fn prompt_tokens(request: &Value) -> u64 {
    hatch_code::tokens(&request.to_string())
}

/// Continues a paused turn by sending back its content unchanged.
fn continue_turn(request: &mut Value, content: &[Value]) {
    if let Some(messages) = request.get_mut("messages").and_then(Value::as_array_mut) {
        messages.push(json!({ "role": "assistant", "content": content }));
    }
}

fn interrupted(message: &Message, end: End) -> Error {
    match (message.error, end) {
        (Some("overloaded_error"), _) => {
            Error::upstream(UpstreamKind::Overloaded, "Claude became overloaded and broke off")
        }
        (Some(_), _) => Error::upstream(UpstreamKind::Failed, "Claude broke off with an error"),
        (None, End::Stalled) => Error::upstream(UpstreamKind::Timeout, "Claude fell silent"),
        (None, End::Abandoned | End::TooLong) => {
            Error::upstream(UpstreamKind::Timeout, "Claude's answer would not end")
        }
        (None, End::Closed | End::Cut) => {
            Error::upstream(UpstreamKind::Interrupted, "Claude's answer was cut off")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FromVars as _;

    fn question() -> Question {
        Question::new(Claude::of(&Settings::for_test(&[])).unwrap(), "You plan.", "A clock")
    }

    #[test]
    fn a_question_sends_its_settings_and_never_forces_a_tool() {
        let plain = question().body();
        assert_eq!((plain.get("tools"), plain.get("output_config")), (None, None));
        let schema = json!({ "type": "object", "additionalProperties": false });
        let request_body =
            Question { max_tokens: Some(900), schema: Some(schema.clone()), web_searches: 3, ..question() }
                .body();
        assert_eq!(request_body["max_tokens"], 900);
        assert_eq!(
            request_body["output_config"]["format"],
            json!({ "type": "json_schema", "schema": schema })
        );
        assert_eq!(request_body["tools"][0]["max_uses"], 3);
        assert_eq!((request_body.get("tool_choice"), request_body.get("temperature")), (None, None));
        let too_long = Question { max_tokens: Some(u32::MAX), ..question() }.body();
        assert_eq!(too_long["max_tokens"], plain["max_tokens"]);
    }

    fn stream(stop: &str, text: &str) -> Message {
        let (start, delta) = (
            r#"{"type":"message_start","message":{"model":"claude-sonnet-5-5","usage":{"input_tokens":10}}}"#,
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        );
        let end = json!({ "type": "message_delta", "delta": { "stop_reason": stop },
            "usage": { "output_tokens": 100, "server_tool_use": { "web_search_requests": 2 } } });
        let stop = r#"{"type":"message_stop"}"#;
        Message::of(format!("data: {start}\n\ndata: {delta}\n\ndata: {end}\n\ndata: {stop}\n\n").as_bytes())
    }

    fn answer(parts: &[(&str, &str)]) -> Completion {
        let mut answer = Completion {
            text: String::new(),
            stop: Stop::Finished,
            found: Vec::new(),
            model: "claude-sonnet-5-5".to_owned(),
            usage: Usage::default(),
            cost_micro_usd: 0,
        };
        for (stop, text) in parts {
            answer.add(&stream(stop, text), 0);
        }
        answer
    }

    #[test]
    fn the_parts_of_an_answer_are_added_up_with_their_searches() {
        let whole = answer(&[("pause_turn", "[1,"), ("end_turn", "2]")]);
        assert_eq!(whole.read::<Vec<u8>>(), Ok(vec![1, 2]));
        assert_eq!((whole.usage.input_tokens, whole.usage.output_tokens), (20, 200));
        assert_eq!(whole.cost_micro_usd, 2 * (20 + 1_000 + 2 * 10_000));
    }

    #[test]
    fn a_refusal_and_an_answer_that_ran_out_have_different_errors() {
        let (refused, long) = (answer(&[("refusal", "[1]")]), answer(&[("max_tokens", "[1]")]));
        assert_eq!((refused.stop, long.stop), (Stop::Refused, Stop::RanOut));
        assert_eq!(refused.read::<Vec<u8>>().unwrap_err().code(), "upstream_refused");
        assert_eq!(long.read::<Vec<u8>>().unwrap_err().code(), "upstream_ran_out");
        assert_eq!(answer(&[("end_turn", "1")]).read::<Vec<u8>>().unwrap_err().code(), "upstream_unreadable");
    }
}
