//! Signing in by Stack Auth, for pages, which may ask nobody but us: by a code
//! of a mail, or by a provider's page. What Stack Auth's token proves becomes a
//! session of ours, as a wallet's signature does.

use std::cell::RefCell;

use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::sign_in::begin_session;
use crate::{
    error::{Error, rfc3339},
    http::{RequestContext, body, rate},
    identity::{by_stack_token, wallet::page_origin},
    platform::{
        clock::{MINUTE_MS, now_ms},
        response::Response,
    },
    settings::FromVars as _,
    upstream::stack_auth::{Methods, StackAuth},
};

/// How long an isolate believes what it knows of the project.
const FRESH_MS: i64 = MINUTE_MS;

thread_local! {
    static KNOWN: RefCell<Option<(i64, Methods)>> = const { RefCell::new(None) };
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSignInCode {
    /// Where the code is sent.
    #[garde(length(chars, max = 254), custom(is_address))]
    #[cfg_attr(test, schemars(regex(pattern = r"^[^\s@]+@[^\s@]+$")))]
    email: String,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SignInCode {
    /// The six characters of the mail, or all of the code that its link has.
    #[garde(length(chars, min = 1, max = 200))]
    code: String,
    /// What belongs to the six characters.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 200)))]
    nonce: Option<String>,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProviderReturn {
    /// As the provider's page gave it back.
    #[garde(length(chars, min = 1, max = 2000))]
    code: String,
    /// What the `code_challenge` was made of (RFC 7636).
    #[garde(length(chars, min = 43, max = 128))]
    code_verifier: String,
    /// Where the provider's page was to come back to, byte for byte.
    #[garde(length(chars, min = 1, max = 2000))]
    redirect_url: String,
}

fn is_address(email: &str, (): &()) -> garde::Result {
    let is_plain = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c == '@');
    match email.split_once('@') {
        Some((name, host)) if is_plain(name) && is_plain(host) => Ok(()),
        _ => Err(garde::Error::new("must be an address")),
    }
}

/// `GET /auth/methods`: how one signs in here.
pub(crate) async fn methods(context: RequestContext) -> Result<Response, Error> {
    let stack = match Option::<StackAuth>::of(&context.settings)? {
        None => None,
        Some(stack) => {
            let Methods { email, providers } = methods_of(stack).await?;
            Some(json!({
                "email": email, "providers": providers, "authorizeUrl": stack.authorize_url(),
                "clientId": stack.project_id, "clientKey": stack.client_key(),
            }))
        }
    };
    Ok(Response::json(200, json!({ "wallet": true, "stackAuth": stack }).to_string()))
}

async fn methods_of(stack: &StackAuth) -> Result<Methods, Error> {
    let now = now_ms();
    let known = KNOWN.with_borrow(|known| known.as_ref().filter(|(at, _)| now - at < FRESH_MS).cloned());
    if let Some((_, methods)) = known {
        return Ok(methods);
    }
    let methods = stack.methods().await?;
    KNOWN.set(Some((now, methods.clone())));
    Ok(methods)
}

/// `POST /auth/stack/codes`: a mail with a code, and with a link to the page that asks.
pub(crate) async fn send(context: RequestContext) -> Result<Response, Error> {
    let new: NewSignInCode = body::json(&context).await?;
    let stack = configured(&context)?;
    rate::count_mail(&context.request, &new.email, &context.settings, &context.env).await?;
    let page = format!("{}/", page_origin(&context.request, &context.settings));
    let nonce = stack.send_code(&new.email, &page).await?;
    Ok(Response::json(200, json!({ "nonce": nonce }).to_string()).not_kept())
}

/// `POST /auth/stack/sign-in`: begins a session with the code of a mail.
pub(crate) async fn sign_in(context: RequestContext) -> Result<Response, Error> {
    let SignInCode { code, nonce }: SignInCode = body::json(&context).await?;
    let code = code.trim().to_owned() + nonce.as_deref().unwrap_or_default();
    let token = configured(&context)?.sign_in(&code).await?;
    session(&context, &token).await
}

/// `POST /auth/stack/exchange`: begins a session with the code that a provider's page returned.
pub(crate) async fn exchange(context: RequestContext) -> Result<Response, Error> {
    let back: ProviderReturn = body::json(&context).await?;
    let stack = configured(&context)?;
    let token = stack.exchange(&back.code, &back.code_verifier, &back.redirect_url).await?;
    session(&context, &token).await
}

fn configured(context: &RequestContext) -> Result<&StackAuth, Error> {
    Option::<StackAuth>::of(&context.settings)?.as_ref().ok_or_else(not_configured)
}

pub(super) fn not_configured() -> Error {
    Error::NotConfigured {
        variable: "STACK_PROJECT_ID",
        detail: "Set STACK_PROJECT_ID to sign in by Stack Auth".to_owned(),
    }
}

/// What Stack Auth answers is judged as what a client brings: by its signature.
async fn session(context: &RequestContext, token: &str) -> Result<Response, Error> {
    let database = context.database()?;
    let user = by_stack_token(token, &context.settings, &database).await?;
    let (token, expires_at) = begin_session(context, &database, &user.id, now_ms()).await?;
    let session = json!({ "token": token.reveal(), "userId": user.id, "expiresAt": rfc3339(expires_at) });
    Ok(Response::json(200, session.to_string()).not_kept())
}
