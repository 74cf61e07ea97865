//! Chooses the model of a turn, reserves its cost and asks it.

use super::{prompt::ChatPrompt, sandbox};
use crate::settings::FromVars as _;
use crate::upstream::anthropic::Claude;
use crate::{
    error::Error,
    http::RequestContext,
    identity::User,
    models::{KeyLimits, PaidWork, Payer, Reservation},
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

/// The chosen model, and a note for the user if it is not the one asked for.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: Model,
    pub(super) note: Option<String>,
}

/// Chooses Claude if there is a key, and the sandbox model only in development.
/// The default model answers for unknown names, because front ends also offer
/// models of other vendors.
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

    /// Reserves what the answer `id` may cost at most.
    pub(super) async fn reserve(
        &self,
        id: &str,
        prompt: &ChatPrompt<'_>,
        user: &User,
        settings: &Settings,
        database: &Database,
    ) -> Result<Option<Reservation>, Error> {
        let Self::Claude(name) = self else { return Ok(None) };
        let most = anthropic::models::most_micro_usd(name, prompt.tokens());
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        let key = user.credential.key_id().map(|key| (key, &limits));
        let payer = Payer { subject: id, work: PaidWork::ChatAnswer, user: &user.id, key };
        payer.reserve(most, settings, database).await.map(Some)
    }

    /// Asks the model, and returns once its first bytes have come. A prompt that
    /// is too long for Claude is sent once more with less context.
    pub(super) async fn ask(
        &self,
        context: &RequestContext,
        prompt: ChatPrompt<'_>,
        turn_id: &str,
        deadlines: Deadlines,
    ) -> Result<Source, Error> {
        match self {
            Self::Claude(name) => {
                let (settings, tokens) = (&context.settings, prompt.tokens());
                let asked = anthropic::stream(settings, &prompt.for_claude(name), deadlines).await;
                let Err(Error::Refused { code: anthropic::TOO_LONG, .. }) = asked else { return asked };
                let less = prompt.less();
                if less.tokens() == tokens {
                    return asked;
                }
                anthropic::stream(settings, &less.for_claude(name), deadlines).await
            }
            Self::Sandbox => {
                let files =
                    prompt.code.iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect();
                let apps = Templates::read(&context.env, Templates::APPS).await?;
                let answer = sandbox_model::answer(&prompt.message, Some(&files), &apps);
                let message_id = format!("msg_sandbox_{turn_id}");
                let body = sandbox::body(&message_id, &prompt.message, &answer, &context.background)?;
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
    fn an_unknown_model_is_answered_by_the_default_one_with_a_note() {
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
