//! What machines reported in the last 24 hours, one report for each hour.

use super::{owner, store, window::MOST_HOURS};
use crate::{
    error::Error,
    http::{RequestContext, page},
    platform::{
        clock::{HOUR_MS, now_ms},
        response::Response,
    },
};

/// `GET /workers/:wallet/metrics?hours=`: the machine's last report of each
/// hour, and its newest one, oldest first. Empty for a machine that does not
/// exist or is not the caller's.
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let hours = page::number(&context, "hours", MOST_HOURS, MOST_HOURS)?;
    let since = now_ms() - i64::from(hours) * HOUR_MS;
    let metrics =
        context.database()?.query_json(store::machines::metrics(&wallet, owner(&context), since)).await?;
    Ok(Response::json(200, metrics.unwrap_or_else(|| "[]".to_owned())))
}
