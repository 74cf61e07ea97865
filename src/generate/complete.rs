//! Adds the files that a repository needs beside the application: Dockerfile, README, .env.example, licence. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const GITIGNORE: &str = include_str!("template/packaging/gitignore");
const DOCKERIGNORE: &str = include_str!("template/packaging/dockerignore");
const LICENSE: &str = include_str!("template/packaging/LICENSE");
/// For a Next.js server with standalone output.
const STANDALONE: &str = include_str!("template/packaging/standalone.Dockerfile");
/// For any other server that `npm start` starts.
const SERVER: &str = include_str!("template/packaging/server.Dockerfile");
/// For a build that writes static files.
const BUILT: &str = include_str!("template/packaging/built.Dockerfile");
/// For static files without a build.
const STATIC: &str = include_str!("template/packaging/static.Dockerfile");

/// Variables that the platform or the bundler sets.
const GIVEN: [&str; 8] = ["NODE_ENV", "PORT", "HOSTNAME", "CI", "DEV", "PROD", "MODE", "BASE_URL"];
/// The most variables that `.env.example` lists.
const MAX_VARIABLES: usize = 50;

/// Adds Dockerfile, .dockerignore, README.md, .env.example, LICENSE and .gitignore where they are missing. An existing file
/// stays, also with another case or extension.
///
/// `name` and `tagline` are plain text in any script.
pub(crate) fn complete(files: &mut BTreeMap<String, String>, name: &str, tagline: &str) {
    let application = Application::of(files);
    let mut added = vec![
        ("Dockerfile", application.dockerfile().to_owned()),
        (".dockerignore", DOCKERIGNORE.to_owned()),
        (".gitignore", GITIGNORE.to_owned()),
        (".env.example", env_example(files)),
        ("LICENSE", LICENSE.replace("{{name}}", &in_markdown(name))),
    ];
    added.push(("README.md", application.readme(name, tagline, files)));
    for (path, text) in added {
        if !is_there(files, path) {
            files.insert(path.to_owned(), text);
        }
    }
}

/// Whether the root has this file, in any case and with any extension: `readme.txt` is a README, `LICENCE` a licence.
fn is_there(files: &BTreeMap<String, String>, path: &str) -> bool {
    let stem = |path: &str| match path.strip_prefix('.') {
        Some(_) => path.to_lowercase(),
        None => path.split('.').next().unwrap_or_default().to_lowercase().replace("licence", "license"),
    };
    let wanted = stem(path);
    files.keys().filter(|known| !known.contains('/')).any(|known| stem(known) == wanted)
}

/// What decides how the application starts.
struct Application {
    scripts: BTreeSet<String>,
    is_node: bool,
    is_standalone: bool,
}

impl Application {
    fn of(files: &BTreeMap<String, String>) -> Self {
        let package: Value =
            files.get("package.json").and_then(|text| hatch_json::from_str(text).ok()).unwrap_or_default();
        let scripts = package.get("scripts").and_then(Value::as_object);
        let is_standalone = |(path, text): (&String, &String)| {
            path.starts_with("next.config.")
                && (text.contains("'standalone'") || text.contains("\"standalone\""))
        };
        Self {
            scripts: scripts.map(|scripts| scripts.keys().cloned().collect()).unwrap_or_default(),
            is_node: files.contains_key("package.json"),
            is_standalone: files.iter().any(is_standalone),
        }
    }

    fn has(&self, script: &str) -> bool {
        self.scripts.contains(script)
    }

    fn dockerfile(&self) -> &'static str {
        match (self.is_node, self.has("build"), self.has("start")) {
            (true, true, _) if self.is_standalone => STANDALONE,
            (true, true, false) => BUILT,
            (true, ..) => SERVER,
            (false, ..) => STATIC,
        }
    }

    /// The port that the container listens on.
    fn port(&self) -> u16 {
        match self.dockerfile() {
            STANDALONE | SERVER => 3000,
            _ => 8080,
        }
    }

    fn readme(&self, name: &str, tagline: &str, files: &BTreeMap<String, String>) -> String {
        let mut text = format!("# {}\n\n{}\n", in_markdown(name), in_markdown(tagline));
        if self.is_node {
            text.push_str("\n## Start\n\n```sh\nnpm install\n");
            for (script, about) in [
                ("dev", "development"),
                ("test", "tests"),
                ("build", "production build"),
                ("start", "its server"),
            ] {
                if self.has(script) {
                    text.push_str(&format!("npm run {script:<5}  # {about}\n"));
                }
            }
            text.push_str("```\n");
        } else {
            text.push_str("\n## Start\n\nOpen `index.html`, or serve this directory with any web server.\n");
        }
        let variables = variables(files);
        if !variables.is_empty() {
            text.push_str(
                "\n## Settings\n\nCopy `.env.example` to `.env.local` and fill in what you use:\n\n",
            );
            text.extend(variables.iter().map(|name| format!("- `{name}`\n")));
        }
        let port = self.port();
        text.push_str(&format!(
            "\n## In a container\n\n```sh\ndocker build -t app .\ndocker run -p {port}:{port} app\n```\n"
        ));
        text
    }
}

