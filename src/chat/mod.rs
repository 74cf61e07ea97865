//! Chat: the user says what to build, and a model answers with files.
//!
//! Handlers: `stream`, `history` and `stop`. begin.rs writes the rows of the question and of
//! the answer before the model is asked; carry.rs saves what arrives, however
//! the stream ends; follow.rs serves a repeated message from the database.

mod arriving;
mod begin;
mod carry;
mod changes;
mod follow;
mod images;
mod model;
#[cfg(test)]
pub(crate) mod openapi;
mod paced;
mod pieces;
mod prompt;
mod settings;
pub(crate) use settings::SETTINGS;
mod store;
#[cfg(test)]
pub(crate) use store::MessageView;
pub(crate) use store::{OWNED, keys_of_token};
mod turn;

use worker::Env;

use self::{
    arriving::Arriving,
    begin::{BeginOutcome, NOT_FOUND, NewMessage, TurnContext},
    carry::Answer,
    model::{Ask, Choice},
    settings::{Chat, ChatFormat},
    turn::ChatTurn,
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
    store::{Database, Statement, projects},
};

/// How long Claude's stream is read after the client left. The platform ends
/// an invocation about 30 s after that, and saving needs some of the time.
const AFTER_CLIENT_MS: i64 = 25_000;
/// How often `alive_at` is written while a turn waits for its first byte.
const TOUCH_MS: u64 = 3_000;

/// `POST /api/chat`
pub(crate) async fn stream(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    let format = format(&context)?;
    let mut new: NewMessage = body::json(&context).await?;
    let wanted = new.model.take();
    let database = context.database()?;
    let id = context.new_id("answer")?;
    let ask = Ask {
        wanted: wanted.as_deref(),
        has_images: !new.images.is_empty(),
        turn_id: &id,
        user,
        context: &context,
        database: &database,
    };
    let choice = model::choose(&ask).await?;
    let mut turn = ChatTurn {
        id: id.clone(),
        question_id: context.new_id("question")?,
        project_id: begin::project_id(std::mem::take(&mut new.project_id)),
        user: user.id.clone(),
        model: choice.model.name().to_owned(),
        format,
        note: choice.note.clone(),
        prompt_tokens: 0,
        counted: None,
        reserved: None,
        pricing: None,
    };
    if context.is_again()
        && let Some(answer) = follow::answer(turn.clone(), &context).await?
    {
        context.mark_replay();
        return Ok(answer);
    }
    let limits = DailyLimits::of(&context.settings)?;
    turn.counted = match quotas::take(Quota::Chat, 1, &turn.user, limits, &database).await {
        Ok(counted) => counted,
        // A repeated message does not count against the limit again.
        Err(refused) => return follow::twin(turn, &new.message, &context).await?.ok_or(refused),
    };
    match begin::begin(&turn, &new, choice.wants_keys, &ask).await {
        Ok(BeginOutcome::New(opening)) => answer(new, opening, choice, turn, &ask).await,
        Ok(BeginOutcome::Twin(id)) => {
            uncount(&turn, &database).await;
            follow::answer(turn.answered_by(id), &context).await?.ok_or(NOT_FOUND)
        }
        Err(error) => {
            uncount(&turn, &database).await;
            Err(error)
        }
    }
}

/// Asks the model, and begins the response.
async fn answer(
    new: NewMessage,
    opening: TurnContext,
    choice: Choice,
    mut turn: ChatTurn,
    ask: &Ask<'_>,
) -> Result<Response, Error> {
    let Ask { context, database, .. } = *ask;
    let deadlines =
        Deadlines { idle_ms: context.settings.timeouts.idle_ms, after_client_ms: AFTER_CLIENT_MS };
    let TurnContext { base, history, has_made_project, keys } = opening;
    let budget = Chat::of(&context.settings)?.prompt_budget();
    let prompt = prompt::ChatPrompt::new(new.message, &base.code, history, budget).with(new.images);
    let started = match choice.knowing(keys, ask).await {
        Ok(choice) => ask_model(&choice, prompt, &mut turn, ask, deadlines).await,
        Err(error) => Err(error),
    };
    let ((source, arriving), (client, body)) = match started {
        Ok(started) => started,
        Err(error) => {
            undo(&turn, has_made_project, database).await?;
            return Err(error);
        }
    };
    let response =
        turn.counted.iter().fold(Response::events(body), |response, counted| counted.add_headers(response));
    let answer = Answer { turn, base, deadlines, database: database.clone() };
    context.background.run(answer.carry(source, arriving, client));
    Ok(response)
}

/// Takes back that a message was counted which is not asked.
async fn uncount(turn: &ChatTurn, database: &Database) {
    carry::refund(turn.counted.iter().map(Taken::refund).collect(), database).await;
}

/// Undoes a turn to which no answer came. The sweep ends rows that remain.
async fn undo(turn: &ChatTurn, has_made_project: bool, database: &Database) -> Result<(), Error> {
    let mut batch: Vec<Statement> = turn.counted.iter().map(Taken::refund).collect();
    if let Some(reserved) = &turn.reserved {
        batch.extend(reserved.reconcile(0)?);
    }
    batch.push(store::forget(turn));
    batch.extend(has_made_project.then(|| store::forget_project(turn)));
    carry::refund(batch, database).await;
    Ok(())
}

/// Reserves what the answer may cost at most, and waits for its first bytes.
/// Meanwhile it keeps `alive_at` up to date.
async fn ask_model(
    choice: &Choice,
    prompt: prompt::ChatPrompt<'_>,
    turn: &mut ChatTurn,
    ask: &Ask<'_>,
    deadlines: Deadlines,
) -> Result<((Source, Arriving), (Writer, Body)), Error> {
    let Ask { context, database, .. } = *ask;
    choice.model.name().clone_into(&mut turn.model);
    turn.note.clone_from(&choice.note);
    turn.prompt_tokens = prompt.tokens();
    turn.reserved = choice.reserve(&prompt, ask).await?;
    let touch = async || {
        // A missed write does no harm: a turn counts as lost only after several.
        let _ = database.query(store::touch(turn, now_ms())).await;
    };
    let opened = with_ticks(TOUCH_MS, touch, choice.ask(context, prompt, &turn.id, deadlines)).await?;
    turn.pricing = opened.pricing;
    Ok(((opened.source, Arriving::translated(opened.translation)), stream::channel()?))
}

/// The format in `?format=`. Without it, a client that speaks Anthropic's API
/// gets Claude's events, and others get the format in the settings.
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

/// `POST /api/chat/:projectId/stop`: keeps the text that has come, and leaves
/// the code unchanged.
pub(crate) async fn stop(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let [stopped, project] =
        database.batch([store::stop(id, user, now_ms()), projects::code(id, user)]).await?;
    if project.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(Response::json(200, format!("[{}]", stopped.0.join(","))))
}

/// Marks as interrupted the answers whose Worker was killed while they
/// streamed, and releases what is reserved for answers that no longer run.
pub(crate) async fn sweep(env: &Env) {
    let swept = async {
        let mut batch = vec![store::interrupt_lost(None, now_ms() - store::SILENT_MS)];
        batch.extend(store::release_ended());
        Database::open(env)?.batch_all(batch).await
    };
    if let Err(error) = swept.await {
        log::failure("chat.sweep", &error);
    }
}
