//! Who is calling, and whether a route is for them.

use std::net::Ipv4Addr;

use worker::Env;

use crate::settings::FromVars as _;
use crate::{
    error::Error,
    identity::{self, Credential, LOCAL_DEVELOPER, Principal, Scope, User},
    platform::{background::Background, request::InboundRequest},
    settings::Settings,
};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, known or not.
    Public,
    /// Any user, on what is theirs.
    User,
    /// A user whose credential has this scope, on what is theirs.
    Scope(Scope),
    /// [`Self::Scope`], and the operator on what is anybody's.
    ScopeOrOperator(Scope),
    /// A machine of the fleet. Its token is one proof; its signature over the
    /// beat, which only the module can read, is another.
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
    /// The user. Routes for users never run for anybody else.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is none.
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

    /// Whose the caller's writes are, in the audit log and among idempotency
    /// keys; none for nobody.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(&user.id),
            Self::Machine { wallet } => Some(wallet),
            Self::Operator => Some("operator"),
        }
    }
}

/// The caller of `request`. A credential that is present and wrong is refused
/// everywhere, on public routes too.
///
/// # Errors
/// As [`identity::authenticate`].
pub(crate) async fn identify(
    request: &InboundRequest,
    settings: &Settings,
    env: &Env,
    background: &Background,
) -> Result<Caller, Error> {
    let Some(credential) = request.credential() else {
        let is_here = settings.is_development() && is_local(request.host(), settings);
        return Ok(if is_here { Caller::User(User::local_developer()) } else { Caller::Anonymous });
    };
    let (token, access) = (bearer(credential), identity::Access::of(settings)?);
    if access.admin_token.as_ref().is_some_and(|admin| same(admin.as_bytes(), token.as_bytes())) {
        return Ok(Caller::Operator);
    }
    Ok(match identity::authenticate(token, settings, env, background).await? {
        Principal::User(user) => Caller::User(user),
        Principal::Machine(wallet) => Caller::Machine { wallet },
    })
}

/// Whether a route of this rule is for this caller.
///
/// # Errors
/// [`Error::Unauthorized`] for nobody, [`Error::Forbidden`] for somebody else,
/// [`Error::NotConfigured`] where the secret that could prove the caller is
/// missing.
pub(crate) fn admit(caller: &Caller, access: Access, settings: &Settings) -> Result<(), Error> {
    match (access, caller) {
        (Access::Public | Access::Machine, _)
        | (Access::Staff | Access::Operator | Access::ScopeOrOperator(_), Caller::Operator) => Ok(()),
        (_, Caller::Machine { .. }) => Err(not_a_user()),
        (Access::Staff | Access::Operator, Caller::User(user)) if user.id == LOCAL_DEVELOPER => {
            by_themselves(user)
        }
        (Access::Operator, _) if identity::Access::of(settings)?.admin_token.is_none() => Err(no_operator()),
        (Access::Staff, _) if !identity::Access::of(settings)?.has_staff() => Err(no_operator()),
        (_, Caller::Anonymous) => Err(nobody()),
        (Access::User, Caller::User(_)) => Ok(()),
        (Access::Scope(scope) | Access::ScopeOrOperator(scope), Caller::User(user)) => has_scope(user, scope),
        (Access::Staff, Caller::User(user)) if user.is_staff => has_scope(user, Scope::Admin),
        (Access::Staff | Access::Operator, Caller::User(_)) => Err(not_the_operator()),
        (Access::User | Access::Scope(_), Caller::Operator) => Err(not_a_user()),
    }
}

/// What [`admit`] refuses with on a route of this rule.
#[cfg(test)]
pub(crate) fn refusals(access: Access) -> Vec<Error> {
    match access {
        Access::Public | Access::Machine => vec![],
        Access::ScopeOrOperator(scope) => vec![nobody(), not_a_user(), lacks(scope)],
        Access::User => vec![nobody(), not_a_user()],
        Access::Scope(scope) => vec![nobody(), not_a_user(), lacks(scope)],
        Access::Staff => vec![nobody(), not_a_user(), not_the_operator(), lacks(Scope::Admin), no_operator()],
        Access::Operator => vec![nobody(), not_a_user(), not_the_operator(), no_operator()],
    }
}

fn nobody() -> Error {
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

/// What a key without a scope that it needs is shown.
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

/// The local developer is the operator too; a key that they give away is, if it
/// has the scope `admin`.
fn by_themselves(user: &User) -> Result<(), Error> {
    if user.credential == Credential::LocalDeveloper {
        return Ok(());
    }
    has_scope(user, Scope::Admin)
}

/// Whether a development Worker was addressed by a name that only this machine
/// or network gives it. Else a page could reach it under a name of its own
/// that leads here (DNS rebinding), and be the local developer.
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

/// Compares in a time that does not tell where the first difference is.
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
    fn a_page_of_another_name_is_not_the_local_developer() {
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

    /// What each caller gets on a route of each rule; 200 is in.
    #[test]
    fn every_rule_admits_whom_it_names_and_nobody_else() {
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
    fn without_the_operators_secret_nobody_is_the_operator() {
        let settings = Settings::for_test(&[]);
        for caller in [Caller::Anonymous, user(Credential::StackAuth, &Scope::ALL, true)] {
            let refused = admit(&caller, Access::Operator, &settings).unwrap_err();
            assert_eq!(refused.code(), "not_configured");
        }
    }
}
