//! Koyeb: an app with one service, made from an image, from a git repository, or from the project's
//! files, which Koyeb builds.

use hatch_credentials::sigv4;
use serde::{Deserialize, Serialize};

use super::{
    app::{AppSpec, File, Line, Report, State, parse_remote, pause_ms, to_remote},
    container::{self, Container, ContainerSource, DEFAULT_PORT, EcrImage},
    description::{Description, OwnAccount},
    resolved::{CredentialSource, Credentials, ResolvedCredentials},
};
use crate::{
    error::Error,
    platform::clock::MINUTE_MS,
    settings::{FromVars, ParseSettings, Settings, Vars, parses, vars::wrong},
    upstream::{
        aws::ecr::Ecr,
        koyeb::{self, Builder, Koyeb, Log, Service, app_name, archive},
    },
};

/// Reports faults in its variables.
pub(super) const SETTINGS: &[ParseSettings] = &[parses::<Account>(), parses::<Option<Registry>>()];

pub(super) static CLOUD: Description = Description {
    name: "koyeb",
    title: "Koyeb",
    token_header: "X-Koyeb-Token",
    token_variable: "KOYEB_TOKEN",
    account: None,
    own: |settings| Ok(OwnAccount { token: Account::of(settings)?.token.clone(), account: None }),
    namespace: |_| Ok(None),
    is_manifest: |path| MANIFESTS.contains(&path),
    check,
    push: |spec, files| Box::pin(push(spec, files)),
    poll: |spec, since_ms| Box::pin(poll(spec, since_ms)),
    undeploy: |spec| Box::pin(undeploy(spec)),
    has: |credentials, name, mark, settings| {
        Box::pin(async {
            let koyeb = client(credentials, settings)?;
            koyeb.has(&app_name(name), mark).await
        })
    },
    patience_ms: 30 * MINUTE_MS,
};

/// What is stored about a deployment.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    app: String,
    deployment: String,
    /// How many lines of its build's log we have reported.
    #[serde(alias = "told")]
    reported: usize,
    /// Whether we have reported how its container ended.
    #[serde(alias = "told_end")]
    reported_end: bool,
}

/// Files that define how the files around them are built and run.
const DOCKERFILE: &str = "Dockerfile";
const MANIFESTS: &[&str] = &[
    DOCKERFILE,
    "package.json",
    "requirements.txt",
    "pyproject.toml",
    "go.mod",
    "Gemfile",
    "composer.json",
    "pom.xml",
    "Cargo.toml",
    "Procfile",
];

/// Serves a site of plain files. nginx's own image fills PORT into its templates; a path without a
/// file is a route of the app's own router.
const SITE_DOCKERFILE: &str = "FROM nginx:1-alpine\n\
    COPY default.conf.template /etc/nginx/templates/default.conf.template\n\
    COPY site /usr/share/nginx/html\n";
const SITE_CONFIGURATION: &str = "server {\n\
    \x20 listen ${PORT};\n\
    \x20 root /usr/share/nginx/html;\n\
    \x20 charset utf-8;\n\
    \x20 location / { try_files $uri $uri/index.html /index.html; }\n\
    }\n";

/// The operator's account, and the base URL of Koyeb's API.
struct Account {
    base_url: String,
    token: Option<String>,
    /// The region of services: `fra`, `was`, …
    region: String,
    /// The size of services: `free`, `nano`, …
    instance_type: String,
}

impl FromVars for Account {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("KOYEB_BASE_URL", "https://app.koyeb.com")?,
            token: vars.get("KOYEB_TOKEN"),
            region: vars.get("KOYEB_REGION").unwrap_or_else(|| "fra".to_owned()),
            instance_type: vars.get("KOYEB_INSTANCE_TYPE").unwrap_or_else(|| "free".to_owned()),
        })
    }
}

/// The container registry in the operator's AWS account.
struct Registry {
    base_url: String,
    region: String,
    keys: sigv4::Keys,
}

