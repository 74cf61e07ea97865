//! `/v1/responses/compact`: the upstream makes a conversation shorter, and encrypts what it leaves out.

use crate::{
    Error, Request, Target, Usage, forward,
    json::Raw,
    responses::{native::with, render::render},
    usage, write,
};

/// The members of a body that have texts of the conversation.
const TEXTS: [&str; 3] = ["input", "instructions", "tools"];

/// The request for an upstream: the client's own body, or the texts of `changed` if they are no longer those of
/// the body.
pub fn render_compaction(body: &[u8], changed: Option<&Request>, target: &Target) -> Result<String, Error> {
    let mut model = String::new();
    write::string(&mut model, &target.model);
    let mut edits = vec![("model", Some(model)), ("models", None), ("previous_response_id", None)];
    if let Some(request) = changed {
        let rendered = render(request, target)?.body;
        let raw = Raw::parse(&rendered).ok_or_else(Error::malformed)?;
        edits.extend(TEXTS.map(|name| (name, raw.get(name).map(|texts| texts.text().to_owned()))));
    }
    forward(body, &edits)
}

/// The client's answer, with the gateway's id, and the tokens that the upstream counted.
pub fn translate_compaction(upstream: &[u8], id: &str) -> Result<(String, Option<Usage>), Error> {
    let text = std::str::from_utf8(upstream).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).filter(|raw| raw.is_object()).ok_or_else(Error::malformed)?;
    if raw.get("output").is_none_or(|output| !output.is_array()) {
        return Err(Error::of_upstream(502, upstream));
    }
    let mut own_id = String::new();
    write::string(&mut own_id, id);
    Ok((with(raw, &[("id", Some(&own_id))]), raw.get("usage").and_then(usage::of_openai)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Dialect, InboundContext, request::Content};

    #[test]
    fn the_body_passes_as_it_came_or_with_the_changed_texts_alone() {
        let body = json!({ "model": "a/b", "models": ["c"], "previous_response_id": "resp_1", "instructions": "Be brief.",
            "prompt_cache_key": "k", "input": [
                { "type": "message", "role": "user", "content": "A secret" },
                { "type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA" },
            ] })
        .to_string();
        let target = Target::new("b");
        let rendered = |changed: Option<&Request>| -> Value {
            serde_json::from_str(&render_compaction(body.as_bytes(), changed, &target).unwrap()).unwrap()
        };
        let passed = rendered(None);
        assert_eq!((&passed["model"], &passed["prompt_cache_key"]), (&json!("b"), &json!("k")));
        assert_eq!((passed.get("models"), passed.get("previous_response_id")), (None, None));
        assert_eq!(passed["input"][0]["content"], "A secret");

        let mut request =
            Dialect::Responses.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let Content::Text(text) = &mut part.content {
                text.text = text.text.replace("secret", "[gone]");
            }
        }
        let changed = rendered(Some(&request));
        assert!(!changed.to_string().contains("secret") && changed.to_string().contains("Be brief."));
        assert_eq!(changed["input"].as_array().unwrap().last().unwrap()["encrypted_content"], "gAAA");
        assert_eq!((changed.get("store"), &changed["prompt_cache_key"]), (None, &json!("k")));
    }

    #[test]
    fn an_answer_without_output_is_an_error() {
        let (answer, usage) = translate_compaction(
            br#"{"id":"resp_up","object":"response.compaction","output":[],"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10}}"#,
            "resp_ours",
        )
        .unwrap();
        assert!(answer.contains("resp_ours") && !answer.contains("resp_up"));
        assert_eq!(usage.unwrap().prompt(), 9);
        for broken in ["", "[]", r#"{"output":1}"#, r#"{"error":{"message":"no"}}"#] {
            assert!(translate_compaction(broken.as_bytes(), "resp_ours").is_err(), "{broken}");
        }
    }
}
