//! The client of the compiler, a separate Worker (`compiler/`) behind a service binding. It turns
//! TypeScript, JSX and other bundler input into files for browsers, and checks code that npm will
//! build. [`Task`] and [`CompilerResponse`] define the request and the response; compiler/src/worker.js is
//! the other end.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use hatch_code::CodeMap;
use serde::{Deserialize, Serialize};
use worker::Env;

use crate::{
    error::Error,
    platform::fetch,
    settings::{FromVars, ParseSettings, Settings, Vars, binding, parses},
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Cdn>()];

/// Folders in which build tools place finished sites; they are not part of URLs.
const ROOTS: &[&str] = &["", "public/", "dist/", "build/", "out/", "site/"];
/// More than any compiled project has.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Applies until the response begins, and again until it has ended. The largest project takes a
/// second or two.
const TIMEOUT_MS: u64 = 30_000;
/// D1 takes 2,000,000 bytes in a bound value.
const MOST_SITE_BYTES: usize = 1_900_000;

/// A fault in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Diagnostic {
    /// Empty when it concerns the whole project.
    pub(crate) path: String,
    /// Counts from 1; 0 when it concerns the whole file.
    pub(crate) line: u32,
    /// Counts from 1, in characters.
    pub(crate) column: u32,
    /// In words for the code's owner, or for a model that repairs the code.
    pub(crate) message: String,
    /// The numbered lines around the position, with a caret below it. May be empty.
    pub(crate) frame: String,
}

/// `path:line:column: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (path, 0) => write!(f, "{path}: {}", self.message),
            (path, line) => write!(f, "{path}:{line}:{}: {}", self.column, self.message),
        }
    }
}

/// A site that is ready to be served.
#[derive(Debug)]
pub(crate) struct Site {
    /// Path and content of each file, sorted by path.
    pub(crate) files: Vec<(String, String)>,
    /// Notes for the owner, one line each.
    pub(crate) notes: Vec<String>,
    /// The references in its files.
    pub(crate) reached: Vec<Reached>,
    /// The folder of the project that contains them, if they are unchanged.
    pub(crate) root: String,
    /// Files below it that are not served.
    pub(crate) left_out: Vec<String>,
}

/// A reference in a file of a site.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Reached {
    /// The file that contains it, by its path in the site.
    pub(crate) from: String,
    /// The address as it is written.
    pub(crate) address: String,
    pub(crate) dest: Destination,
    /// Its position in UTF-16 units; `None` in compiled code.
    #[serde(default)]
    pub(crate) at: Option<usize>,
}

impl Reached {
    /// A page itself, which a visitor opens.
    pub(crate) fn page(path: &str) -> Self {
        Self { from: path.to_owned(), address: String::new(), dest: Destination::Document, at: None }
    }
}

/// What a browser uses a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Destination {
    Document,
    Script,
    Style,
    Image,
    Json,
    #[serde(other)]
    Other,
}

/// Why code could not be built: all errors, or the first of very many.
#[derive(Debug)]
pub(crate) struct BuildFailed {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl BuildFailed {
    /// A first line that summarizes the errors, then every error with its frame.
    pub(crate) fn reason(&self) -> String {
        let Some((first, others)) = self.diagnostics.split_first() else {
            return "The code could not be compiled".to_owned();
        };
        let mut reason = first.to_string();
        match others.len() {
            0 => {}
            1 => reason.push_str(" (and 1 more error, see the logs)"),
            more => reason.push_str(&format!(" (and {more} more errors, see the logs)")),
        }
        for (n, diagnostic) in self.diagnostics.iter().enumerate() {
            if n > 0 {
                reason.push_str(&format!("\n{diagnostic}"));
            }
            for line in diagnostic.frame.lines() {
                reason.push_str(&format!("\n{line}"));
            }
        }
        reason
    }
}

/// The CDN from which hosted apps load their packages.
struct Cdn {
    base_url: String,
}

impl FromVars for Cdn {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self { base_url: vars.base_url("ESM_CDN_URL", "https://esm.sh")? })
    }
}

