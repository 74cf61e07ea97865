//! OpenAI (platform.openai.com/docs/api-reference).

use hatch_dialects::Dialect;

use super::description::Description;

pub(in crate::models) static OPENAI: Description = Description {
    name: "openai",
    key: "OPENAI_API_KEY",
    binding: None,
    base_url: |vars| vars.base_url("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    speaks: &[Dialect::Chat, Dialect::Responses],
    takes_keys: true,
    is_openai: true,
};
