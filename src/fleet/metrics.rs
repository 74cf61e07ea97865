//! What machines said of themselves lately: an hour at a time, for a day.

use super::{owner, store, window::MOST_HOURS};
use crate::{
    error::Error,
    http::{RequestContext, page},
    platform::{clock::now_ms, response::Response},
};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// `GET /workers/:wallet/metrics?hours=`: what its beats said last in each
/// hour, and what they say now, oldest first. Nothing of a machine that is not
/// yours, or is none.
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let hours = page::number(&context, "hours", MOST_HOURS, MOST_HOURS)?;
    let since = now_ms() - i64::from(hours) * HOUR_MS;
    let metrics = context.database()?.query_json(store::metrics(&wallet, owner(&context), since)).await?;
    Ok(Response::json(200, metrics.unwrap_or_else(|| "[]".to_owned())))
}
