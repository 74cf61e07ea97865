//! Streams in all directions, truncated and split at every byte.

use serde_json::{Value, json};

use super::{
    invariants::{ClientView, client_view},
    reply,
};
use crate::{Class, Dialect, Reader, Reply, Stream, stream_of};

const ALL: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

fn data(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

fn named(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect()
}

const USAGE: &str = r#"{"prompt_tokens":21003,"completion_tokens":7,"total_tokens":21010,"prompt_tokens_details":{"cached_tokens":20000}}"#;

/// Text, thoughts and two calls, as OpenAI-compatible upstreams send them.
fn chat_fixture() -> String {
    let call = |index: u64, id: &str, name: &str| json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } }] });
    let arguments = |index: u64, text: &str| json!({ "tool_calls": [{ "index": index, "function": { "arguments": text } }] });
    let usage: Value = serde_json::from_str(USAGE).unwrap();
    data(&[
        chunk(&json!({ "role": "assistant", "content": "" }), None),
        chunk(&json!({ "reasoning_content": "hm" }), None),
        chunk(&json!({ "content": "那个🚀" }), None),
        chunk(&json!({ "content": " \"quoted\"\n" }), None),
        chunk(&call(0, "a", "f"), None),
        chunk(&arguments(0, "{\"x\":"), None),
        chunk(&call(1, "b", "g"), None),
        chunk(&arguments(1, "{}"), None),
        chunk(&arguments(0, "[1]}"), None),
        chunk(&json!({}), Some("tool_calls")),
        json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [], "usage": usage }),
    ]) + "data: [DONE]\n\n"
}

fn messages_fixture() -> String {
    let start = |index: u64, block: &Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta =
        |index: u64, delta: &Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: u64| json!({ "type": "content_block_stop", "index": index });
    named(&[
        json!({ "type": "message_start", "message": { "id": "msg", "type": "message", "role": "assistant", "model": "up", "content": [], "usage": { "input_tokens": 3, "cache_creation_input_tokens": 1000, "cache_read_input_tokens": 20000, "output_tokens": 1 } } }),
        start(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
        json!({ "type": "ping" }),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, &json!({ "type": "signature_delta", "signature": "sig" })),
        stop(0),
        start(1, &json!({ "type": "text", "text": "" })),
        delta(1, &json!({ "type": "text_delta", "text": "那个🚀" })),
        delta(1, &json!({ "type": "text_delta", "text": " \"quoted\"\n" })),
        stop(1),
        start(2, &json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} })),
        start(3, &json!({ "type": "tool_use", "id": "b", "name": "g", "input": {} })),
        delta(2, &json!({ "type": "input_json_delta", "partial_json": "{\"x\":" })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(2, &json!({ "type": "input_json_delta", "partial_json": "[1]}" })),
        stop(2),
        stop(3),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use", "stop_sequence": null }, "usage": { "input_tokens": null, "output_tokens": 7 } }),
        json!({ "type": "message_stop" }),
    ])
}

/// A stream written by this crate's own encoder.
fn responses_fixture() -> String {
    let mut reader = Reader::new(Dialect::Messages);
    reader.push(messages_fixture().as_bytes());
    stream_of(&reader.finish().unwrap(), Dialect::Responses, &reply())
}

fn fixture(dialect: Dialect) -> String {
    match dialect {
        Dialect::Chat => chat_fixture(),
        Dialect::Responses => responses_fixture(),
        Dialect::Messages => messages_fixture(),
    }
}

