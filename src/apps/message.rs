//! A message to an agent. It begins a turn whose job does the work, and the
//! response streams the turn's events. A client that leaves can reconnect.
//!
//! Handlers: [`send`], [`stop`].

use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    destination::Destination,
    events::{DONE, Event, MessageKind},
    follow,
    ids::{APP_NOT_FOUND, app_id, app_param},
    job, limits,
    settings::Apps,
    store::{
        self,
        apps::NewApp,
        follow::{Followed, ResendRule},
        turns::{NewTurn, Obstacles},
    },
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    identity::{Credential, User},
    jobs,
    models::KeyLimits,
    platform::{clock::now_ms, response::Response},
    settings::FromVars as _,
    store::{Database, projects, sealing, sealing_key},
};

/// A message that is sent again within this time after its turn's end is a resend.
const RECENT_MS: i64 = 10_000;
/// Equal messages within this time are two messages, because a client resends only
/// after an interruption.
const APART_MS: i64 = 1_000;
/// The largest `settings` of a message, in bytes of JSON.
const MOST_SETTINGS: usize = 64 * 1024;

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NewAppMessage"))]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    #[garde(length(chars, min = 1, max = 32_000), custom(body::not_blank))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    message: String,
    /// The app to change. Without it the message begins a new app.
    #[serde(default)]
    #[garde(inner(custom(is_uuid)))]
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    application_id: Option<String>,
    /// The trace id of the message before. Without `applicationId` it names the app.
    #[serde(default)]
    #[garde(inner(length(chars, max = 256)))]
    #[cfg_attr(test, schemars(length(max = 256)))]
    trace_id: Option<String>,
    /// `cli`, `web`, …
    #[serde(default)]
    #[garde(inner(length(chars, max = 64)))]
    #[cfg_attr(test, schemars(length(max = 64)))]
    client_source: Option<String>,
    #[serde(default)]
    #[garde(inner(length(chars, max = 64)))]
    #[cfg_attr(test, schemars(length(max = 64)))]
    environment: Option<String>,
    /// The template for an agent server.
    #[serde(default)]
    #[garde(inner(length(chars, max = 64)))]
    #[cfg_attr(test, schemars(length(max = 64)))]
    template_id: Option<String>,
    /// A model of `GET /v1/models` that can use tools, or `auto`. It answers this message and the app's
    /// next ones. The default is the operator's choice, else Claude.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 200)))]
    model: Option<String>,
    /// `deployTarget` says where the app goes live: `edge`, `cloudflare`, `vercel`
    /// or `koyeb`, the latter with `port` and `deployFrom`: `files`, `repository`, or `image` with the member
    /// `image` and, if its registry needs a login, `registrySecret`. Other members go to the agent server only.
    /// They are stored sealed while it works.
    #[serde(default)]
    #[garde(inner(custom(is_small)))]
    settings: Option<Map<String, Value>>,
}

fn is_uuid(id: &str, (): &()) -> garde::Result {
    app_id(id).map(drop).ok_or_else(|| garde::Error::new("must be a UUID"))
}

fn is_small(settings: &Map<String, Value>, (): &()) -> garde::Result {
    let bytes = serde_json::to_string(settings).map_or(usize::MAX, |json| json.len());
    if bytes <= MOST_SETTINGS { Ok(()) } else { Err(garde::Error::new("is larger than 64 KB")) }
}

impl NewMessage {
    /// The app that the message names. None for a new app.
    fn app_id(&self) -> Option<String> {
        let named = self.application_id.as_deref().and_then(app_id);
        named.or_else(|| self.trace_id.as_deref().and_then(app_of_trace))
    }

    /// Where the app will go live, if the message says that.
    pub(super) fn destination(&self) -> Result<Option<Destination>, Error> {
        self.settings.as_ref().map_or(Ok(None), Destination::of)
    }
}

/// The app id in a trace id `app-<id>.req-<id>`.
fn app_of_trace(trace: &str) -> Option<String> {
    let rest = trace.strip_prefix("app-")?;
    let (id, _) = rest.strip_prefix("temp-").unwrap_or(rest).split_once('.')?;
    app_id(id)
}

