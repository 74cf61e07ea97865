//! The machines: who they are, how they are, and when they ran.

use garde::Validate;
use hatch_tokens::token::{Token, TokenKind};
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
    /// The wallet's signature of it.
    #[serde(default)]
    #[garde(inner(length(chars, max = 1024)))]
    #[cfg_attr(test, schemars(length(max = 1024)))]
    signature: Option<String>,
    /// Only in development without a credential: the wallet, taken at its word.
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

/// `POST /workers`: registers the machine of a wallet, or gives it a new token
/// in place of its old one. The only answer that ever shows the token.
pub(crate) async fn register(context: RequestContext) -> Result<Response, Error> {
    let new: NewWorker = body::json(&context).await?;
    let (wallet, user) = owner_of_new(&context, &new).await?;
    let token = new_token(&context, &wallet, &user).await?;
    let body = json!({ "walletAddress": wallet, "token": token.reveal() });
    Ok(Response::json(201, body.to_string()).with("location", format!("/workers/{wallet}")).not_kept())
}

/// Registers the machine of `wallet` for `user`, or gives it another token in
/// place of its old one.
pub(super) async fn new_token(context: &RequestContext, wallet: &str, user: &str) -> Result<Token, Error> {
    let (token, now) = (token::fresh(TokenKind::Worker)?, now_ms());
    context
        .database()?
        .batch([
            store::register(wallet, &token.hash(), &token.hint(), now),
            context.audit_by(user, "worker.register", wallet),
        ])
        .await?;
    Ok(token)
}

/// The wallet that is proved, and its user.
async fn owner_of_new(context: &RequestContext, new: &NewWorker) -> Result<(String, String), Error> {
    if let (Some(message), Some(signature)) = (&new.message, &new.signature) {
        let database = context.database()?;
        let wallet =
            wallet::prove(&context.request, &context.settings, &database, message, signature).await?;
        let user = wallet::sign_up(&database, &wallet, now_ms()).await?;
        return Ok((wallet, user));
    }
    let Caller::User(user) = &context.caller else {
        return Err(unproved());
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

pub(super) fn unproved() -> Error {
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

/// `DELETE /workers/:wallet`: revokes the machine's token at once. What is
/// recorded of it stays.
pub(crate) async fn revoke(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let revoke = store::revoke(&wallet, owner(&context), now_ms());
    let batch = [revoke, context.audit_change("worker.revoke", &wallet)];
    let [revoked, _] = context.database()?.batch(batch).await?;
    if revoked.is_empty() { Err(NOT_FOUND) } else { Ok(Response::empty(204)) }
}

/// `GET /workers`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let list = store::workers(owner(&context), &page, now_ms());
    let answer = context.database()?.query_json(list).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /workers/:wallet`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let [worker, owed] =
        context.database()?.batch([store::worker(&wallet, owner(&context)), store::owed(&wallet)]).await?;
    let Some(worker): Option<store::Worker> = worker.first()? else {
        return Ok(Response::json(200, json!({ "exists": false }).to_string()));
    };
    let owed: Vec<String> = owed.first()?.unwrap_or_default();
    // As near as a double comes to it; the exact amounts are among the payments.
    let amounts = owed.iter().filter_map(|amount| amount.parse::<f64>().ok());
    // Not sum(), which makes -0 of nothing.
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

fn worker_json(worker: &store::Worker) -> Option<Value> {
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

/// `GET /workers/:wallet/containers`: those of the last beat. None of a machine
/// that is not yours, or is none.
pub(crate) async fn containers(context: RequestContext) -> Result<Response, Error> {
    let wallet = super::wallet(context.param("wallet"), "wallet")?;
    let words = find(&context, &wallet).await?.and_then(|worker| worker.containers).unwrap_or_default();
    Ok(Response::json(200, Value::from_iter(words.into_iter().map(container)).to_string()))
}

/// A container by both names that the documents give its name, and with both
/// figures, which a page shows as they are: 0 where the beat did not tell.
fn container(mut words: Map<String, Value>) -> Value {
    if let Some(name) = words.get("containerName").cloned() {
        words.insert("name".to_owned(), name);
    }
    for figure in ["cpuPercent", "memUsageMb"] {
        words.entry(figure).or_insert_with(|| json!(0));
    }
    Value::Object(words)
}

/// `GET /workers/:wallet/uptime`: when it ran, newest first, the open window
/// among it; `X-Uptime-Seconds` is the whole of the period.
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
        .batch([store::uptime(&wallet, from, to, &page), store::uptime_seconds(&wallet, from, to)])
        .await?;
    let total: Option<i64> = total.first()?;
    let response = page::response(list.into_json().as_deref(), &context);
    Ok(response.with("x-uptime-seconds", total.unwrap_or_default().to_string()))
}

/// Far enough, and exact in a database's number.
const MOST_MS: i64 = 1 << 47;

fn time(context: &RequestContext, name: &str, default: i64) -> Result<i64, Error> {
    let Some(text) = context.query(name) else { return Ok(default) };
    let time = fields::time(&Value::String(text)).map_err(|detail| {
        Error::invalid(name, format!("{detail}; in a query the `+` of an offset is written `%2B`"))
    })?;
    Ok(time.min(MOST_MS))
}

async fn find(context: &RequestContext, wallet: &str) -> Result<Option<store::Worker>, Error> {
    context.database()?.query(store::worker(wallet, owner(context))).await?.first()
}
