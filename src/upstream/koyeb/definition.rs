//! What a service on Koyeb is: its definition, as the API takes it. Pure.

use serde_json::{Value, json};

/// The name of our service within its app.
pub(super) const SERVICE: &str = "web";
/// By this variable of its environment we know a deployment again, and the
/// app knows which one it is.
pub(super) const MARK: &str = "HATCH_DEPLOYMENT";
/// The longest name of an app: with the organisation's it is one DNS label.
const LONGEST_NAME: usize = 23;

/// What a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// A container image, and the name of the secret that its registry wants.
    Image { image: &'a str, secret: Option<&'a str> },
    /// A branch of a repository, `github.com/owner/name`.
    Git { repository: &'a str, branch: &'a str, builder: Builder },
    /// Files that were uploaded before.
    Archive { id: &'a str, builder: Builder },
}

/// How Koyeb makes an image from sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builder {
    /// By the Dockerfile at their root.
    Docker,
    /// As the language's own tools do it.
    Buildpack,
}

/// A service to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service<'a> {
    pub(crate) source: Source<'a>,
    /// Where the container listens for HTTP; also its `PORT`.
    pub(crate) port: u16,
    /// By which we know its deployment again.
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

impl Source<'_> {
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
                    // What is deployed, and when, is said here.
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

/// The name of the app for a slug, which ends in what makes it its project's
/// own: short enough, and beginning with a letter.
pub(crate) fn app_name(slug: &str) -> String {
    let (words, id) = slug.rsplit_once('-').unwrap_or(("", slug));
    let room = LONGEST_NAME.saturating_sub(id.len() + 1);
    let words: String = words.chars().skip_while(|c| !c.is_ascii_alphabetic()).take(room).collect();
    match words.trim_end_matches('-') {
        "" => format!("app-{id}"),
        words => format!("{words}-{id}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(source: Source<'_>) -> Value {
        Service { source, port: 8000, mark: "d1", region: "fra", instance_type: "free" }.definition()
    }

    #[test]
    fn a_definition_has_one_source_and_our_mark() {
        let image = service(Source::Image { image: "nginx:1", secret: Some("reg") });
        assert_eq!(image["docker"], json!({ "image": "nginx:1", "image_registry_secret": "reg" }));
        assert_eq!(image["env"][1], json!({ "key": "HATCH_DEPLOYMENT", "value": "d1" }));
        assert!(image.get("git").is_none() && image.get("archive").is_none());
        let git = Source::Git { repository: "github.com/o/r", branch: "main", builder: Builder::Buildpack };
        assert_eq!(service(git)["git"]["buildpack"], json!({}));
        let archive = service(Source::Archive { id: "a1", builder: Builder::Docker });
        assert_eq!(archive["archive"], json!({ "id": "a1", "docker": {} }));
    }

    #[test]
    fn a_name_keeps_what_makes_it_its_own() {
        assert_eq!(app_name("pomodoro-1f3a9c04"), "pomodoro-1f3a9c04");
        assert_eq!(app_name("a-very-long-name-for-an-app-1f3a9c04"), "a-very-long-na-1f3a9c04");
        assert_eq!(app_name("2048-game-1f3a9c04"), "game-1f3a9c04");
        assert_eq!(app_name("2048-1f3a9c04"), "app-1f3a9c04");
    }

    proptest! {
        #[test]
        fn every_slug_gives_a_short_label_that_begins_with_a_letter(
            words in "([a-z0-9]{1,8}-){0,6}", id in "[0-9a-f]{8}"
        ) {
            let name = app_name(&format!("{words}{id}"));
            prop_assert!(name.len() <= LONGEST_NAME && name.ends_with(&id), "{}", name);
            prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains("--"), "{}", name);
        }
    }
}
