//! Guardrails over whole requests and streams.

use hatch_dialects::{
    Dialect, InboundContext, Reply, Request, Response, Stream,
    request::{Content, Part, Text, ToolCall, ToolKind},
    response::{Choice, StopReason},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::guards::Guards;

const SECRET: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const BODY: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

fn guards(policy: Value) -> Guards {
    Guards::new(&[&serde_json::from_value(policy).unwrap()]).unwrap()
}

fn request_of(text: &str) -> Request {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string();
    Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap()
}

#[test]
fn a_request_is_blocked_redacted_or_unchanged() {
    let mut request = request_of(&format!("my key is {SECRET}"));
    let error =
        guards(json!({ "input": { "secrets": { "action": "block" } } })).check(&mut request).unwrap_err();
    assert!(error.detail().contains("secret:") && !error.detail().contains(SECRET), "{error:?}");
    let mut request = request_of(&format!("my key is {SECRET}"));
    let checked =
        guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut request).unwrap();
    assert!(checked.is_changed && !request.messages[0].text().contains("ghp_"));
    let mut harmless = request_of("hello");
    let checked =
        guards(json!({ "input": { "secrets": { "action": "redact" } } })).check(&mut harmless).unwrap();
    assert!(!checked.is_changed && checked.rules.is_empty());
}

/// What is left of a request in this dialect.
fn left(dialect: Dialect, body: &Value, policy: Value) -> (String, bool) {
    let mut request = dialect.parse_request(body.to_string().as_bytes(), &InboundContext::default()).unwrap();
    let checked = guards(policy).check(&mut request).unwrap();
    (format!("{request:?}"), checked.is_changed)
}

#[test]
fn every_text_that_a_model_reads_is_checked() {
    let user = json!({ "role": "user", "content": "Hi" });
    let chat = |message: Value| json!({ "model": "m", "messages": [user, message, { "role": "user", "content": "Go on" }] });
    let with = |name: &str, value: Value| json!({ "model": "m", "messages": [user], name: value });
    let escaped = format!("{{\"a\":\"\\u0067hp_{BODY}\"}}");
    let schema = json!({ "type": "object", "properties": { "type": { "type": "string", "description": SECRET, "enum": [SECRET] } } });
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": escaped } });
    let chats = [
        chat(json!({ "role": "assistant", "content": null, "refusal": SECRET })),
        chat(json!({ "role": "assistant", "content": "x", "reasoning_content": SECRET })),
        chat(json!({ "role": "user", "name": SECRET, "content": "x" })),
        json!({ "model": "m", "messages": [user, { "role": "assistant", "tool_calls": [call] }, { "role": "tool", "tool_call_id": "c", "content": "x" }] }),
        with("tools", json!([{ "type": "function", "function": { "name": "f", "parameters": schema } }])),
        with(
            "tools",
            json!([{ "type": "custom", "custom": { "name": "f", "format": { "type": "grammar", "grammar": { "syntax": "lark", "definition": SECRET } } } }]),
        ),
        with(
            "response_format",
            json!({ "type": "json_schema", "json_schema": { "name": "n", "description": SECRET, "schema": schema } }),
        ),
        with("prediction", json!({ "type": "content", "content": SECRET })),
        with("user", json!(SECRET)),
        with("prompt_cache_key", json!(SECRET)),
        with("metadata", json!({ "id": SECRET })),
        with("metadata", json!({ SECRET: "x" })),
        json!({ "model": "m", "messages": [user], "safety_identifier": "u", "user": SECRET }),
        with("stop", json!(["x", SECRET])),
    ];
    let assistant = |block: Value| json!({ "model": "m", "max_tokens": 9, "messages": [user, { "role": "assistant", "content": [block, { "type": "text", "text": "x" }] }, user] });
    let messages = [
        assistant(json!({ "type": "thinking", "thinking": SECRET, "signature": "s" })),
        assistant(
            json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": { "query": SECRET } }),
        ),
        assistant(
            json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": { "query": { SECRET: 1 } } }),
        ),
        assistant(
            json!({ "type": "text", "text": "x", "citations": [{ "type": "web_search_result_location", "url": "https://x.test", "title": "t", "encrypted_index": "e", "cited_text": SECRET }] }),
        ),
        json!({ "model": "m", "max_tokens": 9, "messages": [user], "metadata": { "user_id": SECRET } }),
        json!({ "model": "m", "max_tokens": 9, "messages": [user], "tools": [{ "name": "f", "input_schema": schema, "input_examples": [{ "a": SECRET }] }] }),
    ];
    let item = |item: Value| json!({ "model": "m", "input": [user, item, user] });
    let listed =
        json!({ "name": "t", "input_schema": { "properties": { "id": { "description": SECRET } } } });
    let responses = [
        json!({ "model": "m", "input": [user], "safety_identifier": "u", "user": SECRET }),
        item(
            json!({ "type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "t", "arguments": escaped, "output": "x" }),
        ),
        item(json!({ "type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [listed] })),
        item(
            json!({ "type": "file_search_call", "id": "fs_1", "status": "completed", "queries": [], "results": [{ "file_id": "f", "attributes": { "id": SECRET } }] }),
        ),
        item(
            json!({ "type": "web_search_call", "id": "ws_1", "status": "completed", "action": { "type": "search", "query": SECRET } }),
        ),
        item(
            json!({ "type": "reasoning", "id": "rs_1", "summary": [], "content": [{ "type": "reasoning_text", "text": SECRET }] }),
        ),
        item(
            json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "x", "annotations": [{ "type": "url_citation", "url": "https://x.test", "title": SECRET, "start_index": 0, "end_index": 1 }] }] }),
        ),
        item(
            json!({ "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": SECRET }], "encrypted_content": "e" }),
        ),
    ];
    let all = [(Dialect::Chat, &chats[..]), (Dialect::Messages, &messages), (Dialect::Responses, &responses)];
    for (dialect, body) in
        all.into_iter().flat_map(|(dialect, bodies)| bodies.iter().map(move |body| (dialect, body)))
    {
        let (left, is_changed) =
            left(dialect, body, json!({ "input": { "secrets": { "action": "redact" } } }));
        // It may be repeated to the client as it came.
        let left = left.split("echo:").next().unwrap_or_default();
        assert!(is_changed && !left.contains(BODY), "{body}: {left}");
    }
}

