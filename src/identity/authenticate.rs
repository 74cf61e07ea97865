//! Finds the user that a presented credential belongs to.

use std::{borrow::Cow, cell::RefCell, fmt};

use hatch_credentials::{
    jwks::{Jwks, MAX_JWKS_BYTES, VerifyingKey},
    jwks_cache::{Decision, Event, JwksCache},
    jws::Jws,
    stack_auth::{Claims, Project},
    token::{self, Lapsed, Token, TokenError, TokenKind},
};
use sha2::{Digest as _, Sha256};
use worker::Env;

use super::{scopes::Scopes, settings::Access, store};
use crate::{
    error::{Error, Service, UpstreamKind},
    platform::{
        background::Background,
        clock::{now_ms, sleep},
        fetch::{self, OutboundRequest},
        log,
    },
    settings::{FromVars as _, Settings},
    store::{Database, Rows, Statement, shared::CREDENTIALS},
};

/// The id of the one user of a development Worker without sign-in.
pub(crate) const LOCAL_DEVELOPER: &str = "local-developer";

/// The id of the user of a wallet or of a Stack Auth subject. It is derived, so
/// that a user who deletes the account and returns has the same id, and the
/// same daily usage.
pub(super) fn user_id_for(proof: &str) -> String {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(Sha256::digest(proof)).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// How a user was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Without a credential: the one user of a development Worker without sign-in.
    LocalDeveloper,
    /// By the API key of this id.
    Key(String),
    /// By the session of this id.
    Session(String),
    /// By a token of Stack Auth.
    StackAuth,
}

impl Credential {
    /// The id of the API key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Key(id) => Some(id),
            Self::LocalDeveloper | Self::Session(_) | Self::StackAuth => None,
        }
    }

    /// The id of the key or of the session.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Key(id) | Self::Session(id) => Some(id),
            Self::LocalDeveloper | Self::StackAuth => None,
        }
    }
}

/// The data of a user that requests need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) credential: Credential,
    /// What the credential permits.
    pub(crate) scopes: Scopes,
    /// The gateway's limits of the key, as JSON for models/limits.rs; none is
    /// unlimited.
    pub(crate) gateway: Option<String>,
    /// Whether their verified e-mail address is of a domain of `STAFF_EMAIL_DOMAINS`.
    pub(crate) is_staff: bool,
}

impl User {
    /// The one user of a development Worker without sign-in.
    pub(crate) fn local_developer() -> Self {
        Self {
            id: LOCAL_DEVELOPER.to_owned(),
            credential: Credential::LocalDeveloper,
            scopes: Scopes::of_person(true),
            gateway: None,
            is_staff: true,
        }
    }

    fn person(id: String, credential: Credential, is_staff: bool) -> Self {
        Self { id, credential, scopes: Scopes::of_person(is_staff), gateway: None, is_staff }
    }
}

/// The party that a credential authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    User(User),
    /// The machine of this wallet.
    Machine(String),
}

/// Makes a statement about the owner of the token with this hash
/// ([`owner!`](super::store::owner)). It runs in the round trip that looks the token up.
pub(crate) type AboutOwner = fn(hash: &str) -> Statement;

/// The result of [`authenticate`].
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) principal: Principal,
    /// The rows of the statement about the owner, if the credential was looked up with one.
    pub(crate) owner_rows: Option<Rows>,
}

impl From<Principal> for Authenticated {
    fn from(principal: Principal) -> Self {
        Self { principal, owner_rows: None }
    }
}