fn carried(
    upstream: Dialect,
    client: Dialect,
    bytes: &[u8],
    size: usize,
    reply: &Reply,
) -> (Vec<u8>, crate::Meter) {
    let (mut stream, mut out) = (Stream::new(upstream, client, reply), Vec::new());
    for piece in bytes.chunks(size) {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    (out, stream.meter().clone())
}

fn translated_view(upstream: Dialect, client: Dialect, text: &str) -> ClientView {
    client_view(client, &carried(upstream, client, text.as_bytes(), usize::MAX, &reply()).0)
}

fn calls() -> Vec<(String, String, String)> {
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    vec![call("a", "f", "{\"x\":[1]}"), call("b", "g", "{}")]
}

#[test]
fn every_direction_gives_the_same_content_and_keeps_the_chunk_rules() {
    for upstream in ALL {
        for client in ALL {
            let (out, meter) = carried(upstream, client, fixture(upstream).as_bytes(), usize::MAX, &reply());
            // Strict SDKs expect one block at a time. This fixture interleaves
            // them, and Anthropic's own stream passes unchanged.
            if (upstream, client) == (Dialect::Messages, Dialect::Messages) {
                assert_eq!(out, fixture(upstream).as_bytes());
                continue;
            }
            let view = client_view(client, &out);
            assert_eq!(
                (view.text.as_str(), &view.calls),
                ("那个🚀 \"quoted\"\n", &calls()),
                "{upstream:?} to {client:?}"
            );
            assert_eq!(view.thinking, "hm", "{upstream:?} to {client:?}");
            assert!(view.is_whole && view.error.is_none() && meter.is_complete);
            let usage = meter.usage.unwrap();
            assert_eq!((usage.prompt(), usage.cache_read, usage.output), (21_003, 20_000, 7));
            let stop = match client {
                Dialect::Chat => "tool_calls",
                Dialect::Responses => "completed",
                Dialect::Messages => "tool_use",
            };
            assert_eq!(view.stop.as_deref(), Some(stop), "{upstream:?} to {client:?}");
        }
    }
}

#[test]
fn b1_chunk_sizes_do_not_change_the_output() {
    for upstream in ALL {
        let bytes = fixture(upstream).into_bytes();
        for client in ALL {
            let whole = carried(upstream, client, &bytes, usize::MAX, &reply()).0;
            for size in [1, 2, 3, 5, 7, 64] {
                assert_eq!(
                    carried(upstream, client, &bytes, size, &reply()).0,
                    whole,
                    "{upstream:?} to {client:?} by {size}"
                );
            }
            for cut in 0..bytes.len() {
                let (mut stream, mut out) = (Stream::new(upstream, client, &reply()), Vec::new());
                let (first, second) = bytes.split_at(cut);
                stream.push(first, &mut out);
                stream.push(second, &mut out);
                stream.finish(&mut out);
                assert_eq!(out, whole, "{upstream:?} to {client:?} split at {cut}");
            }
        }
    }
}

#[test]
fn b6_a_stream_truncated_at_any_byte_is_never_a_success_unless_it_was_complete() {
    for upstream in ALL {
        let bytes = fixture(upstream).into_bytes();
        for client in ALL {
            for cut in 0..bytes.len() {
                let (out, meter) = carried(upstream, client, &bytes[..cut], usize::MAX, &reply());
                if (upstream, client) == (Dialect::Messages, Dialect::Messages) {
                    let text = String::from_utf8(out).unwrap();
                    assert!(meter.is_complete == text.contains("message_stop"));
                    assert!(meter.is_complete != text.contains("event: error"), "cut at {cut}");
                    // A client reads an event at its blank line.
                    assert!(text.ends_with("\n\n") && !text.contains("}event:"), "cut at {cut}");
                    continue;
                }
                let view = client_view(client, &out);
                assert_eq!(view.is_whole, view.error.is_none(), "{upstream:?} to {client:?} cut at {cut}");
                assert_eq!(view.is_whole, meter.is_complete);
                assert!(!view.is_whole || view.calls == calls(), "{upstream:?} to {client:?} cut at {cut}");
                assert!("那个🚀 \"quoted\"\n".starts_with(&view.text));
            }
        }
    }
}

#[test]
fn b6_only_a_finish_reason_ends_a_stream() {
    let text = chunk(&json!({ "role": "assistant", "content": "a" }), None);
    let finish = chunk(&json!({}), Some("stop"));
    let usage = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } });
    let half = chunk(
        &json!({ "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "{\"a" } }] }),
        None,
    );
    let error = json!({ "error": { "message": "boom", "type": "server_error" } });
    for client in ALL {
        assert!(translated_view(Dialect::Chat, client, &data(std::slice::from_ref(&text))).error.is_some());
        let complete =
            translated_view(Dialect::Chat, client, &data(&[text.clone(), finish.clone(), usage.clone()]));
        assert!(complete.is_whole && complete.usage.is_some());
        assert!(translated_view(Dialect::Chat, client, &data(&[text.clone(), half.clone()])).error.is_some());
        let failed = translated_view(Dialect::Chat, client, &data(&[text.clone(), error.clone()]));
        assert_eq!(failed.error.unwrap()["message"], "boom");
        assert!(
            translated_view(Dialect::Chat, client, &(data(std::slice::from_ref(&text)) + "data: [DONE]\n\n"))
                .error
                .is_some()
        );
    }
}

#[test]
fn b14_a_truncated_call_stops_with_length() {
    let half = chunk(
        &json!({ "role": "assistant", "tool_calls": [{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"a" } }] }),
        None,
    );
    for finish in ["stop", "tool_calls"] {
        let stream = data(&[half.clone(), chunk(&json!({}), Some(finish))]);
        assert_eq!(translated_view(Dialect::Chat, Dialect::Chat, &stream).stop.as_deref(), Some("length"));
        assert_eq!(
            translated_view(Dialect::Chat, Dialect::Messages, &stream).stop.as_deref(),
            Some("max_tokens")
        );
    }
}

#[test]
fn b5_usage_is_sent_once_and_only_if_requested() {
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 });
    let mut on_last = chunk(&json!({}), Some("stop"));
    on_last["usage"] = usage.clone();
    let mut on_first = chunk(&json!({ "role": "assistant", "content": "a" }), None);
    on_first["usage"] = json!({ "prompt_tokens": 3, "completion_tokens": 1 });
    let extra = json!({ "id": "", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [], "usage": usage });
    let plain = chunk(&json!({}), Some("stop"));
    for chunks in [
        vec![on_first.clone(), on_last.clone()],
        vec![on_first.clone(), plain.clone(), extra.clone()],
        vec![on_first.clone(), on_last.clone(), extra.clone()],
    ] {
        let stream = data(&chunks) + "data: [DONE]\n\n";
        let asked = translated_view(Dialect::Chat, Dialect::Chat, &stream);
        assert_eq!(asked.usage.unwrap()["total_tokens"], 5);
        let silent = Reply { include_usage: false, ..reply() };
        let (out, meter) = carried(Dialect::Chat, Dialect::Chat, stream.as_bytes(), 11, &silent);
        assert!(!String::from_utf8(out).unwrap().contains("usage"));
        assert_eq!(meter.usage.unwrap().total(), 5);
    }
}

