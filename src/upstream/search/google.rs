//! Google's Custom Search JSON API, which is closed to new customers and ends on 2027-01-01: `GET
//! /customsearch/v1` with the key in the query
//! (https://developers.google.com/custom-search/v1/reference/rest/v1/cse/list).

use serde::Deserialize;

use super::hit::{Hit, LONGEST_ANSWER, encoded, refused, unreadable};
use crate::{error::Error, platform::fetch::OutboundRequest, settings::Settings, upstream::download};

const NAME: &str = "Google";
const MOST: usize = 10;

#[derive(Deserialize)]
struct SearchResponse {
    /// Missing when nothing was found.
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    link: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    snippet: String,
}

pub(super) async fn search(
    base_url: &str,
    key: &str,
    engine: &str,
    query: &str,
    count: usize,
    settings: &Settings,
) -> Result<Vec<Hit>, Error> {
    let (key, engine, query, num) = (encoded(key), encoded(engine), encoded(query), count.clamp(1, MOST));
    let url = format!("{base_url}/customsearch/v1?key={key}&cx={engine}&q={query}&num={num}&safe=active");
    let body = download::get_with_retries(OutboundRequest::get(url), LONGEST_ANSWER, settings)
        .await
        .map_err(|failure| refused(NAME, "GOOGLE_API_KEY and GOOGLE_CSE_ID", &failure))?;
    let answer: SearchResponse = hatch_json::from_str(&body).map_err(|_| unreadable(NAME))?;
    Ok(answer
        .items
        .into_iter()
        .map(|item| Hit::of(&item.title, item.link, &item.snippet))
        .take(count)
        .collect())
}
