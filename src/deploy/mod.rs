//! Deploy: from a project's code to a live app.
//!
//! `create`, `show`, `stream`; the work itself is a job (job.rs), and the
//! apps that this Worker hosts answer in hosting.rs.

#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod hosting;
pub(crate) mod job;
mod site;
mod store;

use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    accounts::quotas::{self, Quota},
    code::CodeMap,
    error::Error,
    http::{Exchange, body, progress},
    jobs,
    platform::{clock::now_ms, response::Response},
    store::{Rows, projects},
};

const PROJECT_NOT_FOUND: Error = Error::NotFound("Project not found");
const NOT_FOUND: Error = Error::NotFound("Deployment not found");

#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Target {
    Edge,
    Cloudflare,
    Vercel,
    Koyeb,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NewDeployment {
    #[garde(length(min = 1, max = 64))]
    project_id: String,
    #[serde(default)]
    #[garde(skip)]
    target: Option<Target>,
    /// Deployed instead of the project's code, and then is the project's code.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(with = "Option<crate::openapi::Code>"))]
    code: Option<Value>,
}

/// `POST /api/deploy`
pub(crate) async fn create(exchange: Exchange) -> Result<Response, Error> {
    let user = exchange.caller.user_id()?;
    let new: NewDeployment = body::json(&exchange).await?;
    let given = new.code.as_ref().map(|code| body::code(code, "/code")).transpose()?;
    if !matches!(new.target.unwrap_or(Target::Edge), Target::Edge) {
        return Err(Error::Refused {
            code: "target_unavailable",
            detail: "This Worker deploys to `edge` only; leave `target` out".to_owned(),
        });
    }
    let (database, id) = (exchange.database()?, exchange.new_id("deployment")?);
    if exchange.is_again() && !database.query(store::exists(&id, user)).await?.is_empty() {
        return Ok(begun(&id));
    }
    let project = database.query(store::project(&new.project_id, user)).await?.first::<store::Project>()?;
    let project = project.ok_or(PROJECT_NOT_FOUND)?;
    let code = given.as_ref().map(CodeMap::to_json).or(project.code).filter(|code| code != "{}");
    let code =
        code.ok_or_else(|| Error::Refused { code: "no_code", detail: "No code to deploy".to_owned() })?;

    let slug = project.slug.unwrap_or_else(|| site::slug(&project.name, &new.project_id));
    let deployment = store::Deployment {
        id,
        project_id: new.project_id,
        user: user.to_owned(),
        url: site::url(exchange.settings.hosting_domain.as_deref(), exchange.request.origin(), &slug),
        slug,
    };
    let counted = quotas::take(Quota::Deploy, 1, user, &exchange.settings.daily_limits, &database).await?;
    let (job_id, now) = (exchange.new_id("job")?, now_ms());
    let mut batch = vec![store::create(&deployment, &code, now)];
    if given.is_some() {
        batch.push(store::adopt_code(&deployment, &code, now));
        batch.push(projects::record_version(&deployment.project_id, user, "deploy", None));
    }
    let (kind, trace_id) = (job::KIND.name, &exchange.trace_id);
    batch.extend(jobs::store::create(&job_id, user, kind, &deployment.id, job::FIRST_STEP, trace_id, now));
    if let Err(error) = created(database.batch_all(batch).await) {
        if let Some(counted) = &counted {
            counted.give_back(&database).await;
        }
        return Err(error);
    }
    let env = exchange.env.clone();
    exchange.background.run(async move { jobs::outbox::send(&env, &job_id).await });

    Ok(counted.iter().fold(begun(&deployment.id), |response, counted| counted.tell(response)))
}

fn created(batch: Result<Vec<Rows>, Error>) -> Result<(), Error> {
    match batch?.first() {
        Some(rows) if !rows.is_empty() => Ok(()),
        // Deleted this very moment; the job finds nothing to do.
        _ => Err(PROJECT_NOT_FOUND),
    }
}

fn begun(id: &str) -> Response {
    let body = json!({
        "deploymentId": id,
        "status": "pending",
        "message": "Deployment started",
        "target": "edge",
    });
    Response::json(202, body.to_string()).with("location", format!("/api/deploy/{id}"))
}

/// `GET /api/deploy/:id`
pub(crate) async fn show(exchange: Exchange) -> Result<Response, Error> {
    let database = exchange.database()?;
    let row =
        database.query_json(store::show(exchange.param("id"), exchange.caller.user_id()?, now_ms())).await?;
    let row = row.ok_or(NOT_FOUND)?;
    // `job id of an overdue job\nstatus\n{deployment}`
    let mut parts = row.splitn(3, '\n');
    let (overdue, status, deployment) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    if let Some(job_id) = overdue.filter(|id| !id.is_empty()).map(str::to_owned) {
        let env = exchange.env.clone();
        exchange.background.run(async move {
            // Whoever waits wakes a job whose consumer has died.
            let _ = jobs::outbox::nudge(&env, &database, &job_id).await;
        });
    }
    let response = Response::json(200, deployment.to_owned());
    Ok(if matches!(status, Some("live" | "failed")) { response } else { response.with("retry-after", "2") })
}

/// `GET /api/deploy/:id/stream`
pub(crate) async fn stream(exchange: Exchange) -> Result<Response, Error> {
    let (id, user) = (exchange.param("id").to_owned(), exchange.caller.user_id()?.to_owned());
    let look = move |seen| store::standing(&id, &user, seen, now_ms());
    progress::stream(exchange, Box::new(look), NOT_FOUND).await
}