impl FromVars for Option<Registry> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let keys = match (vars.get("AWS_ACCESS_KEY_ID"), vars.get("AWS_SECRET_ACCESS_KEY")) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => sigv4::Keys { id, secret },
            (Some(_), None) => return Err(wrong("AWS_SECRET_ACCESS_KEY", "set beside AWS_ACCESS_KEY_ID")),
            (None, Some(_)) => return Err(wrong("AWS_ACCESS_KEY_ID", "set beside AWS_SECRET_ACCESS_KEY")),
        };
        let region = vars.get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
        if !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(wrong("AWS_REGION", "a region's name, such as us-east-1"));
        }
        let default = format!("https://api.ecr.{region}.amazonaws.com");
        Ok(Some(Registry { base_url: vars.base_url("ECR_BASE_URL", &default)?, region, keys }))
    }
}

fn client<'a>(credentials: &'a Credentials, settings: &Settings) -> Result<Koyeb<'a>, Error> {
    Ok(Koyeb {
        base_url: &Account::of(settings)?.base_url,
        token: &credentials.token,
        timeout_ms: settings.timeouts.head_ms,
    })
}

fn client_of<'a>(spec: &AppSpec<'a>) -> Result<Koyeb<'a>, Error> {
    client(&spec.credentials.credentials, spec.settings)
}

/// Whether this container may run with these credentials. What the operator's account can access
/// belongs to the operator, not to the users.
///
/// # Errors
/// 400 or 503 with what to do.
fn check(
    name: &str,
    resolved: &ResolvedCredentials,
    container: Option<&Container>,
    settings: &Settings,
) -> Result<(), Error> {
    let is_operators = settings.is_development();
    let is_own = resolved.source == CredentialSource::Own;
    match container.map(|container| &container.source) {
        Some(ContainerSource::Git(_)) if is_own && !is_operators => Err(own_needed(
            "A repository is deployed with a Koyeb token of your own: send X-Koyeb-Token. This Worker's account may see \
             repositories that you may not",
        )),
        Some(ContainerSource::Image { registry_secret: Some(_), .. }) if is_own && !is_operators => {
            Err(own_needed("A secret is used with a Koyeb token of your own: send X-Koyeb-Token"))
        }
        Some(ContainerSource::Image { image, registry_secret: None }) => match container::in_ecr(image) {
            None => Ok(()),
            Some(_) if Option::<Registry>::of(settings)?.is_none() => Err(Error::NotConfigured {
                variable: "AWS_ACCESS_KEY_ID",
                detail: "To deploy an image of Amazon ECR, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or keep its \
                         registry's login as a secret at Koyeb and send `registrySecret`"
                    .to_owned(),
            }),
            Some(_) if is_operators => Ok(()),
            Some(_) if !is_own => Err(own_needed(
                "This Worker does not give its registry's login to your account at Koyeb: keep one of your own as a secret \
                 there and send `registrySecret`",
            )),
            Some(ecr) if ecr.repository == own_repository(name) => Ok(()),
            Some(ecr) => Err(foreign_repository(ecr.registry, name)),
        },
        _ => Ok(()),
    }
}

pub(crate) fn own_needed(detail: &str) -> Error {
    Error::Refused { code: "own_credentials_needed", detail: detail.to_owned() }
}

pub(crate) fn foreign_repository(registry: &str, name: &str) -> Error {
    Error::Refused {
        code: "foreign_repository",
        detail: format!(
            "In this Worker's registry each project has its own repository: {registry}/{}",
            own_repository(name)
        ),
    }
}

/// An app's repository in the operator's registry.
fn own_repository(name: &str) -> String {
    format!("hatch/{name}")
}

