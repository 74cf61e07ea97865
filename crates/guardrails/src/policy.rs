//! What a policy says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The guardrails of a key or a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// What holds for what goes to the model, tools' results included.
    pub input: Rules,
    /// What holds for what the model answers: text, reasoning, and arguments of tools.
    pub output: Rules,
}

/// What holds on one side. What is not named does not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rules {
    /// Keys and tokens that their vendors mark by a prefix, private keys, and passwords in addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Rule>,
    /// Values that are called a secret (`api_key = …`). Prose has such, too: they can only be flagged.
    pub flag_named_secrets: bool,
    /// Personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<PiiRule>,
    /// Words that may not be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<TermRule>,
    /// Phrases and invisible characters by which texts give orders to a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injection: Option<Rule>,
    /// How long a text may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Limit>,
    /// What a moderation model flags. The gateway asks it; here is only what to do then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Rule>,
    /// What an answer must look like, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<SchemaRule>,
}

/// What to do when a rule finds something, and when it cannot look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What to do with what is found.
    pub action: Action,
    /// What to do when the rule fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What to do with what a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it pass and say so.
    Flag,
    /// Put a mark in its place.
    Redact,
    /// Let nothing pass from there on.
    Block,
}

/// What holds when a rule cannot do its work, as when a moderation model does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The text passes.
    Open,
    /// It does not.
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
    /// Which kinds; none named are all but addresses of computers.
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
    /// A United States social security number, in its ranges, or taxpayer number.
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
    /// A Dutch citizen service number, where it is called so (eleven test).
    Bsn,
    /// A French social security number (key).
    Nir,
    /// An address of a computer, version 4. Versions of programs look the same.
    Ip,
}

/// A list of words and what to do with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TermRule {
    /// The name of the list, by which findings are told.
    pub name: String,
    /// Its words and phrases. They are found in any case, as whole words where the script has spaces.
    pub terms: Vec<String>,
    /// What to do with them.
    pub action: Action,
}

/// How long a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limit {
    /// Bytes of UTF-8.
    pub bytes: usize,
    /// What to do with a longer text; to redact it is to cut it off.
    pub action: Action,
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SchemaRule {
    /// A JSON Schema, of what structured outputs know of it.
    pub schema: Value,
    /// What to do with another answer.
    pub action: Action,
    /// What to do when the schema cannot be followed.
    #[serde(default)]
    pub on_failure: OnFailure,
}
