//! One question to Claude with its own web search, and the complete answer. The answer is
//! streamed all the same, because a long one outlasts the timeout of a silent connection.

use hatch_wire::anthropic::{
    Message, Usage,
    blocks::{self, SearchResult},
    request::Prompt,
};
use serde_json::{Value, json};

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
        Self { prompt, max_tokens: None, web_searches: 0 }
    }

    /// The request body. Tools are offered but never forced, and no sampling setting is sent: the
    /// models of the 5.5 generation refuse both.
    fn body(&self) -> Value {
        let mut body = super::body(&self.prompt);
        let Some(fields) = body.as_object_mut() else { return body };
        if let Some(most) = self.max_tokens {
            fields.insert("max_tokens".to_owned(), most.min(models::max_tokens(&self.prompt.model)).into());
        }
        if self.web_searches > 0 {
            let tool =
                json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": self.web_searches });
            fields.insert("tools".to_owned(), json!([tool]));
        }
        body
    }
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The results of its web searches.
    pub(crate) found: Vec<SearchResult>,
    /// The model that answered.
    model: String,
    pub(crate) usage: Usage,
    /// In micro-dollars, with the web searches.
    pub(crate) cost_micro_usd: i64,
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
    let mut request = question.body();
    let ends_ms = now_ms().saturating_add(ANSWER_MS);
    let mut answer = Completion {
        found: Vec::new(),
        model: question.prompt.model.clone(),
        usage: Usage::default(),
        cost_micro_usd: 0,
    };
    for _ in 0..=CONTINUATIONS {
        let prompt_tokens = prompt_tokens(&request);
        let (message, content) = match round(settings, &request, ends_ms).await {
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
        self.cost_micro_usd =
            self.cost_micro_usd.saturating_add(models::cost_of_answer(&self.model, message, prompt_tokens));
        self.usage += &message.usage;
        if let Some(model) = &message.model {
            self.model.clone_from(model);
        }
    }
}

/// One request; returns its message and, with tools, its content blocks.
async fn round(settings: &Settings, request: &Value, ends_ms: i64) -> Result<(Message, Vec<Value>), Failed> {
    let deadlines =
        Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: (ends_ms - now_ms()).max(0) };
    let source =
        open(settings, request, deadlines).await.map_err(|error| Failed { error, cost_micro_usd: 0 })?;
    let outcome = source.collect(deadlines, async |_| ()).await;
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
        assert_eq!(plain.get("tools"), None);
        let body = Question { max_tokens: Some(900), web_searches: 3, ..question() }.body();
        assert_eq!((&body["max_tokens"], &body["tools"][0]["max_uses"]), (&json!(900), &json!(3)));
        assert_eq!((body.get("tool_choice"), body.get("temperature")), (None, None));
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

    #[test]
    fn the_parts_of_an_answer_are_added_up_with_their_searches() {
        let mut whole = Completion {
            found: Vec::new(),
            model: "claude-sonnet-5-5".to_owned(),
            usage: Usage::default(),
            cost_micro_usd: 0,
        };
        for (stop, text) in [("pause_turn", "Let me see."), ("end_turn", "Done")] {
            whole.add(&stream(stop, text), 0);
        }
        assert_eq!((whole.usage.input_tokens, whole.usage.output_tokens), (20, 200));
        assert_eq!(whole.cost_micro_usd, 2 * (20 + 1_000 + 2 * 10_000));
    }
}
