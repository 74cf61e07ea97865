//! Checks package.json: that it is valid, that it names every package the application needs, and that the files exist
//! without which Next.js does not build.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problem::{self, Problem};

const PATH: &str = "package.json";
/// The longest name that npm takes, <https://docs.npmjs.com/cli/configuring-npm/package-json#name>.
const NAME_BYTES: usize = 214;

/// Problems of the application's package.json, and of the files and packages it requires.
pub(super) fn problems(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let Some(text) = files.get(PATH) else { return without(files) };
    let package = match hatch_json::from_str::<Value>(text) {
        Ok(Value::Object(package)) => package,
        Ok(_) => {
            return vec![Problem::new(
                PATH,
                None,
                "is not a JSON object: write one with name, scripts and dependencies",
            )];
        }
        Err(error) => {
            let line = u32::try_from(error.line()).ok();
            return vec![Problem::new(
                PATH,
                line,
                format!("is not valid JSON ({error}): write it again without comments"),
            )];
        }
    };
    let manifest = Manifest { files, text, package };
    let mut problems: Vec<Problem> = manifest.name().into_iter().collect();
    problems.extend(manifest.ranges());
    problems.extend(manifest.scripts());
    problems.extend(manifest.needs());
    if manifest.has("next") {
        problems.extend(manifest.versions());
        problems.extend(manifest.routes());
    }
    problems
}

/// Problems of an application without package.json: a page of plain HTML, or one in another language.
fn without(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let root = |path: &&String| !path.contains('/');
    let is_compiled = |path: &String| {
        [".ts", ".tsx", ".jsx", ".vue", ".svelte"].iter().any(|ending| path.ends_with(ending))
    };
    let others = [
        "index.html",
        "requirements.txt",
        "pyproject.toml",
        "go.mod",
        "Cargo.toml",
        "Gemfile",
        "composer.json",
        "pom.xml",
        "deno.json",
    ];
    match files.keys().any(is_compiled)
        || !files.keys().filter(root).any(|path| others.contains(&path.as_str()))
    {
        true => {
            vec![Problem::new(PATH, None, "is missing: write it with name, scripts and every dependency")]
        }
        false => Vec::new(),
    }
}

struct Manifest<'a> {
    files: &'a BTreeMap<String, String>,
    text: &'a str,
    package: Map<String, Value>,
}

