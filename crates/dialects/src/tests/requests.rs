//! Requests in all directions. The numbers in the names are those of the
//! translation rules.

use serde_json::{Value, json};

use super::Marked;
use crate::{
    Abilities, Class, Dialect, Error, InboundContext, Json, Rendered, Request, Target, Version,
    estimate_prompt,
};

fn inbound() -> InboundContext<'static> {
    InboundContext { seal: Some(&Marked), ..InboundContext::default() }
}

fn parse(dialect: Dialect, body: &Value) -> Result<Request, Error> {
    dialect.parse_request(body.to_string().as_bytes(), &inbound())
}

fn render(from: Dialect, to: Dialect, body: &Value, target: &Target) -> Result<(Value, Rendered), Error> {
    let rendered = to.render_request(&parse(from, body)?, target)?;
    Ok((serde_json::from_str(&rendered.body).unwrap(), rendered))
}

fn translated(from: Dialect, to: Dialect, body: &Value) -> Value {
    render(from, to, body, &Target::new("m")).unwrap().0
}

fn chat(messages: &Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn to_claude(messages: &Value) -> Value {
    translated(Dialect::Chat, Dialect::Messages, &chat(messages))
}

fn claude(messages: &Value) -> Value {
    json!({ "model": "m", "max_tokens": 100, "messages": messages })
}

fn limited(change: impl FnOnce(&mut Abilities)) -> Target {
    let mut target = Target::new("m");
    change(&mut target.can);
    target
}

fn call(id: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": arguments } })
}

#[test]
fn rule_1_instructions_stay_in_their_positions() {
    let body = to_claude(&json!([
        { "role": "system", "content": [{ "type": "text", "text": "a", "cache_control": { "type": "ephemeral" } }] },
        { "role": "developer", "content": "b" },
        { "role": "user", "content": "x" },
        { "role": "system", "content": "c" },
    ]));
    assert_eq!(
        body["system"],
        json!([{ "type": "text", "text": "a", "cache_control": { "type": "ephemeral" } }, { "type": "text", "text": "b" }])
    );
    assert_eq!(body["messages"][1]["role"], "system");
    let messages = json!([{ "role": "user", "content": "x" }, { "role": "system", "content": "c" }]);
    let target = limited(|can| can.mid_system = false);
    let (body, _) = render(Dialect::Chat, Dialect::Messages, &chat(&messages), &target).unwrap();
    assert_eq!(body["messages"][0]["content"][1]["text"], "c");
}

#[test]
fn rule_2_ids_and_names_are_made_valid_for_the_api() {
    let mut body = chat(&json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "tool_calls": [call("call.1:x", "{}"), call("call_1.x", "{}")] },
        { "role": "tool", "tool_call_id": "call_1.x", "content": "2" },
        { "role": "tool", "tool_call_id": "call.1:x", "content": "1" },
    ]));
    let long = "n".repeat(100);
    body["tools"] = json!([{ "type": "function", "function": { "name": long } }]);
    let out = translated(Dialect::Chat, Dialect::Messages, &body);
    let (calls, results) = (&out["messages"][1]["content"], &out["messages"][2]["content"]);
    assert_eq!(calls[0]["id"], "call_1_x");
    assert_ne!(calls[1]["id"], "call_1_x");
    assert_eq!((&results[0]["tool_use_id"], &results[1]["tool_use_id"]), (&calls[1]["id"], &calls[0]["id"]));
    assert_eq!(out["tools"][0]["name"], long.as_str());
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["tools"] = json!([{ "name": long, "input_schema": { "type": "object" } }]);
    let (out, rendered) = render(Dialect::Messages, Dialect::Chat, &body, &Target::new("m")).unwrap();
    let sent = out["tools"][0]["function"]["name"].as_str().unwrap();
    assert_eq!((sent.len(), rendered.names.of(sent).unwrap().name.as_str()), (64, long.as_str()));
}

#[test]
fn rule_3_empty_texts_are_left_out_and_an_empty_user_is_refused() {
    let body = to_claude(&json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": "", "tool_calls": [call("a", "")] },
        { "role": "tool", "tool_call_id": "a", "content": "" },
        { "role": "assistant", "content": "so \n" },
    ]));
    assert_eq!(
        body["messages"][1]["content"],
        json!([{ "type": "tool_use", "id": "a", "name": "f", "input": {} }])
    );
    assert_eq!(body["messages"][3]["content"][0]["text"], "so");
    let error = render(
        Dialect::Chat,
        Dialect::Messages,
        &chat(&json!([{ "role": "user", "content": " " }])),
        &Target::new("m"),
    )
    .unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0].content"));
}

#[test]
fn rule_4_b13_results_come_first_in_one_turn_and_once_each() {
    let body = to_claude(&json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": null, "tool_calls": [call("a", "{}"), call("b", "{}")] },
        { "role": "tool", "tool_call_id": "b", "content": "2" },
        { "role": "tool", "tool_call_id": "a", "content": "1" },
        { "role": "user", "content": "and" },
    ]));
    let turn = body["messages"][2]["content"].as_array().unwrap();
    let kinds: Vec<_> = turn.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    let with = |tail: Value| {
        let mut messages = vec![
            json!({ "role": "user", "content": "x" }),
            json!({ "role": "assistant", "tool_calls": [call("a", "{}")] }),
        ];
        messages.extend(tail.as_array().unwrap().clone());
        parse(Dialect::Chat, &chat(&json!(messages)))
    };
    let result = json!({ "role": "tool", "tool_call_id": "a", "content": "1" });
    assert!(with(json!([result])).is_ok());
    assert_eq!(with(json!([result, result])).unwrap_err().param.as_deref(), Some("messages[3]"));
    assert_eq!(
        with(json!([{ "role": "user", "content": "y" }])).unwrap_err().param.as_deref(),
        Some("messages[2]")
    );
    assert!(with(json!([])).is_err());
    let orphan =
        json!([{ "role": "user", "content": "x" }, { "role": "tool", "tool_call_id": "z", "content": "" }]);
    assert!(parse(Dialect::Chat, &chat(&orphan)).is_err());
}

