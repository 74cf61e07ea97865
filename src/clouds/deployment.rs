//! The start of a deployment, for every module that deploys: its row, its job, and the app's slug
//! and URL. The deploy module does the work.

use super::CredentialSource;
use crate::{
    jobs,
    store::{Statement, sql},
};

/// The kind of job behind a deployment, and its first step.
pub(crate) const JOB: &str = "deploy";
pub(crate) const FIRST_STEP: &str = "build";

/// A new deployment.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) id: String,
    pub(crate) project_id: String,
    pub(crate) user: String,
    /// `edge`, or the name of a cloud.
    pub(crate) target: &'static str,
    pub(crate) slug: String,
    pub(crate) url: String,
    pub(crate) cloud: Option<AtCloud>,
    /// A [`super::Container`] as JSON.
    pub(crate) container: Option<String>,
    /// Whether packages are bundled into the app.
    pub(crate) is_bundled: bool,
}

/// How a deployment to a cloud is authorized.
#[derive(Debug)]
pub(crate) struct AtCloud {
    pub(crate) place: String,
    pub(crate) source: CredentialSource,
    /// The sealed credentials from the request's headers.
    pub(crate) sealed: Option<String>,
}

impl New {
    /// Inserts the deployment; returns a row if the project exists.
    pub(crate) fn create(&self, code: &str, now: i64) -> Statement {
        sql!(
            "INSERT INTO deployments (id, project_id, user_id, target, code, slug, site_url,
               place, credential_source, credential_sealed, container, is_bundled, created_at, updated_at)
             SELECT ?1, id, user_id, ?8, ?4, ?5, ?6, ?9, ?10, ?11, ?12, ?13, ?7, ?7 FROM projects WHERE id = ?2 AND user_id = ?3
             RETURNING json_object('id', id) AS json",
            self.id.as_str(),
            self.project_id.as_str(),
            self.user.as_str(),
            code,
            self.slug.as_str(),
            self.url.as_str(),
            now,
            self.target,
            self.cloud.as_ref().map(|cloud| cloud.place.as_str()),
            self.cloud.as_ref().map(|cloud| cloud.source.name()),
            self.cloud.as_ref().and_then(|cloud| cloud.sealed.as_deref()),
            self.container.as_deref(),
            i64::from(self.is_bundled)
        )
    }

    /// The deployment's job, for the same batch.
    pub(crate) fn job(&self, job_id: &str, trace_id: &str, now: i64) -> [Statement; 2] {
        jobs::store::create(job_id, &self.user, JOB, &self.id, FIRST_STEP, trace_id, now)
    }
}

/// A DNS label for a project: its name, and enough of its id to be unique.
pub(crate) fn slug(name: &str, project_id: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
        if words.len() >= 40 {
            break;
        }
    }
    let id: String = project_id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    match words.trim_end_matches('-') {
        "" => format!("app-{id}"),
        words => format!("{words}-{id}"),
    }
}

/// The URL of the app `slug`, for a client that called us at `origin`.
///
/// With a hosting domain every app has its own origin. `localhost` only works for clients on this
/// machine.
pub(crate) fn url(domain: Option<&str>, origin: &str, slug: &str) -> String {
    let (scheme, host) = origin.split_once("://").unwrap_or(("https", origin));
    let (name, port) = split_port(host);
    match domain {
        Some("localhost") if is_this_machine(name) => format!("{scheme}://{slug}.localhost{port}/"),
        None | Some("localhost") => format!("{origin}/p/{slug}/"),
        Some(domain) => format!("https://{slug}.{domain}/"),
    }
}

/// Splits `host:port` into `host` and `:port`.
pub(crate) fn split_port(host: &str) -> (&str, &str) {
    let port =
        host.rfind(':').filter(|colon| !host.ends_with(']') && host.rfind(']').is_none_or(|b| b < *colon));
    port.and_then(|colon| host.split_at_checked(colon)).unwrap_or((host, ""))
}

fn is_this_machine(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_its_own_origin_where_it_can() {
        assert_eq!(url(Some("localhost"), "http://localhost:8787", "x"), "http://x.localhost:8787/");
        assert_eq!(url(Some("localhost"), "http://[::1]:8787", "x"), "http://x.localhost:8787/");
        assert_eq!(url(Some("localhost"), "http://10.0.0.7:8787", "x"), "http://10.0.0.7:8787/p/x/");
        assert_eq!(url(Some("hatch.app"), "https://api.hatch.sh", "x"), "https://x.hatch.app/");
        assert_eq!(url(None, "https://api.hatch.sh", "x"), "https://api.hatch.sh/p/x/");
    }
}
