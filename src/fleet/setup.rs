//! Serves the script with which a machine joins the fleet.

use hatch_credentials::token::{Token, TokenError, TokenKind};

use super::{wallet, workers};
use crate::{
    error::Error,
    http::{RequestContext, caller::Caller},
    identity::{Credential, User},
    platform::response::{Response, ResponseKind},
};

/// The script, complete except for three assignments at its beginning.
const SCRIPT: &str = include_str!("setup.sh");

/// `GET /api/setup?wallet=0x…&token=wk_…`. Only an address, a token and our own
/// origin are inserted into the script, each checked to be of exactly its form,
/// which has no character that is special to a shell.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let wallet = wallet(&context.query("wallet").unwrap_or_default(), "wallet")?;
    let origin = context.request.origin();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'.' | b'-' | b'[' | b']');
    if !origin.bytes().all(is_plain) {
        return Err(Error::invalid("host", "is not a host that the script can report to"));
    }
    let token = match (context.query("token"), developer(&context)) {
        (None, Some(developer)) => workers::new_token(&context, &wallet, &developer.id).await?,
        (text, _) => token(&text.unwrap_or_default())?,
    };
    let script =
        SCRIPT.replace("@WALLET@", &wallet).replace("@TOKEN@", token.reveal()).replace("@API@", origin);
    Ok(Response::bytes(ResponseKind::Api, 200, "text/x-shellscript; charset=utf-8", script.into_bytes())
        .with("content-disposition", "inline; filename=\"hatch-worker.sh\"")
        .not_kept())
}

/// The local developer needs no token: the request makes one, as `POST /workers`
/// does. A HEAD request does not, because it must not change anything, and
/// neither does one from a page, which an image tag could send.
fn developer(context: &RequestContext) -> Option<&User> {
    let site = context.request.header("sec-fetch-site");
    let is_a_pages = site.is_some_and(|site| !matches!(&*site, "none" | "same-origin"));
    match &context.caller {
        Caller::User(user) if user.credential == Credential::LocalDeveloper => {
            Some(user).filter(|_| !is_a_pages && context.request.method() == "GET")
        }
        _ => None,
    }
}

/// Reads a machine's token, without checking that it is valid.
pub(super) fn token(text: &str) -> Result<Token, Error> {
    match Token::parse(text) {
        Ok(token) if token.kind() == TokenKind::Worker => Ok(token),
        Err(TokenError::Checksum) => Err(mistyped()),
        _ => Err(Error::invalid("token", "must be the token of a machine, wk_…: POST /workers gives it")),
    }
}

pub(super) fn mistyped() -> Error {
    Error::InvalidToken("The token's checksum does not match: was it mistyped?".into())
}
