//! The body of a Messages request.

use serde_json::{Value, json};

use super::models;

/// One earlier turn's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// `user` or `assistant`.
    pub(crate) role: String,
    pub(crate) content: String,
}

/// What Claude is asked.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    /// Who Claude is here; the same in every request, so it is cached.
    pub(crate) system: String,
    /// What there is already; cached until it changes. May be empty.
    pub(crate) context: String,
    /// Oldest first, beginning with a user's.
    pub(crate) history: Vec<Turn>,
    pub(crate) message: String,
}

/// The request. Three cache marks of the four allowed: after the
/// system prompt, after the context, after the newest message.
pub(super) fn body(prompt: &Prompt) -> Value {
    let mut system = vec![cached(&prompt.system)];
    if !prompt.context.is_empty() {
        system.push(cached(&prompt.context));
    }
    let mut messages: Vec<Value> =
        prompt.history.iter().map(|turn| json!({ "role": turn.role, "content": turn.content })).collect();
    messages.push(json!({ "role": "user", "content": [cached(&prompt.message)] }));
    let mut body = json!({
        "model": prompt.model,
        "max_tokens": models::max_tokens(&prompt.model),
        "stream": true,
        "system": system,
        "messages": messages,
    });
    if let (Some(thinking), Some(body)) = (models::thinking(&prompt.model), body.as_object_mut()) {
        body.insert("thinking".to_owned(), thinking);
    }
    body
}

fn cached(text: &str) -> Value {
    json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(model: &str, context: &str) -> Value {
        let turn = |role: &str| Turn { role: role.to_owned(), content: "…".to_owned() };
        let prompt = Prompt {
            model: model.to_owned(),
            system: "You build apps.".to_owned(),
            context: context.to_owned(),
            history: vec![turn("user"), turn("assistant")],
            message: "A clock".to_owned(),
        };
        body(&prompt)
    }

    #[test]
    fn the_system_prompt_and_the_context_come_first_and_are_marked() {
        let body = prompt("claude-sonnet-5-5", "index.html: …");
        assert_eq!(body["system"][1]["text"], "index.html: …");
        assert_eq!(body["system"][1]["cache_control"]["type"], "ephemeral");
        assert_eq!(body["messages"].as_array().unwrap().len(), 3);
        assert_eq!(body["messages"][2]["content"][0]["text"], "A clock");
    }

    #[test]
    fn an_empty_context_makes_no_empty_block() {
        assert_eq!(prompt("claude-sonnet-5-5", "")["system"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn no_model_gets_a_setting_that_it_refuses() {
        assert_eq!(prompt("claude-sonnet-5-5", "")["thinking"]["type"], "between_tools");
        assert_eq!(prompt("claude-opus-5-5", "")["thinking"]["display"], "summarized");
        assert_eq!(prompt("claude-haiku-4-5", "").get("thinking"), None);
        for model in ["claude-sonnet-5-5", "claude-opus-5-5", "anything"] {
            assert_eq!(prompt(model, "").get("temperature"), None);
        }
    }
}
