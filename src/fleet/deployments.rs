//! Deployments on the fleet: what its machines should run.

use serde_json::{Map, Value, json};

use super::{
    fields::{self, Fields},
    owner,
    settings::Fleet,
    status::Status,
    store,
};
use crate::settings::FromVars as _;
use crate::store::sealing_key;
use crate::{
    error::{Error, Resource},
    http::{RequestContext, body, page},
    identity::{self, Credential, Scope, User},
    platform::{clock::now_ms, response::Response, url},
    store::{Rows, page::MAX_LIMIT, sealing},
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::Fleet);
const MOST_VARS: usize = 100;
const MOST_ENV_BYTES: usize = 64 * 1024;

/// The body of `POST /deployments`.
#[derive(Debug)]
pub(super) struct NewDeployment {
    name: String,
    github: String,
    creator: String,
    port: u32,
    branch: String,
    replicas: u32,
    env: Map<String, Value>,
}

impl NewDeployment {
    pub(super) fn read(body: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::new(body);
        let name = fields.required(&NAME_FIELDS, fields::text(20, is_name, NAME));
        let github = fields.required(&GITHUB_FIELDS, repository);
        let creator = fields.required(&["creator"], fields::wallet);
        let port = fields.optional(&["port"], fields::number(1, 65_535));
        let branch = fields.optional(&["branch"], fields::text(255, is_branch, BRANCH));
        let replicas = fields.optional(&["replicas"], fields::number(1, 10));
        let env = fields.optional(&ENV_FIELDS, env_vars);
        fields.finish(|| {
            Some(Self {
                name: name?,
                github: github?,
                creator: creator?,
                port: port.unwrap_or(3000),
                branch: branch.unwrap_or_else(|| "main".to_owned()),
                replicas: replicas.unwrap_or(1),
                env: env.unwrap_or_default(),
            })
        })
    }
}

/// The names of each field in a body; responses use the first one.
pub(super) const NAME_FIELDS: [&str; 3] = ["name", "app_name", "appName"];
pub(super) const GITHUB_FIELDS: [&str; 3] = ["github", "github_repo", "githubRepo"];
pub(super) const ENV_FIELDS: [&str; 2] = ["envVars", "env_vars"];
pub(super) const ERROR_FIELDS: [&str; 2] = ["errorMessage", "error_message"];

/// `POST /deployments`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    let NewDeployment { name, github, creator, port, branch, replicas, env } =
        NewDeployment::read(body::object(&context).await?)?;
    may_create_for(&context, user, &creator).await?;

    let (env_names, env_sealed) = sealed(&context, &name, &env)?;
    let new = store::deployments::NewDeployment {
        name: &name,
        url: &url(&name, &Fleet::of(&context.settings)?.domain),
        user: &user.id,
        creator: &creator,
        port,
        branch: &branch,
        github: &github,
        replicas,
        env_names: &env_names,
        env_sealed: env_sealed.as_deref(),
    };
    let [created, own] = context
        .database()?
        .batch([store::deployments::create(&new, now_ms()), store::deployments::show(&name, Some(&user.id))])
        .await?;
    let is_found = context.is_again() && !own.is_empty();
    if created.is_empty() && !is_found {
        return Err(name_taken());
    }
    if created.is_empty() {
        context.mark_replay();
    }
    Ok(deployment_response(201, own)?.with("location", format!("/deployments/{name}")))
}

/// Users deploy for the wallet of their account; deployers and the local
/// developer deploy for any wallet.
async fn may_create_for(context: &RequestContext, user: &User, creator: &str) -> Result<(), Error> {
    if user.credential == Credential::LocalDeveloper || user.scopes.contains(Scope::FleetDeploy) {
        return Ok(());
    }
    if identity::wallet_of(&user.id, &context.database()?).await?.as_deref() == Some(creator) {
        return Ok(());
    }
    Err(not_your_wallet())
}

