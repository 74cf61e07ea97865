//! What an answer does to the project's code, and how that is reported: in the
//! stream's `files`, with the conversation, and to the model in its next turn.
//! Pure.

use hatch_code::{CodeMap, Extraction, FileChange, FileStatus};
use hatch_wire::anthropic::Message;
use serde::{Deserialize, Serialize};

/// What an answer did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changes {
    /// The version of the code after it.
    pub(super) version: i64,
    pub(super) files: Vec<FileChange>,
    /// What else is worth knowing, in words: above all, what was not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

impl Changes {
    /// Lays the files of `message` over `code`, which was `asked_with` when the
    /// message began, and answers with what that changed.
    pub(super) fn make(message: &Message, code: &mut CodeMap, asked_with: &CodeMap) -> Self {
        if !message.is_complete() {
            // Half of a change of several files could break what worked.
            return Self::default();
        }
        if message.was_refused() {
            return Self::note("Claude declined to answer; nothing was changed");
        }
        if message.text.trim().is_empty() {
            return Self::note("Claude's answer is empty; ask again");
        }
        let answer = match message.ran_out() {
            true => hatch_code::extraction_interrupted(&message.text),
            false => hatch_code::extraction(&message.text),
        };
        let mut notes = notes_on_the_unnamed(&answer);
        let before = code.clone();
        let mut changes = Self { files: hatch_answer::apply_answer(code, answer), ..Self::default() };
        for change in &mut changes.files {
            let is_others = before.get(&change.path) != asked_with.get(&change.path);
            if is_others && change.status == FileStatus::Changed {
                change.reason = Some(
                    "it had been changed while this answer was written, and this answer came later".into(),
                );
            }
        }
        notes.extend(changes.files.iter().filter_map(note_on));
        if message.ran_out() {
            notes.push("The answer reached its greatest length; ask to go on".to_owned());
        }
        if !notes.is_empty() && !changes.files.iter().any(is_taken) {
            notes.push("Nothing was taken from this answer".to_owned());
        }
        changes.notes = notes;
        changes
    }

    fn note(note: &str) -> Self {
        Self { notes: vec![note.to_owned()], ..Self::default() }
    }
}

/// A sentence on a file that did not simply become what the answer says.
fn note_on(change: &FileChange) -> Option<String> {
    let (path, reason) = (&change.path, change.reason.as_deref()?);
    Some(match change.status {
        FileStatus::Incomplete => format!("{path} was kept as it was: {reason}"),
        FileStatus::Refused => format!("{path} was refused: {reason}"),
        _ => format!("{path}: {reason}"),
    })
}

/// Sentences on what changes no file that is known.
fn notes_on_the_unnamed(answer: &Extraction) -> Vec<String> {
    let patch = "A change was not made: it does not say which file it is for".to_owned();
    let patches = (answer.unnamed_edits > 0).then_some(patch);
    let elements = answer
        .ignored_elements
        .iter()
        .map(|name| format!("<{name}> was not followed: Hatch does not know it"));
    patches.into_iter().chain(elements).collect()
}

fn is_taken(change: &FileChange) -> bool {
    !matches!(change.status, FileStatus::Incomplete | FileStatus::Refused)
}

#[cfg(test)]
mod tests {
    use hatch_wire::anthropic::Usage;

    use super::*;

    fn made(answer: &str, code: &str, asked_with: &str) -> (Changes, CodeMap) {
        let message = Message::kept(answer.to_owned(), None, Usage::default(), true);
        let (mut code, asked_with) = (CodeMap::parse(code).unwrap(), CodeMap::parse(asked_with).unwrap());
        (Changes::make(&message, &mut code, &asked_with), code)
    }

    #[test]
    fn a_plain_answer_needs_no_words() {
        let (changes, code) = made("```js:a.js\nx\n```\n", "{}", "{}");
        assert_eq!(changes.notes, [""; 0]);
        assert_eq!(code.get("a.js"), Some("x\n"));
        assert_eq!(made("It is a page.", "{}", "{}").0, Changes::default());
    }

    #[test]
    fn nothing_taken_is_told_with_its_reason() {
        let (changes, code) = made("```js:../a.js\nx\n```\n", "{}", "{}");
        assert!(code.is_empty());
        assert_eq!(changes.files[0].status, FileStatus::Refused);
        assert!(changes.notes[0].starts_with("../a.js was refused: "), "{:?}", changes.notes);
        assert_eq!(changes.notes[1], "Nothing was taken from this answer");
        assert_eq!(made(" \n", "{}", "{}").0.notes, ["Claude's answer is empty; ask again"]);
    }

    #[test]
    fn a_file_that_somebody_else_has_changed_meanwhile_is_told() {
        let (changes, code) = made("```js:a.js\nmine\n```\n", r#"{"a.js":"theirs"}"#, r#"{"a.js":"old"}"#);
        assert_eq!(code.get("a.js"), Some("mine\n"));
        assert!(changes.notes[0].starts_with("a.js: it had been changed while"), "{:?}", changes.notes);
    }

    #[test]
    fn a_full_project_is_told() {
        let big = "x".repeat(1_399_000);
        let (changes, _) = made(
            &format!("```js:b.js\n{}\n```\n", "y".repeat(2_000)),
            &format!(r#"{{"a.js":"{big}"}}"#),
            "{}",
        );
        assert!(
            changes.notes[0].starts_with("b.js was kept as it was: the project is full"),
            "{:?}",
            changes.notes
        );
    }
}
