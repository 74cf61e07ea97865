//! `GET /v1/usage`: the caller's calls and spending.

use chrono::{DateTime, Days, NaiveDate};

use super::store;
use crate::{
    error::Error,
    http::RequestContext,
    platform::{clock::now_ms, response::Response},
};

/// How many days are summed by default, up to today.
const DEFAULT_DAYS: u64 = 30;
const GROUPS: [&str; 3] = ["day", "model", "key"];

/// `GET /v1/usage?from=&to=&group_by=day,model,key&key=`: sums of the caller's
/// calls between two days (UTC, both included).
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let today = DateTime::from_timestamp_millis(now_ms()).unwrap_or_default().date_naive();
    let first = today.checked_sub_days(Days::new(DEFAULT_DAYS - 1)).unwrap_or(today);
    let (from, to) = (day(&context, "from")?.unwrap_or(first), day(&context, "to")?.unwrap_or(today));
    if from > to {
        return Err(Error::invalid("from", "must not be after `to`"));
    }
    let by = groups(context.query("group_by").as_deref().unwrap_or("day"))?;
    let key = context.query("key");
    let (from, to) = (from.to_string(), to.to_string());
    let rows = context.database()?.query_json(store::usage(user, &from, &to, by, key.as_deref())).await?;
    let data = rows.unwrap_or_else(|| "[]".to_owned());
    Ok(Response::json(200, format!(r#"{{"object":"list","from":"{from}","to":"{to}","data":{data}}}"#)))
}

fn day(context: &RequestContext, name: &str) -> Result<Option<NaiveDate>, Error> {
    let Some(text) = context.query(name) else { return Ok(None) };
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text);
    day.map(Some).ok_or_else(|| Error::invalid(name, "must be a day, such as 2026-11-29"))
}

/// For each of [`GROUPS`], whether the list names it.
pub(super) fn groups(list: &str) -> Result<[bool; 3], Error> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    if names.iter().any(|name| !GROUPS.contains(name)) {
        return Err(Error::invalid("group_by", "must be a list of `day`, `model` and `key`"));
    }
    Ok(GROUPS.map(|group| names.contains(&group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_can_be_listed_in_any_order() {
        assert_eq!(groups("key, day").unwrap(), [true, false, true]);
        assert!(groups("").is_err() && groups("day,user").is_err());
    }
}
