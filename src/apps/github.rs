//! GitHub with the user's own token: finds the token, creates and fills
//! repositories, and pulls what was pushed to an app's repository.
//!
//! Handlers: [`create_of_user`], [`initial_commit_of_user`], [`commit_of_user`], the
//! same of an organisation, and [`pull`].

use std::collections::BTreeMap;

use garde::Validate;
use hatch_code::{CodeError, CodeMap, composed, safe_path};
use hatch_diff::Files;
use serde::Deserialize;
use serde_json::json;

use super::{
    dialect,
    ids::{APP_NOT_FOUND, app_param},
    merge,
    store::{self, files::Repository},
    work::{code_of, files_of},
};
use crate::{
    error::Error,
    http::{RequestContext, body},
    identity::store as users,
    platform::{clock::now_ms, response::Response},
    settings::{FromVars as _, Settings},
    store::{Database, Rows, projects},
    upstream::{
        connected,
        github::{
            Branch, Changes, Client, ConnectedAccounts, FileChange, GitHub, NewRepo, Purpose, blob_sha,
        },
    },
};

/// The longest token.
const LONGEST: usize = 500;
pub(crate) const HEADER: &str = "X-GitHub-Token";

/// The token in a request's header.
///
/// # Errors
/// 400 for a value that cannot be a token.
pub(super) fn token_of_header(context: &RequestContext) -> Result<Option<String>, Error> {
    let Some(token) = context.request.header("x-github-token") else { return Ok(None) };
    if token.is_empty() || token.len() > LONGEST || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid(HEADER, "must be the token alone: 1 to 500 visible characters"));
    }
    Ok(Some(token))
}

/// The token of the account that a user has connected at Stack Auth.
pub(super) async fn connected_token(
    user: &str,
    settings: &Settings,
    database: &Database,
) -> Result<Option<String>, Error> {
    let Some(accounts) = Option::<ConnectedAccounts>::of(settings)? else { return Ok(None) };
    let known: Option<users::User> = database.query(users::user(user)).await?.first()?;
    match known.and_then(|known| known.stack_id) {
        Some(stack_id) => connected::github_token(accounts, &stack_id).await,
        None => Ok(None),
    }
}

/// The caller's token.
async fn token(context: &RequestContext, database: &Database) -> Result<String, Error> {
    if let Some(token) = token_of_header(context)? {
        return Ok(token);
    }
    connected_token(context.caller.user_id()?, &context.settings, database).await?.ok_or_else(not_connected)
}

/// The token to act with in an organisation: the one in the request, else one of
/// our GitHub App if it is installed there, else that of the caller's connected
/// account.
async fn token_for(
    organisation: &str,
    purpose: Purpose<'_>,
    context: &RequestContext,
    database: &Database,
) -> Result<String, Error> {
    if let Some(token) = token_of_header(context)? {
        return Ok(token);
    }
    let github = GitHub::of(&context.settings)?;
    let installed = github.installation_token(organisation, purpose).await.map_err(refused)?;
    match installed {
        Some(token) => Ok(token),
        None => connected_token(context.caller.user_id()?, &context.settings, database)
            .await?
            .ok_or_else(not_installed),
    }
}

/// Whether the caller is a member of the organisation whose members are staff.
/// False if GitHub does not say.
pub(super) async fn is_member_of_staff(context: &RequestContext) -> Result<bool, Error> {
    let github = GitHub::of(&context.settings)?;
    let Some(organisation) = &github.staff_organisation else { return Ok(false) };
    let Ok(token) = token(context, &context.database()?).await else { return Ok(false) };
    Ok(Client { github, token: &token }.is_member(organisation).await.unwrap_or(false))
}

pub(super) fn not_connected() -> Error {
    Error::Refused {
        code: "github_not_connected",
        detail: "Connect your GitHub account, or send X-GitHub-Token".to_owned(),
    }
}

fn not_installed() -> Error {
    Error::Refused {
        code: "github_not_connected",
        detail:
            "Install the GitHub App in this organisation, connect your GitHub account, or send X-GitHub-Token"
                .to_owned(),
    }
}

/// Allows these routes in development and to staff, as the original does.
fn require_staff(context: &RequestContext) -> Result<(), Error> {
    let user = context.caller.user()?;
    if context.settings.is_development() || user.is_staff { Ok(()) } else { Err(FOR_STAFF) }
}