/// Lists the variables that the code reads, without values.
fn env_example(files: &BTreeMap<String, String>) -> String {
    let variables = variables(files);
    let mut text =
        "# Copy this file to .env.local and fill in what you use. Never commit the copy.\n".to_owned();
    if variables.is_empty() {
        text.push_str("# The application reads no variables.\n");
    }
    text.extend(variables.iter().map(|name| format!("{name}=\n")));
    text
}

/// Finds names after `process.env.` and `import.meta.env.`, and in `const { … } = process.env`.
fn variables(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let is_code = |path: &str| {
        let ending = path.rsplit('.').next().unwrap_or_default();
        matches!(ending, "ts" | "tsx" | "js" | "jsx" | "mjs" | "cjs" | "mts" | "vue" | "svelte" | "astro")
    };
    let code = files.iter().filter(|(path, _)| is_code(path)).map(|(_, text)| text.as_str());
    let names = code.flat_map(|text| {
        let direct =
            ["process.env.", "import.meta.env."].into_iter().flat_map(|start| text.split(start).skip(1));
        direct.chain(taken_apart(text).flat_map(|names| names.split(',')))
    });
    let names = names
        .map(|text| text.trim_start())
        .map(|text| text.split(|c| !is_name(c)).next().unwrap_or_default());
    let is_variable =
        |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase()) && !GIVEN.contains(name);
    names.filter(is_variable).take(MAX_VARIABLES).map(str::to_owned).collect()
}

/// The text between the braces of each `const { … } = process.env`.
fn taken_apart(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.match_indices("} = process.env").take(MAX_VARIABLES);
    ends.filter_map(|(at, _)| Some(text.get(..at)?.rsplit_once('{')?.1))
}

fn is_name(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// Text for a sentence of Markdown, without characters that could be markup.
pub(super) fn in_markdown(text: &str) -> String {
    text.chars().filter(|c| !"`*_[]<>\\|~#&{}!".contains(*c) && !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISED: [&str; 6] =
        [".dockerignore", ".env.example", ".gitignore", "Dockerfile", "LICENSE", "README.md"];

    fn completed(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut files = of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        complete(&mut files, "Käse & <Co>", "Cheese, *fresh*.");
        files
    }

    #[test]
    fn missing_files_are_added_and_existing_ones_stay() {
        let files = completed(&[("index.html", "")]);
        assert!(PROMISED.iter().all(|path| files.contains_key(*path)), "{:?}", files.keys());
        assert!(files["README.md"].starts_with("# Käse  Co\n\nCheese, fresh.\n"), "{}", files["README.md"]);

        let own = [
            ("readme.txt", "mine"),
            ("LICENCE", "mine"),
            ("dockerfile", "mine"),
            (".gitignore", "mine"),
            ("docs/README.md", ""),
        ];
        let files = completed(&own);
        assert!(own.iter().all(|(path, text)| files[*path] == *text));
        for path in ["README.md", "LICENSE", "Dockerfile"] {
            assert!(!files.contains_key(path), "{path}");
        }
        assert!(completed(&[("docs/README.md", "")]).contains_key("README.md"));

        let mut again = files.clone();
        complete(&mut again, "Another", "");
        assert_eq!(again, files);
    }

    #[test]
    fn the_dockerfile_fits_how_the_application_starts() {
        let package = |scripts: &str| format!(r#"{{"scripts":{{{scripts}}}}}"#);
        let both = package(r#""build":"b","start":"s""#);
        let standalone = ("next.config.mjs", "export default { output: 'standalone' }");
        for (files, last) in [
            (vec![("package.json", both.as_str()), standalone], r#"CMD ["node", "server.js"]"#),
            (vec![("package.json", both.as_str())], r#"CMD ["npm", "start"]"#),
            (vec![("package.json", package(r#""build":"vite build""#).as_str())], "EXPOSE 8080"),
            (vec![("index.html", "")], "EXPOSE 8080"),
        ] {
            let dockerfile = completed(&files).remove("Dockerfile").unwrap();
            assert_eq!(dockerfile.trim_end().lines().last(), Some(last), "{dockerfile}");
            assert!(
                dockerfile.contains("USER node") || dockerfile.contains("unprivileged"),
                "runs as root:\n{dockerfile}"
            );
        }
    }

    #[test]
    fn the_example_of_settings_lists_what_the_code_reads_without_values() {
        let code = "process.env.A_KEY ?? process.env.NODE_ENV; import.meta.env.VITE_B; process.env.lower;\n\
            const { C = 'x', D_1: d } = process.env;";
        let files = completed(&[("lib/a.ts", code), ("README.md", "process.env.NOT_CODE")]);
        let names: Vec<&str> = files[".env.example"].lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(names, ["A_KEY=", "C=", "D_1=", "VITE_B="]);
    }
}