#[test]
fn rule_5_b14_broken_arguments_are_refused_or_wrapped() {
    let with = |arguments: &str| {
        chat(&json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "tool_calls": [call("z", "{}"), call("a", arguments)] },
            { "role": "tool", "tool_call_id": "z", "content": "" },
            { "role": "tool", "tool_call_id": "a", "content": "" },
        ]))
    };
    let error = render(Dialect::Chat, Dialect::Messages, &with("{\"a\": [1"), &Target::new("m")).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[1].tool_calls[1].function.arguments"));
    let lenient = Target { is_lenient: true, ..Target::new("m") };
    let input = |arguments: &str| {
        let (body, rendered) = render(Dialect::Chat, Dialect::Messages, &with(arguments), &lenient).unwrap();
        (body["messages"][1]["content"][1]["input"].clone(), rendered.warnings.len())
    };
    assert_eq!(input("{\"a\": [1"), (json!({ "arguments": "{\"a\": [1" }), 1));
    assert_eq!(input("[1]"), (json!({ "arguments": "[1]" }), 1));
    assert_eq!(input(""), (json!({}), 0));
    // The model's own order and number format stay.
    let request = parse(Dialect::Chat, &with("{\"b\":1.0,\"a\":1e2}")).unwrap();
    let rendered = Dialect::Messages.render_request(&request, &Target::new("m")).unwrap();
    assert!(rendered.body.contains(r#""input":{"b":1.0,"a":1e2}"#));
}

#[test]
fn rule_6_forced_tools_and_parallel_calls() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    body["tools"] = json!([{ "type": "function", "function": { "name": "f" } }, { "type": "function", "function": { "name": "g" } }]);
    body["parallel_tool_calls"] = json!(false);
    let out = translated(Dialect::Chat, Dialect::Messages, &body);
    assert_eq!(out["tool_choice"], json!({ "type": "auto", "disable_parallel_tool_use": true }));
    assert_eq!(out["tools"][0]["input_schema"], json!({ "type": "object", "properties": {} }));
    body["tool_choice"] = json!({ "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": [{ "type": "function", "function": { "name": "g" } }] } });
    let out = translated(Dialect::Chat, Dialect::Messages, &body);
    assert_eq!((&out["tool_choice"]["type"], out["tools"].as_array().unwrap().len()), (&json!("any"), 1));
    let unforced = limited(|can| can.forced_tools = false);
    let error = render(Dialect::Chat, Dialect::Messages, &body, &unforced).unwrap_err();
    assert_eq!(
        (error.param.as_deref(), error.code.as_deref()),
        (Some("tool_choice"), Some("unsupported_value"))
    );
    let lenient = Target { is_lenient: true, ..unforced };
    let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &lenient).unwrap();
    assert_eq!((&out["tool_choice"]["type"], rendered.warnings.len()), (&json!("auto"), 1));
}

#[test]
fn rule_7_b21_formats_are_enforced_described_or_refused() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer", "minimum": 1 } } });
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": schema } });
    let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &Target::new("m")).unwrap();
    let held = &out["output_config"]["format"]["schema"];
    assert_eq!(
        (&held["additionalProperties"], &held["properties"]["n"]["description"]),
        (&json!(false), &json!("{minimum: 1}"))
    );
    assert_eq!(rendered.warnings.len(), 1);
    body["response_format"] = json!({ "type": "json_object" });
    let out = translated(Dialect::Chat, Dialect::Messages, &body);
    assert!(out.get("tools").is_none() && out["system"][0]["text"].as_str().unwrap().contains("JSON"));
}

#[test]
fn rule_8_images_are_sources() {
    let image = |url: &str| {
        to_claude(
            &json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }]),
        )["messages"][0]["content"][0]["source"]
            .clone()
    };
    assert_eq!(
        image("data:image/jpg;base64,AAA"),
        json!({ "type": "base64", "media_type": "image/jpeg", "data": "AAA" })
    );
    assert_eq!(image("https://x.test/a.png"), json!({ "type": "url", "url": "https://x.test/a.png" }));
    let body = chat(
        &json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:image/tiff;base64,AAA" } }] }]),
    );
    assert!(render(Dialect::Chat, Dialect::Messages, &body, &Target::new("m")).is_err());
}

#[test]
fn base64_in_lines_becomes_one_line() {
    let wrapped = "AAAA\r\nBBBB\n CC==\n";
    let url = format!("data:image/png;base64,{wrapped}");
    let file = format!("data:application/pdf;base64,{wrapped}");
    let pdf = json!({ "type": "base64", "media_type": "application/pdf", "data": wrapped });
    let requests = [
        (
            Dialect::Chat,
            chat(&json!([{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": url } },
            { "type": "file", "file": { "file_data": file } },
            { "type": "file", "file": { "file_data": wrapped } },
        ] }])),
        ),
        (
            Dialect::Responses,
            json!({ "model": "m", "input": [{ "role": "user", "content": [
            { "type": "input_image", "image_url": url },
            { "type": "input_file", "file_data": file },
            { "type": "input_file", "file_data": wrapped },
        ] }] }),
        ),
        (
            Dialect::Messages,
            claude(&json!([{ "role": "user", "content": [
            { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": wrapped } },
            { "type": "document", "source": pdf },
        ] }])),
        ),
    ];
    for (from, body) in requests {
        // Blanks alone are no data.
        let empty =
            serde_json::from_str(&body.to_string().replace("AAAA\\r\\nBBBB\\n CC==\\n", " \\n")).unwrap();
        assert!(render(from, Dialect::Messages, &empty, &Target::new("m")).is_err(), "{from:?}");
        for to in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
            let sent = translated(from, to, &body).to_string();
            let (media, whole) = (sent.matches("AAAA").count(), sent.matches("AAAABBBBCC==\"").count());
            assert!(media >= 2 && media == whole, "{from:?} to {to:?}: {sent}");
        }
    }
    let audio = json!({ "type": "input_audio", "input_audio": { "data": wrapped, "format": "mp3" } });
    let sent =
        translated(Dialect::Chat, Dialect::Chat, &chat(&json!([{ "role": "user", "content": [audio] }])));
    assert_eq!(sent["messages"][0]["content"][0]["input_audio"]["data"], "AAAABBBBCC==");
}

