//! One model of one provider, with its abilities and prices.

use serde::{Deserialize, Serialize};

/// Prices in micro-dollars for a million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prices {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_long: u64,
}

/// The prices for a prompt of more than `tokens` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
pub(crate) struct Above {
    pub(crate) tokens: u64,
    #[serde(flatten)]
    pub(crate) prices: Prices,
}

/// The longest answer of a model whose limit is not known, in tokens.
pub(crate) const LONGEST_UNKNOWN: u64 = 8_192;

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    /// `provider/name`.
    pub(crate) id: String,
    pub(crate) provider: String,
    /// The provider's name for it.
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// The most tokens of a prompt.
    pub(crate) context: i64,
    /// The most tokens of an answer; 0 if that is not known, or of a model that writes none.
    pub(crate) max_output: i64,
    /// None if they are not known.
    pub(crate) prices: Option<Prices>,
    pub(crate) above: Option<Above>,
    pub(crate) capabilities: Vec<String>,
    /// 1 to 5.
    pub(crate) quality: i64,
    /// 1 to 5.
    pub(crate) speed: i64,
    #[serde(default)]
    pub(crate) is_deprecated: bool,
}

impl Model {
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// The most tokens of an answer, if that is known.
    pub(crate) fn longest_answer(&self) -> Option<u64> {
        u64::try_from(self.max_output).ok().filter(|tokens| *tokens > 0)
    }

    /// Whether `auto` may choose it: it writes, and stays.
    pub(crate) fn is_for_auto(&self) -> bool {
        !self.is_deprecated && self.longest_answer().is_some()
    }

    #[cfg(test)]
    pub(crate) fn for_test(id: &str) -> Self {
        let (provider, name) = id.split_once('/').unwrap();
        Self {
            id: id.to_owned(),
            provider: provider.to_owned(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            context: 200_000,
            max_output: 64_000,
            prices: Some(Prices {
                input: 1_000_000,
                output: 5_000_000,
                cache_read: 100_000,
                cache_write: 1_250_000,
                cache_write_long: 2_000_000,
            }),
            above: None,
            capabilities: vec!["tools".to_owned()],
            quality: 3,
            speed: 3,
            is_deprecated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_not_known() {
        let longest = |max_output| Model { max_output, ..Model::for_test("openai/gpt-7") }.longest_answer();
        assert_eq!([longest(4_096), longest(0), longest(-1)], [Some(4_096), None, None]);
    }
}
