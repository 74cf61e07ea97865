//! Deploy: from a project's code to a live app.
//!
//! `create`, `startup`, `list`, `show`, `stream`, `roll_back`, `undeploy` (undeploy.rs) and
//! `preview` (preview.rs). The work itself is a job (job.rs), done by this Worker or at a cloud
//! (cloud.rs); hosting.rs serves the apps on this Worker.

mod addresses;
mod cloud;
mod cloud_store;
pub(crate) mod hosting;
mod isolation;
pub(crate) mod job;
#[cfg(test)]
pub(crate) mod openapi;
pub(crate) mod preview;
mod reach;
mod site;
mod site_request;
mod store;
#[cfg(test)]
pub(crate) use store::ExportedDeployment;
pub(crate) use store::OWNED;
mod target;
pub(crate) mod undeploy;

use garde::Validate;
use hatch_code::CodeMap;
use serde::Deserialize;
use serde_json::{Value, json};

use self::target::Target;
use crate::identity::DailyLimits;
use crate::settings::FromVars as _;
use crate::{
    clouds::{
        CLOUDFLARE, Cloud, Container, KOYEB, VERCEL,
        container::{ContainerRequest, Git},
        credentials,
        deployment::{self, AtCloud},
    },
    error::{Error, Resource},
    http::{
        RequestContext, body, page,
        progress::{self, Subject},
    },
    identity::quotas::{self, Quota},
    jobs,
    platform::{clock::now_ms, response::Response},
    store::{Database, Rows, page::Page, projects},
    upstream::vercel,
};

const PROJECT_NOT_FOUND: Error = Error::NotFound(Resource::Project);
const NOT_FOUND: Error = Error::NotFound(Resource::Deployment);

/// The values of `target` that a request may have.
#[cfg(test)]
fn requested_targets() -> Vec<Option<&'static str>> {
    let clouds = crate::clouds::CLOUDS.iter().map(|cloud| Some(cloud.name));
    [Some("edge")].into_iter().chain(clouds).chain([Some("herenow"), None]).collect()
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NewDeployment {
    #[garde(length(chars, min = 1, max = 64))]
    project_id: String,
    /// `herenow`, the original name of a quick preview, means `edge`.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(extend("enum" = requested_targets())))]
    target: Option<Target>,
    /// Deploys this code instead of the project's, and makes it the project's code.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(with = "Option<crate::openapi::Code>"))]
    code: Option<Value>,
    /// `koyeb`: a container image to run instead of the project's files, such as
    /// `ghcr.io/owner/app:1.2`.
    #[serde(default)]
    #[garde(skip)]
    image: Option<String>,
    /// `koyeb`: the name of the Koyeb secret with the registry's login.
    #[serde(default)]
    #[garde(skip)]
    registry_secret: Option<String>,
    /// `koyeb`: a branch to build and run instead of the project's files.
    #[serde(default)]
    #[garde(skip)]
    git: Option<Git>,
    /// `koyeb`: the port that the app listens on, 8000 by default; the app gets it as `PORT`.
    #[serde(default, deserialize_with = "body::optional_integer")]
    #[garde(inner(range(min = 1, max = 65_535)))]
    #[cfg_attr(test, schemars(range(min = 1, max = 65_535)))]
    port: Option<i64>,
    /// Whether packages are bundled into the app at build time, so that it works without a CDN.
    /// Otherwise the browser loads them from the CDN through the page's import map. A cloud that
    /// builds the app bundles them itself.
    #[serde(default)]
    #[garde(skip)]
    bundle: bool,
}

impl NewDeployment {
    fn files(&self) -> Result<Option<CodeMap>, Error> {
        self.code.as_ref().map(|code| body::code(code, "/code")).transpose()
    }

    /// The container to run, if the request asks for more than files.
    fn container(&self) -> Result<Option<Container>, Error> {
        let request = ContainerRequest {
            image: self.image.clone(),
            registry_secret: self.registry_secret.clone(),
            git: self.git.clone(),
            port: self.port.and_then(|port| u16::try_from(port).ok()),
        };
        let container = Container::read(request).map_err(Error::Invalid)?;
        match &container {
            Some(_) if self.target != Some(Target::Cloud(KOYEB)) => Err(Error::invalid(
                "/target",
                "must be `koyeb`, the only target that runs an image, a repository or a port",
            )),
            Some(container) if !container.is_of_files() && self.code.is_some() => {
                Err(Error::invalid("/code", "is not what would run: leave it out, or `image` and `git`"))
            }
            _ => Ok(container),
        }
    }
}

