//! Taking an app down, at its cloud or here.

use std::rc::Rc;

use serde_json::json;

use super::{
    NOT_FOUND,
    cloud::refusal,
    cloud_store::{self, Doomed},
};
use crate::{
    clouds::{
        AppSpec, credentials,
        store::App,
        take_down::{self, JOB},
    },
    error::Error,
    http::RequestContext,
    jobs::{Job, JobContext, Kind, Outcome, Policy},
    platform::{clock::now_ms, response::Response},
    settings::Settings,
};

pub(crate) const KIND: Kind = Kind {
    name: JOB,
    // At Vercel, an app is all the deployments that were ever made of it.
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

/// How long it waits until it looks again after an older deployment.
const TURN_MS: i64 = 2_000;

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
            database.batch([down, site, cloud_store::settle_project(&place.project_id, now)]).await?;
            Ok(Response::empty(204))
        }
        (Some(_), Some(app)) => at_cloud(&context, app).await,
        _ => Err(not_live()),
    }
}

async fn at_cloud(context: &RequestContext, app: App) -> Result<Response, Error> {
    let (cloud, database) = (app.cloud, context.database()?);
    let mut plan = take_down::plan(
        context.caller.user_id()?,
        vec![app],
        &context.request,
        &context.trace_id,
        &context.settings,
        &database,
    )
    .await?;
    if let Some(app) = plan.out_of_reach.first() {
        return Err(take_down::out_of_reach(app));
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
        detail: "Nothing of this deployment is live: it failed, or a younger one has taken its place".into(),
    }
}

async fn step(job: Job, context: Rc<JobContext>) -> Result<Outcome, Error> {
    let doomed = context.database.query(cloud_store::doomed(&job.subject_id, &job.id)).await?;
    // An earlier job has taken it down.
    let Some(doomed) = doomed.first::<Doomed>()? else { return Ok(Outcome::Done { writes: Vec::new() }) };
    if !doomed.is_next {
        return Ok(Outcome::Wait { after_ms: TURN_MS, writes: Vec::new() });
    }
    let settings = Settings::of(&context.env)?;
    match down(&doomed, &settings).await {
        Ok(()) => {
            let now = now_ms();
            let mut writes = vec![cloud_store::log_of_app(&job.subject_id, "info", "Taken down", now)];
            writes.extend(cloud_store::is_down(&job.subject_id, now));
            writes.push(cloud_store::settle_project(&doomed.project_id, now));
            Ok(Outcome::Done { writes })
        }
        Err(error) => refusal(&error).map(|reason| Outcome::Failed { reason }).ok_or(error),
    }
}

async fn down(doomed: &Doomed, settings: &Settings) -> Result<(), Error> {
    let (app, cloud) = (&doomed.app, doomed.app.cloud);
    let source = doomed.source.ok_or_else(|| Error::Internal("no source of credentials".to_owned()))?;
    let right = credentials::recall(cloud, &doomed.user_id, source, doomed.sealed.as_deref(), settings)?;
    if !credentials::still_reaches(&right, app, settings).await {
        return Err(credentials::gone(cloud));
    }
    let spec = AppSpec {
        project_id: &doomed.project_id,
        deployment_id: None,
        name: &app.name,
        credentials: &right,
        container: None,
        remote: doomed.remote.as_deref(),
        is_live: app.is_live,
        settings,
    };
    cloud.take_down(&spec).await
}
