//! Cloudflare: a Worker with only static assets, on `workers.dev` or in the dispatch namespace of
//! the operator's account, if there is one.

use hatch_code::media_type;
use serde::{Deserialize, Serialize};

use super::{
    app::{AppSpec, File, Line, Report, State},
    description::{AccountName, Description, OwnAccount},
    resolved::{CredentialSource, Credentials},
};
use crate::{
    error::{Error, UpstreamKind},
    platform::clock::MINUTE_MS,
    platform::fetch::{self, OutboundRequest},
    settings::{FromVars, ParseSettings, Vars, parses},
    upstream::cloudflare::{Api, Asset, Upload},
};

/// Reports faults in its variables.
pub(super) const SETTINGS: &[ParseSettings] = &[parses::<Cloudflare>()];

pub(super) static CLOUD: Description = Description {
    name: "cloudflare",
    title: "Cloudflare",
    token_header: "X-Cloudflare-Api-Token",
    token_variable: "CLOUDFLARE_API_TOKEN",
    account: Some(AccountName {
        header: "X-Cloudflare-Account-Id",
        variable: "CLOUDFLARE_ACCOUNT_ID",
        field: "/accountId",
        is_required: true,
        is_good: is_account_id,
        expected: "an account id: 32 hexadecimal digits",
    }),
    own: |settings| {
        let cloudflare = Cloudflare::of(settings)?;
        Ok(OwnAccount { token: cloudflare.token.clone(), account: cloudflare.account_id.clone() })
    },
    namespace: |settings| Ok(Cloudflare::of(settings)?.namespace.as_deref()),
    is_manifest: |_| false,
    check: |_, _, _, _| Ok(()),
    push: |spec, files| Box::pin(push(spec, files)),
    poll: |spec, since_ms| Box::pin(poll(spec, since_ms)),
    undeploy: |spec| Box::pin(undeploy(spec)),
    // Credentials for Cloudflare name their account, so nothing needs to be looked up.
    has: |_, _, _, _| Box::pin(async { Ok(false) }),
    patience_ms: 5 * MINUTE_MS,
};

/// The address of an app, unless the settings give another.
const APP_URL: &str = "https://{name}.{subdomain}.workers.dev";
/// How often the app is polled.
const POLL_MS: i64 = 2_000;
/// A new address may take minutes to propagate, and some cannot be requested from within
/// Cloudflare. After this time an app counts as live without a response.
const ASSUME_LIVE_MS: i64 = 30_000;
const POLL_TIMEOUT_MS: u64 = 5_000;
/// The prefix of the tag on every script of ours; the project's id follows.
const TAG: &str = "hatch-project:";

/// What is stored about a push.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    /// `None` when only the owner of the namespace knows it.
    url: Option<String>,
}

struct Cloudflare {
    base_url: String,
    token: Option<String>,
    account_id: Option<String>,
    /// A Workers for Platforms namespace, which receives apps deployed to the operator's account.
    namespace: Option<String>,
    /// The address of an app, with `{name}` and `{subdomain}` as placeholders.
    app_url: Option<String>,
}

impl FromVars for Cloudflare {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4")?,
            token: vars.get("CLOUDFLARE_API_TOKEN"),
            account_id: vars.get("CLOUDFLARE_ACCOUNT_ID"),
            namespace: vars.get("CLOUDFLARE_DISPATCH_NAMESPACE"),
            app_url: vars.get("CLOUDFLARE_APP_URL"),
        })
    }
}

fn is_account_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

/// Uploads the files and the script that serves them.
async fn push(spec: &AppSpec<'_>, files: &[File<'_>]) -> Result<Report, Error> {
    let api = api(spec)?;
    if let Some(tags) = api.tags(spec.name).await?
        && !is_ours(&tags, spec)
    {
        return Err(taken(spec.name));
    }
    // Asked before any write, so that an account without a subdomain stays unchanged.
    let subdomain = match namespace(spec)? {
        None => Some(api.subdomain().await?),
        Some(_) => None,
    };
    let (assets, rules): (Vec<&File<'_>>, Vec<&File<'_>>) =
        files.iter().partition(|file| !matches!(file.path, "_headers" | "_redirects"));
    let rule = |name: &str| rules.iter().find(|file| file.path == name).map(|file| file.content);
    let assets: Vec<Asset<'_>> = assets.into_iter().map(asset).collect();
    let complete = api.bring_assets(spec.name, &assets).await?;
    let message = format!("Hatch deployment {}", spec.deployment_id.unwrap_or_default());
    let upload = Upload {
        assets_jwt: &complete.jwt,
        tags: &[tag(spec)],
        message: &message,
        headers: rule("_headers"),
        redirects: rule("_redirects"),
    };
    api.put_script(spec.name, &upload).await?;
    if subdomain.is_some() {
        api.enable_address(spec.name).await?;
    }
    let remote = Remote { url: url(spec, subdomain.as_deref())? };
    let remote = serde_json::to_string(&remote).map_err(|e| Error::Internal(e.to_string()))?;
    let detail = format!("Uploaded {} of {} files to Cloudflare", complete.uploaded, assets.len());
    Ok(Report {
        state: State::Going { after_ms: 0 },
        lines: vec![Line::info(detail), Line::info(format!("Published as the Worker {}", spec.name))],
        remote: Some(remote),
    })
}

