//! Sign-in with a wallet (EIP-4361, CAIP-122), and sign-out.

use garde::Validate;
use hatch_credentials::{
    siwe::{self, Challenge, LIFETIME_MS},
    token::{Token, TokenKind},
    wallet::Address,
};
use serde::Deserialize;
use serde_json::json;

use super::store;
use crate::identity::WalletChains;
use crate::settings::FromVars as _;
use crate::{
    error::{Error, Resource, rfc3339},
    http::{RequestContext, body, caller::Caller, page},
    identity::{Credential, store as users, token, wallet},
    platform::{
        clock::{DAY_MS, now_ms},
        random,
        response::Response,
    },
    store::Database,
};

/// How long a session lasts.
const SESSION_MS: i64 = 30 * DAY_MS;

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewChallenge {
    /// An Ethereum address, `0x` and 40 hex digits, whose mixed case, if any, is
    /// the checksum of EIP-55; or a Stellar key.
    #[garde(length(max = 56))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::WALLET)))]
    address: String,
    /// The chain by EIP-155; one of `WALLET_CHAIN_IDS`, by default 1, 10, 137, 8453
    /// and 42161. Omitted for a Stellar key.
    #[serde(default, deserialize_with = "body::optional_integer")]
    #[garde(inner(range(min = 1, max = 9_007_199_254_740_991_i64)))]
    #[cfg_attr(test, schemars(range(min = 1, max = 9_007_199_254_740_991_i64)))]
    chain_id: Option<i64>,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signed {
    /// The text of the challenge, byte for byte.
    #[garde(length(chars, max = 4096))]
    message: String,
    /// The result of `personal_sign`: `0x` and 130 hex digits. For a Stellar
    /// wallet, the result of `signMessage` (SEP-53): base64.
    #[garde(length(chars, max = 1024))]
    signature: String,
}

impl NewChallenge {
    pub(super) fn address(&self) -> Result<Address, Error> {
        self.address.parse().map_err(|error| Error::invalid("/address", format!("{error}")))
    }
}

/// `POST /auth/wallet/challenge`: issues the text that the wallet must sign.
pub(crate) async fn challenge(context: RequestContext) -> Result<Response, Error> {
    let new: NewChallenge = body::json(&context).await?;
    let address = new.address()?;
    let chain_id = chain_id(
        address,
        new.chain_id.and_then(|id| u64::try_from(id).ok()),
        &WalletChains::of(&context.settings)?.0,
    )?;
    let mut random = [0; 16];
    random::fill(&mut random)?;
    let (nonce, now_ms) = (siwe::nonce(&random), now_ms());
    let uri = wallet::page_origin(&context.request, &context.settings);
    let domain = wallet::host_of(&uri);
    let message =
        Challenge { domain, uri: &uri, address, chain_id, nonce: &nonce, now_ms }.message().to_string();
    let expires_at = now_ms + LIFETIME_MS;
    context.database()?.query(store::keep_nonce(&nonce, &address.to_string(), expires_at)).await?;
    let challenge = json!({ "message": message, "nonce": nonce, "expiresAt": rfc3339(expires_at) });
    Ok(Response::json(200, challenge.to_string()))
}

/// The chain to sign in on, by EIP-155; none for a Stellar address.
fn chain_id(address: Address, wanted: Option<u64>, known: &[u64]) -> Result<Option<u64>, Error> {
    match (address, wanted.or_else(|| known.first().copied())) {
        (Address::Ethereum(_), Some(id)) if known.contains(&id) => Ok(Some(id)),
        (Address::Ethereum(_), _) => Err(Error::invalid("/chainId", format!("must be one of {known:?}"))),
        (Address::Stellar(_), _) if wanted.is_some() => {
            Err(Error::invalid("/chainId", "is of Ethereum's chains; leave it out for a Stellar key"))
        }
        (Address::Stellar(_), _) => Ok(None),
    }
}

/// `POST /auth/wallet/verify`: begins a session for the wallet that signed the
/// challenge. If the caller is signed in already, it links the wallet to their account.
pub(crate) async fn verify(context: RequestContext) -> Result<Response, Error> {
    let signed: Signed = body::json(&context).await?;
    let (database, linking, now) = (context.database()?, linking_user(&context)?, now_ms());
    let wallet =
        wallet::prove(&context.request, &context.settings, &database, &signed.message, &signed.signature)
            .await?;
    let user = match linking {
        Some(user) => link(&context, &database, user, &wallet).await?,
        None => wallet::sign_up(&database, &wallet, now).await?,
    };
    let (token, expires_at) = begin_session(&context, &database, &user, now).await?;
    let session = json!({
        "token": token.reveal(), "userId": user, "wallet": wallet, "expiresAt": rfc3339(expires_at),
    });
    Ok(Response::json(200, session.to_string()).not_kept())
}

/// A session of `user`: its token, shown only once, and its end.
pub(super) async fn begin_session(
    context: &RequestContext,
    database: &Database,
    user: &str,
    now: i64,
) -> Result<(Token, i64), Error> {
    let (token, session_id) = (token::fresh(TokenKind::Session)?, random::uuid()?);
    let expires_at = now + SESSION_MS;
    database
        .batch([
            store::begin_session(&session_id, user, &token.hash(), now, expires_at),
            context.audit_by(user, "session.begin", &session_id),
        ])
        .await?;
    Ok((token, expires_at))
}

/// `GET /auth/sessions`
pub(crate) async fn sessions(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let page = page::of(&context)?;
    let answer = context.database()?.query_json(store::sessions(user, &page)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `DELETE /auth/sessions/:id`: ends it at once, wherever it is in use.
pub(crate) async fn end_session(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let [present, _, _] = context
        .database()?
        .batch([
            store::session(id, user),
            store::end_session(id, user, now_ms()),
            context.audit_change("session.end", id),
        ])
        .await?;
    if present.is_empty() { Err(SESSION_NOT_FOUND) } else { Ok(Response::empty(204)) }
}

pub(super) const SESSION_NOT_FOUND: Error = Error::NotFound(Resource::Session);

/// `POST /auth/logout`: ends the session that asks for it.
pub(crate) async fn logout(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    match &user.credential {
        Credential::Session(id) => {
            let end = [store::end_session(id, &user.id, now_ms()), context.audit_change("session.end", id)];
            context.database()?.batch(end).await?;
        }
        Credential::Key(_) => {
            return Err(not_a_session());
        }
        // There is no session of ours to end: Stack Auth ends its own.
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

/// The user whose account gets the wallet: a caller who is signed in with a
/// credential for the whole account.
fn linking_user(context: &RequestContext) -> Result<Option<&str>, Error> {
    let Caller::User(user) = &context.caller else { return Ok(None) };
    match user.credential {
        Credential::LocalDeveloper => Ok(None),
        Credential::Session(_) | Credential::StackAuth => Ok(Some(&user.id)),
        Credential::Key(_) => Err(Error::InsufficientScope(
            "A wallet is linked by a user who is signed in, not by an API key".into(),
        )),
    }
}

/// Links `wallet` to the account of `user`, and moves there what another
/// account with only that wallet owns.
async fn link(
    context: &RequestContext,
    database: &Database,
    user: &str,
    wallet: &str,
) -> Result<String, Error> {
    let [own, other] = database.batch([users::user(user), users::user_of_wallet(wallet)]).await?;
    let own: users::User = own.first()?.ok_or(Error::NotFound(Resource::Account))?;
    if own.wallet.as_deref() == Some(wallet) {
        return Ok(own.id);
    }
    if own.wallet.is_some() {
        return Err(taken("This account has another wallet already"));
    }
    let other: Option<users::User> = other.first()?;
    if other.as_ref().is_some_and(|other| other.stack_id.is_some()) {
        return Err(taken("This wallet belongs to another account, which has a sign-in of its own"));
    }
    // Each statement checks the conditions again, because a concurrent request may have changed them.
    let mut batch = vec![store::take_wallet(wallet, &own.id), context.audit_change("wallet.link", &own.id)];
    if let Some(other) = other {
        batch.insert(0, store::release_wallet(wallet, &other.id, &own.id));
        batch.extend(context.modules.owned.iter().flat_map(|owned| (owned.give)(&other.id, &own.id)));
        batch.push(store::end_released(&other.id));
    }
    match database.batch_all(batch).await {
        // A guard refuses while work of the other account is still running.
        Ok(_) | Err(Error::GuardFailed) => {}
        Err(error) => return Err(error),
    }
    let linked: Option<users::User> = database.query(users::user(&own.id)).await?.first()?;
    match linked {
        Some(linked) if linked.wallet.as_deref() == Some(wallet) => Ok(linked.id),
        _ => Err(taken("These accounts are being changed right now; try again in a moment")),
    }
}

fn taken(detail: &'static str) -> Error {
    Error::Conflict { code: "wallet_not_linked", detail: detail.into() }
}
