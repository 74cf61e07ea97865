//! Chooses the model of a turn, reserves its cost and asks it.

use std::rc::Rc;

use hatch_dialects::{
    Class, Dialect, Reply, Request, Seal, Stream,
    request::{Content, Image as Picture, MediaSource, Message, Part, Role},
    stream_of,
};

use super::{paced, prompt::ChatPrompt, turn::Pricing};
use crate::{
    error::{Error, UpstreamKind},
    http::RequestContext,
    identity::User,
    models::{
        self, AnswerRules, Candidate, Catalogue, FailedCall, KeyLimits, Keys, ModelResponse, PaidWork, Payer,
        Providers, Question, Reservation, SealedKey,
    },
    platform::{
        clock::now_ms,
        pump::{Deadlines, Source},
        stream::Body,
    },
    settings::FromVars as _,
    store::{Database, sealing_key},
    upstream::sandbox::{self as sandbox_model, Templates},
};

/// Model names that front ends use without a version.
const ALIASES: &[(&str, &str)] = &[
    ("opus-4.5", "claude-opus-5-5"),
    ("sonnet-4.5", "claude-sonnet-5-5"),
    ("haiku-4.5", "claude-haiku-5-5"),
];
/// The longest answer, in tokens: enough for an app of many files. A model may have a lower limit.
const LONGEST: u64 = 32_000;

/// Who answers a turn.
#[derive(Debug)]
pub(super) enum Model {
    /// The first of these that answers.
    Of(Vec<Candidate>),
    /// The sandbox model of a development Worker.
    Sandbox,
}

/// The chosen model, and what comes with the choice.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: Model,
    /// Says that another model answers than the one asked for.
    pub(super) note: Option<String>,
    /// The user's own keys of providers.
    keys: Keys,
    /// The keys are not read yet, and taken to be none.
    pub(super) wants_keys: bool,
}

/// What a model is chosen for.
pub(super) struct Ask<'a> {
    /// The name that the client asks for.
    pub(super) wanted: Option<&'a str>,
    pub(super) has_images: bool,
    pub(super) turn_id: &'a str,
    pub(super) user: &'a User,
    pub(super) context: &'a RequestContext,
    pub(super) database: &'a Database,
}

impl Ask<'_> {
    fn keys(&self, kept: Vec<SealedKey>) -> Keys {
        Keys::new(None, kept, &self.user.id, &self.context.settings)
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) source: Source,
    /// Translates its bytes into Claude's events; none if they are.
    pub(super) translation: Option<Stream>,
    pub(super) pricing: Option<Pricing>,
}

/// Chooses among the models that the user can reach. The default model answers
/// for unknown names, because front ends offer models that are not here.
///
/// The user's stored keys were read together with the API key or the session. With other credentials,
/// the batch that begins the turn reads them, unless the model may be one that only they reach:
/// most users have none, and then the choice stays.
///
/// # Errors
/// [`Error::NotConfigured`] without any provider; an error of routing if the
/// user's API key does not allow the model, or a budget pays and its price is not known.
pub(super) async fn choose(ask: &Ask<'_>) -> Result<Choice, Error> {
    let settings = &ask.context.settings;
    if let Some(rows) = &ask.context.owner_rows {
        let kept: Option<Vec<SealedKey>> = rows.first()?;
        return choose_with(ask.keys(kept.unwrap_or_default()), ask).await;
    }
    // None can be stored here.
    if sealing_key(settings).is_err() {
        return choose_with(Keys::default(), ask).await;
    }
    match choose_with(Keys::default(), ask).await {
        Ok(choice) if choice.note.is_none() => Ok(Choice { wants_keys: true, ..choice }),
        _ => choose_with(Keys::of_user(&ask.user.id, settings, ask.database).await?, ask).await,
    }
}

/// The choice for a user with these keys.
async fn choose_with(keys: Keys, ask: &Ask<'_>) -> Result<Choice, Error> {
    let Ask { wanted, user, context, database, .. } = *ask;
    let settings = &context.settings;
    let providers = Providers::of(settings)?;
    let is_open = providers.all.iter().any(|provider| !provider.is_sandbox() && provider.is_open_to(&keys));
    if !is_open {
        return without_provider(wanted, keys, settings.is_development());
    }
    let catalogue = Catalogue::of(settings, database).await?;
    let default = models::default_name(None, &keys, settings)?;
    let known = wanted.and_then(|name| known(name, &default, &catalogue, providers, &keys));
    let limits = KeyLimits::parse(user.gateway.as_deref())?;
    let payer = payer(ask.turn_id, user, &limits);
    let rules = AnswerRules { payer, keys: &keys, settings, database };
    let candidates =
        models::choose(known.as_deref(), None, &like(ask.has_images), &rules).await.map_err(refused)?;
    let model = Model::Of(candidates);
    let note = wanted.filter(|_| known.is_none()).map(|name| replaced(name, model.name()));
    Ok(Choice { model, note, keys, wants_keys: false })
}