#[test]
fn rule_9_documents_have_titles_and_files_are_refused() {
    let with =
        |file: Value| chat(&json!([{ "role": "user", "content": [{ "type": "file", "file": file }] }]));
    let out = translated(
        Dialect::Chat,
        Dialect::Messages,
        &with(json!({ "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA" })),
    );
    assert_eq!(
        out["messages"][0]["content"][0],
        json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "AAAA" }, "title": "a.pdf" })
    );
    assert!(
        render(Dialect::Chat, Dialect::Messages, &with(json!({ "file_id": "file-1" })), &Target::new("m"))
            .is_err()
    );
}

#[test]
fn search_results_and_titles_of_texts_are_plain_text_for_other_apis() {
    let found = json!({ "type": "search_result", "source": "https://x.test/a", "title": "A", "content": [{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }] });
    let titled = json!({ "type": "document", "title": "T", "context": "C", "source": { "type": "text", "media_type": "text/plain", "data": "text" } });
    let body = claude(&json!([
        { "role": "user", "content": [titled, found] },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [found] }] },
    ]));
    let (chat, rendered) = render(Dialect::Messages, Dialect::Chat, &body, &Target::new("m")).unwrap();
    assert_eq!(rendered.warnings, Vec::<String>::new());
    assert_eq!(chat["messages"][0]["content"][0]["text"], "T\nC\n\ntext");
    assert_eq!(chat["messages"][0]["content"][1]["text"], "A\nhttps://x.test/a\n\none\ntwo");
    assert_eq!(chat["messages"][2]["content"], "A\nhttps://x.test/a\n\none\ntwo");
    let items = &translated(Dialect::Messages, Dialect::Responses, &body)["input"];
    assert_eq!(items[0]["content"][1]["text"], "A\nhttps://x.test/a\n\none\ntwo");
    assert_eq!(items[2]["output"], "A\nhttps://x.test/a\n\none\ntwo");
    let same = translated(Dialect::Messages, Dialect::Messages, &body);
    assert_eq!(same["messages"][0]["content"], json!([titled, found]));
}

#[test]
fn loaded_tools_and_summaries_are_plain_text_for_other_apis() {
    let reference = json!({ "type": "tool_reference", "tool_name": "fetch" });
    let body = claude(&json!([
        { "role": "assistant", "content": [{ "type": "compaction", "content": "They said hello.", "signature": "s" }] },
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [reference] }] },
    ]));
    let (chat, rendered) = render(Dialect::Messages, Dialect::Chat, &body, &Target::new("m")).unwrap();
    assert_eq!(rendered.warnings, Vec::<String>::new());
    assert_eq!(chat["messages"][0]["content"], "They said hello.");
    assert_eq!(chat["messages"][3]["content"], "The tool fetch is loaded.");
    assert_eq!(
        translated(Dialect::Messages, Dialect::Responses, &body)["input"][3]["output"],
        "The tool fetch is loaded."
    );
    let mut asked = claude(&json!([{ "role": "user", "content": "x" }]));
    asked["compaction"] = json!({ "type": "summarize" });
    let refused = render(Dialect::Messages, Dialect::Chat, &asked, &Target::new("m")).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("compaction"));
}

#[test]
fn rule_10_the_last_four_marks_are_kept_and_none_is_null() {
    let mark = json!({ "type": "ephemeral" });
    let mut messages: Vec<Value> = (0..6).map(|n| json!({ "role": "user", "content": [{ "type": "text", "text": n.to_string(), "cache_control": mark }] })).collect();
    messages
        .push(json!({ "role": "user", "content": [{ "type": "text", "text": "x", "cache_control": null }] }));
    let out = to_claude(&json!(messages));
    let marks: Vec<bool> = out["messages"][0]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block.get("cache_control").is_some())
        .collect();
    assert_eq!(marks, [false, false, true, true, true, true, false]);
    let out = translated(Dialect::Chat, Dialect::Chat, &chat(&json!(messages)));
    assert!(!out.to_string().contains("cache_control"));
}

#[test]
fn rule_11_b12_thoughts_are_sent_back_unchanged_or_not_at_all() {
    let with = |details: Value| {
        json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": "y", "reasoning_details": details, "reasoning_content": "hm" },
            { "role": "user", "content": "z" },
        ])
    };
    let signed = json!({ "type": "reasoning.text", "text": "", "signature": "s" });
    let sealed = json!({ "type": "reasoning.encrypted", "data": "d" });
    let out = to_claude(&with(json!([signed, sealed])));
    assert_eq!(
        out["messages"][1]["content"][0],
        json!({ "type": "thinking", "thinking": "", "signature": "s" })
    );
    assert_eq!(out["messages"][1]["content"][1], json!({ "type": "redacted_thinking", "data": "d" }));
    let out = to_claude(&with(json!([signed, { "type": "reasoning.text", "text": "a", "signature": "" }])));
    assert_eq!(out["messages"][1]["content"], json!([{ "type": "text", "text": "y" }]));
    let elsewhere = Target { keeps_thoughts: false, ..Target::new("m") };
    let (out, _) =
        render(Dialect::Chat, Dialect::Messages, &chat(&with(json!([signed]))), &elsewhere).unwrap();
    assert_eq!(out["messages"][1]["content"], json!([{ "type": "text", "text": "y" }]));
}

