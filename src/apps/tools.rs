//! The agent's tools, which read and change a project's files and reach nothing
//! else: no network, no account, no secret. Pure; the caller runs the compiler.

use std::fmt::Write as _;

use hatch_code::{CodeMap, safe_path};
use hatch_dialects::{
    Json,
    request::{Tool, ToolKind},
};
use hatch_diff::{Edit, Files};
use serde_json::{Map, Value, json};

use super::transcript::{Call, MOST_RESULT, TOO_LONG};

/// How the agent ends its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finish {
    pub(super) name: Option<String>,
    pub(super) commit_message: String,
    pub(super) summary: String,
}

/// The effect of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// The output for the model. The files may have changed.
    Output(String),
    /// The reason why the call failed. No file has changed.
    Failed(String),
    /// Asks the compiler for errors.
    Check,
    /// Asks the compiler for the site.
    Preview,
    /// Ends the turn with a question.
    Ask(String),
    /// Ends the turn.
    Finish(Finish),
}

/// The most lines of a search result, and the most characters of a line.
const MOST_FOUND: usize = 100;
const MOST_LINE: usize = 300;
/// The most paths of a listing.
const MOST_LISTED: usize = 500;

/// Runs a call on `files`.
pub(super) fn run(call: &Call, files: &mut Files) -> Effect {
    if call.arguments == TOO_LONG {
        return Effect::Failed(
            "Your answer was too long to be read: write fewer or shorter files in one step".to_owned(),
        );
    }
    let arguments = match hatch_json::from_str::<Value>(if call.arguments.trim().is_empty() {
        "{}"
    } else {
        &call.arguments
    }) {
        Ok(Value::Object(arguments)) => Arguments(arguments),
        _ => {
            return Effect::Failed(
                "The arguments are not a JSON object; a long answer may have been cut off: write less in one step".to_owned(),
            );
        }
    };
    match effect(&call.name, &arguments, files) {
        Ok(effect) => effect,
        Err(reason) => Effect::Failed(reason),
    }
}

struct Arguments(Map<String, Value>);