pub(super) const FOR_STAFF: Error = Error::Forbidden {
    code: "not_privileged",
    detail: std::borrow::Cow::Borrowed("The GitHub routes are for staff"),
};

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NewGitHubRepository"))]
#[expect(non_snake_case, reason = "appURL is the original's name, and an error points to it")]
pub(super) struct NewRepository {
    /// The repository's name.
    #[garde(length(chars, min = 1, max = 100), custom(is_name))]
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9._-]+$")))]
    repo: String,
    /// The organisation that will own it.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 39), custom(is_owner)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 39), regex(pattern = "^[A-Za-z0-9-]+$")))]
    owner: Option<String>,
    /// The app's address.
    #[serde(default)]
    #[garde(inner(length(chars, max = 2_000)))]
    #[cfg_attr(test, schemars(length(max = 2_000)))]
    appURL: Option<String>,
}

/// `POST /github/user/create-repo`
pub(crate) async fn create_of_user(context: RequestContext) -> Result<Response, Error> {
    create(context, false).await
}

/// `POST /github/org/create-repo`
pub(crate) async fn create_of_organisation(context: RequestContext) -> Result<Response, Error> {
    create(context, true).await
}

async fn create(context: RequestContext, is_of_organisation: bool) -> Result<Response, Error> {
    require_staff(&context)?;
    let new: NewRepository = body::json(&context).await?;
    let organisation = match (is_of_organisation, &new.owner) {
        (false, _) => None,
        (true, Some(owner)) => Some(owner.as_str()),
        (true, None) => return Err(owner_missing()),
    };
    let database = context.database()?;
    let token = match organisation {
        Some(name) => token_for(name, Purpose::Create, &context, &database).await?,
        None => token(&context, &database).await?,
    };
    let client = Client { github: GitHub::of(&context.settings)?, token: &token };
    let description = new.appURL.map(|url| format!("Made with Hatch: {url}")).unwrap_or_default();
    let wanted = NewRepo { name: &new.repo, private: true, description: &description, auto_init: false };
    let repo = client.create(organisation, &wanted).await.map_err(refused)?.ok_or_else(repo_exists)?;
    database.query(context.audit("github.create-repo", &repo.html_url)).await?;
    let body = json!({ "statusCode": 200, "status": "success", "message": "Repository created", "repositoryUrl": repo.html_url });
    Ok(Response::json(200, body.to_string()))
}

pub(super) fn owner_missing() -> Error {
    Error::invalid("/owner", "is missing: the organisation")
}

pub(super) fn repo_exists() -> Error {
    Error::Refused {
        code: "repository_exists",
        detail: "There is a repository of this name already".to_owned(),
    }
}

/// Turns a refusal of GitHub's into 400, as the original does: the caller can repair it.
pub(super) fn refused(error: Error) -> Error {
    match error {
        Error::Upstream { kind, detail, .. } if kind.is_permanent() => {
            Error::Refused { code: "github_refused", detail }
        }
        error => error,
    }
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "GitHubCommit"))]
pub(super) struct NewCommit {
    #[garde(length(chars, min = 1, max = 100), custom(is_name))]
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9._-]+$")))]
    repo: String,
    #[garde(length(chars, min = 1, max = 39), custom(is_owner))]
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9-]+$")))]
    owner: String,
    #[garde(length(min = 1, max = 2_000), dive)]
    paths: Vec<NewFile>,
    /// The commit message.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 2_000)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 2_000)))]
    message: Option<String>,
    /// `main` by default.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200), custom(is_branch)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 200), regex(pattern = "^[A-Za-z0-9._/-]+$")))]
    branch: Option<String>,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "GitHubFile"))]
pub(super) struct NewFile {
    #[garde(length(chars, min = 1, max = 240))]
    path: String,
    /// `null` deletes the file.
    #[serde(default)]
    #[garde(skip)]
    content: Option<String>,
    /// `base64` for a file that is not text.
    #[serde(default)]
    #[garde(inner(custom(is_encoding)))]
    #[cfg_attr(test, schemars(extend("enum" = ["utf-8", "base64", null])))]
    encoding: Option<String>,
}

/// Whether a name has only letters, digits and these other characters.
fn is_of(name: &str, others: &str) -> garde::Result {
    let is_good = name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    if is_good {
        Ok(())
    } else {
        Err(garde::Error::new(format!("must have only letters, digits and any of {others}")))
    }
}

fn is_name(name: &str, (): &()) -> garde::Result {
    is_of(name, "._-")
}

fn is_owner(name: &str, (): &()) -> garde::Result {
    is_of(name, "-")
}

fn is_branch(name: &str, (): &()) -> garde::Result {
    is_of(name, "._/-")
}

