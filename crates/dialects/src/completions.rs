//! The legacy `/v1/completions`, served by chat models.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Dialect, Error, Event, Reply, Request, Response, Usage,
    chat::{encode::finish_reason, parse::stop},
    read::{At, Fields, body},
    request::{Content, Message, Part, Role},
    response::PartKind,
    usage,
    write::{self, Array, Object},
};

/// A request for a completion: one prompt, or several that are sent one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// One for each prompt.
    pub requests: Vec<Request>,
    /// Repeat the prompt before its completion.
    pub echo: bool,
}

/// Upper bound of prompts in one request.
const MAX_PROMPTS: usize = 64;

/// Reads a body of `/v1/completions`: its prompts are a chat each.
///
/// # Errors
/// [`Error`] of the class `Invalid`, with the member at fault.
pub fn parse_completion(bytes: &[u8]) -> Result<Completion, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let at = f.at().key("prompt");
    let prompt = f.need("prompt")?;
    let prompts: Vec<String> = match prompt.as_str() {
        Some(text) => vec![text.into_owned()],
        None => {
            let texts: Option<Vec<String>> =
                prompt.items().map(|item| item.as_str().map(Cow::into_owned)).collect();
            texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
                at.unsupported("expected a string or an array of strings; tokens are not supported")
            })?
        }
    };
    if prompts.len() > MAX_PROMPTS {
        return Err(at.invalid(format!("expected at most {MAX_PROMPTS} prompts")));
    }
    let mut warnings = Vec::new();
    for name in ["suffix", "logprobs", "best_of"] {
        if f.get(name).is_some() {
            warnings.push(format!("{name}: left out, chat models do not know it"));
        }
    }
    let base = Request {
        model: f.need_string("model")?,
        max_tokens: f.u64("max_tokens")?.filter(|tokens| *tokens > 0),
        temperature: f.number("temperature", 0.0, 2.0)?,
        top_p: f.number("top_p", 0.0, 1.0)?,
        frequency_penalty: f.number("frequency_penalty", -2.0, 2.0)?,
        presence_penalty: f.number("presence_penalty", -2.0, 2.0)?,
        logit_bias: f.object("logit_bias")?,
        seed: f.i64("seed")?,
        n: f.u64("n")?,
        stop: stop(&f)?,
        user: f.string("user")?,
        stream: f.bool("stream")?.unwrap_or(false),
        include_usage: f
            .get("stream_options")
            .and_then(|options| options.get("include_usage")?.as_bool())
            .unwrap_or(false),
        // Not of OpenAI's: the models to ask in place of this one.
        extra: f.these(&["models"]),
        dialect: Some(Dialect::Chat),
        warnings,
        ..Request::default()
    };
    if base.stream && prompts.len() > 1 {
        return Err(at.unsupported("several prompts cannot be streamed"));
    }
    let ask = |prompt: String| Request {
        messages: vec![Message::new(Role::User, vec![Part::text(prompt)])],
        ..base.clone()
    };
    Ok(Completion {
        requests: prompts.into_iter().map(ask).collect(),
        echo: f.bool("echo")?.unwrap_or(false),
    })
}

/// The answers to all prompts as one completion. Each has its prompt, if the client wants it repeated.
pub fn render_completions(answers: &[(Option<&str>, &Response)], reply: &Reply) -> String {
    let mut total = Usage::default();
    for usage in answers.iter().filter_map(|(_, answer)| answer.usage) {
        total.input = total.input.saturating_add(usage.input);
        total.cache_read = total.cache_read.saturating_add(usage.cache_read);
        total.cache_write = total.cache_write.saturating_add(usage.cache_writes());
        total.output = total.output.saturating_add(usage.output);
        total.reasoning = total.reasoning.saturating_add(usage.reasoning);
    }
    write::object(|o| {
        head(reply, o);
        o.array("choices", |a| {
            let choices = answers
                .iter()
                .flat_map(|(echo, answer)| answer.choices.iter().map(move |choice| (*echo, choice)));
            for (index, (echo, answer)) in (0_u32..).zip(choices) {
                let text: String = echo.into_iter().chain(answer.parts.iter().filter_map(said)).collect();
                choice(index, &text, Some(finish_reason(&answer.stop, false)), a);
            }
        });
        o.object("usage", |o| usage::write_openai(&total, &usage::CHAT, o));
    })
}

