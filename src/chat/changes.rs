//! What an answer changes in the project's code. The result goes into the
//! stream's `files` event, the conversation, and the model's next turn. Pure.

use hatch_code::{CodeMap, Extraction, FileChange, FileStatus};
use hatch_wire::anthropic::Message;
use serde::{Deserialize, Serialize};

/// What an answer changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changes {
    /// The version of the code after the answer.
    pub(super) version: i64,
    pub(super) files: Vec<FileChange>,
    /// Sentences for the user, above all about files that were not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

impl Changes {
    /// Writes the files of `message` into `code`, and returns what that changed.
    /// `asked_with` is the code as it was when the message began.
    pub(super) fn make(message: &Message, code: &mut CodeMap, asked_with: &CodeMap) -> Self {
        if !message.is_complete() {
            // An incomplete change of several files could break a working app.
            return Self::default();
        }
        if message.was_refused() {
            return Self::note("The model declined to answer; nothing was changed");
        }
        if message.text.trim().is_empty() {
            return Self::note("The answer is empty; ask again");
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
            notes.push("The answer reached its maximum length; ask to continue".to_owned());
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

/// A sentence about a file that did not simply become what the answer has.
fn note_on(change: &FileChange) -> Option<String> {
    let (path, reason) = (&change.path, change.reason.as_deref()?);
    Some(match change.status {
        FileStatus::Incomplete => format!("{path} was kept as it was: {reason}"),
        FileStatus::Refused => format!("{path} was refused: {reason}"),
        _ => format!("{path}: {reason}"),
    })
}

/// Sentences about the parts of an answer that belong to no known file.
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

    fn changes_of(answer: &str, code: &str, asked_with: &str) -> (Changes, CodeMap) {
        let message = Message::kept(answer.to_owned(), None, Usage::default(), true);
        let (mut code, asked_with) = (CodeMap::parse(code).unwrap(), CodeMap::parse(asked_with).unwrap());
        (Changes::make(&message, &mut code, &asked_with), code)
    }

    #[test]
    fn a_plain_answer_has_no_notes() {
        let (changes, code) = changes_of("```js:a.js\nx\n```\n", "{}", "{}");
        assert_eq!(changes.notes, [""; 0]);
        assert_eq!(code.get("a.js"), Some("x\n"));
        assert_eq!(changes_of("It is a page.", "{}", "{}").0, Changes::default());
    }

    #[test]
    fn a_refused_file_is_reported_with_its_reason() {
        let (changes, code) = changes_of("```js:../a.js\nx\n```\n", "{}", "{}");
        assert!(code.is_empty());
        assert_eq!(changes.files[0].status, FileStatus::Refused);
        assert!(changes.notes[0].starts_with("../a.js was refused: "), "{:?}", changes.notes);
        assert_eq!(changes.notes[1], "Nothing was taken from this answer");
        assert_eq!(changes_of(" \n", "{}", "{}").0.notes, ["The answer is empty; ask again"]);
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_reported() {
        let (changes, code) =
            changes_of("```js:a.js\nmine\n```\n", r#"{"a.js":"theirs"}"#, r#"{"a.js":"old"}"#);
        assert_eq!(code.get("a.js"), Some("mine\n"));
        assert!(changes.notes[0].starts_with("a.js: it had been changed while"), "{:?}", changes.notes);
    }

    #[test]
    fn a_full_project_is_reported() {
        let big = "x".repeat(1_399_000);
        let (changes, _) = changes_of(
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
