//! Checks whether a generated application can be published, and has what npm needs. Pure. The compiler checks its modules
//! and imports ([`crate::upstream::compiler::check`]).
//!
//! Every rule says what is wrong and what to write instead. Writing files is always enough to satisfy it, because a model
//! that repairs an application cannot delete files.

mod manifest;
mod problem;
mod secrets;

pub(crate) use problem::Problem;

use std::collections::{BTreeMap, BTreeSet};

use hatch_code::safe_path;

use self::problem::shown;

/// The most files in an application.
pub(crate) const MAX_FILES: usize = 400;
/// The largest file, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 400_000;
/// The largest application, in bytes: a project holds 1.4 MB in one row, and packaging adds files.
pub(crate) const MAX_TOTAL_BYTES: usize = 1_200_000;
/// The most problems in one report.
pub(crate) const MAX_PROBLEMS: usize = 40;
/// The most problems of one file, so that one broken file does not hide the others.
const MAX_OF_A_FILE: usize = 10;

/// The problems of an application (path to content), the worst first.
pub(crate) fn verify(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let whole = |message: String| vec![Problem::new("", None, message)];
    if files.is_empty() {
        return whole("there are no files: write the application".to_owned());
    }
    if files.len() > MAX_FILES {
        return whole(format!(
            "there are {} files, and at most {MAX_FILES} are allowed: write fewer",
            files.len()
        ));
    }
    let bytes: usize = files.iter().map(|(path, text)| path.len() + text.len()).sum();
    if bytes > MAX_TOTAL_BYTES {
        return whole(format!(
            "the files have {bytes} bytes together, and at most {MAX_TOTAL_BYTES} are allowed: write less"
        ));
    }
    let mut problems = paths(files);
    problems.extend(files.iter().flat_map(|(path, text)| of_a_secret(path, text)));
    problems.extend(files.iter().filter_map(|(path, text)| content(path, text)));
    problems.extend(manifest::problems(files));
    problems
}

/// The first [`MAX_PROBLEMS`]; the last of them says how many more there are.
pub(crate) fn first_problems(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - (MAX_PROBLEMS - 1);
        problems.truncate(MAX_PROBLEMS - 1);
        problems.push(Problem::new("", None, format!("and {more} more problems: solve these first")));
    }
    problems
}

/// Problems of paths that are not the same file on every system.
fn paths(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let folded: BTreeSet<String> = files.keys().map(|path| path.to_lowercase()).collect();
    let mut seen = BTreeSet::new();
    let wrong = |path: &String| {
        let lower = path.to_lowercase();
        let is_below_a_file =
            lower.match_indices('/').any(|(at, _)| lower.get(..at).is_some_and(|up| folded.contains(up)));
        let is_twice = !seen.insert(lower);
        let message = match safe_path(path) {
            Err(reason) => format!("{reason}: use a relative path with forward slashes"),
            Ok(normal) if normal != *path => format!("is written `{}` in short: use that", shown(&normal)),
            Ok(_) if is_twice => {
                "another path differs from it only in upper and lower case: use another name".to_owned()
            }
            Ok(_) if is_below_a_file => "a file has the name of its directory: use another name".to_owned(),
            Ok(_) => return None,
        };
        Some(Problem::new(path, None, message))
    };
    files.keys().filter_map(wrong).collect()
}

fn content(path: &str, text: &str) -> Option<Problem> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!(
            "has {} bytes, and at most {MAX_FILE_BYTES} are allowed: write it shorter, or as several files",
            text.len()
        );
        return Some(Problem::new(path, None, message));
    }
    if let Some(at) = text.find('\0') {
        let line = text.get(..at).map(|before| before.matches('\n').count() + 1);
        return Some(Problem::new(
            path,
            line.and_then(|line| u32::try_from(line).ok()),
            "holds a NUL character: write it as text",
        ));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    // Configurations of TypeScript and of editors may have comments; package.json is checked by its own rule.
    let has_comments = name.starts_with("tsconfig") || name.starts_with("jsconfig") || path.starts_with(".");
    if !name.ends_with(".json") || has_comments || path == "package.json" {
        return None;
    }
    let error = hatch_json::from_str::<serde::de::IgnoredAny>(text).err()?;
    let line = u32::try_from(error.line()).ok();
    Some(Problem::new(path, line, format!("is not valid JSON ({error}): write it again")))
}

