//! Limits the request rate per address and per user with the Rate Limiting binding. The binding
//! counts in each Cloudflare location separately and is meant to stop floods; exact limits are
//! counted in the database ([`crate::identity::quotas`]).

use std::net::Ipv6Addr;

use worker::Env;

use crate::{
    error::{Error, Exceeded, Service},
    http::{caller::Caller, route::Route},
    platform::{clock::now_ms, request::InboundRequest, response::Response},
    settings::{Settings, binding},
};

/// Must equal `simple` of the binding in wrangler.toml, which code cannot read.
const LIMIT: i64 = 600;
const WINDOW_S: i64 = 60;
const POLICY: &str = "minute";

/// Counts a request for its address, before it causes any database query.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub(crate) async fn count_address(
    request: &InboundRequest,
    route: &Route,
    settings: &Settings,
    env: &Env,
) -> Result<(), Error> {
    // A credential causes a lookup on every route, so such requests always count.
    let is_counted = is_counted(route, settings) || (settings.limits_rate && request.credential().is_some());
    if !is_counted {
        return Ok(());
    }
    // Set by Cloudflare, which overwrites a client's value.
    let address = request.header("cf-connecting-ip").unwrap_or_default();
    count(env, format!("address:{}", network(&address))).await
}

/// What counts as one client: an IPv4 address, or the /64 network of an IPv6 address.
fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(address) => (address.to_bits() >> 64).to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Counts a request for its user, from any address.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub(crate) async fn count_caller(
    caller: &Caller,
    route: &Route,
    settings: &Settings,
    env: &Env,
) -> Result<(), Error> {
    match caller {
        Caller::User(user) if is_counted(route, settings) => count(env, format!("user:{}", user.id)).await,
        _ => Ok(()),
    }
}

/// Adds the policy to the response of a counted request.
pub(crate) fn add_policy(response: Response, route: Option<&Route>, settings: &Settings) -> Response {
    match route {
        Some(route) if is_counted(route, settings) && response.status != 429 => {
            response.with_listed("ratelimit-policy", format!("\"{POLICY}\";q={LIMIT};w={WINDOW_S}"))
        }
        _ => response,
    }
}

fn is_counted(route: &Route, settings: &Settings) -> bool {
    settings.limits_rate && route.limits.is_counted
}

async fn count(env: &Env, key: String) -> Result<(), Error> {
    let missing = |_| Error::NotConfigured {
        variable: binding::RATE_LIMITER,
        detail: format!("The binding {} is missing from wrangler.toml", binding::RATE_LIMITER),
    };
    let silent = |e: worker::Error| Error::Unavailable(Service::RateLimiter, e.to_string());
    let limiter = env.rate_limiter(binding::RATE_LIMITER).map_err(missing)?;
    let outcome = limiter.limit(key).await.map_err(silent)?;
    if outcome.success { Ok(()) } else { Err(exceeded(now_ms())) }
}

pub(crate) fn exceeded(now: i64) -> Error {
    Error::TooManyRequests(Box::new(Exceeded {
        policy: POLICY,
        code: "rate_limited",
        detail: format!("More than {LIMIT} requests in {WINDOW_S} seconds"),
        limit: LIMIT,
        window_s: WINDOW_S,
        // The binding does not say when its window began.
        reset_at_ms: now + WINDOW_S * 1000,
        reset_s: WINDOW_S,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one() {
        assert_eq!(network("2001:db8::1"), network("2001:db8:0:0:ffff::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn the_policy_is_the_one_of_the_binding() {
        let toml = include_str!("../../wrangler.toml");
        assert!(toml.contains(&format!("simple = {{ limit = {LIMIT}, period = {WINDOW_S} }}")));
    }
}
