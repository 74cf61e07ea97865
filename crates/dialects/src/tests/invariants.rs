//! Rules that every stream must keep, checked as the vendors' SDKs check them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Dialect;

/// What a client's SDK would have understood.
#[derive(Debug, Default, PartialEq, Clone)]
pub(super) struct ClientView {
    pub(super) text: String,
    pub(super) thinking: String,
    /// Ids, names, arguments.
    pub(super) calls: Vec<(String, String, String)>,
    pub(super) stop: Option<String>,
    pub(super) usage: Option<Value>,
    pub(super) is_whole: bool,
    pub(super) error: Option<Value>,
}

fn events(stream: &str) -> Vec<(String, String)> {
    let mut events = Vec::new();
    for block in stream.split("\n\n").filter(|block| !block.is_empty()) {
        let (mut name, mut data) = (String::new(), String::new());
        for line in block.lines() {
            if let Some(value) = line.strip_prefix("event: ") {
                name = value.to_owned();
            } else if let Some(value) = line.strip_prefix("data: ") {
                data = value.to_owned();
            }
        }
        if !data.is_empty() {
            events.push((name, data));
        }
    }
    events
}

pub(super) fn client_view(dialect: Dialect, stream: &[u8]) -> ClientView {
    let stream = std::str::from_utf8(stream).expect("characters are whole");
    assert!(!stream.contains("\nid:"), "no ids");
    match dialect {
        Dialect::Chat => chat(stream),
        Dialect::Responses => responses(stream),
        Dialect::Messages => messages(stream),
    }
}

