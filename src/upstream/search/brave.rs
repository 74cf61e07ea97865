//! Brave's search API: `GET /res/v1/web/search` with the key in `X-Subscription-Token`
//! (https://api-dashboard.search.brave.com/app/documentation).

use serde::Deserialize;

use super::hit::{Hit, LONGEST_ANSWER, encoded, refused, unreadable};
use crate::{error::Error, platform::fetch::OutboundRequest, settings::Settings, upstream::download};

const NAME: &str = "Brave";
const MOST: usize = 20;

#[derive(Deserialize)]
struct SearchResponse {
    /// Missing when nothing was found.
    #[serde(default)]
    web: Results,
}

#[derive(Deserialize, Default)]
struct Results {
    #[serde(default)]
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
}

pub(super) async fn search(
    base_url: &str,
    key: &str,
    query: &str,
    count: usize,
    settings: &Settings,
) -> Result<Vec<Hit>, Error> {
    let url = format!("{base_url}/res/v1/web/search?q={}&count={}", encoded(query), count.clamp(1, MOST));
    let request =
        OutboundRequest::get(url).with("accept", "application/json").with("x-subscription-token", key);
    let body = download::get_with_retries(request, LONGEST_ANSWER, settings)
        .await
        .map_err(|failure| refused(NAME, "BRAVE_API_KEY", &failure))?;
    let answer: SearchResponse = hatch_json::from_str(&body).map_err(|_| unreadable(NAME))?;
    let hits =
        answer.web.results.into_iter().map(|found| Hit::of(&found.title, found.url, &found.description));
    Ok(hits.take(count).collect())
}
