//! Signing in with a wallet (EIP-4361), and out again.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::{
    Credential,
    siwe::{self, Challenge, Expectation, LIFETIME_MS},
    store,
    token::{Kind, Token},
    wallet::Address,
};
use crate::{
    audit,
    error::{Error, rfc3339},
    http::{Exchange, body, caller::Caller},
    platform::{clock::now_ms, random, response::Response},
    store::Database,
};

/// How long a session lasts.
const SESSION_MS: i64 = 30 * 24 * 60 * 60 * 1000;

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewChallenge {
    /// `0x` and 40 hex digits in one case. In mixed case, too, if it is the
    /// checksum of EIP-55, which no pattern can tell.
    #[garde(length(max = 42))]
    #[cfg_attr(test, schemars(regex(pattern = "^0x(?:[0-9a-f]{40}|[0-9A-F]{40})$")))]
    address: String,
    /// By EIP-155; one of `WALLET_CHAIN_IDS`.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(extend("enum" = [1, 10, 137, 8453, 42161, null])))]
    chain_id: Option<u64>,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signed {
    /// The text of the challenge, byte for byte.
    #[garde(length(max = 4096))]
    message: String,
    /// What `personal_sign` gave for it: `0x` and 130 hex digits.
    #[garde(length(max = 1024))]
    signature: String,
}

/// `POST /auth/wallet/challenge`: the text that the wallet is to sign.
pub(crate) async fn challenge(exchange: Exchange) -> Result<Response, Error> {
    let new: NewChallenge = body::json(&exchange).await?;
    let address: Address =
        new.address.parse().map_err(|error| Error::invalid("/address", format!("{error}")))?;
    let chain_ids = &exchange.settings.wallet_chain_ids;
    let chain_id = new.chain_id.or_else(|| chain_ids.first().copied()).unwrap_or(1);
    if !chain_ids.contains(&chain_id) {
        return Err(Error::invalid("/chainId", format!("must be one of {chain_ids:?}")));
    }
    let mut random = [0; 16];
    random::fill(&mut random)?;
    let (nonce, now_ms) = (siwe::nonce(&random), now_ms());
    let uri = page_origin(&exchange);
    let domain = host_of(&uri);
    let message =
        Challenge { domain, uri: &uri, address, chain_id, nonce: &nonce, now_ms }.message().to_string();
    let expires_at = now_ms + LIFETIME_MS;
    exchange.database()?.query(store::keep_nonce(&nonce, &address.to_string(), expires_at)).await?;
    let challenge = json!({ "message": message, "nonce": nonce, "expiresAt": rfc3339(expires_at) });
    Ok(Response::json(200, challenge.to_string()))
}

/// `POST /auth/wallet/verify`: a session for whoever signed the challenge.
/// A user who is signed in otherwise gets the wallet into their account.
pub(crate) async fn verify(exchange: Exchange) -> Result<Response, Error> {
    let signed: Signed = body::json(&exchange).await?;
    let now = now_ms();
    let expected = Expectation {
        domains: &domains(&exchange),
        chain_ids: &exchange.settings.wallet_chain_ids,
        now_ms: now,
    };
    let refused = |error| Error::Unauthorized(format!("Wallet sign-in refused: {error}").into());
    let message = siwe::verify(&signed.message, &signed.signature, &expected).map_err(refused)?;
    let (wallet, database, linking) =
        (message.address.to_string(), exchange.database()?, linking_user(&exchange)?);
    if database.query(store::use_up_nonce(&message.nonce, &wallet, now)).await?.is_empty() {
        return Err(Error::Unauthorized(
            "Wallet sign-in refused: its nonce is unknown, used or expired; ask for a new challenge".into(),
        ));
    }
    let user = match linking {
        Some(user) => link(&exchange, &database, user, &wallet).await?,
        None => sign_up(&database, &wallet, now).await?,
    };
    let (token, session_id) = (new_token()?, random::uuid()?);
    let expires_at = now + SESSION_MS;
    database
        .batch([
            store::begin_session(&session_id, &user, &token.hash(), now, expires_at),
            audit::entry(&user, "session.begin", &session_id, &exchange.request_id, now),
        ])
        .await?;
    let session = json!({
        "token": token.reveal(), "userId": user, "wallet": wallet, "expiresAt": rfc3339(expires_at),
    });
    Ok(Response::json(200, session.to_string()).not_kept())
}

/// `POST /auth/logout`: ends the session that asks for it.
pub(crate) async fn logout(exchange: Exchange) -> Result<Response, Error> {
    let user = exchange.caller.user()?;
    match &user.credential {
        Credential::Session(id) => {
            let end = [store::end_session(id, &user.id, now_ms()), exchange.audit_change("session.end", id)];
            exchange.database()?.batch(end).await?;
        }
        Credential::Key(_) => {
            return Err(not_a_session());
        }
        // Nothing of ours to end: Stack Auth ends its own sessions.
        Credential::StackAuth | Credential::LocalDeveloper => {}
    }
    Ok(Response::empty(204))
}

pub(super) fn not_a_session() -> Error {
    Error::Conflict {
        code: "not_a_session",
        detail: "An API key has no session to end; revoke it with DELETE /auth/keys/:id".into(),
    }
}

fn new_token() -> Result<Token, Error> {
    let mut secret = [0; 32];
    random::fill(&mut secret)?;
    Ok(Token::mint(Kind::Session, &secret))
}

async fn sign_up(database: &Database, wallet: &str, now: i64) -> Result<String, Error> {
    let user = database.query(store::sign_up_wallet(&random::uuid()?, wallet, now)).await?;
    let user: Option<store::User> = user.first()?;
    user.map(|user| user.id).ok_or_else(|| Error::Internal("a sign-up left no user".to_owned()))
}

/// The user whose account the wallet goes into: one who has one, and whose
/// credential speaks for all of it.
fn linking_user(exchange: &Exchange) -> Result<Option<&str>, Error> {
    let Caller::User(user) = &exchange.caller else { return Ok(None) };
    match user.credential {
        Credential::LocalDeveloper => Ok(None),
        Credential::Session(_) | Credential::StackAuth => Ok(Some(&user.id)),
        Credential::Key(_) => Err(Error::Forbidden {
            code: "insufficient_scope",
            detail: "A wallet is linked by a user who is signed in, not by an API key".into(),
        }),
    }
}

/// Puts `wallet` into the account of `user`. What a user of that wallet alone
/// has had until now comes along.
async fn link(exchange: &Exchange, database: &Database, user: &str, wallet: &str) -> Result<String, Error> {
    let [own, other] = database.batch([store::user(user), store::user_of_wallet(wallet)]).await?;
    let own: store::User = own.first()?.ok_or(Error::NotFound("This account has been deleted"))?;
    if own.wallet.as_deref() == Some(wallet) {
        return Ok(own.id);
    }
    if own.wallet.is_some() {
        return Err(taken("This account has another wallet already"));
    }
    let other: Option<store::User> = other.first()?;
    if other.as_ref().is_some_and(|other| other.stack_id.is_some()) {
        return Err(taken("This wallet belongs to another account, which has a sign-in of its own"));
    }
    // Each statement asks again whether it may: another request may have been faster.
    let mut batch = vec![
        store::release_wallet(wallet, &own.id),
        store::take_wallet(wallet, &own.id),
        exchange.audit_change("wallet.link", wallet),
    ];
    batch.extend(other.iter().flat_map(|other| store::merge(&other.id, &own.id)));
    match database.batch_all(batch).await?.get(1) {
        Some(taken) if !taken.is_empty() => Ok(own.id),
        _ => Err(taken("This account or this wallet was linked otherwise at this very moment; look again")),
    }
}

fn taken(detail: &'static str) -> Error {
    Error::Conflict { code: "wallet_not_linked", detail: detail.into() }
}

/// The origin of the page that signs in, if it is one that may; else ours.
fn page_origin(exchange: &Exchange) -> String {
    let origin = exchange.request.header("origin");
    let allowed = origin.filter(|origin| exchange.settings.cors_origins.contains(origin));
    allowed.unwrap_or_else(|| exchange.request.origin().to_owned())
}

/// The hosts whose pages may sign in.
fn domains(exchange: &Exchange) -> Vec<String> {
    let pages = exchange.settings.cors_origins.iter().map(String::as_str);
    pages.chain([exchange.request.origin()]).map(|origin| host_of(origin).to_owned()).collect()
}

fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}