/// `POST /message`
pub(crate) async fn send(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    let new: NewMessage = body::json(&context).await?;
    let destination = new.destination()?;
    let (database, turn_id) = (context.database()?, context.new_id("turn")?);
    let named_app = new.app_id();
    if let Some(turn) = existing_turn(&turn_id, &new, named_app.as_deref(), user, &context, &database).await?
    {
        return stream_turn(turn, user, &context, &database).await;
    }
    super::model::can_work(&user.id, &context.settings, &database).await?;
    if let Some(name) = &new.model {
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        super::model::check(name, &user.id, limits.models.as_deref(), &context.settings, &database).await?;
    }
    let app_id = match &named_app {
        Some(id) => id.clone(),
        None => context.new_id("app")?,
    };
    let (trace_id, now) = (format!("app-{app_id}.req-{turn_id}"), now_ms());
    let (settings, github_token) = sealed(&new, &turn_id, &context)?;
    let turn = NewTurn {
        id: &turn_id,
        job_id: &context.new_id("job")?,
        app_id: &app_id,
        user: &user.id,
        key: user.credential.key_id(),
        trace_id: &trace_id,
        asked_app_id: named_app.as_deref(),
        message: &new.message,
        settings: settings.as_deref(),
        github_token: github_token.as_deref(),
        origin: context.request.origin(),
        day: limits::day(now),
    };
    if let Some(refused) = begin(&turn, &new, destination.as_ref(), user, &context, &database, now).await? {
        return Ok(refused);
    }
    let (env, job_id) = (context.env.clone(), turn.job_id.to_owned());
    context.background.run(async move { jobs::outbox::send(&env, &job_id).await });
    let followed = Followed { id: turn_id.clone(), app_id: app_id.clone(), job_id: turn.job_id.to_owned() };
    stream_turn(followed, user, &context, &database).await
}

/// The turn that this message has begun already: it has the same
/// `Idempotency-Key`, or its client has lost the response and sends it again.
async fn existing_turn(
    turn_id: &str,
    new: &NewMessage,
    named_app: Option<&str>,
    user: &User,
    context: &RequestContext,
    database: &Database,
) -> Result<Option<Followed>, Error> {
    if context.has_idempotency_key() {
        return if context.is_again() {
            database.query(store::follow::followed(turn_id, &user.id)).await?.first()
        } else {
            Ok(None)
        };
    }
    // A client with `Last-Event-ID` reconnects.
    let resumes = context.request.header("last-event-id").is_some();
    let again = ResendRule { apart_ms: if resumes { 0 } else { APART_MS }, recent_ms: RECENT_MS, resumes };
    database
        .query(store::follow::resent_turn(&user.id, named_app, &new.message, again, now_ms()))
        .await?
        .first()
}

/// The secrets of a message (settings and GitHub token), sealed to its turn.
fn sealed(
    new: &NewMessage,
    turn_id: &str,
    context: &RequestContext,
) -> Result<(Option<String>, Option<String>), Error> {
    let settings = new
        .settings
        .as_ref()
        .filter(|settings| !settings.is_empty())
        .map(|settings| Value::from(settings.clone()).to_string());
    let token = super::github::token_of_header(context)?;
    if settings.is_none() && token.is_none() {
        return Ok((None, None));
    }
    let key = sealing_key(&context.settings)?;
    let seal = |what: Option<String>| what.map(|secret| sealing::seal(key, turn_id, &secret)).transpose();
    Ok((seal(settings)?, seal(token)?))
}

/// Writes the turn and its job and counts the message, in one batch. Returns a
/// response if the message is refused in a form that no [`Error`] has.
async fn begin(
    turn: &NewTurn<'_>,
    new: &NewMessage,
    destination: Option<&Destination>,
    user: &User,
    context: &RequestContext,
    database: &Database,
    now: i64,
) -> Result<Option<Response>, Error> {
    let apps = Apps::of(&context.settings)?;
    let mut batch: Vec<_> = store::limits::count_message(turn.user, turn.day, apps.daily_messages).into();
    if turn.asked_app_id.is_some() {
        batch.push(store::turns::is_free(turn.app_id, turn.user));
    } else {
        let name = placeholder(turn.app_id);
        let is_exempt = user.is_staff && user.credential != Credential::LocalDeveloper;
        batch.extend(store::limits::count_app(turn.day, apps.daily_apps, is_exempt));
        batch.push(projects::begin(turn.app_id, turn.user, name.clone(), now));
        let (template_id, client_source) = (new.template_id.as_deref(), new.client_source.as_deref());
        batch.push(store::apps::create(turn, &NewApp { name: &name, template_id, client_source }, now));
    }
    if let Some(destination) = destination {
        batch.push(store::apps::set_destination(turn.app_id, turn.user, destination)?);
    }
    batch.extend(new.model.as_deref().map(|model| store::apps::set_model(turn.app_id, turn.user, model)));
    batch.extend(store::turns::begin(turn, turn.asked_app_id.is_none(), now));
    // A user who is being deleted cannot begin a turn.
    batch.push(store::turns::is_running(turn.id));
    let (kind, first) = (job::KIND.name, job::FIRST_STEP);
    batch.extend(jobs::store::create(turn.job_id, turn.user, kind, turn.id, first, &context.trace_id, now));
    match database.batch_all(batch).await {
        Ok(_) => Ok(None),
        Err(Error::GuardFailed) => refusal(turn, apps, context, database, now).await.map(Some),
        Err(error) => Err(error),
    }
}

