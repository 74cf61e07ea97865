//! The legacy `/v1/completions`, served by chat models.

use crate::{
    Dialect, Error, Reply, Request, Response,
    chat::{encode::finish_reason, parse::stop},
    read::{At, Fields, body},
    request::{Message, Part, Role},
    usage, write,
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

pub fn parse_completion(bytes: &[u8]) -> Result<Completion, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let at = f.at().key("prompt");
    let prompt = f.need("prompt")?;
    let prompts: Vec<String> = match prompt.as_str() {
        Some(text) => vec![text.into_owned()],
        None => {
            let texts: Option<Vec<String>> =
                prompt.items().map(|item| item.as_str().map(std::borrow::Cow::into_owned)).collect();
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

/// The responses to all prompts as one completion.
pub fn render_completion(completion: &Completion, answers: &[Response], reply: &Reply) -> String {
    let mut total = crate::Usage::default();
    for usage in answers.iter().filter_map(|answer| answer.usage) {
        total.input = total.input.saturating_add(usage.input);
        total.cache_read = total.cache_read.saturating_add(usage.cache_read);
        total.cache_write = total.cache_write.saturating_add(usage.cache_writes());
        total.output = total.output.saturating_add(usage.output);
        total.reasoning = total.reasoning.saturating_add(usage.reasoning);
    }
    write::object(|o| {
        o.str("id", &format!("cmpl-{}", reply.id));
        o.str("object", "text_completion");
        o.put("created", reply.created);
        o.str("model", &reply.model);
        o.array("choices", |a| {
            let mut index = 0_u32;
            for (request, answer) in completion.requests.iter().zip(answers) {
                for choice in &answer.choices {
                    let text: String = choice.parts.iter().filter_map(Part::as_text).collect();
                    let before = request.messages.first().map(Message::text).filter(|_| completion.echo);
                    a.object(|o| {
                        o.str("text", &format!("{}{text}", before.unwrap_or_default()));
                        o.put("index", index);
                        o.null("logprobs");
                        o.str("finish_reason", finish_reason(&choice.stop, false));
                    });
                    index = index.saturating_add(1);
                }
            }
        });
        o.object("usage", |o| usage::write_openai(&total, &usage::CHAT, o));
    })
}

/// A response as the stream of a legacy completion.
pub fn stream_completion(completion: &Completion, answer: &Response, reply: &Reply) -> String {
    let mut out = String::new();
    let head = |o: &mut write::Object<'_>| {
        o.str("id", &format!("cmpl-{}", reply.id));
        o.str("object", "text_completion");
        o.put("created", reply.created);
        o.str("model", &reply.model);
    };
    let echo = completion
        .requests
        .first()
        .map(|request| request.messages.iter().map(Message::text).collect::<String>());
    for (index, choice) in answer.choices.iter().enumerate() {
        let texts = echo.as_deref().filter(|_| completion.echo).into_iter();
        let texts = texts.chain(choice.parts.iter().filter_map(Part::as_text));
        let ends = [("", Some(finish_reason(&choice.stop, false)))];
        for (text, finish) in texts.map(|text| (text, None)).chain(ends) {
            out.push_str("data: ");
            write::object_into(&mut out, |o| {
                head(o);
                o.array("choices", |a| {
                    a.object(|o| {
                        o.str("text", text);
                        o.put("index", index);
                        o.null("logprobs");
                        o.str_or_null("finish_reason", finish);
                    });
                });
            });
            out.push_str("\n\n");
        }
    }
    if reply.include_usage {
        out.push_str("data: ");
        write::object_into(&mut out, |o| {
            head(o);
            o.raw("choices", "[]");
            let usage = answer.usage.unwrap_or_default();
            o.object("usage", |o| usage::write_openai(&usage, &usage::CHAT, o));
        });
        out.push_str("\n\n");
    }
    out.push_str("data: [DONE]\n\n");
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::response::{Choice, StopReason};

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
        let text = render_completion(&completion, &[answer("x"), answer("y")], &reply);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["choices"][1]["text"], "by");
        assert_eq!((&value["choices"][1]["index"], &value["usage"]["total_tokens"]), (&json!(1), &json!(10)));
    }

    #[test]
    fn prompts_given_as_tokens_are_refused() {
        let error = parse_completion(br#"{"model":"m","prompt":[1,2]}"#).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("prompt"));
    }
}
