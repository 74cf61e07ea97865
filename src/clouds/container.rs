//! Deployments that run something other than files: a container image or a git repository, and the
//! port that it listens on. Only `koyeb` runs these. Pure.

use serde::{Deserialize, Serialize};

use crate::error::Violation;

/// The default port of a container, as at Koyeb.
pub(crate) const DEFAULT_PORT: u16 = 8000;
const LONGEST_IMAGE: usize = 255;
const LONGEST_BRANCH: usize = 200;

/// The container fields of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ContainerRequest {
    pub(crate) image: Option<String>,
    pub(crate) registry_secret: Option<String>,
    pub(crate) git: Option<Git>,
    pub(crate) port: Option<u16>,
}

/// A branch of a repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Git {
    /// `https://github.com/owner/name`, with or without the scheme.
    pub(crate) repository: String,
    #[serde(default = "main")]
    pub(crate) branch: String,
    #[serde(default)]
    pub(crate) builder: Builder,
}

/// How an image is built from a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Builder {
    /// With the language's own tools.
    #[default]
    Buildpack,
    /// With the Dockerfile at the repository's root.
    Docker,
}

fn main() -> String {
    "main".to_owned()
}

/// What runs and on which port; stored with the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) source: ContainerSource,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ContainerSource {
    /// The project's files.
    Files,
    #[serde(rename_all = "camelCase")]
    Image {
        image: String,
        /// A secret in the Koyeb account with the registry's login.
        registry_secret: Option<String>,
    },
    Git(Git),
}

