//! Builds the prompt. Pure.

use hatch_code::{CodeMap, tokens_at_most};
use hatch_dialects::{
    IMAGE_TOKENS, Json, Request, estimate,
    request::{Message, Part, Reasoning, Role, ThinkingMode},
};
use serde::Deserialize;

use super::{changes::Changes, images::Image, settings::PromptBudget};

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

To change a few lines of a file that has more than 100, write only the changes into its block. Each has \
lines of the file exactly as they are, enough of them to be there only once, and what they become:

```js:app.js
const limit = 10;
```

Never abbreviate a file and never write a comment for code that stays: such a block is refused, and so \
is a change whose lines are not found exactly once. Files that you do not mention stay as they are. If a \
file contains a fence, use a longer fence around it. When the person only asks a question, answer it \
without files.";

/// By what the budget is divided when the prompt was too long.
const REDUCTION: u64 = 4;

/// A message of the conversation as it is in the database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HistoryMessage {
    role: String,
    content: String,
    /// What the answer changed in the code.
    #[serde(default)]
    changes: Option<Changes>,
}

/// A question with the code and the conversation that go with it.
#[derive(Debug)]
pub(super) struct ChatPrompt<'a> {
    pub(super) message: String,
    images: Vec<Image>,
    pub(super) code: &'a CodeMap,
    /// Oldest first.
    history: Vec<HistoryMessage>,
    /// The files that fit into the budget, as text.
    context: String,
    budget: PromptBudget,
}

impl<'a> ChatPrompt<'a> {
    /// Builds the prompt for `message` from as much code and history as `budget` allows.
    pub(super) fn new(
        message: String,
        code: &'a CodeMap,
        mut history: Vec<HistoryMessage>,
        budget: PromptBudget,
    ) -> Self {
        let changed = recently_changed(&history);
        let context = context(code, &message, &changed, budget.code_tokens);
        let mut left = Some(budget.history_tokens);
        let kept = history.iter().rev().take_while(|message| {
            left = left.and_then(|left| left.checked_sub(tokens_at_most(&message.content)));
            left.is_some()
        });
        let kept = kept.count();
        history.drain(..history.len() - kept);
        Self { message, images: Vec::new(), code, history, context, budget }
    }

    /// Adds pictures to the message.
    pub(super) fn with(self, images: Vec<Image>) -> Self {
        Self { images, ..self }
    }

    /// The same question with less code and history.
    pub(super) fn less(self) -> Self {
        let PromptBudget { history_tokens, code_tokens } = self.budget;
        let budget =
            PromptBudget { history_tokens: history_tokens / REDUCTION, code_tokens: code_tokens / REDUCTION };
        Self::new(self.message, self.code, self.history, budget).with(self.images)
    }

    pub(super) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// About how many tokens the prompt has: what it costs if the provider does not count them.
    pub(super) fn tokens(&self) -> u64 {
        self.sum_of(estimate)
    }

    /// How many tokens the prompt has at most, for what is reserved.
    pub(super) fn tokens_at_most(&self) -> u64 {
        self.sum_of(tokens_at_most)
    }

    fn sum_of(&self, tokens_of: fn(&str) -> u64) -> u64 {
        let fixed = [SYSTEM, &self.context, &self.message];
        let history = self.history.iter().map(|message| message.content.as_str());
        let pictures = IMAGE_TOKENS.saturating_mul(self.images.len() as u64);
        fixed.into_iter().chain(history).map(tokens_of).sum::<u64>().saturating_add(pictures)
    }

    /// The request for an answer of at most `longest` tokens. Three places end a part of it that repeats, and that
    /// a provider may cache: the system prompt, the code until it changes, and the conversation so far.
    pub(super) fn request(&self, longest: u64) -> Request {
        let mut system = vec![cached(SYSTEM)];
        if !self.context.is_empty() {
            system.push(cached(&self.context));
        }
        let mut messages = vec![Message::new(Role::System, system)];
        messages.extend(turns(&self.history));
        let mut parts: Vec<Part> = self.images.iter().map(Image::part).collect();
        parts.push(cached(&self.message));
        messages.push(Message::new(Role::User, parts));
        Request {
            messages,
            max_tokens: Some(longest),
            // The text should come at once; a model that always thinks shows that it does.
            reasoning: Some(Reasoning {
                mode: Some(ThinkingMode::BetweenTools),
                summary: Some("summarized".to_owned()),
                ..Reasoning::default()
            }),
            stream: true,
            ..Request::default()
        }
    }
}