#[test]
fn rule_12_a_long_answer_needs_a_stream() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    assert_eq!(translated(Dialect::Chat, Dialect::Messages, &body)["max_tokens"], 8_192);
    body["max_completion_tokens"] = json!(64_000);
    let (_, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &Target::new("m")).unwrap();
    assert!(rendered.needs_stream);
    let streamed = Target { stream: true, max_output: Some(32_000), ..Target::new("m") };
    let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &streamed).unwrap();
    assert_eq!(
        (&out["max_tokens"], &out["stream"], rendered.needs_stream),
        (&json!(32_000), &json!(true), false)
    );
}

#[test]
fn rules_17_18_19_results_go_before_images_and_text() {
    let messages = json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "f", "input": { "b": 1, "a": 2 } }, { "type": "tool_use", "id": "b", "name": "f", "input": {} }] },
        { "role": "user", "content": [
            { "type": "text", "text": "first" },
            { "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAA" } }] },
            { "type": "tool_result", "tool_use_id": "b", "content": "", "is_error": true },
        ] },
    ]);
    let out = translated(Dialect::Messages, Dialect::Chat, &claude(&messages));
    let roles: Vec<_> =
        out["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"]);
    assert_eq!(out["messages"][1]["tool_calls"][0]["function"]["arguments"], "{\"a\":2,\"b\":1}");
    assert_eq!(
        (&out["messages"][2]["content"], &out["messages"][3]["content"]),
        (&json!("(image below)"), &json!("tool error"))
    );
    assert_eq!(out["messages"][4]["content"][1]["image_url"]["url"], "data:image/png;base64,AAA");
    assert_eq!(out["messages"][4]["content"][2]["text"], "first");
    let out = translated(Dialect::Messages, Dialect::Responses, &claude(&messages));
    let output =
        out["input"].as_array().unwrap().iter().find(|item| item["type"] == "function_call_output").unwrap();
    assert_eq!(output["output"][0]["type"], "input_image");
}

#[test]
fn rules_20_21_22_anthropics_settings_become_openais() {
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["thinking"] = json!({ "type": "adaptive" });
    body["output_config"] = json!({ "effort": "max" });
    body["stop_sequences"] = json!(["a", "b"]);
    body["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
    body["context_management"] = json!({ "edits": [] });
    let target = limited(|can| can.max_effort = crate::request::Effort::High);
    let (out, rendered) = render(Dialect::Messages, Dialect::Chat, &body, &target).unwrap();
    assert_eq!((&out["reasoning_effort"], &out["stop"]), (&json!("high"), &json!(["a", "b"])));
    assert!(out.get("tools").is_none() && out.get("context_management").is_none());
    assert_eq!(rendered.warnings.len(), 3);
    body["thinking"] = json!({ "type": "disabled" });
    assert_eq!(translated(Dialect::Messages, Dialect::Chat, &body)["reasoning_effort"], "none");
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 4096 });
    body["output_config"] = json!({});
    assert_eq!(translated(Dialect::Messages, Dialect::Chat, &body)["reasoning_effort"], "medium");
    body["stop_sequences"] = json!(["a", "b", "c", "d", "e"]);
    assert!(render(Dialect::Messages, Dialect::Chat, &body, &Target::new("m")).is_err());
}

#[test]
fn openais_thinking_models_get_no_setting_that_they_refuse() {
    let thinking = limited(|can| can.sampling = false);
    let settings = [
        ("stop", json!("END")),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({ "50256": -100 })),
        ("logprobs", json!(true)),
        ("temperature", json!(0.5)),
    ];
    for (name, value) in settings {
        let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
        body[name] = value;
        let error = render(Dialect::Chat, Dialect::Chat, &body, &thinking).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(name));
        let lenient = Target { is_lenient: true, ..thinking.clone() };
        let (out, rendered) = render(Dialect::Chat, Dialect::Chat, &body, &lenient).unwrap();
        assert_eq!((out.get(name), rendered.warnings.len()), (None, 1), "{name}");
        let other = limited(|can| (can.sampling, can.openai) = (false, false));
        let is_sent =
            render(Dialect::Chat, Dialect::Chat, &body, &other).is_ok_and(|(out, _)| out.get(name).is_some());
        assert_eq!(is_sent, name != "temperature", "{name}");
    }
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    (body["frequency_penalty"], body["logprobs"], body["stop"]) = (json!(0), json!(false), json!([]));
    let (out, rendered) = render(Dialect::Chat, Dialect::Chat, &body, &thinking).unwrap();
    assert_eq!((out.as_object().unwrap().len(), rendered.warnings.len()), (2, 0), "{out}");
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["stop_sequences"] = json!(["END"]);
    for upstream in [Dialect::Chat, Dialect::Responses] {
        let (out, rendered) = render(Dialect::Messages, upstream, &body, &thinking).unwrap();
        assert_eq!(
            (out.get("stop"), rendered.stops, rendered.warnings.len()),
            (None, vec!["END".to_owned()], 1)
        );
    }
}

#[test]
fn the_gateway_ends_a_text_at_few_sequences() {
    let thinking = limited(|can| can.sampling = false);
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["stop_sequences"] = (0..65).map(|n| json!(n.to_string())).collect();
    assert!(render(Dialect::Messages, Dialect::Responses, &body, &thinking).is_err());
}

#[test]
fn blank_stop_sequences_are_not_for_claude() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    body["stop"] = json!(["\n", "END"]);
    let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &Target::new("m")).unwrap();
    assert_eq!((&out["stop_sequences"], rendered.stops), (&json!(["END"]), vec!["\n".to_owned()]));
}

