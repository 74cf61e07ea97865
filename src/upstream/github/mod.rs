//! GitHub's REST API (docs.github.com/rest, version 2022-11-28): repositories, and commits of many
//! files through trees.

mod installation;
mod settings;

pub(crate) use installation::Purpose;
pub(crate) use settings::{ConnectedAccounts, GitHub, SETTINGS};

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hatch_code::composed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use worker::Method;

use super::cloud_api::{ApiResponse, Provider, busy, rejected, segment, unauthorized};
use crate::{
    error::{Error, UpstreamKind},
    platform::fetch::OutboundRequest,
};

const VERSION: &str = "2022-11-28";
/// GitHub refuses requests without a user agent.
const AGENT: &str = "Hatch";
/// How often a commit is rebuilt when another client has pushed meanwhile.
const RACES: u32 = 3;
/// The pause that GitHub asks for when it does not send one.
const PAUSE_S: i64 = 60;

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Repo {
    pub(crate) name: String,
    pub(crate) owner: Owner,
    pub(crate) html_url: String,
    pub(crate) default_branch: String,
    pub(crate) description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Owner {
    pub(crate) login: String,
}

/// The change of a file in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileChange {
    Text(String),
    /// Base64.
    Binary(String),
    Deleted,
}

/// The changes of a commit, path to the file's change.
pub(crate) type Changes = BTreeMap<String, FileChange>;

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    pub(crate) sha: String,
    pub(crate) size: Option<u64>,
}

impl Entry {
    /// Whether it is a regular file, not a folder, link or submodule.
    pub(crate) fn is_file(&self) -> bool {
        self.kind == "blob" && self.mode != "120000"
    }
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct CommitObject {
    tree: Object,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
}

#[derive(Debug, Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Failure {
    fn words(&self) -> String {
        let details = self.errors.iter().filter_map(|error| error.get("message").and_then(Value::as_str));
        std::iter::once(self.message.as_str()).chain(details).collect::<Vec<_>>().join(": ")
    }
}

/// The properties of a new repository.
#[derive(Debug, Serialize)]
pub(crate) struct NewRepo<'a> {
    pub(crate) name: &'a str,
    pub(crate) private: bool,
    pub(crate) description: &'a str,
    /// Whether it starts with a commit: an empty repository accepts no trees.
    pub(crate) auto_init: bool,
}

/// A client with a user's token.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(crate) github: &'a GitHub,
    pub(crate) token: &'a str,
}

/// A branch's newest commit, and its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) sha: String,
    tree: String,
}