/// How an app gets the packages that it imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packages {
    /// The visitors' browsers load them from the CDN.
    FromCdn,
    /// They are bundled into the app.
    Bundled,
}

/// Builds a site from `code`: compiles its modules and resolves their imports. For a plain static
/// site the compiler only checks whether browsers can read it; its files stay unchanged, byte for
/// byte.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be reached; the inner error has the faults in the
/// code.
pub(crate) async fn compile(
    code: &CodeMap,
    packages: Packages,
    env: &Env,
) -> Result<Result<Site, BuildFailed>, Error> {
    let settings = Settings::of(env)?;
    let task = Task::Compile {
        files: code.iter().collect(),
        cdn: &Cdn::of(&settings)?.base_url,
        bundle: packages == Packages::Bundled,
    };
    Ok(match run(&task, env).await? {
        CompilerResponse::Plain { reached } => plain(code).map(|site| Site { reached, ..site }),
        CompilerResponse::Site { files, .. } if is_too_large(&files) => {
            Err(BuildFailed { diagnostics: vec![too_large()] })
        }
        CompilerResponse::Site { files, notes, reached } => {
            Ok(Site { files, notes, reached, root: String::new(), left_out: Vec::new() })
        }
        CompilerResponse::Wrong { diagnostics } | CompilerResponse::Checked { diagnostics } => {
            Err(BuildFailed { diagnostics })
        }
        CompilerResponse::Broken => Err(BuildFailed { diagnostics: vec![broken()] }),
    })
}

/// The faults that would fail a build by npm: modules that do not parse, unresolved imports, and
/// hooks in Next.js server components. At most 200, sorted by path; empty when the code is good.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be reached. Code that is nested too deeply is a
/// diagnostic, not an error.
pub(crate) async fn check(code: &CodeMap, env: &Env) -> Result<Vec<Diagnostic>, Error> {
    let task = Task::Check { files: code.iter().collect() };
    Ok(match run(&task, env).await? {
        CompilerResponse::Checked { diagnostics } => diagnostics,
        _ => vec![broken()],
    })
}

/// A task for the compiler.
#[derive(Serialize)]
#[serde(tag = "task", rename_all = "camelCase")]
enum Task<'a> {
    /// Builds a site from the files. Packages come from `cdn` through an import map, or are bundled
    /// into the site.
    Compile { files: BTreeMap<&'a str, &'a str>, cdn: &'a str, bundle: bool },
    /// Checks whether npm can build the files.
    Check { files: BTreeMap<&'a str, &'a str> },
}

/// The compiler's response.
#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
enum CompilerResponse {
    Plain {
        reached: Vec<Reached>,
    },
    Site {
        files: Vec<(String, String)>,
        notes: Vec<String>,
        reached: Vec<Reached>,
    },
    Wrong {
        diagnostics: Vec<Diagnostic>,
    },
    Checked {
        diagnostics: Vec<Diagnostic>,
    },
    /// The compiler's instance crashed on the code.
    Broken,
}

async fn run(task: &Task<'_>, env: &Env) -> Result<CompilerResponse, Error> {
    let unreachable = |detail: String| Error::Internal(format!("the compiler: {detail}"));
    let task = serde_json::to_string(task).map_err(|e| unreachable(e.to_string()))?;
    let answer = fetch::service(env, binding::COMPILER, task, TIMEOUT_MS).await;
    let answer = answer.map_err(|failure| unreachable(format!("{failure:?}")))?;
    if answer.status() != 200 {
        return Err(unreachable(format!("answered {}", answer.status())));
    }
    let text =
        answer.text(MOST_BYTES, TIMEOUT_MS).await.map_err(|failure| unreachable(format!("{failure:?}")))?;
    hatch_json::from_str(&text).map_err(|e| unreachable(e.to_string()))
}

fn of_project(message: &str) -> Diagnostic {
    Diagnostic { path: String::new(), line: 0, column: 0, message: message.to_owned(), frame: String::new() }
}