/// What to deploy, and of which project.
struct DeploymentPlan {
    project_id: String,
    target: Target,
    slug: String,
    code: String,
    container: Option<Container>,
    is_bundled: bool,
    /// Whether the code becomes the project's own.
    is_new: bool,
    /// The first line of the deployment's log.
    note: Option<&'static str>,
}

/// `POST /api/deploy`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    credentials::check_headers(&context.request)?;
    let user = context.caller.user_id()?;
    let new: NewDeployment = body::json(&context).await?;
    let given = new.files()?;
    let container = new.container()?;
    let (database, id) = (context.database()?, context.new_id("deployment")?);
    if let Some(started) = StartedDeployment::again(&id, &context, &database).await? {
        return Ok(started.into_response());
    }
    let project = database.query(store::project(&new.project_id, user)).await?.first::<store::Project>()?;
    let project = project.ok_or(PROJECT_NOT_FOUND)?;
    if project.is_processing {
        return Err(still_processing());
    }
    let (target, note) = reachable(new.target.unwrap_or(Target::Edge), &context, &database).await?;
    let is_new = given.is_some();
    let code = given.as_ref().map(CodeMap::to_json).or(project.code).filter(|code| code != "{}");
    let code = match &container {
        Some(container) if !container.is_of_files() => code.unwrap_or_else(|| "{}".to_owned()),
        _ => code.ok_or_else(|| no_code(target))?,
    };
    let slug = project.slug.unwrap_or_else(|| deployment::slug(&project.name, &new.project_id));
    let plan = DeploymentPlan {
        project_id: new.project_id,
        target,
        slug,
        code,
        container,
        is_bundled: new.bundle,
        is_new,
        note,
    };
    begin(&context, &database, id, plan).await.map(StartedDeployment::into_response)
}

/// The target of a deployment, and a note for its log. In development without Cloudflare
/// credentials, Cloudflare means this Worker, because the original clients ask for Cloudflare by
/// default.
async fn reachable(
    target: Target,
    context: &RequestContext,
    database: &Database,
) -> Result<(Target, Option<&'static str>), Error> {
    let (user, settings) = (context.caller.user_id()?, &context.settings);
    let may_differ = settings.is_development() && !CLOUDFLARE.is_set(settings)?;
    if target != Target::Cloud(CLOUDFLARE) || !may_differ {
        return Ok((target, None));
    }
    let header = |name: &str| context.request.header(name);
    match credentials::find(CLOUDFLARE, user, header, settings, database).await {
        Ok(_) => Ok((target, None)),
        Err(Error::NotConfigured { .. }) => Ok((Target::Edge, Some(NO_CLOUDFLARE))),
        Err(error) => Err(error),
    }
}

const NO_CLOUDFLARE: &str = "There are no credentials for Cloudflare, so in development this Worker itself hosts the app. \
     To deploy there, send X-Cloudflare-Api-Token and X-Cloudflare-Account-Id, store them \
     (PUT /auth/credentials/cloudflare), or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID";

#[derive(Debug, Default, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StartupDeployment {
    /// `vercel` if there are credentials for it, otherwise `edge`; without credentials, 503 for an
    /// app that `edge` cannot run. `herenow` means `edge`.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(extend("enum" = requested_targets())))]
    target: Option<Target>,
    /// Whether packages are bundled into the app, as in `POST /api/deploy`.
    #[serde(default)]
    #[garde(skip)]
    bundle: bool,
}

/// `POST /api/deploy/:id`: deploys a startup, which is the project with that id.
pub(crate) async fn startup(context: RequestContext) -> Result<Response, Error> {
    credentials::check_headers(&context.request)?;
    let user = context.caller.user_id()?;
    let new: StartupDeployment = body::optional_json(&context).await?.unwrap_or_default();
    let (database, id) = (context.database()?, context.new_id("deployment")?);
    let project_id = context.param("id").to_owned();
    let project = database.query(store::project(&project_id, user)).await?.first::<store::Project>()?;
    let project = project.ok_or(PROJECT_NOT_FOUND)?;
    let slug = project.slug.unwrap_or_else(|| deployment::slug(&project.name, &project_id));
    if let Some(started) = StartedDeployment::again(&id, &context, &database).await? {
        return Ok(started.into_startup_response());
    }
    if project.is_processing {
        return Err(still_processing());
    }
    let (target, note) = match new.target {
        Some(target) => reachable(target, &context, &database).await?,
        None => (default_target(project.code.as_deref(), &context, &database).await?, None),
    };
    let code = project.code.filter(|code| code != "{}").ok_or_else(|| no_code(target))?;
    let plan = DeploymentPlan {
        project_id,
        target,
        slug,
        code,
        container: None,
        is_bundled: new.bundle,
        is_new: false,
        note,
    };
    begin(&context, &database, id, plan).await.map(StartedDeployment::into_startup_response)
}

