//! The definition of a service, in the format of Koyeb's API. Pure.

use serde_json::{Value, json};

/// The name of our service within its app.
pub(super) const SERVICE: &str = "web";
/// The environment variable by which we recognize a deployment and the app recognizes itself.
pub(super) const MARK: &str = "HATCH_DEPLOYMENT";
/// The longest name of an app: with the organisation's name it must form one DNS label.
const LONGEST_NAME: usize = 23;

/// What a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceSource<'a> {
    /// A container image, and the name of the secret with the registry's login.
    Image { image: &'a str, secret: Option<&'a str> },
    /// A branch of a repository, `github.com/owner/name`.
    Git { repository: &'a str, branch: &'a str, builder: Builder },
    /// Uploaded files.
    Archive { id: &'a str, builder: Builder },
}

/// How Koyeb builds an image from sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builder {
    /// With the Dockerfile at their root.
    Docker,
    /// With the language's own tools.
    Buildpack,
}

/// A service to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service<'a> {
    pub(crate) source: ServiceSource<'a>,
    /// The port on which the container listens for HTTP; also its `PORT`.
    pub(crate) port: u16,
    /// The mark by which we recognize its deployment.
    pub(crate) mark: &'a str,
    /// `fra`, `was`, …
    pub(crate) region: &'a str,
    /// `free`, `nano`, …
    pub(crate) instance_type: &'a str,
}

impl Service<'_> {
    pub(super) fn definition(&self) -> Value {
        let mut definition = json!({
            "name": SERVICE,
            "type": "WEB",
            "regions": [self.region],
            "instance_types": [{ "type": self.instance_type }],
            "scalings": [{ "min": 1, "max": 1 }],
            "ports": [{ "port": self.port, "protocol": "http" }],
            "routes": [{ "port": self.port, "path": "/" }],
            "env": [{ "key": "PORT", "value": self.port.to_string() }, { "key": MARK, "value": self.mark }],
        });
        let (kind, source) = self.source.field();
        if let Some(definition) = definition.as_object_mut() {
            definition.insert(kind.to_owned(), source);
        }
        definition
    }
}

impl ServiceSource<'_> {
    fn field(&self) -> (&'static str, Value) {
        match *self {
            Self::Image { image, secret: None } => ("docker", json!({ "image": image })),
            Self::Image { image, secret: Some(secret) } => {
                ("docker", json!({ "image": image, "image_registry_secret": secret }))
            }
            Self::Git { repository, branch, builder } => (
                "git",
                json!({
                    "repository": repository,
                    "branch": branch,
                    // Deployments are only started from here.
                    "no_deploy_on_push": true,
                    builder.name(): {},
                }),
            ),
            Self::Archive { id, builder } => ("archive", json!({ "id": id, builder.name(): {} })),
        }
    }
}

impl Builder {
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Buildpack => "buildpack",
        }
    }
}

/// The name of the app for a slug: short, starting with a letter, and with the slug's end that
/// makes it unique.
pub(crate) fn app_name(slug: &str) -> String {
    let (words, id) = slug.rsplit_once('-').unwrap_or(("", slug));
    let length = LONGEST_NAME.saturating_sub(id.len() + 1);
    let words: String = words.chars().skip_while(|c| !c.is_ascii_alphabetic()).take(length).collect();
    match words.trim_end_matches('-') {
        "" => format!("app-{id}"),
        words => format!("{words}-{id}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(source: ServiceSource<'_>) -> Value {
        Service { source, port: 8000, mark: "d1", region: "fra", instance_type: "free" }.definition()
    }

    #[test]
    fn a_definition_has_one_source_and_our_mark() {
        let image = service(ServiceSource::Image { image: "nginx:1", secret: Some("reg") });
        assert_eq!(image["docker"], json!({ "image": "nginx:1", "image_registry_secret": "reg" }));
        assert_eq!(image["env"][1], json!({ "key": "HATCH_DEPLOYMENT", "value": "d1" }));
        assert!(image.get("git").is_none() && image.get("archive").is_none());
        let git =
            ServiceSource::Git { repository: "github.com/o/r", branch: "main", builder: Builder::Buildpack };
        assert_eq!(service(git)["git"]["buildpack"], json!({}));
        let archive = service(ServiceSource::Archive { id: "a1", builder: Builder::Docker });
        assert_eq!(archive["archive"], json!({ "id": "a1", "docker": {} }));
    }

    #[test]
    fn a_short_name_keeps_its_unique_end() {
        assert_eq!(app_name("pomodoro-1f3a9c04"), "pomodoro-1f3a9c04");
        assert_eq!(app_name("a-very-long-name-for-an-app-1f3a9c04"), "a-very-long-na-1f3a9c04");
        assert_eq!(app_name("2048-game-1f3a9c04"), "game-1f3a9c04");
        assert_eq!(app_name("2048-1f3a9c04"), "app-1f3a9c04");
    }

    proptest! {
        #[test]
        fn every_slug_becomes_a_short_label_that_begins_with_a_letter(
            words in "([a-z0-9]{1,8}-){0,6}", id in "[0-9a-f]{8}"
        ) {
            let name = app_name(&format!("{words}{id}"));
            prop_assert!(name.len() <= LONGEST_NAME && name.ends_with(&id), "{}", name);
            prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains("--"), "{}", name);
        }
    }
}
