//! The providers of models. Each provider that Hatch knows by name is one file
//! with one [`Description`]; the variable `PROVIDERS` adds others.

mod anthropic;
mod description;
mod openai;
mod workers_ai;

use std::fmt;

use hatch_dialects::{Abilities, Dialect, Target, request::Effort};

pub(super) use self::description::Description;
use super::{keys::Keys, model::Model};
use crate::platform::ai::Ai;

/// The providers of this folder.
pub(super) static DESCRIPTIONS: &[&Description] =
    &[&anthropic::ANTHROPIC, &openai::OPENAI, &workers_ai::WORKERS_AI];

/// A provider that is set up here.
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) upstream: Upstream,
    /// The dialects that it speaks, the preferred one first.
    pub(super) speaks: Vec<Dialect>,
    pub(super) is_openai: bool,
    /// The Worker has no key for it. Only callers with their own key can use it.
    pub(super) is_closed: bool,
    /// Its models that the settings list, besides those of the catalogue.
    pub(super) models: Vec<Model>,
}

/// How a provider is reached.
pub(crate) enum Upstream {
    Http {
        base_url: String,
        key: Option<String>,
        gateway_token: Option<String>,
    },
    /// The binding of Workers AI.
    Binding(Ai),
    /// The sandbox model of a development Worker answers in its place.
    Sandbox,
}

impl fmt::Debug for Provider {
    /// Leaves out its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("speaks", &self.speaks)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// Whether a caller with these keys can use it.
    pub(crate) fn is_open_to(&self, keys: &Keys) -> bool {
        !self.is_closed || keys.has(&self.name)
    }

    /// Whether it was set up with a model of this id.
    pub(crate) fn lists(&self, id: &str) -> bool {
        self.models.iter().any(|model| model.id == id)
    }

    /// Whether this is the sandbox model of a development Worker.
    pub(crate) fn is_sandbox(&self) -> bool {
        matches!(self.upstream, Upstream::Sandbox)
    }

    /// A model that the catalogue does not list, though the provider may know it.
    pub(super) fn unknown_model(&self, name: &str) -> Model {
        let every =
            ["tools", "forced_tools", "images", "documents", "structured_output", "reasoning", "sampling"];
        Model {
            id: format!("{}/{name}", self.name),
            provider: self.name.clone(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            context: 128_000,
            max_output: 0,
            prices: None,
            above: None,
            capabilities: every.map(str::to_owned).to_vec(),
            quality: 3,
            speed: 3,
            is_deprecated: false,
        }
    }

    /// How a request is rendered for one of its models.
    pub(super) fn target(&self, model: &Model, is_lenient: bool, stream: bool) -> Target {
        let is_claude = self.name == "anthropic";
        let can = Abilities {
            sampling: model.can("sampling") || !is_claude && !self.is_openai,
            forced_tools: model.can("forced_tools") || !is_claude,
            mid_system: model.can("mid_system") || !is_claude,
            prefill: model.can("prefill"),
            adaptive_thinking: model.can("adaptive_thinking"),
            between_tools: model.can("between_tools"),
            thinking_off: !model.can("always_thinking"),
            reasoning: model.can("reasoning"),
            max_effort: Effort::Max,
            structured_output: model.can("structured_output"),
            images: model.can("images"),
            documents: model.can("documents"),
            openai: self.is_openai,
            stream_usage: true,
        };
        Target {
            max_output: model.longest_answer(),
            can,
            is_lenient,
            stream,
            ..Target::new(model.name.clone())
        }
    }

    /// Whether it refuses one of [`Request::refused_by_thinking`] for this model. Of others than OpenAI
    /// only temperatures are refused; what they do not know is left out.
    ///
    /// [`Request::refused_by_thinking`]: hatch_dialects::Request::refused_by_thinking
    pub(super) fn refuses(&self, model: &Model, setting: &str) -> bool {
        let can = self.target(model, false, false).can;
        !can.sampling && (can.openai || matches!(setting, "temperature" | "top_p"))
    }

    /// The dialect for a client's request: the client's own if the provider speaks it.
    pub(crate) fn dialect_for(&self, client: Dialect) -> Dialect {
        let same = self.speaks.iter().find(|dialect| **dialect == client);
        same.or(self.speaks.first()).copied().unwrap_or(Dialect::Chat)
    }
}

/// The path behind the base URL for requests of this dialect.
pub(super) fn path_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "/chat/completions",
        Dialect::Responses => "/responses",
        Dialect::Messages => "/v1/messages",
    }
}
