//! Vercel: a production deployment of the project that is called as we call
//! the app. It builds what has a package.json, and serves other files as they are.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::report::{Line, Order, Report, State, kept, pause_ms, read_kept};
use crate::{
    deploy::site::File,
    error::{Error, UpstreamKind},
    platform::clock::now_ms,
    upstream::vercel::{self, New, Vercel},
};

/// Deployments deleted at the same time: a Worker has six connections.
const CONCURRENT_DELETIONS: usize = 4;
/// Pages of a hundred deployments that one go looks through: a Worker may call
/// others a thousand times.
const PAGES: usize = 5;

/// What we know of a deployment.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    id: String,
    /// How many lines of its build's log we have told.
    told: usize,
}

fn client<'a>(order: &Order<'a>) -> Vercel<'a> {
    order.right.vercel(order.settings)
}

pub(super) async fn push(order: &Order<'_>, files: &[File]) -> Result<Report, Error> {
    let (vercel, mark) = (client(order), order.mark()?);
    let files: Vec<(&str, &str)> =
        files.iter().map(|file| (file.path.as_str(), file.content.as_str())).collect();
    // Whoever began with this before us may have died just after it.
    let id = match vercel.find(order.name, mark).await? {
        Some(id) => id,
        None => vercel.create(&New { name: order.name, mark, files: &files }).await?,
    };
    Ok(Report {
        state: State::Going { after_ms: pause_ms(0) },
        lines: vec![Line::info("Vercel has it, and builds it")],
        remote: Some(kept(&Remote { id, told: 0 })?),
    })
}

pub(super) async fn poll(order: &Order<'_>, since_ms: i64) -> Result<Report, Error> {
    let (vercel, remote) = (client(order), read_kept::<Remote>(order)?);
    // First the state: what the log has by then is all that led to it.
    let state = match vercel.state(&remote.id, now_ms()).await? {
        vercel::State::Building => State::Going { after_ms: pause_ms(since_ms) },
        vercel::State::Ready { url } => State::Live { url: Some(url) },
        vercel::State::Failed { reason } => State::Failed { reason },
    };
    // A deployment does not fail for want of its log.
    let log = vercel.log(&remote.id).await.unwrap_or_default();
    let lines: Vec<Line> = log
        .into_iter()
        .skip(remote.told)
        .map(|line| Line { level: if line.is_error { "error" } else { "info" }, message: line.text })
        .collect();
    let told = remote.told + lines.len();
    Ok(Report { state, lines, remote: Some(kept(&Remote { told, ..remote })?) })
}

/// Deletes every deployment that we have made of the app: an older one would
/// still answer at an address of its own.
pub(super) async fn take_down(order: &Order<'_>) -> Result<(), Error> {
    let vercel = client(order);
    // Its mark may have been removed.
    if let Ok(remote) = read_kept::<Remote>(order) {
        vercel.delete(&remote.id).await?;
    }
    let mut before = None;
    for _ in 0..PAGES {
        let made = vercel.made_by_us(order.name, before).await?;
        delete(&vercel, &made.ids).await?;
        if made.next.is_none() {
            return Ok(());
        }
        before = made.next;
    }
    Err(unfinished())
}

/// Another go finds fewer of them.
fn unfinished() -> Error {
    Error::upstream(UpstreamKind::Busy, "Vercel has more deployments of this app than one go deletes")
}

async fn delete(vercel: &Vercel<'_>, ids: &[String]) -> Result<(), Error> {
    stream::iter(ids.iter().map(|id| vercel.delete(id)))
        .buffer_unordered(CONCURRENT_DELETIONS)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}
