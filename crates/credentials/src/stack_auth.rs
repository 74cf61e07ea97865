//! Verifies access tokens of Stack Auth: JWTs that its API signs with ES256.
//!
//! Stack Auth (docs.stack-auth.com, "JWT tokens") issues three kinds of token, each with its own issuer and audience:
//! for regular users (`…/projects/{id}`, `{id}`), anonymous users (`…/projects-anonymous-users/{id}`, `{id}:anon`) and
//! restricted users (`…/projects-restricted-users/{id}`, `{id}:restricted`). Only tokens of regular users are accepted;
//! the other claims must agree with that.

use std::fmt;

use p256::ecdsa::VerifyingKey;
use serde_json::{Map, Value};

use super::jws::{Jws, JwsError};

/// The allowed difference between Stack Auth's clock and ours.
const SKEW_S: i64 = 60;
const MAX_SUBJECT_BYTES: usize = 128;

/// The Stack Auth project whose users may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    id: String,
    issuers: Vec<String>,
    jwks_url: String,
}

/// The user that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Stack Auth's id of the user: the only claim that never changes.
    pub sub: String,
    /// For display only. For decisions use [`Claims::verified_email`].
    pub email: Option<String>,
    /// Whether Stack Auth has verified [`Self::email`].
    pub email_verified: bool,
    /// What the user is called, for display only.
    pub name: Option<String>,
    /// When the token ends, in seconds of the Unix epoch.
    pub expires_at_s: i64,
}

impl Claims {
    /// The address, if Stack Auth has verified it.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackAuthRefusal {
    /// It is malformed, or its key or signature is wrong.
    Token(JwsError),
    /// The claim with this name is missing or has the wrong type.
    Claim(&'static str),
    /// From another issuer, project or kind of user.
    Issuer,
    /// For another project or kind of user, or for several.
    Audience,
    /// The token has expired.
    Expired,
    /// `nbf` is in the future.
    NotYetValid,
    /// `iat` is in the future.
    IssuedAhead,
    /// `project_id` and `aud` name different projects.
    Project,
    /// The branch is not `main`.
    Branch,
    /// The role is not `authenticated`.
    Role,
    /// Of a user who has not signed in.
    Anonymous,
    /// Of a user whom Stack Auth restricts, for example until their address is verified.
    Restricted,
}

impl fmt::Display for StackAuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(error) => return error.fmt(f),
            Self::Claim(name) => {
                return write!(f, "the token's claim '{name}' is missing or of a wrong type");
            }
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedAhead => "the token was issued in the future",
            Self::Project => "the token is of another project",
            Self::Branch => "the token is of another branch of the project",
            Self::Role => "the token is not of a signed-in user",
            Self::Anonymous => "the token is of an anonymous user: sign in",
            Self::Restricted => "the token is of a restricted user",
        })
    }
}

impl std::error::Error for StackAuthRefusal {}

impl From<JwsError> for StackAuthRefusal {
    fn from(error: JwsError) -> Self {
        Self::Token(error)
    }
}

impl Project {
    /// The project `id` at the API `base`, such as `https://api.stack-auth.com`, without a trailing slash. Tokens may
    /// also name one of `aliases` as the API: Stack Auth is being renamed to `https://api.hexclave.com`.
    pub fn new(base: &str, aliases: &[&str], id: &str) -> Self {
        let issuer = |base: &str| format!("{base}/api/v1/projects/{id}");
        Self {
            id: id.to_owned(),
            issuers: std::iter::once(base).chain(aliases.iter().copied()).map(issuer).collect(),
            jwks_url: format!("{}/.well-known/jwks.json", issuer(base)),
        }
    }

    /// The URL of its keys, without the query that would add the keys for anonymous and restricted users.
    pub fn jwks_url(&self) -> &str {
        &self.jwks_url
    }

