//! One client for each outside service. What they answer is untrusted: read
//! within limits, and never passed on as our own words.

pub(crate) mod aitmpl;
pub(crate) mod anthropic;
pub(crate) mod aws;
mod cloud_api;
pub(crate) mod cloudflare;
pub(crate) mod compiler;
pub(crate) mod concordium;
pub(crate) mod connected;
pub(crate) mod download;
pub(crate) mod github;
pub(crate) mod koyeb;
pub(crate) mod livepeer;
mod multipart;
pub(crate) mod retry;
pub(crate) mod sandbox;
pub(crate) mod search;
pub(crate) mod skillsmp;
pub(crate) mod vercel;
pub(crate) mod weather;
pub(crate) mod web;

use crate::settings::ParseSettings;

/// Finds what is wrong with the variables of these.
pub(crate) const SETTINGS: &[&[ParseSettings]] = &[
    aitmpl::SETTINGS,
    anthropic::SETTINGS,
    compiler::SETTINGS,
    concordium::SETTINGS,
    github::SETTINGS,
    livepeer::SETTINGS,
    search::SETTINGS,
    skillsmp::SETTINGS,
    weather::SETTINGS,
    web::SETTINGS,
];
