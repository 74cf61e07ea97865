//! The current weather at a place, from OpenWeather: `GET /data/2.5/weather`, the
//! key in the query (https://openweathermap.org/current).

use serde::{Deserialize, Serialize};

use super::download;
use crate::{
    error::{Error, UpstreamKind},
    platform::fetch::OutboundRequest,
    settings::{FromVars, ParseSettings, Settings, Vars, parses},
};

/// Reports wrong values of this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Option<Weather>>()];

const LONGEST_ANSWER: usize = 64 * 1024;

/// The access to OpenWeather.
pub(crate) struct Weather {
    key: String,
    base_url: String,
}

/// `None` without a key.
impl FromVars for Option<Weather> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(key) = vars.get("OPENWEATHER_API_KEY") else { return Ok(None) };
        let base_url = vars.base_url("OPENWEATHER_BASE_URL", "https://api.openweathermap.org")?;
        Ok(Some(Weather { key, base_url }))
    }
}

#[derive(Deserialize)]
struct Answer {
    name: String,
    #[serde(default)]
    weather: Vec<Sky>,
    main: Air,
    wind: Option<Wind>,
}

#[derive(Deserialize)]
struct Sky {
    description: String,
}

#[derive(Deserialize)]
struct Air {
    temp: f64,
    feels_like: f64,
    humidity: f64,
}

#[derive(Deserialize)]
struct Wind {
    speed: f64,
}

/// The weather at a place; degrees are Celsius.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Now {
    place: String,
    sky: String,
    temperature: f64,
    feels_like: f64,
    humidity_percent: f64,
    wind_metres_per_second: Option<f64>,
}

/// The weather at a place, by its name.
///
/// # Errors
/// An upstream's, in words without the key.
pub(crate) async fn at(weather: &Weather, place: &str, settings: &Settings) -> Result<Now, Error> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", place)
        .append_pair("units", "metric")
        .append_pair("appid", &weather.key)
        .finish();
    let request = OutboundRequest::get(format!("{}/data/2.5/weather?{query}", weather.base_url));
    let body =
        download::get_with_retries(request, LONGEST_ANSWER, settings).await.map_err(|r| refused(&r))?;
    let answer: Answer = hatch_json::from_str(&body).map_err(|_| {
        Error::upstream(UpstreamKind::Unreadable, "OpenWeather answered something that is not its API")
    })?;
    let sky: Vec<String> = answer.weather.into_iter().map(|sky| sky.description).collect();
    Ok(Now {
        place: answer.name,
        sky: sky.join(", "),
        temperature: answer.main.temp,
        feels_like: answer.main.feels_like,
        humidity_percent: answer.main.humidity,
        wind_metres_per_second: answer.wind.map(|wind| wind.speed),
    })
}

/// Its own words may quote the address with the key in it.
fn refused(refusal: &download::DownloadFailure) -> Error {
    let (kind, detail) = match refusal.status {
        None => (UpstreamKind::Unreachable, "OpenWeather cannot be reached".to_owned()),
        Some(404) => (UpstreamKind::Rejected, "OpenWeather knows no place of this name".to_owned()),
        Some(429) => (UpstreamKind::RateLimited, "OpenWeather takes no more questions for now".to_owned()),
        Some(status @ 400..500) => (
            UpstreamKind::Unauthorized,
            format!("OpenWeather refused the question ({status}): check OPENWEATHER_API_KEY"),
        ),
        Some(status) => (UpstreamKind::Failed, format!("OpenWeather failed ({status})")),
    };
    Error::upstream(kind, detail)
}
