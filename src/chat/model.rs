//! Who answers.

use super::{prompt::Ask, sandbox};
use crate::identity::DailyLimits;
use crate::settings::FromVars as _;
use crate::upstream::anthropic::Claude;
use crate::{
    error::Error,
    http::RequestContext,
    identity::quotas::{self, Quota, Taken},
    platform::pump::{Deadlines, Source},
    settings::Settings,
    store::Database,
    upstream::{
        anthropic,
        sandbox::{self as sandbox_model, Templates},
    },
};

/// The model of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Model {
    Claude(String),
    Sandbox,
}

/// A model, and a word on it where it is not the one that was asked for.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: Model,
    pub(super) note: Option<String>,
}

/// Claude where there is a key; the sandbox model only in development. A model
/// that nobody here knows is answered by the default one, for front ends offer
/// other vendors' models too.
pub(super) fn choose(wanted: Option<&str>, settings: &Settings) -> Result<Choice, Error> {
    let claude = Claude::of(settings)?;
    let default = claude.model.as_str();
    let known =
        wanted.map(|name| if name == default { Some(default) } else { anthropic::models::resolve(name) });
    let model = match (&claude.key, settings.is_development()) {
        (Some(_), _) => Model::Claude(known.flatten().unwrap_or(default).to_owned()),
        (None, true) => Model::Sandbox,
        (None, false) => {
            return Err(Error::NotConfigured {
                variable: "CLAUDE_API_KEY",
                detail: "Set the secret CLAUDE_API_KEY to chat with Claude".to_owned(),
            });
        }
    };
    let note = match (wanted, known) {
        (Some(name), Some(None)) => {
            Some(format!("There is no model {name} here, so {} answered", model.name()))
        }
        _ => None,
    };
    Ok(Choice { model, note })
}

impl Model {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Claude(name) => name,
            Self::Sandbox => sandbox_model::MODEL,
        }
    }

    /// Sets aside what the answer may cost at most.
    pub(super) async fn reserve(
        &self,
        ask: &Ask<'_>,
        user: &str,
        settings: &Settings,
        database: &Database,
    ) -> Result<Option<Taken>, Error> {
        let limits = DailyLimits::of(settings)?;
        let (Self::Claude(name), Some(_)) = (self, limits.budget_micro_usd) else {
            return Ok(None);
        };
        let most = anthropic::models::most_micro_usd(name, ask.tokens());
        quotas::take(Quota::Budget, most, user, limits, database).await
    }

    /// The answer, whose first word has come. A question that turns out to be
    /// too long for Claude is asked once more with less.
    pub(super) async fn ask(
        &self,
        context: &RequestContext,
        ask: Ask<'_>,
        turn_id: &str,
        deadlines: Deadlines,
    ) -> Result<Source, Error> {
        match self {
            Self::Claude(name) => {
                let (settings, tokens) = (&context.settings, ask.tokens());
                let asked = anthropic::stream(settings, &ask.for_claude(name), deadlines).await;
                let Err(Error::Refused { code: anthropic::TOO_LONG, .. }) = asked else { return asked };
                let less = ask.less();
                if less.tokens() == tokens {
                    return asked;
                }
                anthropic::stream(settings, &less.for_claude(name), deadlines).await
            }
            Self::Sandbox => {
                let files =
                    ask.code.iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect();
                let apps = Templates::read(&context.env, Templates::APPS).await?;
                let answer = sandbox_model::answer(&ask.message, Some(&files), &apps);
                let message_id = format!("msg_sandbox_{turn_id}");
                let body = sandbox::body(&message_id, &ask.message, &answer, &context.background)?;
                Source::open(body, deadlines, |_| true)
                    .await
                    .map_err(|_| Error::Internal("the sandbox model is silent".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: Option<&str>, vars: &[(&'static str, &'static str)]) -> (String, Option<String>) {
        let choice = choose(wanted, &Settings::for_test(vars)).unwrap();
        (choice.model.name().to_owned(), choice.note)
    }

    #[test]
    fn an_unknown_model_is_answered_by_the_default_one_and_said_to_be() {
        let vars = [("CLAUDE_API_KEY", "k"), ("CLAUDE_MODEL", "claude-of-tomorrow")];
        assert_eq!(chosen(None, &vars), ("claude-of-tomorrow".to_owned(), None));
        assert_eq!(chosen(Some("claude-of-tomorrow"), &vars), ("claude-of-tomorrow".to_owned(), None));
        assert_eq!(chosen(Some("haiku-4.5"), &vars), ("claude-haiku-5-5".to_owned(), None));
        let (model, note) = chosen(Some("gpt-5.2-codex"), &vars);
        assert_eq!(model, "claude-of-tomorrow");
        assert_eq!(note.unwrap(), "There is no model gpt-5.2-codex here, so claude-of-tomorrow answered");
    }

    #[test]
    fn without_a_key_only_a_development_worker_answers() {
        let development = [("ENVIRONMENT", "development")];
        assert_eq!(chosen(Some("opus-4.5"), &development), ("sandbox".to_owned(), None));
        assert!(chosen(Some("gpt-5.2"), &development).1.unwrap().ends_with("so sandbox answered"));
        assert_eq!(choose(None, &Settings::for_test(&[])).unwrap_err().code(), "not_configured");
    }
}