#[test]
fn what_is_stored_is_redacted_as_what_is_sent() {
    let arguments = format!("{{\"a\":\"\\u0067hp_{BODY}\"}}");
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": arguments } });
    let mut message = json!({ "role": "assistant", "tool_calls": [call] });
    guards(json!({ "input": { "secrets": { "action": "redact" } } })).redact(&mut message);
    let left = &message["tool_calls"][0]["function"]["arguments"];
    assert_eq!(left, r#"{"a":"[REDACTED:github-token]"}"#);
}

#[test]
fn a_secret_that_parts_of_a_request_divide_is_one_all_the_same() {
    let bodies = |kind: &str, texts: &[&str]| {
        let parts: Vec<Value> = texts.iter().map(|text| json!({ "type": kind, "text": text })).collect();
        let parts = Value::from(parts);
        let user = json!({ "role": "user", "content": "Hi" });
        let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let used = json!({ "type": "tool_use", "id": "c", "name": "f", "input": {} });
        let result = json!({ "type": "tool_result", "tool_use_id": "c", "content": parts });
        let found = json!({ "type": "search_result", "title": "t", "source": "s", "content": parts });
        let chat = |messages: Value| (Dialect::Chat, json!({ "model": "m", "messages": messages }));
        let anthropic = |messages: Value| {
            (Dialect::Messages, json!({ "model": "m", "max_tokens": 9, "messages": messages }))
        };
        [
            chat(json!([{ "role": "system", "content": parts }, user])),
            chat(json!([{ "role": "user", "content": parts }])),
            chat(
                json!([user, { "role": "assistant", "tool_calls": [call] }, { "role": "tool", "tool_call_id": "c", "content": parts }]),
            ),
            anthropic(
                json!([user, { "role": "assistant", "content": [used] }, { "role": "user", "content": [result] }]),
            ),
            anthropic(json!([{ "role": "user", "content": [found] }])),
            (
                Dialect::Messages,
                json!({ "model": "m", "max_tokens": 9, "system": parts, "messages": [user] }),
            ),
        ]
    };
    let policy = |action: &str| json!({ "input": { "secrets": { "action": action } } });
    let (before, after) = SECRET.split_at(17);
    let (first, last) = (format!("Say {before}"), format!("{after}, please"));
    let (middle, end) = last.split_at(3);
    for texts in [vec![first.as_str(), &last], vec![&first, middle, end]] {
        for (dialect, body) in bodies("text", &texts) {
            let (left, is_changed) = left(dialect, &body, policy("redact"));
            assert!(is_changed && !left.contains("ghp_") && !left.contains("789"), "{left}");
            assert_eq!(left.matches("[REDACTED:github-token]").count(), texts.len(), "{left}");
            assert!(left.contains("Say [") && left.contains("], please"), "{left}");
            let mut request =
                dialect.parse_request(body.to_string().as_bytes(), &InboundContext::default()).unwrap();
            assert!(guards(policy("block")).check(&mut request).is_err(), "{body}");
        }
    }
    // What only looked like the beginning of one is there, in its place.
    for (dialect, body) in bodies("text", &["a gh", "ost"]) {
        let (left, is_changed) = left(dialect, &body, policy("redact"));
        assert!(!is_changed && left.contains("a gh") && !left.contains("ghost"), "{left}");
    }
    let parts = json!([{ "type": "input_text", "text": first }, { "type": "input_text", "text": last }]);
    let body = json!({ "model": "m", "input": [{ "role": "user", "content": parts }] });
    let (left, is_changed) = left(Dialect::Responses, &body, policy("redact"));
    assert!(is_changed && !left.contains("ghp_") && !left.contains("789"), "{left}");
}

#[test]
fn the_words_of_a_schema_are_no_texts() {
    let schema = json!({ "type": "object", "required": ["word"], "properties": { "type": { "type": "word", "format": "word", "description": "a word" } } });
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "tools": [{ "type": "function", "function": { "name": "f", "parameters": schema } }] });
    let mut request = Dialect::Chat.parse_request(body.to_string().as_bytes(), &InboundContext::default());
    let terms =
        json!({ "input": { "terms": [{ "name": "t", "terms": ["word", "object"], "action": "redact" }] } });
    guards(terms).check(request.as_mut().unwrap()).unwrap();
    let ToolKind::Function { parameters: Some(left) } = &request.unwrap().tools[0].kind else {
        panic!("a function")
    };
    let left: Value = hatch_json::from_str(left.as_str()).unwrap();
    let mut expected = schema;
    expected["properties"]["type"]["description"] = json!("a [REDACTED:t]");
    assert_eq!(left, expected);
}

