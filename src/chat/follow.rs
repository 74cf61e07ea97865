//! Sends one more client the answer of a turn that another request streams
//! already. The text is read from the database, which that request keeps up to date.

use hatch_wire::{
    anthropic::{Message, Usage},
    sse,
};
use serde_json::{Value, json};

use super::{
    carry::{self, Kept},
    pieces,
    settings::ChatFormat,
    store,
    turn::ChatTurn,
};
use crate::{
    error::Error,
    http::RequestContext,
    platform::{
        clock::{now_ms, sleep},
        log,
        pump::End,
        response::Response,
        stream::{self, Gone, Writer},
    },
    store::Database,
};

const POLL_MS: u64 = 500;
const KEEP_ALIVE_MS: i64 = 10_000;

/// Streams the answer of `turn`: its text so far, then the rest as it comes.
/// Returns none if no such turn was begun.
pub(super) async fn answer(turn: ChatTurn, context: &RequestContext) -> Result<Option<Response>, Error> {
    let database = context.database()?;
    let first = database.query(store::progress(&turn.id, &turn.user, 0)).await?.first()?;
    let Some(first) = first else { return Ok(None) };
    let (client, body) = stream::channel()?;
    let follower = Follower { turn, database, known: 0, last_write_ms: now_ms() };
    context.background.run(async move {
        // A client that leaves can send the request again.
        let _ = follower.follow(first, &client).await;
        client.close().await;
    });
    Ok(Some(Response::events(body)))
}

/// Streams the answer of the turn that answers `message` already, if there is one.
pub(super) async fn twin(
    turn: ChatTurn,
    message: &str,
    context: &RequestContext,
) -> Result<Option<Response>, Error> {
    if context.has_idempotency_key() {
        return Ok(None);
    }
    let found = context.database()?.query(store::twin(&turn, message, now_ms())).await?;
    let twin = found.first::<store::ExistingTurn>()?.and_then(|project| project.twin);
    match twin {
        Some(id) => answer(turn.answered_by(id), context).await,
        None => Ok(None),
    }
}

struct Follower {
    turn: ChatTurn,
    database: Database,
    /// How many characters of the answer the client has.
    known: i64,
    /// When the client last got an event.
    last_write_ms: i64,
}

impl Follower {
    async fn follow(mut self, first: store::Progress, client: &Writer) -> Result<(), Gone> {
        let mut progress = first;
        self.write(client, self.head(&progress)).await?;
        loop {
            let text = std::mem::take(&mut progress.text);
            self.write(client, self.text(&text)).await?;
            self.known += i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if progress.status != "streaming" || is_lost(&progress) {
                break;
            }
            sleep(POLL_MS).await;
            if now_ms() - self.last_write_ms > KEEP_ALIVE_MS {
                self.write(client, vec![sse::KEEP_ALIVE.to_owned()]).await?;
            }
            match self.poll().await {
                Ok(Some(next)) => progress = next,
                Ok(None) => break,
                // The next poll may reach the database again.
                Err(_) => {}
            }
        }
        let events = self.end().await;
        self.write(client, events).await
    }

    async fn poll(&self) -> Result<Option<store::Progress>, Error> {
        self.database.query(store::progress(&self.turn.id, &self.turn.user, self.known)).await?.first()
    }

    /// Writes each event by itself.
    async fn write(&mut self, client: &Writer, events: Vec<String>) -> Result<(), Gone> {
        for event in events {
            client.write(event.as_bytes()).await?;
            self.last_write_ms = now_ms();
        }
        Ok(())
    }

    /// The events before the text.
    fn head(&self, progress: &store::Progress) -> Vec<String> {
        if self.turn.format == ChatFormat::Text {
            return Vec::new();
        }
        let message = json!({
            "id": self.turn.id, "type": "message", "role": "assistant", "model": progress.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": Usage::default(),
        });
        let block = json!({ "type": "text", "text": "" });
        vec![
            claude_event(&json!({ "type": "message_start", "message": message })),
            claude_event(&json!({ "type": "content_block_start", "index": 0, "content_block": block })),
        ]
    }

    fn text(&self, text: &str) -> Vec<String> {
        match self.turn.format {
            _ if text.is_empty() => Vec::new(),
            ChatFormat::Text => pieces::of(text).collect(),
            ChatFormat::Events => {
                let delta = json!({ "type": "text_delta", "text": text });
                vec![claude_event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))]
            }
        }
    }

    /// The events after the text: the answer is saved, or was cut off.
    async fn end(&mut self) -> Vec<String> {
        let (message, kept) = match self.saved().await {
            Ok(Some((message, kept))) => (message, Ok(kept)),
            Ok(None) => (Message::default(), Err(carry::DELETED)),
            Err(error) => {
                log::failure("chat.follow", &error);
                (Message::default(), Err(error))
            }
        };
        // Text that was saved after the last poll.
        let known = usize::try_from(self.known).unwrap_or(usize::MAX);
        let mut events = self.text(&message.text.chars().skip(known).collect::<String>());
        if self.turn.format == ChatFormat::Events && message.is_complete() {
            let stop = json!({ "stop_reason": "end_turn", "stop_sequence": null });
            events.extend([
                claude_event(&json!({ "type": "content_block_stop", "index": 0 })),
                claude_event(&json!({ "type": "message_delta", "delta": stop, "usage": message.usage })),
                claude_event(&json!({ "type": "message_stop" })),
            ]);
        }
        events.extend(carry::final_events(&self.turn, &message, End::Cut, kept));
        events
    }

    /// Reads the saved answer. A lost one is first marked as interrupted.
    async fn saved(&mut self) -> Result<Option<(Message, Kept)>, Error> {
        let (id, user) = (self.turn.id.as_str(), self.turn.user.as_str());
        let lost = store::interrupt_lost(Some(id), now_ms() - store::SILENT_MS);
        let [_, saved] = self.database.batch([lost, store::saved(id, user)]).await?;
        let Some(saved) = saved.first::<store::Saved>()? else { return Ok(None) };
        let is_complete = saved.status == "complete";
        let message = Message::kept(saved.content, saved.model, saved.usage.unwrap_or_default(), is_complete);
        let kept = Kept { changes: saved.changes.unwrap_or_default(), cost_micro_usd: saved.cost_micro_usd };
        Ok(Some((message, kept)))
    }
}

/// Whether the Worker that streamed the answer is gone.
fn is_lost(progress: &store::Progress) -> bool {
    progress.alive_at < now_ms() - store::SILENT_MS
}

fn claude_event(event: &Value) -> String {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    sse::event(name, event)
}