/// Authenticates `credential`: an API key, a session, a machine's token, or an
/// access token of Stack Auth.
///
/// # Errors
/// [`Error::InvalidToken`] when it is not valid, [`Error::Unavailable`] when
/// that cannot be checked now.
pub(crate) async fn authenticate(
    credential: &str,
    about_owner: Option<AboutOwner>,
    settings: &Settings,
    env: &Env,
    background: &Background,
) -> Result<Authenticated, Error> {
    match Token::parse(credential) {
        Ok(token) if token.kind() == TokenKind::Worker => {
            let machine = Database::open(env)?
                .query_shared(&CREDENTIALS, store::machine(&token.hash()))
                .await?
                .first::<store::Machine>()?;
            machine.map(|machine| Principal::Machine(machine.wallet).into()).ok_or(NOT_VALID)
        }
        Ok(token) => by_token(&token, about_owner, settings, env, background).await,
        Err(TokenError::Prefix) => match &Access::of(settings)?.stack_auth {
            // Its tokens have dots. A key of another vendor has none.
            Some(stack) if credential.contains('.') => {
                let user = by_stack_auth(credential, stack, settings, &Database::open(env)?).await?;
                Ok(Principal::User(user).into())
            }
            _ => Err(NOT_VALID),
        },
        Err(error) => Err(Error::InvalidToken(error.to_string().into())),
    }
}

const NOT_VALID: Error = Error::InvalidToken(Cow::Borrowed("The credential is not valid"));

async fn by_token(
    token: &Token,
    about_owner: Option<AboutOwner>,
    settings: &Settings,
    env: &Env,
    background: &Background,
) -> Result<Authenticated, Error> {
    let lookup = match token.kind() {
        TokenKind::Session => store::grant_of_session(&token.hash()),
        TokenKind::ApiKey | TokenKind::Worker => {
            store::grant_of_key(&token.hash(), settings.is_development().then_some(LOCAL_DEVELOPER))
        }
    };
    let database = Database::open(env)?;
    let (grant, owner_rows) = match about_owner {
        None => (database.query_shared(&CREDENTIALS, lookup).await?, None),
        Some(about_owner) => {
            let [grant, rows] =
                database.batch_shared(&CREDENTIALS, [lookup, about_owner(&token.hash())]).await?;
            (grant, Some(rows))
        }
    };
    let grant: store::Grant = grant.first()?.ok_or(NOT_VALID)?;
    let now = now_ms();
    grant
        .validity()
        .check(now)
        .map_err(|lapsed| Error::InvalidToken(lapsed_detail(token.kind(), lapsed).into()))?;
    let is_staff = Access::of(settings)?.is_staff(grant.email.as_deref());
    let Some(scopes) = grant.scopes else {
        let user = User::person(grant.user_id, Credential::Session(grant.id), is_staff);
        return Ok(Authenticated { principal: Principal::User(user), owner_rows });
    };
    if token::is_last_used_due(grant.last_used_at, now) {
        let note = store::note_use(&grant.id, grant.last_used_at, now);
        // A use that could not be recorded is no reason to refuse the request.
        background.run(async move { drop(database.query(note).await) });
    }
    let (id, credential) = (grant.user_id, Credential::Key(grant.id));
    let user = User { id, credential, scopes, gateway: grant.gateway, is_staff };
    Ok(Authenticated { principal: Principal::User(user), owner_rows })
}

fn lapsed_detail(kind: TokenKind, lapsed: Lapsed) -> &'static str {
    match (kind, lapsed) {
        (TokenKind::Session, Lapsed::Revoked) => "The session has ended; sign in again",
        (TokenKind::Session, Lapsed::Expired) => "The session has expired; sign in again",
        (TokenKind::ApiKey | TokenKind::Worker, Lapsed::Revoked) => "The API key has been revoked",
        (TokenKind::ApiKey | TokenKind::Worker, Lapsed::Expired) => "The API key has expired",
    }
}

/// The user of an access token that Stack Auth itself has just given.
///
/// # Errors
/// As [`authenticate`]'s.
pub(crate) async fn by_stack_token(
    token: &str,
    settings: &Settings,
    database: &Database,
) -> Result<User, Error> {
    let stack = Access::of(settings)?.stack_auth.as_ref().ok_or(NOT_VALID)?;
    by_stack_auth(token, stack, settings, database).await
}

