//! A user's credentials for clouds and for providers of models: encrypted at
//! rest, and never shown again.

use garde::Validate;
use serde::Deserialize;

use crate::{
    clouds::{Cloud, credentials, resolved::Credentials, store},
    error::{Error, Resource, Violation},
    http::{RequestContext, body},
    models::{Providers, seal_key},
    platform::{clock::now_ms, response::Response},
    settings::FromVars as _,
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::CloudCredentials);

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewCredentials {
    /// Cloudflare's API token, Vercel's access token, Koyeb's API access token, or the key of a provider of models.
    #[garde(length(chars, min = 1, max = 500), custom(is_visible))]
    #[cfg_attr(test, schemars(regex(pattern = "^[!-~]+$")))]
    token: String,
    /// Cloudflare: the id of the account, 32 hexadecimal digits.
    #[serde(default)]
    #[garde(skip)]
    account_id: Option<String>,
    /// Vercel: the id or the slug of a team, unless the token is limited to one.
    #[serde(default)]
    #[garde(skip)]
    team: Option<String>,
}

fn is_visible(token: &str, (): &()) -> garde::Result {
    let is_visible = token.bytes().all(|b| b.is_ascii_graphic());
    if is_visible {
        Ok(())
    } else {
        Err(garde::Error::new("must be the token alone: 1 to 500 visible characters"))
    }
}

/// `GET /auth/credentials`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let list = context.database()?.query_json(store::list_credentials(context.caller.user_id()?)).await?;
    Ok(Response::json(200, list.unwrap_or_else(|| "[]".to_owned())))
}

/// `GET /auth/credentials/:target`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let kept = store::find_credentials(context.caller.user_id()?, context.param("target"));
    Ok(Response::json(200, context.database()?.query_json(kept).await?.ok_or(NOT_FOUND)?))
}

/// `PUT /auth/credentials/:target`
pub(crate) async fn keep(context: RequestContext) -> Result<Response, Error> {
    let (user, target, settings) = (context.caller.user_id()?, context.param("target"), &context.settings);
    let cloud = Cloud::parse(target);
    if cloud.is_none() && !Providers::of(settings)?.takes_keys_of(target) {
        return Err(NOT_FOUND);
    }
    let new: NewCredentials = body::json(&context).await?;
    let credentials = match cloud {
        Some(cloud) => cloud_credentials(cloud, new)?,
        None => provider_credentials(target, new)?,
    };
    let sealed = match cloud {
        Some(cloud) => credentials::seal(cloud, user, &credentials, settings)?,
        None => seal_key(user, target, &credentials.token, settings)?,
    };
    let (account, hint) = (credentials.account.as_deref(), credentials.hint());
    let kept = store::keep(user, target, &sealed, account, &hint, now_ms());
    let audit = context.audit("credentials.keep", target);
    let [kept, _] = context.database()?.batch([kept, audit]).await?;
    Ok(Response::json(200, kept.into_json().ok_or(NOT_FOUND)?))
}

fn cloud_credentials(cloud: Cloud, new: NewCredentials) -> Result<Credentials, Error> {
    let wanted = cloud.account.as_ref().map(|account| account.field);
    let mut account = None;
    for (field, given) in [("/accountId", new.account_id), ("/team", new.team)] {
        match given {
            Some(_) if wanted != Some(field) => {
                return Err(Error::invalid(field, format!("is not known to {}", cloud.title)));
            }
            Some(given) => account = Some(given),
            None => {}
        }
    }
    let field = wanted.unwrap_or_default();
    let credentials = credentials::checked(cloud, new.token, account, ("/token", field));
    credentials.map_err(|violations: Vec<Violation>| Error::Invalid(violations))
}

/// A provider of models needs only a key.
fn provider_credentials(name: &str, new: NewCredentials) -> Result<Credentials, Error> {
    for (field, given) in [("/accountId", new.account_id), ("/team", new.team)] {
        if given.is_some() {
            return Err(Error::invalid(field, format!("is not known to {name}")));
        }
    }
    Ok(Credentials { token: new.token, account: None })
}

/// `DELETE /auth/credentials/:target`
pub(crate) async fn forget(context: RequestContext) -> Result<Response, Error> {
    let (user, target) = (context.caller.user_id()?, context.param("target"));
    let audit = context.audit_change("credentials.forget", target);
    let [kept, _, _] = context
        .database()?
        .batch([store::find_credentials(user, target), store::forget(user, target), audit])
        .await?;
    if kept.is_empty() { Err(NOT_FOUND) } else { Ok(Response::empty(204)) }
}
