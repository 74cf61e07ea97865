//! Cloudflare's Workers AI: by its binding where there is one, else by its
//! OpenAI-compatible API
//! (developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility).

use hatch_dialects::Dialect;

use super::description::Description;
use crate::settings::{binding, vars::wrong};

pub(in crate::models) static WORKERS_AI: Description = Description {
    name: "workers-ai",
    key: "WORKERS_AI_TOKEN",
    binding: Some(binding::AI),
    base_url: |vars| {
        let account = vars.get("WORKERS_AI_ACCOUNT_ID");
        let account = account.ok_or_else(|| wrong("WORKERS_AI_ACCOUNT_ID", "set beside WORKERS_AI_TOKEN"))?;
        let default = format!("https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1");
        vars.base_url("WORKERS_AI_BASE_URL", &default)
    },
    speaks: &[Dialect::Chat],
    takes_keys: false,
    is_openai: false,
};
