//! Streams an answer in Claude's event format
//! (<https://docs.claude.com/en/docs/build-with-claude/streaming>).

use serde_json::Value;

use super::MODEL;

/// A piece of text is sent once it has this many bytes, a few words.
const PIECE_BYTES: usize = 24;

/// The `answer` to `prompt` as server-sent events, each a complete frame `event: …\ndata:
/// …\n\n`: `message_start`, `ping`, `content_block_start`, a `content_block_delta` for every few words,
/// `content_block_stop`, `message_delta`, `message_stop`. Joined, the deltas are the answer.
/// `message_id` is the message's id, such as `msg_sandbox_…`. Usage counts one token for every four
/// bytes.
pub(crate) fn events(message_id: &str, prompt: &str, answer: &str) -> Vec<String> {
    let id = quoted(message_id);
    let (input, output) = (tokens(prompt), tokens(answer));
    let cache = r#""cache_creation_input_tokens":0,"cache_read_input_tokens":0"#;
    let mut events = vec![
        frame(
            "message_start",
            &format!(
                r#","message":{{"id":{id},"type":"message","role":"assistant","model":"{MODEL}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":{input},{cache},"output_tokens":1}}}}"#
            ),
        ),
        frame("ping", ""),
        frame("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#),
    ];
    events.extend(pieces(answer).iter().map(|piece| {
        frame(
            "content_block_delta",
            &format!(r#","index":0,"delta":{{"type":"text_delta","text":{}}}"#, quoted(piece)),
        )
    }));
    events.push(frame("content_block_stop", r#","index":0"#));
    events.push(frame("message_delta", &format!(
        r#","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"input_tokens":{input},{cache},"output_tokens":{output}}}"#
    )));
    events.push(frame("message_stop", ""));
    events
}

/// `rest` contains the event's fields after its type, in Claude's order.
fn frame(name: &str, rest: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n")
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn tokens(text: &str) -> usize {
    text.len().div_ceil(4).max(1)
}

/// Splits the text at whitespace into pieces of a few words.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![];
    let mut piece = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        piece.push_str(word);
        if piece.len() >= PIECE_BYTES {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}
