//! The account itself: its data, its export, and its deletion.

use serde_json::{Map, Value, json};
use worker::Env;

use super::store;
use crate::identity::DailyLimits;
use crate::settings::FromVars as _;
use crate::store::owned::Owned;
use crate::{
    clouds::{self, undeploy},
    error::Error,
    http::{
        RequestContext,
        page::{self, Row},
    },
    identity::{Credential, quotas, store as users},
    platform::{
        log,
        response::Response,
        stream::{self, Chunks, Writer},
    },
    store::{
        Database, Statement, files,
        page::{MAX_LIMIT, Page},
    },
};

/// `GET /auth/me`: the caller, their credential, and what is left of today's quotas.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (user, database) = (context.caller.user()?, context.database()?);
    let known: Option<users::User> = database.query(users::user(&user.id)).await?.first()?;
    let credential = match user.credential {
        Credential::LocalDeveloper => "development",
        Credential::Key(_) => "key",
        Credential::Session(_) => "session",
        Credential::StackAuth => "stack-auth",
    };
    let me = json!({
        "id": user.id,
        "wallet": known.as_ref().and_then(|known| known.wallet.as_deref()),
        "stackId": known.as_ref().and_then(|known| known.stack_id.as_deref()),
        "email": known.as_ref().and_then(|known| known.email.as_deref()),
        "name": known.as_ref().and_then(|known| known.name.as_deref()),
        "isStaff": user.is_staff,
        "credential": credential,
        "scopes": user.scopes,
        "limits": quotas::usage(&user.id, DailyLimits::of(&context.settings)?, &database).await?,
    });
    Ok(Response::json(200, me.to_string()))
}

/// `GET /auth/export`: all data of the user as one JSON document.
pub(crate) async fn export(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?.to_owned();
    let database = context.database()?;
    let known: Option<Value> = database.query(users::user(&user)).await?.first()?;
    let (client, body) = stream::channel()?;
    let env = context.env.clone();
    if context.request.method() == "HEAD" {
        // A HEAD request has no body to write.
        return Ok(exported(body));
    }
    let owned = context.modules.owned;
    context.background.run(async move {
        // The client sees that the document ends early, and so that it is incomplete.
        match write(&client, &env, &database, owned, &user, known).await {
            Ok(()) => client.close().await,
            Err(ExportAborted::ByUs(error)) => {
                log::failure("accounts.export", &error);
                client.abort();
            }
            Err(ExportAborted::ByClient) => client.abort(),
        }
    });
    Ok(exported(body))
}

fn exported(body: stream::Body) -> Response {
    Response::stream(200, "application/json", body)
        .with("content-disposition", "attachment; filename=\"hatch-export.json\"")
}

/// Why an export ended early.
enum ExportAborted {
    ByUs(Error),
    ByClient,
}

impl From<Error> for ExportAborted {
    fn from(error: Error) -> Self {
        Self::ByUs(error)
    }
}

impl From<stream::Broken> for ExportAborted {
    fn from(broken: stream::Broken) -> Self {
        Self::ByUs(broken.into())
    }
}

impl From<stream::Gone> for ExportAborted {
    fn from(_: stream::Gone) -> Self {
        Self::ByClient
    }
}

async fn write(
    client: &Writer,
    env: &Env,
    database: &Database,
    owned: &[&Owned],
    user: &str,
    known: Option<Value>,
) -> Result<(), ExportAborted> {
    let known = known.unwrap_or_else(|| json!({ "id": user }));
    client.write(format!("{{\"user\":{known}").as_bytes()).await?;
    for owned in owned {
        for (name, list) in owned.export {
            let files = owned.in_files.contains(name).then_some(env);
            client.write(format!(",\"{name}\":[").as_bytes()).await?;
            write_list(client, database, files, |page| list(user, page)).await?;
            client.write(b"]").await?;
        }
    }
    client.write(b"}").await?;
    Ok(())
}

/// How often a row is read whose file is gone.
const MOST_READS: u32 = 3;

