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

/// What a binding limits. Its numbers must equal those in wrangler.toml, which code cannot read.
#[derive(Debug)]
struct Limit {
    binding: &'static str,
    policy: &'static str,
    what: &'static str,
    quota: i64,
}

const WINDOW_S: i64 = 60;
const REQUESTS: Limit =
    Limit { binding: binding::RATE_LIMITER, policy: "minute", what: "requests", quota: 600 };
const MAILS: Limit = Limit { binding: binding::MAIL_LIMITER, policy: "mails", what: "mails", quota: 5 };

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
    REQUESTS.count(env, by_address(request)).await
}

/// Counts a mail that is about to be sent to `recipient`, for the address that has asked for it, and
/// for the recipient.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub(crate) async fn count_mail(
    request: &InboundRequest,
    recipient: &str,
    settings: &Settings,
    env: &Env,
) -> Result<(), Error> {
    if !settings.limits_rate {
        return Ok(());
    }
    MAILS.count(env, by_address(request)).await?;
    MAILS.count(env, format!("recipient:{}", recipient.trim().to_lowercase())).await
}

fn by_address(request: &InboundRequest) -> String {
    // Set by Cloudflare, which overwrites a client's value.
    let address = request.header("cf-connecting-ip").unwrap_or_default();
    format!("address:{}", network(&address))
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
        Caller::User(user) if is_counted(route, settings) => {
            REQUESTS.count(env, format!("user:{}", user.id)).await
        }
        _ => Ok(()),
    }
}

/// Adds the policy to the response of a counted request.
pub(crate) fn add_policy(response: Response, route: Option<&Route>, settings: &Settings) -> Response {
    match route {
        Some(route) if is_counted(route, settings) && response.status != 429 => {
            response.with_listed("ratelimit-policy", REQUESTS.policy())
        }
        _ => response,
    }
}

fn is_counted(route: &Route, settings: &Settings) -> bool {
    settings.limits_rate && route.limits.is_counted
}

impl Limit {
    async fn count(&self, env: &Env, key: String) -> Result<(), Error> {
        let missing = |_| Error::NotConfigured {
            variable: self.binding,
            detail: format!("The binding {} is missing from wrangler.toml", self.binding),
        };
        let silent = |e: worker::Error| Error::Unavailable(Service::RateLimiter, e.to_string());
        let limiter = env.rate_limiter(self.binding).map_err(missing)?;
        let outcome = limiter.limit(key).await.map_err(silent)?;
        if outcome.success { Ok(()) } else { Err(self.exceeded(now_ms())) }
    }

    fn exceeded(&self, now: i64) -> Error {
        Error::TooManyRequests(Box::new(Exceeded {
            policy: self.policy,
            code: "rate_limited",
            detail: format!("More than {} {} in {WINDOW_S} seconds", self.quota, self.what),
            limit: self.quota,
            window_s: WINDOW_S,
            // The binding does not say when its window began.
            reset_at_ms: now + WINDOW_S * 1000,
            reset_s: WINDOW_S,
        }))
    }

    /// An item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    fn policy(&self) -> String {
        format!("\"{}\";q={};w={WINDOW_S}", self.policy, self.quota)
    }
}

/// Too many requests at `now`, as the contract shows it.
#[cfg(test)]
pub(crate) fn exceeded(now: i64) -> Error {
    REQUESTS.exceeded(now)
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
    fn each_limit_is_the_one_of_its_binding() {
        let toml = include_str!("../../wrangler.toml");
        for Limit { binding, quota, .. } in [REQUESTS, MAILS] {
            let (_, after) = toml.split_once(&format!("name = \"{binding}\"\n")).unwrap();
            let limit = after.lines().find(|line| line.starts_with("simple")).unwrap();
            assert_eq!(limit, format!("simple = {{ limit = {quota}, period = {WINDOW_S} }}"));
        }
    }
}