impl Manifest<'_> {
    fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let wanted = format!("\"{key}\"");
        let at = self.text.lines().position(|line| line.contains(&wanted));
        Problem::new(PATH, at.and_then(|at| u32::try_from(at + 1).ok()), message)
    }

    fn object(&self, key: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.package.get(key).and_then(Value::as_object).into_iter().flatten()
    }

    fn dependencies(&self) -> impl Iterator<Item = (&String, &Value)> {
        ["dependencies", "devDependencies", "optionalDependencies"]
            .into_iter()
            .flat_map(|key| self.object(key))
    }

    fn has(&self, name: &str) -> bool {
        self.dependencies().any(|(known, _)| known == name)
    }

    /// The first number of a dependency's range: 14 for `^14.2.3`.
    fn major(&self, name: &str) -> Option<u32> {
        let (_, range) = self.dependencies().find(|(known, _)| *known == name)?;
        let digits: String = range
            .as_str()?
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    }

    fn any_file(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.files.keys().any(|path| wanted(path))
    }

    fn name(&self) -> Option<Problem> {
        let name = self.package.get("name").and_then(Value::as_str).unwrap_or_default();
        let wrong = self.problem("name", "needs a `name` of lower-case letters, digits and dashes");
        (!is_name(name)).then_some(wrong)
    }

    fn ranges(&self) -> Vec<Problem> {
        let kinds = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];
        let no_object =
            kinds.iter().filter(|key| self.package.get(**key).is_some_and(|value| !value.is_object()));
        let no_object =
            no_object.map(|key| self.problem(key, format!("`{key}` is an object of names and versions")));
        let wrong = kinds.iter().flat_map(|key| self.object(key)).filter_map(|(name, range)| {
            let shown = problem::shown(name);
            if !is_name(name) {
                return Some(self.problem(name, format!("`{shown}` is not the name of a package")));
            }
            let wrong = !range.as_str().is_some_and(is_range);
            wrong.then(|| {
                let range = problem::shown(range.as_str().unwrap_or("no text"));
                self.problem(
                    name,
                    format!(
                        "`{shown}` has the version `{range}`: name one that is published, such as ^1.2.3"
                    ),
                )
            })
        });
        no_object.chain(wrong).collect()
    }

    fn scripts(&self) -> Vec<Problem> {
        let wanted: &[&str] = if self.has("next") { &["build", "dev", "start"] } else { &[] };
        let has =
            |name: &str| self.object("scripts").any(|(known, script)| known == name && script.is_string());
        let mut problems: Vec<Problem> = wanted
            .iter()
            .filter(|name| !has(name))
            .map(|name| {
                self.problem("scripts", format!("needs the script `{name}`: \"{name}\": \"next {name}\""))
            })
            .collect();
        if wanted.is_empty() && !["build", "dev", "start"].iter().any(|name| has(name)) {
            problems.push(self.problem("scripts", "needs a script that starts or builds the application"));
        }
        problems
    }

    /// Packages that are needed although no file imports them.
    fn needs(&self) -> Vec<Problem> {
        let typescript = self.any_file(|path| path.ends_with(".ts") || path.ends_with(".tsx"));
        let tsx = self.any_file(|path| path.ends_with(".tsx"));
        let next = self.has("next") || self.any_file(|path| path.starts_with("next.config."));
        let react = self.has("react");
        let styles = |name: &str| self.files.iter().any(|(path, text)| is_styling(path) && names(text, name));
        let wanted = [
            ("next", next, "next.config"),
            ("react", next || self.has("react-dom"), "the pages"),
            ("react-dom", next, "Next.js"),
            ("typescript", typescript, "the .ts files"),
            ("@types/node", typescript && next, "Next.js with TypeScript"),
            ("@types/react", tsx && (next || react), "the .tsx files"),
            ("tailwindcss", styles("tailwindcss"), "the PostCSS configuration"),
            ("@tailwindcss/postcss", styles("@tailwindcss/postcss"), "the PostCSS configuration"),
            ("autoprefixer", styles("autoprefixer"), "the PostCSS configuration"),
        ];
        let missing = wanted.into_iter().filter(|(name, is_needed, _)| *is_needed && !self.has(name));
        missing
            .map(|(name, _, by)| {
                self.problem("dependencies", format!("needs `{name}`, for {by}: add it with a version"))
            })
            .collect()
    }

    /// Pairs of versions that npm refuses to install together, or that do not build.
    fn versions(&self) -> Vec<Problem> {
        let major = |name: &str| self.major(name).unwrap_or_default();
        let (next, react, dom) = (major("next"), major("react"), major("react-dom"));
        let mut problems = Vec::new();
        if react != dom && react > 0 && dom > 0 {
            problems.push(self.problem(
                "react-dom",
                format!("react {react} and react-dom {dom} do not go together: use one version"),
            ));
        }
        if matches!(next, 13 | 14) && react > 18 {
            problems.push(self.problem(
                "react",
                format!("Next.js {next} needs React 18, not {react}: use ^18.3.1 for react and react-dom"),
            ));
        }
        if matches!(next, 1..15) && self.files.contains_key("next.config.ts") {
            let message = format!(
                "Next.js {next} does not read it: write next.config.mjs, and leave `export default {{}}` here"
            );
            problems.push(Problem::new("next.config.ts", None, message));
        }
        let plain = |(path, text): (&String, &String)| is_styling(path) && names(text, "tailwindcss");
        if major("tailwindcss") >= 4 && self.files.iter().any(plain) {
            let message = "Tailwind 4 is no PostCSS plugin itself: use `@tailwindcss/postcss` there, or tailwindcss ^3.4.17";
            problems.push(self.problem("tailwindcss", message));
        }
        problems
    }

    /// Checks the page at `/` and its layout.
    fn routes(&self) -> Vec<Problem> {
        let is_code = |ending: &str| matches!(ending, "tsx" | "jsx" | "ts" | "js" | "mdx");
        let mut pages = false;
        let mut layout = false;
        let mut roots = [false; 2];
        for path in self.files.keys() {
            let (in_src, below) =
                path.strip_prefix("src/").map_or((false, path.as_str()), |below| (true, below));
            let Some((stem, _)) = below.rsplit_once('.').filter(|(_, ending)| is_code(ending)) else {
                continue;
            };
            let Some(route) = stem.strip_prefix("app/") else {
                pages |= stem == "pages/index";
                continue;
            };
            if let Some(root) = roots.get_mut(usize::from(in_src)) {
                *root = true;
            }
            // Groups are not part of the address, and a parameter may be the language that a middleware adds.
            let parts = route.split('/').filter(|part| !part.starts_with('(') && !part.starts_with('['));
            match parts.collect::<Vec<_>>().as_slice() {
                ["page"] => pages = true,
                ["layout"] => layout = true,
                _ => {}
            }
        }
        let app = if roots == [false, true] { "src/app" } else { "app" };
        let mut problems = Vec::new();
        if !pages {
            problems.push(Problem::new(&format!("{app}/page.tsx"), None, "is missing: write the page at /"));
        }
        if roots != [false; 2] && !layout {
            problems.push(Problem::new(
                &format!("{app}/layout.tsx"),
                None,
                "is missing: write the layout with <html> and <body>",
            ));
        }
        if roots == [true; 2] {
            let message =
                "there is both `app` and `src/app`, and Next.js reads only `app`: move every route there";
            problems.push(Problem::new("", None, message));
        }
        problems
    }
}

