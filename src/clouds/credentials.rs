//! Finds the credentials for a cloud: those in the request's headers, otherwise those that the user
//! has stored, otherwise the operator's.
//!
//! At rest, credentials are sealed to their user and cloud: a row that is moved to another user
//! cannot be opened.

use super::{
    CLOUDS, Cloud,
    description::OwnAccount,
    resolved::{CredentialSource, Credentials, ResolvedCredentials},
    store,
    store::App,
};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Violation},
    platform::request::InboundRequest,
    settings::Settings,
    store::{Database, sealing, sealing_key},
};

/// The prefix of the place of a token that names no account.
const TOKEN_PLACE: &str = "token-";
const LONGEST_TOKEN: usize = 500;

/// Validates credentials from headers, a body or the settings.
pub(crate) fn checked(
    cloud: Cloud,
    token: String,
    account: Option<String>,
    named: (&str, &str),
) -> Result<Credentials, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut wrong = |pointer: &str, detail: &str| {
        violations.push(Violation { pointer: pointer.to_owned(), detail: detail.to_owned() });
    };
    let (token_name, account_name) = named;
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        wrong(token_name, "must be the token alone: 1 to 500 visible characters");
    }
    match (&account, &cloud.account) {
        (Some(account), Some(named)) if !(named.is_good)(account) => {
            wrong(account_name, &format!("must be {}", named.expected));
        }
        (None, Some(named)) if named.is_required => wrong(account_name, "is needed beside the token"),
        (Some(_), None) => {
            wrong(account_name, &format!("is not known here: a token of {} says all", cloud.title));
        }
        _ => {}
    }
    if violations.is_empty() { Ok(Credentials { token, account }) } else { Err(violations) }
}

/// The credentials in a request's headers.
///
/// # Errors
/// 400 naming a header that is invalid, or that is missing beside another.
pub(crate) fn of_headers(
    cloud: Cloud,
    header: impl Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, Error> {
    let account_header = cloud.account.as_ref().map_or("", |account| account.header);
    let account = cloud.account.as_ref().and_then(|account| header(account.header));
    match (header(cloud.token_header), account) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(Error::invalid(cloud.token_header, format!("is needed beside {account_header}")))
        }
        (Some(token), account) => {
            let named = (cloud.token_header, account_header);
            checked(cloud, token, account, named).map(Some).map_err(Error::Invalid)
        }
    }
}

/// Checks the credential headers of all clouds, whether the request needs them or not.
///
/// # Errors
/// As [`of_headers`].
pub(crate) fn check_headers(request: &InboundRequest) -> Result<(), Error> {
    CLOUDS.iter().try_for_each(|cloud| of_headers(*cloud, |name| request.header(name)).map(drop))
}

/// The operator's credentials.
fn own(cloud: Cloud, settings: &Settings) -> Result<Option<Credentials>, Error> {
    let OwnAccount { token, account } = (cloud.own)(settings)?;
    Ok(token.and_then(|token| checked(cloud, token, account, ("", "")).ok()))
}

/// The credentials with which a request of `user` may act at a cloud.
///
/// # Errors
/// 400 for an invalid header; 503 naming the variables when there are no credentials.
pub(crate) async fn find(
    cloud: Cloud,
    user: &str,
    header: impl Fn(&str) -> Option<String>,
    settings: &Settings,
    database: &Database,
) -> Result<ResolvedCredentials, Error> {
    let resolved = |credentials, source| ResolvedCredentials { credentials, source };
    if let Some(credentials) = of_headers(cloud, header)? {
        return Ok(resolved(credentials, CredentialSource::Header));
    }
    if let Some(sealed) = database.query(store::sealed(user, cloud)).await?.first::<String>()? {
        return Ok(resolved(open(cloud, user, &sealed, settings)?, CredentialSource::Stored));
    }
    own(cloud, settings)?.map(|own| resolved(own, CredentialSource::Own)).ok_or_else(|| missing(cloud))
}

