//! An app's files as a ZIP, behind signed URLs that work for a quarter of an
//! hour without a credential: one to read the files, one to replace them. With
//! `S3_BUCKET` they are read from that bucket.
//!
//! Handlers: [`read_url`], [`download`], [`upload`].

use chrono::DateTime;
use hatch_code::CodeMap;
use hatch_credentials::{
    signed_url::Grant,
    sigv4::{self, Keys},
};
use serde::Deserialize;
use serde_json::json;
use worker::Method;

use super::{
    dialect::BUSY,
    ids::{APP_NOT_FOUND, app_param},
    settings::Bucket,
    store,
    work::{code_of, files_of},
};
use crate::{
    error::{Error, UpstreamKind},
    http::{RequestContext, caller},
    identity::Scope,
    platform::{
        clock::now_ms,
        fetch::{self, OutboundRequest},
        response::{Response, ResponseKind},
    },
    settings::FromVars as _,
    store::{archive, projects, sealing_key},
};

const GOOD_S: u32 = 900;
const ZIP: &str = "application/zip";
/// The largest ZIP that is accepted, in bytes.
pub(super) const MOST_BYTES: u64 = 5_000_000;

/// An app's files and its owner.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    user_id: String,
    name: String,
    code: Option<String>,
    version: i64,
}

impl App {
    fn zip(&self) -> Result<Vec<u8>, Error> {
        let files = files_of(self.code.as_deref().unwrap_or("{}"))?;
        let root = super::tools::app_name(&self.name).unwrap_or_else(|| "app".to_owned());
        archive::archive(&root, &files)
            .map_err(|reason| Error::Refused { code: "not_archivable", detail: reason })
    }
}

/// `GET /apps/:id/read-url`
pub(crate) async fn read_url(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) = (context.caller.user()?, app_param(&context)?, context.database()?);
    let is_writing = match context.query("write").as_deref() {
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return Err(Error::invalid("write", "must be `true` or `false`")),
    };
    if is_writing && !user.scopes.contains(Scope::ProjectsWrite) {
        return Err(caller::lacks(Scope::ProjectsWrite));
    }
    let app: Option<App> = database.query(store::files::files(&id)).await?.first()?;
    let app = app.filter(|app| app.user_id == user.id).ok_or(APP_NOT_FOUND)?;
    let read_url = match Option::<Bucket>::of(&context.settings)? {
        Some(bucket) => in_bucket(bucket, &id, &app, context.settings.timeouts.head_ms).await?,
        None => own(&context, "GET", &id)?,
    };
    let mut body = json!({ "readUrl": read_url, "expiresIn": GOOD_S });
    if let (true, Some(fields)) = (is_writing, body.as_object_mut()) {
        fields.insert("writeUrl".to_owned(), json!(own(&context, "PUT", &id)?));
    }
    let mut response = Response::json(200, body.to_string());
    // The URL is a credential, so the idempotency store must not keep it.
    response.may_keep = false;
    Ok(response)
}

/// A signed URL of this Worker.
fn own(context: &RequestContext, method: &str, id: &str) -> Result<String, Error> {
    let (path, expires_at) = (format!("/apps/{id}/archive"), now_ms() + i64::from(GOOD_S) * 1000);
    let signature = grant(method, &path, expires_at).sign(sealing_key(&context.settings)?);
    Ok(format!("{}{path}?expires={expires_at}&signature={signature}", context.request.origin()))
}

fn grant<'a>(method: &'a str, path: &'a str, expires_at: i64) -> Grant<'a> {
    let is_writing = method == "PUT";
    let content_type = if is_writing { ZIP } else { "" };
    Grant { method, path, expires_at, content_type, max_bytes: if is_writing { MOST_BYTES } else { 0 } }
}