fn broken() -> Diagnostic {
    of_project("The code is nested too deeply, or is too large, to be compiled: split its largest module")
}

fn too_large() -> Diagnostic {
    of_project("The compiled site has more than 1.9 MB: leave out modules or data that it does not need")
}

/// Counts the size as JSON with a hash for each file, because a site is written in one statement.
fn is_too_large(files: &[(String, String)]) -> bool {
    let bytes = |(path, content): &(String, String)| {
        let escapes = content.bytes().filter(|b| matches!(b, b'"' | b'\\' | b'\n' | b'\t' | b'\r')).count();
        path.len() + content.len() + escapes + 90
    };
    files.iter().map(bytes).sum::<usize>() > MOST_SITE_BYTES
}

/// A static site with its files unchanged, without those that are not for visitors. Its root is the
/// folder with `index.html`: the top folder, or one of the usual ones.
fn plain(code: &CodeMap) -> Result<Site, BuildFailed> {
    let has_index = |root: &&&str| code.get(&format!("{root}index.html")).is_some();
    let Some(root) = ROOTS.iter().find(has_index) else {
        let message = "There is no index.html to show; ask for one, or add it to the project's code";
        return Err(BuildFailed { diagnostics: vec![of_project(message)] });
    };
    let sent_to = maps_sent_to(code);
    let below = code.iter().filter_map(|(path, content)| Some((path.strip_prefix(root)?, content)));
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for (path, content) in below {
        match is_published(path) && (!path.ends_with(".map") || sent_to.contains(name(path))) {
            true => files.push((path.to_owned(), content.to_owned())),
            false => left_out.push(path),
        }
    }
    Ok(Site {
        files,
        notes: left_out_note(&left_out).into_iter().collect(),
        reached: Vec::new(),
        root: (*root).to_owned(),
        left_out: left_out.into_iter().map(str::to_owned).collect(),
    })
}

/// The names of the source maps to which a script or style sheet refers.
fn maps_sent_to(code: &CodeMap) -> HashSet<&str> {
    let references = code.iter().flat_map(|(_, content)| content.split("sourceMappingURL=").skip(1));
    references
        .filter_map(|rest| rest.split(|c: char| c.is_whitespace() || c == '*').next())
        .map(name)
        .collect()
}

/// The most paths that a note names.
const MOST_NAMED: usize = 10;

fn left_out_note(paths: &[&str]) -> Option<String> {
    let named = paths.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(MOST_NAMED) {
        _ if paths.is_empty() => None,
        0 => Some(format!("Left out, as it is not for visitors: {named}")),
        more => Some(format!("Left out, as it is not for visitors: {named} and {more} more")),
    }
}

/// Folders of code that does not run in browsers.
const PRIVATE_FOLDERS: &[&str] =
    &["node_modules/", "server/", "supabase/", "prisma/", "functions/", "migrations/"];
/// Configuration files of tools and servers.
const PRIVATE_FILES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lockb",
    "bun.lock",
    "deno.lock",
    "composer.json",
    "composer.lock",
    "Gemfile",
    "Gemfile.lock",
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "go.sum",
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "poetry.lock",
    "Dockerfile",
    "docker-compose.yml",
    "docker-compose.yaml",
    "Makefile",
    "Procfile",
    "wrangler.toml",
    "wrangler.json",
    "wrangler.jsonc",
    "netlify.toml",
    "fly.toml",
    "vercel.json",
    "firebase.json",
    "components.json",
    "biome.json",
    "turbo.json",
    "nx.json",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
];
/// Extensions of server code, databases and keys.
const PRIVATE_EXTENSIONS: &[&str] =
    &["php", "py", "rb", "go", "rs", "java", "sql", "sqlite", "db", "pem", "key", "p12", "pfx", "lock", "sh"];

