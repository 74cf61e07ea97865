//! Chat: a person says what to build, Claude answers with files.
//!
//! `stream` and `history`. A turn's two sides are rows before the model is
//! asked, and whatever becomes of the stream, what arrived is saved
//! (turn.rs).

#[cfg(test)]
pub(crate) mod contract;
mod prompt;
mod replay;
mod sandbox;
mod store;
mod turn;

use garde::Validate;
use serde::Deserialize;
use worker::Env;

use crate::{
    accounts::quotas::{self, Quota},
    error::Error,
    http::{Exchange, body, page},
    platform::{
        clock::now_ms,
        log,
        pump::{Deadlines, Source},
        response::Response,
        stream,
    },
    settings::{ChatFormat, Settings},
    store::{Database, projects},
    upstream::{anthropic, retry, sandbox as sandbox_model},
};

const NOT_FOUND: Error = Error::NotFound("Project not found");

/// How long Claude is read on for after the client left: the platform ends an
/// invocation about 30 s after that, and saving takes some of it.
const AFTER_CLIENT_MS: i64 = 25_000;
/// How much longer than the deadlines say a slow database may make a turn.
const MARGIN_MS: i64 = 30_000;

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NewMessage {
    #[garde(length(min = 1, max = 64))]
    project_id: String,
    #[garde(length(chars, min = 1, max = 32_000), custom(not_blank))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    message: String,
    #[serde(default)]
    #[garde(inner(custom(model_id)))]
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$")))]
    model: Option<String>,
}

fn not_blank(message: &str, (): &()) -> garde::Result {
    if message.trim().is_empty() { Err(garde::Error::new("must not be blank")) } else { Ok(()) }
}

fn model_id(model: &str, (): &()) -> garde::Result {
    let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    match (1..=64).contains(&model.len()) && model.bytes().all(is_id) {
        true => Ok(()),
        false => Err(garde::Error::new("is not the id of a model")),
    }
}

/// `POST /api/chat`
pub(crate) async fn stream(exchange: Exchange) -> Result<Response, Error> {
    let user = exchange.caller.user_id()?.to_owned();
    let format = format(&exchange)?;
    let new: NewMessage = body::json(&exchange).await?;
    let settings = &exchange.settings;
    let model = Model::of(settings, new.model)?;
    let database = exchange.database()?;

    let mut turn = turn::Turn {
        id: exchange.new_id("answer")?,
        question_id: exchange.new_id("question")?,
        project_id: new.project_id,
        user,
        model: model.name().to_owned(),
        counted: None,
        reserved: None,
    };
    if exchange.is_again()
        && let Some(answer) = replay::answer(&turn, format, &database, &exchange).await?
    {
        return Ok(answer);
    }
    turn.counted = quotas::take(Quota::Chat, 1, &turn.user, &settings.daily_limits, &database).await?;
    let deadlines = Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: AFTER_CLIENT_MS };
    let mut has_begun = false;
    let asked = async {
        let begun = store::begin(&turn, &new.message, settings.chat_history_bytes(), now_ms());
        let [project, history, question, _] = database.batch(begun).await?;
        match (project.is_empty(), question.is_empty()) {
            (true, _) => return Err(NOT_FOUND),
            // Another request with the same Idempotency-Key has just begun it.
            (false, true) => return Err(replay::still_streaming()),
            (false, false) => has_begun = true,
        }
        let base = turn::Base::of(&project)?;
        let ask = prompt::Ask { message: new.message, code: &base.code, history: history.read()? };
        turn.reserved = model.reserve(&ask, &turn.user, settings, &database).await?;
        let source = model.ask(&exchange, ask, &turn, deadlines).await?;
        Ok((base, source, stream::channel()?))
    };
    let (base, source, (client, body)) = match asked.await {
        Ok(asked) => asked,
        Err(error) => {
            // Nothing was answered, so the turn never was. Rows that even
            // this leaves behind are ended by the sweep.
            let taken = [&turn.counted, &turn.reserved].into_iter().flatten();
            let forget = has_begun.then(|| store::forget(&turn));
            turn::give_back(taken.map(quotas::Taken::refund).chain(forget).collect(), &database).await;
            return Err(error);
        }
    };
    let response =
        turn.counted.iter().fold(Response::events(body), |response, counted| counted.tell(response));
    let finish = turn::carry(turn, base, source, client, format, deadlines, database);
    exchange.background.run(finish);
    Ok(response)
}