/// Who pays for the answer `turn_id`: the user, and the API key with its limits.
fn payer<'a>(turn_id: &'a str, user: &'a User, limits: &'a KeyLimits) -> Payer<'a> {
    let key = user.credential.key_id().map(|key| (key, limits));
    Payer { subject: turn_id, work: PaidWork::ChatAnswer, user: &user.id, key }
}

/// An error of routing in the form of this path.
fn refused(error: Error) -> Error {
    let Error::Model(failure) = error else { return error };
    match failure.error.class {
        Class::Permission => {
            Error::Forbidden { code: "model_not_allowed", detail: failure.error.message.into() }
        }
        _ => Error::Refused { code: "unknown_model", detail: failure.error.message },
    }
}

/// A request that needs of a model what the real one will.
fn like(has_images: bool) -> Request {
    let picture = Picture { source: MediaSource::File(String::new()), detail: None };
    let parts: Vec<Part> = has_images.then(|| Content::Image(picture).into()).into_iter().collect();
    Request { messages: vec![Message::new(Role::User, parts)], ..Request::default() }
}

/// The sandbox model answers only in development.
fn without_provider(wanted: Option<&str>, keys: Keys, is_development: bool) -> Result<Choice, Error> {
    if !is_development {
        return Err(Error::NotConfigured {
            variable: "CLAUDE_API_KEY",
            detail:
                "Set the secret CLAUDE_API_KEY to chat with Claude, or OPENAI_API_KEY or PROVIDERS for other \
                     models; or store a key of your own: PUT /auth/credentials/anthropic"
                    .to_owned(),
        });
    }
    // It stands in for Claude.
    let is_other = |name: &&str| {
        alias(name).is_none() && !name.strip_prefix("anthropic/").unwrap_or(name).starts_with("claude-")
    };
    let note = wanted.filter(is_other).map(|name| replaced(name, sandbox_model::MODEL));
    Ok(Choice { model: Model::Sandbox, note, keys, wants_keys: false })
}

fn replaced(wanted: &str, answered: &str) -> String {
    format!("There is no model {wanted} here, so {answered} answered")
}

fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, id)| *id)
}

/// The name by which a model is found that the user asks for; none if there is no such model.
fn known(
    name: &str,
    default: &str,
    catalogue: &Catalogue,
    providers: &'static Providers,
    keys: &Keys,
) -> Option<String> {
    if default.strip_prefix("anthropic/") == Some(name) {
        return Some(default.to_owned());
    }
    let name = alias(name).unwrap_or(name);
    let is_known = name == models::AUTO || models::resolve(name, catalogue, providers, keys).is_ok();
    is_known.then(|| name.to_owned())
}

/// Claude's models by their own names, others with their provider.
fn name_of(candidate: &Candidate) -> &str {
    if is_claude(candidate) { &candidate.model.name } else { &candidate.model.id }
}

fn is_claude(candidate: &Candidate) -> bool {
    candidate.model.provider == "anthropic"
}

/// The longest answer of a model, in tokens.
fn longest(candidate: &Candidate) -> u64 {
    candidate.model.longest_answer().map_or(models::LONGEST_UNKNOWN, |longest| longest.min(LONGEST))
}

impl Model {
    /// The name of the model that is asked first.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Of(candidates) => candidates.first().map(name_of).unwrap_or_default(),
            Self::Sandbox => sandbox_model::MODEL,
        }
    }
}

impl Choice {
    /// The choice for a user of whom these keys were read, if any were.
    ///
    /// # Errors
    /// As [`choose`].
    pub(super) async fn knowing(self, kept: Option<Vec<SealedKey>>, ask: &Ask<'_>) -> Result<Self, Error> {
        let keys = ask.keys(kept.unwrap_or_default());
        if keys.is_empty() { Ok(self) } else { choose_with(keys, ask).await }
    }

    fn is_own(&self, candidate: &Candidate) -> bool {
        models::is_own(candidate, &self.keys)
    }

    /// Reserves what the answer to a prompt may cost at most. None if it costs the Worker nothing.
    pub(super) async fn reserve(
        &self,
        prompt: &ChatPrompt<'_>,
        ask: &Ask<'_>,
    ) -> Result<Option<Reservation>, Error> {
        let Ask { turn_id, user, context, database, .. } = *ask;
        let Model::Of(candidates) = &self.model else { return Ok(None) };
        let mut ours = candidates.iter().filter(|candidate| !self.is_own(candidate)).peekable();
        if ours.peek().is_none() {
            return Ok(None);
        }
        let prompt_tokens = prompt.tokens_at_most();
        let most = |candidate: &Candidate| candidate.model.most_micro_usd(prompt_tokens, longest(candidate));
        let most = ours.filter_map(most).max().unwrap_or_default();
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        payer(turn_id, user, &limits).reserve(most, &context.settings, database).await.map(Some)
    }

