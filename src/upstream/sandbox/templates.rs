//! Templates in files of public/, outside of the Worker: V8 reads the whole Worker before its first
//! response, and only development needs the templates.

use std::collections::BTreeMap;

use worker::Env;

use crate::{error::Error, platform::fetch};

/// A directory of `templates/`, path to text, as packed by `scripts/build-templates.js`.
#[derive(Debug)]
pub(crate) struct Templates(BTreeMap<String, String>);

impl Templates {
    /// The apps of the sandbox model.
    pub(crate) const APPS: &str = "apps";
    /// A startup's application.
    pub(crate) const STARTUP: &str = "startup";
    /// The largest directory, in bytes.
    const MOST: usize = 1024 * 1024;
    const READ_MS: u64 = 10_000;

    /// # Errors
    /// [`Error::Internal`] when the file was not built.
    pub(crate) async fn read(env: &Env, directory: &str) -> Result<Self, Error> {
        let path = format!("/templates/{directory}.json");
        let wrong =
            |what: &str| Error::Internal(format!("public{path}, which scripts/build.sh makes: {what}"));
        let file = fetch::asset(env, &path).await.map_err(|failure| wrong(&format!("{failure:?}")))?;
        let text =
            file.text(Self::MOST, Self::READ_MS).await.map_err(|failure| wrong(&format!("{failure:?}")))?;
        hatch_json::from_str(&text).map(Self).map_err(|error| wrong(&error.to_string()))
    }

    /// The text of a file; empty if it does not exist.
    pub(crate) fn get(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    /// All files, by their paths.
    pub(crate) fn into_files(self) -> BTreeMap<String, String> {
        self.0
    }

    /// Reads the directory itself.
    #[cfg(test)]
    pub(crate) fn for_test(directory: &str) -> Self {
        fn add(files: &mut BTreeMap<String, String>, root: &std::path::Path, at: &std::path::Path) {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(files, root, &path);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                    files.insert(name, std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(directory);
        let mut files = BTreeMap::new();
        add(&mut files, &root, &root);
        Self(files)
    }
}