fn chat(stream: &str) -> ClientView {
    let mut view = ClientView::default();
    let (mut heads, mut roles) = (BTreeSet::new(), 0);
    let events = events(stream);
    for (place, (_, data)) in events.iter().enumerate() {
        assert!(!view.is_whole, "nothing follows [DONE]");
        if data == "[DONE]" {
            assert!(view.error.is_none(), "no [DONE] after an error");
            view.is_whole = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if !chunk["error"].is_null() {
            view.error = Some(chunk["error"].clone());
            assert_eq!(place + 1, events.len(), "an error is last");
            continue;
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert!(!chunk["id"].as_str().unwrap().is_empty());
        heads.insert((chunk["id"].to_string(), chunk["created"].to_string(), chunk["model"].to_string()));
        assert!(view.usage.is_none(), "usage is last");
        let choices = chunk["choices"].as_array().unwrap();
        if choices.is_empty() {
            assert!(chunk["usage"].is_object());
            view.usage = Some(chunk["usage"].clone());
            continue;
        }
        assert!(chunk.get("usage").is_none_or(Value::is_null), "no usage beside content");
        for choice in choices {
            assert_eq!(choice["index"], 0);
            assert!(view.stop.is_none(), "nothing follows a finish");
            let delta = choice["delta"].as_object().unwrap();
            roles += usize::from(delta.contains_key("role"));
            assert_eq!(roles, 1, "role once, and first");
            view.text += delta.get("content").and_then(Value::as_str).unwrap_or_default();
            view.thinking += delta.get("reasoning_content").and_then(Value::as_str).unwrap_or_default();
            for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                let function = call["function"].as_object().unwrap();
                let arguments = function["arguments"].as_str().unwrap();
                if index == view.calls.len() {
                    let (id, name) = (call["id"].as_str().unwrap(), function["name"].as_str().unwrap());
                    assert_eq!(call["type"], "function");
                    view.calls.push((id.to_owned(), name.to_owned(), String::new()));
                } else {
                    assert!(index < view.calls.len(), "indexes are contiguous");
                    assert!(call.get("id").is_none() && !function.contains_key("name"), "ids and names once");
                }
                view.calls[index].2 += arguments;
            }
            view.stop = choice["finish_reason"].as_str().map(str::to_owned);
        }
    }
    assert!(heads.len() <= 1, "one id, time and model: {heads:?}");
    assert!(!view.is_whole || view.stop.is_some(), "whole only with a finish");
    view
}

fn messages(stream: &str) -> ClientView {
    let mut view = ClientView::default();
    let (mut started, mut open, mut next) = (false, None::<(u64, String)>, 0);
    for (name, data) in events(stream) {
        assert!(!view.is_whole && view.error.is_none(), "nothing follows the end");
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(event["type"], name.as_str());
        match name.as_str() {
            "message_start" => {
                assert!(!std::mem::replace(&mut started, true), "one message_start");
                assert!(event["message"]["usage"]["input_tokens"].is_u64());
            }
            "content_block_start" => {
                assert!(started && open.is_none(), "one block at a time");
                assert_eq!(event["index"], next);
                let block = &event["content_block"];
                let kind = block["type"].as_str().unwrap().to_owned();
                if kind == "tool_use" {
                    let text = |name: &str| block[name].as_str().unwrap().to_owned();
                    view.calls.push((text("id"), text("name"), String::new()));
                }
                open = Some((next, kind));
                next += 1;
            }
            "content_block_delta" => {
                let (index, kind) = open.as_ref().unwrap();
                assert_eq!(event["index"], *index);
                let delta = &event["delta"];
                let text = |name: &str| delta[name].as_str().unwrap();
                match (delta["type"].as_str().unwrap(), kind.as_str()) {
                    ("text_delta", "text") => view.text += text("text"),
                    ("thinking_delta", "thinking") => view.thinking += text("thinking"),
                    ("input_json_delta", "tool_use") => {
                        view.calls.last_mut().unwrap().2 += text("partial_json")
                    }
                    ("signature_delta", "thinking") => assert!(!text("signature").is_empty()),
                    other => panic!("{other:?}"),
                }
            }
            "content_block_stop" => assert_eq!(event["index"], open.take().unwrap().0),
            "message_delta" => {
                assert!(started && open.is_none());
                view.stop = event["delta"]["stop_reason"].as_str().map(str::to_owned);
                view.usage = Some(event["usage"].clone());
            }
            "message_stop" => {
                assert!(view.stop.is_some());
                view.is_whole = true;
            }
            "error" => view.error = Some(event["error"].clone()),
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    view
}

fn responses(stream: &str) -> ClientView {
    let mut view = ClientView::default();
    let (mut items, mut done) = (BTreeMap::<u64, Value>::new(), Vec::new());
    for (place, (name, data)) in events(stream).into_iter().enumerate() {
        assert!(!view.is_whole && view.error.is_none(), "nothing follows the end");
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(event["type"], name.as_str());
        assert_eq!(event["sequence_number"], place as u64, "numbered without gaps");
        assert_eq!(place == 0, name == "response.created");
        let index = event["output_index"].as_u64();
        if let (Some(id), Some(index)) = (event["item_id"].as_str(), index) {
            assert_eq!(items[&index]["id"], id);
        }
        let text = |name: &str| event[name].as_str().unwrap();
        match name.as_str() {
            "response.output_item.added" => {
                assert!(items.insert(index.unwrap(), event["item"].clone()).is_none(), "each place once");
            }
            "response.output_item.done" => {
                let item = &event["item"];
                assert_eq!(
                    (&items[&index.unwrap()]["id"], &items[&index.unwrap()]["type"]),
                    (&item["id"], &item["type"])
                );
                if item["type"] == "function_call" {
                    let text = |name: &str| item[name].as_str().unwrap().to_owned();
                    view.calls.push((text("call_id"), text("name"), text("arguments")));
                }
                done.push(item.clone());
            }
            "response.output_text.delta" => view.text += text("delta"),
            "response.reasoning_summary_text.delta" => view.thinking += text("delta"),
            "response.completed" | "response.incomplete" => {
                let response = &event["response"];
                assert_eq!(response["output"].as_array().unwrap(), &done, "all items, as they were done");
                view.stop = response["incomplete_details"]["reason"]
                    .as_str()
                    .or(Some("completed"))
                    .map(str::to_owned);
                view.usage = Some(response["usage"].clone());
                view.is_whole = true;
            }
            "response.failed" => view.error = Some(event["response"]["error"].clone()),
            _ => {}
        }
    }
    view
}
