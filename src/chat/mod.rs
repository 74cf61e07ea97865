//! Chat: a person says what to build, Claude answers with files.
//!
//! `stream`, `stop` and `history`. A turn's two sides are rows before the model is
//! asked (begin.rs), and whatever becomes of the stream, what arrived is saved
//! (carry.rs). A message that is sent again is not asked again (follow.rs).

mod arriving;
mod begin;
mod carry;
mod changes;
mod follow;
mod images;
mod model;
#[cfg(test)]
pub(crate) mod openapi;
mod pieces;
mod prompt;
mod sandbox;
mod settings;
pub(crate) use settings::SETTINGS;
mod store;
#[cfg(test)]
pub(crate) use store::MessageView;
pub(crate) use store::OWNED;
mod turn;

use garde::Validate;
use serde::Deserialize;
use worker::Env;

use self::{
    begin::{Begun, NOT_FOUND, Opening},
    images::Image,
    model::Model,
    settings::{Chat, ChatFormat},
    turn::Turn,
};
use crate::identity::DailyLimits;
use crate::{
    error::Error,
    http::{RequestContext, body, page},
    identity::quotas::{self, Quota, Taken},
    platform::{
        clock::{now_ms, with_ticks},
        log,
        pump::{Deadlines, Source},
        response::Response,
        stream::{self, Body, Writer},
    },
    settings::FromVars as _,
    store::{Database, projects},
};

/// How long Claude is read on for after the client left: the platform ends an
/// invocation about 30 s after that, and saving takes some of it.
const AFTER_CLIENT_MS: i64 = 25_000;
/// How often a turn that waits for its first byte says that it lives.
const TOUCH_MS: u64 = 3_000;

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NewMessage {
    #[garde(length(chars, min = 1, max = 64))]
    project_id: String,
    #[garde(length(chars, min = 1, max = 32_000), custom(not_blank))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    message: String,
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 128)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 128)))]
    model: Option<String>,
    /// Shown to the model with this message, and kept with it.
    #[serde(default)]
    #[garde(length(max = images::MOST), dive)]
    #[cfg_attr(test, schemars(length(max = 4)))]
    images: Vec<Image>,
}

fn not_blank(message: &str, (): &()) -> garde::Result {
    if message.trim().is_empty() { Err(garde::Error::new("must not be blank")) } else { Ok(()) }
}

/// `POST /api/chat`
pub(crate) async fn stream(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    let format = format(&context)?;
    let new: NewMessage = body::json(&context).await?;
    let room = Chat::of(&context.settings)?.room();
    let choice = model::choose(new.model.as_deref(), &context.settings)?;
    let database = context.database()?;
    let mut turn = Turn {
        id: context.new_id("answer")?,
        question_id: context.new_id("question")?,
        project_id: begin::project_id(new.project_id),
        user: user.id.clone(),
        model: choice.model.name().to_owned(),
        note: choice.note,
        prompt_tokens: 0,
        counted: None,
        reserved: None,
    };
    if context.is_again()
        && let Some(answer) = follow::answer(turn.clone(), format, &context).await?
    {
        context.mark_replay();
        return Ok(answer);
    }
    let limits = DailyLimits::of(&context.settings)?;
    turn.counted = match quotas::take(Quota::Chat, 1, &turn.user, limits, &database).await {
        Ok(counted) => counted,
        // A message that is sent again is not counted again.
        Err(refused) => return follow::twin(turn, &new.message, format, &context).await?.ok_or(refused),
    };
    let opening = match begin::begin(&turn, &new.message, &new.images, &context, user, &database).await {
        Ok(Begun::Turn(opening)) => opening,
        Ok(Begun::Twin(id)) => {
            carry::give_back(turn.counted.iter().map(Taken::refund).collect(), &database).await;
            return follow::answer(turn.answered_by(id), format, &context).await?.ok_or(NOT_FOUND);
        }
        Err(error) => {
            carry::give_back(turn.counted.iter().map(Taken::refund).collect(), &database).await;
            return Err(error);
        }
    };
    let deadlines =
        Deadlines { idle_ms: context.settings.timeouts.idle_ms, after_client_ms: AFTER_CLIENT_MS };
    let Opening { base, history, has_made_project } = opening;
    let ask = prompt::Ask::new(new.message, &base.code, history, room).with(new.images);
    let asked = ask_model(&choice.model, ask, &mut turn, deadlines, &context, &database).await;
    let (source, (client, body)) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            // Nothing was answered, so the turn never was. Rows that even
            // this leaves behind are ended by the sweep.
            let taken = [&turn.counted, &turn.reserved].into_iter().flatten();
            let forget = [store::forget(&turn)].into_iter();
            let forget_project = has_made_project.then(|| store::forget_project(&turn));
            let undo = taken.map(Taken::refund).chain(forget).chain(forget_project);
            carry::give_back(undo.collect(), &database).await;
            return Err(error);
        }
    };
    let response =
        turn.counted.iter().fold(Response::events(body), |response, counted| counted.add_headers(response));
    context.background.run(carry::carry(turn, base, source, client, format, deadlines, database));
    Ok(response)
}

/// Sets aside what the answer may cost, and waits for its first word. Says
/// meanwhile that the turn lives.
async fn ask_model(
    model: &Model,
    ask: prompt::Ask<'_>,
    turn: &mut Turn,
    deadlines: Deadlines,
    context: &RequestContext,
    database: &Database,
) -> Result<(Source, (Writer, Body)), Error> {
    turn.prompt_tokens = ask.tokens();
    turn.reserved = model.reserve(&ask, &turn.user, &context.settings, database).await?;
    let touch = async || {
        // A turn that nobody hears of for some seconds is not lost yet.
        let _ = database.query(store::touch(turn, now_ms())).await;
    };
    let source = with_ticks(TOUCH_MS, touch, model.ask(context, ask, &turn.id, deadlines)).await?;
    Ok((source, stream::channel()?))
}

/// `?format=`; else Claude's events for a client that speaks Anthropic's API,
/// and for the others what the settings say.
fn format(context: &RequestContext) -> Result<ChatFormat, Error> {
    match context.query("format") {
        Some(name) => {
            ChatFormat::parse(&name).ok_or_else(|| Error::invalid("format", "must be `events` or `text`"))
        }
        None if context.request.header("anthropic-version").is_some() => Ok(ChatFormat::Events),
        None => Ok(Chat::of(&context.settings)?.format),
    }
}

/// `GET /api/chat/:projectId`
pub(crate) async fn history(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let mut page = page::with_default(&context, 100)?;
    let answer = page::fetch(&database, &mut page, |page| store::messages(id, user, page)).await?;
    if page::is_empty(answer.as_deref()) && database.query(projects::code(id, user)).await?.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(page::response(answer.as_deref(), &context))
}

/// `POST /api/chat/:projectId/stop`: what had come of the answer is kept, and
/// nothing of it reaches the code.
pub(crate) async fn stop(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let [stopped, project] =
        database.batch([store::stop(id, user, now_ms()), projects::code(id, user)]).await?;
    if project.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(Response::json(200, format!("[{}]", stopped.0.join(","))))
}

/// Ends the answers whose Worker was killed while they streamed.
pub(crate) async fn sweep(env: &Env) {
    let swept = async {
        let before = now_ms() - store::SILENT_MS;
        Database::open(env)?.query(store::interrupt_lost(None, before)).await
    };
    if let Err(error) = swept.await {
        log::failure("chat.sweep", &error);
    }
}
