//! The sandbox model answers without a key, in development only, so that the
//! first request works and every feature can be tried. It repeats the prompt,
//! calls a tool that the prompt names, and answers a schema with the smallest
//! value that fits it.

use hatch_dialects::{
    Request, Response, Usage, estimate, estimate_prompt,
    request::{Content, Format, Part, Role, Tool, ToolCall, ToolChoice, ToolKind},
    response::{Choice, StopReason},
};
use serde_json::{Map, Value, json};

use super::model::{Model, Prices};

pub(super) const NAME: &str = "sandbox";

/// Its prices are known and zero, so that budgets do not refuse it.
pub(super) fn models() -> Vec<Model> {
    let capabilities = [
        "tools",
        "forced_tools",
        "images",
        "documents",
        "audio_input",
        "structured_output",
        "sampling",
        "embeddings",
        "moderation",
    ];
    vec![Model {
        id: format!("{NAME}/{NAME}"),
        provider: NAME.to_owned(),
        name: NAME.to_owned(),
        display_name: "Sandbox".to_owned(),
        context: 1_000_000,
        max_output: 32_000,
        prices: Some(Prices { input: 0, output: 0, cache_read: 0, cache_write: 0, cache_write_long: 0 }),
        above: None,
        capabilities: capabilities.map(str::to_owned).to_vec(),
        quality: 1,
        speed: 5,
        is_deprecated: false,
    }]
}

/// The answer to a request.
pub(super) fn answer(request: &Request) -> Response {
    let parts = match call(request) {
        Some(call) => vec![Content::ToolCall(call).into()],
        None => vec![Part::text(text(request))],
    };
    let is_call = parts.iter().any(|part: &Part| matches!(part.content, Content::ToolCall(_)));
    let stop = if is_call { StopReason::ToolCalls } else { StopReason::End };
    let output: u64 = parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall(call) => estimate(&call.arguments),
            _ => part.as_text().map_or(0, estimate),
        })
        .sum();
    let choice = Choice { parts, stop: stop.into(), logprobs: None };
    let choices = vec![choice; usize::try_from(request.n.unwrap_or(1).clamp(1, 8)).unwrap_or(1)];
    let usage = Usage { input: estimate_prompt(request), output: output.max(1), ..Usage::default() };
    Response { model: NAME.to_owned(), choices, usage: Some(usage), ..Response::default() }
}

/// The user's last message.
fn question(request: &Request) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    last.map(hatch_dialects::request::Message::text).unwrap_or_default()
}

/// A call of the tool that the request demands or that the prompt names. None
/// if the last message is a tool's result already.
fn call(request: &Request) -> Option<ToolCall> {
    if request.messages.last()?.tool_results().next().is_some() {
        return None;
    }
    let named = |name: &str| request.tools.iter().find(|tool| tool.name == name);
    let tool = match &request.tool_choice {
        Some(ToolChoice::None) => None,
        Some(ToolChoice::Required) => request.tools.first(),
        Some(ToolChoice::Tool(name)) => named(name),
        Some(ToolChoice::Allowed { names, is_required: true }) => names.first().and_then(|name| named(name)),
        _ => {
            let question = question(request);
            request.tools.iter().find(|tool| question.contains(&tool.name))
        }
    }?;
    let is_custom = matches!(tool.kind, ToolKind::Custom { .. });
    let arguments = if is_custom { "sandbox".to_owned() } else { arguments(tool) };
    Some(ToolCall {
        id: format!("call_sandbox_{}", request.messages.len()),
        name: tool.name.clone(),
        namespace: tool.namespace.clone(),
        arguments,
        is_custom,
    })
}

fn arguments(tool: &Tool) -> String {
    let ToolKind::Function { parameters: Some(schema) } = &tool.kind else { return "{}".to_owned() };
    least_of(schema.as_str())
}

fn text(request: &Request) -> String {
    match &request.format {
        Some(Format::JsonSchema { schema, .. }) => least_of(schema.as_str()),
        Some(Format::JsonObject) => json!({ "answer": question(request) }).to_string(),
        _ => match request.messages.last().and_then(|message| message.tool_results().next()) {
            Some(result) => {
                let text: String = result.parts.iter().filter_map(Part::as_text).collect();
                format!("The tool says: {text}")
            }
            None => format!("This is the sandbox model. You said: {}", question(request)),
        },
    }
}

/// The smallest value that fits a schema, as JSON.
fn least_of(schema: &str) -> String {
    let schema: Value = hatch_json::from_str(schema).unwrap_or_default();
    least(&schema, &schema, 0).to_string()
}

const DEEPEST: usize = 32;

fn least(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    let next = |schema: &Value| least(schema, root, depth + 1);
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(pointer.trim_start_matches('#')).map_or(Value::Null, next);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    for one_of in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(one_of).and_then(|schemas| schemas.get(0)) {
            return next(first);
        }
    }
    let kind = schema.get("type").map(|kind| kind.as_str().or_else(|| kind.get(0).and_then(Value::as_str)));
    match kind.flatten() {
        Some("object") | None => {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let properties = schema.get("properties").and_then(Value::as_object);
            let wanted =
                properties.into_iter().flatten().filter(|(name, _)| required.contains(&name.as_str()));
            Value::Object(wanted.map(|(name, schema)| (name.clone(), next(schema))).collect::<Map<_, _>>())
        }
        Some("array") => Value::Array(Vec::new()),
        Some("string") => json!("sandbox"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some(_) => Value::Null,
    }
}

/// A vector of length 1, as embeddings have it. The same text always gives the
/// same vector.
pub(crate) fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut numbers: Vec<f32> = (0..dimensions)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(i16::try_from((state >> 16) & 0x7fff).unwrap_or_default()) / 32_768.0 - 0.5
        })
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    numbers.iter_mut().for_each(|number| *number /= length);
    numbers
}

#[cfg(test)]
mod tests {
    use hatch_dialects::{Dialect, InboundContext};

    use super::*;

    fn ask(body: &Value) -> Response {
        let body = body.to_string();
        answer(&Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap())
    }

    fn tool() -> Value {
        let schema = json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer", "minimum": 2 } }, "required": ["city", "days"] });
        json!([{ "type": "function", "function": { "name": "get_weather", "parameters": schema } }])
    }

    #[test]
    fn it_calls_a_tool_that_the_prompt_names_with_arguments_that_fit() {
        let user = |text: &str| json!([{ "role": "user", "content": text }]);
        let answer = ask(&json!({ "model": "m", "tools": tool(), "messages": user("Use get_weather") }));
        let Content::ToolCall(call) = &answer.choices[0].parts[0].content else { panic!("{answer:?}") };
        assert_eq!(call.arguments, r#"{"city":"sandbox","days":2}"#);
        let answer = ask(&json!({ "model": "m", "tools": tool(), "messages": user("Hello") }));
        assert!(answer.choices[0].parts[0].as_text().unwrap().ends_with("You said: Hello"));
        let answer = ask(
            &json!({ "model": "m", "tools": tool(), "tool_choice": "required", "messages": user("Hello") }),
        );
        assert_eq!(answer.choices[0].stop.reason, StopReason::ToolCalls);
    }

    #[test]
    fn an_embedding_has_length_one_and_is_deterministic() {
        let numbers = embedding("a", 16);
        assert!((numbers.iter().map(|n| n * n).sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(numbers, embedding("a", 16));
        assert_ne!(numbers, embedding("b", 16));
    }
}
