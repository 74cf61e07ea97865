//! One client for each outside service. Their responses are untrusted: they are read within limits,
//! and never shown as our own words.

pub(crate) mod aitmpl;
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
pub(crate) mod stack_auth;
pub(crate) mod vercel;
pub(crate) mod weather;
pub(crate) mod web;

use crate::settings::ParseSettings;

/// Reports faults in the variables of these clients.
pub(crate) const SETTINGS: &[&[ParseSettings]] = &[
    aitmpl::SETTINGS,
    compiler::SETTINGS,
    concordium::SETTINGS,
    github::SETTINGS,
    livepeer::SETTINGS,
    search::SETTINGS,
    skillsmp::SETTINGS,
    stack_auth::SETTINGS,
    weather::SETTINGS,
    web::SETTINGS,
];