impl Container {
    /// `None` when the request asks only for files.
    ///
    /// # Errors
    /// Every invalid field.
    pub(crate) fn read(request: ContainerRequest) -> Result<Option<Self>, Vec<Violation>> {
        if request == ContainerRequest::default() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        let mut refuse = |pointer: &str, detail: &str| {
            wrong.push(Violation { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        let ContainerRequest { image, registry_secret, git, port } = request;
        if image.is_some() && git.is_some() {
            refuse("/git", "stands beside `image`: send one of the two");
        }
        if image.is_none() && registry_secret.is_some() {
            refuse("/registrySecret", "is the login for an `image`: send both");
        }
        if image.as_deref().is_some_and(|image| !is_image(image)) {
            refuse("/image", "must be an image's name, such as ghcr.io/owner/app:1.2");
        }
        if registry_secret.as_deref().is_some_and(|secret| !is_label(secret)) {
            refuse("/registrySecret", "must be the name of a secret at Koyeb");
        }
        if git.as_ref().is_some_and(|git| repository(&git.repository).is_none()) {
            refuse("/git/repository", "must be a repository such as github.com/owner/name");
        }
        if git.as_ref().is_some_and(|git| !is_branch(&git.branch)) {
            refuse("/git/branch", "must be the name of a branch");
        }
        if port == Some(0) {
            refuse("/port", "must be from 1 to 65535");
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let source = match (image, git) {
            (Some(image), _) => ContainerSource::Image { image, registry_secret },
            (None, Some(git)) => ContainerSource::Git(Git {
                repository: repository(&git.repository).unwrap_or_default(),
                ..git
            }),
            (None, None) => ContainerSource::Files,
        };
        Ok(Some(Self { source, port: port.unwrap_or(DEFAULT_PORT) }))
    }

    /// Whether the project's files run.
    pub(crate) fn is_of_files(&self) -> bool {
        self.source == ContainerSource::Files
    }
}

/// `[registry/]path[:tag][@digest]`, without a scheme.
fn is_image(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && !part.ends_with(['.', '-', ':', '@'])
    };
    text.len() <= LONGEST_IMAGE
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
        && text.split('/').all(is_part)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn is_branch(text: &str) -> bool {
    (1..=LONGEST_BRANCH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
        && !text.starts_with(['-', '/', '.'])
        && !text.contains("..")
        && !text.ends_with(['/', '.'])
}

/// `github.com/owner/name` from a repository's URL.
fn repository(text: &str) -> Option<String> {
    let path = text.strip_prefix("https://").unwrap_or(text).strip_prefix("github.com/")?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    let is_owner = (1..=39).contains(&owner.len())
        && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !owner.starts_with('-');
    let is_name = (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !matches!(name, "." | "..");
    (is_owner && is_name).then(|| format!("github.com/{owner}/{name}"))
}

/// An image in Amazon's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EcrImage<'a> {
    /// `123456789012.dkr.ecr.us-east-1.amazonaws.com`
    pub(crate) registry: &'a str,
    /// The name without a tag.
    pub(crate) repository: &'a str,
}

/// Parses an image of Amazon's registry; `None` for other registries.
pub(crate) fn in_ecr(image: &str) -> Option<EcrImage<'_>> {
    let (registry, rest) = image.split_once('/')?;
    let (account, host) = registry.split_once('.')?;
    let is_registry = account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && host.starts_with("dkr.ecr.")
        && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"));
    let repository = rest.split(['@', ':']).next().unwrap_or(rest);
    is_registry.then_some(EcrImage { registry, repository })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn git(repository: &str, branch: &str) -> Git {
        Git { repository: repository.to_owned(), branch: branch.to_owned(), builder: Builder::Buildpack }
    }

    fn image_request(image: &str) -> ContainerRequest {
        ContainerRequest { image: Some(image.to_owned()), ..ContainerRequest::default() }
    }

    fn pointers(request: ContainerRequest) -> Vec<String> {
        Container::read(request).unwrap_err().into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn images_and_repositories_are_read_in_their_usual_forms() {
        for image in ["nginx", "nginx:1-alpine", "ghcr.io/o/app:1.2", "localhost:5000/a/b@sha256:0123abcd"] {
            assert!(Container::read(image_request(image)).is_ok(), "{image}");
        }
        for text in ["https://github.com/o/r.git", "github.com/o/r", "https://github.com/o/r/"] {
            assert_eq!(repository(text).as_deref(), Some("github.com/o/r"), "{text}");
        }
    }

    #[test]
    fn every_invalid_field_is_named() {
        for image in ["", "https://x/y", "a b", "a//b", "-x", "a/..", "x:", "a;rm -rf"] {
            assert_eq!(pointers(image_request(image)), ["/image"], "{image}");
        }
        for repository in [
            "",
            "gitlab.com/o/r",
            "http://github.com/o/r",
            "github.com/o",
            "github.com/o/r/tree/main",
            "github.com/../r",
        ] {
            let request =
                ContainerRequest { git: Some(git(repository, "main")), ..ContainerRequest::default() };
            assert_eq!(pointers(request), ["/git/repository"], "{repository}");
        }
        for branch in ["", "-x", "a..b", "a b", "/x", "x/"] {
            let request =
                ContainerRequest { git: Some(git("github.com/o/r", branch)), ..ContainerRequest::default() };
            assert_eq!(pointers(request), ["/git/branch"], "{branch}");
        }
        let both = ContainerRequest {
            git: Some(git("github.com/o/r", "main")),
            port: Some(0),
            ..image_request("nginx")
        };
        assert_eq!(pointers(both), ["/git", "/port"]);
        let secret =
            ContainerRequest { registry_secret: Some("login".to_owned()), ..ContainerRequest::default() };
        assert_eq!(pointers(secret), ["/registrySecret"]);
    }

    #[test]
    fn an_empty_request_needs_no_container() {
        assert_eq!(Container::read(ContainerRequest::default()).unwrap(), None);
        let files = Container::read(ContainerRequest { port: Some(3000), ..ContainerRequest::default() })
            .unwrap()
            .unwrap();
        assert!(files.is_of_files() && files.port == 3000);
    }

    #[test]
    fn an_image_of_ecr_is_recognized_by_its_host() {
        let image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/u/app:1";
        let ecr = in_ecr(image).unwrap();
        assert_eq!((ecr.registry, ecr.repository), ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "u/app"));
        for image in
            ["nginx", "ghcr.io/o/app:1", "123.dkr.ecr.x.amazonaws.com/a", "123456789012.dkr.ecr.evil.com/a"]
        {
            assert_eq!(in_ecr(image), None, "{image}");
        }
    }

    proptest! {
        #[test]
        fn a_stored_container_is_read_back(image in "[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}(:[a-z0-9]{1,4})?", port in 1_u16..) {
            let container = Container::read(ContainerRequest { port: Some(port), ..image_request(&image) }).unwrap().unwrap();
            let stored = serde_json::to_string(&container).unwrap();
            prop_assert_eq!(hatch_json::from_str::<Container>(&stored).unwrap(), container);
        }
    }
}
