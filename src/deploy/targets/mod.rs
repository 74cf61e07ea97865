//! Where an app can be deployed to. Each cloud is a file here with the same
//! three functions, `push`, `poll` and `take_down`, over its client in
//! `upstream`; `edge`, this Worker itself, is the room's own (hosting.rs).
//!
//! Whatever they do upstream is named after the project, so that doing it once
//! more, after a crash anywhere in between, leaves what once would have left:
//! a deployment that is there is found again by its mark, or, at Cloudflare,
//! the same script is put once more in its own place.

mod cloudflare;
pub(super) mod koyeb;
mod report;
mod vercel;

pub(super) use report::{Line, Order, Report, State};

use serde::{Deserialize, Deserializer, de::Error as _};
use worker::Env;

use super::{
    container::Container,
    site::{self, Built, File},
};
use crate::{
    clouds::{Cloud, Right},
    error::Error,
    settings::Settings,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[cfg_attr(test, serde(rename_all = "lowercase"), schemars(inline))]
pub(super) enum Target {
    Edge,
    Cloudflare,
    Vercel,
    Koyeb,
}

/// By its name here, or by that which the original's clients have for it.
impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        match String::deserialize(field)?.as_str() {
            "edge" | "herenow" => Ok(Self::Edge),
            "cloudflare" => Ok(Self::Cloudflare),
            "vercel" => Ok(Self::Vercel),
            "koyeb" => Ok(Self::Koyeb),
            "railway" => Err(D::Error::custom(format!("Railway is not offered here; {OFFERED}"))),
            _ => Err(D::Error::custom(format!("is none of our targets; {OFFERED}"))),
        }
    }
}

const OFFERED: &str = "deploy to `edge`, `cloudflare`, `vercel` or `koyeb`";

impl Target {
    pub(super) const fn name(self) -> &'static str {
        match self.cloud() {
            None => "edge",
            Some(cloud) => cloud.name(),
        }
    }

    /// None is this Worker itself.
    pub(super) const fn cloud(self) -> Option<Cloud> {
        match self {
            Self::Edge => None,
            Self::Cloudflare => Some(Cloud::Cloudflare),
            Self::Vercel => Some(Cloud::Vercel),
            Self::Koyeb => Some(Cloud::Koyeb),
        }
    }

    /// What is deployed of a project's code.
    ///
    /// # Errors
    /// As [`site::build`].
    pub(super) async fn files(self, code: &str, env: &Env) -> Result<Result<Built, String>, Error> {
        match self {
            Self::Edge | Self::Cloudflare => site::build(code, env).await,
            Self::Vercel => site::sources_or_build(code, |path| path == "package.json", env).await,
            Self::Koyeb => site::sources_or_build(code, koyeb::is_manifest, env).await,
        }
    }
}

/// Brings `files` to the cloud. What it still has to do is learned by [`poll`].
///
/// # Errors
/// [`Error::Upstream`] with the code `upstream_auth`, `upstream_billing` or
/// `upstream_rejected` for what only the owner can change, its detail for
/// them; any other is tried again, not before its `retry_after_s`.
pub(super) async fn push(cloud: Cloud, order: &Order<'_>, files: &[File]) -> Result<Report, Error> {
    match cloud {
        Cloud::Cloudflare => cloudflare::push(order, files).await,
        Cloud::Vercel => vercel::push(order, files).await,
        Cloud::Koyeb => koyeb::push(order, files).await,
    }
}

/// How the cloud gets on with what was pushed `since_ms` ago.
///
/// # Errors
/// As [`push`].
pub(super) async fn poll(cloud: Cloud, order: &Order<'_>, since_ms: i64) -> Result<Report, Error> {
    match cloud {
        Cloud::Cloudflare => cloudflare::poll(order, since_ms).await,
        Cloud::Vercel => vercel::poll(order, since_ms).await,
        Cloud::Koyeb => koyeb::poll(order, since_ms).await,
    }
}

/// Takes the app down. One that is not there is down.
///
/// # Errors
/// As [`push`].
pub(super) async fn take_down(cloud: Cloud, order: &Order<'_>) -> Result<(), Error> {
    match cloud {
        Cloud::Cloudflare => cloudflare::take_down(order).await,
        Cloud::Vercel => vercel::take_down(order).await,
        Cloud::Koyeb => koyeb::take_down(order).await,
    }
}

/// How long a cloud may take from `push` to the end before it has failed.
pub(super) const fn patience_ms(cloud: Cloud) -> i64 {
    const MINUTE_MS: i64 = 60_000;
    match cloud {
        Cloud::Cloudflare => 5 * MINUTE_MS,
        Cloud::Vercel | Cloud::Koyeb => 30 * MINUTE_MS,
    }
}

/// What a target needs beside credentials, before anything is accepted.
///
/// # Errors
/// 400 or 503 that say what is missing.
pub(super) fn check(
    cloud: Cloud,
    name: &str,
    right: &Right,
    container: Option<&Container>,
    settings: &Settings,
) -> Result<(), Error> {
    match cloud {
        Cloud::Cloudflare | Cloud::Vercel => Ok(()),
        Cloud::Koyeb => koyeb::check(name, right, container, settings),
    }
}
