//! Vercel: a production deployment of the Vercel project with our app's name. Vercel builds a
//! project with a package.json, and serves other files as they are.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{
    app::{AppSpec, File, Line, Report, State, parse_remote, pause_ms, to_remote},
    description::{AccountName, Description, OwnAccount},
    resolved::Credentials,
};
use crate::{
    error::{Error, UpstreamKind},
    platform::clock::MINUTE_MS,
    platform::clock::now_ms,
    settings::{FromVars, ParseSettings, Settings, Vars, parses},
    upstream::vercel::{self, New, Vercel},
};

/// Reports faults in its variables.
pub(super) const SETTINGS: &[ParseSettings] = &[parses::<Account>()];

pub(super) static CLOUD: Description = Description {
    name: "vercel",
    title: "Vercel",
    token_header: "X-Vercel-Token",
    token_variable: "VERCEL_TOKEN",
    account: Some(AccountName {
        header: "X-Vercel-Team",
        variable: "VERCEL_TEAM_ID",
        field: "/team",
        is_required: false,
        is_good: is_team,
        expected: "a team's id or slug",
    }),
    own: |settings| {
        let vercel = Account::of(settings)?;
        Ok(OwnAccount { token: vercel.token.clone(), account: vercel.team.clone() })
    },
    namespace: |_| Ok(None),
    is_manifest: |path| path == "package.json",
    check: |_, _, _, _| Ok(()),
    push: |spec, files| Box::pin(push(spec, files)),
    poll: |spec, since_ms| Box::pin(poll(spec, since_ms)),
    undeploy: |spec| Box::pin(undeploy(spec)),
    has: |credentials, name, mark, settings| {
        Box::pin(async {
            let found = client(credentials, settings)?.find(name, mark).await?;
            Ok(found.is_some())
        })
    },
    patience_ms: 30 * MINUTE_MS,
};

/// How many deployments are deleted at once: a Worker has six connections.
const CONCURRENT_DELETIONS: usize = 4;
/// How many pages of a hundred deployments one attempt reads: a Worker may make a thousand
/// subrequests.
const PAGES: usize = 5;

/// What is stored about a deployment.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    id: String,
    /// How many lines of its build's log we have reported.
    #[serde(alias = "told")]
    reported: usize,
}

/// The operator's account, and the base URL of Vercel's API.
struct Account {
    base_url: String,
    token: Option<String>,
    team: Option<String>,
}

impl FromVars for Account {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("VERCEL_BASE_URL", "https://api.vercel.com")?,
            token: vars.get("VERCEL_TOKEN"),
            team: vars.get("VERCEL_TEAM_ID"),
        })
    }
}

fn is_team(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn client<'a>(credentials: &'a Credentials, settings: &Settings) -> Result<Vercel<'a>, Error> {
    Ok(Vercel {
        base_url: &Account::of(settings)?.base_url,
        token: &credentials.token,
        team: credentials.account.as_deref(),
        timeout_ms: settings.timeouts.head_ms,
    })
}

fn client_of<'a>(spec: &AppSpec<'a>) -> Result<Vercel<'a>, Error> {
    client(&spec.credentials.credentials, spec.settings)
}

async fn push(spec: &AppSpec<'_>, files: &[File<'_>]) -> Result<Report, Error> {
    let (vercel, mark) = (client_of(spec)?, spec.mark()?);
    let files: Vec<(&str, &str)> = files.iter().map(|file| (file.path, file.content)).collect();
    // An earlier attempt may have died right after the deployment.
    let id = match vercel.find(spec.name, mark).await? {
        Some(id) => id,
        None => vercel.create(&New { name: spec.name, mark, files: &files }).await?,
    };
    Ok(Report {
        state: State::Going { after_ms: pause_ms(0) },
        lines: vec![Line::info("Vercel has it, and builds it")],
        remote: Some(to_remote(&Remote { id, reported: 0 })?),
    })
}

async fn poll(spec: &AppSpec<'_>, since_ms: i64) -> Result<Report, Error> {
    let (vercel, remote) = (client_of(spec)?, parse_remote::<Remote>(spec)?);
    // The state first: then the log is complete up to that state.
    let state = match vercel.state(&remote.id, now_ms()).await? {
        vercel::State::Building => State::Going { after_ms: pause_ms(since_ms) },
        vercel::State::Ready { url } => State::Live { url: Some(url) },
        vercel::State::Failed { reason } => State::Failed { reason },
    };
    // A missing log does not fail a deployment.
    let log = vercel.log(&remote.id).await.unwrap_or_default();
    let lines: Vec<Line> = log
        .into_iter()
        .skip(remote.reported)
        .map(|line| Line { level: if line.is_error { "error" } else { "info" }, message: line.text })
        .collect();
    let reported = remote.reported + lines.len();
    Ok(Report { state, lines, remote: Some(to_remote(&Remote { reported, ..remote })?) })
}

/// Deletes every deployment that we made of the app: an older one would still respond at its own
/// address.
async fn undeploy(spec: &AppSpec<'_>) -> Result<(), Error> {
    let vercel = client_of(spec)?;
    // The mark of this deployment may have been removed.
    if let Ok(remote) = parse_remote::<Remote>(spec) {
        vercel.delete(&remote.id).await?;
    }
    let mut before = None;
    for _ in 0..PAGES {
        let made = vercel.made_by_us(spec.name, before).await?;
        delete(&vercel, &made.ids).await?;
        if made.next.is_none() {
            return Ok(());
        }
        before = made.next;
    }
    Err(unfinished())
}

/// The next attempt finds fewer of them.
fn unfinished() -> Error {
    Error::upstream(UpstreamKind::Busy, "Vercel has more deployments of this app than one attempt can delete")
}

async fn delete(vercel: &Vercel<'_>, ids: &[String]) -> Result<(), Error> {
    stream::iter(ids.iter().map(|id| vercel.delete(id)))
        .buffer_unordered(CONCURRENT_DELETIONS)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}
