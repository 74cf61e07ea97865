//! A turn that was asked for once more with its `Idempotency-Key`: told again
//! from what was saved, in one go.

use serde_json::{Value, json};

use super::{
    lost_before, store,
    turn::{self, Base, Turn},
};
use crate::{
    error::Error,
    http::{Exchange, sse},
    platform::{
        pump::End,
        response::Response,
        stream::{self},
    },
    settings::ChatFormat,
    store::Database,
    upstream::anthropic::events::Message,
};

/// The answer of `turn`, if that has been begun.
///
/// # Errors
/// [`Error::Conflict`] while the answer is still streaming to whoever asked first.
pub(super) async fn answer(
    turn: &Turn,
    format: ChatFormat,
    database: &Database,
    exchange: &Exchange,
) -> Result<Option<Response>, Error> {
    let lost = store::interrupt_lost(Some(&turn.id), lost_before(&exchange.settings));
    let [saved, before] = store::saved(turn);
    let [_, saved, before] = database.batch([lost, saved, before]).await?;
    let Some(saved) = saved.first::<store::Saved>()? else { return Ok(None) };
    if saved.status == "streaming" {
        return Err(still_streaming());
    }
    let words = told(turn, &saved, &Base::of(&before)?, format);
    let (client, body) = stream::channel()?;
    exchange.background.run(async move {
        // Whoever leaves can ask once more.
        let _ = client.write(words.as_bytes()).await;
        client.close().await;
    });
    Ok(Some(Response::events(body)))
}

pub(super) fn still_streaming() -> Error {
    Error::Conflict {
        code: "idempotency_key_in_use",
        detail: "Claude is still answering the first request with this Idempotency-Key".into(),
    }
}

fn told(turn: &Turn, saved: &store::Saved, before: &Base, format: ChatFormat) -> String {
    let events = claude_events(turn, saved);
    let message = Message::of(events.as_bytes());
    let mut words = match format {
        ChatFormat::Events => events,
        ChatFormat::Text => {
            let mut piece = String::new();
            sse::push_data(&mut piece, &json!({ "text": saved.content }));
            piece
        }
    };
    let kept = turn::Saved::again(&message, before, saved.version);
    turn::last_words(&mut words, turn, &message, End::Cut, format, Ok(kept));
    words
}

/// What Claude would stream for all of it at once; without its end, when it
/// had none.
fn claude_events(turn: &Turn, saved: &store::Saved) -> String {
    let message = json!({
        "id": turn.id, "type": "message", "role": "assistant", "model": saved.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": saved.usage,
    });
    let block = json!({ "type": "text", "text": "" });
    let delta = json!({ "type": "text_delta", "text": saved.content });
    let stop = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let mut events = vec![
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
    ];
    if saved.status == "complete" {
        events.push(json!({ "type": "content_block_stop", "index": 0 }));
        events.push(json!({ "type": "message_delta", "delta": stop, "usage": saved.usage }));
        events.push(json!({ "type": "message_stop" }));
    }
    let name = |event: &Value| event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    events.iter().map(|event| sse::event(&name(event), event)).collect()
}
