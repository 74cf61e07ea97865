//! What Claude is shown. Pure.

use hatch_code::{CodeMap, fenced};
use hatch_wire::anthropic::request::{Prompt, Turn};
use serde::Deserialize;

const SYSTEM: &str = "\
You are Hatch, an expert web developer who builds apps for people who do not program.

Build what the person asks for as a static web app that runs as it is, without a build step: \
index.html, styles.css and app.js, and more files where they help. Plain HTML, CSS and modern \
JavaScript; no framework, no package manager, no network resource that could be missing. The app must \
work fully in the browser, look finished on a phone and on a wide screen, and be accessible.

Answer with one or two sentences about what you built or changed, then every file that is new or \
changed, complete, each in a fenced code block whose info string is its language and path:

```html:index.html
<!doctype html>
...
```

Never abbreviate a file: a block replaces the whole file. Files that you do not mention stay as they \
are. If a file contains a fence, use a longer fence around it. When the person only asks a question, \
answer it without files.";

/// A message of the conversation as the database keeps it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HistoryMessage {
    role: String,
    content: String,
}

/// A question with all that it builds on.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) message: String,
    pub(super) code: &'a CodeMap,
    /// Oldest first.
    pub(super) history: Vec<HistoryMessage>,
}

impl Ask<'_> {
    /// How much Claude is shown, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let history: usize = self.history.iter().map(|said| said.content.len()).sum();
        SYSTEM.len() + context(self.code).len() + history + self.message.len()
    }

    pub(super) fn for_claude(self, model: String) -> Prompt {
        Prompt {
            model,
            system: SYSTEM.to_owned(),
            context: context(self.code),
            history: turns(self.history),
            message: self.message,
        }
    }
}

fn context(code: &CodeMap) -> String {
    if code.is_empty() {
        return String::new();
    }
    format!("The project's files as they are now:\n\n{}", fenced(code))
}

/// The API wants a user's turn first and no empty one, so an answer whose
/// question was left out by the budget is left out too.
fn turns(history: Vec<HistoryMessage>) -> Vec<Turn> {
    let spoken = history.into_iter().filter(|said| !said.content.trim().is_empty());
    let turns = spoken.map(|said| Turn { role: said.role, content: said.content });
    turns.skip_while(|turn| turn.role != "user").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: &str, content: &str) -> HistoryMessage {
        HistoryMessage { role: role.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn history_begins_with_a_user_and_has_no_empty_turn() {
        let turns =
            turns(vec![said("assistant", "a"), said("user", "b"), said("assistant", " "), said("user", "c")]);
        let contents: Vec<_> = turns.iter().map(|turn| turn.content.as_str()).collect();
        assert_eq!(contents, ["b", "c"]);
    }
}
