//! Clouds that apps can be deployed to: how an app gets there, with whose credentials, and which
//! apps are there. The modules that deploy, delete projects and delete accounts use it.
//!
//! Each cloud is one file with one [`Description`] (description.rs); [`CLOUDS`] lists them. `edge`,
//! which is this Worker itself, is not a cloud and belongs to the deploy module.

mod app;
mod cloudflare;
pub(crate) mod container;
pub(crate) mod credentials;
pub(crate) mod deployment;
mod description;
pub(crate) mod koyeb;
#[cfg(test)]
pub(crate) mod openapi;
pub(crate) mod removal;
pub(crate) mod resolved;
pub(crate) mod store;
pub(crate) use store::OWNED;
pub(crate) mod undeploy;
mod vercel;

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use self::description::Description;
pub(crate) use self::{
    app::{AppSpec, File, Line, Report, State},
    container::Container,
    resolved::{CredentialSource, ResolvedCredentials},
};
use crate::{
    error::Error,
    settings::{ParseSettings, Settings},
};

/// Reports faults in the clouds' variables.
pub(crate) const SETTINGS: &[&[ParseSettings]] = &[cloudflare::SETTINGS, vercel::SETTINGS, koyeb::SETTINGS];

/// All clouds, in the order in which the API lists them.
pub(crate) const CLOUDS: &[Cloud] = &[CLOUDFLARE, VERCEL, KOYEB];

pub(crate) const CLOUDFLARE: Cloud = Cloud(&cloudflare::CLOUD);
pub(crate) const VERCEL: Cloud = Cloud(&vercel::CLOUD);
pub(crate) const KOYEB: Cloud = Cloud(&koyeb::CLOUD);

/// One of [`CLOUDS`].
#[derive(Clone, Copy)]
pub(crate) struct Cloud(&'static Description);

impl Cloud {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        CLOUDS.iter().find(|cloud| cloud.name == name).copied()
    }

    /// The request headers with credentials for any cloud.
    pub(crate) fn headers() -> impl Iterator<Item = &'static str> {
        let of_account = |cloud: &Self| cloud.0.account.as_ref().map(|account| account.header);
        CLOUDS.iter().flat_map(move |cloud| [Some(cloud.0.token_header), of_account(cloud)]).flatten()
    }

    /// # Errors
    /// 400 or 503 with what is missing.
    pub(crate) fn check(
        self,
        name: &str,
        credentials: &ResolvedCredentials,
        container: Option<&Container>,
        settings: &Settings,
    ) -> Result<(), Error> {
        (self.0.check)(name, credentials, container, settings)
    }

    /// # Errors
    /// See [`description::CloudFuture`].
    pub(crate) async fn push(self, app: &AppSpec<'_>, files: &[File<'_>]) -> Result<Report, Error> {
        (self.0.push)(app, files).await
    }

    /// # Errors
    /// See [`description::CloudFuture`].
    pub(crate) async fn poll(self, app: &AppSpec<'_>, since_ms: i64) -> Result<Report, Error> {
        (self.0.poll)(app, since_ms).await
    }

    /// # Errors
    /// See [`description::CloudFuture`].
    pub(crate) async fn undeploy(self, app: &AppSpec<'_>) -> Result<(), Error> {
        (self.0.undeploy)(app).await
    }

    /// Whether the operator has configured at least a part of an account.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] for an invalid variable of the cloud.
    pub(crate) fn is_set(self, settings: &Settings) -> Result<bool, Error> {
        let own = (self.0.own)(settings)?;
        Ok(own.token.is_some() || own.account.is_some())
    }
}

impl Deref for Cloud {
    type Target = Description;

    fn deref(&self) -> &Description {
        self.0
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Cloud {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Cloud {}

impl Serialize for Cloud {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Cloud {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| D::Error::custom(format!("there is no cloud {name}")))
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Cloud {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cloud".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<&str> = CLOUDS.iter().map(|cloud| cloud.name).collect();
        schemars::json_schema!({
            "description": "A cloud that apps can be deployed to.", "type": "string", "enum": names,
        })
    }
}