    /// Asks the model, and returns once its answer has begun. A prompt that
    /// is too long for it is sent once more with less context.
    pub(super) async fn ask(
        &self,
        context: &RequestContext,
        prompt: ChatPrompt<'_>,
        turn_id: &str,
        deadlines: Deadlines,
    ) -> Result<Opened, Error> {
        let Model::Of(candidates) = &self.model else {
            return in_sandbox(context, &prompt, turn_id, deadlines).await;
        };
        let tokens = prompt.tokens();
        let asked = self.ask_once(candidates, context, &prompt, turn_id, deadlines).await;
        let Err(Error::Refused { code: TOO_LONG, .. }) = asked else { return asked };
        let less = prompt.less();
        if less.tokens() == tokens {
            return asked;
        }
        self.ask_once(candidates, context, &less, turn_id, deadlines).await
    }

    async fn ask_once(
        &self,
        candidates: &[Candidate],
        context: &RequestContext,
        prompt: &ChatPrompt<'_>,
        turn_id: &str,
        deadlines: Deadlines,
    ) -> Result<Opened, Error> {
        let settings = &context.settings;
        let longest = candidates.iter().map(longest).min().unwrap_or(models::LONGEST_UNKNOWN);
        let request = Request { model: self.model.name().to_owned(), ..prompt.request(longest) };
        let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
        let question = Question {
            request: &request,
            body: None,
            client: Dialect::Messages,
            reply: Reply {
                seal: Some(Rc::new(Unsigned)),
                ..Reply::new(&request, turn_id.replace('-', ""), seconds)
            },
            is_live: true,
            // A picture that the model does not read is an error, not left out.
            is_lenient: false,
            keys: &self.keys,
            anthropic: None,
            watched: Some(deadlines),
            within_ms: settings.timeouts.head_ms,
            filter: &|| None,
        };
        let asked = models::ask(&question, candidates.to_vec(), Providers::of(settings)?).await;
        let has_images = prompt.has_images();
        let (answer, answered) =
            asked.map_err(|failed| into_error(&failed, candidates.first(), has_images))?;
        let pricing = Pricing {
            name: name_of(&answered.candidate).to_owned(),
            is_own_key: self.is_own(&answered.candidate),
            model: answered.candidate.model,
        };
        let (source, translation) = match answer {
            ModelResponse::Live(live) => {
                let is_claudes = answered.upstream == Dialect::Messages;
                let translation =
                    (!is_claudes).then(|| Stream::new(answered.upstream, Dialect::Messages, &answered.reply));
                (live.source, translation)
            }
            ModelResponse::Whole { response, .. } => {
                let events = stream_of(&response, Dialect::Messages, &answered.reply);
                let body = paced::body([events], 0, &context.background)?;
                (opened(body, deadlines).await?, None)
            }
        };
        Ok(Opened { source, translation, pricing: Some(pricing) })
    }
}

/// Lets the thoughts of other models be shown like Claude's. Nobody sends them back, so they need no signature.
#[derive(Debug)]
struct Unsigned;

impl Seal for Unsigned {
    fn seal(&self, _: &str) -> String {
        String::new()
    }

    fn open(&self, _: &str) -> Option<String> {
        None
    }
}

async fn in_sandbox(
    context: &RequestContext,
    prompt: &ChatPrompt<'_>,
    turn_id: &str,
    deadlines: Deadlines,
) -> Result<Opened, Error> {
    let files = prompt.code.iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect();
    let apps = Templates::read(&context.env, Templates::APPS).await?;
    let answer = sandbox_model::answer(&prompt.message, Some(&files), &apps);
    let events = sandbox_model::events(&format!("msg_sandbox_{turn_id}"), &prompt.message, &answer);
    let body = paced::body(events, paced::PACE_MS, &context.background)?;
    Ok(Opened { source: opened(body, deadlines).await?, translation: None, pricing: None })
}

async fn opened(body: Body, deadlines: Deadlines) -> Result<Source, Error> {
    Source::open(body, deadlines, |_| true)
        .await
        .map_err(|_| Error::Internal("an answer that is here already is silent".to_owned()))
}

/// The code for a conversation that exceeds the model's context.
const TOO_LONG: &str = "conversation_too_long";

