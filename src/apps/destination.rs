//! Reads from a message's settings where an app goes live after a turn. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clouds::{
        Cloud,
        container::{Container, ContainerRequest, Git},
    },
    error::Error,
};

const EDGE: &str = "edge";
/// The only target that also runs images and repositories.
const KOYEB: &str = "koyeb";

/// The target, and what runs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) target: String,
    /// None: the app's files.
    pub(super) runs: Option<Runs>,
}

/// What runs at Koyeb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Runs {
    from: Origin,
    image: Option<String>,
    registry_secret: Option<String>,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Files,
    Repository,
    Image,
}

impl Destination {
    /// None if the settings name no target.
    ///
    /// # Errors
    /// A violation for the setting that is wrong.
    pub(super) fn of(settings: &Map<String, Value>) -> Result<Option<Self>, Error> {
        let member = |name: &str| settings.get(name).filter(|value| !value.is_null());
        let text = |name: &'static str| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name, "must be text")),
        };
        let target = match text("deployTarget")? {
            Some(name) if name == EDGE || Cloud::parse(&name).is_some() => Some(name),
            Some(_) => {
                return Err(wrong("deployTarget", "must be `edge`, `cloudflare`, `vercel` or `koyeb`"));
            }
            None => None,
        };
        let (image, registry_secret) = (text("image")?, text("registrySecret")?);
        let from = match (text("deployFrom")?.as_deref(), &image) {
            (None | Some("image"), Some(_)) => Origin::Image,
            (Some("image"), None) => {
                return Err(wrong("image", "is required, because `deployFrom` is `image`"));
            }
            (Some("repository"), None) => Origin::Repository,
            (None | Some("files"), None) => Origin::Files,
            (Some("files" | "repository"), Some(_)) => {
                return Err(wrong("image", "must be left out unless `deployFrom` is `image`"));
            }
            (Some(_), _) => return Err(wrong("deployFrom", "must be `files`, `repository` or `image`")),
        };
        let port = member("port").map(port).transpose()?;
        let runs = Runs { from, image, registry_secret, port };
        let runs = (runs != Runs::FILES).then_some(runs);
        if let Some(runs) = &runs {
            runs.check(target.as_deref())?;
        }
        Ok(target.map(|target| Self { target, runs }))
    }
}

fn port(value: &Value) -> Result<u16, Error> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    port.ok_or_else(|| wrong("port", "must be from 1 to 65535"))
}

fn wrong(name: &str, detail: &str) -> Error {
    Error::invalid(format!("/settings/{name}"), detail)
}

impl Runs {
    const FILES: Self = Self { from: Origin::Files, image: None, registry_secret: None, port: None };

    fn check(&self, target: Option<&str>) -> Result<(), Error> {
        if target != Some(KOYEB) {
            let words = "must be `koyeb`, the only target that runs an image, a repository or a port";
            return Err(wrong("deployTarget", words));
        }
        self.to_container(None).map(drop)
    }

    /// The container to deploy. `repository` is the app's repository if it has the app's newest version.
    ///
    /// # Errors
    /// [`Error::Refused`] if the repository is to be deployed and does not have that version.
    pub(super) fn container(&self, repository: Option<Git>) -> Result<Option<Container>, Error> {
        match self.from {
            Origin::Repository => self.to_container(Some(repository.ok_or_else(not_in_repository)?)),
            Origin::Files | Origin::Image => self.to_container(None),
        }
    }

    fn to_container(&self, git: Option<Git>) -> Result<Option<Container>, Error> {
        let Self { image, registry_secret, port, .. } = self.clone();
        Container::read(ContainerRequest { image, registry_secret, git, port }).map_err(|mut violations| {
            for violation in &mut violations {
                violation.pointer.insert_str(0, "/settings");
            }
            Error::Invalid(violations)
        })
    }
}

fn not_in_repository() -> Error {
    Error::Refused {
        code: "not_in_repository",
        detail: "The app is deployed from its repository, which does not have this version yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clouds::container::ContainerSource;

    fn of(settings: &Value) -> Result<Option<Destination>, Error> {
        Destination::of(settings.as_object().unwrap())
    }

    fn pointer(settings: &Value) -> String {
        match of(settings) {
            Err(Error::Invalid(violations)) => violations[0].pointer.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn settings_name_the_target_and_what_runs_there() {
        assert_eq!(of(&json!({ "more": 1, "deployTarget": null })).unwrap(), None);
        let edge = of(&json!({ "deployTarget": "edge", "deployFrom": "files" })).unwrap().unwrap();
        assert_eq!((edge.target.as_str(), edge.runs), ("edge", None));
        let image =
            of(&json!({ "deployTarget": "koyeb", "image": "ghcr.io/o/a:1", "port": 80 })).unwrap().unwrap();
        let container = image.runs.unwrap().container(None).unwrap().unwrap();
        assert_eq!(
            container,
            Container {
                source: ContainerSource::Image { image: "ghcr.io/o/a:1".to_owned(), registry_secret: None },
                port: 80
            }
        );
    }

    #[test]
    fn a_repository_is_deployed_only_if_it_has_the_version() {
        let wanted = of(&json!({ "deployTarget": "koyeb", "deployFrom": "repository" })).unwrap().unwrap();
        let runs = wanted.runs.unwrap();
        let git: Git = serde_json::from_value(json!({ "repository": "github.com/ada/timer" })).unwrap();
        let container = runs.container(Some(git.clone())).unwrap().unwrap();
        assert_eq!(container.source, ContainerSource::Git(git));
        assert!(matches!(runs.container(None), Err(Error::Refused { code: "not_in_repository", .. })));
    }

    #[test]
    fn a_wrong_setting_is_named_in_the_error() {
        for (settings, expected) in [
            (json!({ "deployTarget": "moon" }), "/settings/deployTarget"),
            (json!({ "deployTarget": 1 }), "/settings/deployTarget"),
            (json!({ "deployTarget": "edge", "image": "nginx" }), "/settings/deployTarget"),
            (json!({ "port": 80 }), "/settings/deployTarget"),
            (json!({ "deployTarget": "koyeb", "deployFrom": "image" }), "/settings/image"),
            (
                json!({ "deployTarget": "koyeb", "deployFrom": "repository", "image": "nginx" }),
                "/settings/image",
            ),
            (json!({ "deployTarget": "koyeb", "image": "https://x" }), "/settings/image"),
            (json!({ "deployTarget": "koyeb", "deployFrom": "moon" }), "/settings/deployFrom"),
            (json!({ "deployTarget": "koyeb", "registrySecret": "x" }), "/settings/registrySecret"),
            (json!({ "deployTarget": "koyeb", "port": 0 }), "/settings/port"),
            (json!({ "deployTarget": "koyeb", "port": 65_536 }), "/settings/port"),
            (json!({ "deployTarget": "koyeb", "port": "80" }), "/settings/port"),
        ] {
            assert_eq!(pointer(&settings), expected, "{settings}");
        }
    }
}