async fn by_stack_auth(
    token: &str,
    stack: &Project,
    settings: &Settings,
    database: &Database,
) -> Result<User, Error> {
    let refused = |error: &dyn fmt::Display| Error::InvalidToken(format!("Stack Auth: {error}").into());
    let jws = Jws::decode(token).map_err(|error| refused(&error))?;
    let key = key(jws.kid(), stack, settings).await?;
    let claims = stack.verify(&jws, &key, now_ms() / 1000).map_err(|error| refused(&error))?;
    let user = user_of(&claims, database).await?;
    Ok(User::person(user.id, Credential::StackAuth, Access::of(settings)?.is_staff(claims.verified_email())))
}

/// The user of a token's subject. Usually this is one read; the row is written
/// only for a new user or changed data.
async fn user_of(claims: &Claims, database: &Database) -> Result<store::User, Error> {
    let known: Option<store::User> = database.query(store::user_of_stack(&claims.sub)).await?.first()?;
    let is_current = |user: &store::User| {
        user.email.as_deref() == claims.verified_email() && user.name.as_deref() == claims.name.as_deref()
    };
    if let Some(user) = known.filter(is_current) {
        return Ok(user);
    }
    let sign_up = store::sign_up_stack(&user_id_for(&format!("stack:{}", claims.sub)), claims, now_ms());
    database
        .query(sign_up)
        .await?
        .first()?
        .ok_or_else(|| Error::Internal("a sign-up left no user".to_owned()))
}

thread_local! {
    /// Stack Auth's keys, cached as long as the isolate lives.
    static KEYS: RefCell<JwksCache> = RefCell::default();
}

/// The key that a token names, fetched if it is not cached.
async fn key(kid: &str, stack: &Project, settings: &Settings) -> Result<VerifyingKey, Error> {
    let patience_ms = now_ms().saturating_add(STACK_AUTH_TIMEOUT_MS.cast_signed());
    loop {
        let now = now_ms();
        match KEYS.with_borrow(|keys| keys.decide(kid, now)) {
            Decision::Use(key) => return Ok(key),
            Decision::Fetch => refresh(stack, settings).await,
            Decision::Wait if now < patience_ms => sleep(POLL_MS).await,
            Decision::Wait | Decision::Unavailable => return Err(unavailable()),
            Decision::Unknown => {
                return Err(Error::InvalidToken("Stack Auth has no key of this `kid`".into()));
            }
        }
    }
}

async fn refresh(stack: &Project, settings: &Settings) {
    let note = |event| KEYS.with_borrow_mut(|keys| keys.apply(event, now_ms()));
    note(Event::Started);
    let keys = fetch_keys(stack.jwks_url(), settings.timeouts.head_ms.min(STACK_AUTH_TIMEOUT_MS)).await;
    note(keys.map_or_else(
        |error| {
            log::failure("accounts.jwks", &error);
            Event::Failed
        },
        Event::Fetched,
    ));
}

/// The longest that a sign-in waits for Stack Auth.
const STACK_AUTH_TIMEOUT_MS: u64 = 5_000;
/// How often a request checks whether another one's fetch has ended.
const POLL_MS: u64 = 20;

async fn fetch_keys(url: &str, timeout_ms: u64) -> Result<Jwks, Error> {
    let unread = |reason: &dyn fmt::Debug| Error::Unavailable(Service::KeySet, format!("{reason:?}"));
    let answer = fetch::send(OutboundRequest::get(url.to_owned()), timeout_ms)
        .await
        .map_err(|error| unread(&error))?;
    if answer.status() != 200 {
        return Err(unread(&answer.status()));
    }
    let document = answer.text(MAX_JWKS_BYTES, timeout_ms).await.map_err(|error| unread(&error))?;
    Jwks::parse(document.as_bytes()).map_err(|error| unread(&error))
}

pub(crate) fn unavailable() -> Error {
    Error::Upstream {
        kind: UpstreamKind::NoSigningKeys,
        detail: "Stack Auth's keys cannot be read now; try again in a moment".to_owned(),
        retry_after_s: Some(5),
    }
}