/// What a chat's client makes of these deltas: its text, and the arguments of its calls.
fn shown(policy: Value, deltas: &[Value]) -> (String, Vec<String>, String) {
    let reply = Reply::new(&request_of("x"), "1", 1);
    let mut stream = Stream::filtered(Dialect::Chat, Dialect::Chat, &reply, guards(policy).filter().unwrap());
    let mut out = Vec::new();
    let chunk = |delta: &Value, finish: Value| {
        format!(
            "data: {}\n\n",
            json!({ "id": "c", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        )
    };
    for delta in deltas {
        stream.push(chunk(delta, Value::Null).as_bytes(), &mut out);
    }
    stream.push((chunk(&json!({}), json!("stop")) + "data: [DONE]\n\n").as_bytes(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let (mut text, mut calls) = (String::new(), Vec::<String>::new());
    for line in out.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(chunk) = hatch_json::from_str::<Value>(line) else { continue };
        let delta = &chunk["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        if let Some(call) = delta["tool_calls"].get(0) {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            calls.resize(calls.len().max(index + 1), String::new());
            calls[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    (text, calls, out)
}

fn call(arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": 0, "id": "c", "type": "function", "function": { "name": "f", "arguments": arguments } }] })
}

#[test]
fn arguments_are_checked_as_whoever_parses_them_reads_them() {
    let policy = json!({ "output": { "secrets": { "action": "redact" }, "pii": { "action": "redact" }, "terms": [{ "name": "t", "terms": ["zebra"], "action": "redact" }] } });
    let json = format!(
        "{{\n \"a\": \"\\u0067hp\\u005f{}\", \"b\":\"x\\nbob@example.com\", \"c\":\"\\nzebra\", \"d\":\"\\n\\t\\u00fc\\\"\\\\\" }}",
        BODY
    );
    for size in [1, 5, 400] {
        let chars: Vec<char> = json.chars().collect();
        let pieces: Vec<Value> =
            chars.chunks(size).map(|piece| call(&piece.iter().collect::<String>())).collect();
        let (_, calls, _) = shown(policy.clone(), &pieces);
        let left: Value = hatch_json::from_str(&calls[0]).unwrap();
        let expected = json!({ "a": "[REDACTED:github-token]", "b": "x\n[REDACTED:email]", "c": "\n[REDACTED:t]", "d": "\n\t\u{fc}\"\\" });
        assert_eq!(left, expected, "{size}");
    }
}

#[test]
fn a_secret_that_another_part_divides_is_one_all_the_same() {
    let policy = |action: &str| json!({ "output": { "secrets": { "action": action } } });
    let (before, after) = SECRET.split_at(17);
    for between in [call("{}"), json!({ "reasoning_content": "hm" })] {
        let deltas = [
            json!({ "content": format!("It is {before}") }),
            between.clone(),
            json!({ "content": format!("{after}.") }),
        ];
        let (text, ..) = shown(policy("redact"), &deltas);
        assert_eq!(text, "It is [REDACTED:github-token].");
        let (text, _, out) = shown(policy("block"), &deltas);
        assert!(text == "It is " && out.contains("content_filter"), "{out}");
        // What only looked like the beginning of one is there, in its place.
        let (text, calls, _) = shown(
            policy("redact"),
            &[json!({ "content": "a gh" }), between.clone(), json!({ "content": "ost" })],
        );
        assert_eq!((text.as_str(), calls.len()), ("a ghost", usize::from(between["tool_calls"].is_array())));
        let (text, ..) = shown(policy("redact"), &[json!({ "content": "a gh" }), between]);
        assert_eq!(text, "a gh");
    }
}

#[test]
fn a_secret_that_two_phases_divide_is_one_to_a_client_that_knows_none() {
    let (before, after) = SECRET.split_at(17);
    let said = |text: &str, phase: &str| {
        let (text, phase) = (text.to_owned(), Some(phase.to_owned()));
        Part::from(Content::Text(Text { text, phase, ..Text::default() }))
    };
    let parts = vec![said(before, "commentary"), said(after, "final_answer")];
    let choice = Choice { parts, stop: StopReason::End.into(), logprobs: None };
    let guards = guards(json!({ "output": { "secrets": { "action": "redact" } } }));
    let left = guards.watch(&Response { choices: vec![choice], ..Response::default() }).unwrap();
    let text: String = left.choices[0].parts.iter().filter_map(Part::as_text).collect();
    assert_eq!(text, "[REDACTED:github-token]");
}

#[test]
fn a_text_ends_before_a_tool_is_called_where_the_client_has_parts() {
    let guards = |dialect| {
        let mut guards = guards(json!({ "output": { "pii": { "action": "redact" } } }));
        guards.expect(&Request { dialect: Some(dialect), ..request_of("x") });
        guards
    };
    for client in [Dialect::Messages, Dialect::Responses] {
        let reply = Reply::new(&request_of("x"), "1", 1);
        let mut stream = Stream::filtered(Dialect::Chat, client, &reply, guards(client).filter().unwrap());
        let mut out = Vec::new();
        for delta in [json!({ "content": "Let me look at the file." }), call("{\"a\":1}")] {
            let chunk = json!({ "id": "c", "choices": [{ "index": 0, "delta": delta }] });
            stream.push(format!("data: {chunk}\n\n").as_bytes(), &mut out);
        }
        let out = String::from_utf8(out).unwrap();
        assert!(out.find("file.") < out.find("\\\"a\\\":1") && out.contains("\\\"a\\\":1"), "{out}");
    }
}

#[test]
fn a_text_whose_members_a_tool_or_a_schema_names_is_checked_by_whatever_name() {
    let policy = || json!({ "input": { "secrets": { "action": "redact" } } });
    let user = json!({ "role": "user", "content": "Hi" });
    let schema = json!({ "type": "object", "properties": { "a": { "default": { "format": SECRET } } } });
    let tools = json!([{ "name": "f", "input_schema": schema, "input_examples": [{ "id": SECRET }] }]);
    let call =
        json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "status": SECRET } });
    for body in [
        json!({ "model": "m", "max_tokens": 9, "messages": [user], "tools": tools }),
        json!({ "model": "m", "max_tokens": 9, "messages": [user, { "role": "assistant", "content": [call] }, user] }),
    ] {
        let (left, is_changed) = left(Dialect::Messages, &body, policy());
        assert!(is_changed && !left.contains(BODY), "{left}");
    }
}

#[test]
fn names_of_members_that_are_redacted_to_one_mark_keep_their_values() {
    let input = json!({ "a@example.com": 1, "b@example.com": { "c@example.com": 2, "d@example.com": 3 } });
    let call = json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": input });
    let user = json!({ "role": "user", "content": "Hi" });
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [user, { "role": "assistant", "content": [call] }, user] });
    let (left, is_changed) =
        left(Dialect::Messages, &body, json!({ "input": { "pii": { "action": "redact" } } }));
    assert!(is_changed && !left.contains("example.com"), "{left}");
    for value in [":1", ":2", ":3"] {
        assert!(left.contains(value), "{value} of {left}");
    }
}

#[test]
fn a_schema_without_a_finding_stays_as_it_came_whatever_else_is_redacted() {
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{SECRET}"}}],"tools":[{{"name":"f","input_schema":{{"type":"object","properties":{{"z":{{}},"a":{{"maximum":1e400}}}}}}}}]}}"#
    );
    let mut request = Dialect::Messages.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
    let policy = json!({ "input": { "secrets": { "action": "redact" } } });
    assert!(guards(policy).check(&mut request).unwrap().is_changed);
    assert!(
        format!("{request:?}").contains(r#"\"properties\":{\"z\":{},\"a\":{\"maximum\":1e400}}"#),
        "{request:?}"
    );
}

#[test]
fn a_source_is_checked_like_the_text_that_it_is_of() {
    let citation = json!({ "type": "url_citation", "url_citation": { "url": format!("https://x.test/?k={SECRET}"), "title": SECRET, "start_index": 0, "end_index": 1 } });
    for action in ["redact", "block"] {
        let policy = json!({ "output": { "secrets": { "action": action } } });
        let (text, _, out) =
            shown(policy, &[json!({ "content": "Look." }), json!({ "annotations": [citation] })]);
        assert!(text == "Look." && !out.contains(BODY), "{out}");
        assert_eq!(out.contains("content_filter"), action == "block");
    }
}

#[test]
fn the_name_of_a_called_tool_is_checked_unless_it_is_the_clients_own() {
    let named = |name: &str| json!({ "tool_calls": [{ "index": 0, "id": "c", "type": "function", "function": { "name": name, "arguments": "{}" } }] });
    for action in ["redact", "block"] {
        let policy = json!({ "output": { "secrets": { "action": action } } });
        let (_, calls, out) = shown(policy, &[named(SECRET)]);
        assert!(!out.contains(BODY), "{out}");
        assert_eq!(
            (calls.len(), out.contains("content_filter")),
            if action == "block" { (0, true) } else { (1, false) },
            "{out}"
        );
    }
    let tool = json!([{ "type": "function", "function": { "name": "stop", "parameters": {} } }]);
    let body =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "tools": tool }).to_string();
    let request = Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
    let mut guards =
        guards(json!({ "output": { "terms": [{ "name": "t", "terms": ["stop"], "action": "block" }] } }));
    for is_allowed in [false, true] {
        if is_allowed {
            guards.expect(&request);
        }
        let (id, name, arguments) = ("c".into(), "stop".into(), "{}".into());
        let call = ToolCall { id, name, namespace: None, arguments, is_custom: false };
        let parts = vec![Content::ToolCall(call).into()];
        let choice = Choice { parts, stop: StopReason::ToolCalls.into(), logprobs: None };
        let left = guards.watch(&Response { choices: vec![choice], ..Response::default() }).unwrap();
        assert_eq!(left.choices[0].stop.reason != StopReason::Refusal, is_allowed);
    }
}