/// Whether a file of a static site is for its visitors: not a hidden file (except `.well-known`),
/// and not a configuration file of tools or servers.
fn is_published(path: &str) -> bool {
    let name = name(path);
    let below = path.strip_prefix(".well-known/").unwrap_or(path);
    let is_hidden = below.split('/').any(|part| part.starts_with('.'));
    let is_private_folder = PRIVATE_FOLDERS.iter().any(|folder| {
        path.starts_with(folder) || (*folder == "node_modules/" && path.contains("/node_modules/"))
    });
    let stem = name.split('.').next().unwrap_or_default();
    let is_configuration = name.contains(".config.")
        || matches!(stem, "tsconfig" | "jsconfig") && name.ends_with(".json")
        || matches!(name, "server.js" | "server.mjs" | "server.cjs" | "server.ts");
    !is_hidden
        && !is_private_folder
        && !is_configuration
        && !PRIVATE_FILES.contains(&name)
        && !PRIVATE_EXTENSIONS.contains(&extension(path))
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(json: &str) -> CodeMap {
        CodeMap::parse(json).unwrap()
    }

    #[test]
    fn the_folder_with_the_index_is_the_root() {
        let site = plain(&code(r#"{"dist/index.html":"<p>","dist/a.js":"1","README.md":"x"}"#)).unwrap();
        let paths: Vec<_> = site.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a.js", "index.html"]);
    }

    #[test]
    fn a_site_leaves_out_files_that_are_not_for_visitors_and_says_so() {
        for path in [
            ".env",
            ".npmrc",
            ".env.production",
            ".github/workflows/x.yml",
            "a/.git/config",
            "package.json",
            "package-lock.json",
            "server.js",
            "server/index.ts",
            "supabase/config.toml",
            "wrangler.toml",
            "id_rsa",
            "vite.config.ts",
            "tsconfig.app.json",
            "node_modules/a/b.js",
            "lib/node_modules/c.js",
            "schema.sql",
            ".well-known/.env",
        ] {
            assert!(!is_published(path), "{path}");
        }
        for path in [
            "index.html",
            ".well-known/security.txt",
            "data.json",
            "a/site.webmanifest",
            "README.md",
            "LICENSE",
            "js/config.js",
            "docs/server.html",
            "app.js",
            "notes/key.txt",
        ] {
            assert!(is_published(path), "{path}");
        }
        let site = plain(&code(r#"{"index.html":"<p>",".env":"A=1","server.js":"1"}"#)).unwrap();
        assert_eq!(site.files.len(), 1);
        assert_eq!(site.notes, ["Left out, as it is not for visitors: .env, server.js"]);
    }

    #[test]
    fn a_source_map_is_published_only_if_a_script_refers_to_it() {
        let script = "1 //# sourceMappingURL=a.js.map";
        let files =
            serde_json::json!({ "index.html": "<p>", "a.js": script, "a.js.map": "{}", "b.js.map": "{}" });
        let site = plain(&code(&files.to_string())).unwrap();
        let paths: Vec<_> = site.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a.js", "a.js.map", "index.html"]);
    }

    #[test]
    fn code_that_has_nothing_to_show_says_so() {
        assert!(plain(&code(r#"{"notes.txt":"…"}"#)).unwrap_err().reason().contains("index.html"));
    }

    #[test]
    fn the_first_line_of_a_reason_counts_the_errors() {
        let diagnostic = |line| Diagnostic {
            path: "a.ts".to_owned(),
            line,
            column: 7,
            message: "wrong".to_owned(),
            frame: "> 1 | x\n    | ^\n".to_owned(),
        };
        let reason = |lines: &[u32]| {
            BuildFailed { diagnostics: lines.iter().map(|n| diagnostic(*n)).collect() }.reason()
        };
        assert_eq!(reason(&[1]), "a.ts:1:7: wrong\n> 1 | x\n    | ^");
        assert!(reason(&[1, 2]).starts_with("a.ts:1:7: wrong (and 1 more error, see the logs)\n> 1 | x"));
        assert!(reason(&[1, 2, 3]).contains("(and 2 more errors, see the logs)\n"));
        assert!(reason(&[1, 2]).contains("\na.ts:2:7: wrong\n"));
        assert!(!reason(&[]).is_empty());
    }
}