/// Uploads the ZIP to the bucket and returns a presigned URL for it.
async fn in_bucket(bucket: &Bucket, id: &str, app: &App, timeout_ms: u64) -> Result<String, Error> {
    let keys = Keys { id: bucket.key_id.clone(), secret: bucket.secret.clone() };
    let at = DateTime::from_timestamp_millis(now_ms()).unwrap_or_default();
    let scope = sigv4::Scope { region: &bucket.region, service: "s3", at };
    let path = format!("/{}/apps/{id}/{}.zip", bucket.name, app.version);
    let signed = |method, headers| {
        let request = sigv4::Request { method, path: &path, query: &[], headers, payload: "" };
        sigv4::presigned(&keys, scope, &bucket.endpoint, &request, GOOD_S)
    };
    let put = signed("PUT", &[("content-type", ZIP)]);
    let request = OutboundRequest::new(Method::Put, put).carrying(ZIP, app.zip()?);
    match fetch::send(request, timeout_ms).await {
        Ok(answer) if answer.status() == 200 => Ok(signed("GET", &[])),
        Ok(_) => Err(unreachable(UpstreamKind::Rejected)),
        Err(_) => Err(unreachable(UpstreamKind::Unreachable)),
    }
}

pub(super) fn unreachable(kind: UpstreamKind) -> Error {
    Error::upstream(kind, "The bucket of S3_BUCKET did not accept the files")
}

/// Checks the signature and the expiry of the request's URL.
fn require_grant(context: &RequestContext, method: &str) -> Result<(), Error> {
    let expires_at = context.query("expires").and_then(|text| text.parse().ok()).unwrap_or(0);
    let signature = context.query("signature").unwrap_or_default();
    let grant = grant(method, context.request.path(), expires_at);
    let is_valid = grant.is_valid(sealing_key(&context.settings)?, &signature, now_ms());
    if is_valid { Ok(()) } else { Err(NOT_SIGNED) }
}

pub(super) const NOT_SIGNED: Error = Error::Forbidden {
    code: "not_signed",
    detail: std::borrow::Cow::Borrowed("This URL has a wrong signature or has expired: request a new one"),
};

/// `GET /apps/:id/archive`
pub(crate) async fn download(context: RequestContext) -> Result<Response, Error> {
    let id = app_param(&context)?;
    require_grant(&context, "GET")?;
    let app: App =
        context.database()?.query(store::files::files(&id)).await?.first()?.ok_or(APP_NOT_FOUND)?;
    let mut response = Response::bytes(ResponseKind::Api, 200, ZIP, app.zip()?)
        .with("content-disposition", format!("attachment; filename=\"{id}.zip\""))
        .with("cache-control", "private, no-store");
    response.may_keep = false;
    Ok(response)
}

/// `PUT /apps/:id/archive`: replaces the app's files with those of a ZIP, as a new version.
pub(crate) async fn upload(context: RequestContext) -> Result<Response, Error> {
    let id = app_param(&context)?;
    require_grant(&context, "PUT")?;
    let content_type = context.request.header("content-type").unwrap_or_default();
    if !content_type.eq_ignore_ascii_case(ZIP) {
        return Err(Error::UnsupportedMediaType { expected: ZIP });
    }
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let files = archive::unpack(&context.request.body(most).await?).map_err(|reason| not_taken(&reason))?;
    let code = CodeMap::of(files).map_err(|error| not_taken(&error.to_string()))?;
    let (database, now) = (context.database()?, now_ms());
    let app: App = database.query(store::files::files(&id)).await?.first()?.ok_or(APP_NOT_FOUND)?;
    let code = code_of(code.files());
    let written = [
        store::files::is_still(&id, app.version),
        projects::replace_code(&id, &app.user_id, &code, app.version, now),
        projects::record_version(&id, &app.user_id, "update", None),
    ];
    database.batch(written).await.map_err(|error| match error {
        Error::GuardFailed => BUSY,
        error => error,
    })?;
    Ok(Response::json(
        200,
        json!({ "message": "Files taken", "appId": id, "version": app.version + 1 }).to_string(),
    ))
}

pub(super) fn not_taken(reason: &str) -> Error {
    Error::Refused { code: "not_an_archive", detail: format!("The ZIP was not taken: {reason}") }
}