/// An app's name until an agent has named it, in the form of the original's.
fn placeholder(app_id: &str) -> String {
    format!("app.build-{}", app_id.get(..4).unwrap_or("app"))
}

/// Why a guard refused: 404, 409 with the trace of what runs, or 429.
async fn refusal(
    turn: &NewTurn<'_>,
    apps: &Apps,
    context: &RequestContext,
    database: &Database,
    now: i64,
) -> Result<Response, Error> {
    let obstacles = store::turns::obstacles(turn.user, turn.day, apps.daily_messages, turn.asked_app_id);
    let obstacles: Option<Obstacles> = database.query(obstacles).await?.first()?;
    match obstacles {
        Some(Obstacles { has_app: false, .. }) => Err(APP_NOT_FOUND),
        Some(Obstacles { running: Some(trace_id), .. }) => {
            Ok(super::dialect::busy(&trace_id, &context.request_id))
        }
        Some(Obstacles { usage, .. }) if usage.used >= usage.limit => {
            Err(limits::messages_exceeded(usage.limit, now))
        }
        Some(Obstacles { apps_used, .. }) if turn.asked_app_id.is_none() && apps_used >= apps.daily_apps => {
            Err(limits::apps_exceeded(apps.daily_apps, now))
        }
        // The obstacle has gone since the guard refused.
        _ => Err(Error::database("a guard refused a message for a reason that is gone")),
    }
}

/// Streams a turn from its beginning, or from the client's last event.
async fn stream_turn(
    turn: Followed,
    user: &User,
    context: &RequestContext,
    database: &Database,
) -> Result<Response, Error> {
    let usage = limits::usage(&user.id, &context.settings, database).await?;
    let last = context.request.header("last-event-id");
    let seen = follow::known_seq(last.as_deref(), &turn.app_id, database).await?;
    let response = follow::stream(context, turn.app_id, Some(turn.id), seen.unwrap_or(0))?;
    Ok(usage.add_headers(response))
}

/// `POST /apps/:id/stop`: ends the turn, and keeps what it has made as a version.
pub(crate) async fn stop(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) = (context.caller.user_id()?, app_param(&context)?, context.database()?);
    let turn: Option<Followed> = database.query(store::follow::running(&id, user)).await?.first()?;
    let Some(turn) = turn else {
        if database.query(store::apps::show(&id, user)).await?.is_empty() {
            return Err(APP_NOT_FOUND);
        }
        return Ok(stopped(&id, None));
    };
    let task: Option<store::turns::AppTurn> = database.query(store::turns::turn(&turn.id)).await?.first()?;
    let now = now_ms();
    let mut batch: Vec<_> = jobs::store::cancel(&turn.job_id, now).into();
    batch.push(store::turns::is_running(&turn.id));
    if let Some(task) = &task {
        batch.extend(super::save::of_draft(task, &database, now).await?.statements);
    }
    batch.push(store::events::add_events(
        &turn.id,
        &[Event::idle(MessageKind::RuntimeError, STOPPED), DONE],
        now,
    ));
    batch.push(store::limits::refund(&turn.id));
    batch.extend(store::turns::end(&turn.id, "stopped", now));
    match database.batch_all(batch).await {
        // A turn that has ended meanwhile is stopped too.
        Ok(_) | Err(Error::GuardFailed) => Ok(stopped(&id, task.as_ref().map(|task| task.trace_id.as_str()))),
        Err(error) => Err(error),
    }
}

const STOPPED: &str = "Stopped. What the agent has made until then is kept.";

fn stopped(id: &str, trace_id: Option<&str>) -> Response {
    let message = if trace_id.is_some() { "Stopped" } else { "Nothing was being worked on" };
    let body = serde_json::json!({ "message": message, "appId": id, "traceId": trace_id });
    Response::json(200, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_names_its_app_in_every_form_that_clients_send() {
        let id = "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36";
        for trace in [
            format!("app-{id}.req-1790000000000"),
            format!("app-temp-{id}.req-x"),
            format!("app-{}.r", id.to_uppercase()),
        ] {
            assert_eq!(app_of_trace(&trace).as_deref(), Some(id), "{trace}");
        }
        for trace in ["", "app-", "app-1.req-2", id, "app-../x.req-1"] {
            assert_eq!(app_of_trace(trace), None, "{trace}");
        }
    }
}