/// Vercel if there are credentials for it from any source, otherwise `edge`.
///
/// # Errors
/// [`Error::NotConfigured`] without credentials, for a startup that `edge` cannot run.
async fn default_target(
    code: Option<&str>,
    context: &RequestContext,
    database: &Database,
) -> Result<Target, Error> {
    let (user, settings) = (context.caller.user_id()?, &context.settings);
    let header = |name: &str| context.request.header(name);
    match credentials::find(VERCEL, user, header, settings, database).await {
        Ok(_) => Ok(Target::Cloud(VERCEL)),
        Err(Error::NotConfigured { .. }) if !code.is_some_and(needs_server) => Ok(Target::Edge),
        Err(Error::NotConfigured { variable, detail }) => Err(Error::NotConfigured {
            variable,
            detail: format!(
                "A Next.js app needs a server, so it goes live at Vercel, and there is no token for it. {detail}. \
                 Until then, download it and run `npm install && npm run dev` in its folder"
            ),
        }),
        Err(error) => Err(error),
    }
}

/// Whether this is a Next.js app without a static page.
fn needs_server(code: &str) -> bool {
    let Ok(code) = CodeMap::stored(code) else { return false };
    let framework = code.get("package.json").and_then(vercel::framework);
    framework == Some("nextjs") && !code.files().keys().any(|path| path.ends_with("index.html"))
}

/// The error for a startup that is still being generated, which must not go online.
fn still_processing() -> Error {
    Error::Conflict {
        code: "startup_processing",
        detail: "This startup is still being generated: deploy it when that has ended, or cancel it first"
            .into(),
    }
}

fn no_code(target: Target) -> Error {
    let detail = if target == Target::Cloud(KOYEB) {
        "No code to deploy; koyeb also takes `image`, a container image, or `git`, {repository, branch}"
    } else {
        "No code to deploy"
    };
    Error::Refused { code: "no_code", detail: detail.to_owned() }
}

/// A deployment that has started.
struct StartedDeployment {
    id: String,
    target: Target,
    /// The future URL, if it is known already.
    url: Option<String>,
    counted: Option<quotas::Taken>,
}

impl StartedDeployment {
    /// The deployment with this id, if an earlier request with the same `Idempotency-Key` started
    /// it.
    async fn again(id: &str, context: &RequestContext, database: &Database) -> Result<Option<Self>, Error> {
        if !context.is_again() {
            return Ok(None);
        }
        let target = database.query(store::target(id, context.caller.user_id()?)).await?.first()?;
        Ok(target.map(|target| {
            context.mark_replay();
            Self { id: id.to_owned(), target, url: None, counted: None }
        }))
    }

    fn into_response(self) -> Response {
        let body = json!({
            "deploymentId": self.id,
            "status": "pending",
            "message": "Deployment started",
            "target": self.target.name(),
        });
        self.accepted(&body)
    }

    /// In the format of the startup generator's clients.
    fn into_startup_response(self) -> Response {
        let body = json!({
            "status": "deploying",
            "message": format!("Deployment to {} started", self.target.name()),
            "deployment_id": self.id,
            "deployment_url": self.url,
        });
        self.accepted(&body)
    }

    fn accepted(self, body: &Value) -> Response {
        let response =
            Response::json(202, body.to_string()).with("location", format!("/api/deploy/{}", self.id));
        self.counted.iter().fold(response, |response, counted| counted.add_headers(response))
    }
}

/// `POST /api/deploy/:id/rollback`: repeats an earlier deployment, with the same code and target.
/// The project's code does not change.
pub(crate) async fn roll_back(context: RequestContext) -> Result<Response, Error> {
    credentials::check_headers(&context.request)?;
    let (user, database) = (context.caller.user_id()?, context.database()?);
    let id = context.new_id("deployment")?;
    let earlier = database.query(store::earlier(context.param("id"), user)).await?;
    let earlier: store::Earlier = earlier.first()?.ok_or(NOT_FOUND)?;
    if let Some(started) = StartedDeployment::again(&id, &context, &database).await? {
        return Ok(started.into_response());
    }
    let store::Earlier { project_id, target, slug, code, container, is_bundled } = earlier;
    let plan =
        DeploymentPlan { project_id, target, slug, code, container, is_bundled, is_new: false, note: None };
    begin(&context, &database, id, plan).await.map(StartedDeployment::into_response)
}

