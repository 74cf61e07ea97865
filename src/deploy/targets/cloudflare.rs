//! Cloudflare: a Worker of static assets alone, on `workers.dev`, or in the
//! dispatch namespace of the Worker's own account where there is one.

use serde::{Deserialize, Serialize};

use super::report::{Line, Order, Report, State};
use crate::{
    clouds::{Credentials, Source},
    deploy::site::{File, media_type},
    error::{Error, UpstreamKind},
    platform::fetch::{self, Outgoing},
    upstream::cloudflare::{Api, Asset, Upload},
};

/// Where an app answers, where the settings do not say.
const APP_URL: &str = "https://{name}.{subdomain}.workers.dev";
/// How often the app is asked whether it answers.
const LOOK_MS: i64 = 2_000;
/// A new address may take minutes to be known everywhere, and some cannot be
/// asked from within Cloudflare. After this an app counts as live unseen.
const UNSEEN_MS: i64 = 30_000;
const LOOK_TIMEOUT_MS: u64 = 5_000;
/// What every script of ours is tagged with, and its project's id.
const TAG: &str = "hatch-project:";

/// What is kept of a push.
#[derive(Debug, Serialize, Deserialize)]
struct Remote {
    /// None where nobody but the owner of the namespace knows.
    url: Option<String>,
}

/// Uploads the files and the script that serves them.
pub(super) async fn push(order: &Order<'_>, files: &[File]) -> Result<Report, Error> {
    let api = api(order);
    if let Some(tags) = api.tags(order.name).await?
        && !is_ours(&tags, order)
    {
        return Err(taken(order.name));
    }
    // Asked first, so that an account without one is left as it was.
    let subdomain = match namespace(order) {
        None => Some(api.subdomain().await?),
        Some(_) => None,
    };
    let (assets, rules): (Vec<&File>, Vec<&File>) =
        files.iter().partition(|file| !matches!(file.path.as_str(), "_headers" | "_redirects"));
    let rule = |name: &str| rules.iter().find(|file| file.path == name).map(|file| file.content.as_str());
    let assets: Vec<Asset<'_>> = assets.into_iter().map(asset).collect();
    let complete = api.bring_assets(order.name, &assets).await?;
    let message = format!("Hatch deployment {}", order.deployment_id.unwrap_or_default());
    let upload = Upload {
        assets_jwt: &complete.jwt,
        tags: &[tag(order)],
        message: &message,
        headers: rule("_headers"),
        redirects: rule("_redirects"),
    };
    api.put_script(order.name, &upload).await?;
    if subdomain.is_some() {
        api.enable_address(order.name).await?;
    }
    let remote = Remote { url: url(order, subdomain.as_deref()) };
    let remote = serde_json::to_string(&remote).map_err(|e| Error::Internal(e.to_string()))?;
    let told = format!("Uploaded {} of {} files to Cloudflare", complete.uploaded, assets.len());
    Ok(Report {
        state: State::Going { after_ms: 0 },
        lines: vec![Line::info(told), Line::info(format!("Published as the Worker {}", order.name))],
        remote: Some(remote),
    })
}

/// Asks the app whether it answers.
pub(super) async fn poll(order: &Order<'_>, since_ms: i64) -> Result<Report, Error> {
    let remote: Option<Remote> = order.remote.and_then(|remote| serde_json::from_str(remote).ok());
    let Some(url) = remote.and_then(|remote| remote.url) else {
        let told = "Set CLOUDFLARE_APP_URL to tell where the namespace's apps answer";
        return Ok(report(State::Live { url: None }, vec![Line::info(told)]));
    };
    if answers(&url).await {
        return Ok(report(State::Live { url: Some(url) }, Vec::new()));
    }
    if since_ms > UNSEEN_MS {
        let told = format!("{url} does not answer yet: a new address can take some minutes");
        return Ok(report(State::Live { url: Some(url) }, vec![Line::info(told)]));
    }
    Ok(report(State::Going { after_ms: LOOK_MS }, Vec::new()))
}

/// Deletes the script, if it is ours.
pub(super) async fn take_down(order: &Order<'_>) -> Result<(), Error> {
    let api = api(order);
    match api.tags(order.name).await? {
        Some(tags) if is_ours(&tags, order) => api.delete_script(order.name).await,
        // Somebody has made another of its name since; ours is gone.
        Some(_) | None => Ok(()),
    }
}

fn report(state: State, lines: Vec<Line>) -> Report {
    Report { state, lines, remote: None }
}

fn api<'a>(order: &Order<'a>) -> Api<'a> {
    let settings = order.settings;
    let base_url = &settings.clouds.cloudflare.base_url;
    let Credentials { token, account } = &order.right.credentials;
    let account = account.as_deref().unwrap_or_default();
    Api::new(base_url, token, account, namespace(order), settings.timeouts.head_ms)
}

/// Of the Worker's own account alone: others have their own, or none.
fn namespace<'a>(order: &Order<'a>) -> Option<&'a str> {
    let namespace = order.settings.clouds.cloudflare.namespace.as_deref();
    namespace.filter(|_| order.right.source == Source::Own)
}

fn asset(file: &File) -> Asset<'_> {
    Asset { path: &file.path, content: &file.content, media_type: media_type(&file.path) }
}

fn tag(order: &Order<'_>) -> String {
    format!("{TAG}{}", order.project_id)
}

/// Whether a script of these tags is this project's: it says so, or says
/// nothing, somebody having removed the tags of what we know to be there.
fn is_ours(tags: &[String], order: &Order<'_>) -> bool {
    tags.contains(&tag(order)) || (order.is_live && !tags.iter().any(|tag| tag.starts_with(TAG)))
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

fn url(order: &Order<'_>, subdomain: Option<&str>) -> Option<String> {
    let setting = order.settings.clouds.cloudflare.app_url.as_deref();
    let template = setting.or_else(|| subdomain.map(|_| APP_URL))?;
    Some(template.replace("{name}", order.name).replace("{subdomain}", subdomain.unwrap_or_default()))
}

async fn answers(url: &str) -> bool {
    let request = Outgoing::get(url.to_owned()).with("user-agent", "hatch-api");
    match fetch::send(request, LOOK_TIMEOUT_MS).await {
        Ok(answer) => (200..400).contains(&answer.status()),
        Err(_) => false,
    }
}