/// What the client reads of a part: a legacy completion has no other place for a refusal.
fn said(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Refusal(text) => Some(text),
        _ => part.as_text(),
    }
}

fn head(reply: &Reply, o: &mut Object<'_>) {
    o.str("id", &format!("cmpl-{}", reply.id));
    o.str("object", "text_completion");
    o.put("created", reply.created);
    o.str("model", &reply.model);
}

fn choice(index: u32, text: &str, finish: Option<&str>, a: &mut Array<'_>) {
    a.object(|o| {
        o.str("text", text);
        o.put("index", index);
        o.null("logprobs");
        o.str_or_null("finish_reason", finish);
    });
}

/// Encodes a stream as the chunks of a legacy completion.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// What all chunks have.
    head: String,
    include_usage: bool,
    request_id: String,
    /// The prompt, if it comes before each choice's text.
    echo: Option<String>,
    /// The choices that have begun.
    choices: BTreeSet<u32>,
    /// The choices of the parts whose text the client gets.
    texts: BTreeMap<u32, u32>,
    usage: Usage,
}

impl Encoder {
    pub(crate) fn new(reply: &Reply, echo: Option<String>) -> Self {
        let mut head = write::object(|o| self::head(reply, o));
        head.pop();
        Self {
            head,
            include_usage: reply.include_usage,
            request_id: reply.request_id.clone(),
            echo,
            choices: BTreeSet::new(),
            texts: BTreeMap::new(),
            usage: Usage::default(),
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut String) {
        match event {
            Event::PartStart { part, choice, kind: PartKind::Text { .. } | PartKind::Refusal } => {
                self.begin(choice, out);
                self.texts.insert(part, choice);
            }
            Event::Delta { part, text } => {
                if let Some(choice) = self.texts.get(&part) {
                    self.chunk(*choice, &text, None, out);
                }
            }
            Event::Finish { choice, stop } => {
                self.begin(choice, out);
                self.chunk(choice, "", Some(finish_reason(&stop, false)), out);
            }
            Event::Usage(usage) => self.usage = usage,
            Event::End => self.end(out),
            Event::Error(error) => self.error(&error, out),
            _ => {}
        }
    }

    fn begin(&mut self, choice: u32, out: &mut String) {
        if self.choices.insert(choice)
            && let Some(echo) = &self.echo
        {
            self.chunk(choice, echo, None, out);
        }
    }

    fn chunk(&self, index: u32, text: &str, finish: Option<&str>, out: &mut String) {
        self.frame(out, |out| {
            write::array_into(out, |a| choice(index, text, finish, a));
            out.push_str(if self.include_usage { ",\"usage\":null" } else { "" });
        });
    }

    fn frame(&self, out: &mut String, rest: impl FnOnce(&mut String)) {
        out.push_str("data: ");
        out.push_str(&self.head);
        out.push_str(",\"choices\":");
        rest(out);
        out.push_str("}\n\n");
    }

    fn end(&self, out: &mut String) {
        if self.include_usage {
            self.frame(out, |out| {
                out.push_str("[],\"usage\":");
                write::object_into(out, |o| usage::write_openai(&self.usage, &usage::CHAT, o));
            });
        }
        out.push_str("data: [DONE]\n\n");
    }

    /// `[DONE]` is left out: a broken stream must not look complete.
    fn error(&self, error: &Error, out: &mut String) {
        out.push_str("data: ");
        error.write(Dialect::Chat, &self.request_id, out);
        out.push_str("\n\n");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ChatForm, Stream,
        response::{Choice, StopReason},
    };

    fn answer(text: &str) -> Response {
        let choice = Choice { parts: vec![Part::text(text)], stop: StopReason::End.into(), logprobs: None };
        let usage = crate::Usage { input: 2, output: 3, ..crate::Usage::default() };
        Response { choices: vec![choice], usage: Some(usage), ..Response::default() }
    }

    #[test]
    fn prompts_become_chat_requests_and_responses_become_completions() {
        let body = json!({ "model": "m", "prompt": ["a", "b"], "echo": true, "best_of": 0, "logprobs": 0, "stop": "\n", "max_tokens": 16 });
        let completion = parse_completion(body.to_string().as_bytes()).unwrap();
        assert_eq!(completion.requests.len(), 2);
        let reply = Reply::new(&completion.requests[0], "1", 5);
        let (x, y) = (answer("x"), answer("y"));
        let text = render_completions(&[(Some("a"), &x), (Some("b"), &y)], &reply);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["choices"][1]["text"], "by");
        assert_eq!((&value["choices"][1]["index"], &value["usage"]["total_tokens"]), (&json!(1), &json!(10)));
    }

