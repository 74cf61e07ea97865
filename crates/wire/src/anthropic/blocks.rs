//! Reassembles the content blocks of a streamed message: the API needs them
//! back unchanged when it pauses a turn, and they contain the results of its
//! web search.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::sse::Decoder;

/// A page found by the API's web search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// Its address.
    pub url: String,
    /// Its title; empty if the API names none.
    pub title: String,
}

/// The content of a streamed message. Blocks of unknown types keep their
/// content from the start event.
pub fn content(stream: &[u8]) -> Vec<Value> {
    let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
    let mut decoder = Decoder::default();
    decoder.push(stream, |data| {
        if let Ok(event) = hatch_json::from_str(data) {
            observe(&mut blocks, event);
        }
    });
    blocks.into_values().map(Block::finish).collect()
}

/// The results in `web_search_tool_result` blocks, in order. A search that
/// failed has an error object instead, and so no results.
pub fn search_results(content: &[Value]) -> Vec<SearchResult> {
    let of_type = |value: &&Value, name: &str| {
        value.get("type").and_then(Value::as_str).is_some_and(|kind| kind == name)
    };
    let pages = content
        .iter()
        .filter(|block| of_type(block, "web_search_tool_result"))
        .filter_map(|block| block.get("content")?.as_array())
        .flatten()
        .filter(|page| of_type(page, "web_search_result"));
    let text = |page: &Value, name: &str| page.get(name).and_then(Value::as_str).map(str::to_owned);
    pages
        .filter_map(|page| {
            Some(SearchResult { url: text(page, "url")?, title: text(page, "title").unwrap_or_default() })
        })
        .collect()
}

#[derive(Default)]
struct Block {
    fields: Map<String, Value>,
    /// The JSON of `input`, which arrives in pieces.
    input: String,
}

impl Block {
    fn finish(mut self) -> Value {
        // Without pieces, the input from the start event stays.
        if let Ok(input) = hatch_json::from_str(&self.input) {
            self.fields.insert("input".to_owned(), input);
        }
        Value::Object(self.fields)
    }

    fn extend(&mut self, delta: &Value) {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text_delta" => self.append("text", text("text")),
            "thinking_delta" => self.append("thinking", text("thinking")),
            "signature_delta" => self.append("signature", text("signature")),
            "input_json_delta" => self.input.push_str(text("partial_json")),
            "citations_delta" => {
                let citations = self.fields.entry("citations").or_insert(json!([]));
                if let (Some(citations), Some(citation)) = (citations.as_array_mut(), delta.get("citation")) {
                    citations.push(citation.clone());
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, name: &str, more: &str) {
        if let Value::String(text) = self.fields.entry(name).or_insert_with(|| "".into()) {
            text.push_str(more);
        }
    }
}

fn observe(blocks: &mut BTreeMap<u64, Block>, mut event: Value) {
    let Some(index) = event.get("index").and_then(Value::as_u64) else { return };
    match event.get("type").and_then(Value::as_str) {
        Some("content_block_start") => {
            if let Some(Value::Object(fields)) = event.get_mut("content_block").map(Value::take) {
                blocks.insert(index, Block { fields, input: String::new() });
            }
        }
        Some("content_block_delta") => {
            if let (Some(block), Some(delta)) = (blocks.get_mut(&index), event.get("delta")) {
                block.extend(delta);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(events: &[Value]) -> Vec<u8> {
        events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
    }

    fn start(index: u64, block: &Value) -> Value {
        json!({ "type": "content_block_start", "index": index, "content_block": block })
    }

    fn delta(index: u64, delta: &Value) -> Value {
        json!({ "type": "content_block_delta", "index": index, "delta": delta })
    }

    #[test]
    fn blocks_are_reassembled_unchanged() {
        let found = json!({ "type": "web_search_tool_result", "tool_use_id": "s1", "content": [
            { "type": "web_search_result", "url": "https://a.example/", "title": "A", "encrypted_content": "x" },
        ] });
        let citation = json!({ "type": "web_search_result_location", "url": "https://a.example/" });
        let bytes = stream(&[
            start(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
            delta(0, &json!({ "type": "thinking_delta", "thinking": "hm" })),
            delta(0, &json!({ "type": "signature_delta", "signature": "Ep" })),
            start(1, &json!({ "type": "server_tool_use", "id": "s1", "name": "web_search", "input": {} })),
            delta(1, &json!({ "type": "input_json_delta", "partial_json": "{\"que" })),
            delta(1, &json!({ "type": "input_json_delta", "partial_json": "ry\":\"q\"}" })),
            start(2, &found),
            start(3, &json!({ "type": "text", "text": "", "citations": [] })),
            delta(3, &json!({ "type": "text_delta", "text": "A " })),
            delta(3, &json!({ "type": "text_delta", "text": "leads" })),
            delta(3, &json!({ "type": "citations_delta", "citation": citation })),
            delta(9, &json!({ "type": "text_delta", "text": "of no block" })),
        ]);
        let content = content(&bytes);
        assert_eq!(
            content,
            [
                json!({ "type": "thinking", "thinking": "hm", "signature": "Ep" }),
                json!({ "type": "server_tool_use", "id": "s1", "name": "web_search", "input": { "query": "q" } }),
                found,
                json!({ "type": "text", "text": "A leads", "citations": [citation] }),
            ]
        );
        let url = "https://a.example/".to_owned();
        assert_eq!(search_results(&content), [SearchResult { url, title: "A".to_owned() }]);
    }

    #[test]
    fn a_failed_search_has_no_results() {
        let error = json!({ "type": "web_search_tool_result_error", "error_code": "max_uses_exceeded" });
        let failed = json!({ "type": "web_search_tool_result", "tool_use_id": "s1", "content": error });
        assert_eq!(search_results(&[failed, json!({}), json!(7)]), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, index: u64, kind in "[a-z_]{0,12}") {
            let _ = content(&bytes);
            let odd = [start(index, &json!({ "text": 7 })), delta(index, &json!({ "type": kind, "text": [] }))];
            prop_assert_eq!(content(&stream(&odd)).len(), 1);
        }
    }
}