impl Client<'_> {
    fn provider(&self) -> Provider<'_> {
        Provider { name: "GitHub", secret: self.token, timeout_ms: self.github.timeout_ms }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<ApiResponse, Error> {
        let request = OutboundRequest::new(method, format!("{}{path}", self.github.base_url))
            .with("authorization", format!("Bearer {}", self.token))
            .with("accept", "application/vnd.github+json")
            .with("x-github-api-version", VERSION)
            .with("user-agent", AGENT);
        let request = match body {
            Some(body) => request.carrying("application/json", body.to_string()),
            None => request,
        };
        self.provider().call(request).await
    }

    /// The error for an unexpected response.
    fn error_for(&self, answer: &ApiResponse) -> Error {
        let words = answer.parsed::<Failure>().map(|failure| failure.words()).unwrap_or_default();
        let lower = words.to_ascii_lowercase();
        match answer.status {
            401 => unauthorized("GitHub does not accept the token: connect GitHub again"),
            403 | 429 if lower.contains("rate limit") => Error::Upstream {
                kind: UpstreamKind::Busy,
                detail: "GitHub takes no more changes for now".to_owned(),
                retry_after_s: Some(answer.retry_after_s().unwrap_or(PAUSE_S)),
            },
            403 => unauthorized(format!(
                "GitHub does not let this token do that: {}",
                self.provider().quote(&words)
            )),
            404 => unauthorized(
                "GitHub has no such repository, or this token may not see it: connect GitHub again",
            ),
            _ => self.provider().error_for(answer, Some(&words)),
        }
    }

    fn good<T: serde::de::DeserializeOwned>(&self, answer: &ApiResponse) -> Result<T, Error> {
        if answer.is_good() { self.provider().read(answer) } else { Err(self.error_for(answer)) }
    }

    /// Creates a repository for the user or an organisation; `None` when one with this name exists.
    pub(crate) async fn create(
        &self,
        organisation: Option<&str>,
        new: &NewRepo<'_>,
    ) -> Result<Option<Repo>, Error> {
        let path = match organisation {
            Some(name) => format!("/orgs/{}/repos", segment(name)),
            None => "/user/repos".to_owned(),
        };
        let answer = self.call(Method::Post, &path, Some(json!(new))).await?;
        let exists = || answer.body.contains("name already exists");
        if answer.status == 422 && exists() { Ok(None) } else { self.good(&answer).map(Some) }
    }

    /// The login of the token's owner.
    pub(crate) async fn login(&self) -> Result<String, Error> {
        let answer = self.call(Method::Get, "/user", None).await?;
        self.good::<Owner>(&answer).map(|owner| owner.login)
    }

    /// Whether the token's owner is a member of an organisation.
    pub(crate) async fn is_member(&self, organisation: &str) -> Result<bool, Error> {
        let path = format!("/user/memberships/orgs/{}", segment(organisation));
        let answer = self.call(Method::Get, &path, None).await?;
        #[derive(Deserialize)]
        struct Membership {
            state: String,
        }
        match answer.status {
            403 | 404 => Ok(false),
            _ => self.good::<Membership>(&answer).map(|membership| membership.state == "active"),
        }
    }

    pub(crate) async fn repo(&self, owner: &str, name: &str) -> Result<Option<Repo>, Error> {
        let answer =
            self.call(Method::Get, &format!("/repos/{}/{}", segment(owner), segment(name)), None).await?;
        if answer.status == 404 { Ok(None) } else { self.good(&answer).map(Some) }
    }
}

/// A branch of a repository.
#[derive(Debug)]
pub(crate) struct Branch<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) owner: &'a str,
    pub(crate) name: &'a str,
    pub(crate) branch: &'a str,
}

