//! Anthropic's Messages API (platform.claude.com/docs/en/api/messages).

use hatch_dialects::Dialect;

use super::description::Description;

pub(in crate::models) static ANTHROPIC: Description = Description {
    name: "anthropic",
    key: "CLAUDE_API_KEY",
    binding: None,
    base_url: |vars| vars.base_url("CLAUDE_BASE_URL", "https://api.anthropic.com"),
    speaks: &[Dialect::Messages],
    takes_keys: true,
    is_openai: false,
};
