//! Undeploys an app, at its cloud or on this Worker.

use std::rc::Rc;

use serde_json::json;

use super::{
    NOT_FOUND,
    cloud::permanent_reason,
    cloud_store::{self, UndeployTask},
};
use crate::{
    clouds::{
        AppSpec, credentials,
        store::App,
        undeploy::{self, JOB},
    },
    error::Error,
    http::RequestContext,
    jobs::{Job, JobContext, JobKind, Outcome, Policy},
    platform::{clock::now_ms, response::Response},
    settings::Settings,
};

pub(crate) const KIND: JobKind = JobKind {
    name: JOB,
    // At Vercel, all deployments that were ever made of an app must be deleted.
    policy: |_| Policy { longest_ms: 300_000, ..Policy::QUICK },
    step: |job, context| Box::pin(step(job, context)),
    failed: |job, reason, now| {
        let text = format!("Could not be taken down: {reason}");
        vec![
            cloud_store::log_of_app(&job.subject_id, "error", &text, now),
            cloud_store::forget_app_credentials(&job.subject_id),
        ]
    },
    revived: |_, _| (JOB, Vec::new()),
};

/// How often the job checks whether an older deployment has finished.
const POLL_MS: i64 = 2_000;

/// `DELETE /api/deploy/:id`
pub(crate) async fn start(context: RequestContext) -> Result<Response, Error> {
    credentials::check_headers(&context.request)?;
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let [place, app] = database.batch([cloud_store::place(id, user), cloud_store::app(id, user)]).await?;
    let place: cloud_store::Place = place.first()?.ok_or(NOT_FOUND)?;
    if place.is_down {
        return Ok(Response::empty(204));
    }
    if !matches!(place.status.as_str(), "live" | "failed") {
        return Err(under_way());
    }
    match (place.target.cloud(), app.first()?) {
        (None, _) if place.is_on_edge => {
            let now = now_ms();
            let [down, site] = cloud_store::unpublish(id, user, now);
            database.batch([down, site, cloud_store::refresh_project_status(&place.project_id, now)]).await?;
            Ok(Response::empty(204))
        }
        (Some(_), Some(app)) => at_cloud(&context, app).await,
        _ => Err(not_live()),
    }
}

async fn at_cloud(context: &RequestContext, app: App) -> Result<Response, Error> {
    let (cloud, database) = (app.cloud, context.database()?);
    let mut plan = undeploy::plan(
        context.caller.user_id()?,
        vec![app],
        &context.request,
        &context.trace_id,
        &context.settings,
        &database,
    )
    .await?;
    if let Some(app) = plan.out_of_reach.first() {
        return Err(undeploy::out_of_reach(app));
    }
    database.batch_all(std::mem::take(&mut plan.statements)).await?;
    plan.send(&context.env, &context.background);
    let id = context.param("id");
    let body = json!({ "deploymentId": id, "message": "Take-down started", "target": cloud.name });
    Ok(Response::json(202, body.to_string()).with("location", format!("/api/deploy/{id}")))
}

pub(super) fn under_way() -> Error {
    Error::Conflict {
        code: "deployment_under_way",
        detail: "This deployment has not ended yet; take it down when it has".into(),
    }
}

pub(super) fn not_live() -> Error {
    Error::Conflict {
        code: "not_live",
        detail: "Nothing of this deployment is live: it failed, or a newer one has replaced it".into(),
    }
}

async fn step(job: Job, context: Rc<JobContext>) -> Result<Outcome, Error> {
    let removal = context.database.query(cloud_store::undeploy_task(&job.subject_id, &job.id)).await?;
    // An earlier job has undeployed it.
    let Some(removal) = removal.first::<UndeployTask>()? else {
        return Ok(Outcome::Done { writes: Vec::new() });
    };
    if !removal.is_next {
        return Ok(Outcome::Wait { after_ms: POLL_MS, writes: Vec::new() });
    }
    let settings = Settings::of(&context.env)?;
    match down(&removal, &settings).await {
        Ok(()) => {
            let now = now_ms();
            let mut writes = vec![cloud_store::log_of_app(&job.subject_id, "info", "Taken down", now)];
            writes.extend(cloud_store::remove_app(&job.subject_id, now));
            writes.push(cloud_store::refresh_project_status(&removal.project_id, now));
            Ok(Outcome::Done { writes })
        }
        Err(error) => permanent_reason(&error).map(|reason| Outcome::Failed { reason }).ok_or(error),
    }
}

async fn down(removal: &UndeployTask, settings: &Settings) -> Result<(), Error> {
    let (app, cloud) = (&removal.app, removal.app.cloud);
    let source = removal.source.ok_or_else(|| Error::Internal("no source of credentials".to_owned()))?;
    let resolved =
        credentials::restore(cloud, &removal.user_id, source, removal.sealed.as_deref(), settings)?;
    if !credentials::still_reach(&resolved, app, settings).await {
        return Err(credentials::gone(cloud));
    }
    let spec = AppSpec {
        project_id: &removal.project_id,
        deployment_id: None,
        name: &app.name,
        credentials: &resolved,
        container: None,
        remote: removal.remote.as_deref(),
        is_live: app.is_live,
        settings,
    };
    cloud.undeploy(&spec).await
}