#[test]
fn a_request_of_codex_reaches_a_chat_upstream_and_its_tool_names_are_restored() {
    let body = json!({
        "model": "m", "store": false, "stream": true, "include": ["reasoning.encrypted_content"], "instructions": "be",
        "input": [
            { "type": "additional_tools", "role": "developer", "tools": [{ "type": "namespace", "name": "functions", "tools": [{ "type": "function", "name": "shell", "parameters": { "type": "object" }, "strict": false }] }] },
            { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "d" }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "u" }] },
            { "type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "sealed:{\"text\":\"hm\",\"signature\":\"s\"}" },
            { "type": "function_call", "call_id": "c", "namespace": "functions", "name": "shell", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c", "output": "done" },
        ],
        "tools": [{ "type": "web_search" }, { "type": "custom", "name": "patch", "format": { "type": "grammar", "definition": "x" } }],
    });
    let plain = limited(|can| can.openai = false);
    let (out, rendered) = render(Dialect::Responses, Dialect::Chat, &body, &plain).unwrap();
    let names: Vec<_> = out["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["patch", "functions__shell"]);
    let back = rendered.names.of("functions__shell").unwrap();
    assert_eq!((back.name.as_str(), back.namespace.as_deref()), ("shell", Some("functions")));
    assert!(rendered.names.of("patch").unwrap().is_custom);
    assert_eq!(out["messages"][3]["tool_calls"][0]["function"]["name"], "functions__shell");
    assert!(rendered.warnings.iter().any(|warning| warning.contains("web_search")));
    let (out, _) = render(Dialect::Responses, Dialect::Messages, &body, &Target::new("m")).unwrap();
    assert_eq!(
        out["messages"][1]["content"][0],
        json!({ "type": "thinking", "thinking": "hm", "signature": "s" })
    );
}

#[test]
fn rule_29_a_custom_tools_text_is_unwrapped() {
    let body = json!({ "model": "m", "input": "x", "tools": [{ "type": "custom", "name": "patch" }] });
    let (_, rendered) = render(Dialect::Responses, Dialect::Messages, &body, &Target::new("m")).unwrap();
    let request = parse(Dialect::Responses, &body).unwrap();
    let reply = crate::Reply { names: rendered.names, ..crate::Reply::new(&request, "1", 1) };
    let answer = json!({ "id": "m", "type": "message", "role": "assistant", "model": "up", "stop_reason": "tool_use", "content": [{ "type": "tool_use", "id": "t", "name": "patch", "input": { "input": "*** a\n" } }], "usage": {} });
    let response = Dialect::Messages.parse_response(answer.to_string().as_bytes()).unwrap();
    let out: Value = serde_json::from_str(&Dialect::Responses.render_response(&response, &reply)).unwrap();
    let item = &out["output"][0];
    assert_eq!(
        (&item["type"], &item["input"], &item["call_id"]),
        (&json!("custom_tool_call"), &json!("*** a\n"), &json!("t"))
    );
    // Rule 34: without text there is no message.
    assert_eq!(out["output"].as_array().unwrap().len(), 1);
}

#[test]
fn rule_28_outputs_pair_by_call_id_and_kind() {
    let with = |kind: &str| {
        json!({ "model": "m", "input": [
        { "type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}" },
        { "type": kind, "call_id": "c", "output": "x" },
    ] })
    };
    assert!(parse(Dialect::Responses, &with("function_call_output")).is_ok());
    assert!(parse(Dialect::Responses, &with("custom_tool_call_output")).is_err());
}

#[test]
fn item_references_are_resolved_or_reported_as_not_found() {
    let body = json!({ "model": "m", "input": [{ "type": "item_reference", "id": "msg_1" }, { "role": "user", "content": "x" }] });
    let error = parse(Dialect::Responses, &body).unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::NotFound, "Item with id 'msg_1' not found."));
    assert_eq!(crate::references(body.to_string().as_bytes()).unwrap().items, ["msg_1"]);
    let find = |_: &str| {
        Json::parse(
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"kept"}]}"#,
        )
    };
    let request = Dialect::Responses
        .parse_request(body.to_string().as_bytes(), &InboundContext { item: Some(&find), ..inbound() })
        .unwrap();
    assert_eq!(request.messages[0].text(), "kept");
    let itself = |_: &str| Json::parse(r#"{"type":"item_reference","id":"msg_1"}"#);
    assert!(
        Dialect::Responses
            .parse_request(body.to_string().as_bytes(), &InboundContext { item: Some(&itself), ..inbound() })
            .is_err()
    );
}

#[test]
fn the_versions_of_anthropic_differ_as_documented() {
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["temperature"] = json!(1.0);
    let new = InboundContext { version: Version::V2026_10_21, ..inbound() };
    let error = Dialect::Messages.parse_request(body.to_string().as_bytes(), &new).unwrap_err();
    assert!(error.body(Dialect::Messages, "r").contains("temperature: Extra inputs are not permitted"));
    assert!(parse(Dialect::Messages, &body).is_ok());
    let document = claude(
        &json!([{ "role": "user", "content": "x" }, { "role": "assistant", "content": [{ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "a" } }] }]),
    );
    assert!(Dialect::Messages.parse_request(document.to_string().as_bytes(), &new).is_err());
    let cited =
        claude(&json!([{ "role": "user", "content": [{ "type": "text", "text": "a", "citations": [{}] }] }]));
    assert!(Dialect::Messages.parse_request(cited.to_string().as_bytes(), &new).is_err());
    assert!(parse(Dialect::Messages, &cited).is_ok());
}

