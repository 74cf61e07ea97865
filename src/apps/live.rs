//! Deploys the app after a turn. It is an ordinary deployment with a job of the
//! deploy module. The turn waits for it if this Worker hosts the app; a cloud
//! takes longer, so that clients poll for its status.
//!
//! Handler: [`show`].

use serde::Deserialize;
use serde_json::json;

use super::{
    events::{DONE, Event, MessageKind},
    ids::{APP_NOT_FOUND, app_id, invalid_app_id},
    save::ended,
    steps::WATCH,
    store::{self, turns::AppTurn},
    work::{Work, files_of},
};
use crate::{
    clouds::{
        Cloud,
        container::{Builder, Container, Git},
        credentials,
        deployment::{self, AtCloud, New},
    },
    error::{Error, Resource},
    http::RequestContext,
    identity::{
        DailyLimits,
        quotas::{self, Quota},
    },
    jobs::{self, Outcome},
    platform::{clock::now_ms, random, response::Response},
    settings::FromVars as _,
    store::{Statement, sql},
};

/// How soon the deployment's status is read again.
const POLL_MS: i64 = 1_000;

#[derive(Debug, Deserialize)]
struct Project {
    name: String,
    code: Option<String>,
    version: i64,
    slug: Option<String>,
}

fn project(app: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('name', name, 'code', code, 'version', version,
           'slug', (SELECT slug FROM deployments WHERE project_id = projects.id LIMIT 1)) AS json
         FROM projects WHERE id = ?1 AND user_id = ?2",
        app,
        user
    )
}

/// Begins the deployment.
pub(super) async fn deploy(work: &Work) -> Result<Outcome, Error> {
    let (turn, database) = (&work.turn, &work.context.database);
    let project: Option<Project> = database.query(project(&turn.app_id, &turn.user_id)).await?.first()?;
    let Some(Project { name, code: Some(code), version, slug }) = project else {
        return Ok(Outcome::Done { writes: store::turns::end(&turn.id, "done", now_ms()).into() });
    };
    let slug = slug.unwrap_or_else(|| deployment::slug(&name, &turn.app_id));
    let begun = begin(work, &slug, &code, version).await;
    let (new, code) = match begun {
        // What runs is not the files.
        Ok((new, false)) => (new, "{}".to_owned()),
        Ok((new, true)) => (new, code),
        Err(error) if error.is_retryable() => return Err(error),
        // The app is saved even though it is not live.
        Err(error) => return Ok(not_live(work, &error.detail())),
    };
    let (now, metadata) = (now_ms(), in_progress(work, &new));
    let text = format!("Your application is being deployed: {}", new.url);
    let mut writes = vec![new.create(&code, now)];
    writes.extend(new.job(&random::uuid()?, work.job.trace_id(), now));
    writes.push(sql!(
        "UPDATE apps SET deployment_id = ?2 WHERE id = ?1",
        turn.app_id.as_str(),
        new.id.as_str()
    ));
    writes.push(work.audit("app.deploy", &new.id));
    writes.push(work.add_events(&[Event::notice(text, metadata)]));
    Ok(Outcome::Next { step: WATCH, writes })
}

/// The branch of the app's repository, if it has this version of the app.
fn branch(turn: &AppTurn, code: &str, version: i64) -> Result<Option<Git>, Error> {
    let Some(repository) = turn.repository.as_ref().filter(|kept| kept.version == Some(version)) else {
        return Ok(None);
    };
    let has_dockerfile = files_of(code)?.contains_key("Dockerfile");
    Ok(Some(Git {
        repository: format!("github.com/{}/{}", repository.owner, repository.name),
        branch: repository.branch.clone(),
        builder: if has_dockerfile { Builder::Docker } else { Builder::Buildpack },
    }))
}

/// Answers with the deployment, and whether it is of the app's files.
async fn begin(work: &Work, slug: &str, code: &str, version: i64) -> Result<(New, bool), Error> {
    let (turn, settings, database) = (&work.turn, &work.settings, &work.context.database);
    let container = match &turn.runs {
        Some(runs) => runs.container(branch(turn, code, version)?)?,
        None => None,
    };
    let is_of_files = container.as_ref().is_none_or(Container::is_of_files);
    let cloud = Cloud::parse(&turn.target);
    let at_cloud = match cloud {
        None => None,
        Some(cloud) => {
            let resolved = credentials::find(cloud, &turn.user_id, |_| None, settings, database).await?;
            cloud.check(slug, &resolved, container.as_ref(), settings)?;
            let place = resolved.place(cloud, settings)?;
            Some(AtCloud {
                place,
                source: resolved.source,
                sealed: resolved.sealed(cloud, &turn.user_id, settings)?,
            })
        }
    };
    if is_of_files && code == "{}" {
        return Err(Error::Refused { code: "no_code", detail: "There are no files to deploy".to_owned() });
    }
    quotas::take(Quota::Deploy, 1, &turn.user_id, DailyLimits::of(settings)?, database).await?;
    let container = container.as_ref().map(serde_json::to_string).transpose();
    let new = New {
        id: random::uuid()?,
        project_id: turn.app_id.clone(),
        user: turn.user_id.clone(),
        target: cloud.map_or("edge", |cloud| cloud.name),
        url: deployment::url(settings.hosting_domain.as_deref(), &turn.origin, slug),
        slug: slug.to_owned(),
        cloud: at_cloud,
        container: container.map_err(|e| Error::Internal(e.to_string()))?,
        is_bundled: false,
    };
    Ok((new, is_of_files))
}