/// Checks whether the app responds.
async fn poll(spec: &AppSpec<'_>, since_ms: i64) -> Result<Report, Error> {
    let remote: Option<Remote> = spec.remote.and_then(|remote| hatch_json::from_str(remote).ok());
    let Some(url) = remote.and_then(|remote| remote.url) else {
        let detail = "Set CLOUDFLARE_APP_URL to define the addresses of the namespace's apps";
        return Ok(report(State::Live { url: None }, vec![Line::info(detail)]));
    };
    if answers(&url).await {
        return Ok(report(State::Live { url: Some(url) }, Vec::new()));
    }
    if since_ms > ASSUME_LIVE_MS {
        let detail = format!("{url} does not answer yet: a new address can take some minutes");
        return Ok(report(State::Live { url: Some(url) }, vec![Line::info(detail)]));
    }
    Ok(report(State::Going { after_ms: POLL_MS }, Vec::new()))
}

/// Deletes the script if it is ours.
async fn undeploy(spec: &AppSpec<'_>) -> Result<(), Error> {
    let api = api(spec)?;
    match api.tags(spec.name).await? {
        Some(tags) if is_ours(&tags, spec) => api.delete_script(spec.name).await,
        // Another script has this name now; ours is gone.
        Some(_) | None => Ok(()),
    }
}

fn report(state: State, lines: Vec<Line>) -> Report {
    Report { state, lines, remote: None }
}

fn api<'a>(spec: &AppSpec<'a>) -> Result<Api<'a>, Error> {
    let base_url = &Cloudflare::of(spec.settings)?.base_url;
    let Credentials { token, account } = &spec.credentials.credentials;
    let account = account.as_deref().unwrap_or_default();
    Ok(Api::new(base_url, token, account, namespace(spec)?, spec.settings.timeouts.head_ms))
}

/// Only the operator's account has it; other accounts do not use ours.
fn namespace(spec: &AppSpec<'_>) -> Result<Option<&'static str>, Error> {
    let namespace = Cloudflare::of(spec.settings)?.namespace.as_deref();
    Ok(namespace.filter(|_| spec.credentials.source == CredentialSource::Own))
}

fn asset<'a>(file: &File<'a>) -> Asset<'a> {
    Asset { path: file.path, content: file.content, media_type: media_type(file.path) }
}

fn tag(spec: &AppSpec<'_>) -> String {
    format!("{TAG}{}", spec.project_id)
}

/// Whether a script with these tags belongs to this project: its tag says so, or it has no tags
/// because a user removed them.
fn is_ours(tags: &[String], spec: &AppSpec<'_>) -> bool {
    tags.contains(&tag(spec)) || (spec.is_live && !tags.iter().any(|tag| tag.starts_with(TAG)))
}

fn taken(name: &str) -> Error {
    Error::upstream(
        UpstreamKind::Rejected,
        format!(
            "The account has a Worker {name} that is not of this project, and it is left as it is: rename or delete \
             it, and deploy again"
        ),
    )
}

fn url(spec: &AppSpec<'_>, subdomain: Option<&str>) -> Result<Option<String>, Error> {
    let setting = Cloudflare::of(spec.settings)?.app_url.as_deref();
    let template = setting.or_else(|| subdomain.map(|_| APP_URL));
    Ok(template.map(|template| {
        template.replace("{name}", spec.name).replace("{subdomain}", subdomain.unwrap_or_default())
    }))
}

async fn answers(url: &str) -> bool {
    let request = OutboundRequest::get(url.to_owned()).with("user-agent", "hatch-api");
    match fetch::send(request, POLL_TIMEOUT_MS).await {
        Ok(answer) => (200..400).contains(&answer.status()),
        Err(_) => false,
    }
}