/// Writes a deployment and its job, and sends the job's message.
async fn begin(
    context: &RequestContext,
    database: &Database,
    id: String,
    plan: DeploymentPlan,
) -> Result<StartedDeployment, Error> {
    let user = context.caller.user_id()?;
    let cloud = match plan.target.cloud() {
        None => None,
        Some(cloud) => Some(at_cloud(context, database, cloud, &plan.slug, plan.container.as_ref()).await?),
    };
    let deployment = deployment::New {
        id,
        project_id: plan.project_id,
        user: user.to_owned(),
        target: plan.target.name(),
        url: deployment::url(
            context.settings.hosting_domain.as_deref(),
            context.request.origin(),
            &plan.slug,
        ),
        cloud,
        slug: plan.slug,
        container: plan.container.as_ref().map(container_json).transpose()?,
        is_bundled: plan.is_bundled,
    };
    let counted = quotas::take(Quota::Deploy, 1, user, DailyLimits::of(&context.settings)?, database).await?;
    let (job_id, now) = (context.new_id("job")?, now_ms());
    let mut batch = vec![deployment.create(&plan.code, now)];
    if plan.is_new {
        batch.push(store::adopt_code(&deployment, &plan.code, now));
        batch.push(projects::record_version(&deployment.project_id, user, "deploy", None));
    }
    batch.extend(deployment.job(&job_id, &context.trace_id, now));
    batch.extend(plan.note.map(|note| jobs::store::log(&job_id, "info", note, now)));
    if let Err(error) = created(database.batch_all(batch).await) {
        if let Some(counted) = &counted {
            counted.give_back(database).await;
        }
        return Err(error);
    }
    let env = context.env.clone();
    context.background.run(async move { jobs::outbox::send(&env, &job_id).await });

    let url = (plan.target == Target::Edge).then_some(deployment.url);
    Ok(StartedDeployment { id: deployment.id, target: plan.target, url, counted })
}

fn container_json(container: &Container) -> Result<String, Error> {
    serde_json::to_string(container).map_err(|e| Error::Internal(e.to_string()))
}

/// The credentials of a deployment to a cloud, which decide its place.
async fn at_cloud(
    context: &RequestContext,
    database: &Database,
    cloud: Cloud,
    slug: &str,
    container: Option<&Container>,
) -> Result<AtCloud, Error> {
    let (user, settings) = (context.caller.user_id()?, &context.settings);
    let header = |name: &str| context.request.header(name);
    let resolved = credentials::find(cloud, user, header, settings, database).await?;
    cloud.check(slug, &resolved, container, settings)?;
    Ok(AtCloud {
        place: resolved.place(cloud, settings)?,
        source: resolved.source,
        sealed: resolved.sealed(cloud, user, settings)?,
    })
}

fn created(batch: Result<Vec<Rows>, Error>) -> Result<(), Error> {
    match batch?.first() {
        Some(rows) if !rows.is_empty() => Ok(()),
        // Deleted at this very moment; the job finds nothing to do.
        _ => Err(PROJECT_NOT_FOUND),
    }
}

/// `GET /api/projects/:id/deployments`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let list = |page: &Page| store::of_project(id, user, page);
    let answer = page::fetch(&database, &mut page::of(&context)?, list).await?;
    if page::is_empty(answer.as_deref()) && database.query(store::project(id, user)).await?.is_empty() {
        return Err(PROJECT_NOT_FOUND);
    }
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /api/deploy/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    let row =
        database.query_json(store::show(context.param("id"), context.caller.user_id()?, now_ms())).await?;
    let row = row.ok_or(NOT_FOUND)?;
    // `job id of an overdue job\nstatus\n{deployment}`
    let mut parts = row.splitn(3, '\n');
    let (overdue, status, deployment) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    if let Some(job_id) = overdue.filter(|id| !id.is_empty()).map(str::to_owned) {
        let env = context.env.clone();
        context.background.run(async move {
            // Restarts a job whose consumer has died.
            let _ = jobs::outbox::nudge(&env, &database, &job_id).await;
        });
    }
    let response = Response::json(200, deployment.to_owned());
    Ok(if matches!(status, Some("live" | "failed")) { response } else { response.with("retry-after", "2") })
}

/// `GET /api/deploy/:id/stream`
pub(crate) async fn stream(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id").to_owned(), context.caller.user_id()?.to_owned());
    let poll = move |seen| store::snapshot(&id, &user, seen, now_ms());
    let subject = Subject { look: Box::new(poll), not_found: NOT_FOUND, status_event: None };
    progress::stream(context, subject).await
}