/// Writes the rows of a list, with what is in their files if they may have some.
async fn write_list(
    client: &Writer,
    database: &Database,
    files: Option<&Env>,
    list: impl Fn(&Page) -> Statement,
) -> Result<(), ExportAborted> {
    let (mut page, mut separator, mut reads) = (Page::first(MAX_LIMIT), "", 0);
    loop {
        let answer = page::fetch(database, &mut page, &list).await?.unwrap_or_default();
        let (rows, has_more) = page::rows(&answer);
        let written = match files {
            Some(env) => write_with_files(client, &rows, separator, env).await?,
            None => write_rows(client, &rows, separator).await?,
        };
        // The page may be empty by now, because its rows were deleted meanwhile.
        if written > 0 {
            (separator, reads) = (",", 0);
        }
        reads += 1;
        let last = match rows.get(written) {
            // It was deleted or replaced since it was read, so the list goes on with what is there now.
            Some(_) if reads < MOST_READS => written.checked_sub(1).and_then(|last| rows.get(last)),
            Some(lost) => {
                reads = 0;
                log::failure("accounts.export", &Error::Internal("the file of a row is missing".to_owned()));
                Some(lost)
            }
            None if has_more => rows.last(),
            None => return Ok(()),
        };
        let end = last.and_then(|row| row.end()).map(|(key, id)| (key, id.to_owned()));
        // Long rows make a page short, and the next rows are probably long too.
        page = Page { limit: (page.limit * 2).min(MAX_LIMIT), after: end.or(page.after) };
    }
}

/// Returns how many rows are written: all.
async fn write_rows(client: &Writer, rows: &[Row<'_>], separator: &str) -> Result<usize, ExportAborted> {
    if !rows.is_empty() {
        client.write(format!("{separator}{}", page::joined(rows)).as_bytes()).await?;
    }
    Ok(rows.len())
}

/// Writes rows with what is in their files. Returns how many are written: those before the first whose file is gone.
async fn write_with_files(
    client: &Writer,
    rows: &[Row<'_>],
    separator: &str,
    env: &Env,
) -> Result<usize, ExportAborted> {
    let mut separator = separator;
    for (at, row) in rows.iter().enumerate() {
        let row = hatch_json::from_str(row.json).map_err(|error| Error::database(error.to_string()))?;
        if !write_with_file(client, row, separator, env).await? {
            return Ok(at);
        }
        separator = ",";
    }
    Ok(rows.len())
}

/// Writes a row with the members of its file, which are passed on as they are: they may be large. Writes nothing and
/// returns false if the file is gone.
async fn write_with_file(
    client: &Writer,
    mut row: Map<String, Value>,
    separator: &str,
    env: &Env,
) -> Result<bool, ExportAborted> {
    let file = row.remove("file");
    let row = format!("{separator}{}", Value::Object(row));
    let (Some(key), Some(open)) = (file.as_ref().and_then(Value::as_str), row.strip_suffix('}')) else {
        client.write(row.as_bytes()).await?;
        return Ok(true);
    };
    let Some(members) = files::read_from(env, key, AFTER_BRACE).await? else { return Ok(false) };
    client.write(format!("{open},").as_bytes()).await?;
    let mut chunks = Chunks::of(&members, 1, CHUNK)?;
    while let Some(chunk) = chunks.next().await? {
        client.write(&chunk).await?;
    }
    Ok(true)
}

/// How many bytes of a file are read at a time.
const CHUNK: u32 = 64 * 1024;

/// Where the members of an object begin, if it is written without spaces.
const AFTER_BRACE: u64 = 1;

/// `DELETE /auth/me?confirm=<user id>`: deletes the account and everything that
/// belongs to it, and takes its live apps down.
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    clouds::credentials::check_headers(&context.request)?;
    let user = context.caller.user_id()?;
    if context.query("confirm").as_deref() != Some(user) {
        return Err(unconfirmed());
    }
    let database = context.database()?;
    let apps = database.query(clouds::store::apps_of_user(user)).await?.read()?;
    let mut plan =
        undeploy::plan(user, apps, &context.request, &context.trace_id, &context.settings, &database).await?;
    let mut batch: Vec<Statement> =
        context.modules.owned.iter().flat_map(|owned| (owned.delete)(user)).collect();
    // Sites that no credentials reach are in a cloud account of the user's, or in
    // one that the Worker no longer has.
    batch.extend(plan.out_of_reach.iter().map(|app| clouds::store::forget_app(&app.id)));
    batch.append(&mut plan.statements);
    batch.push(store::end(user));
    batch.push(context.audit("account.delete", user));
    database.batch_all(batch).await?;
    plan.send(&context.env, &context.background);
    Ok(Response::empty(204))
}

pub(super) fn unconfirmed() -> Error {
    Error::Conflict {
        code: "not_confirmed",
        detail: "confirm must be your user id (GET /auth/me): everything of yours will be deleted".into(),
    }
}
