//! Whole answers of Chat Completions for clients of the same dialect and of others.

use serde_json::{Value, json};

use super::reply;
use crate::{Dialect, request::Part, response::ChatMembers};

/// An answer with all that OpenAI's models may send besides text.
fn rich() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt-6-2026-10-01",
        "system_fingerprint": "fp_1", "service_tier": "default", "moderation": { "flagged": false },
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": "It is sunny.", "refusal": null,
                "annotations": [{ "type": "url_citation", "url_citation":
                    { "start_index": 0, "end_index": 5, "url": "https://a.test", "title": "A", "content": "Sun" } }],
                "audio": { "id": "audio_1", "data": "UklGRg==", "transcript": "It is sunny.", "expires_at": 9 },
            },
            "logprobs": null, "finish_reason": "stop", "content_filter_results": { "hate": { "filtered": false } },
        }],
        "usage": {
            "prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16,
            "prompt_tokens_details": { "cached_tokens": 2, "audio_tokens": 3 },
            "completion_tokens_details": { "reasoning_tokens": 1, "audio_tokens": 4,
                "accepted_prediction_tokens": 5, "rejected_prediction_tokens": 6 },
        },
    })
}

fn rendered(answer: &Value, dialect: Dialect) -> Value {
    let answer = Dialect::Chat.parse_response(answer.to_string().as_bytes()).unwrap();
    serde_json::from_str(&dialect.render_response(&answer, &reply())).unwrap()
}

#[test]
fn an_answer_for_the_same_dialect_keeps_all_that_its_upstream_sent() {
    let sent = rich();
    let shown = rendered(&sent, Dialect::Chat);
    let mut expected = sent.clone();
    // The gateway's own id, time and name of the model.
    for (name, value) in [("id", json!("chatcmpl-1")), ("created", json!(7)), ("model", json!("m"))] {
        expected[name] = value;
    }
    expected["usage"]["prompt_tokens_details"]["cache_write_tokens"] = json!(0);
    assert_eq!(shown, expected);
    // So does one that was cached or stored in between.
    assert_eq!(rendered(&shown, Dialect::Chat), shown);
}

#[test]
fn an_answer_in_audio_alone_has_no_text() {
    let mut sent = rich();
    sent["choices"][0]["message"]["content"] = Value::Null;
    assert_eq!(rendered(&sent, Dialect::Chat)["choices"][0]["message"], sent["choices"][0]["message"]);
}

#[test]
fn each_choice_keeps_its_own_members() {
    let mut sent = rich();
    let other = json!({ "index": 1, "message": { "role": "assistant", "content": "b" }, "finish_reason": "stop", "logprobs": null });
    let first = sent["choices"][0].take();
    sent["choices"] = json!([other, first]);
    let shown = rendered(&sent, Dialect::Chat);
    assert_eq!(shown["choices"][0]["message"]["audio"]["id"], "audio_1");
    assert_eq!(shown["choices"][1]["message"]["content"], "b");
    assert!(shown["choices"][1]["message"].get("audio").is_none());
}

#[test]
fn citations_reach_clients_of_the_responses_api() {
    let shown = rendered(&rich(), Dialect::Responses);
    assert_eq!(
        shown["output"][0]["content"][0]["annotations"],
        json!([{ "type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://a.test", "title": "A" }])
    );
}

#[test]
fn the_citations_of_a_later_part_have_positions_in_the_whole_message() {
    let mut answer = Dialect::Chat.parse_response(rich().to_string().as_bytes()).unwrap();
    answer.chat = ChatMembers::default();
    answer.choices[0].parts.insert(0, Part::text("Ah. "));
    let shown: Value = serde_json::from_str(&Dialect::Chat.render_response(&answer, &reply())).unwrap();
    let citation = &shown["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert_eq!((&citation["start_index"], &citation["end_index"]), (&json!(4), &json!(9)));
}