fn is_styling(path: &str) -> bool {
    path.starts_with("postcss.config.") || path == ".postcssrc.json"
}

/// Whether a configuration names a plugin: `tailwindcss: {}`, `'autoprefixer'`, `require("x")`.
fn names(text: &str, plugin: &str) -> bool {
    text.match_indices(plugin).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + plugin.len()..).and_then(|text| text.chars().next());
        let is_part =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | '@' | '_'));
        !is_part(before) && !is_part(after)
    })
}

/// A package's name, with or without its scope.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_' | '~'))
    };
    let parts_fit = match name.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
        Some(Some((scope, name))) => part(scope) && part(name),
        Some(None) => false,
        None => part(name),
    };
    parts_fit && name.len() <= NAME_BYTES
}

/// A range of versions, <https://docs.npmjs.com/about-semantic-versioning>. Tags such as `latest` are refused, because
/// they name another version next week.
fn is_range(range: &str) -> bool {
    let range = range.strip_prefix("workspace:").unwrap_or(range);
    let range = match range.strip_prefix("npm:") {
        Some(alias) => alias.rsplit_once('@').map_or("", |(_, range)| range),
        None => range,
    };
    let is_version = |text: &str| {
        let text = text.trim_start_matches(['^', '~', '>', '<', '=', 'v']);
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let parts: Vec<&str> = core.split('.').collect();
        let is_part = |part: &&str| {
            matches!(*part, "x" | "X" | "*")
                || (!part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()))
        };
        let rest = text.get(core.len()..).unwrap_or_default();
        parts.len() <= 3
            && parts.iter().all(is_part)
            && parts.first().is_some_and(|first| *first != "*" || parts.len() == 1)
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
    };
    range.split("||").all(|set| {
        let mut words = set
            .split_whitespace()
            .filter(|word| !matches!(*word, "-" | ">=" | "<=" | ">" | "<" | "="))
            .peekable();
        words.peek().is_some() && words.all(is_version)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn next() -> Value {
        json!({
            "name": "app",
            "scripts": {"build": "next build", "dev": "next dev", "start": "next start"},
            "dependencies": {"next": "14.2.35", "react": "^18", "react-dom": "^18"},
            "devDependencies": {"typescript": "5", "@types/node": "20", "@types/react": "18"},
        })
    }

    fn detail(package: &Value, others: &[&str]) -> Vec<String> {
        let mut files: BTreeMap<String, String> =
            others.iter().map(|path| ((*path).to_owned(), String::new())).collect();
        files.insert(PATH.to_owned(), format!("{package:#}"));
        problems(&files).iter().map(ToString::to_string).collect()
    }

    const ROUTES: [&str; 2] = ["app/page.tsx", "app/layout.tsx"];

    #[test]
    fn a_whole_application_has_no_problems() {
        for others in [
            ROUTES,
            ["src/app/(site)/page.tsx", "src/app/layout.tsx"],
            ["app/[locale]/page.tsx", "app/[locale]/layout.tsx"],
            ["pages/index.tsx", "lib/a.ts"],
        ] {
            assert_eq!(detail(&next(), &others), Vec::<String>::new(), "{others:?}");
        }
    }

    #[test]
    fn each_missing_thing_is_a_problem_of_its_own() {
        for pointer in [
            "/name",
            "/scripts/build",
            "/scripts/dev",
            "/scripts/start",
            "/dependencies/react",
            "/dependencies/react-dom",
            "/devDependencies/typescript",
            "/devDependencies/@types~1node",
            "/devDependencies/@types~1react",
        ] {
            let mut package = next();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            package.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&key.replace("~1", "/"));
            let problems = detail(&package, &ROUTES);
            assert_eq!(problems.len(), 1, "{pointer}: {problems:?}");
            assert!(problems[0].contains(&key.replace("~1", "/")), "{pointer}: {problems:?}");
        }
        assert!(detail(&next(), &ROUTES[..1])[0].contains("app/layout.tsx: is missing"));
        assert!(detail(&next(), &["src/app/layout.tsx"])[0].contains("src/app/page.tsx: is missing"));
        assert!(
            detail(&next(), &["app/page.tsx", "app/layout.tsx", "src/app/x/page.tsx"])[0]
                .contains("both `app` and `src/app`")
        );
    }

    #[test]
    fn incompatible_versions_are_a_problem() {
        let with = |pointer: &str, version: &str| {
            let mut package = next();
            *package.pointer_mut(pointer).unwrap() = json!(version);
            detail(&package, &ROUTES)
        };
        assert!(
            with("/dependencies/react", "19.0.0").iter().any(|problem| problem.contains("needs React 18"))
        );
        assert!(
            with("/dependencies/react", "latest")[0].contains("package.json:4"),
            "{:?}",
            with("/dependencies/react", "latest")
        );
        let mut others = ROUTES.to_vec();
        others.push("next.config.ts");
        assert!(detail(&next(), &others)[0].contains("next.config.mjs"));
    }

    #[test]
    fn a_plugin_of_postcss_is_a_dependency() {
        let files = |config: &str, tailwind: &str| {
            let mut package = next();
            package["devDependencies"]["tailwindcss"] = json!(tailwind);
            BTreeMap::from([
                (PATH.to_owned(), package.to_string()),
                ("app/page.tsx".to_owned(), String::new()),
                ("app/layout.tsx".to_owned(), String::new()),
                ("postcss.config.mjs".to_owned(), config.to_owned()),
            ])
        };
        let plain = "export default { plugins: { tailwindcss: {} } }";
        assert_eq!(problems(&files(plain, "3")), []);
        assert!(problems(&files(plain, "4"))[0].message.contains("Tailwind 4"));
        assert!(
            problems(&files("plugins: [require('autoprefixer')]", "3"))[0].message.contains("`autoprefixer`")
        );
        let four = problems(&files("plugins: ['@tailwindcss/postcss']", "4"));
        assert!(four.len() == 1 && four[0].message.contains("needs `@tailwindcss/postcss`"), "{four:?}");
    }

    #[test]
    fn an_application_without_package_json_is_a_page_or_another_language() {
        let of = |paths: &[&str]| {
            problems(&paths.iter().map(|path| ((*path).to_owned(), String::new())).collect()).len()
        };
        assert_eq!(of(&["index.html", "app.js"]), 0);
        assert_eq!(of(&["requirements.txt", "main.py"]), 0);
        assert_eq!(of(&["index.html", "src/main.tsx"]), 1);
        assert_eq!(of(&["README.md"]), 1);
    }

    #[test]
    fn only_ranges_of_published_versions_are_taken() {
        for range in [
            "1.2.3",
            "^1.2.3",
            "~1.2",
            "1",
            "1.x",
            "*",
            ">=1.0.0 <2",
            ">= 1.0.0",
            "1.2 - 2.3",
            "^1 || ^2",
            "1.2.3-beta.1+5",
            "npm:a@^1",
            "workspace:*",
            "v1.2.3",
        ] {
            assert!(is_range(range), "{range}");
        }
        for range in [
            "",
            " ",
            "latest",
            "next",
            "^",
            "1.2.3.4",
            "git+https://a",
            "file:../a",
            "http://a/b.tgz",
            "a/b",
            "1..2",
            "^1 ||",
            "npm:a",
            "*.1",
            "12345678901.0.0",
        ] {
            assert!(!is_range(range), "{range}");
        }
    }

    proptest! {
        #[test]
        fn every_version_is_a_range(major: u16, minor: u16, patch: u16, sign in "[~^]?") {
            let version = format!("{sign}{major}.{minor}.{patch}");
            prop_assert!(is_range(&version));
        }

        #[test]
        fn any_package_json_is_answered(text in "(\\PC|\\pC|[{}\":,]){0,90}", key in "\\PC{0,9}", value in "\\PC{0,9}") {
            let keyed = json!({"name": value, "scripts": {&key: &value}, "dependencies": {&key: &value}, "imports": value});
            for text in [text, keyed.to_string()] {
                problems(&BTreeMap::from([(PATH.to_owned(), text)]));
            }
        }
    }
}