fn is_encoding(encoding: &str, (): &()) -> garde::Result {
    if matches!(encoding, "utf-8" | "base64") {
        Ok(())
    } else {
        Err(garde::Error::new("must be `utf-8` or `base64`"))
    }
}

impl NewCommit {
    pub(super) fn changes(&self) -> Result<Changes, Error> {
        let mut changes = Changes::new();
        for (n, file) in self.paths.iter().enumerate() {
            let wrong = |detail: String| Error::invalid(format!("/paths/{n}/path"), detail);
            let path = safe_path(&file.path).map_err(|reason| wrong(reason.to_string()))?;
            let change = match (&file.content, file.encoding.as_deref()) {
                (None, _) => FileChange::Deleted,
                (Some(content), Some("base64")) => FileChange::Binary(content.clone()),
                (Some(content), _) => FileChange::Text(content.clone()),
            };
            if changes.insert(path, change).is_some() {
                return Err(wrong("is in the list twice".to_owned()));
            }
        }
        Ok(changes)
    }
}

/// `POST /github/user/initial-commit`
pub(crate) async fn initial_commit_of_user(context: RequestContext) -> Result<Response, Error> {
    commit(context, false, true).await
}

/// `POST /github/org/initial-commit`
pub(crate) async fn initial_commit_of_organisation(context: RequestContext) -> Result<Response, Error> {
    commit(context, true, true).await
}

/// `POST /github/user/commit`
pub(crate) async fn commit_of_user(context: RequestContext) -> Result<Response, Error> {
    commit(context, false, false).await
}

/// `POST /github/org/commit`
pub(crate) async fn commit_of_organisation(context: RequestContext) -> Result<Response, Error> {
    commit(context, true, false).await
}

async fn commit(
    context: RequestContext,
    is_of_organisation: bool,
    is_first: bool,
) -> Result<Response, Error> {
    require_staff(&context)?;
    let new: NewCommit = body::json(&context).await?;
    let (changes, database) = (new.changes()?, context.database()?);
    let token = if is_of_organisation {
        token_for(&new.owner, Purpose::Commit(&new.repo), &context, &database).await?
    } else {
        token(&context, &database).await?
    };
    let client = || Ok::<_, Error>(Client { github: GitHub::of(&context.settings)?, token: &token });
    let default = match (&new.branch, is_first) {
        (Some(branch), _) => branch.clone(),
        (None, false) => "main".to_owned(),
        (None, true) => {
            let repo = client()?.repo(&new.owner, &new.repo).await.map_err(refused)?;
            repo.ok_or_else(no_repo)?.default_branch
        }
    };
    let branch = Branch { client: client()?, owner: &new.owner, name: &new.repo, branch: &default };
    let message = new.message.as_deref().unwrap_or(if is_first { FIRST } else { "Update" });
    if is_first {
        begin(&branch, &changes).await?;
    }
    branch.commit(&changes, message).await.map_err(refused)?;
    database.query(context.audit("github.commit", &format!("{}/{}", new.owner, new.repo))).await?;
    let message = if is_first { "Initial commit created" } else { "Changes committed" };
    Ok(Response::json(200, json!({ "message": message, "status": "success" }).to_string()))
}

pub(super) fn no_repo() -> Error {
    Error::Refused {
        code: "github_refused",
        detail: "GitHub has no such repository, or this token may not see it".to_owned(),
    }
}

const FIRST: &str = "Initial commit";
/// The one file of a repository before its first real commit. `auto_init` makes it too.
const SEED: &str = "README.md";

/// Makes the one commit that an empty repository needs before it accepts trees.
/// A repository with other files is initialised already.
async fn begin(branch: &Branch<'_>, changes: &Changes) -> Result<(), Error> {
    let Some(tip) = branch.tip().await.map_err(refused)? else {
        let seed = match changes.get(SEED) {
            Some(FileChange::Text(text)) => text.clone(),
            _ => format!("# {}\n", branch.name),
        };
        return branch.begin(SEED, &seed, FIRST).await.map_err(refused);
    };
    let files = branch.files(&tip).await.map_err(refused)?;
    // A crash between the two commits leaves only the first one: then the second is made now.
    let is_begun = files.iter().all(|entry| entry.path == SEED);
    if is_begun { Ok(()) } else { Err(initialised()) }
}

pub(super) fn initialised() -> Error {
    Error::Refused { code: "already_initialised", detail: "The repository is already initialised".to_owned() }
}