/// Why the first candidate does not answer, and what to do about it.
fn into_error(failed: &FailedCall, first: Option<&Candidate>, has_images: bool) -> Error {
    let who = match first {
        Some(candidate) if !is_claude(candidate) => format!("The model {}", candidate.model.id),
        _ => "Claude".to_owned(),
    };
    match failed.error.class {
        Class::ContextTooLong | Class::TooLarge => Error::Refused {
            code: TOO_LONG,
            detail: "The project and its conversation are too large for the model: name the files to change, make \
                     large ones smaller, or go on in a new project"
                .to_owned(),
        },
        Class::NotFound => Error::Refused {
            code: "unknown_model",
            detail: "Its provider does not know this model; leave `model` out for the default".to_owned(),
        },
        Class::Invalid if has_images && first.is_some_and(|candidate| !candidate.model.can("images")) => {
            images_unread(&who)
        }
        _ => with_advice(models::described(&failed.error, failed.retry_after_s, &who), &failed.error),
    }
}

/// The error for images that the model `who` does not read.
pub(super) fn images_unread(who: &str) -> Error {
    let detail = format!("{who} does not read images; send the message without them, or to another model");
    Error::Refused { code: "unsupported_by_model", detail }
}

/// Adds to a failure of the model what can be done about it.
fn with_advice(error: Error, of: &hatch_dialects::Error) -> Error {
    let Error::Upstream { kind, detail, retry_after_s } = error else { return error };
    let advice = match kind {
        UpstreamKind::RateLimited => "; try again after the time in Retry-After",
        UpstreamKind::Unauthorized if of.class == Class::Upstream => {
            "; whoever runs this service must change it"
        }
        // Its words say so already.
        UpstreamKind::Unauthorized if of.code.as_deref() == Some(models::KEY_CLOSED) => "",
        UpstreamKind::Unauthorized => "; PUT /auth/credentials/{provider} changes it",
        UpstreamKind::Billing | UpstreamKind::Rejected => "",
        _ => "; try again in a moment",
    };
    Error::Upstream { kind, detail: format!("{detail}{advice}"), retry_after_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{models, settings::Settings};

    fn known_as(name: &str, vars: &[(&'static str, &'static str)]) -> Option<String> {
        let settings = Settings::for_test(vars);
        let (providers, keys) = (Providers::of(&settings).unwrap(), Keys::default());
        let models = ["anthropic/claude-haiku-5-5", "openai/gpt-6"].map(models::Model::for_test);
        let catalogue = Catalogue { models: models.to_vec() };
        let default = models::default_name(None, &keys, &settings).unwrap();
        known(name, &default, &catalogue, providers, &keys)
    }

    #[test]
    fn a_model_is_known_by_its_name_its_id_and_as_front_ends_call_it() {
        let vars = [("CLAUDE_API_KEY", "k"), ("CLAUDE_MODEL", "claude-of-tomorrow"), ("OPENAI_API_KEY", "k")];
        for (name, expected) in [
            ("claude-of-tomorrow", "anthropic/claude-of-tomorrow"),
            ("haiku-4.5", "claude-haiku-5-5"),
            ("gpt-6", "gpt-6"),
            ("openai/gpt-6", "openai/gpt-6"),
            ("auto", "auto"),
        ] {
            assert_eq!(known_as(name, &vars).as_deref(), Some(expected));
        }
        for unknown in ["gpt-5.2-codex", "opus", "claude", "nobody/gpt-6"] {
            assert_eq!(known_as(unknown, &vars), None, "{unknown}");
        }
        assert_eq!(known_as("gpt-6", &vars[..2]), None, "its provider has no key");
    }

    #[test]
    fn without_a_provider_only_a_development_worker_answers() {
        let note = |wanted| without_provider(wanted, Keys::default(), true).unwrap().note;
        assert_eq!(
            (note(None), note(Some("opus-4.5")), note(Some("anthropic/claude-opus-5-5"))),
            (None, None, None)
        );
        assert_eq!(note(Some("gpt-5.2")).unwrap(), "There is no model gpt-5.2 here, so sandbox answered");
        assert_eq!(without_provider(None, Keys::default(), false).unwrap_err().code(), "not_configured");
    }

    #[test]
    fn an_answer_is_as_long_as_its_model_allows() {
        let with = |max_output| {
            let settings = Settings::for_test(&[("CLAUDE_API_KEY", "k")]);
            let provider = Providers::of(&settings).unwrap().open_to(&Keys::default(), "anthropic").unwrap();
            longest(&Candidate::named(
                provider,
                models::Model { max_output, ..models::Model::for_test("anthropic/m") },
            ))
        };
        assert_eq!([with(128_000), with(4_096), with(0)], [LONGEST, 4_096, models::LONGEST_UNKNOWN]);
    }
}