pub(super) fn not_your_wallet() -> Error {
    Error::Forbidden {
        code: "not_your_wallet",
        detail: "`creator` must be the wallet of your account; sign in with it, or link it".into(),
    }
}

pub(super) fn name_taken() -> Error {
    Error::Conflict {
        code: "name_taken",
        detail: "A deployment of this name exists; names are unique".into(),
    }
}

/// `GET /deployments`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let creator = context.query("creator").map(|wallet| super::wallet(&wallet, "creator")).transpose()?;
    let page = match creator {
        // A dashboard of one wallet shows the first page only.
        Some(_) => page::with_default(&context, MAX_LIMIT)?,
        None => page::of(&context)?,
    };
    let status = match context.query("status") {
        None => None,
        Some(name) => Some(Status::parse(&name).ok_or_else(|| {
            Error::invalid("status", "must be `pending`, `processing`, `success` or `failed`")
        })?),
    };
    let list = store::deployments::list(owner(&context), creator.as_deref(), status, &page);
    let answer = context.database()?.query_json(list).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /deployments/:name`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    deployment_response(
        200,
        context.database()?.query(store::deployments::show(context.param("name"), owner(&context))).await?,
    )
}

/// The body of `PATCH /deployments/:name/status`.
#[derive(Debug)]
pub(super) struct StatusChange {
    status: Status,
    url: Option<String>,
    error: Option<String>,
}

impl StatusChange {
    pub(super) fn read(body: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::new(body);
        let status = fields.required(&["status"], |value| {
            let status = value.as_str().and_then(Status::parse);
            status.ok_or_else(|| "must be `pending`, `processing`, `success` or `failed`".to_owned())
        });
        let url = fields.optional(&["url"], fields::text(2000, is_url, "an http or https URL"));
        let error =
            fields.optional(&ERROR_FIELDS, fields::text(2000, |_| true, "text of 1 to 2000 characters"));
        fields.finish(|| Some(Self { status: status?, url, error }))
    }
}

/// `PATCH /deployments/:name/status`
pub(crate) async fn set_status(context: RequestContext) -> Result<Response, Error> {
    let StatusChange { status, url, error } = StatusChange::read(body::object(&context).await?)?;

    let (name, user, now) = (context.param("name"), owner(&context), now_ms());
    let [changed, present] = context
        .database()?
        .batch([
            store::deployments::set_status(name, user, status, url.as_deref(), error.as_deref(), now),
            store::deployments::show(name, user),
        ])
        .await?;
    if !changed.is_empty() {
        return deployment_response(200, changed);
    }
    let present: Value = present.first()?.ok_or(NOT_FOUND)?;
    let is = present.get("status").and_then(Value::as_str).unwrap_or_default();
    Err(status_conflict(is, status))
}

pub(super) fn status_conflict(is: &str, wanted: Status) -> Error {
    let (wanted, follows) = (wanted.name(), wanted.follows().name());
    Error::Conflict {
        code: "status_conflict",
        detail: format!("The deployment is `{is}`; `{wanted}` follows `{follows}` only").into(),
    }
}

/// The body of `PATCH /deployments/:name/env`.
#[derive(Debug)]
pub(super) struct NewEnv {
    env: Map<String, Value>,
    port: Option<u32>,
}

impl NewEnv {
    pub(super) fn read(body: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::new(body);
        let env = fields.required(&ENV_FIELDS, env_vars);
        let port = fields.optional(&["port"], fields::number(1, 65_535));
        fields.finish(|| Some(Self { env: env?, port }))
    }
}

/// `PATCH /deployments/:name/env`: replaces all variables.
pub(crate) async fn set_env(context: RequestContext) -> Result<Response, Error> {
    let NewEnv { env, port } = NewEnv::read(body::object(&context).await?)?;
    let name = context.param("name");
    let (env_names, env_sealed) = sealed(&context, name, &env)?;
    let set =
        store::deployments::set_env(name, owner(&context), &env_names, env_sealed.as_deref(), port, now_ms());
    deployment_response(200, context.database()?.query(set).await?)
}

/// `GET /deployments/:name/env`: the variables in plain text, for deployers.
pub(crate) async fn show_env(context: RequestContext) -> Result<Response, Error> {
    let name = context.param("name");
    let row = context.database()?.query(store::deployments::sealed_env(name, owner(&context))).await?;
    let row: store::deployments::Sealed = row.first()?.ok_or(NOT_FOUND)?;
    let env = match row.sealed {
        Some(sealed) => sealing::open(sealing_key(&context.settings)?, &place(name), &sealed)?,
        None => "{}".to_owned(),
    };
    Ok(Response::json(200, format!("{{\"envVars\":{env}}}")).not_kept())
}

/// The body of `PATCH /deployments/:name/replicas`.
pub(super) fn replicas(body: Map<String, Value>) -> Result<u32, Error> {
    let mut fields = Fields::new(body);
    let replicas = fields.required(&["replicas"], fields::number(1, 10));
    fields.finish(|| replicas)
}

/// `PATCH /deployments/:name/replicas`
pub(crate) async fn set_replicas(context: RequestContext) -> Result<Response, Error> {
    let replicas = replicas(body::object(&context).await?)?;
    let set = store::deployments::set_replicas(context.param("name"), owner(&context), replicas, now_ms());
    deployment_response(200, context.database()?.query(set).await?)
}

/// `DELETE /deployments/:name`
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    let name = context.param("name");
    let delete = [
        store::deployments::delete(name, owner(&context)),
        context.audit_change("fleet-deployment.delete", name),
    ];
    let [deleted, _] = context.database()?.batch(delete).await?;
    if deleted.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(Response::json(200, json!({ "success": true }).to_string()))
}

fn deployment_response(status: u16, rows: Rows) -> Result<Response, Error> {
    Ok(Response::json(status, rows.into_json().ok_or(NOT_FOUND)?))
}

/// The names of the variables, which everyone sees who sees the deployment, and
/// the encrypted variables.
fn sealed(
    context: &RequestContext,
    name: &str,
    env: &Map<String, Value>,
) -> Result<(String, Option<String>), Error> {
    let names: Vec<&String> = env.keys().collect();
    if env.is_empty() {
        return Ok(("[]".to_owned(), None));
    }
    let key = sealing_key(&context.settings)?;
    let sealed = sealing::seal(key, &place(name), &json!(env).to_string())?;
    Ok((json!(names).to_string(), Some(sealed)))
}

fn place(name: &str) -> String {
    format!("fleet_deployments/{name}")
}

const NAME: &str = "a name of at most 20 letters, digits and hyphens in lower case that begins with a letter and does not end with a hyphen: it becomes a host's name";
const BRANCH: &str = "the name of a branch";

/// `^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 20
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|b| *b != b'-')
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The address of a deployment, unless its deployer sets another one.
fn url(name: &str, domain: &str) -> String {
    let host = domain.split(':').next().unwrap_or_default();
    let scheme = if host == "localhost" || host.ends_with(".localhost") { "http" } else { "https" };
    format!("{scheme}://{name}.{domain}")
}

