//! The requests and responses of Workers AI's binding `env.AI.run(model, inputs)`
//! (developers.cloudflare.com/workers-ai/configuration/bindings). Newer models
//! answer in the form of OpenAI's APIs, older ones in a form of their own:
//! `{response, tool_calls?, usage?}`, and `{shape, data}` for embeddings.
//! [`crate::Stream`] reads both forms of a stream.

use serde_json::{Map, Value, json};

use crate::{Error, json::tree};

/// Turns the body of a request to OpenAI's API into the binding's inputs.
///
/// # Errors
/// If the body is not a JSON object.
pub fn workers_ai_inputs(body: &[u8]) -> Result<String, Error> {
    let mut inputs = object(body)?;
    inputs.remove("model");
    // Models for embeddings take `text`.
    if let Some(input) = inputs.remove("input") {
        inputs = Map::from_iter([("text".to_owned(), input)]);
    }
    Ok(Value::Object(inputs).to_string())
}

/// Turns a whole answer of the binding into one of OpenAI's API.
///
/// # Errors
/// If it has neither form.
pub fn openai_of_workers_ai(body: &[u8]) -> Result<Vec<u8>, Error> {
    let answer = object(body)?;
    if answer.contains_key("choices") {
        return Ok(body.to_vec());
    }
    let openai = match (answer.get("response"), answer.get("data")) {
        (None, Some(Value::Array(rows))) => embeddings(rows),
        (None, None) if !answer.contains_key("tool_calls") => return Err(Error::malformed()),
        (response, _) => chat(response, &answer),
    };
    Ok(openai.to_string().into_bytes())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match str::from_utf8(body).ok().and_then(tree) {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(Error::malformed()),
    }
}

fn chat(response: Option<&Value>, answer: &Map<String, Value>) -> Value {
    // In JSON mode the response is the value itself.
    let content = match response {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) => json!(text),
        Some(value) => json!(value.to_string()),
    };
    let calls = answer.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    let mut message = json!({ "role": "assistant", "content": content });
    if let (false, Some(members)) = (calls.is_empty(), message.as_object_mut()) {
        members.insert("tool_calls".to_owned(), json!(calls));
    }
    let usage = answer.get("usage").cloned().unwrap_or_default();
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": finish }], "usage": usage })
}

/// `{name, arguments: {…}}` as OpenAI's tool call. It has no id of its own.
fn call((index, call): (usize, &Value)) -> Value {
    if call.get("function").is_some() {
        return call.clone();
    }
    let arguments = match call.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "{}".to_owned(),
    };
    let function = json!({ "name": call.get("name"), "arguments": arguments });
    json!({ "id": format!("call_{index}"), "type": "function", "function": function })
}

fn embeddings(rows: &[Value]) -> Value {
    let row =
        |(index, row): (usize, &Value)| json!({ "object": "embedding", "index": index, "embedding": row });
    let data: Vec<Value> = rows.iter().enumerate().map(row).collect();
    json!({ "object": "list", "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Dialect, Reader, Response,
        request::{Content, Part},
        response::StopReason,
    };

    fn whole(answer: &Value) -> Result<Response, Error> {
        Dialect::Chat.parse_response(&openai_of_workers_ai(answer.to_string().as_bytes())?)
    }

    fn streamed(events: &[Value]) -> Result<Response, Error> {
        let mut reader = Reader::new(Dialect::Chat);
        let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        (text + "data: [DONE]\n\n").as_bytes().chunks(5).for_each(|piece| reader.push(piece));
        reader.finish()
    }

    fn text(response: &Response) -> String {
        response.choices[0].parts.iter().filter_map(Part::as_text).collect()
    }

    fn calls(response: &Response) -> Vec<(String, String)> {
        let call = |part: &Part| match &part.content {
            Content::ToolCall(call) => Some((call.name.clone(), call.arguments.clone())),
            _ => None,
        };
        response.choices[0].parts.iter().filter_map(call).collect()
    }

    #[test]
    fn inputs_have_no_model_and_those_of_embeddings_are_texts() {
        let body = br#"{"model":"@cf/a/b","messages":[],"stream":true}"#;
        assert_eq!(workers_ai_inputs(body).unwrap(), r#"{"messages":[],"stream":true}"#);
        let body = br#"{"model":"@cf/a/b","input":["x"],"encoding_format":"float"}"#;
        assert_eq!(workers_ai_inputs(body).unwrap(), r#"{"text":["x"]}"#);
        assert!(workers_ai_inputs(b"[]").is_err());
    }

    #[test]
    fn both_forms_of_a_chat_are_read_whole_and_streamed() {
        let usage = json!({ "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 });
        let older = json!({ "response": "Hello", "usage": usage });
        let message = json!({ "role": "assistant", "content": "Hello" });
        let newer = json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }], "usage": usage });
        let pieces = [
            json!({ "response": "Hel", "p": "ab" }),
            json!({ "response": "lo" }),
            json!({ "response": "", "usage": usage }),
        ];
        let choice = |delta: Value, finish: Value| json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }], "usage": usage });
        let chunks = [choice(json!({ "content": "Hello" }), Value::Null), choice(json!({}), json!("stop"))];
        for response in [whole(&older), whole(&newer), streamed(&pieces), streamed(&chunks)] {
            let response = response.unwrap();
            assert_eq!(
                (text(&response).as_str(), &response.choices[0].stop.reason),
                ("Hello", &StopReason::End)
            );
            assert_eq!(response.usage.map(|usage| (usage.input, usage.output)), Some((3, 2)));
        }
    }

    #[test]
    fn calls_of_tools_are_read_in_both_forms() {
        let older = json!([{ "name": "f", "arguments": { "a": 1 } }, { "name": "g", "arguments": {} }]);
        let expected = [("f".to_owned(), r#"{"a":1}"#.to_owned()), ("g".to_owned(), "{}".to_owned())];
        for response in [
            whole(&json!({ "response": null, "tool_calls": older })),
            streamed(&[json!({ "response": null, "tool_calls": older })]),
        ] {
            let response = response.unwrap();
            assert_eq!(calls(&response), expected);
            assert_eq!(response.choices[0].stop.reason, StopReason::ToolCalls);
        }
    }

    #[test]
    fn a_value_of_json_mode_becomes_its_text() {
        let answer = json!({ "response": { "a": [1] } });
        assert_eq!(text(&whole(&answer).unwrap()), r#"{"a":[1]}"#);
        assert_eq!(text(&streamed(&[answer]).unwrap()), r#"{"a":[1]}"#);
    }

    #[test]
    fn embeddings_keep_their_order() {
        let body = openai_of_workers_ai(br#"{"shape":[2,1],"data":[[0.5],[1]],"pooling":"cls"}"#).unwrap();
        let value: Value = serde_json::from_slice(&body).unwrap();
        let row = |row: &Value| (row["index"].clone(), row["embedding"].clone());
        let rows: Vec<_> = value["data"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, [(json!(0), json!([0.5])), (json!(1), json!([1]))]);
    }

    #[test]
    fn a_stream_without_its_end_is_not_whole() {
        let mut reader = Reader::new(Dialect::Chat);
        reader.push(b"data: {\"response\":\"Hel\"}\n\n");
        assert!(reader.finish().is_err());
        assert!(whole(&json!({ "image": "x" })).is_err());
    }
}
