//! Saves the agent's work as a version of the project. Changes that the owner
//! has made meanwhile are kept: if both changed a file, the owner's version
//! stays, and an event says so.

use serde::{Deserialize, Serialize};

use super::{
    events::{DONE, Event, MessageKind},
    merge,
    steps::{COMMIT, DEPLOY},
    store::{self, turns::AppTurn, work::Draft},
    tools::Finish,
    work::{Work, code_of, files_of},
};
use crate::{
    error::Error,
    jobs::Outcome,
    platform::clock::now_ms,
    store::{Database, Rows, Statement, projects},
};

/// How an agent has ended its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ending {
    pub(super) kind: MessageKind,
    pub(super) text: String,
    name: Option<String>,
    pub(super) commit_message: Option<String>,
}

impl Ending {
    fn of(kind: MessageKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), name: None, commit_message: None }
    }

    /// The agent could not go on, for this reason.
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::of(MessageKind::RuntimeError, reason)
    }

    /// The agent asks the user.
    pub(super) fn question(text: String) -> Self {
        Self::of(MessageKind::RefinementRequest, text)
    }

    pub(super) fn finished(finish: Finish) -> Self {
        let Finish { name, commit_message, summary } = finish;
        Self { kind: MessageKind::ReviewResult, text: summary, name, commit_message: Some(commit_message) }
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|e| Error::Internal(e.to_string()))
    }
}

/// The project with the draft of a turn merged in.
#[derive(Debug)]
pub(super) struct Saved {
    /// The statements that save it. A guard among them fails if the project has
    /// changed meanwhile.
    pub(super) statements: Vec<Statement>,
    /// The paths of files that the owner has changed too.
    conflicts: Vec<String>,
    /// Whether the project changes.
    pub(super) has_changed: bool,
    /// Whether there are any files.
    has_files: bool,
}

#[derive(Debug, Deserialize)]
struct Project {
    code: Option<String>,
    version: i64,
}

/// Merges the draft of a turn into the project as it is now.
pub(super) async fn of_draft(turn: &AppTurn, database: &Database, now: i64) -> Result<Saved, Error> {
    let (app, user) = (turn.app_id.as_str(), turn.user_id.as_str());
    let [draft, project]: [Rows; 2] =
        database.batch([store::work::draft(&turn.id), projects::code(app, user)]).await?;
    let (Some(draft), Some(project)) = (draft.first::<Draft>()?, project.first::<Project>()?) else {
        return Ok(Saved {
            statements: Vec::new(),
            conflicts: Vec::new(),
            has_changed: false,
            has_files: false,
        });
    };
    let ours = files_of(&draft.files)?;
    let theirs = files_of(project.code.as_deref().unwrap_or("{}"))?;
    let merged = if draft.base_version == project.version {
        merge::Merged { files: ours, conflicts: Vec::new() }
    } else {
        let base = database.query(store::files::version(app, draft.base_version)).await?.into_json();
        merge::merge(&files_of(base.as_deref().unwrap_or("{}"))?, &ours, &theirs)
    };
    let has_changed = merged.files != theirs;
    let mut statements = Vec::new();
    if has_changed {
        statements.push(store::files::is_still(app, project.version));
        statements.push(projects::replace_code(app, user, &code_of(&merged.files), project.version, now));
        statements.push(projects::record_version(app, user, "agent", None));
    }
    Ok(Saved { statements, conflicts: merged.conflicts, has_changed, has_files: !merged.files.is_empty() })
}

/// Saves the work, and stores the event with the agent's ending.
pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let turn = &work.turn;
    let ending = turn.result.as_deref().and_then(|result| hatch_json::from_str::<Ending>(result).ok());
    let mut ending =
        ending.ok_or_else(|| Error::Internal("a turn is saved that has not ended".to_owned()))?;
    let saved = of_draft(turn, &work.context.database, now_ms()).await?;
    let mut writes = saved.statements;
    if !saved.conflicts.is_empty() {
        let paths = saved.conflicts.join(", ");
        ending.text.push_str(&format!(
            "

You have changed these files meanwhile, so your versions were kept: {paths}"
        ));
    }
    match ending.kind {
        MessageKind::ReviewResult if saved.has_files => {
            if let Some(name) = &ending.name {
                writes.extend(store::apps::name_app(turn, name));
            }
            let event = Event::idle(MessageKind::ReviewResult, ending.text);
            writes.push(work.add_events(&[event.with_names(ending.name, ending.commit_message)]));
            let step = if work.can_commit().await? { COMMIT } else { DEPLOY };
            Ok(Outcome::Next { step, writes })
        }
        MessageKind::ReviewResult => {
            let nothing = "No changes were made. Describe what you want in other words.";
            Ok(ended(work, writes, "done", Event::idle(MessageKind::StageResult, nothing)))
        }
        kind => {
            if kind == MessageKind::RuntimeError && saved.has_changed {
                ending.text.push_str(" What it has made until now is kept as a version of the project.");
            }
            let status = if kind == MessageKind::RuntimeError { "failed" } else { "done" };
            Ok(ended(work, writes, status, Event::idle(kind, ending.text)))
        }
    }
}

/// Ends the turn with its last event.
pub(super) fn ended(work: &Work, mut writes: Vec<Statement>, status: &str, last: Event) -> Outcome {
    writes.push(work.add_events(&[last, DONE]));
    if status == "failed" {
        writes.push(store::limits::refund(&work.turn.id));
    }
    writes.extend(store::turns::end(&work.turn.id, status, now_ms()));
    Outcome::Done { writes }
}
