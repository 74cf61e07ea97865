//! Maps a fence's language to the kind of block and the file extension.

/// The kind of a block, judged by its language alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// Source code, with the extension of its files.
    Code(&'static str),
    /// Commands to type, which are not a file.
    Shell,
    /// A directory tree, output or a diagram, which is not a file.
    Text,
    /// A change to a file.
    Patch,
}

/// The kind of a block from its language, in any case; `""` is a fence without one. An unknown language is code
/// in a `.txt`.
pub(super) fn kind(language: &str) -> BlockKind {
    let language = language.to_ascii_lowercase();
    let extension = match language.as_str() {
        "bash" | "sh" | "shell" | "zsh" | "fish" | "ksh" | "console" | "shell-session" | "shellsession"
        | "sh-session" | "terminal" | "command" | "commandline" | "powershell" | "pwsh" | "ps1" | "ps"
        | "bat" | "batch" | "cmd" | "dos" => return BlockKind::Shell,
        "" | "text" | "txt" | "plain" | "plaintext" | "none" | "ascii" | "tree" | "output" | "log"
        | "mermaid" | "plantuml" => {
            return BlockKind::Text;
        }
        "diff" | "patch" | "udiff" => return BlockKind::Patch,
        "html" | "htm" | "xhtml" => "html",
        "css" => "css",
        "scss" => "scss",
        "sass" => "sass",
        "less" => "less",
        "js" | "javascript" | "node" | "nodejs" | "es6" => "js",
        "mjs" => "mjs",
        "cjs" => "cjs",
        "jsx" | "react" | "javascriptreact" => "jsx",
        "ts" | "typescript" => "ts",
        "mts" => "mts",
        "cts" => "cts",
        "tsx" | "typescriptreact" => "tsx",
        "vue" => "vue",
        "svelte" => "svelte",
        "astro" => "astro",
        "json" => "json",
        "jsonc" | "json5" => "jsonc",
        "yaml" | "yml" => "yaml",
        "toml" => "toml",
        "ini" | "conf" | "cfg" | "properties" => "ini",
        "env" | "dotenv" => "env",
        "xml" => "xml",
        "svg" => "svg",
        "md" | "markdown" => "md",
        "mdx" => "mdx",
        "python" | "py" | "python3" => "py",
        "rust" | "rs" => "rs",
        "go" | "golang" => "go",
        "c" => "c",
        "h" => "h",
        "c++" | "cpp" | "cxx" | "cc" => "cpp",
        "hpp" | "h++" => "hpp",
        "c#" | "csharp" | "cs" => "cs",
        "f#" | "fsharp" | "fs" => "fs",
        "objective-c" | "objectivec" | "objc" | "obj-c" => "m",
        "objective-c++" | "objective-cpp" | "objc++" => "mm",
        "java" => "java",
        "kotlin" | "kt" => "kt",
        "swift" => "swift",
        "dart" => "dart",
        "scala" => "scala",
        "ruby" | "rb" => "rb",
        "erb" => "erb",
        "php" => "php",
        "perl" | "pl" => "pl",
        "lua" => "lua",
        "r" => "r",
        "elixir" | "ex" => "ex",
        "erlang" | "erl" => "erl",
        "haskell" | "hs" => "hs",
        "clojure" | "clj" => "clj",
        "zig" => "zig",
        "solidity" | "sol" => "sol",
        "sql" | "postgres" | "postgresql" | "mysql" | "sqlite" => "sql",
        "graphql" | "gql" => "graphql",
        "prisma" => "prisma",
        "proto" | "protobuf" => "proto",
        "dockerfile" | "docker" => "dockerfile",
        "makefile" | "make" => "mk",
        "hcl" | "terraform" | "tf" => "tf",
        "glsl" => "glsl",
        "wgsl" => "wgsl",
        "csv" => "csv",
        "pug" | "jade" => "pug",
        "hbs" | "handlebars" => "hbs",
        "ejs" => "ejs",
        _ => "txt",
    };
    BlockKind::Code(extension)
}

/// Guesses the extension of a block without a language from its first line; `None` if it does not look like code of the
/// web. React in TypeScript is what the models here are asked for.
pub(super) fn sniff(body: &str) -> Option<&'static str> {
    let first = body.trim_start().lines().next()?.to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| first.starts_with(prefix));
    if starts(&["<!doctype html", "<html"]) {
        Some("html")
    } else if starts(&["<svg"]) {
        Some("svg")
    } else if starts(&["export ", "'use client'", "\"use client\""])
        || (starts(&["import "]) && first.contains(['\'', '"']))
    {
        Some("tsx")
    } else {
        None
    }
}

/// Whether a language and a file's extension can belong together; unknown ones are accepted.
pub(super) fn agrees(language_extension: &str, path: &str) -> bool {
    let Some(path_extension) = extension(path).filter(|extension| is_known_extension(extension)) else {
        return true;
    };
    language_extension == "txt" || family(language_extension) == family(&path_extension)
}

