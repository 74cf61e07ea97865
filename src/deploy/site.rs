//! The files of a hosted app, and its slug.

use hatch_code::CodeMap;
use serde::Serialize;
use worker::Env;

use super::reach;
use crate::{
    clouds::deployment,
    error::Error,
    http::conditional,
    upstream::compiler::{self, Packages},
};

/// A file as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) content: String,
    /// The entity tag of the content, with its quotes.
    etag: String,
}

/// A project's files as they are served, and notes for the owner.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) files: Vec<File>,
    pub(super) notes: Vec<String>,
}

/// Builds a site from a project's code: a static one stays as it is, TypeScript and JSX are
/// compiled.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be reached. The inner error describes faults in the
/// code for its owner: its first line is the summary, further lines are for the log.
pub(super) async fn build(code: &str, packages: Packages, env: &Env) -> Result<Result<Built, String>, Error> {
    let code = match CodeMap::stored(code) {
        Ok(code) => code,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let built = compiler::compile(&code, packages, env).await?;
    let checked = built.and_then(|site| reach::check(&site).map(|note| (site, note)));
    Ok(checked.map_err(|failed| failed.reason()).map(|(site, note)| Built {
        files: site.files.iter().map(|(path, content)| file(path, content)).collect(),
        notes: site.notes.into_iter().chain(note).collect(),
    }))
}

/// The unchanged files of a project with a manifest, which the cloud builds itself; for other
/// projects, [`build`].
///
/// # Errors
/// As [`build`].
pub(super) async fn sources_or_build(
    code: &str,
    packages: Packages,
    is_manifest: fn(&str) -> bool,
    env: &Env,
) -> Result<Result<Built, String>, Error> {
    match CodeMap::stored(code) {
        Ok(sources) if sources.iter().any(|(path, _)| is_manifest(path)) => {
            let files = sources.iter().map(|(path, content)| file(path, content)).collect();
            Ok(Ok(Built { files, notes: Vec::new() }))
        }
        _ => build(code, packages, env).await,
    }
}

fn file(path: &str, content: &str) -> File {
    let etag = conditional::etag_of(content.as_bytes());
    File { path: path.to_owned(), content: content.to_owned(), etag }
}

/// The slug in a host name under the hosting domain.
pub(super) fn slug_of_host<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let (name, _) = deployment::split_port(host);
    let slug = name.strip_suffix(domain)?.strip_suffix('.')?;
    let is_label = !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_label.then_some(slug)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_label_under_the_domain_is_a_slug() {
        assert_eq!(slug_of_host("x.localhost:8787", "localhost"), Some("x"));
        for host in ["localhost:8787", "a.b.localhost", "xlocalhost", ".localhost", "x.localhost.evil.com"] {
            assert_eq!(slug_of_host(host, "localhost"), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_a_dns_label(name in ".{0,200}", id in "[0-9a-f]{8}-[0-9a-f]{4}") {
            let slug = deployment::slug(&name, &id);
            prop_assert!(slug.len() <= 63 && !slug.starts_with('-') && !slug.ends_with('-'));
            let host = format!("{slug}.localhost");
            prop_assert_eq!(slug_of_host(&host, "localhost"), Some(slug.as_str()));
        }
    }
}