impl Arguments {
    fn text(&self, name: &str) -> Result<&str, String> {
        self.optional(name)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    fn optional(&self, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` must be a string")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(number) => number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .map(Some)
                .ok_or_else(|| format!("`{name}` must be a whole number from 1 on")),
        }
    }

    /// A path that a project's file may have.
    fn path(&self) -> Result<String, String> {
        let path = self.text("path")?;
        safe_path(path).map_err(|reason| format!("{path:?}: {reason}"))
    }
}

fn effect(name: &str, arguments: &Arguments, files: &mut Files) -> Result<Effect, String> {
    let output = |text: String| Ok(Effect::Output(text));
    match name {
        "list_files" => output(listing(files)),
        "read_file" => output(read(files, arguments)?),
        "search" => output(search(files, arguments)?),
        "write_file" => output(write(files, arguments)?),
        "edit_file" => output(edit(files, arguments)?),
        "delete_file" => output(delete(files, arguments)?),
        "apply_diff" => output(apply(files, arguments)?),
        "check" => Ok(Effect::Check),
        "preview" => Ok(Effect::Preview),
        "ask_user" => Ok(Effect::Ask(not_blank(arguments.text("question")?, "question")?)),
        "finish" => Ok(Effect::Finish(Finish {
            name: arguments.optional("name")?.and_then(app_name),
            commit_message: not_blank(arguments.text("commit_message")?, "commit_message")?
                .chars()
                .take(500)
                .collect(),
            summary: not_blank(arguments.text("summary")?, "summary")?.chars().take(4_000).collect(),
        })),
        _ => Err(format!("There is no tool `{name}`; there are {}", NAMES.join(", "))),
    }
}

fn not_blank(text: &str, name: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err(format!("`{name}` must not be empty")) } else { Ok(text.to_owned()) }
}

/// Turns a text into a name of lower-case letters, digits and hyphens, as repositories have.
pub(super) fn app_name(name: &str) -> Option<String> {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
        if words.len() >= 50 {
            break;
        }
    }
    let words = words.trim_end_matches('-');
    (!words.is_empty()).then(|| words.to_owned())
}

/// Every path with its length.
pub(super) fn listing(files: &Files) -> String {
    if files.is_empty() {
        return "There are no files yet".to_owned();
    }
    let mut text = String::new();
    for (path, content) in files.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "{path} ({} bytes)", content.len());
    }
    if files.len() > MOST_LISTED {
        let _ = writeln!(text, "… and {} more", files.len() - MOST_LISTED);
    }
    text
}

fn known<'a>(files: &'a Files, path: &str) -> Result<&'a String, String> {
    files.get(path).ok_or_else(|| format!("There is no file {path:?}; list_files shows which there are"))
}

fn read(files: &Files, arguments: &Arguments) -> Result<String, String> {
    let path = arguments.path()?;
    let content = known(files, &path)?;
    let (from, to) = (arguments.number("from_line")?.unwrap_or(1).max(1), arguments.number("to_line")?);
    let lines = content.split_inclusive('\n').skip(from - 1);
    let text: String = match to {
        Some(to) => lines.take((to + 1).saturating_sub(from)).collect(),
        None => lines.collect(),
    };
    Ok(capped(&text, "the file goes on: read it by from_line and to_line"))
}

/// The beginning of a text that is too long, cut between two characters.
pub(super) fn capped(text: &str, note: &str) -> String {
    if text.len() <= MOST_RESULT {
        return text.to_owned();
    }
    let end = (0..=MOST_RESULT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!(
        "{}\n(cut off here after {end} of {} bytes; {note})",
        text.get(..end).unwrap_or_default(),
        text.len()
    )
}

fn search(files: &Files, arguments: &Arguments) -> Result<String, String> {
    let query = arguments.text("query")?;
    if query.is_empty() {
        return Err("`query` must not be empty".to_owned());
    }
    let (query, below) = (query.to_lowercase(), arguments.optional("path")?.unwrap_or_default());
    let lines = files.iter().filter(|(path, _)| path.starts_with(below)).flat_map(|(path, content)| {
        let query = query.clone();
        let numbered =
            content.lines().enumerate().filter(move |(_, line)| line.to_lowercase().contains(&query));
        numbered.map(move |(n, line)| {
            let line: String = line.chars().take(MOST_LINE).collect();
            format!("{path}:{}: {line}", n + 1)
        })
    });
    let found: Vec<String> = lines.take(MOST_FOUND + 1).collect();
    match found.len() {
        0 => Ok("Nothing found".to_owned()),
        n if n > MOST_FOUND => {
            let shown = found.into_iter().take(MOST_FOUND).collect::<Vec<_>>().join("\n");
            Ok(format!("{shown}\n(more than {MOST_FOUND} lines: search for something rarer)"))
        }
        _ => Ok(found.join("\n")),
    }
}

/// Replaces the files with `changed` if that is a valid project.
fn replace(files: &mut Files, changed: Files) -> Result<(), String> {
    CodeMap::of(changed.clone()).map_err(|error| error.to_string())?;
    *files = changed;
    Ok(())
}

fn write(files: &mut Files, arguments: &Arguments) -> Result<String, String> {
    let (path, content) = (arguments.path()?, arguments.text("content")?);
    if content.contains('\0') {
        return Err("`content` has a NUL character, and files here are text".to_owned());
    }
    let mut changed = files.clone();
    let old = changed.insert(path.clone(), content.to_owned());
    replace(files, changed)?;
    let verb = if old.is_some() { "Replaced" } else { "Created" };
    Ok(format!("{verb} {path} ({} bytes)", content.len()))
}

fn edit(files: &mut Files, arguments: &Arguments) -> Result<String, String> {
    let (path, old, new) = (arguments.path()?, arguments.text("old_string")?, arguments.text("new_string")?);
    let content = known(files, &path)?;
    if old.is_empty() {
        return Err("`old_string` must not be empty; write_file writes a whole file".to_owned());
    }
    let changed = match content.matches(old).count() {
        0 => {
            return Err(format!(
                "`old_string` is not in {path}: read the file and quote it to the letter, with its white space and line ends"
            ));
        }
        1 if new.contains('\0') => return Err("`new_string` has a NUL character".to_owned()),
        1 => content.replacen(old, new, 1),
        n => {
            return Err(format!(
                "`old_string` is {n} times in {path}: quote more around the place that is meant"
            ));
        }
    };
    let mut all = files.clone();
    all.insert(path.clone(), changed);
    replace(files, all)?;
    Ok(format!("Changed {path}"))
}

fn delete(files: &mut Files, arguments: &Arguments) -> Result<String, String> {
    let path = arguments.path()?;
    known(files, &path)?;
    files.remove(&path);
    Ok(format!("Deleted {path}"))
}

fn apply(files: &mut Files, arguments: &Arguments) -> Result<String, String> {
    let diff = arguments.text("diff")?;
    let edit = Edit::recognise(None, diff)
        .ok_or("`diff` is no unified diff: it begins with `diff --git`, or with `---` and `+++`")?;
    let applied =
        hatch_diff::apply(files, edit).map_err(|refusal| format!("The diff was not applied. {refusal}"))?;
    let paths: Vec<&str> = applied.changes.iter().map(|change| change.path.as_str()).collect();
    let text = format!("Applied to {}", paths.join(", "));
    replace(files, applied.files)?;
    Ok(text)
}

const NAMES: [&str; 11] = [
    "list_files",
    "read_file",
    "search",
    "write_file",
    "edit_file",
    "delete_file",
    "apply_diff",
    "check",
    "preview",
    "ask_user",
    "finish",
];

/// The tools, as they are offered to the model.
pub(super) fn offered() -> Vec<Tool> {
    let path =
        || json!({ "type": "string", "description": "Relative to the project's root, with forward slashes" });
    let text = |about: &str| json!({ "type": "string", "description": about });
    let tools = [
        ("list_files", "Lists every file of the project with its length.", json!({}), json!([])),
        (
            "read_file",
            "Reads a file, or some of its lines.",
            json!({ "path": path(), "from_line": { "type": "integer", "minimum": 1 }, "to_line": { "type": "integer", "minimum": 1 } }),
            json!(["path"]),
        ),
        (
            "search",
            "Finds a text in all files, whatever its case; tells path, line and the line itself.",
            json!({ "query": text("The text, no expression"), "path": text("Only below this beginning of paths") }),
            json!(["query"]),
        ),
        (
            "write_file",
            "Writes a whole file, new or in place of the old one.",
            json!({ "path": path(), "content": text("The whole content") }),
            json!(["path", "content"]),
        ),
        (
            "edit_file",
            "Replaces a text that is in the file exactly once.",
            json!({ "path": path(), "old_string": text("To the letter as in the file"), "new_string": text("What stands there then") }),
            json!(["path", "old_string", "new_string"]),
        ),
        ("delete_file", "Deletes a file.", json!({ "path": path() }), json!(["path"])),
        (
            "apply_diff",
            "Applies a unified diff in git's format to one or several files: all of it or nothing.",
            json!({ "diff": text("The diff") }),
            json!(["diff"]),
        ),
        (
            "check",
            "Compiles the project and tells everything that is wrong with it. Use it before you finish.",
            json!({}),
            json!([]),
        ),
        (
            "preview",
            "Compiles the project and shows what a visitor's browser would load.",
            json!({}),
            json!([]),
        ),
        (
            "ask_user",
            "Asks the user, and ends the turn until they answer. Only when you cannot go on without it.",
            json!({ "question": text("In the user's language") }),
            json!(["question"]),
        ),
        (
            "finish",
            "Ends the turn: the files are saved, committed and taken live.",
            json!({
                "name": text("What the app is called, for a new one: two or three words with hyphens"),
                "commit_message": text("One line"),
                "summary": text("What was done, for the user, in their language"),
            }),
            json!(["commit_message", "summary"]),
        ),
    ];
    let tool = |(name, about, properties, required): (&str, &str, Value, Value)| {
        let schema = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        Tool {
            name: name.to_owned(),
            namespace: None,
            description: Some(about.to_owned()),
            kind: ToolKind::Function { parameters: Json::parse(&schema.to_string()) },
            strict: None,
            cache: None,
            extra: Vec::new(),
        }
    };
    tools.into_iter().map(tool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let all = [
            ("index.html", "<h1>Hello</h1>\n<p>hello</p>\n"),
            ("src/app.js", "let n = 0;\nn += 1;\nn += 1;\n"),
        ];
        all.into_iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect()
    }

    fn called(files: &mut Files, name: &str, arguments: &Value) -> Effect {
        run(&Call { id: "c".into(), name: name.into(), arguments: arguments.to_string() }, files)
    }

    #[expect(clippy::needless_pass_by_value, reason = "json! is written where it is called")]
    fn output(files: &mut Files, name: &str, arguments: Value) -> String {
        match called(files, name, &arguments) {
            Effect::Output(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "json! is written where it is called")]
    fn refused(name: &str, arguments: Value) -> String {
        let mut changed = files();
        match called(&mut changed, name, &arguments) {
            Effect::Failed(reason) => {
                assert_eq!(changed, files(), "{name}: what fails changes nothing");
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_listed_read_found_written_and_deleted() {
        let mut files = files();
        assert_eq!(
            output(&mut files, "list_files", json!({})),
            "index.html (28 bytes)\nsrc/app.js (27 bytes)\n"
        );
        assert_eq!(
            output(&mut files, "read_file", json!({ "path": "./src/app.js", "from_line": 2, "to_line": 2 })),
            "n += 1;\n"
        );
        assert_eq!(output(&mut files, "read_file", json!({ "path": "src/app.js", "from_line": 9 })), "");
        let found = output(&mut files, "search", json!({ "query": "HELLO" }));
        assert_eq!(found, "index.html:1: <h1>Hello</h1>\nindex.html:2: <p>hello</p>");
        assert_eq!(
            output(&mut files, "search", json!({ "query": "hello", "path": "src/" })),
            "Nothing found"
        );
        assert_eq!(
            output(&mut files, "write_file", json!({ "path": "a.css", "content": "p{}" })),
            "Created a.css (3 bytes)"
        );
        assert_eq!(output(&mut files, "delete_file", json!({ "path": "a.css" })), "Deleted a.css");
        assert_eq!(files, super::tests::files());
    }

    #[test]
    fn an_edit_needs_a_text_that_is_in_the_file_exactly_once() {
        let mut changed = files();
        output(
            &mut changed,
            "edit_file",
            json!({ "path": "src/app.js", "old_string": "n = 0", "new_string": "n = $1" }),
        );
        assert_eq!(changed["src/app.js"], "let n = $1;\nn += 1;\nn += 1;\n");
        let edit = |old: &str| {
            refused("edit_file", json!({ "path": "src/app.js", "old_string": old, "new_string": "x" }))
        };
        assert!(edit("n += 1;").contains("2 times"));
        assert!(edit("n -= 1;").contains("is not in"));
        assert!(edit("").contains("must not be empty"));
    }

    #[test]
    fn no_path_leads_out_of_the_project() {
        for path in ["../../.dev.vars", "/etc/passwd", "a\\b", "C:x", "a/../../b", ".git/config", ""] {
            for name in ["read_file", "write_file", "delete_file", "edit_file"] {
                refused(name, json!({ "path": path, "content": "x", "old_string": "a", "new_string": "b" }));
            }
        }
        refused("read_file", json!({ "path": ".dev.vars" }));
        refused("apply_diff", json!({ "diff": "--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n" }));
    }

    #[test]
    fn a_diff_is_applied_as_a_whole_or_not_at_all() {
        let good = "--- a/index.html\n+++ b/index.html\n@@ -1,2 +1,2 @@\n-<h1>Hello</h1>\n+<h1>Bye</h1>\n <p>hello</p>\n";
        let mut changed = files();
        assert_eq!(output(&mut changed, "apply_diff", json!({ "diff": good })), "Applied to index.html");
        assert!(changed["index.html"].starts_with("<h1>Bye"));
        let bad =
            format!("{good}--- a/src/app.js\n+++ b/src/app.js\n@@ -1,1 +1,1 @@\n-let x = 9;\n+let y;\n");
        assert!(refused("apply_diff", json!({ "diff": bad })).contains("src/app.js"));
        refused("apply_diff", json!({ "diff": "please change it" }));
    }

    #[test]
    fn wrong_calls_get_a_reason() {
        assert!(refused("rm_rf", json!({})).contains("There is no tool `rm_rf`"));
        assert!(refused("read_file", json!({ "path": 7 })).contains("must be a string"));
        assert!(refused("read_file", json!({})).contains("is missing"));
        assert!(
            refused("read_file", json!({ "path": "index.html", "from_line": "x" })).contains("whole number")
        );
        let mut changed = files();
        for arguments in ["[", "7", "\"x\"", "{\"path\":\"inde"] {
            let call = Call { id: "c".into(), name: "read_file".into(), arguments: arguments.into() };
            assert!(matches!(run(&call, &mut changed), Effect::Failed(_)), "{arguments}");
        }
    }

    #[test]
    fn a_long_file_is_cut_to_the_most_bytes_of_a_result() {
        let mut files = Files::from([("long.txt".to_owned(), "é".repeat(20_000))]);
        let text = output(&mut files, "read_file", json!({ "path": "long.txt" }));
        assert!(
            text.len() < MOST_RESULT + 200 && text.contains("cut off here after 24000 of 40000 bytes"),
            "{}",
            text.len()
        );
        refused("write_file", json!({ "path": "huge.txt", "content": "x".repeat(1_500_000) }));
    }

    #[test]
    fn an_app_name_is_a_valid_repository_name() {
        assert_eq!(app_name("Pomodoro Timer!").as_deref(), Some("pomodoro-timer"));
        assert_eq!(app_name("../../x").as_deref(), Some("x"));
        assert_eq!(app_name("トマト"), None);
        assert!(app_name(&"ab ".repeat(90)).unwrap().len() <= 50);
    }

    #[test]
    fn every_offered_tool_exists() {
        let offered: Vec<String> = offered().into_iter().map(|tool| tool.name).collect();
        assert_eq!(offered, NAMES);
        for name in NAMES {
            let effect = called(&mut files(), name, &json!({}));
            assert!(!matches!(&effect, Effect::Failed(reason) if reason.contains("no tool")), "{name}");
        }
    }
}