impl Branch<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", segment(self.owner), segment(self.name))
    }

    fn reference(&self) -> String {
        self.branch.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.client.call(Method::Get, &self.path(path), None).await?;
        self.client.good(&answer)
    }

    async fn post(&self, path: &str, body: Value) -> Result<String, Error> {
        let answer = self.client.call(Method::Post, &self.path(path), Some(body)).await?;
        self.client.good::<Object>(&answer).map(|object| object.sha)
    }

    /// Its newest commit; `None` for an empty repository or a missing branch.
    pub(crate) async fn tip(&self) -> Result<Option<Tip>, Error> {
        let path = self.path(&format!("git/ref/heads/{}", self.reference()));
        let answer = self.client.call(Method::Get, &path, None).await?;
        if matches!(answer.status, 404 | 409) && self.client.repo(self.owner, self.name).await?.is_some() {
            return Ok(None);
        }
        let sha = self.client.good::<Reference>(&answer)?.object.sha;
        let commit: CommitObject = self.get(&format!("git/commits/{sha}")).await?;
        Ok(Some(Tip { sha, tree: commit.tree.sha }))
    }

    /// All files of a commit's tree.
    pub(crate) async fn files(&self, tip: &Tip) -> Result<Vec<Entry>, Error> {
        let tree: Tree = self.get(&format!("git/trees/{}?recursive=1", tip.tree)).await?;
        if tree.truncated {
            return Err(rejected("The repository has more files than GitHub lists at once"));
        }
        Ok(tree.tree)
    }

    /// A file's bytes.
    pub(crate) async fn blob(&self, sha: &str) -> Result<Vec<u8>, Error> {
        let blob: Blob = self.get(&format!("git/blobs/{sha}")).await?;
        let base64: String = blob.content.split_whitespace().collect();
        STANDARD.decode(base64).map_err(|_| self.client.provider().senseless())
    }

    /// Makes the first commit of an empty repository, with one file: before that, GitHub accepts no
    /// trees.
    pub(crate) async fn begin(&self, path: &str, content: &str, message: &str) -> Result<(), Error> {
        let place = path.split('/').map(segment).collect::<Vec<_>>().join("/");
        let body = json!({ "message": message, "content": STANDARD.encode(content), "branch": self.branch });
        let answer =
            self.client.call(Method::Put, &self.path(&format!("contents/{place}")), Some(body)).await?;
        self.client.good::<Value>(&answer).map(drop)
    }

    /// Commits `changes` on top of the newest commit, so that other files stay. Makes no commit
    /// when nothing changes. Returns the resulting newest commit.
    pub(crate) async fn commit(&self, changes: &Changes, message: &str) -> Result<String, Error> {
        for _ in 0..RACES {
            let Some(tip) = self.tip().await? else { return Err(self.empty()) };
            let known = self.files(&tip).await?;
            let entries = self.entries(changes, &known).await?;
            if entries.is_empty() {
                return Ok(tip.sha);
            }
            let tree = self.post("git/trees", json!({ "base_tree": tip.tree, "tree": entries })).await?;
            if tree == tip.tree {
                return Ok(tip.sha);
            }
            let commit = json!({ "message": message, "tree": tree, "parents": [tip.sha] });
            let sha = self.post("git/commits", commit).await?;
            let path = self.path(&format!("git/refs/heads/{}", self.reference()));
            let moved =
                self.client.call(Method::Patch, &path, Some(json!({ "sha": sha, "force": false }))).await?;
            if moved.is_good() {
                return Ok(sha);
            }
            if moved.status != 422 {
                return Err(self.client.error_for(&moved));
            }
            // Another client has pushed meanwhile: try again on top of its commit.
        }
        Err(busy("Another client keeps pushing to the repository; try again in a moment"))
    }

    fn empty(&self) -> Error {
        rejected(format!("{}/{} has no branch {}", self.owner, self.name, self.branch))
    }

    /// The entries of a tree: a file keeps its mode and the form in which its
    /// name is written, and a missing file is not deleted.
    async fn entries(&self, changes: &Changes, known: &[Entry]) -> Result<Vec<Value>, Error> {
        let files = || known.iter().filter(|entry| entry.kind == "blob");
        let old = |path: &str| {
            let same = files().find(|entry| entry.path == path);
            same.or_else(|| files().find(|entry| composed(&entry.path) == path))
        };
        let mut entries = Vec::with_capacity(changes.len());
        for (path, change) in changes {
            let old = old(path);
            let mode = old.map_or("100644", |entry| entry.mode.as_str());
            let path = old.map_or(path.as_str(), |entry| entry.path.as_str());
            let entry = |more: Value| {
                let mut entry = json!({ "path": path, "mode": mode, "type": "blob" });
                if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
                    entry.extend(more);
                }
                entry
            };
            match change {
                FileChange::Deleted if old.is_none() => {}
                FileChange::Deleted => entries.push(entry(json!({ "sha": null }))),
                FileChange::Text(text) if old.is_some_and(|entry| entry.sha == blob_sha(text.as_bytes())) => {
                }
                FileChange::Text(text) => entries.push(entry(json!({ "content": text }))),
                FileChange::Binary(base64) => {
                    let sha =
                        self.post("git/blobs", json!({ "content": base64, "encoding": "base64" })).await?;
                    entries.push(entry(json!({ "sha": sha })));
                }
            }
        }
        Ok(entries)
    }
}

/// Git's hash of a file's content.
pub(crate) fn blob_sha(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    let digest: [u8; 20] = hash.finalize().into();
    base16ct::lower::encode_string(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_the_hash_that_git_gives_it() {
        assert_eq!(blob_sha(b"hello"), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");
        assert_eq!(blob_sha(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