/// Reads a GitHub repository, either its URL, with or without the scheme, or
/// `owner/name`, and returns its URL.
fn repository(value: &Value) -> Result<String, String> {
    let text = value.as_str().unwrap_or_default();
    let path = text.strip_prefix("https://").unwrap_or(text).strip_prefix("github.com/").unwrap_or(text);
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_suffix(".git").unwrap_or(path).split_once('/') {
        Some((owner, name)) if is_owner(owner) && is_repository(name) => {
            Ok(format!("https://github.com/{owner}/{name}"))
        }
        _ => {
            Err("must be a GitHub repository: owner/name, or its URL, https://github.com/owner/name"
                .to_owned())
        }
    }
}

fn is_owner(owner: &str) -> bool {
    (1..=39).contains(&owner.len())
        && !owner.starts_with('-')
        && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// No name ends with `.git`, which only its URL may have.
fn is_repository(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.ends_with(".git")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The names that git check-ref-format permits.
fn is_branch(name: &str) -> bool {
    let is_odd =
        |b: u8| b <= b' ' || b == 0x7F || matches!(b, b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.bytes().any(is_odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && name.split('/').all(part)
}

fn is_url(url: &str) -> bool {
    url::parse(url, None).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn env_vars(value: &Value) -> Result<Map<String, Value>, String> {
    let vars = value.as_object().ok_or("must be an object of names and texts")?;
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        name.len() <= 128
            && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.contains('\0'));
    if vars.len() > MOST_VARS || value.to_string().len() > MOST_ENV_BYTES {
        return Err(format!("must be at most {MOST_VARS} variables and {MOST_ENV_BYTES} bytes"));
    }
    match vars.iter().find(|(name, value)| !is_name(name) || !is_text(value)) {
        None => Ok(vars.clone()),
        Some(_) => Err("must be names of letters, digits and underscores, each with a text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label_of_at_most_20() {
        for name in ["a", "ab", "a-b", "app1", "a2345678901234567890"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "ä", "a23456789012345678901", "a b"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_repository_is_one_of_github() {
        let canonical = |text: &str| repository(&json!(text));
        for (text, path) in [
            ("https://github.com/a/b", "a/b"),
            ("https://github.com/a-b/c.d_e-f.git", "a-b/c.d_e-f"),
            ("https://github.com/a/b/", "a/b"),
            ("https://github.com/a/b.git/", "a/b"),
            ("github.com/Owner/Repo", "Owner/Repo"),
            ("github.com/a/b.git", "a/b"),
            ("a/b", "a/b"),
            ("a/b/", "a/b"),
            ("a/b.git", "a/b"),
            ("a/github.com", "a/github.com"),
        ] {
            let url = format!("https://github.com/{path}");
            assert_eq!(canonical(text), Ok(url.clone()), "{text}");
            assert_eq!(canonical(&url), Ok(url.clone()), "{text}");
        }
        for url in [
            "http://github.com/a/b",
            "https://github.com.evil.com/a/b",
            "https://github.com/a",
            "https://github.com/a/b/c",
            "https://user@github.com/a/b",
            "https://github.com/-a/b",
            "https://github.com/a/..",
            "https://github.com/a/b;ls",
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "a//b",
            "https://a/b",
            "https:///a/b",
            "github.com/a",
            "github.com/github.com/a/b",
            "gitlab.com/a/b",
            "git@github.com:a/b",
            "a/.git",
            "a/b.git.git",
            "a/b?x",
            "a/b c",
            "a b/c",
        ] {
            assert!(canonical(url).is_err(), "{url}");
        }
        assert!(repository(&json!(["a/b"])).is_err());
    }

    #[test]
    fn a_deployment_has_https_except_on_localhost() {
        for (domain, message) in [
            ("localhost", "http://app.localhost"),
            ("localhost:8080", "http://app.localhost:8080"),
            ("fleet.localhost", "http://app.fleet.localhost"),
            ("fleet.example", "https://app.fleet.example"),
            ("notlocalhost", "https://app.notlocalhost"),
        ] {
            assert_eq!(url("app", domain), message);
        }
    }

    #[test]
    fn a_branch_is_what_git_takes() {
        for name in ["main", "feature/x", "v1.2", "a@b"] {
            assert!(is_branch(name), "{name}");
        }
        for name in
            ["a b", "a..b", "-x", "/a", "a/", "a//b", ".a", "a.lock", "a~1", "@", "a@{1}", "a\n", "$(x)\\"]
        {
            assert!(!is_branch(name), "{name}");
        }
    }
}