#[test]
fn a_request_of_claude_code_reaches_a_chat_upstream() {
    let body = json!({
        "model": "m", "max_tokens": 128_000, "stream": true,
        "system": [{ "type": "text", "text": "a", "cache_control": { "type": "ephemeral" } }, { "type": "text", "text": "b" }],
        "messages": [{ "role": "user", "content": "x" }, { "role": "system", "content": "mid" }],
        "tools": [{ "name": "Bash", "description": "d", "input_schema": { "type": "object" }, "defer_loading": false }],
        "thinking": { "type": "adaptive", "display": "omitted" }, "output_config": { "effort": "medium" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "metadata": { "user_id": "{\"device_id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}" },
    });
    let target = Target { max_output: Some(32_000), ..Target::new("m") };
    let (out, _) = render(Dialect::Messages, Dialect::Chat, &body, &target).unwrap();
    assert_eq!((&out["max_completion_tokens"], &out["reasoning_effort"]), (&json!(32_000), &json!("medium")));
    assert_eq!(
        (&out["messages"][2]["role"], &out["messages"][2]["content"]),
        (&json!("system"), &json!("mid"))
    );
    assert!(out["safety_identifier"].as_str().unwrap().len() <= 64);
    assert!(!out.to_string().contains("defer_loading"));
    assert_eq!(out["stream_options"]["include_usage"], true);
}

#[test]
fn what_only_responses_has_stays_if_a_request_is_rendered_anew_and_is_left_out_with_a_warning_elsewhere() {
    let body = json!({ "model": "m", "input": "x", "truncation": "auto", "top_logprobs": 3, "max_tool_calls": 2,
        "include": ["web_search_call.action.sources", "reasoning.encrypted_content"] });
    let (out, same) = render(Dialect::Responses, Dialect::Responses, &body, &Target::new("m")).unwrap();
    for name in ["truncation", "top_logprobs", "max_tool_calls"] {
        assert_eq!(out[name], body[name], "{name}");
    }
    assert_eq!(out["include"], json!(["web_search_call.action.sources", "reasoning.encrypted_content"]));
    assert!(same.warnings.is_empty(), "{:?}", same.warnings);
    let (out, other) = render(Dialect::Responses, Dialect::Chat, &body, &Target::new("m")).unwrap();
    for name in ["truncation", "max_tool_calls"] {
        assert!(out.get(name).is_none() && other.warnings.iter().any(|warning| warning.starts_with(name)));
    }
    let default = json!({ "model": "m", "input": "x", "truncation": "disabled" });
    let (_, other) = render(Dialect::Responses, Dialect::Chat, &default, &Target::new("m")).unwrap();
    assert!(other.warnings.is_empty(), "{:?}", other.warnings);
}

#[test]
fn messages_keep_their_phases_if_a_request_is_rendered_anew() {
    let message = |text: &str, phase: &str| json!({ "type": "message", "role": "assistant", "phase": phase, "content": [{ "type": "output_text", "text": text }] });
    let body = json!({ "model": "m", "input": [
        message("Looking", "commentary"), message("It is red", "final_answer"), { "role": "user", "content": "And?" }
    ] });
    let sent = translated(Dialect::Responses, Dialect::Responses, &body);
    let items: Vec<_> = sent["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["phase"], &item["content"][0]["text"]))
        .collect();
    let expected = [
        (json!("commentary"), json!("Looking")),
        (json!("final_answer"), json!("It is red")),
        (Value::Null, json!("And?")),
    ];
    assert_eq!(items, expected.iter().map(|(phase, text)| (phase, text)).collect::<Vec<_>>());
}

#[test]
fn what_only_one_dialects_tools_have_stays_there() {
    let beyond = json!({ "defer_loading": true, "input_examples": [{ "a": 1 }] });
    let schema = json!({ "type": "object", "properties": {} });
    let with = |mut tool: Value| {
        let members = beyond.as_object().unwrap().clone();
        tool.as_object_mut().unwrap().extend(members);
        json!({ "model": "m", "max_tokens": 9, "input": "x", "messages": [{ "role": "user", "content": "x" }], "tools": [tool] })
    };
    let messages = with(json!({ "name": "t", "input_schema": schema }));
    let responses = with(json!({ "type": "function", "name": "t", "parameters": schema }));
    for (dialect, body) in [(Dialect::Messages, &messages), (Dialect::Responses, &responses)] {
        let (same, _) = render(dialect, dialect, body, &Target::new("m")).unwrap();
        let (other, _) = render(dialect, Dialect::Chat, body, &Target::new("m")).unwrap();
        for (name, value) in beyond.as_object().unwrap() {
            assert_eq!(&same["tools"][0][name], value, "{dialect:?}");
            assert!(!other.to_string().contains(name), "{dialect:?}");
        }
    }
}

#[test]
fn all_parameters_of_openais_own_test_suite_are_accepted() {
    let body = json!({
        "messages": [{ "content": "string", "role": "developer", "name": "name" }], "model": "gpt-6-astra",
        "audio": { "format": "wav", "voice": "string" }, "frequency_penalty": -2, "function_call": "none",
        "functions": [{ "name": "name", "description": "description", "parameters": { "foo": "bar" } }],
        "logit_bias": { "foo": 0 }, "logprobs": true, "max_completion_tokens": 0, "max_tokens": 0,
        "metadata": { "foo": "string" }, "modalities": ["text"], "n": 1, "parallel_tool_calls": true,
        "prediction": { "content": "string", "type": "content" }, "presence_penalty": -2, "reasoning_effort": "none",
        "response_format": { "type": "text" }, "seed": -9_007_199_254_740_991_i64, "service_tier": "auto", "stop": "\n",
        "store": true, "stream": false, "stream_options": { "include_obfuscation": true, "include_usage": true },
        "temperature": 1, "tool_choice": "none", "tools": [{ "function": { "name": "name", "strict": true }, "type": "function" }],
        "top_logprobs": 0, "top_p": 1, "user": "user-1234", "verbosity": "low", "web_search_options": { "search_context_size": "low" },
    });
    for to in [Dialect::Chat, Dialect::Messages] {
        assert!(render(Dialect::Chat, to, &body, &Target::new("m")).is_ok(), "{to:?}");
    }
    // With only instructions, the last one becomes the user's message.
    assert_eq!(translated(Dialect::Chat, Dialect::Messages, &body)["messages"][0]["role"], "user");
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    body["n"] = json!(2);
    let param =
        |body: &Value| render(Dialect::Chat, Dialect::Messages, body, &Target::new("m")).unwrap_err().param;
    assert_eq!(param(&body).as_deref(), Some("n"));
    body["n"] = json!(1);
    body["modalities"] = json!(["text", "audio"]);
    assert_eq!(param(&body).as_deref(), Some("modalities"));
    let audio = chat(
        &json!([{ "role": "user", "content": [{ "type": "input_audio", "input_audio": { "data": "A", "format": "wav" } }] }]),
    );
    assert_eq!(param(&audio).as_deref(), Some("messages[0].content"));
    let prefill = chat(&json!([{ "role": "user", "content": "x" }, { "role": "assistant", "content": "y" }]));
    let error =
        render(Dialect::Chat, Dialect::Messages, &prefill, &limited(|can| can.prefill = false)).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[1]"));
    let search = json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {} });
    let paused = json!({ "model": "m", "max_tokens": 9, "messages": [
        { "role": "user", "content": "x" }, { "role": "assistant", "content": [{ "type": "text", "text": "y" }, search] },
    ] });
    let target = limited(|can| can.prefill = false);
    let continued = render(Dialect::Messages, Dialect::Messages, &paused, &target).unwrap().0;
    assert_eq!(continued["messages"][1]["content"][1]["type"], "server_tool_use");
    for (wrong, param) in [
        (json!({ "messages": [] }), "model"),
        (json!({ "model": "m" }), "messages"),
        (json!({ "model": "m", "messages": [] }), "messages"),
        (json!({ "model": "m", "messages": [{ "role": "robot", "content": "x" }] }), "messages[0].role"),
        (json!({ "model": "m", "messages": [{ "role": "user", "content": 1 }] }), "messages[0].content"),
        (
            json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "temperature": 3 }),
            "temperature",
        ),
    ] {
        assert_eq!(parse(Dialect::Chat, &wrong).unwrap_err().param.as_deref(), Some(param), "{wrong}");
    }
}

