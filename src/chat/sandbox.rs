//! Streams the sandbox model's answer in Claude's format.

use crate::{
    error::Error,
    platform::{
        background::Background,
        clock::sleep,
        stream::{self, Body},
    },
    upstream::sandbox,
};

/// The pause between two events, so that a person can watch the answer appear.
const PACE_MS: u64 = 4;

/// The answer to `prompt` as a stream of Claude's events.
pub(super) fn body(
    message_id: &str,
    prompt: &str,
    answer: &str,
    background: &Background,
) -> Result<Body, Error> {
    let (writer, body) = stream::channel()?;
    let events = sandbox::events(message_id, prompt, answer);
    background.run(async move {
        for event in events {
            sleep(PACE_MS).await;
            if writer.write(event.as_bytes()).await.is_err() {
                return;
            }
        }
        writer.close().await;
    });
    Ok(body)
}
