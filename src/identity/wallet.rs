//! Verifies a wallet's signature, and finds its user.

use hatch_credentials::siwe::{self, Expectation};

use super::WalletChains;
use super::{authenticate::user_id_for, store};
use crate::settings::FromVars as _;
use crate::{
    error::Error,
    platform::{clock::now_ms, request::InboundRequest},
    settings::Settings,
    store::Database,
};

/// The wallet of a user's account, in the database's form.
pub(crate) async fn wallet_of(user: &str, database: &Database) -> Result<Option<String>, Error> {
    let user: Option<store::User> = database.query(store::user(user)).await?.first()?;
    Ok(user.and_then(|user| user.wallet))
}

/// Returns the wallet that signed the challenge `message`, and uses the challenge up.
pub(crate) async fn prove(
    request: &InboundRequest,
    settings: &Settings,
    database: &Database,
    message: &str,
    signature: &str,
) -> Result<String, Error> {
    let now_ms = now_ms();
    let (domains, chain_ids) = (domains(request, settings), &WalletChains::of(settings)?.0);
    let expected = Expectation { domains: &domains, chain_ids, now_ms };
    let refused = |error| Error::Unauthorized(format!("Wallet sign-in refused: {error}").into());
    let message = siwe::verify(message, signature, &expected).map_err(refused)?;
    let wallet = message.address.to_string();
    let used_up = store::use_up_nonce(&message.nonce, &wallet, now_ms);
    if database.query(used_up).await?.is_empty() {
        return Err(Error::Unauthorized(
            "Wallet sign-in refused: its nonce is unknown, used or expired; ask for a new challenge".into(),
        ));
    }
    Ok(wallet)
}

/// The user of a wallet; creates one if there is none.
pub(crate) async fn sign_up(database: &Database, wallet: &str, now: i64) -> Result<String, Error> {
    let user =
        database.query(store::sign_up_wallet(&user_id_for(&format!("wallet:{wallet}")), wallet, now)).await?;
    let user: Option<store::User> = user.first()?;
    user.map(|user| user.id).ok_or_else(|| Error::Internal("a sign-up left no user".to_owned()))
}

/// The origin of the page that signs in, if it may; otherwise our own.
pub(crate) fn page_origin(request: &InboundRequest, settings: &Settings) -> String {
    let allowed = request.page_origin().filter(|origin| settings.allows_pages_of(origin));
    allowed.unwrap_or_else(|| request.origin()).to_owned()
}

/// The hosts whose pages may sign in.
fn domains(request: &InboundRequest, settings: &Settings) -> Vec<String> {
    let (pages, page) = (&settings.cors_origins, page_origin(request, settings));
    let origins = pages.iter().map(String::as_str).chain([page.as_str(), request.origin()]);
    origins.map(|origin| host_of(origin).to_owned()).collect()
}

pub(crate) fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}