#[test]
fn a_round_trip_keeps_a_requests_meaning() {
    let body = json!({
        "model": "m", "max_completion_tokens": 50, "stop": ["a"], "temperature": 0.5,
        "messages": [
            { "role": "system", "content": "s" },
            { "role": "user", "content": [{ "type": "text", "text": "x" }, { "type": "image_url", "image_url": { "url": "https://x.test/a.png" } }] },
            { "role": "assistant", "content": "t", "tool_calls": [call("a", "{\"q\":1}")] },
            { "role": "tool", "tool_call_id": "a", "content": "r" },
            { "role": "user", "content": "y" },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object", "properties": {} } } }],
        "tool_choice": "required",
    });
    let first = parse(Dialect::Chat, &body).unwrap();
    for through in [Dialect::Chat, Dialect::Messages, Dialect::Responses] {
        let lenient = Target { is_lenient: true, ..Target::new("m") };
        let rendered = through.render_request(&first, &lenient).unwrap();
        let again = through.parse_request(rendered.body.as_bytes(), &inbound()).unwrap();
        assert_eq!(again.messages, first.messages, "{through:?}");
        assert_eq!(
            (again.max_tokens, again.temperature, &again.tool_choice),
            (first.max_tokens, first.temperature, &first.tool_choice)
        );
        assert_eq!(
            (&again.tools[0].name, &again.tools[0].kind),
            (&first.tools[0].name, &first.tools[0].kind)
        );
        assert!(estimate_prompt(&again).abs_diff(estimate_prompt(&first)) < 10);
    }
}

#[test]
fn legacy_functions_become_tools() {
    let body = json!({
        "model": "m", "functions": [{ "name": "f", "parameters": { "type": "object" } }], "function_call": { "name": "f" },
        "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null, "function_call": { "name": "f", "arguments": "{}" } },
            { "role": "function", "name": "f", "content": "r" },
        ],
    });
    let out = translated(Dialect::Chat, Dialect::Messages, &body);
    assert_eq!(out["tool_choice"], json!({ "type": "tool", "name": "f" }));
    assert_eq!(out["messages"][2]["content"][0]["tool_use_id"], out["messages"][1]["content"][0]["id"]);
    assert!(parse(Dialect::Chat, &body).unwrap().has_legacy_functions);
}

#[test]
fn a_users_name_that_is_no_opaque_id_is_hashed_for_anthropic() {
    let sent = |user: &str| {
        let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
        body["user"] = json!(user);
        translated(Dialect::Chat, Dialect::Messages, &body)["metadata"]["user_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for id in ["user-8f3a_1", "0192b0c4-7d1e-7c3a-9a52-0b8a4b1f0c11"] {
        assert_eq!(sent(id), id);
    }
    let mut hashes = std::collections::HashSet::new();
    for personal in ["bob@example.com", "ann@example.com", "+49 170 1234567", "01701234567", &"x".repeat(300)]
    {
        let hash = sent(personal);
        assert!(hash.starts_with("user_") && hash.len() == 21, "{hash}");
        assert_eq!(hash, sent(personal));
        hashes.insert(hash);
    }
    assert_eq!(hashes.len(), 5);
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["metadata"] = json!({ "user_id": "{\"device\":1}" });
    assert_eq!(translated(Dialect::Messages, Dialect::Messages, &body)["metadata"], body["metadata"]);
}

#[test]
fn a_forced_tool_leaves_thinking_out_for_anthropic() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    body["tools"] = json!([{ "type": "function", "function": { "name": "f" } }]);
    body["reasoning_effort"] = json!("low");
    let mut with = |choice: Value, target: &Target| {
        body["tool_choice"] = choice;
        let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, target).unwrap();
        (out["thinking"].clone(), rendered.warnings.join("; "))
    };
    let old = limited(|can| can.adaptive_thinking = false);
    for target in [&Target::new("m"), &old] {
        for choice in [json!("required"), json!({ "type": "function", "function": { "name": "f" } })] {
            let (thinking, warnings) = with(choice, target);
            assert_eq!(thinking, Value::Null);
            assert!(warnings.starts_with("reasoning: left out"), "{warnings}");
        }
        let (thinking, warnings) = with(json!("auto"), target);
        assert!(thinking["type"].is_string() && warnings.is_empty(), "{thinking} {warnings}");
    }
    // A lenient client's choice becomes `auto` at a model that cannot be made to call a tool.
    let unforced = Target { is_lenient: true, ..limited(|can| can.forced_tools = false) };
    assert_eq!(with(json!("required"), &unforced).0["type"], "adaptive");
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["tools"] = json!([{ "name": "f", "input_schema": { "type": "object" } }]);
    body["tool_choice"] = json!({ "type": "any" });
    body["thinking"] = json!({ "type": "adaptive" });
    assert_eq!(translated(Dialect::Messages, Dialect::Messages, &body)["thinking"]["type"], "adaptive");
}