#[derive(Debug, Deserialize)]
struct Known {
    repository: Option<Repository>,
    code: Option<String>,
    version: i64,
}

/// `POST /apps/:id/pull`: saves what was pushed to the app's repository as a
/// version of the project. If both sides have changed the same file, it changes
/// nothing and names the files.
pub(crate) async fn pull(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) =
        (context.caller.user_id()?.to_owned(), app_param(&context)?, context.database()?);
    let known: Option<Known> = database.query(store::files::known(&id, &user)).await?.first()?;
    let Known { repository, code, version } = known.ok_or(APP_NOT_FOUND)?;
    let repository = repository.ok_or_else(no_repository)?;
    let token = token(&context, &database).await?;
    let client = Client { github: GitHub::of(&context.settings)?, token: &token };
    let branch =
        Branch { client, owner: &repository.owner, name: &repository.name, branch: &repository.branch };
    let tip = branch.tip().await.map_err(refused)?.ok_or_else(no_repository)?;
    let base: Rows = match repository.version {
        Some(version) => database.query(store::files::version(&id, version)).await?,
        None => Rows::default(),
    };
    let base = files_of(base.into_json().as_deref().unwrap_or("{}"))?;
    let ours = files_of(code.as_deref().unwrap_or("{}"))?;
    let (theirs, skipped) = read(&branch, &tip, &base).await?;
    let merged = merge::merge(&base, &theirs, &ours);
    if !merged.conflicts.is_empty() {
        return Ok(dialect::conflict(&merged.conflicts, &context.request_id));
    }
    let changed = merge::changed(&ours, &merged.files);
    let is_changed = !changed.is_empty();
    let next = version + i64::from(is_changed);
    // The next commit is made against their tip, and adds the changes that only we have.
    let kept = Repository { sha: Some(tip.sha), version: Some(next), ..repository };
    let now = now_ms();
    let mut batch = vec![store::files::is_still(&id, version)];
    if is_changed {
        batch.push(projects::replace_code(&id, &user, &code_of(&merged.files), version, now));
        batch.push(projects::record_version(&id, &user, "pull", None));
    }
    if merged.files == theirs {
        batch.push(store::files::set_repository(&id, &kept)?);
    }
    database.batch_all(batch).await.map_err(|error| match error {
        Error::GuardFailed => dialect::BUSY,
        error => error,
    })?;
    Ok(pulled(&id, next, &changed, &skipped))
}

fn pulled(id: &str, version: i64, changed: &[String], skipped: &[String]) -> Response {
    let message = if changed.is_empty() { "Nothing new was pushed" } else { "Pulled" };
    let body = json!({ "message": message, "appId": id, "version": version, "changed": changed, "skipped": skipped });
    Response::json(200, body.to_string())
}

pub(super) fn no_repository() -> Error {
    Error::Refused { code: "no_repository", detail: "This app has no repository yet".to_owned() }
}

/// The files of a commit, and the paths of those that a project cannot hold:
/// files that are not text, or whose path is not allowed. Only files that differ
/// from `base` are downloaded.
async fn read(
    branch: &Branch<'_>,
    tip: &crate::upstream::github::Tip,
    base: &Files,
) -> Result<(Files, Vec<String>), Error> {
    const LARGEST: u64 = 1_000_000;
    let known: BTreeMap<String, &String> =
        base.values().map(|content| (blob_sha(content.as_bytes()), content)).collect();
    let (mut files, mut skipped) = (Files::new(), Vec::new());
    for entry in
        branch.files(tip).await.map_err(refused)?.into_iter().filter(crate::upstream::github::Entry::is_file)
    {
        let path = safe_path(&entry.path).ok().filter(|path| *path == composed(&entry.path));
        let content = match known.get(&entry.sha) {
            _ if path.is_none() || entry.size.is_some_and(|size| size > LARGEST) => None,
            Some(content) => Some((*content).clone()),
            None => String::from_utf8(branch.blob(&entry.sha).await.map_err(refused)?).ok(),
        };
        match path.zip(content.filter(|content| !content.contains('\0'))) {
            // Two names that only look like two.
            Some((path, _)) if files.contains_key(&path) => {
                return Err(not_a_project(&CodeError::Duplicate(path)));
            }
            Some((path, content)) => drop(files.insert(path, content)),
            None => skipped.push(entry.path),
        }
    }
    CodeMap::of(files.clone()).map_err(|error| not_a_project(&error))?;
    Ok((files, skipped))
}

fn not_a_project(error: &CodeError) -> Error {
    Error::Refused { code: "not_a_project", detail: error.to_string() }
}
