//! Commits an app to a repository of its owner: a private one, named after the
//! app and created after the first turn. Each turn is one commit on top of what
//! others have pushed.

use hatch_diff::Files;
use serde_json::json;

use super::{
    events::{Event, MessageKind},
    github, merge,
    save::Ending,
    steps::{COMMIT, DEPLOY},
    store::{self, files::Repository},
    work::{Work, files_of},
};
use crate::{
    error::Error,
    jobs::Outcome,
    settings::FromVars as _,
    store::{projects, sealing, sealing_key},
    upstream::github::{Branch, Changes, Client, FileChange, GitHub, NewRepo, Repo},
};

/// How many names are tried for a repository.
const NAMES: u32 = 5;
const FIRST: &str = "Initial commit";

impl Work {
    /// Whether the turn has a GitHub token.
    pub(super) async fn can_commit(&self) -> Result<bool, Error> {
        self.token().await.map(|token| token.is_some())
    }

    /// The user's GitHub token: from the message, or of the account that they have connected.
    async fn token(&self) -> Result<Option<String>, Error> {
        if let Some(sealed) = &self.turn.github_token {
            let key = sealing_key(&self.settings)?;
            return sealing::open(key, &self.turn.id, sealed).map(Some);
        }
        github::connected_token(&self.turn.user_id, &self.settings, &self.context.database).await
    }
}

/// Creates the repository, or makes the turn's commit. If GitHub refuses, an
/// event says so and the app goes live without it.
pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    match advance(work).await {
        Err(error @ Error::Upstream { .. }) if !error.is_retryable() => {
            let text = format!("Your application is saved, but not uploaded to GitHub. {}", error.detail());
            let writes = vec![work.add_events(&[Event::running(MessageKind::RuntimeError, text)])];
            Ok(Outcome::Next { step: DEPLOY, writes })
        }
        outcome => outcome,
    }
}

async fn advance(work: &Work) -> Result<Outcome, Error> {
    let Some(token) = work.token().await? else {
        return Ok(Outcome::Next { step: DEPLOY, writes: Vec::new() });
    };
    let github = GitHub::of(&work.settings)?;
    let client = Client { github, token: &token };
    match work.turn.repository.clone() {
        None => {
            let repo = create(work, &client).await?;
            let kept = Repository {
                owner: repo.owner.login,
                name: repo.name,
                branch: repo.default_branch,
                url: repo.html_url,
                sha: None,
                version: None,
            };
            let text = format!("Your application has been uploaded to GitHub: {}", kept.url);
            let notice = Event::notice(text, json!({ "type": "repo_created", "githubUrl": kept.url }));
            let writes = vec![
                store::files::set_repository(&work.turn.app_id, &kept)?,
                work.audit("github.create-repo", &kept.url),
                work.add_events(&[notice]),
            ];
            Ok(Outcome::Next { step: COMMIT, writes })
        }
        Some(repository) => commit(work, client, repository).await,
    }
}

/// The description by which an interrupted step recognises the repository that it created.
fn mark(app_id: &str) -> String {
    format!("Made with Hatch, app {app_id}")
}

async fn create(work: &Work, client: &Client<'_>) -> Result<Repo, Error> {
    let (turn, description) = (&work.turn, mark(&work.turn.app_id));
    let hex: String = turn.app_id.chars().filter(char::is_ascii_hexdigit).collect();
    let mut owner = None;
    for n in 0..NAMES {
        let at = usize::try_from(n.saturating_sub(1)).unwrap_or_default() * 4;
        let name = match n {
            0 => turn.app_name.clone(),
            _ => format!("{}-{}", turn.app_name, hex.get(at..at + 4).unwrap_or("app")),
        };
        let new = NewRepo { name: &name, private: true, description: &description, auto_init: true };
        if let Some(repo) = client.create(None, &new).await? {
            return Ok(repo);
        }
        // An earlier, interrupted attempt of this step may have created it.
        let login = match owner.take() {
            Some(login) => login,
            None => client.login().await?,
        };
        let there = client.repo(&login, &name).await?;
        if let Some(repo) = there.filter(|repo| repo.description.as_deref() == Some(&description)) {
            return Ok(repo);
        }
        owner = Some(login);
    }
    Err(crate::error::Error::upstream(
        crate::error::UpstreamKind::Rejected,
        format!("Repositories with this and similar names exist already: {}", turn.app_name),
    ))
}

async fn commit(work: &Work, client: Client<'_>, repository: Repository) -> Result<Outcome, Error> {
    let (turn, database) = (&work.turn, &work.context.database);
    let project: Option<Project> =
        database.query(projects::code(&turn.app_id, &turn.user_id)).await?.first()?;
    let Some(Project { code: Some(code), version }) = project else {
        return Ok(Outcome::Next { step: DEPLOY, writes: Vec::new() });
    };
    let before = match repository.version {
        Some(version) => database.query(store::files::version(&turn.app_id, version)).await?.into_json(),
        None => None,
    };
    let changes = changes(&files_of(before.as_deref().unwrap_or("{}"))?, &files_of(&code)?);
    let branch =
        Branch { client, owner: &repository.owner, name: &repository.name, branch: &repository.branch };
    let ending = turn.result.as_deref().and_then(|result| hatch_json::from_str::<Ending>(result).ok());
    let message = ending.and_then(|ending| ending.commit_message).unwrap_or_else(|| FIRST.to_owned());
    let sha = branch.commit(&changes, &message).await?;
    let url = format!("{}/commit/{sha}", repository.url);
    let kept = Repository { sha: Some(sha), version: Some(version), ..repository };
    let text = format!("Your changes have been committed: {url}");
    let metadata = json!({ "type": "commit_created", "commitUrl": url, "githubUrl": kept.url });
    let writes = vec![
        store::files::set_repository(&turn.app_id, &kept)?,
        work.audit("github.commit", &url),
        work.add_events(&[Event::notice(text, metadata)]),
    ];
    Ok(Outcome::Next { step: DEPLOY, writes })
}

#[derive(Debug, serde::Deserialize)]
struct Project {
    code: Option<String>,
    version: i64,
}

/// The changes of a commit.
pub(super) fn changes(before: &Files, after: &Files) -> Changes {
    let changed = merge::changed(before, after).into_iter();
    changed
        .map(|path| {
            let change =
                after.get(&path).map_or(FileChange::Deleted, |content| FileChange::Text(content.clone()));
            (path, change)
        })
        .collect()
}