fn format(exchange: &Exchange) -> Result<ChatFormat, Error> {
    match exchange.query("format") {
        None => Ok(exchange.settings.chat_format),
        Some(name) => {
            ChatFormat::parse(&name).ok_or_else(|| Error::invalid("format", "must be `events` or `text`"))
        }
    }
}

/// Who answers.
enum Model {
    Claude(String),
    Sandbox,
}

impl Model {
    /// Claude where there is a key; the sandbox model only in development.
    fn of(settings: &Settings, wanted: Option<String>) -> Result<Self, Error> {
        match (&settings.claude.key, settings.is_development()) {
            (Some(_), _) => Ok(Self::Claude(wanted.unwrap_or_else(|| settings.claude.model.clone()))),
            (None, true) => Ok(Self::Sandbox),
            (None, false) => Err(Error::NotConfigured {
                variable: "CLAUDE_API_KEY",
                detail: "Set the secret CLAUDE_API_KEY to chat with Claude".to_owned(),
            }),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Claude(name) => name,
            Self::Sandbox => sandbox_model::MODEL,
        }
    }

    /// Sets aside what the answer may cost at most.
    async fn reserve(
        &self,
        ask: &prompt::Ask<'_>,
        user: &str,
        settings: &Settings,
        database: &Database,
    ) -> Result<Option<quotas::Taken>, Error> {
        let (Self::Claude(name), Some(_)) = (self, settings.daily_limits.budget_micro_usd) else {
            return Ok(None);
        };
        let most = anthropic::models::most_micro_usd(name, ask.bytes());
        quotas::take(Quota::Budget, most, user, &settings.daily_limits, database).await
    }

    async fn ask(
        &self,
        exchange: &Exchange,
        ask: prompt::Ask<'_>,
        turn: &turn::Turn,
        deadlines: Deadlines,
    ) -> Result<Source, Error> {
        match self {
            Self::Claude(name) => {
                anthropic::stream(&exchange.settings, &ask.for_claude(name.clone()), deadlines).await
            }
            Self::Sandbox => {
                let files =
                    ask.code.iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect();
                let answer = sandbox_model::answer(&ask.message, Some(&files));
                let message_id = format!("msg_sandbox_{}", turn.id);
                let body = sandbox::body(&message_id, &ask.message, &answer, &exchange.background)?;
                Source::open(body, deadlines)
                    .await
                    .map_err(|_| Error::Internal("the sandbox model is silent".to_owned()))
            }
        }
    }
}

/// `GET /api/chat/:projectId`
pub(crate) async fn history(exchange: Exchange) -> Result<Response, Error> {
    let (id, user, database) = (exchange.param("id"), exchange.caller.user_id()?, exchange.database()?);
    let mut page = page::Page::with_default(&exchange, 100)?;
    let answer = page::fetch(&database, &mut page, |page| store::messages(id, user, page)).await?;
    if page::is_empty(answer.as_deref()) && database.query(projects::code(id, user)).await?.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(page::response(answer.as_deref(), &exchange))
}

/// Whoever streams an answer is heard of more often than this: from each
/// attempt to reach Claude to the next, and from one piece to the next.
fn lost_before(settings: &Settings) -> i64 {
    let timeouts = &settings.timeouts;
    let head_ms = i64::try_from(timeouts.head_ms).unwrap_or(i64::MAX);
    (now_ms() - MARGIN_MS)
        .saturating_sub(timeouts.idle_ms)
        .saturating_sub(head_ms.saturating_mul(retry::ATTEMPTS.into()))
}

/// Ends the answers whose Worker was killed while they streamed.
pub(crate) async fn sweep(env: &Env) {
    let swept = async {
        let settings = Settings::of(env)?;
        let before = lost_before(&settings);
        Database::open(env)?.query(store::interrupt_lost(None, before)).await
    };
    if let Err(error) = swept.await {
        log::failure("chat.sweep", &error);
    }
}