/// A text up to whose end the prompt is cached.
fn cached(text: &str) -> Part {
    Part { cache: Json::parse(r#"{"type":"ephemeral"}"#), ..Part::text(text) }
}

/// The paths that the conversation changed, the latest first.
fn recently_changed(history: &[HistoryMessage]) -> Vec<String> {
    let changes = history.iter().rev().filter_map(|message| message.changes.as_ref());
    changes.flat_map(|changes| &changes.files).map(|file| file.path.clone()).collect()
}

fn context(code: &CodeMap, message: &str, changed: &[String], budget: u64) -> String {
    if code.is_empty() {
        return String::new();
    }
    format!("The project's files as they are now:\n\n{}", hatch_code::context(code, message, changed, budget))
}

/// The history as turns. The API requires a user's turn first and refuses empty
/// ones, so an answer whose question did not fit is left out too.
fn turns(history: &[HistoryMessage]) -> Vec<Message> {
    let written = history.iter().filter(|message| !message.content.trim().is_empty());
    let turns = written.map(|message| {
        let role = if message.role == "user" { Role::User } else { Role::Assistant };
        Message::new(role, vec![Part::text(message.with_notes())])
    });
    turns.skip_while(|turn| turn.role != Role::User).collect()
}

impl HistoryMessage {
    /// The message with the notes on files that were not taken; without them the
    /// model would believe that all its changes were made.
    fn with_notes(&self) -> String {
        match &self.changes {
            Some(changes) if !changes.notes.is_empty() => {
                format!("{}\n\n[Hatch: {}]", self.content, changes.notes.join(". "))
            }
            _ => self.content.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history_message(role: &str, content: &str) -> HistoryMessage {
        HistoryMessage { role: role.to_owned(), content: content.to_owned(), changes: None }
    }

    #[test]
    fn history_begins_with_a_user_and_has_no_empty_turn() {
        let turns = turns(&[
            history_message("assistant", "a"),
            history_message("user", "b"),
            history_message("assistant", " "),
            history_message("user", "c"),
        ]);
        let contents: Vec<_> = turns.iter().map(Message::text).collect();
        assert_eq!(contents, ["b", "c"]);
    }

    #[test]
    fn the_model_reads_which_of_its_files_were_not_taken() {
        let notes = vec!["app.js was kept as it was".to_owned()];
        let answer = HistoryMessage {
            changes: Some(Changes { notes, ..Changes::default() }),
            ..history_message("assistant", "Done.")
        };
        let turns = turns(&[history_message("user", "a"), answer]);
        assert_eq!(turns[1].text(), "Done.\n\n[Hatch: app.js was kept as it was]");
    }

    #[test]
    fn a_prompt_is_priced_as_the_gateway_prices_its_request() {
        let code = CodeMap::parse(r#"{"app.js":"const limit = 10; // Größe"}"#).unwrap();
        let history = vec![history_message("user", "時計"), history_message("assistant", "Done.")];
        let budget = PromptBudget { history_tokens: 8_000, code_tokens: 100_000 };
        let prompt = ChatPrompt::new("Make it blue".to_owned(), &code, history, budget);
        let image = serde_json::from_value(serde_json::json!({ "mediaType": "image/png", "data": "AAAA" }));
        let prompt = prompt.with(vec![image.unwrap()]);
        let request = prompt.request(100);
        // The gateway's rule adds four tokens for each message.
        let of_messages = 4 * request.messages.len() as u64;
        let of_request = hatch_dialects::estimate_prompt(&request) - of_messages;
        // Each text is rounded up, and what is between two texts is in one of them.
        assert!(of_request.abs_diff(prompt.tokens()) <= 4, "{of_request}, {}", prompt.tokens());
        assert!(prompt.tokens_at_most() > prompt.tokens());
    }

    #[test]
    fn a_reduced_prompt_has_less_code_and_less_history() {
        let files: serde_json::Map<_, _> =
            (0..200).map(|n| (format!("src/part{n}.js"), "let word = 1;\n".repeat(300).into())).collect();
        let code = CodeMap::parse(&serde_json::Value::from(files).to_string()).unwrap();
        let history =
            || (0..40).map(|n| history_message("user", &format!("{n} {}", "日本語".repeat(100)))).collect();
        let budget = PromptBudget { history_tokens: 8_000, code_tokens: 100_000 };
        let prompt = ChatPrompt::new("Change part7".to_owned(), &code, history(), budget);
        let most = 108_000 + tokens_at_most(SYSTEM);
        let has = prompt.tokens_at_most();
        assert!(has > 50_000 && has < most + 1_000, "{has}");
        let less = prompt.less();
        assert!(less.tokens_at_most() < most / 3, "{}", less.tokens_at_most());
        let messages = less.request(8_192).messages;
        assert!(messages[0].text().contains("```:src/part7.js"));
        assert!(messages[messages.len() - 2].text().starts_with("39 "));
    }

    #[test]
    fn the_parts_that_repeat_are_marked_and_an_empty_project_adds_none() {
        let code = CodeMap::parse(r#"{"index.html":"<p>"}"#).unwrap();
        let budget = PromptBudget { history_tokens: 100, code_tokens: 100 };
        let marked = |code: &CodeMap| {
            let prompt =
                ChatPrompt::new("A clock".to_owned(), code, vec![history_message("user", "Hi")], budget);
            let parts = prompt.request(8_192).messages.into_iter().map(|message| message.parts);
            parts.map(|parts| parts.iter().filter(|part| part.cache.is_some()).count()).collect::<Vec<_>>()
        };
        assert_eq!(marked(&code), [2, 0, 1]);
        assert_eq!(marked(&CodeMap::default()), [1, 0, 1]);
    }
}
