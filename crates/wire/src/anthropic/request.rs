//! Builds the body of a Messages request.

use serde_json::{Value, json};

/// An earlier message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptMessage {
    /// `user` or `assistant`.
    pub role: String,
    pub content: String,
}

/// An image in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`.
    pub media_type: String,
    /// Base64.
    pub data: String,
}

/// Everything that is sent to Claude.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub model: String,
    /// The system prompt; the same in every request, so it is cached.
    pub system: String,
    /// The project's files; cached until they change. May be empty.
    pub context: String,
    /// Oldest first; the first is a user's message.
    pub history: Vec<PromptMessage>,
    /// Sent before the message's text.
    pub images: Vec<Image>,
    pub message: String,
}

/// The request body. It uses three of the four allowed cache marks: after the system prompt, after the context, and
/// after the newest message.
pub fn body(prompt: &Prompt, max_tokens: u32, thinking: Option<Value>) -> Value {
    let mut system = vec![cached(&prompt.system)];
    if !prompt.context.is_empty() {
        system.push(cached(&prompt.context));
    }
    let mut messages: Vec<Value> =
        prompt.history.iter().map(|turn| json!({ "role": turn.role, "content": turn.content })).collect();
    let mut content: Vec<Value> = prompt.images.iter().map(shown).collect();
    content.push(cached(&prompt.message));
    messages.push(json!({ "role": "user", "content": content }));
    let mut body = json!({
        "model": prompt.model,
        "max_tokens": max_tokens,
        "stream": true,
        "system": system,
        "messages": messages,
    });
    if let (Some(thinking), Some(body)) = (thinking, body.as_object_mut()) {
        body.insert("thinking".to_owned(), thinking);
    }
    body
}

fn shown(image: &Image) -> Value {
    let source = json!({ "type": "base64", "media_type": image.media_type, "data": image.data });
    json!({ "type": "image", "source": source })
}

fn cached(text: &str) -> Value {
    json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(context: &str) -> Value {
        let turn = |role: &str| PromptMessage { role: role.to_owned(), content: "…".to_owned() };
        let prompt = Prompt {
            model: "claude-sonnet-5-5".to_owned(),
            system: "You build apps.".to_owned(),
            context: context.to_owned(),
            history: vec![turn("user"), turn("assistant")],
            images: vec![Image { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() }],
            message: "A clock".to_owned(),
        };
        body(&prompt, 8_192, None)
    }

    #[test]
    fn the_system_prompt_and_the_context_come_first_and_are_marked() {
        let body = prompt("index.html: …");
        assert_eq!(body["system"][1]["text"], "index.html: …");
        assert_eq!(body["system"][1]["cache_control"]["type"], "ephemeral");
        assert_eq!(body["messages"].as_array().unwrap().len(), 3);
        assert_eq!(body["messages"][2]["content"][0]["source"]["data"], "iVBORw0KGgo=");
        assert_eq!(body["messages"][2]["content"][1]["text"], "A clock");
    }

    #[test]
    fn an_empty_context_makes_no_empty_block() {
        assert_eq!(prompt("")["system"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn settings_that_a_model_may_refuse_are_not_sent() {
        let body = prompt("");
        let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["max_tokens", "messages", "model", "stream", "system"]);
    }
}