#[test]
fn f_a_clean_chunk_passes_byte_for_byte() {
    let line = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":"\u00e9"},"finish_reason":null}],"x_vendor":{"b":1,"a":2}}"#;
    let next = line.replace(r#""role":"assistant","#, "");
    let silent = Reply { include_usage: false, ..reply() };
    let stream = format!("{line}\n\n{next}\n\n");
    let (out, _) = carried(Dialect::Chat, Dialect::Chat, stream.as_bytes(), 17, &silent);
    assert!(out.starts_with(stream.as_bytes()), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn f_a_stored_chat_streams_under_its_own_id_with_all_that_only_its_dialect_has() {
    let mut first = chunk(&json!({ "role": "assistant", "content": "a", "x_vendor": 1 }), None);
    first["choices"][0]["logprobs"] = json!({ "content": [{ "token": "a", "logprob": -0.5 }] });
    let stream = data(&[first.clone(), chunk(&json!({}), Some("stop"))]) + "data: [DONE]\n\n";
    let (out, _) =
        carried(Dialect::Chat, Dialect::Chat, stream.as_bytes(), 17, &Reply { has_own_id: true, ..reply() });
    let out = String::from_utf8(out).unwrap();
    let shown: Value =
        serde_json::from_str(out.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&shown["id"], &shown["model"], &shown["created"]),
        (&json!("chatcmpl-1"), &json!("m"), &json!(7))
    );
    assert_eq!(shown["choices"], first["choices"]);
    assert!(client_view(Dialect::Chat, out.as_bytes()).is_whole);
}

#[test]
fn f_chunks_that_would_break_an_sdk_are_corrected() {
    let call = |id: &str, arguments: &str| json!({ "role": "assistant", "tool_calls": [{ "id": id, "type": "function", "function": { "name": "f", "arguments": arguments } }] });
    let stream = String::from(": OPENROUTER PROCESSING\n\ndata:\n\n")
        + &data(&[
            json!({ "choices": [], "prompt_filter_results": [] }),
            json!({ "choices": [{ "delta": { "role": "assistant", "reasoning": "hm" } }] }),
            json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] }),
            json!({ "choices": [{ "delta": call("a", "{}") }] }),
            json!({ "choices": [{ "delta": call("b", "{\"q\"") }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [{ "function": { "name": "", "arguments": ":1}" } }] } }] }),
            json!({ "choices": [{ "delta": null, "finish_reason": "eos" }], "usage": null }),
            json!({ "choices": [{ "delta": {}, "finish_reason": "eos" }] }),
        ])
        + "data: [DONE]\n\n";
    for client in ALL {
        let view = translated_view(Dialect::Chat, client, &stream);
        let ids: Vec<&str> = view.calls.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!((ids.as_slice(), view.calls[1].2.as_str()), (&["a", "b"][..], "{\"q\":1}"), "{client:?}");
        assert_eq!(view.thinking, "hm");
        assert!(view.is_whole);
    }
}

#[test]
fn f_a_call_begins_with_its_name_wherever_that_comes_and_ends_with_arguments_that_are_json() {
    let call = |index: u64, more: Value| {
        let mut call = json!({ "index": index });
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        chunk(&json!({ "role": "assistant", "tool_calls": [call] }), None)
    };
    let start = |id: &str, name: Value, arguments: Value| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let stream = data(&[
        // Of this one nothing but its place ever comes.
        call(0, start("", json!(""), json!(""))),
        call(1, start("a", json!(null), json!("{\"x\""))),
        call(1, json!({ "function": { "name": "f", "arguments": ":" } })),
        call(1, json!({ "function": { "arguments": "1}" } })),
        call(2, start("b", json!("g"), json!(""))),
        call(3, start("c", json!("h"), json!(null))),
        chunk(&json!({}), Some("tool_calls")),
    ]) + "data: [DONE]\n\n";
    let called =
        |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    for client in ALL {
        let view = translated_view(Dialect::Chat, client, &stream);
        let expected = [called("a", "f", "{\"x\":1}"), called("b", "g", "{}"), called("c", "h", "{}")];
        assert_eq!(view.calls, expected, "{client:?}");
        assert!(view.is_whole);
    }
    let nameless = data(&[
        call(0, start("", json!(""), json!(""))),
        chunk(&json!({ "content": "a" }), None),
        chunk(&json!({}), Some("stop")),
    ]);
    for client in ALL {
        let view = translated_view(Dialect::Chat, client, &(nameless.clone() + "data: [DONE]\n\n"));
        assert!(view.calls.is_empty() && view.text == "a" && view.is_whole, "{client:?}");
    }
}