/// [`find`] for an existing app: the credentials for the account that contains it, if there are
/// any.
///
/// # Errors
/// 400 for an invalid header.
pub(crate) async fn find_for(
    app: &App,
    user: &str,
    header: impl Fn(&str) -> Option<String>,
    settings: &Settings,
    database: &Database,
) -> Result<Option<ResolvedCredentials>, Error> {
    let cloud = app.cloud;
    let sealed = database.query(store::sealed(user, cloud)).await?.first::<String>()?;
    let stored = sealed.and_then(|sealed| open(cloud, user, &sealed, settings).ok());
    let given = [
        (of_headers(cloud, header)?, CredentialSource::Header),
        (stored, CredentialSource::Stored),
        (own(cloud, settings)?, CredentialSource::Own),
    ];
    let candidates: Vec<ResolvedCredentials> = given
        .into_iter()
        .filter_map(|(credentials, source)| Some(ResolvedCredentials { credentials: credentials?, source }))
        .filter(|found| app.source.is_none_or(|source| source.is_same_owner(found.source)))
        .collect();
    for found in &candidates {
        if found.place(cloud, settings)? == app.place {
            return Ok(Some(found.clone()));
        }
    }
    for found in candidates {
        if has_replaced(&found, app, settings).await {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether these credentials are a new token for the app's account. The cloud must confirm it,
/// because a token alone does not name its account.
async fn has_replaced(resolved: &ResolvedCredentials, app: &App, settings: &Settings) -> bool {
    let is_by_token = resolved.credentials.account.is_none() && app.place.starts_with(TOKEN_PLACE);
    is_by_token
        && app.source.is_some_and(|source| source.is_same_owner(resolved.source))
        && (app.cloud.has)(&resolved.credentials, &app.name, &app.deployment_id, settings)
            .await
            .unwrap_or(false)
}

/// Whether credentials that were found for `app` still reach it: the operator may have switched to
/// another account.
pub(crate) async fn still_reach(resolved: &ResolvedCredentials, app: &App, settings: &Settings) -> bool {
    resolved.source != CredentialSource::Own
        || resolved.place(app.cloud, settings).is_ok_and(|place| place == app.place)
        || has_replaced(resolved, app, settings).await
}

/// Restores, when a job runs, the credentials that were found when the job was created. `sealed`
/// comes from [`ResolvedCredentials::sealed`].
///
/// # Errors
/// [`Error::Refused`] when they are gone.
pub(crate) fn restore(
    cloud: Cloud,
    user: &str,
    source: CredentialSource,
    sealed: Option<&str>,
    settings: &Settings,
) -> Result<ResolvedCredentials, Error> {
    let credentials = match source {
        CredentialSource::Header | CredentialSource::Stored => {
            let opened = sealed.and_then(|sealed| open(cloud, user, sealed, settings).ok());
            opened.ok_or_else(|| gone(cloud))?
        }
        CredentialSource::Own => own(cloud, settings)?.ok_or_else(|| missing(cloud))?,
    };
    Ok(ResolvedCredentials { credentials, source })
}

/// The credentials of a job are gone or can no longer be decrypted.
pub(crate) fn gone(cloud: Cloud) -> Error {
    Error::Refused {
        code: "credentials_gone",
        detail: format!("The credentials for {} that this began with are gone; begin again", cloud.title),
    }
}

impl ResolvedCredentials {
    /// The name of the account at the cloud: an app that is live in one account is not in another.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] for an invalid variable of the cloud.
    pub(crate) fn place(&self, cloud: Cloud, settings: &Settings) -> Result<String, Error> {
        let namespace = match self.source {
            CredentialSource::Own => (cloud.namespace)(settings)?,
            CredentialSource::Header | CredentialSource::Stored => None,
        };
        Ok(match (&self.credentials.account, namespace) {
            (Some(account), Some(namespace)) => format!("{account}/{namespace}"),
            (Some(account), None) => account.clone(),
            // Nothing names the account of this token, so the token's digest does.
            (None, _) => {
                let digest = Sha256::digest(self.credentials.token.as_bytes());
                let digest = base16ct::lower::encode_string(digest.get(..8).unwrap_or_default());
                format!("{TOKEN_PLACE}{digest}")
            }
        })
    }

    /// What a job needs to [`restore`] the credentials; `None` for the operator's.
    pub(crate) fn sealed(
        &self,
        cloud: Cloud,
        user: &str,
        settings: &Settings,
    ) -> Result<Option<String>, Error> {
        match self.source {
            CredentialSource::Header | CredentialSource::Stored => {
                seal(cloud, user, &self.credentials, settings).map(Some)
            }
            CredentialSource::Own => Ok(None),
        }
    }
}

/// Seals credentials to their user and cloud.
pub(crate) fn seal(
    cloud: Cloud,
    user: &str,
    credentials: &Credentials,
    settings: &Settings,
) -> Result<String, Error> {
    let text = serde_json::to_string(credentials).map_err(|e| Error::Internal(e.to_string()))?;
    sealing::seal(sealing_key(settings)?, &place_of(cloud, user), &text)
}

fn open(cloud: Cloud, user: &str, sealed: &str, settings: &Settings) -> Result<Credentials, Error> {
    let text = sealing::open(sealing_key(settings)?, &place_of(cloud, user), sealed)?;
    hatch_json::from_str(&text).map_err(|_| Error::Internal("sealed credentials are not ours".to_owned()))
}

fn place_of(cloud: Cloud, user: &str) -> String {
    format!("cloud_credentials/{user}/{}", cloud.name)
}

fn missing(cloud: Cloud) -> Error {
    let with = |name: &str, account: Option<&str>| match account {
        Some(account) => format!("{name} and {account}"),
        None => name.to_owned(),
    };
    let required = cloud.account.as_ref().filter(|account| account.is_required);
    let variables = with(cloud.token_variable, required.map(|account| account.variable));
    let headers = with(cloud.token_header, required.map(|account| account.header));
    Error::NotConfigured {
        variable: cloud.token_variable,
        detail: format!(
            "Send {headers}, store credentials of your own (PUT /auth/credentials/{}), or set {variables} for all",
            cloud.name
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

    fn cloud(name: &str) -> Cloud {
        Cloud::parse(name).unwrap()
    }

    fn headers(cloud: Cloud, given: &[(&str, &str)]) -> Result<Option<Credentials>, Error> {
        of_headers(cloud, |name| given.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn settings(vars: &[(&str, &str)]) -> Settings {
        Settings::for_test(&[vars, &[("ENVIRONMENT", "development")]].concat())
    }

    #[test]
    fn headers_are_accepted_together_or_refused_by_name() {
        let (token, account) = ("X-Cloudflare-Api-Token", "X-Cloudflare-Account-Id");
        assert_eq!(headers(cloud("cloudflare"), &[]), Ok(None));
        let both = headers(cloud("cloudflare"), &[(token, "t"), (account, ACCOUNT)]).unwrap().unwrap();
        assert_eq!((both.token.as_str(), both.account.as_deref()), ("t", Some(ACCOUNT)));
        for (given, named) in [
            (vec![(token, "t")], account),
            (vec![(account, ACCOUNT)], token),
            (vec![(token, "t"), (account, "../x")], account),
            (vec![(token, "two words"), (account, ACCOUNT)], token),
        ] {
            let Err(Error::Invalid(violations)) = headers(cloud("cloudflare"), &given) else {
                panic!("{given:?}")
            };
            assert_eq!(violations[0].pointer, named);
        }
        assert!(headers(cloud("vercel"), &[("X-Vercel-Token", "t")]).unwrap().is_some());
        assert!(headers(cloud("vercel"), &[("X-Vercel-Team", "t")]).is_err());
    }

    #[test]
    fn sealed_credentials_are_their_users_and_clouds_alone() {
        let settings = settings(&[]);
        let credentials = Credentials { token: "secret".to_owned(), account: None };
        assert!(!format!("{credentials:?}").contains("secret"));
        // Encoded by hand, because random bytes come from the platform.
        let text = serde_json::to_string(&credentials).unwrap();
        assert!(hatch_json::from_str::<Credentials>(&text).unwrap() == credentials);
        assert!(open(cloud("koyeb"), "u", "v1.AAAA", &settings).is_err());
        assert_ne!(place_of(cloud("koyeb"), "u"), place_of(cloud("vercel"), "u"));
        assert_ne!(place_of(cloud("koyeb"), "u"), place_of(cloud("koyeb"), "v"));
    }

    #[test]
    fn credentials_that_a_job_cannot_decrypt_are_reported_as_gone() {
        for sealed in [None, Some("v1.AAAA")] {
            let restored = restore(cloud("koyeb"), "u", CredentialSource::Header, sealed, &settings(&[]));
            let Err(Error::Refused { code, detail }) = restored else { panic!("{sealed:?}") };
            assert_eq!(code, "credentials_gone");
            assert!(detail.ends_with("begin again"), "{detail}");
        }
    }

    #[test]
    fn an_app_deployed_with_user_credentials_is_removed_with_user_credentials() {
        let users = [CredentialSource::Header, CredentialSource::Stored];
        for (one, other) in
            [(users[0], users[1]), (users[1], users[0]), (CredentialSource::Own, CredentialSource::Own)]
        {
            assert!(one.is_same_owner(other));
        }
        for user in users {
            assert!(!user.is_same_owner(CredentialSource::Own) && !CredentialSource::Own.is_same_owner(user));
        }
    }

    #[test]
    fn only_the_operators_account_uses_the_namespace() {
        let settings = settings(&[("CLOUDFLARE_DISPATCH_NAMESPACE", "apps")]);
        let credentials = Credentials { token: "t".to_owned(), account: Some(ACCOUNT.to_owned()) };
        let place = |source| {
            ResolvedCredentials { credentials: credentials.clone(), source }
                .place(cloud("cloudflare"), &settings)
                .unwrap()
        };
        assert_eq!(place(CredentialSource::Own), format!("{ACCOUNT}/apps"));
        assert_eq!(place(CredentialSource::Header), ACCOUNT);
    }

    #[test]
    fn without_credentials_the_variables_and_headers_are_named() {
        let message = missing(cloud("cloudflare")).detail();
        for name in [
            "X-Cloudflare-Api-Token",
            "X-Cloudflare-Account-Id",
            "CLOUDFLARE_API_TOKEN",
            "CLOUDFLARE_ACCOUNT_ID",
        ] {
            assert!(message.contains(name), "{message}");
        }
        assert_eq!(own(cloud("vercel"), &settings(&[("VERCEL_TOKEN", "t")])).unwrap().unwrap().account, None);
        assert_eq!(own(cloud("cloudflare"), &settings(&[("CLOUDFLARE_API_TOKEN", "t")])), Ok(None));
    }
}
