//! Types that several rows of the fleet share, for the contract.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::openapi::WALLET;

/// A wallet's address.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub(crate) struct Wallet(&'static str);

impl Wallet {
    pub(super) const EXAMPLE: Self = Self("0x52908400098527886e0f7030069857d2e4169ee7");
}

impl JsonSchema for Wallet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wallet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": WALLET })
    }
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(super) enum Health {
    Unknown,
    Healthy,
    Warning,
    Dead,
}