async fn push(spec: &AppSpec<'_>, files: &[File<'_>]) -> Result<Report, Error> {
    let (koyeb, mark) = (client_of(spec)?, spec.mark()?);
    let app = koyeb.app(&app_name(spec.name)).await?;
    let service = koyeb.service(&app).await?;
    // An earlier attempt may have died right after the deployment.
    let made = match &service {
        Some(service) => koyeb.marked(service, mark).await?,
        None => None,
    };
    let deployment = match made {
        Some(deployment) => deployment,
        None => deploy(&koyeb, spec, mark, &app, service.as_deref(), files).await?,
    };
    Ok(Report {
        state: State::Going { after_ms: pause_ms(0) },
        lines: vec![Line::info("Koyeb has it, and starts it")],
        remote: Some(to_remote(&Remote { app, deployment, reported: 0, reported_end: false })?),
    })
}

async fn deploy(
    koyeb: &Koyeb<'_>,
    spec: &AppSpec<'_>,
    mark: &str,
    app: &str,
    service: Option<&str>,
    files: &[File<'_>],
) -> Result<String, Error> {
    let (secret, archive);
    let source = match spec.container.map(|container| &container.source) {
        Some(ContainerSource::Image { image, registry_secret }) => {
            secret = match (registry_secret, container::in_ecr(image)) {
                (Some(secret), _) => Some(secret.clone()),
                (None, Some(ecr)) => log_in(koyeb, spec, ecr).await?,
                (None, None) => None,
            };
            koyeb::ServiceSource::Image { image, secret: secret.as_deref() }
        }
        Some(ContainerSource::Git(git)) => koyeb::ServiceSource::Git {
            repository: &git.repository,
            branch: &git.branch,
            builder: match git.builder {
                container::Builder::Buildpack => Builder::Buildpack,
                container::Builder::Docker => Builder::Docker,
            },
        },
        Some(ContainerSource::Files) | None => {
            let (packed, builder) = pack(files)?;
            archive = koyeb.upload(packed).await?;
            koyeb::ServiceSource::Archive { id: &archive, builder }
        }
    };
    let settings = Account::of(spec.settings)?;
    let wanted = Service {
        source,
        port: spec.container.map_or(DEFAULT_PORT, |container| container.port),
        mark,
        region: &settings.region,
        instance_type: &settings.instance_type,
    };
    let deployed = match service {
        Some(service) => koyeb.update(service, &wanted).await?,
        None => koyeb.create(app, &wanted).await?,
    };
    Ok(deployed.deployment)
}

/// Stores a fresh login of the operator's registry as a Koyeb secret, because a login lasts twelve
/// hours, and returns the secret's name. Creates the repository, so that a missing image can be
/// pushed. `None` for other registries, for which we have no login.
async fn log_in(koyeb: &Koyeb<'_>, spec: &AppSpec<'_>, image: EcrImage<'_>) -> Result<Option<String>, Error> {
    let Some(settings) = Option::<Registry>::of(spec.settings)? else { return Ok(None) };
    let ecr = Ecr {
        base_url: &settings.base_url,
        region: &settings.region,
        keys: &settings.keys,
        timeout_ms: spec.settings.timeouts.head_ms,
    };
    let login = ecr.login().await?;
    if login.registry != image.registry {
        return Ok(None);
    }
    ecr.create_repository(image.repository).await?;
    let secret = format!("{}-ecr", app_name(spec.name));
    koyeb.keep_login(&secret, &login).await?;
    Ok(Some(secret))
}

/// The archive of a project's files, and its builder. A site of plain files gets a web server.
fn pack(files: &[File<'_>]) -> Result<(Vec<u8>, Builder), Error> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let sources = files.iter().map(|file| (file.path, file.content));
    if MANIFESTS.iter().any(|path| has(path)) {
        let builder = if has(DOCKERFILE) { Builder::Docker } else { Builder::Buildpack };
        return Ok((archive::pack(sources)?, builder));
    }
    let site: Vec<(String, &str)> =
        sources.map(|(path, content)| (format!("site/{path}"), content)).collect();
    let server = [(DOCKERFILE, SITE_DOCKERFILE), ("default.conf.template", SITE_CONFIGURATION)];
    let site = site.iter().map(|(path, content)| (path.as_str(), *content));
    Ok((archive::pack(server.into_iter().chain(site))?, Builder::Docker))
}

async fn poll(spec: &AppSpec<'_>, since_ms: i64) -> Result<Report, Error> {
    let (koyeb, mut remote) = (client_of(spec)?, parse_remote::<Remote>(spec)?);
    let going = || State::Going { after_ms: pause_ms(since_ms) };
    // The state first: then the logs are complete up to that state.
    let state = match koyeb.state(&remote.deployment).await? {
        koyeb::State::Starting => going(),
        koyeb::State::Failed { reason } => State::Failed { reason },
        // The domain may appear a moment after the service is healthy.
        koyeb::State::Running => match koyeb.domain(&remote.app).await? {
            Some(domain) => State::Live { url: Some(format!("https://{domain}")) },
            None => going(),
        },
    };
    // Missing logs do not fail a deployment.
    let built = koyeb.log(&remote.deployment, Log::Build).await.unwrap_or_default();
    let mut lines: Vec<Line> = built.into_iter().skip(remote.reported).map(Line::info).collect();
    remote.reported += lines.len();
    if matches!(state, State::Failed { .. }) && !remote.reported_end {
        let ended = koyeb.log(&remote.deployment, Log::Runtime).await.unwrap_or_default();
        lines.extend(ended.into_iter().map(|message| Line { level: "error", message }));
        remote.reported_end = true;
    }
    Ok(Report { state, lines, remote: Some(to_remote(&remote)?) })
}

/// Deletes the service. The empty app stays and keeps its address.
async fn undeploy(spec: &AppSpec<'_>) -> Result<(), Error> {
    let koyeb = client_of(spec)?;
    let Some(app) = koyeb.find_app(&app_name(spec.name)).await? else { return Ok(()) };
    match koyeb.service(&app).await? {
        Some(service) => koyeb.delete(&service).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

    /// The code of the check's result for this container, in this environment, with credentials
    /// from this source.
    fn code_of(image: Option<&str>, environment: &str, source: CredentialSource) -> &'static str {
        let source_of =
            |image: &str| ContainerSource::Image { image: image.to_owned(), registry_secret: None };
        let git = container::Git {
            repository: "github.com/o/r".to_owned(),
            branch: "main".to_owned(),
            builder: container::Builder::Buildpack,
        };
        let container = Container { source: image.map_or(ContainerSource::Git(git), source_of), port: 1 };
        let keys =
            [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s"), ("ENVIRONMENT", environment)];
        let resolved =
            ResolvedCredentials { credentials: Credentials { token: "t".to_owned(), account: None }, source };
        check("app-1", &resolved, Some(&container), &Settings::for_test(&keys))
            .map_or_else(|e| e.code(), |()| "ok")
    }

    #[test]
    fn only_the_operator_may_use_what_the_operators_account_sees() {
        let own = format!("{ECR}/hatch/app-1:3");
        let foreign = format!("{ECR}/hatch/app-2:3");
        for (image, source, expected) in [
            (None, CredentialSource::Own, "own_credentials_needed"),
            (None, CredentialSource::Header, "ok"),
            (Some("nginx"), CredentialSource::Own, "ok"),
            (Some(own.as_str()), CredentialSource::Own, "ok"),
            (Some(foreign.as_str()), CredentialSource::Own, "foreign_repository"),
            (Some(own.as_str()), CredentialSource::Header, "own_credentials_needed"),
            (Some(own.as_str()), CredentialSource::Stored, "own_credentials_needed"),
        ] {
            assert_eq!(code_of(image, "production", source), expected, "{image:?} {source:?}");
            assert_eq!(code_of(image, "development", source), "ok", "{image:?} {source:?}");
        }
    }
}
