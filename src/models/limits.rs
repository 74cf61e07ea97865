//! What an API key may ask of the gateway.

use std::ops::Not;

use hatch_guardrails::{Guard, Policy};
use serde::{Deserialize, Serialize};

use super::routing::AUTO;
use crate::error::Error;

/// What a key may ask, and how. An absent field means no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct KeyLimits {
    /// Ids of models. `openai/*` stands for all ids that begin with `openai/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(min = 1, max = 100)))]
    pub(crate) models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
    /// The most requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1, max = 100_000)))]
    pub(crate) rpm: Option<i64>,
    /// Guardrails for this key's requests, besides the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub(crate) guardrails: Option<Policy>,
    /// Parameters that a model does not support are dropped with a warning, as with `x-gateway-lenient: true`. For
    /// programs that send them unasked and cannot send a header.
    #[serde(skip_serializing_if = "Not::not")]
    pub(crate) lenient: bool,
}

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Budget {
    /// In millionths of a dollar.
    #[cfg_attr(test, schemars(range(min = 0, max = 1_000_000_000_000_i64)))]
    pub(crate) micro_usd: i64,
    pub(crate) per: Period,
}

/// A day or a month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Period {
    Day,
    Month,
}

const MOST_MODELS: usize = 100;
const MOST_RPM: i64 = 100_000;
/// A million dollars.
const MOST_MICRO_USD: i64 = 1_000_000_000_000;

impl KeyLimits {
    /// Reads the text in a key's row. A key without one has no limits.
    pub(crate) fn parse(json: Option<&str>) -> Result<Self, Error> {
        let Some(json) = json else { return Ok(Self::default()) };
        // Limits that cannot be read must refuse the request, not allow it.
        hatch_json::from_str(json).map_err(|error| Error::Internal(format!("the limits of a key: {error}")))
    }

    /// The validation that garde calls.
    pub(crate) fn check(&self, (): &()) -> garde::Result {
        let wrong = |words: &str| Err(garde::Error::new(words));
        if self.models.as_ref().is_some_and(|models| models.is_empty() || models.len() > MOST_MODELS) {
            return wrong("models must name 1 to 100 models");
        }
        if self.models.iter().flatten().any(|model| model == AUTO) {
            return wrong("models must name the models that auto may choose from, and not auto itself");
        }
        if self.rpm.is_some_and(|rpm| !(1..=MOST_RPM).contains(&rpm)) {
            return wrong("rpm must be between 1 and 100000");
        }
        if self.budget.is_some_and(|budget| !(0..=MOST_MICRO_USD).contains(&budget.micro_usd)) {
            return wrong("budget.microUsd must be between 0 and 1000000000000");
        }
        if let Some(policy) = &self.guardrails {
            for rules in [&policy.input, &policy.output] {
                Guard::new(rules).map_err(|error| garde::Error::new(format!("guardrails: {error}")))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_were_written_and_unreadable_limits_are_an_error() {
        let json = r#"{"models":["openai/*"],"budget":{"microUsd":5,"per":"month"},"rpm":3,"lenient":true}"#;
        let limits = KeyLimits::parse(Some(json)).unwrap();
        assert_eq!(serde_json::to_string(&limits).unwrap(), json);
        assert!(KeyLimits::parse(Some("{")).is_err() && KeyLimits::parse(Some(r#"{"budget":1}"#)).is_err());
        assert_eq!(KeyLimits::parse(None).unwrap(), KeyLimits::default());
        assert!(limits.check(&()).is_ok());
        for wrong in [
            r#"{"models":[]}"#,
            r#"{"models":["openai/*","auto"]}"#,
            r#"{"rpm":0}"#,
            r#"{"budget":{"microUsd":-1,"per":"day"}}"#,
        ] {
            assert!(KeyLimits::parse(Some(wrong)).unwrap().check(&()).is_err(), "{wrong}");
        }
    }
}
