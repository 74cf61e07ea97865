//! Identifies the caller of a request and checks its access to a route.

use std::{borrow::Cow, net::Ipv4Addr};

use worker::Env;

use super::problem::Dialect;
use crate::settings::FromVars as _;
use crate::{
    error::Error,
    identity::{self, AboutOwner, Authenticated, Credential, LOCAL_DEVELOPER, Principal, Scope, User},
    platform::{background::Background, request::InboundRequest},
    settings::Settings,
    store::Rows,
};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Every caller, signed in or not.
    Public,
    /// Every user, on their own data.
    User,
    /// A user whose credential has this scope, on their own data.
    Scope(Scope),
    /// As [`Self::Scope`]; the operator may also act on any user's data.
    ScopeOrOperator(Scope),
    /// A machine of the fleet. It proves itself by its token, or by its signature over the
    /// heartbeat, which only the module can check.
    Machine,
    /// Staff whose credential has the scope `admin`, and the operator.
    Staff,
    /// The operator.
    Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    Anonymous,
    User(User),
    /// A machine of the fleet, by its token.
    Machine {
        wallet: String,
    },
    Operator,
}

impl Caller {
    /// The user. Routes for users only run for users.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when the caller is not a user.
    pub(crate) fn user(&self) -> Result<&User, Error> {
        match self {
            Self::User(user) => Ok(user),
            Self::Anonymous | Self::Machine { .. } | Self::Operator => {
                Err(Error::Unauthorized("Sign in to use this route".into()))
            }
        }
    }

    /// [`Self::user`]'s id.
    pub(crate) fn user_id(&self) -> Result<&str, Error> {
        self.user().map(|user| user.id.as_str())
    }

    /// The owner of the caller's writes, in the audit log and in idempotency keys; `None` for an
    /// anonymous caller.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(&user.id),
            Self::Machine { wallet } => Some(wallet),
            Self::Operator => Some("operator"),
        }
    }
}

/// The credential of a request: the one in the header of the dialect's clients, if there is one.
fn credential<'r>(request: &'r InboundRequest, dialect: &'static Dialect) -> Option<Cow<'r, str>> {
    let header = dialect.for_client(request).key_header;
    let own = header.and_then(|name| request.header(name)).filter(|key| !key.is_empty());
    own.map(Cow::Owned).or_else(|| request.credential().map(Cow::Borrowed))
}

/// The caller of `request`, with the rows of `about_owner` if their credential
/// was looked up. A wrong credential is refused everywhere, also on public routes.
///
/// # Errors
/// As [`identity::authenticate`].
pub(crate) async fn identify(
    request: &InboundRequest,
    dialect: &'static Dialect,
    about_owner: Option<AboutOwner>,
    settings: &Settings,
    env: &Env,
    background: &Background,
) -> Result<(Caller, Option<Rows>), Error> {
    let Some(credential) = credential(request, dialect) else {
        let is_here = settings.is_development() && is_local(request.host(), settings);
        return Ok((if is_here { Caller::User(User::local_developer()) } else { Caller::Anonymous }, None));
    };
    let (token, access) = (bearer(&credential), identity::Access::of(settings)?);
    if access.admin_token.as_ref().is_some_and(|admin| same(admin.as_bytes(), token.as_bytes())) {
        return Ok((Caller::Operator, None));
    }
    let Authenticated { principal, owner_rows } =
        identity::authenticate(token, about_owner, settings, env, background).await?;
    let caller = match principal {
        Principal::User(user) => Caller::User(user),
        Principal::Machine(wallet) => Caller::Machine { wallet },
    };
    Ok((caller, owner_rows))
}

/// Checks that this caller may use a route with this access rule.
///
/// # Errors
/// [`Error::Unauthorized`] for an anonymous caller, [`Error::Forbidden`] for another kind of
/// caller, [`Error::NotConfigured`] when the secret that would prove the caller is missing.
pub(crate) fn admit(caller: &Caller, access: Access, settings: &Settings) -> Result<(), Error> {
    match (access, caller) {
        (Access::Public | Access::Machine, _)
        | (Access::Staff | Access::Operator | Access::ScopeOrOperator(_), Caller::Operator) => Ok(()),
        (_, Caller::Machine { .. }) => Err(not_a_user()),
        (Access::Staff | Access::Operator, Caller::User(user)) if user.id == LOCAL_DEVELOPER => {
            require_local_developer(user)
        }
        (Access::Operator, _) if identity::Access::of(settings)?.admin_token.is_none() => Err(no_operator()),
        (Access::Staff, _) if !identity::Access::of(settings)?.has_staff() => Err(no_operator()),
        (_, Caller::Anonymous) => Err(not_signed_in()),
        (Access::User, Caller::User(_)) => Ok(()),
        (Access::Scope(scope) | Access::ScopeOrOperator(scope), Caller::User(user)) => has_scope(user, scope),
        (Access::Staff, Caller::User(user)) if user.is_staff => has_scope(user, Scope::Admin),
        (Access::Staff | Access::Operator, Caller::User(_)) => Err(not_the_operator()),
        (Access::User | Access::Scope(_), Caller::Operator) => Err(not_a_user()),
    }
}