#[test]
fn blank_stop_sequences_are_left_out_for_anthropic() {
    let mut body = chat(&json!([{ "role": "user", "content": "x" }]));
    for (stop, sent) in [(json!(["\n", "END", " "]), json!(["END"])), (json!("\n"), Value::Null)] {
        body["stop"] = stop;
        let (out, rendered) = render(Dialect::Chat, Dialect::Messages, &body, &Target::new("m")).unwrap();
        assert_eq!(out.get("stop_sequences").unwrap_or(&Value::Null), &sent);
        assert_eq!(rendered.warnings, ["stop: blank sequences left out, this provider does not take them"]);
    }
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["stop_sequences"] = json!([" "]);
    let out = translated(Dialect::Messages, Dialect::Messages, &body);
    assert_eq!(out["stop_sequences"], body["stop_sequences"]);
}

#[test]
fn anthropics_beta_output_format_is_the_format() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let mut body = claude(&json!([{ "role": "user", "content": "x" }]));
    body["output_format"] = json!({ "type": "json_schema", "schema": schema });
    let (out, rendered) = render(Dialect::Messages, Dialect::Chat, &body, &Target::new("m")).unwrap();
    assert_eq!(out["response_format"]["json_schema"]["schema"], schema);
    assert_eq!(rendered.warnings, [""; 0]);
    let out = translated(Dialect::Messages, Dialect::Messages, &body);
    assert_eq!((&out["output_config"]["format"], out.get("output_format")), (&body["output_format"], None));
    // The new name wins.
    body["output_config"] = json!({ "format": { "type": "json_schema", "schema": { "type": "object" } } });
    let out = translated(Dialect::Messages, Dialect::Chat, &body);
    assert_eq!(out["response_format"]["json_schema"]["schema"], json!({ "type": "object" }));
    body["output_config"] = Value::Null;
    body["output_format"] = json!({ "type": "json_schema" });
    assert_eq!(parse(Dialect::Messages, &body).unwrap_err().param.as_deref(), Some("output_format.schema"));
}

/// Thoughts of an upstream of this dialect, and those of others, which it does not get.
#[test]
fn items_pass_to_their_own_dialect_as_they_are_but_for_what_only_the_gateway_knows() {
    let items = |input: &Value, inbound: &InboundContext<'_>| {
        let body = json!({ "model": "m", "input": input }).to_string();
        let items = crate::Items::of(body.as_bytes(), inbound).unwrap();
        let input = items.input.map(|input| serde_json::from_str::<Value>(&input).unwrap());
        (items.all.len(), input)
    };
    let stored = |id: &str| {
        let thought = json!({ "type": "reasoning", "id": id, "summary": [], "encrypted_content": "gAAAA" });
        (id == "rs_1").then(|| Json::parse(&thought.to_string()).unwrap())
    };
    let inbound = InboundContext { item: Some(&stored), ..inbound() };
    let thought = |id: &str, content: Option<&str>| match content {
        Some(content) => {
            json!({ "type": "reasoning", "id": id, "summary": [], "encrypted_content": content })
        }
        None => json!({ "type": "reasoning", "id": id, "summary": [] }),
    };
    assert_eq!(items(&json!("Hi"), &inbound), (1, None));
    assert_eq!(items(&json!([thought("rs_0", Some("gAAAA"))]), &inbound), (1, None));
    let plain = json!([{ "type": "reasoning", "id": "rs_9", "summary": [], "content": [{ "type": "reasoning_text", "text": "hm" }] }]);
    assert_eq!(items(&plain, &inbound), (1, None), "a thought in plain text");
    let ours = r#"sealed:{"id":"rs_up","summary":[],"encrypted":"c"}"#;
    assert_eq!(
        items(&json!([thought("rs_7", Some(ours))]), &inbound).1,
        Some(json!([thought("rs_up", Some("c"))]))
    );
    let claudes = r#"sealed:{"text":"hm","signature":"sig"}"#;
    assert_eq!(items(&json!([thought("rs_7", Some(claudes))]), &inbound), (1, Some(json!([]))));
    assert_eq!(items(&json!([thought("rs_8", None)]), &inbound).1, Some(json!([])));
    for known in [thought("rs_1", None), json!({ "type": "item_reference", "id": "rs_1" })] {
        assert_eq!(items(&json!([known]), &inbound).1, Some(json!([thought("rs_1", Some("gAAAA"))])));
    }
    let previous = [Json::parse(r#"{"role":"user","content":"Before"}"#).unwrap()];
    let (count, input) = items(&json!("Hi"), &InboundContext { previous: &previous, ..inbound });
    let message = json!({ "type": "message", "role": "user", "content": "Hi" });
    assert_eq!((count, input), (2, Some(json!([{ "role": "user", "content": "Before" }, message]))));
}

#[test]
fn a_schema_without_a_type_gets_the_one_that_anthropic_requires_also_if_the_tool_is_strict() {
    for strict in [json!(null), json!(false), json!(true)] {
        let tool = json!({ "type": "function", "function": { "name": "f", "strict": strict, "parameters": { "properties": {}, "additionalProperties": false } } });
        let body =
            json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "tools": [tool] });
        let claudes = translated(Dialect::Chat, Dialect::Messages, &body);
        assert_eq!(claudes["tools"][0]["input_schema"]["type"], "object", "{claudes}");
    }
}
