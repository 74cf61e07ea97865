//! Hostile input: nothing panics, and nothing takes long.

use proptest::prelude::*;
use serde_json::json;

use super::reply;
use crate::{
    Dialect, Error, InboundContext, Reader, Stream, Target, canonical, forward, parse_completion,
    parse_count, parse_embeddings, parse_moderation, references,
};

const ALL: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

/// Runs every parser on a body, and every renderer on the result.
fn read_all(body: &[u8]) {
    let inbound = InboundContext::default();
    for dialect in ALL {
        drop(dialect.parse_response(body));
        let Ok(request) = dialect.parse_request(body, &inbound) else { continue };
        for upstream in ALL {
            if let Ok(rendered) = upstream.render_request(&request, &Target::new("m")) {
                serde_json::from_str::<serde::de::IgnoredAny>(&rendered.body).unwrap();
            }
        }
    }
    drop((
        parse_completion(body),
        parse_count(body, &inbound),
        parse_embeddings(body),
        parse_moderation(body),
    ));
    drop((
        references(body),
        canonical(body, &[]),
        forward(body, &[("model", None)]),
        Error::of_upstream(400, body),
    ));
}

fn carry_all(bytes: &[u8], size: usize) {
    for upstream in ALL {
        for client in ALL {
            let (mut stream, mut out) = (Stream::new(upstream, client, &reply()), Vec::new());
            bytes.chunks(size.max(1)).for_each(|piece| stream.push(piece, &mut out));
            stream.finish(&mut out);
            let meter = stream.meter();
            assert!(meter.is_complete != meter.error.is_some(), "a stream ends one way");
        }
        let mut reader = Reader::new(upstream);
        reader.push(bytes);
        drop(reader.finish());
    }
}

/// Keywords of all dialects, in places where they do not belong.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "type",
        "role",
        "content",
        "text",
        "messages",
        "input",
        "tools",
        "function",
        "name",
        "id",
        "call_id",
        "arguments",
        "tool_calls",
        "tool_use",
        "tool_result",
        "tool_use_id",
        "user",
        "assistant",
        "system",
        "tool",
        "image",
        "source",
        "base64",
        "data",
        "url",
        "thinking",
        "signature",
        "model",
        "max_tokens",
        "choices",
        "delta",
        "index",
        "usage",
        "message_start",
        "content_block_start",
        "content_block",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "stop_reason",
        "finish_reason",
        "stop",
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.completed",
        "item",
        "output_index",
        "content_index",
        "part",
        "response",
        "output",
        "function_call",
        "function_call_output",
        "reasoning",
        "error",
        "message",
        "a",
        "{}",
        "{\"a\":1}",
        "",
    ])
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        word().prop_map(serde_json::Value::from),
        (0_u64..4).prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
        any::<f64>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(word(), inner, 0..8).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    #[test]
    fn any_body_is_parsed_or_refused(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    #[test]
    fn any_json_is_parsed_or_refused(messages in value(), tools in value(), extra in value()) {
        let mut body = json!({ "model": "m", "max_tokens": 5, "messages": messages.clone(), "input": messages, "tools": tools });
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        read_all(body.to_string().as_bytes());
        read_all(extra.to_string().as_bytes());
    }

    #[test]
    fn any_stream_either_completes_or_fails(bytes: Vec<u8>, size in 1_usize..30) {
        carry_all(&bytes, size);
    }

    #[test]
    fn any_events_either_complete_or_fail(events in prop::collection::vec(value(), 0..8), size in 1_usize..300) {
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        carry_all(stream.as_bytes(), size);
    }
}

#[test]
fn megabytes_in_one_line_are_an_error_and_are_not_buffered() {
    let line = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}", "x".repeat(5 << 20));
    carry_all(line.as_bytes(), 4_096);
}

#[test]
fn two_hundred_tools_with_schemas_thirty_levels_deep_are_translated() {
    let mut schema = json!({ "type": "string" });
    for _ in 0..30 {
        schema =
            json!({ "type": "object", "properties": { "z": schema.clone(), "a": { "type": "string" } } });
    }
    let tools: Vec<_> = (0..200)
        .map(|n| json!({ "type": "function", "function": { "name": format!("f{n}"), "parameters": schema } }))
        .collect();
    let body =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "tools": tools }).to_string();
    let request = Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
    for upstream in ALL {
        let rendered = upstream.render_request(&request, &Target::new("m")).unwrap();
        assert_eq!(rendered.body.matches(&schema.to_string()).count(), 200, "{upstream:?}");
    }
}

#[test]
fn twenty_thousand_calls_are_paired() {
    let calls: Vec<_> = (0..20_000).map(|n| json!({ "id": format!("c.{n}"), "type": "function", "function": { "name": "f", "arguments": "{}" } })).collect();
    let mut messages =
        vec![json!({ "role": "user", "content": "x" }), json!({ "role": "assistant", "tool_calls": calls })];
    messages.extend(
        (0..20_000).map(|n| json!({ "role": "tool", "tool_call_id": format!("c.{n}"), "content": "y" })),
    );
    let body = json!({ "model": "m", "messages": messages }).to_string();
    let request = Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
    for upstream in ALL {
        assert!(upstream.render_request(&request, &Target::new("m")).is_ok());
    }
}
