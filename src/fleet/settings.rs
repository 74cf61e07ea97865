//! Settings of the fleet: heartbeats, payouts and the domain of deployments.

use crate::{
    error::Error,
    settings::{Environment, FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Parsers that check this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Fleet>()];

#[derive(Debug)]
pub(super) struct Fleet {
    /// Whether beats are accepted without a proof.
    pub(super) heartbeats_are_open: bool,
    /// How often machines should beat.
    pub(super) heartbeat_seconds: u32,
    /// By how many milliseconds a machine's window in KV may lag; with none,
    /// nothing is written there.
    pub(super) mirror_ms: Option<i64>,
    /// The price of a second of uptime, a uint256 in decimal.
    pub(super) payout_rate: Option<String>,
    /// The domain of deployments, with a port if it has one.
    pub(super) domain: String,
}

impl FromVars for Fleet {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            heartbeats_are_open: match vars.get("HEARTBEAT_AUTH").as_deref() {
                Some("open") => true,
                Some("required") => false,
                None => Environment::of(vars)?.is_development(),
                Some(_) => return Err(wrong("HEARTBEAT_AUTH", "`required` or `open`")),
            },
            heartbeat_seconds: heartbeat_seconds(vars)?,
            mirror_ms: mirror_seconds(vars)?.map(mirror_ms),
            payout_rate: payout_rate(vars.get("PAYOUT_RATE"))?,
            domain: domain(vars.get("FLEET_DOMAIN"))?,
        })
    }
}

/// At most half an hour, or else a living machine would look dead.
fn heartbeat_seconds(vars: &Vars) -> Result<u32, Error> {
    let seconds: u32 = vars.number("HEARTBEAT_SECONDS", 300)?;
    match seconds {
        60..=1500 => Ok(seconds),
        _ => Err(wrong("HEARTBEAT_SECONDS", "from 60 to 1500")),
    }
}

/// Together with the time between two beats less than half an hour, or else
/// readers of KV would take a living machine for dead.
fn mirror_seconds(vars: &Vars) -> Result<Option<u32>, Error> {
    const NAME: &str = "HEARTBEAT_MIRROR_SECONDS";
    if vars.get(NAME).as_deref() == Some("off") {
        return Ok(None);
    }
    let seconds: u32 = vars.number(NAME, 300.min(1500 - heartbeat_seconds(vars)?))?;
    match seconds.saturating_add(heartbeat_seconds(vars)?) {
        ..=1500 => Ok(Some(seconds)),
        _ => Err(wrong(NAME, "`off`, or at most 1500 together with HEARTBEAT_SECONDS")),
    }
}

/// A machine's timer is late by the duration of the last beat. Without some
/// grace, every beat would come just before the mirror is due.
fn mirror_ms(seconds: u32) -> i64 {
    const GRACE_MS: i64 = 15_000;
    if seconds == 0 { 0 } else { 1000 * i64::from(seconds) + GRACE_MS }
}

fn payout_rate(rate: Option<String>) -> Result<Option<String>, Error> {
    let is_amount =
        |rate: &String| rate.len() <= 78 && !rate.is_empty() && rate.bytes().all(|b| b.is_ascii_digit());
    match rate {
        Some(rate) if !is_amount(&rate) => Err(wrong("PAYOUT_RATE", "a whole number in decimal")),
        rate => Ok(rate),
    }
}

fn domain(domain: Option<String>) -> Result<String, Error> {
    let Some(domain) = domain else { return Ok("localhost".to_owned()) };
    let origin = format!("https://a.{domain}/");
    match url::Url::parse(&origin) {
        // The origin is unchanged, so the text is exactly a host and a port.
        Ok(url) if url.as_str() == origin && url.path() == "/" && url.username().is_empty() => Ok(domain),
        _ => Err(wrong("FLEET_DOMAIN", "a domain in lower case, with a port if need be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_host_and_a_port_and_nothing_more() {
        let parse = |domain| Fleet::from_vars(&Vars::for_test(&[("FLEET_DOMAIN", domain)]));
        assert_eq!(parse("fleet.example:8443").unwrap().domain, "fleet.example:8443");
        for wrong in [
            "https://fleet.example",
            "fleet.example/x",
            "Fleet.example",
            "b@fleet.example",
            "fleet.example?x",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable: "FLEET_DOMAIN", .. }), "{wrong}");
        }
    }
}