    #[test]
    fn prompts_given_as_tokens_are_refused() {
        let error = parse_completion(br#"{"model":"m","prompt":[1,2]}"#).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("prompt"));
    }

    #[test]
    fn a_stream_has_the_text_of_each_choice_while_it_arrives_and_no_end_if_it_is_cut() {
        let body = json!({ "model": "m", "prompt": "a", "stream": true, "stream_options": { "include_usage": true } });
        let completion = parse_completion(body.to_string().as_bytes()).unwrap();
        let form = ChatForm::Completion { prompt: Some("a".to_owned()) };
        let reply = Reply { form, ..Reply::new(&completion.requests[0], "1", 5) };
        let chunk = |index: u32, delta: Value, finish: Option<&str>| {
            let chunk = json!({ "id": "c", "choices": [{ "index": index, "delta": delta, "finish_reason": finish }] });
            format!("data: {chunk}\n\n")
        };
        let upstream = [
            chunk(0, json!({ "role": "assistant", "reasoning_content": "Hm", "content": "x" }), None),
            chunk(1, json!({ "refusal": "no" }), None),
            chunk(0, json!({ "content": "\n" }), Some("length")),
        ];
        let end = [
            chunk(1, json!({}), Some("stop")),
            format!(
                "data: {}\n\n",
                json!({ "choices": [], "usage": { "prompt_tokens": 2, "completion_tokens": 3 } })
            ),
            "data: [DONE]\n\n".to_owned(),
        ];
        let read = |upstream: &str| -> Vec<Value> {
            let mut stream = Stream::new(Dialect::Chat, Dialect::Chat, &reply);
            let mut out = Vec::new();
            upstream.as_bytes().chunks(7).for_each(|piece| stream.push(piece, &mut out));
            stream.finish(&mut out);
            let text = String::from_utf8(out).unwrap();
            let data = text.split_terminator("\n\n").map(|block| block.strip_prefix("data: ").unwrap());
            data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
        };
        let said = |events: &[Value]| -> Vec<Value> {
            let choices = events.iter().filter_map(|event| event["choices"].get(0));
            choices.map(|choice| json!([choice["index"], choice["text"], choice["finish_reason"]])).collect()
        };
        let whole = read(&(upstream.concat() + &end.concat()));
        let beginning = [
            json!([0, "a", null]),
            json!([0, "x", null]),
            json!([1, "a", null]),
            json!([1, "no", null]),
            json!([0, "\n", null]),
        ];
        let endings = [json!([0, "", "length"]), json!([1, "", "stop"])];
        assert_eq!(said(&whole), [&beginning[..], &endings].concat());
        assert_eq!((&whole[0]["object"], &whole[0]["usage"]), (&json!("text_completion"), &Value::Null));
        assert_eq!(whole[whole.len() - 2]["usage"]["total_tokens"], 5);
        assert_eq!(whole.last(), Some(&json!("[DONE]")));

        let cut = read(&upstream.concat());
        assert!(cut.last().unwrap()["error"]["message"].is_string(), "{cut:?}");
    }
}