    /// Verifies `token` at `now_s`, in seconds of the Unix epoch, with the key that its `kid` names, and returns its
    /// claims.
    ///
    /// # Errors
    /// [`StackAuthRefusal`]: the signature is checked first, then the origin, the times, and the user.
    pub fn verify(
        &self,
        token: &Jws<'_>,
        key: &VerifyingKey,
        now_s: i64,
    ) -> Result<Claims, StackAuthRefusal> {
        let payload = Payload(token.verify(key)?);
        self.check_origin(&payload)?;
        let expires_at_s = check_times(&payload, now_s)?;
        check_user(&payload)?;
        Ok(Claims {
            sub: subject(&payload)?.to_owned(),
            email: payload.optional("email", Value::as_str)?.map(str::to_owned),
            email_verified: payload.required("email_verified", Value::as_bool)?,
            name: payload.optional("name", Value::as_str)?.map(str::to_owned),
            expires_at_s,
        })
    }

    fn check_origin(&self, payload: &Payload) -> Result<(), StackAuthRefusal> {
        let issuer = payload.required("iss", Value::as_str)?;
        if !self.issuers.iter().any(|ours| ours == issuer) {
            return Err(StackAuthRefusal::Issuer);
        }
        // Stack Auth never issues a list of audiences, so a list is refused.
        if payload.0.get("aud").and_then(Value::as_str) != Some(&self.id) {
            return Err(StackAuthRefusal::Audience);
        }
        if payload.required("project_id", Value::as_str)? != self.id {
            return Err(StackAuthRefusal::Project);
        }
        if payload.required("branch_id", Value::as_str)? != "main" {
            return Err(StackAuthRefusal::Branch);
        }
        Ok(())
    }
}

/// Checks the times and returns the expiry.
fn check_times(payload: &Payload, now_s: i64) -> Result<i64, StackAuthRefusal> {
    let (early, late) = (now_s.saturating_sub(SKEW_S), now_s.saturating_add(SKEW_S));
    let expires_at_s = payload.required("exp", Value::as_i64)?;
    if expires_at_s <= early {
        return Err(StackAuthRefusal::Expired);
    }
    if payload.optional("nbf", Value::as_i64)?.is_some_and(|start| start > late) {
        return Err(StackAuthRefusal::NotYetValid);
    }
    if payload.required("iat", Value::as_i64)? > late {
        return Err(StackAuthRefusal::IssuedAhead);
    }
    Ok(expires_at_s)
}

fn check_user(payload: &Payload) -> Result<(), StackAuthRefusal> {
    if payload.required("is_anonymous", Value::as_bool)? {
        return Err(StackAuthRefusal::Anonymous);
    }
    let has_reason = payload.0.get("restricted_reason").is_some_and(|reason| !reason.is_null());
    if payload.required("is_restricted", Value::as_bool)? || has_reason {
        return Err(StackAuthRefusal::Restricted);
    }
    if payload.required("role", Value::as_str)? != "authenticated" {
        return Err(StackAuthRefusal::Role);
    }
    Ok(())
}

fn subject(payload: &Payload) -> Result<&str, StackAuthRefusal> {
    let sub = payload.required("sub", Value::as_str)?;
    if (1..=MAX_SUBJECT_BYTES).contains(&sub.len()) { Ok(sub) } else { Err(StackAuthRefusal::Claim("sub")) }
}

/// The claims of a token whose signature has been verified.
struct Payload(Map<String, Value>);

impl Payload {
    fn required<'a, T>(
        &'a self,
        name: &'static str,
        read: fn(&'a Value) -> Option<T>,
    ) -> Result<T, StackAuthRefusal> {
        self.0.get(name).and_then(read).ok_or(StackAuthRefusal::Claim(name))
    }

    /// `None` for a claim that is missing or null.
    fn optional<'a, T>(
        &'a self,
        name: &'static str,
        read: fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, StackAuthRefusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or(StackAuthRefusal::Claim(name)),
        }
    }
}

#[cfg(test)]
mod tests;
