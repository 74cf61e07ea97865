//! Vercel: a production deployment of the project that is called as we call
//! the app. It builds what has a package.json, and serves other files as they are.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Line, Order, Report, State, kept, pause_ms, read_kept};
use crate::{
    deploy::site::File,
    error::Error,
    platform::clock::now_ms,
    upstream::vercel::{self, New, Vercel},
};

/// Deployments deleted at the same time: a Worker has six connections.
const CONCURRENT_DELETIONS: usize = 4;

/// What we know of a deployment.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    id: String,
    /// How many lines of its build's log we have told.
    told: usize,
}

fn client<'a>(order: &Order<'a>) -> Vercel<'a> {
    Vercel {
        base_url: &order.settings.clouds.vercel.base_url,
        token: &order.right.credentials.token,
        team: order.right.credentials.account.as_deref(),
        timeout_ms: order.settings.timeouts.head_ms,
    }
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
    let mut ids = vercel.made_by_us(order.name).await?;
    if let Ok(remote) = read_kept::<Remote>(order)
        && !ids.contains(&remote.id)
    {
        ids.push(remote.id);
    }
    let vercel = &vercel;
    stream::iter(ids.iter().map(|id| async move { vercel.delete(id).await }))
        .buffer_unordered(CONCURRENT_DELETIONS)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}
