//! The machines: registration, health and uptime.

use garde::Validate;
use hatch_credentials::token::{Token, TokenKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{fields, owner, store, window};
use crate::{
    error::{Error, Resource, rfc3339},
    http::{RequestContext, body, caller::Caller, page},
    identity::{self, Credential, token, wallet},
    platform::{clock::now_ms, response::Response},
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::Fleet);

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewWorker {
    /// The text of a challenge (`POST /auth/wallet/challenge`), byte for byte.
    #[serde(default)]
    #[garde(inner(length(chars, max = 4096)))]
    #[cfg_attr(test, schemars(length(max = 4096)))]
    message: Option<String>,
    /// The wallet's signature of the message.
    #[serde(default)]
    #[garde(inner(length(chars, max = 1024)))]
    #[cfg_attr(test, schemars(length(max = 1024)))]
    signature: Option<String>,
    /// The wallet itself, without a proof; only in development without a credential.
    #[serde(default)]
    #[garde(inner(length(max = 56)))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::WALLET)))]
    wallet_address: Option<String>,
}

impl NewWorker {
    pub(super) fn wallet(&self) -> Result<Option<String>, Error> {
        self.wallet_address.as_deref().map(|wallet| super::wallet(wallet, "/walletAddress")).transpose()
    }
}

/// `POST /workers`: registers the machine of a wallet, or replaces its token.
/// The only response that ever shows the token.
pub(crate) async fn register(context: RequestContext) -> Result<Response, Error> {
    let new: NewWorker = body::json(&context).await?;
    let (wallet, user) = owner_of_new(&context, &new).await?;
    let token = new_token(&context, &wallet, &user).await?;
    let body = json!({ "walletAddress": wallet, "token": token.reveal() });
    Ok(Response::json(201, body.to_string()).with("location", format!("/workers/{wallet}")).not_kept())
}

/// Registers the machine of `wallet` for `user`, or replaces its token.
pub(super) async fn new_token(context: &RequestContext, wallet: &str, user: &str) -> Result<Token, Error> {
    let (token, now) = (token::fresh(TokenKind::Worker)?, now_ms());
    context
        .database()?
        .batch([
            store::machines::register(wallet, &token.hash(), &token.hint(), now),
            context.audit_by(user, "worker.register", wallet),
        ])
        .await?;
    Ok(token)
}

/// The proved wallet, and its user.
async fn owner_of_new(context: &RequestContext, new: &NewWorker) -> Result<(String, String), Error> {
    if let (Some(message), Some(signature)) = (&new.message, &new.signature) {
        let database = context.database()?;
        let wallet =
            wallet::prove(&context.request, &context.settings, &database, message, signature).await?;
        let user = wallet::sign_up(&database, &wallet, now_ms()).await?;
        return Ok((wallet, user));
    }
    let Caller::User(user) = &context.caller else {
        return Err(missing_proof());
    };
    if user.credential == Credential::LocalDeveloper {
        return Ok((new.wallet()?.ok_or_else(no_wallet)?, user.id.clone()));
    }
    if matches!(user.credential, Credential::Key(_)) {
        return Err(by_a_key());
    }
    let wallet = identity::wallet_of(&user.id, &context.database()?).await?;
    let wallet = wallet.ok_or_else(no_wallet)?;
    Ok((wallet, user.id.clone()))
}

pub(super) fn missing_proof() -> Error {
    Error::Unauthorized(
        "Send the `message` of a challenge (POST /auth/wallet/challenge) and its `signature`, or sign in"
            .into(),
    )
}

pub(super) fn by_a_key() -> Error {
    Error::InsufficientScope(
        "A machine is registered by its wallet's signature, or by a user who is signed in".into(),
    )
}

pub(super) fn no_wallet() -> Error {
    Error::Conflict {
        code: "no_wallet",
        detail: "Your account has no wallet; link one by POST /auth/wallet/verify, or send walletAddress in development".into(),
    }
}

/// `DELETE /workers/:wallet`: revokes the machine's token at once. Its records
/// stay.
pub(crate) async fn revoke(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let revoke = store::machines::revoke(&wallet, owner(&context), now_ms());
    let batch = [revoke, context.audit_change("worker.revoke", &wallet)];
    let [revoked, _] = context.database()?.batch(batch).await?;
    if revoked.is_empty() { Err(NOT_FOUND) } else { Ok(Response::empty(204)) }
}

/// `GET /workers`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let list = store::machines::workers(owner(&context), &page, now_ms());
    let answer = context.database()?.query_json(list).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /workers/:wallet`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let [worker, owed] = context
        .database()?
        .batch([store::machines::worker(&wallet, owner(&context)), store::payouts::owed(&wallet)])
        .await?;
    let Some(worker): Option<store::machines::Worker> = worker.first()? else {
        return Ok(Response::json(200, json!({ "exists": false }).to_string()));
    };
    let owed: Vec<String> = owed.first()?.unwrap_or_default();
    // The nearest double; the payments have the exact amounts.
    let amounts = owed.iter().filter_map(|amount| amount.parse::<f64>().ok());
    // Not sum(), which is -0 for no amounts.
    let credits = amounts.fold(0.0, |sum, amount| sum + amount);
    let now = now_ms();
    let status = window::status(worker.seen_at, now);
    let body = json!({
        "exists": true,
        "isActive": matches!(status, "HEALTHY" | "WARNING"),
        "walletAddress": wallet,
        "status": status,
        "lastSeen": worker.seen_at.map(rfc3339),
        "window": worker_json(&worker),
        "hostname": worker.hostname,
        "tailscaleIp": worker.tailscale_ip,
        "cpuCores": worker.figure("cpuCores"),
        "ramTotalGb": worker.figure("ramTotalGb"),
        "storageTotalGb": worker.figure("storageTotalGb"),
        "system": worker.system,
        "credits": credits,
    });
    Ok(Response::json(200, body.to_string()))
}

fn worker_json(worker: &store::machines::Worker) -> Option<Value> {
    let (start, end) = (worker.start_at?, worker.end_at?);
    Some(json!({ "startTime": rfc3339(start), "endTime": rfc3339(end) }))
}

/// `GET /workers/:wallet/status`
pub(crate) async fn status(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let seen_at = find(&context, &wallet).await?.and_then(|worker| worker.seen_at);
    let body = json!({ "status": window::status(seen_at, now_ms()), "lastSeen": seen_at.map(rfc3339) });
    Ok(Response::json(200, body.to_string()))
}

/// `GET /workers/:wallet/containers`: those in the last beat. Empty for a machine
/// that does not exist or is not the caller's.
pub(crate) async fn containers(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let containers = find(&context, &wallet).await?.and_then(|worker| worker.containers).unwrap_or_default();
    Ok(Response::json(200, Value::from_iter(containers.into_iter().map(container)).to_string()))
}

/// A container with its name in both fields that clients read, and with both
/// figures, which pages show as they are: 0 if the beat did not report one.
fn container(mut container: Map<String, Value>) -> Value {
    if let Some(name) = container.get("containerName").cloned() {
        container.insert("name".to_owned(), name);
    }
    for figure in ["cpuPercent", "memUsageMb"] {
        container.entry(figure).or_insert_with(|| json!(0));
    }
    Value::Object(container)
}

/// `GET /workers/:wallet/uptime`: the times in which it ran, newest first, with
/// the open window; `X-Uptime-Seconds` is the total of the period.
pub(crate) async fn uptime(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let page = page::of(&context)?;
    let (from, to) = (time(&context, "from", 0)?, time(&context, "to", MOST_MS)?);
    if from > to {
        return Err(Error::invalid("to", "must not be before `from`"));
    }
    find(&context, &wallet).await?.ok_or(NOT_FOUND)?;
    let [list, total] = context
        .database()?
        .batch([
            store::uptime::uptime(&wallet, from, to, &page),
            store::uptime::uptime_seconds(&wallet, from, to),
        ])
        .await?;
    let total: Option<i64> = total.first()?;
    let response = page::response(list.into_json().as_deref(), &context);
    Ok(response.with("x-uptime-seconds", total.unwrap_or_default().to_string()))
}

/// Far in the future, and exact as a number of the database.
const MOST_MS: i64 = 1 << 47;

fn time(context: &RequestContext, name: &str, default: i64) -> Result<i64, Error> {
    let Some(text) = context.query(name) else { return Ok(default) };
    let time = fields::time(&Value::String(text)).map_err(|detail| {
        Error::invalid(name, format!("{detail}; in a query the `+` of an offset is written `%2B`"))
    })?;
    Ok(time.min(MOST_MS))
}

async fn find(context: &RequestContext, wallet: &str) -> Result<Option<store::machines::Worker>, Error> {
    context.database()?.query(store::machines::worker(wallet, owner(context))).await?.first()
}