proptest! {
    #[test]
    fn no_prefix_of_a_secret_is_sent_however_the_stream_is_cut(sizes in prop::collection::vec(1_usize..9, 1..40), blocks in any::<bool>()) {
        let action = if blocks { "block" } else { "redact" };
        let guards = guards(json!({ "output": { "secrets": { "action": action } } }));
        let reply = Reply::new(&request_of("x"), "1", 1);
        let mut stream = Stream::filtered(Dialect::Chat, Dialect::Chat, &reply, guards.filter().unwrap());
        let (mut out, text) = (Vec::new(), format!("It is {SECRET}, as you know."));
        let mut rest = text.as_str();
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*size));
            let chunk = json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": piece } }] });
            stream.push(format!("data: {chunk}\n\n").as_bytes(), &mut out);
            rest = after;
            if rest.is_empty() { break }
        }
        stream.push(b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", &mut out);
        let shown: String = String::from_utf8(out).unwrap().lines()
            .filter_map(|line| hatch_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|chunk| Some(chunk["choices"].get(0)?["delta"].get("content")?.as_str()?.to_owned())).collect();
        prop_assert!(!shown.contains("ghp_") && shown.starts_with("It is "), "{}", shown);
        prop_assert_eq!(shown.ends_with("as you know."), !blocks);
    }
}
