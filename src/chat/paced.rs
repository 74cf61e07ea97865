//! Streams the events of an answer that is here already: the sandbox model's, or one
//! that a provider sent whole.

use crate::{
    error::Error,
    platform::{
        background::Background,
        clock::sleep,
        stream::{self, Body},
    },
};

/// The pause between two of the sandbox model's events, so that a person can watch the answer appear.
pub(super) const PACE_MS: u64 = 4;

/// A body of these events, one every `pace_ms`.
pub(super) fn body(
    events: impl IntoIterator<Item = String> + 'static,
    pace_ms: u64,
    background: &Background,
) -> Result<Body, Error> {
    let (writer, body) = stream::channel()?;
    background.run(async move {
        for event in events {
            sleep(pace_ms).await;
            if writer.write(event.as_bytes()).await.is_err() {
                return;
            }
        }
        writer.close().await;
    });
    Ok(body)
}
