//! Scripts: ownership tags, upload, address, deletion.

use serde::Deserialize;
use serde_json::{Value, json};
use worker::Method;

use super::{Api, api::Body, errors::ApiFailure};
use crate::{
    error::Error,
    upstream::multipart::{Form, Part},
};

/// The version of the Workers runtime that serves an app; an app has no code of its own.
const COMPATIBILITY_DATE: &str = "2026-11-01";

/// A script that consists of assets.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    /// The token that completes the upload of its assets.
    pub(crate) assets_jwt: &'a str,
    pub(crate) tags: &'a [String],
    /// Shown in the list of its versions.
    pub(crate) message: &'a str,
    /// The text of `_headers` and `_redirects`, which are not files of the app.
    pub(crate) headers: Option<&'a str>,
    pub(crate) redirects: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Service {
    default_environment: Environment,
}

#[derive(Debug, Deserialize)]
struct Environment {
    script: Script,
}

#[derive(Debug, Deserialize)]
struct InNamespace {
    script: Script,
}

#[derive(Debug, Deserialize)]
struct Script {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Subdomain {
    subdomain: String,
}

impl Api<'_> {
    /// The tags of a script; `None` when there is no script with this name.
    pub(crate) async fn tags(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let found = match self.namespace() {
            Some(_) => self
                .call::<InNamespace>(Method::Get, &self.script(name, ""), &Body::Empty)
                .await
                .map(|found| found.script),
            None => self
                .call::<Service>(Method::Get, &self.in_account(&format!("services/{name}")), &Body::Empty)
                .await
                .map(|found| found.default_environment.script),
        };
        match found {
            Ok(script) => Ok(Some(script.tags.unwrap_or_default())),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Creates a script, or replaces the one with its name.
    pub(crate) async fn put_script(&self, name: &str, upload: &Upload<'_>) -> Result<(), Error> {
        let metadata = metadata(upload).to_string();
        let part = Part { name: "metadata", file: None, body: metadata.as_bytes() };
        let body = Body::Multipart(Form::of([part])?);
        let path = self.script(name, "?excludeScript=true&bindings_inherit=strict");
        self.call::<Value>(Method::Put, &path, &body).await?;
        Ok(())
    }

    /// The account's subdomain of `workers.dev`.
    pub(crate) async fn subdomain(&self) -> Result<String, Error> {
        let found: Subdomain = self.call(Method::Get, &self.in_account("subdomain"), &Body::Empty).await?;
        Ok(found.subdomain)
    }

    /// Enables a script's address on `workers.dev`.
    pub(crate) async fn enable_address(&self, name: &str) -> Result<(), Error> {
        let body = Body::DatedJson(json!({ "enabled": true, "previews_enabled": false }));
        self.call::<Value>(Method::Post, &self.script(name, "/subdomain"), &body).await?;
        Ok(())
    }

    /// Deletes a script; a missing one is no error.
    pub(crate) async fn delete_script(&self, name: &str) -> Result<(), Error> {
        match self.call::<Value>(Method::Delete, &self.script(name, "?force=true"), &Body::Empty).await {
            Ok(_) => Ok(()),
            Err(failure) if ApiFailure::is_not_found(&failure) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn metadata(upload: &Upload<'_>) -> Value {
    let mut config = json!({
        "html_handling": "auto-trailing-slash",
        "not_found_handling": "single-page-application",
    });
    for (name, text) in [("_headers", upload.headers), ("_redirects", upload.redirects)] {
        if let (Some(config), Some(text)) = (config.as_object_mut(), text) {
            config.insert(name.to_owned(), Value::from(text));
        }
    }
    json!({
        "assets": { "jwt": upload.assets_jwt, "config": config },
        "compatibility_date": COMPATIBILITY_DATE,
        "compatibility_flags": [],
        "tags": upload.tags,
        "annotations": { "workers/message": upload.message },
    })
}
