//! The queue's consumer. It acknowledges or retries each message separately, so that a failed
//! message does not affect the others.

use std::rc::Rc;

use futures::future::join_all;
use worker::{Env, MessageBatch, MessageExt as _, QueueRetryOptionsBuilder, RawMessage};

use super::{JobContext, JobKinds, dead_letters, outbox::Notice, work};
use crate::{error::Error, platform::log};

/// The suffix of the dead-letter queue's name (wrangler.toml).
const DEAD_LETTER_QUEUE: &str = "-dead";
/// The pause after a message that could not be handled.
const PAUSE_MS: i64 = 5_000;

/// Consumes a batch of either queue.
pub(crate) async fn consume(batch: &MessageBatch<String>, env: &Env, kinds: JobKinds) {
    let dead = batch.queue().ends_with(DEAD_LETTER_QUEUE);
    // Concurrently: a step that waits for Claude must not block the others.
    let handled = batch.raw_iter().map(|message| async move {
        let body = text(&message);
        let handled = match JobContext::open(env) {
            // Only the message is lost. The outbox sends the job again.
            Ok(context) if dead => keep(&context, &body, "the queue gave up delivering it").await,
            Ok(context) => receive(Rc::new(context), kinds, &body).await,
            Err(error) => Err(error),
        };
        acknowledge(&message, handled);
    });
    join_all(handled).await;
}

/// The body as text; a body that is no string is not ours and is shown in debug form.
fn text(message: &RawMessage) -> String {
    let body = message.body();
    body.as_string().unwrap_or_else(|| format!("{body:?}"))
}

/// Runs one step of the job that `body` names. Returns the delay in milliseconds after which the
/// message must come again, if any.
async fn receive(context: Rc<JobContext>, kinds: JobKinds, body: &str) -> Result<Option<i64>, Error> {
    let Some(notice) = Notice::read(body) else {
        return keep(&context, body, "not a message of ours").await;
    };
    let Some(job) = work::take(&context, &notice.job_id).await? else { return Ok(None) };
    work::advance(&context, kinds, &job).await
}

async fn keep(context: &JobContext, body: &str, reason: &str) -> Result<Option<i64>, Error> {
    let letter = dead_letters::of_message(body, reason)?;
    context.database.query(letter).await.map(|_| None)
}

fn acknowledge(message: &RawMessage, handled: Result<Option<i64>, Error>) {
    let pause = handled.unwrap_or_else(|error| {
        log::failure("jobs.consume", &error);
        Some(PAUSE_MS)
    });
    match pause {
        None => message.ack(),
        Some(pause) => {
            let seconds = u32::try_from(pause / 1000).unwrap_or(u32::MAX);
            message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(seconds).build());
        }
    }
}
