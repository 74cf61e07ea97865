//! The deploy targets: `edge`, which is this Worker itself, or a cloud.

use serde::{Deserialize, Deserializer, de::Error as _};
use worker::Env;

use super::site::{self, Built};
use crate::{
    clouds::{CLOUDS, Cloud},
    error::Error,
    upstream::compiler::Packages,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Edge,
    Cloud(Cloud),
}

/// By our name, or by a name that the original clients use.
impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        match String::deserialize(field)?.as_str() {
            "edge" | "herenow" => Ok(Self::Edge),
            "railway" => Err(D::Error::custom(format!("Railway is not offered here; {}", offered()))),
            name => match Cloud::parse(name) {
                Some(cloud) => Ok(Self::Cloud(cloud)),
                None => Err(D::Error::custom(format!("is none of our targets; {}", offered()))),
            },
        }
    }
}

fn offered() -> String {
    let clouds: String = CLOUDS.iter().map(|cloud| format!(", `{}`", cloud.name)).collect();
    format!("deploy to one of `edge`{clouds}")
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Cloud(cloud) => cloud.name,
        }
    }

    /// `None` for this Worker itself.
    pub(super) fn cloud(self) -> Option<Cloud> {
        match self {
            Self::Edge => None,
            Self::Cloud(cloud) => Some(cloud),
        }
    }

    /// The files that are deployed for a project's code.
    ///
    /// # Errors
    /// As [`site::build`].
    pub(super) async fn files(
        self,
        code: &str,
        packages: Packages,
        env: &Env,
    ) -> Result<Result<Built, String>, Error> {
        match self {
            Self::Edge => site::build(code, packages, env).await,
            Self::Cloud(cloud) => site::sources_or_build(code, packages, cloud.is_manifest, env).await,
        }
    }
}

#[cfg(test)]
impl serde::Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let clouds = crate::clouds::CLOUDS.iter().map(|cloud| cloud.name);
        let names: Vec<&str> = std::iter::once("edge").chain(clouds).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}
