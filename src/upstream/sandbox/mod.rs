//! The sandbox model, which answers in development without `CLAUDE_API_KEY`.
//!
//! It is not a language model. It recognizes which kind of app a prompt asks for ([`archetypes`]),
//! takes the title and nouns from the prompt ([`wording`]), fills the templates of
//! `templates/apps/`, and can make a few changes to an existing app ([`edits`]). It is
//! deterministic, does no I/O, and says that it is the sandbox.

mod archetypes;
mod edits;
mod fill;
mod stream;
mod templates;
#[cfg(test)]
mod tests;
pub(crate) mod wording;

use std::collections::BTreeMap;

use archetypes::Archetype;
use edits::{Change, Outcome};
use wording::Prompt;

pub(crate) use fill::{fill, html};
pub(crate) use stream::events;
pub(crate) use templates::Templates;

/// The model id in every answer, row and event.
pub(crate) const MODEL: &str = "sandbox";

type Files = BTreeMap<String, String>;

const NEEDS_CLAUDE: &str = "set `CLAUDE_API_KEY`, and Claude takes over";

/// Answers `prompt` in Markdown: a sentence or two, then the files as fenced blocks with their
/// paths (` ```html:index.html `), then a sentence. A greeting, or a change that it cannot make,
/// gets an answer without files.
///
/// `current` is the project's files, path to content; `None` or empty for a new project. With
/// files, the prompt is a change to them, and the answer contains only changed files. `apps` are
/// the templates of [`Templates::APPS`]. The same inputs give the same answer.
pub(crate) fn answer(prompt: &str, current: Option<&BTreeMap<String, String>>, apps: &Templates) -> String {
    match current.filter(|files| !files.is_empty()) {
        None => first_turn(prompt, apps),
        Some(files) => follow_up(prompt, files, apps),
    }
}

fn first_turn(prompt: &str, apps: &Templates) -> String {
    let read = Prompt::read(prompt);
    let found = archetypes::find(&read);
    if found.is_none() && read.is_small_talk() {
        return introduction();
    }
    new_app(found.unwrap_or_else(archetypes::general), &read, apps)
}

fn follow_up(message: &str, files: &Files, apps: &Templates) -> String {
    let read = Prompt::read(message);
    if let Some(archetype) = other_app(&read, files) {
        return new_app(archetype, &read, apps);
    }
    let changes = edits::requested(&read, edits::PromptTurn::FollowUp);
    if changes.is_empty() {
        return beyond_me();
    }
    changed(&edits::apply(files, &changes))
}

/// The archetype of another app that a message clearly asks for.
fn other_app(read: &Prompt, files: &Files) -> Option<&'static Archetype> {
    if !read.asks_for_an_app() {
        return None;
    }
    let found = archetypes::find_clearly(read);
    if found.is_none() && read.names_an_app() {
        return Some(archetypes::general());
    }
    // "Make a green timer" for a timer changes it; it asks for no other app.
    let same = |archetype: &&Archetype| !archetypes::is_made_from(archetype, files);
    match edits::requested(read, edits::PromptTurn::FollowUp).is_empty() {
        true => found,
        false => found.filter(same),
    }
}

fn new_app(archetype: &'static Archetype, read: &Prompt, apps: &Templates) -> String {
    let app = archetypes::write(archetype, read, apps);
    let changes: Vec<Change> = edits::requested(read, edits::PromptTurn::First);
    let mut files = app.files;
    files.extend(edits::apply(&files, &changes).files);

    let title = in_prose(&app.title);
    let mut text = format!(
        "Here is “{title}”: {} It is plain HTML, CSS and JavaScript, works on a phone and on a desk, and follows the system's light or dark colours.",
        archetype.about
    );
    if let Some(note) = &app.note {
        text.push(' ');
        text.push_str(note);
    }
    text.push_str("\n\n");
    text.push_str(&blocks(&files));
    text.push_str(&format!(
        "Ask for another title, accent colour, light or dark mode, larger text or rounder corners, or for a different app. This is the sandbox model; for anything else {NEEDS_CLAUDE}.\n"
    ));
    text
}

fn changed(outcome: &Outcome) -> String {
    if outcome.files.is_empty() {
        return match outcome.done.is_empty() {
            true => beyond_me(),
            false => format!(
                "It already is as you ask: {}. No file was changed.\n",
                in_prose(&outcome.done.join(", "))
            ),
        };
    }
    format!(
        "Done: {}. Nothing else was touched.\n\n{}The sandbox model makes only changes of this kind; for anything else {NEEDS_CLAUDE}.\n",
        in_prose(&outcome.done.join(", ")),
        blocks(&outcome.files)
    )
}

fn introduction() -> String {
    format!(
        "I am the sandbox model, which answers while there is no key for Claude. Tell me what to build, such as “a pomodoro timer”, “an expense tracker for a trip” or “a quiz about capitals”, and I write a working app. For a real conversation {NEEDS_CLAUDE}.\n"
    )
}

fn beyond_me() -> String {
    format!(
        "I cannot make that change, and I have left the files as they are. The sandbox model can change the title, the accent or background colour, light or dark mode, the size of the text and the corners, or make a different app (“make a quiz about space instead”). For everything else {NEEDS_CLAUDE}.\n"
    )
}

/// The files as fenced blocks. A fence is longer than any run of backticks in the file, so that it
/// ends at the right place.
fn blocks(files: &Files) -> String {
    let mut text = String::new();
    // The page first, then its styles, then its scripts.
    let mut ordered: Vec<(&String, &String)> = files.iter().collect();
    ordered.sort_by_key(|(path, _)| (!path.ends_with(".html"), !path.ends_with(".css")));
    for (path, content) in ordered {
        let fence = "`".repeat(longest_run_of_backticks(content).max(2) + 1);
        let language = path.rsplit_once('.').map_or("text", |(_, extension)| extension);
        let newline = if content.ends_with('\n') { "" } else { "\n" };
        text.push_str(&format!("{fence}{language}:{path}\n{content}{newline}{fence}\n\n"));
    }
    text
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text from a prompt for a Markdown sentence, without characters that could be markup.
fn in_prose(text: &str) -> String {
    text.chars().filter(|c| !"`*_[]<>\\|~&{}".contains(*c) && !c.is_control()).collect()
}