#[test]
fn f_a_call_has_the_id_that_comes_with_its_name_and_no_chunk_has_an_empty_list_of_calls() {
    let call = |call: Value| chunk(&json!({ "role": "assistant", "tool_calls": [call] }), None);
    let stream = data(&[
        call(json!({ "index": 0, "function": { "arguments": "" } })),
        call(json!({ "index": 0, "id": "call_1", "type": "function", "function": { "name": "f" } })),
        call(json!({ "index": 0, "function": { "arguments": "{}" } })),
        chunk(&json!({}), Some("tool_calls")),
    ]) + "data: [DONE]\n\n";
    for client in ALL {
        let view = translated_view(Dialect::Chat, client, &stream);
        assert_eq!(view.calls, [("call_1".to_owned(), "f".to_owned(), "{}".to_owned())], "{client:?}");
    }
    let seen = carried(Dialect::Chat, Dialect::Chat, stream.as_bytes(), usize::MAX, &reply()).0;
    assert!(!String::from_utf8_lossy(&seen).contains("\"tool_calls\":[]"));
}

#[test]
fn a_character_split_between_events_is_joined() {
    let stream = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"a\ud83d"}}]}

data: {"choices":[{"index":0,"delta":{"content":"\ude80b"},"finish_reason":"stop"}]}

data: [DONE]

"#;
    for client in [Dialect::Responses, Dialect::Messages] {
        assert_eq!(translated_view(Dialect::Chat, client, stream).text, "a🚀b");
    }
}

#[test]
fn b2_tool_calls_have_their_own_indexes() {
    let view = translated_view(Dialect::Messages, Dialect::Chat, &messages_fixture());
    assert_eq!(view.calls, calls());
}

#[test]
fn rule_24_text_after_a_tool_is_a_new_block() {
    let stream = data(&[
        chunk(&json!({ "role": "assistant", "content": "a" }), None),
        chunk(
            &json!({ "tool_calls": [{ "index": 0, "id": "t", "type": "function", "function": { "name": "f", "arguments": "{}" } }] }),
            None,
        ),
        chunk(&json!({ "content": "b" }), Some("stop")),
    ]);
    let (out, _) = carried(Dialect::Chat, Dialect::Messages, stream.as_bytes(), usize::MAX, &reply());
    let view = client_view(Dialect::Messages, &out);
    assert_eq!((view.text.as_str(), view.stop.as_deref()), ("ab", Some("tool_use")));
    assert_eq!(String::from_utf8(out).unwrap().matches("content_block_start\n").count(), 3);
}

#[test]
fn rule_24_unsigned_thoughts_are_not_sent_as_blocks() {
    let unsealed = Reply { seal: None, ..reply() };
    let (out, _) = carried(Dialect::Chat, Dialect::Messages, chat_fixture().as_bytes(), 9, &unsealed);
    let view = client_view(Dialect::Messages, &out);
    assert_eq!((view.thinking.as_str(), view.calls), ("", calls()));
}

#[test]
fn rule_15_signed_thoughts_are_sent_so_that_clients_can_return_them() {
    let (out, _) = carried(Dialect::Messages, Dialect::Chat, messages_fixture().as_bytes(), 9, &reply());
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(
        r#""reasoning_details":[{"type":"reasoning.text","index":0,"text":"hm","signature":"sig"}]"#
    ));
}

#[test]
fn rule_30_sealed_thoughts_are_in_the_done_item_and_in_the_end() {
    let (out, _) = carried(Dialect::Messages, Dialect::Responses, messages_fixture().as_bytes(), 9, &reply());
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text.matches(r#""encrypted_content":"sealed:{\"text\":\"hm\",\"signature\":\"sig\"}""#).count(),
        2
    );
    let without = Reply { include_encrypted_reasoning: false, ..reply() };
    let (out, _) = carried(Dialect::Messages, Dialect::Responses, messages_fixture().as_bytes(), 9, &without);
    assert!(!String::from_utf8(out).unwrap().contains("encrypted_content"));
}

#[test]
fn rule_31_running_out_of_tokens_is_incomplete_and_not_completed() {
    for (finish, reason) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let stream = data(&[chunk(&json!({ "role": "assistant", "content": "a" }), Some(finish))]);
        let view = translated_view(Dialect::Chat, Dialect::Responses, &stream);
        assert_eq!(view.stop.as_deref(), Some(reason));
    }
}

#[test]
fn rule_26_a_refusal_is_reported_in_every_dialect() {
    let stream = messages_fixture().replace(
        r#""stop_reason":"tool_use""#,
        r#""stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"no"}"#,
    );
    assert_eq!(
        translated_view(Dialect::Messages, Dialect::Chat, &stream).stop.as_deref(),
        Some("content_filter")
    );
    let stream = data(&[chunk(&json!({ "role": "assistant", "content": "a" }), Some("content_filter"))]);
    assert_eq!(translated_view(Dialect::Chat, Dialect::Messages, &stream).stop.as_deref(), Some("refusal"));
}

#[test]
fn rule_16_the_first_event_estimates_the_usage_and_the_last_reports_it() {
    let reply = Reply { prompt_estimate: 99, ..reply() };
    let (out, _) = carried(Dialect::Chat, Dialect::Messages, chat_fixture().as_bytes(), 9, &reply);
    let text = String::from_utf8(out.clone()).unwrap();
    assert!(text.contains(r#""usage":{"input_tokens":99,"#));
    let usage = client_view(Dialect::Messages, &out).usage.unwrap();
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(1003), &json!(20000)));
}