/// The original's clients poll a deployment only if it has this type.
const TYPE: &str = "koyeb";

fn in_progress(work: &Work, new: &New) -> serde_json::Value {
    let url = work.turn.repository.as_ref().map(|repository| &repository.url);
    json!({ "type": "deployment_in_progress", "deploymentId": new.id, "deploymentUrl": new.url, "deployStatus": "deploying",
            "deploymentType": TYPE, "githubUrl": url })
}

fn not_live(work: &Work, reason: &str) -> Outcome {
    let text = format!("There was an error deploying your application. {reason}");
    ended(work, Vec::new(), "done", Event::idle(MessageKind::RuntimeError, text))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentSnapshot {
    status: String,
    target: String,
    url: Option<String>,
    error: Option<String>,
    job_id: String,
    is_waiting: i64,
}

fn deployment_snapshot(id: &str) -> Statement {
    sql!(
        "SELECT json_object('status', d.status, 'target', d.target, 'url', d.url, 'error', j.error, 'jobId', j.id,
           'isWaiting', d.status = 'pending') AS json
         FROM deployments d JOIN jobs j ON j.kind = 'deploy' AND j.subject_id = d.id WHERE d.id = ?1",
        id
    )
}

/// Waits for the end of a deployment on this Worker.
pub(super) async fn watch(work: &Work) -> Result<Outcome, Error> {
    let (turn, database) = (&work.turn, &work.context.database);
    let id = turn.deployment_id.as_deref().unwrap_or_default();
    let Some(now) = database.query(deployment_snapshot(id)).await?.first::<DeploymentSnapshot>()? else {
        return Ok(not_live(work, "It was deleted."));
    };
    if now.is_waiting != 0 {
        jobs::outbox::send(&work.context.env, &now.job_id).await;
    }
    match now.status.as_str() {
        "live" => {
            let url = now.url.unwrap_or_default();
            let metadata = json!({ "type": "deployment_complete", "deploymentId": id, "deploymentUrl": url, "deployStatus": "deployed",
                                   "deploymentType": TYPE });
            let text = format!("Your application is live: {url}");
            Ok(ended(work, Vec::new(), "done", Event::notice(text, metadata)))
        }
        "failed" => Ok(not_live(work, &now.error.unwrap_or_default())),
        _ if now.target == "edge" => Ok(Outcome::Wait { after_ms: POLL_MS, writes: Vec::new() }),
        _ => {
            let mut writes = vec![work.add_events(&[DONE])];
            writes.extend(store::turns::end(&turn.id, "done", now_ms()));
            Ok(Outcome::Done { writes })
        }
    }
}

/// `GET /deployment-status/:id`: the status of a deployment, or of an app's newest one.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (user, database) = (context.caller.user_id()?, context.database()?);
    let id = app_id(context.param("id")).ok_or_else(invalid_app_id)?;
    let found = sql!(
        "SELECT json_object('status', d.status, 'isDown', d.taken_down_at IS NOT NULL,
           'error', (SELECT error FROM jobs WHERE kind = 'deploy' AND subject_id = d.id)) AS json
         FROM deployments d WHERE d.user_id = ?2 AND d.id = coalesce((SELECT deployment_id FROM apps WHERE id = ?1), ?1)",
        id.as_str(),
        user
    );
    let Some(status) = database.query(found).await?.first::<Status>()? else {
        let is_app = !database.query(store::apps::show(&id, user)).await?.is_empty();
        return Err(if is_app { NOT_DEPLOYED } else { APP_NOT_FOUND });
    };
    let (kind, message) = match (status.status.as_str(), status.is_down) {
        (_, 1) => ("STOPPING", "The application has been taken down".to_owned()),
        ("live", _) => ("HEALTHY", "The application is live".to_owned()),
        ("failed", _) => ("ERROR", status.error.unwrap_or_else(|| "The deployment failed".to_owned())),
        _ => ("DEPLOYMENT_IN_PROGRESS", "The application is being deployed".to_owned()),
    };
    let body = json!({ "message": message, "isDeployed": kind == "HEALTHY", "type": kind });
    Ok(Response::json(200, body.to_string()))
}

pub(super) const NOT_DEPLOYED: Error = Error::NotFound(Resource::Deployment);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    status: String,
    is_down: i64,
    error: Option<String>,
}
