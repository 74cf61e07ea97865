//! Reading one variable, and naming the one that is wrong.

use crate::error::Error;

pub(super) fn base_url(
    var: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: &str,
) -> Result<String, Error> {
    let Some(value) = var(name) else { return Ok(default.to_owned()) };
    match url::Url::parse(&value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value.trim_end_matches('/').to_owned()),
        _ => Err(wrong(name, "an http or https URL")),
    }
}

pub(super) fn number<N: std::str::FromStr>(
    var: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: N,
) -> Result<N, Error> {
    let Some(value) = var(name) else { return Ok(default) };
    value.parse().map_err(|_| wrong(name, "a whole number"))
}

pub(super) fn wrong(variable: &'static str, expected: &str) -> Error {
    Error::NotConfigured { variable, detail: format!("{variable} must be {expected}") }
}