#[test]
fn a_broken_stream_is_billed_for_what_arrived() {
    let text = data(&[chunk(&json!({ "role": "assistant", "content": "four words of text" }), None)]);
    let (_, meter) = carried(Dialect::Chat, Dialect::Chat, text.as_bytes(), 9, &reply());
    let (usage, is_estimated) = meter.charged(12);
    assert!(is_estimated && usage.input == 12 && usage.output >= 4);
    let (_, meter) = carried(Dialect::Chat, Dialect::Chat, chat_fixture().as_bytes(), 9, &reply());
    assert_eq!(meter.charged(12).0.output, 7);
}

/// Until an answer has begun, another upstream may be asked for it.
#[test]
fn an_answer_has_begun_with_its_first_word_thought_or_tool_and_not_with_an_empty_text() {
    let frame = |event: &str| format!("data: {event}\n\n");
    let start =
        frame(r#"{"type":"message_start","message":{"id":"m","model":"claude","usage":{"input_tokens":9}}}"#);
    let block = |kind: &str| {
        frame(&format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"{kind}","text":"","thinking":"","id":"t","name":"f"}}}}"#
        ))
    };
    let word = frame(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#);
    for client in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
        let begun = |stream: &str| {
            let mut translated = Stream::new(Dialect::Messages, client, &reply());
            translated.push(stream.as_bytes(), &mut Vec::new());
            translated.meter().has_begun
        };
        assert!(!begun(&start) && !begun(&format!("{start}{}", block("text"))));
        assert!(begun(&format!("{start}{}{word}", block("text"))));
        for kind in ["thinking", "redacted_thinking", "tool_use", "server_tool_use"] {
            assert!(begun(&format!("{start}{}", block(kind))), "{kind}");
        }
        assert!(begun(&format!("{start}{}", frame(r#"{"type":"message_stop"}"#))), "an empty answer");
    }
}

/// Those of the sixteen known faults of upstreams that a stream can show.
#[test]
fn s01_to_s16_faults_are_recognised_in_the_stream() {
    let verdict = |upstream: Dialect, bytes: &str| {
        let (_, meter) = carried(upstream, Dialect::Chat, bytes.as_bytes(), 13, &reply());
        (meter.is_complete, meter.has_begun, meter.error.map(|error| error.class))
    };
    // S01-S07 are statuses and timeouts: the class says whether a retry may
    // help.
    for (status, class, is_retryable) in [
        (429, Class::RateLimit, true),
        (500, Class::Upstream, true),
        (503, Class::Overloaded, true),
        (504, Class::Timeout, true),
    ] {
        let error = crate::Error::of_upstream(status, b"");
        assert_eq!(
            (error.class, error.class.is_retryable(), error.class.may_fail_over()),
            (class, is_retryable, true)
        );
    }
    let fixture = chat_fixture();
    // S08, S09: truncated or stalled after some tokens.
    let (cut, _) = fixture.split_at(fixture.len() / 2);
    assert_eq!(verdict(Dialect::Chat, cut), (false, true, Some(Class::Cut)));
    // S05, S06: no output came, so another upstream may be tried.
    assert_eq!(verdict(Dialect::Chat, ""), (false, false, Some(Class::Cut)));
    // S10: an event in the middle that is not JSON.
    let broken = fixture.replacen("{\"content\":\" ", "{\"content\":\" \u{1}", 1);
    let broken = broken.replacen("data: {", "data: {\"", 3);
    assert!(!verdict(Dialect::Chat, &broken).0);
    // S11: complete, without `[DONE]`.
    assert!(verdict(Dialect::Chat, fixture.trim_end_matches("data: [DONE]\n\n")).0);
    // S12, S13: never retried at the same upstream.
    for (code, class) in [
        ("context_length_exceeded", Class::ContextTooLong),
        ("content_policy_violation", Class::ContentPolicy),
    ] {
        let body = json!({ "error": { "message": "m", "code": code } }).to_string();
        let error = crate::Error::of_upstream(400, body.as_bytes());
        assert_eq!(
            (error.class, error.class.is_retryable(), error.class.may_fail_over()),
            (class, false, false)
        );
    }
    // S16: the answer's usage and model are known.
    let (_, meter) = carried(Dialect::Chat, Dialect::Chat, fixture.as_bytes(), 13, &reply());
    assert!(meter.usage.is_some() && meter.model == "up");
    // B23: after an error before the first token, another upstream may be
    // tried.
    let overloaded = named(&[
        json!({ "type": "message_start", "message": { "id": "m", "model": "up", "usage": { "input_tokens": 1 } } }),
        json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }),
    ]);
    assert_eq!(verdict(Dialect::Messages, &overloaded), (false, false, Some(Class::Overloaded)));
}

#[test]
fn whole_responses_and_streams_have_the_same_content() {
    for upstream in ALL {
        let mut reader = Reader::new(upstream);
        fixture(upstream).as_bytes().chunks(7).for_each(|piece| reader.push(piece));
        let response = reader.finish().unwrap();
        for client in ALL {
            let whole = client.render_response(&response, &reply());
            let again = client.parse_response(whole.as_bytes()).unwrap();
            assert_eq!(
                again.choices[0].stop.reason, response.choices[0].stop.reason,
                "{upstream:?} {client:?}"
            );
            assert_eq!(again.usage.map(|usage| usage.total()), Some(21_010));
            let streamed = client_view(client, stream_of(&again, client, &reply()).as_bytes());
            assert_eq!(
                (streamed.text.as_str(), streamed.calls),
                ("那个🚀 \"quoted\"\n", calls()),
                "{upstream:?} {client:?}"
            );
        }
    }
}

#[test]
fn rule_13_texts_are_joined_and_missing_text_is_null() {
    let body = json!({ "id": "m", "type": "message", "role": "assistant", "model": "up", "stop_reason": "tool_use", "content": [
        { "type": "text", "text": "a" }, { "type": "tool_use", "id": "t", "name": "f", "input": {} }, { "type": "text", "text": "b" }
    ], "usage": { "input_tokens": 1, "output_tokens": 2 } });
    let whole = |body: &Value| -> Value {
        let response = Dialect::Messages.parse_response(body.to_string().as_bytes()).unwrap();
        serde_json::from_str(&Dialect::Chat.render_response(&response, &reply())).unwrap()
    };
    let message = &whole(&body)["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["tool_calls"][0]["function"]["arguments"]),
        (&json!("ab"), &json!("{}"))
    );
    let mut silent = body;
    silent["content"] = json!([{ "type": "tool_use", "id": "t", "name": "f", "input": { "b": 1, "a": 2 } }]);
    assert_eq!(whole(&silent)["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn a_failed_response_and_an_error_in_a_200_are_errors() {
    let failed = json!({ "id": "r", "object": "response", "status": "failed", "error": { "code": "rate_limit_exceeded", "message": "slow" }, "output": [] });
    let error = Dialect::Responses.parse_response(failed.to_string().as_bytes()).unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::RateLimit, "slow"));
    let error = json!({ "error": { "message": "m", "code": 429 } });
    assert!(Dialect::Chat.parse_response(error.to_string().as_bytes()).is_err());
    assert!(Dialect::Chat.parse_response(b"<html>").is_err());
    assert!(Dialect::Messages.parse_response(b"{}").is_err());
}

#[test]
fn a_response_that_the_gateway_ends_is_an_error_in_the_clients_dialect() {
    for upstream in ALL {
        for client in ALL {
            let (mut stream, mut out) = (Stream::new(upstream, client, &reply()), Vec::new());
            let fixture = fixture(upstream);
            stream.push(&fixture.as_bytes()[..fixture.len() / 3], &mut out);
            stream.fail(crate::Error::new(Class::Timeout, "too slow"), &mut out);
            let before = out.len();
            stream.push(&fixture.as_bytes()[fixture.len() / 3..], &mut out);
            stream.finish(&mut out);
            assert_eq!(out.len(), before);
            assert_eq!(
                client_view(client, &out).error.unwrap()["message"],
                "too slow",
                "{upstream:?} {client:?}"
            );
        }
    }
}

#[test]
fn the_code_of_a_failed_response_is_one_that_openais_clients_know() {
    for upstream in ALL {
        for (class, code) in [
            (Class::Cut, "server_error"),
            (Class::Timeout, "server_error"),
            (Class::Overloaded, "server_error"),
            (Class::RateLimit, "rate_limit_exceeded"),
            (Class::Billing, "insufficient_quota"),
        ] {
            let (mut stream, mut out) = (Stream::new(upstream, Dialect::Responses, &reply()), Vec::new());
            let fixture = fixture(upstream);
            stream.push(&fixture.as_bytes()[..fixture.len() / 3], &mut out);
            stream.fail(crate::Error::new(class, "m"), &mut out);
            assert_eq!(client_view(Dialect::Responses, &out).error.unwrap()["code"], code, "{upstream:?}");
        }
    }
}

/// What an upstream of the Responses dialect may answer, with an item that no other dialect knows.
fn native_response() -> Value {
    let text = json!({ "type": "output_text", "text": "那个🚀", "annotations": [{ "type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://e.example", "title": "E" }], "logprobs": [] });
    json!({ "id": "resp_up", "object": "response", "created_at": 5, "status": "completed", "model": "up", "store": false, "service_tier": "flex", "output": [
        { "id": "rs_up", "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "gAAAA" },
        { "id": "ws_up", "type": "web_search_call", "status": "completed", "action": { "type": "search", "query": "q" } },
        { "id": "fc_up", "type": "function_call", "status": "completed", "call_id": "a", "name": "f", "arguments": "{\"x\":[1]}" },
        { "id": "ctc_up", "type": "custom_tool_call", "status": "completed", "call_id": "b", "name": "g", "input": "raw" },
        { "id": "msg_up", "type": "message", "status": "completed", "role": "assistant", "phase": "final_answer", "content": [text, { "type": "refusal", "refusal": "no" }] }
    ], "usage": { "input_tokens": 1, "output_tokens": 2, "total_tokens": 3 } })
}

#[test]
fn a_response_of_the_clients_dialect_keeps_all_of_its_items_whole_and_as_a_stream() {
    let upstream = native_response();
    let response = Dialect::Responses.parse_response(upstream.to_string().as_bytes()).unwrap();
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let whole = read(&Dialect::Responses.render_response(&response, &reply()));
    assert_eq!((&whole["output"], &whole["service_tier"]), (&upstream["output"], &json!("flex")));
    assert_eq!((&whole["id"], &whole["store"]), (&json!("resp_1"), &json!(true)));

    let stream = stream_of(&response, Dialect::Responses, &reply());
    let view = client_view(Dialect::Responses, stream.as_bytes());
    assert_eq!((view.text.as_str(), view.thinking.as_str(), view.calls.len()), ("那个🚀", "hm", 1));
    let mut reader = Reader::new(Dialect::Responses);
    reader.push(stream.as_bytes());
    let again = reader.finish().unwrap();
    assert_eq!(read(again.native.unwrap().as_str()), whole);

    let events = |text: &str| -> Vec<Value> {
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(read).collect()
    };
    let (out, _) = carried(Dialect::Responses, Dialect::Responses, stream.as_bytes(), 7, &reply());
    assert_eq!(events(std::str::from_utf8(&out).unwrap()), events(&stream));
    let unasked = Reply { include_encrypted_reasoning: false, ..reply() };
    let (out, _) = carried(Dialect::Responses, Dialect::Responses, stream.as_bytes(), 7, &unasked);
    assert!(!String::from_utf8(out).unwrap().contains("encrypted_content"));
}

#[test]
fn a_thought_and_its_encrypted_form_are_one_item_of_a_response() {
    let response = Dialect::Responses.parse_response(native_response().to_string().as_bytes()).unwrap();
    let translated = crate::Response { native: None, ..response };
    let whole: Value =
        serde_json::from_str(&Dialect::Responses.render_response(&translated, &reply())).unwrap();
    let thoughts: Vec<&Value> =
        whole["output"].as_array().unwrap().iter().filter(|item| item["type"] == "reasoning").collect();
    assert_eq!(thoughts.len(), 1, "{whole}");
    assert_eq!(thoughts[0]["summary"][0]["text"], "hm");
    assert!(thoughts[0]["encrypted_content"].as_str().unwrap().contains("gAAAA"));
}

/// Events of an item that the vendor works on.
fn working(kind: &str, id: &str, index: u64, events: &[(&str, Value)]) -> Vec<Value> {
    let event = |(name, more): &(&str, Value)| {
        let mut event = json!({ "type": format!("response.{name}"), "output_index": index, "item_id": id });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let item = |more: Value| {
        let mut item = json!({ "id": id, "type": kind });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "item": item })
    };
    let added = item(
        json!({ "status": "in_progress", "code": "secret", "action": { "query": "secret" }, "container_id": "c" }),
    );
    let done = item(json!({ "status": "completed", "code": "whole" }));
    let mut all = vec![event(&("output_item.added", added))];
    all.extend(events.iter().map(event));
    all.push(event(&("output_item.done", done)));
    all
}

#[test]
fn the_progress_of_the_vendors_items_is_shown_without_their_texts() {
    let state = |family: &str, state: &str| (format!("{family}.{state}"), json!({}));
    let said = |name: &str| {
        (name.to_owned(), json!({ "delta": "secret", "code": "secret", "partial_image_b64": "secret" }))
    };
    let search = [
        state("web_search_call", "in_progress"),
        state("web_search_call", "searching"),
        state("web_search_call", "completed"),
    ];
    let code = [
        state("code_interpreter_call", "in_progress"),
        said("code_interpreter_call_code.delta"),
        said("code_interpreter_call_code.done"),
        said("code_interpreter_call.secret"),
        state("code_interpreter_call", "interpreting"),
        said("image_generation_call.partial_image"),
        state("web_search_call", "searching"),
    ];
    let started = json!({ "type": "response.created", "response": { "id": "up", "model": "up" } });
    let whole = json!({ "type": "response.completed", "response": { "id": "up", "status": "completed" } });
    let mut events = vec![started];
    for (kind, id, index, said) in
        [("web_search_call", "ws", 0, &search[..]), ("code_interpreter_call", "ci", 1, &code[..])]
    {
        let said: Vec<_> = said.iter().map(|(name, more)| (name.as_str(), more.clone())).collect();
        events.extend(working(kind, id, index, &said));
    }
    events.push(json!({ "type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "It is." }));
    events.push(json!({ "type": "response.content_part.done", "output_index": 2, "content_index": 0 }));
    // One that the vendor begins and never ends.
    let mut unended = working("mcp_call", "mcp", 3, &[]);
    unended.truncate(1);
    events.extend([unended, vec![whole]].concat());

    let mut out = Vec::new();
    let mut stream = Stream::translated(Dialect::Responses, Dialect::Responses, &reply());
    stream.push(named(&events[..2]).as_bytes(), &mut out);
    assert!(stream.meter().has_begun, "the client sees what the vendor does at once");
    stream.push(named(&events[2..]).as_bytes(), &mut out);
    let view = client_view(Dialect::Responses, &out);
    assert_eq!((view.text.as_str(), view.is_whole), ("It is.", true));
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: response.")).collect();
    assert_eq!(
        names[2..11],
        [
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.searching",
            "web_search_call.completed",
            "output_item.done",
            "output_item.added",
            "code_interpreter_call.in_progress",
            "code_interpreter_call.interpreting",
            "output_item.done",
        ]
    );
    let items = |event: &str, id: &str| -> Vec<Value> {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
        events
            .filter(|shown| shown["type"] == event && shown["item"]["id"] == id)
            .map(|mut shown| shown["item"].take())
            .collect()
    };
    let begun = |id: &str, kind: &str, status: &str| json!({ "id": id, "type": kind, "status": status, "code": "", "container_id": "c" });
    assert_eq!(
        items("response.output_item.added", "ci"),
        [begun("ci", "code_interpreter_call", "in_progress")]
    );
    assert_eq!(items("response.output_item.done", "ci")[0]["code"], "whole");
    assert_eq!(items("response.output_item.done", "mcp"), [begun("mcp", "mcp_call", "failed")]);
    for client in [Dialect::Chat, Dialect::Messages] {
        let (out, _) = carried(Dialect::Responses, client, named(&events).as_bytes(), 50, &reply());
        assert_eq!(client_view(client, &out).text, "It is.");
    }
}

#[test]
fn the_vendors_items_that_interleave_or_change_still_come_one_after_the_other() {
    let mut events = vec![json!({ "type": "response.created", "response": { "id": "up", "model": "up" } })];
    let (a, b) = (working("web_search_call", "a", 0, &[]), working("file_search_call", "b", 1, &[]));
    let other = working("web_search_call", "c", 2, &[]);
    let changed = json!({ "type": "response.output_item.done", "output_index": 2, "item": { "id": "d", "type": "mcp_call" } });
    let text =
        json!({ "type": "response.output_text.delta", "output_index": 3, "content_index": 0, "delta": "x" });
    events.extend([a[0].clone(), b[0].clone(), text, b[1].clone(), a[1].clone(), other[0].clone(), changed]);
    events.push(json!({ "type": "response.completed", "response": { "id": "up", "status": "completed" } }));
    let mut out = Vec::new();
    Stream::translated(Dialect::Responses, Dialect::Responses, &reply())
        .push(named(&events).as_bytes(), &mut out);
    let view = client_view(Dialect::Responses, &out);
    assert_eq!((view.text.as_str(), view.is_whole), ("x", true), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn messages_of_different_phases_stay_apart_behind_a_guardrail() {
    let message = |id: &str, phase: &str, text: &str| json!({ "id": id, "type": "message", "status": "completed", "role": "assistant", "phase": phase, "content": [{ "type": "output_text", "text": text, "annotations": [] }] });
    let output = [message("a", "commentary", "Looking"), message("b", "final_answer", "It is red")];
    let upstream =
        json!({ "id": "up", "object": "response", "status": "completed", "model": "up", "output": output });
    let response = Dialect::Responses.parse_response(upstream.to_string().as_bytes()).unwrap();
    let stream = stream_of(&response, Dialect::Responses, &reply());
    let mut out = Vec::new();
    Stream::translated(Dialect::Responses, Dialect::Responses, &reply()).push(stream.as_bytes(), &mut out);
    let mut reader = Reader::new(Dialect::Responses);
    reader.push(&out);
    let last = reader.finish().unwrap();
    let streamed: Value = serde_json::from_str(last.native.as_ref().unwrap().as_str()).unwrap();
    let anew = crate::Response { native: None, ..response };
    let whole: Value = serde_json::from_str(&Dialect::Responses.render_response(&anew, &reply())).unwrap();
    for answer in [streamed, whole] {
        let items = answer["output"].as_array().unwrap();
        let said: Vec<_> = items
            .iter()
            .map(|item| (item["phase"].as_str().unwrap(), item["content"][0]["text"].as_str().unwrap()))
            .collect();
        assert_eq!(said, [("commentary", "Looking"), ("final_answer", "It is red")]);
    }
    let (out, _) = carried(Dialect::Responses, Dialect::Chat, stream.as_bytes(), 7, &reply());
    assert_eq!(client_view(Dialect::Chat, &out).text, "LookingIt is red");
}

#[test]
fn every_client_gets_a_text_up_to_its_stop_sequence_however_the_stream_is_split() {
    let body = br#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one END two"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10}}"#;
    let whole = Dialect::Chat.parse_response(body).unwrap();
    for (upstream, client) in ALL.iter().flat_map(|upstream| ALL.map(|client| (*upstream, client))) {
        let sent = stream_of(&whole, upstream, &reply());
        let reply = Reply { stops: vec!["END".to_owned()], include_usage: true, ..reply() };
        for size in [1, 7, sent.len()] {
            let (mut stream, mut out) = (Stream::new(upstream, client, &reply), Vec::new());
            sent.as_bytes().chunks(size).for_each(|bytes| stream.push(bytes, &mut out));
            stream.finish(&mut out);
            let mut reader = Reader::new(client);
            reader.push(&out);
            let seen = reader.finish().unwrap();
            let [choice] = seen.choices.as_slice() else { panic!("{seen:?}") };
            assert_eq!(choice.parts[0].as_text(), Some("one "), "{upstream:?} {client:?}");
            let sequence = (client == Dialect::Messages).then(|| "END".to_owned());
            assert_eq!((&choice.stop.sequence, seen.usage.map(|usage| usage.output)), (&sequence, Some(9)));
        }
    }
}
