//! Begins a turn: writes its rows, in one batch. For an id without a project
//! it makes the project, and runs the batch again with it.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    images::{self, Image},
    model::Ask,
    prompt::HistoryMessage,
    settings::Chat,
    store,
    turn::{Base, ChatTurn},
};
use crate::settings::FromVars as _;
use crate::{
    error::{Error, Resource},
    http::{body, caller},
    identity::{Scope, User},
    models::SealedKey,
    platform::clock::now_ms,
    store::{Database, projects},
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::Project);

/// The longest name of a project that a message begins, in characters.
const NAME_CHARS: usize = 60;

/// A message of the user.
#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    #[garde(length(chars, min = 1, max = 64))]
    pub(super) project_id: String,
    #[garde(length(chars, min = 1, max = 32_000), custom(body::not_blank))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    pub(super) message: String,
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 128)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 128)))]
    pub(super) model: Option<String>,
    /// Shown to the model with this message, and kept with it.
    #[serde(default)]
    #[garde(length(max = images::MAX_IMAGES), dive)]
    #[cfg_attr(test, schemars(length(max = 4)))]
    pub(super) images: Vec<Image>,
}

/// How a message was taken.
pub(super) enum BeginOutcome {
    New(TurnContext),
    /// Another turn, of this id, answers the same message already.
    Twin(String),
}

/// The code and the conversation that the turn builds on.
pub(super) struct TurnContext {
    pub(super) base: Base,
    pub(super) history: Vec<HistoryMessage>,
    pub(super) has_made_project: bool,
    /// The user's stored keys of providers, if they were not known before.
    pub(super) keys: Option<Vec<SealedKey>>,
}

/// Begins `turn` with the message `new`, and reads the user's keys of providers on the way if asked.
///
/// # Errors
/// [`NOT_FOUND`] for another user's project and for an id that no project can
/// have; [`Error::Forbidden`] for a key that may not make projects.
pub(super) async fn begin(
    turn: &ChatTurn,
    new: &NewMessage,
    reads_keys: bool,
    ask: &Ask<'_>,
) -> Result<BeginOutcome, Error> {
    let Ask { context, user, database, .. } = *ask;
    let images = (!new.images.is_empty()).then(|| json!(new.images).to_string());
    let question = store::NewQuestion {
        message: &new.message,
        // The same text with another picture is another message.
        is_unique: context.has_idempotency_key() || images.is_some(),
        images,
        history_bytes: Chat::of(&context.settings)?.history_bytes(),
        reads_keys,
    };
    let mut has_made_project = false;
    let [mut project, mut history, mut rows] =
        database.batch(store::begin(turn, &question, now_ms())).await?;
    if project.is_empty() {
        may_begin_project(turn, user, database).await?;
        let now = now_ms();
        let [read, earlier, insert] = store::begin(turn, &question, now);
        let make = projects::begin(&turn.project_id, &turn.user, name_of(&new.message), now);
        let made;
        [made, project, history, rows] = database.batch([make, read, earlier, insert]).await?;
        has_made_project = !made.is_empty();
    }
    let Some(row) = project.first::<store::ExistingTurn>()? else { return Err(NOT_FOUND) };
    match (rows.is_empty(), row.twin) {
        (true, Some(twin)) => Ok(BeginOutcome::Twin(twin)),
        // Another request with the same Idempotency-Key began this turn.
        (true, None) => Ok(BeginOutcome::Twin(turn.id.clone())),
        (false, _) => Ok(BeginOutcome::New(TurnContext {
            base: Base::of(&project)?,
            history: history.read()?,
            has_made_project,
            keys: row.keys,
        })),
    }
}

/// Whether the message may begin the project that its id names.
///
/// # Errors
/// [`NOT_FOUND`] for an id that can be no project's; [`Error::Forbidden`] for a key that may not make projects, unless
/// the id is another user's project, which is [`NOT_FOUND`] too.
async fn may_begin_project(turn: &ChatTurn, user: &User, database: &Database) -> Result<(), Error> {
    if !is_uuid(&turn.project_id) {
        return Err(NOT_FOUND);
    }
    if user.scopes.contains(Scope::ProjectsWrite) {
        return Ok(());
    }
    let is_free = database.query(store::exists(&turn.project_id)).await?.is_empty();
    Err(if is_free { caller::lacks(Scope::ProjectsWrite) } else { NOT_FOUND })
}

/// A UUID in the one form that the database keeps; other ids stay as they are.
pub(super) fn project_id(given: String) -> String {
    if given.len() != 36 {
        return given;
    }
    Uuid::try_parse(&given).map_or(given, |id| id.to_string())
}

/// Whether a new project may have this id: a UUID (RFC 9562) in our own form,
/// and neither the nil nor the max UUID.
fn is_uuid(id: &str) -> bool {
    id.len() == 36 && Uuid::try_parse(id).is_ok_and(|id| !id.is_nil() && !id.is_max())
}

/// The name of a new project: the beginning of `message`, cut after a word.
fn name_of(message: &str) -> String {
    let visible = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let mut name = String::new();
    let mut chars = 0;
    for word in visible.split_whitespace() {
        let length = word.chars().count() + usize::from(!name.is_empty());
        if chars + length > NAME_CHARS {
            break;
        }
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
        chars += length;
    }
    if name.is_empty() {
        // The message begins with one long word, as in languages without spaces between words.
        name.extend(visible.trim_start().chars().take(NAME_CHARS));
    }
    if name.is_empty() { "New project".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_the_beginning_of_the_message_cut_after_a_word() {
        for (message, expected) in [
            ("A pomodoro timer", "A pomodoro timer"),
            ("  A\n\ttimer\u{0} with   sounds ", "A timer with sounds"),
            (
                "Build me a pomodoro timer with a tomato red look and a big button",
                "Build me a pomodoro timer with a tomato red look and a big",
            ),
            ("トマトのタイマー", "トマトのタイマー"),
        ] {
            assert_eq!(name_of(message), expected);
        }
        assert_eq!(name_of(&"x".repeat(200)), "x".repeat(60));
        assert_eq!(name_of("\u{1}\u{2}"), "New project");
    }

    #[test]
    fn only_a_uuid_can_become_a_project() {
        for id in
            ["", "nowhere", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
        {
            assert!(!is_uuid(id), "{id}");
        }
        for id in ["1f3a9c046b524d0e9a572f8e4c1b7d36", "{1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36}"] {
            assert!(!is_uuid(&project_id(id.to_owned())), "{id}");
        }
        assert!(is_uuid("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36"));
        assert_eq!(
            project_id("1F3A9C04-6B52-4D0E-9A57-2F8E4C1B7D36".to_owned()),
            "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36"
        );
        assert_eq!(project_id("Mine".to_owned()), "Mine");
    }

    proptest! {
        #[test]
        fn a_name_is_one_that_a_project_may_have(message in "\\PC*[\\PC&&[^\\s]]\\PC*") {
            prop_assume!(!message.trim().is_empty());
            let name = name_of(&message);
            prop_assert!((1..=NAME_CHARS).contains(&name.chars().count()), "{name:?}");
            prop_assert!(!name.trim().is_empty());
        }
    }
}