/// The extension of a path in lower case, without its dot. A name that only starts with a dot has none.
pub(super) fn extension(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = !extension.is_empty()
        && extension.len() <= 12
        && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty() && !extension.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| extension.to_ascii_lowercase())
}

/// The extensions by which a file name is recognised where nothing says that it is one (`console.log` is not).
const KNOWN_EXTENSIONS: &[&[&str]] = &[
    // Pages.
    &["html", "htm", "vue", "svelte", "astro", "pug", "hbs", "ejs", "erb", "php"],
    // Styles.
    &["css", "scss", "sass", "less"],
    // JavaScript and TypeScript.
    &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"],
    // Data and settings.
    &[
        "json",
        "jsonc",
        "json5",
        "webmanifest",
        "yaml",
        "yml",
        "toml",
        "ini",
        "conf",
        "cfg",
        "xml",
        "svg",
        "csv",
        "lock",
    ],
    // Prose.
    &["md", "mdx", "txt", "rst", "tex", "ipynb"],
    // Languages that are compiled.
    &[
        "rs", "go", "c", "h", "cpp", "cc", "cxx", "hpp", "cs", "fs", "m", "mm", "java", "kt", "kts",
        "gradle", "swift", "dart", "scala", "hs", "zig", "sol",
    ],
    // Languages that are interpreted.
    &["py", "rb", "pl", "lua", "r", "ex", "exs", "erl", "clj"],
    // Queries and schemas.
    &["sql", "graphql", "gql", "prisma", "proto"],
    // Builds.
    &["dockerfile", "mk", "tf"],
    // Shaders.
    &["glsl", "wgsl", "vert", "frag"],
    // Shells.
    &["sh", "bash", "zsh", "fish", "ps1", "bat", "cmd"],
];

/// Whether a file name with this extension is recognised without more.
pub(super) fn is_known_extension(extension: &str) -> bool {
    KNOWN_EXTENSIONS.iter().any(|kind| kind.contains(&extension))
}

/// Whether a path is a shell script, or an `.env` file, which models often mark as shell.
pub(super) fn is_script(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with(".env")
        || name == "Makefile"
        || name == "Dockerfile"
        || extension(path).is_some_and(|e| {
            matches!(e.as_str(), "sh" | "bash" | "zsh" | "fish" | "ksh" | "ps1" | "bat" | "cmd")
        })
}

/// Whether blocks of this language, or for this file, are Markdown, which holds fences of its own.
pub(super) fn is_markdown(language_or_extension: &str) -> bool {
    matches!(language_or_extension.to_ascii_lowercase().as_str(), "md" | "mdx" | "markdown")
}

/// Groups extensions that models use interchangeably.
fn family(extension: &str) -> &str {
    match extension {
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => "js",
        "html" | "htm" | "vue" | "svelte" | "astro" | "ejs" | "hbs" | "erb" | "php" => "html",
        "css" | "scss" | "sass" | "less" => "css",
        "json" | "jsonc" | "json5" | "webmanifest" => "json",
        "yaml" | "yml" => "yaml",
        "xml" | "svg" => "xml",
        "md" | "mdx" => "md",
        "c" | "h" | "cpp" | "cc" | "cxx" | "hpp" | "m" | "mm" => "c",
        "ini" | "conf" | "cfg" | "toml" => "ini",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_the_extensions_of_their_files() {
        for (language, extension) in [
            ("HTML", "html"),
            ("tsx", "tsx"),
            ("typescript", "ts"),
            ("c++", "cpp"),
            ("C#", "cs"),
            ("objective-c", "m"),
            ("python", "py"),
            ("rust", "rs"),
            ("brainfuck", "txt"),
        ] {
            assert_eq!(kind(language), BlockKind::Code(extension), "{language}");
        }
    }

    #[test]
    fn commands_trees_and_patches_are_not_code() {
        assert_eq!(kind("bash"), BlockKind::Shell);
        assert_eq!(kind("Console"), BlockKind::Shell);
        assert_eq!(kind("text"), BlockKind::Text);
        assert_eq!(kind(""), BlockKind::Text);
        assert_eq!(kind("diff"), BlockKind::Patch);
    }

    #[test]
    fn only_code_of_the_web_is_recognised_without_a_language() {
        assert_eq!(sniff("\n<!DOCTYPE html>\n"), Some("html"));
        assert_eq!(sniff("import React from 'react';\n"), Some("tsx"));
        assert_eq!(sniff("import os\n"), None);
        assert_eq!(sniff("src/\n├── App.tsx\n"), None);
        assert_eq!(sniff(""), None);
    }

    #[test]
    fn a_language_matches_files_of_its_family_and_unknown_extensions() {
        assert!(agrees("tsx", "src/main.ts"));
        assert!(agrees("html", "App.vue"));
        assert!(agrees("sql", "schema.weird"));
        assert!(agrees("dockerfile", "Dockerfile"));
        assert!(!agrees("css", "src/App.tsx"));
        assert!(!agrees("py", "package.json"));
    }
}
