//! Other people's clouds: what each takes and how an app gets there, by whose
//! credentials, and which apps are there. The modules that deploy, that delete
//! projects and that delete accounts all need to know.
//!
//! A cloud is one file with one [`Description`] (description.rs); [`CLOUDS`] lists them. `edge`,
//! this Worker itself, is none of them: it is the deploy module's own.

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
pub(crate) mod take_down;
mod vercel;

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use self::description::Description;
pub(crate) use self::{
    app::{AppSpec, File, Line, Report, State},
    container::Container,
    resolved::{ResolvedCredentials, Source},
};
use crate::{
    error::Error,
    settings::{ParseSettings, Settings},
};

/// Finds what is wrong with the variables of the clouds.
pub(crate) const SETTINGS: &[&[ParseSettings]] = &[cloudflare::SETTINGS, vercel::SETTINGS, koyeb::SETTINGS];

/// Every cloud that apps can be deployed to, in the order in which the API
/// lists them.
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

    /// The request headers that have credentials, for any cloud.
    pub(crate) fn headers() -> impl Iterator<Item = &'static str> {
        let of_account = |cloud: &Self| cloud.0.account.as_ref().map(|account| account.header);
        CLOUDS.iter().flat_map(move |cloud| [Some(cloud.0.token_header), of_account(cloud)]).flatten()
    }

    /// # Errors
    /// 400 or 503 that say what is missing.
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
    /// As of [`description::Answer`].
    pub(crate) async fn push(self, app: &AppSpec<'_>, files: &[File<'_>]) -> Result<Report, Error> {
        (self.0.push)(app, files).await
    }

    /// # Errors
    /// As of [`description::Answer`].
    pub(crate) async fn poll(self, app: &AppSpec<'_>, since_ms: i64) -> Result<Report, Error> {
        (self.0.poll)(app, since_ms).await
    }

    /// # Errors
    /// As of [`description::Answer`].
    pub(crate) async fn take_down(self, app: &AppSpec<'_>) -> Result<(), Error> {
        (self.0.take_down)(app).await
    }

    /// Whether somebody has begun to set an account of the Worker's own.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] for a wrong variable of the cloud's.
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
