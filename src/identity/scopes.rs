//! The permissions of API keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One permission. None implies another: a key that may write may read only if it has that scope too, and `admin` permits
/// staff's routes and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) enum Scope {
    ProjectsRead,
    ProjectsWrite,
    Chat,
    Deploy,
    Gateway,
    FleetHeartbeat,
    /// All deployments on the fleet, for the service that runs them. Only staff can give it to a key.
    FleetDeploy,
    PaymentsWrite,
    /// The account itself: keys, sessions, export and deletion.
    Account,
    /// The staff's routes. Only staff can give it to a key.
    Admin,
}

impl Scope {
    /// All scopes, in the order of lists.
    pub(crate) const ALL: [Self; 10] = [
        Self::ProjectsRead,
        Self::ProjectsWrite,
        Self::Chat,
        Self::Deploy,
        Self::Gateway,
        Self::FleetHeartbeat,
        Self::FleetDeploy,
        Self::PaymentsWrite,
        Self::Account,
        Self::Admin,
    ];

    /// Its name in the API and in the database.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ProjectsRead => "projects:read",
            Self::ProjectsWrite => "projects:write",
            Self::Chat => "chat",
            Self::Deploy => "deploy",
            Self::Gateway => "gateway",
            Self::FleetHeartbeat => "fleet:heartbeat",
            Self::FleetDeploy => "fleet:deploy",
            Self::PaymentsWrite => "payments:write",
            Self::Account => "account",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for an unknown name. The message lists all scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownScope;

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown scope; the scopes are ")?;
        f.write_str(&Scope::ALL.map(Scope::name).join(", "))
    }
}

impl std::error::Error for UnknownScope {}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or(UnknownScope)
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(name: String) -> Result<Self, UnknownScope> {
        name.parse()
    }
}

impl From<Scope> for &'static str {
    fn from(scope: Scope) -> Self {
        scope.name()
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Scope {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": Self::ALL.map(Self::name) })
    }
}

/// A set of scopes; in JSON a list of names. An unknown name is an error, in a row as in a request: it must neither be
/// dropped nor guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub(crate) struct Scopes(u16);

impl Scopes {
    /// The scopes of a user who signed in. Machines have their own tokens.
    pub(super) fn of_person(is_staff: bool) -> Self {
        let is_theirs = |scope: &Scope| is_staff || !matches!(scope, Scope::Admin | Scope::FleetDeploy);
        Scope::ALL.into_iter().filter(is_theirs).collect()
    }

    /// The scopes that a key has by default: those to build and run an app. The
    /// gateway spends money, so its scope must be requested.
    pub(crate) fn of_a_program() -> Self {
        [Scope::ProjectsRead, Scope::ProjectsWrite, Scope::Chat, Scope::Deploy].into_iter().collect()
    }

    pub(crate) const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether it contains all of `other`: a key may only make keys with at most its own scopes.
    pub(crate) const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_by_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert_eq!("projects".parse::<Scope>(), Err(UnknownScope));
        assert_eq!("Admin".parse::<Scope>(), Err(UnknownScope));
    }

    #[test]
    fn no_scope_implies_another() {
        for scope in Scope::ALL {
            let alone: Scopes = [scope].into_iter().collect();
            assert_eq!(alone.iter().collect::<Vec<_>>(), [scope]);
        }
    }

    #[test]
    fn a_set_is_a_json_list_of_names() {
        let scopes: Scopes = hatch_json::from_str(r#"["chat","projects:read","chat"]"#).unwrap();
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["projects:read","chat"]"#);
        assert!(scopes.contains(Scope::Chat) && !scopes.contains(Scope::ProjectsWrite));
        assert!(hatch_json::from_str::<Scopes>("[]").unwrap().is_empty());
    }

    #[test]
    fn an_unknown_scope_is_an_error_that_lists_the_known_ones() {
        let error = hatch_json::from_str::<Scopes>(r#"["chat","root"]"#).unwrap_err().to_string();
        assert!(error.contains("unknown scope") && error.contains("fleet:heartbeat"), "{error}");
    }

    #[test]
    fn a_set_covers_itself_and_less_but_not_more() {
        let small: Scopes = [Scope::Chat].into_iter().collect();
        let large: Scopes = [Scope::Chat, Scope::Admin].into_iter().collect();
        assert!(large.covers(small) && large.covers(large) && !small.covers(large));
        assert!(small.covers(Scopes::default()));
    }
}