/// The errors with which [`admit`] refuses callers of a route with this access rule.
#[cfg(test)]
pub(crate) fn refusals(access: Access) -> Vec<Error> {
    match access {
        Access::Public | Access::Machine => vec![],
        Access::ScopeOrOperator(scope) => vec![not_signed_in(), not_a_user(), lacks(scope)],
        Access::User => vec![not_signed_in(), not_a_user()],
        Access::Scope(scope) => vec![not_signed_in(), not_a_user(), lacks(scope)],
        Access::Staff => {
            vec![not_signed_in(), not_a_user(), not_the_operator(), lacks(Scope::Admin), no_operator()]
        }
        Access::Operator => vec![not_signed_in(), not_a_user(), not_the_operator(), no_operator()],
    }
}

fn not_signed_in() -> Error {
    Error::Unauthorized("This route needs a credential: send Authorization: Bearer …".into())
}

fn not_a_user() -> Error {
    Error::Forbidden {
        code: "not_a_user",
        detail: "This route is for users, on what is theirs; this credential is no user's".into(),
    }
}

fn not_the_operator() -> Error {
    Error::Forbidden {
        code: "not_the_operator",
        detail: "This route is for those who run this service".into(),
    }
}

/// The error for an API key that lacks the scope it needs.
pub(crate) fn lacks(scope: Scope) -> Error {
    Error::InsufficientScope(format!("This API key lacks the scope `{scope}`").into())
}

fn no_operator() -> Error {
    Error::NotConfigured {
        variable: "ADMIN_TOKEN",
        detail: "Set the secret ADMIN_TOKEN to use the operator's routes".to_owned(),
    }
}

fn has_scope(user: &User, scope: Scope) -> Result<(), Error> {
    if user.scopes.contains(scope) { Ok(()) } else { Err(lacks(scope)) }
}

/// The local developer is also the operator. An API key of theirs is the operator only with the
/// scope `admin`.
fn require_local_developer(user: &User) -> Result<(), Error> {
    if user.credential == Credential::LocalDeveloper {
        return Ok(());
    }
    has_scope(user, Scope::Admin)
}

/// Whether a development Worker was addressed by a local name. Otherwise a web page could reach it
/// through DNS rebinding, under its own host name, and act as the local developer.
fn is_local(host: &str, settings: &Settings) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let is_listed = || settings.cors_origins.iter().any(|origin| origin.ends_with(&format!("//{host}")));
    name == "localhost"
        || name.ends_with(".localhost")
        || name.starts_with('[')
        || name.parse::<Ipv4Addr>().is_ok()
        || is_listed()
}

fn bearer(credential: &str) -> &str {
    match credential.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => credential,
    }
}

/// Compares in constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Scopes;

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same(b"token", b"token"));
        assert!(!same(b"token", b"tokem"));
        assert!(!same(b"token", b"toke"));
        assert!(!same(b"", b"token"));
    }

    #[test]
    fn a_request_for_another_host_is_not_the_local_developer() {
        let settings = Settings::for_test(&[("CORS_ORIGINS", "https://dev.example:8443")]);
        for host in [
            "localhost",
            "localhost:8787",
            "app.localhost:8787",
            "127.0.0.1:8787",
            "[::1]:8787",
            "192.168.1.5",
            "dev.example:8443",
        ] {
            assert!(is_local(host, &settings), "{host}");
        }
        for host in [
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xdev.example:8443",
            "evil-localhost",
            "",
        ] {
            assert!(!is_local(host, &settings), "{host}");
        }
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer("Bearer abc"), "abc");
        assert_eq!(bearer("bearer  abc "), "abc");
        assert_eq!(bearer("abc"), "abc");
        assert_eq!(bearer("Basic abc"), "Basic abc");
    }

    fn user(credential: Credential, scopes: &[Scope], is_staff: bool) -> Caller {
        let scopes: Scopes = scopes.iter().copied().collect();
        Caller::User(User { id: "u".to_owned(), credential, scopes, gateway: None, is_staff })
    }

    /// The status that each caller gets on a route of each access rule; 200 means admitted.
    #[test]
    fn every_access_rule_admits_exactly_the_callers_that_it_names() {
        let key = |scopes: &[Scope]| user(Credential::Key("k".to_owned()), scopes, false);
        let staff = user(Credential::StackAuth, &Scope::ALL, true);
        let staff_key = user(Credential::Key("k".to_owned()), &[Scope::Chat], true);
        let rules =
            [Access::Public, Access::User, Access::Scope(Scope::Chat), Access::Staff, Access::Operator];
        for (caller, statuses) in [
            (Caller::Anonymous, [200, 401, 401, 401, 401]),
            (key(&[Scope::Chat]), [200, 200, 200, 403, 403]),
            (key(&[Scope::Deploy, Scope::Admin]), [200, 200, 403, 403, 403]),
            (staff, [200, 200, 200, 200, 403]),
            (staff_key, [200, 200, 200, 403, 403]),
            (Caller::User(User::local_developer()), [200, 200, 200, 200, 200]),
            (Caller::Operator, [200, 403, 403, 200, 200]),
        ] {
            for (rule, status) in rules.into_iter().zip(statuses) {
                let settings = Settings::for_test(&[("ADMIN_TOKEN", "secret")]);
                let admitted = admit(&caller, rule, &settings).map_or_else(|error| error.status(), |()| 200);
                assert_eq!(admitted, status, "{caller:?} at {rule:?}");
            }
        }
    }

    #[test]
    fn without_the_admin_token_no_caller_is_the_operator() {
        let settings = Settings::for_test(&[]);
        for caller in [Caller::Anonymous, user(Credential::StackAuth, &Scope::ALL, true)] {
            let refused = admit(&caller, Access::Operator, &settings).unwrap_err();
            assert_eq!(refused.code(), "not_configured");
        }
    }
}
