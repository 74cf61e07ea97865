//! Who is calling.
//!
//! Today that is the local developer, or nobody. Keys, wallets and tokens
//! join in [`identify`], and nothing else has to change for them: a handler
//! only ever sees a [`Caller`].

use crate::{error::Error, platform::request::Incoming, settings::Settings};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, known or not.
    Public,
    /// A user, on what is theirs.
    User,
    /// The operator.
    Operator,
}

/// The user of a development Worker that nobody signs in to.
pub(crate) const LOCAL_DEVELOPER: &str = "local-developer";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    Anonymous,
    User { id: String },
    Operator,
}

impl Caller {
    /// The user's id. Routes for users never run for anybody else.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is none.
    pub(crate) fn user(&self) -> Result<&str, Error> {
        match self {
            Self::User { id } => Ok(id),
            Self::Anonymous | Self::Operator => Err(Error::Unauthorized("Sign in to use this route")),
        }
    }
}

/// The caller of `request`, if `access` admits them. A credential that is
/// present and wrong is refused everywhere, on public routes too.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Forbidden`] for the operator on a user's
/// route; [`Error::NotConfigured`] where the secret that could prove the
/// caller is missing.
pub(crate) fn identify(request: &Incoming, settings: &Settings, access: Access) -> Result<Caller, Error> {
    let caller = match credential(request) {
        Some(credential) => by_credential(&credential, settings)?,
        None if settings.is_development() => Caller::User { id: LOCAL_DEVELOPER.to_owned() },
        None => Caller::Anonymous,
    };
    match (access, &caller) {
        (Access::Public, _) | (Access::User, Caller::User { .. }) | (Access::Operator, Caller::Operator) => {
            Ok(caller)
        }
        (Access::Operator, Caller::User { .. }) if settings.is_development() => Ok(caller),
        (Access::Operator, _) if settings.admin_token.is_none() => Err(Error::NotConfigured {
            variable: "ADMIN_TOKEN",
            detail: "Set the secret ADMIN_TOKEN to use the operator's routes".to_owned(),
        }),
        (Access::User, Caller::Operator) => Err(Error::Forbidden {
            code: "not_a_user",
            detail: "This route is for users, on what is theirs; the operator's token is nobody's",
        }),
        (Access::User | Access::Operator, _) => {
            Err(Error::Unauthorized("This route needs a credential: send Authorization: Bearer …"))
        }
    }
}

fn credential(request: &Incoming) -> Option<String> {
    request.header("authorization").or_else(|| request.header("x-api-key"))
}

fn by_credential(credential: &str, settings: &Settings) -> Result<Caller, Error> {
    let wrong = Error::Unauthorized("The credential is not valid");
    let token = match credential.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => credential,
    };
    match &settings.admin_token {
        Some(admin) if same(admin.as_bytes(), token.as_bytes()) => Ok(Caller::Operator),
        _ => Err(wrong),
    }
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same(b"token", b"token"));
        assert!(!same(b"token", b"tokem"));
        assert!(!same(b"token", b"toke"));
        assert!(!same(b"", b"token"));
    }
}