fn of_a_secret(path: &str, text: &str) -> Vec<Problem> {
    let found = secrets::secrets(path, text).into_iter().take(MAX_OF_A_FILE);
    let detail = |(line, kind)| {
        let message = format!(
            "holds {kind}: leave it out, read it from an environment variable, and name that in .env.example without its value"
        );
        Problem::new(path, Some(line), message)
    };
    found.map(detail).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        generate::{complete::complete, idea, startup},
        upstream::sandbox::Templates,
    };

    fn application() -> BTreeMap<String, String> {
        startup::files(&idea::read("a booking app for dog walkers"), Templates::for_test(Templates::STARTUP))
    }

    fn with(path: &str, text: &str) -> Vec<String> {
        let mut files = application();
        files.insert(path.to_owned(), text.to_owned());
        verify(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_sandbox_s_own_startups_have_no_problems() {
        for prompt in [
            "a booking app",
            "日本の農家のための市場",
            "called `${x}` {{name}} <script>",
            "",
            "expense tracker",
        ] {
            assert_eq!(
                verify(&startup::files(&idea::read(prompt), Templates::for_test(Templates::STARTUP))),
                [],
                "{prompt}"
            );
        }
    }

    #[test]
    fn each_rule_names_the_file_and_line() {
        for (path, text, detail) in [
            ("package.json", "{", "package.json:1: is not valid JSON"),
            ("content/site.json", "{\n", "content/site.json:2: is not valid JSON"),
            ("/etc/passwd", "", "/etc/passwd: path is absolute"),
            ("../x", "", "../x: path has a '..' component"),
            ("app//x", "", "app//x: is written `app/x` in short"),
            ("APP/Page.tsx", "", "only in upper and lower case"),
            ("app/page.tsx/x", "", "a file has the name of its directory"),
            ("a.txt", "a\0", "a.txt:1: holds a NUL"),
            (".env", "A=\nKEY=1", ".env:2: holds a value of a setting"),
        ] {
            let problems = with(path, text);
            assert!(problems.iter().any(|problem| problem.contains(detail)), "{detail}: {problems:?}");
        }
    }

    #[test]
    fn a_secret_is_never_quoted() {
        let secret = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
        let problems = with("lib/key.ts", &format!("export const key = '{secret}'"));
        assert!(
            problems.len() == 1 && problems[0].starts_with("lib/key.ts:1: holds a GitHub token"),
            "{problems:?}"
        );
        assert!(!problems[0].contains(&secret));
    }

    #[test]
    fn the_caps_hold() {
        let many: BTreeMap<String, String> = (0..3_000).map(|n| (format!("{n}.ts"), String::new())).collect();
        assert_eq!(verify(&many).len(), 1);
        assert!(verify(&many)[0].message.contains("3000 files, and at most 400"));
        assert!(with("a.txt", &"a".repeat(MAX_FILE_BYTES + 1))[0].contains("write it shorter"));
        assert!(with("a.txt", &"a".repeat(MAX_TOTAL_BYTES))[0].contains("bytes together"));
        assert!(verify(&BTreeMap::new())[0].message.contains("no files"));
        let broken: BTreeMap<String, String> =
            (0..100).map(|n| (format!("{n}.ts"), "\0".to_owned())).collect();
        let problems = first_problems(verify(&broken));
        assert_eq!(problems.len(), MAX_PROBLEMS);
        // One for each file, and one for the missing package.json.
        assert!(problems[MAX_PROBLEMS - 1].message.starts_with("and 62 more"), "{:?}", problems.last());
    }

    proptest! {
        #[test]
        fn any_files_are_answered_within_bounds(files in proptest::collection::btree_map("\\PC{1,20}([.]tsx|[.]json|)", "(\\PC|\\pC|import |'|\"|from|[./]){0,60}", 0..6)) {
            for problem in verify(&files) {
                let detail = problem.to_string();
                prop_assert!(detail.chars().count() < 700 && !detail.contains('\n'), "{}", detail);
            }
        }

        #[test]
        fn completing_an_application_adds_no_problem(name in "\\PC{0,60}", tagline in "\\PC{0,90}") {
            let mut files = application();
            for path in ["Dockerfile", "README.md", "LICENSE", ".env.example", ".gitignore", ".dockerignore"] {
                files.remove(path);
            }
            complete(&mut files, &name, &tagline);
            prop_assert_eq!(verify(&files), []);
        }
    }
}
