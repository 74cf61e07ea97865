//! The format of a policy.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The guardrails of a key or a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// Rules for everything that is sent to the model, including tool results.
    pub input: Rules,
    /// Rules for the model's answer: text, reasoning, and tool arguments.
    pub output: Rules,
}

/// The rules for one side. A missing rule is off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rules {
    /// Keys and tokens with a vendor's prefix, private keys, and passwords in URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Rule>,
    /// Values that are named like a secret (`api_key = …`). They also occur in prose, so they can only be flagged.
    pub flag_named_secrets: bool,
    /// Personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<PiiRule>,
    /// Lists of forbidden words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<TermRule>,
    /// Signs of prompt injection: phrases and invisible characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injection: Option<Rule>,
    /// The maximum length of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Limit>,
    /// What to do if a moderation model flags the text. The gateway calls the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Rule>,
    /// A JSON Schema that a complete answer must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<SchemaRule>,
}

/// What to do when a rule matches, and when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What to do with a match.
    pub action: Action,
    /// What to do when the rule fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What to do with a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it pass and report it.
    Flag,
    /// Replace it with a mark.
    Redact,
    /// Let nothing pass from the match on.
    Block,
}

/// What to do when a rule fails, for example because a moderation model does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The text passes.
    Open,
    /// The text is blocked.
    #[default]
    Closed,
}

/// Personal data, and what to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PiiRule {
    /// What to do with it.
    pub action: Action,
    /// What to do when the rule fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Which kinds; if empty, all except IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<PiiKind>,
}

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PiiKind {
    /// An address of e-mail.
    Email,
    /// A number of a payment card (Luhn).
    Card,
    /// A bank account (mod 97).
    Iban,
    /// A telephone number: international, or North American.
    Phone,
    /// A United States social security number, in the issued ranges, or taxpayer number.
    Ssn,
    /// A Canadian social insurance number (Luhn).
    Sin,
    /// A British national insurance number.
    Nino,
    /// A Brazilian taxpayer number of a person (two check digits).
    Cpf,
    /// A Brazilian taxpayer number of a company (two check digits).
    Cnpj,
    /// An Indian identity number (Verhoeff).
    Aadhaar,
    /// A Spanish identity number (check letter).
    Dni,
    /// An Italian tax code (check letter).
    CodiceFiscale,
    /// A Singaporean identity number (check letter).
    Nric,
    /// A Dutch citizen service number, if the text names it so (eleven test).
    Bsn,
    /// A French social security number (key).
    Nir,
    /// An IPv4 address. Version numbers can look the same.
    Ip,
}

/// A list of words and what to do with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TermRule {
    /// The name of the list, used in findings.
    pub name: String,
    /// Its words and phrases. Case is ignored; in scripts with spaces they match whole words only.
    pub terms: Vec<String>,
    /// What to do with them.
    pub action: Action,
}

/// The maximum length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limit {
    /// Bytes of UTF-8.
    pub bytes: usize,
    /// What to do with a longer text. Redacting truncates it.
    pub action: Action,
}

/// A JSON Schema for answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SchemaRule {
    /// A JSON Schema with the keywords that structured outputs support.
    pub schema: Value,
    /// What to do with an answer that does not match.
    pub action: Action,
    /// What to do when the schema cannot be checked.
    #[serde(default)]
    pub on_failure: OnFailure,
}
