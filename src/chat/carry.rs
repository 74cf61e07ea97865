//! Carries a model's answer to the client, saves it, and reports the end.
//!
//! Checkpoints save a long answer while it arrives, so that a killed Worker
//! loses only a few seconds of it.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use hatch_code::CodeMap;
use hatch_wire::{anthropic::Message, sse};
use serde_json::json;

use super::{
    arriving::Arriving,
    changes::Changes,
    pieces,
    settings::ChatFormat,
    store,
    turn::{Base, ChatTurn},
};
use crate::{
    error::{Error, Resource},
    identity::quotas::Taken,
    platform::{
        clock::{now_ms, sleep},
        log,
        pump::{Deadlines, End, Outcome, Rewrite, Source},
        stream::Writer,
    },
    redact,
    store::{Database, Rows, Statement, projects},
};

/// How often saving an answer is tried. A try fails when the database is busy
/// or another request has just changed the code; half a minute of tries is enough.
const SAVES: u32 = 20;

/// The row of the answer no longer exists.
pub(super) const DELETED: Error = Error::NotFound(Resource::Project);

/// An answer that has begun, and where it belongs.
pub(super) struct Answer {
    pub(super) turn: ChatTurn,
    pub(super) base: Base,
    pub(super) deadlines: Deadlines,
    pub(super) database: Database,
}

impl Answer {
    /// Carries the answer to the client and saves it. Runs in the background of
    /// the request, whether or not the client stays.
    pub(super) async fn carry(self, source: Source, arriving: Arriving, client: Writer) {
        let is_translated = arriving.is_translated();
        let arriving = Rc::new(RefCell::new(arriving));
        let rewrite = match self.turn.format {
            ChatFormat::Events if is_translated => Some(translated(arriving.clone())),
            ChatFormat::Events => None,
            ChatFormat::Text => Some(pieces::rewrite(arriving.clone())),
        };
        let unwanted = source.unwanted();
        let checkpoint = async |new: Vec<u8>| {
            if self.checkpoint(&arriving, &new).await == Checkpoint::Refused {
                unwanted.set(self.is_stopped().await);
            }
        };
        let Outcome { received, end, client } =
            source.pump(client, rewrite, self.deadlines, checkpoint).await;
        let mut arriving = arriving.take();
        arriving.finish(&received, end == End::Closed);
        let last: Vec<Vec<u8>> = match self.turn.format {
            ChatFormat::Events => vec![arriving.pass_events_on()],
            ChatFormat::Text => pieces::of(arriving.pass_on()).map(String::into_bytes).collect(),
        };
        let (message, saved) = self.settle(arriving.into_message()).await;
        let Some(client) = client else { return };
        // A client of Claude's own events has got its `error` event already.
        let has_sent_error =
            || self.turn.format == ChatFormat::Events && !is_translated && sse::has_event(&received, "error");
        let events = match message.error {
            Some(_) if has_sent_error() => Vec::new(),
            _ => final_events(&self.turn, &message, end, saved.map(|changes| self.kept(&message, changes))),
        };
        for events in pieces::together(last.into_iter().chain(events.into_iter().map(String::into_bytes))) {
            // A client that leaves now misses only these events.
            let _ = client.write(&events).await;
        }
        client.close().await;
    }

    /// Saves what has come since the last checkpoint, and books what it cost. A failed checkpoint is made up for by the
    /// next one, or by the save at the end.
    async fn checkpoint(&self, arriving: &RefCell<Arriving>, new: &[u8]) -> Checkpoint {
        let text = text_so_far(&self.turn, &mut arriving.borrow_mut(), new);
        let cost = self.turn.cost(arriving.borrow().message()).unwrap_or_default();
        let reserved = self.turn.reserved.as_ref();
        let draw = reserved.and_then(|reserved| reserved.draw(cost));
        let Ok(rows) = self.database.batch_all([text].into_iter().chain(draw).collect()).await else {
            return Checkpoint::Failed;
        };
        arriving.borrow_mut().keep();
        if let (Some(reserved), Some(drawn)) = (reserved, rows.get(1))
            && !drawn.is_empty()
        {
            reserved.has_drawn(cost);
        }
        if rows.first().is_some_and(Rows::is_empty) { Checkpoint::Refused } else { Checkpoint::Kept }
    }

    fn kept(&self, message: &Message, changes: Changes) -> Kept {
        Kept { changes, cost_micro_usd: self.turn.cost(message) }
    }

    /// Whether the user has stopped the answer.
    async fn is_stopped(&self) -> bool {
        self.database.query(store::require_not_stopped(&self.turn)).await == Err(Error::GuardFailed)
    }

    /// Books and saves the answer, and returns it as it was saved.
    async fn settle(&self, mut message: Message) -> (Message, Result<Changes, Error>) {
        let Self { turn, base, database, .. } = self;
        // The cost first: a kill between the two loses a part of the answer, and no money.
        reconcile(turn, &message, database).await;
        let mut saved = save(turn, &message, base, database).await;
        if saved == Err(Error::GuardFailed) {
            // The answer was complete before we saw that the user had stopped it: leave the code alone.
            message = Message::kept(message.text, message.model, message.usage, false);
            saved = save(turn, &message, base, database).await;
        }
        if let Err(error) = &saved {
            log::line(&json!({
                "level": "error", "event": "chat.save", "message_id": turn.id, "code": error.code(),
                "detail": error.internal_detail().map(redact::text),
            }));
        }
        (message, saved)
    }
}

/// What is kept of an answer besides its text.
pub(super) struct Kept {
    pub(super) changes: Changes,
    pub(super) cost_micro_usd: Option<i64>,
}

/// The result of a checkpoint.
#[derive(PartialEq, Eq)]
enum Checkpoint {
    Kept,
    /// The row takes no more text: the user has stopped the answer, or it is gone.
    Refused,
    Failed,
}

/// Reads the new bytes, and saves the text that is not saved yet.
fn text_so_far(turn: &ChatTurn, arriving: &mut Arriving, new: &[u8]) -> Statement {
    match arriving.checkpoint(new) {
        (_, "") => store::touch(turn, now_ms()),
        (kept, text) => store::checkpoint(turn, kept, text, now_ms()),
    }
}

/// Gives the client the events of a translated answer.
fn translated(arriving: Rc<RefCell<Arriving>>) -> Rewrite {
    Box::new(move |bytes: &[u8], writes: &mut VecDeque<Vec<u8>>| {
        let mut arriving = arriving.borrow_mut();
        arriving.read(bytes);
        let events = arriving.pass_events_on();
        if !events.is_empty() {
            writes.push_back(events);
        }
    })
}

/// Books the real cost of the answer, and returns to the user's quotas the rest
/// of what was reserved, and the message itself if nothing came. If the Worker
/// is killed before this, the sweep returns what no checkpoint has booked.
async fn reconcile(turn: &ChatTurn, message: &Message, database: &Database) {
    let booked =
        turn.reserved.as_ref().map(|reserved| reserved.reconcile(turn.cost(message).unwrap_or_default()));
    match booked.transpose() {
        Ok(booked) => {
            let unanswered = turn.counted.iter().filter(|_| message.is_empty()).map(Taken::refund);
            refund(booked.into_iter().flatten().chain(unanswered).collect(), database).await;
        }
        Err(error) => log::failure("chat.give_back", &error),
    }
}

/// Runs the statements that return something to a user's quotas, if there are any.
pub(super) async fn refund(statements: Vec<Statement>, database: &Database) {
    if statements.is_empty() {
        return;
    }
    if let Err(error) = database.batch_all(statements).await {
        log::failure("chat.give_back", &error);
    }
}

/// Saves the answer, and the files of a complete one.
async fn save(
    turn: &ChatTurn,
    message: &Message,
    asked_with: &Base,
    database: &Database,
) -> Result<Changes, Error> {
    let mut base = asked_with.clone();
    for tries in 1..=SAVES {
        match save_once(turn, message, &base, &asked_with.code, database).await {
            Ok(Some(saved)) => return Ok(saved),
            // Another request changed the code meanwhile: merge into the new code.
            Ok(None) => {
                base = Base::of(&database.query(projects::code(&turn.project_id, &turn.user)).await?)?
            }
            Err(Error::Unavailable(..)) if tries < SAVES => sleep(50 << tries.min(5)).await,
            Err(error) => return Err(error),
        }
    }
    Err(Error::Internal("the code changed during every try to save an answer".to_owned()))
}

/// Tries once to save. Returns none when the code is no longer `base`.
async fn save_once(
    turn: &ChatTurn,
    message: &Message,
    base: &Base,
    asked_with: &CodeMap,
    database: &Database,
) -> Result<Option<Changes>, Error> {
    let mut code = base.code.clone();
    let mut changes = Changes::make(message, &mut code, asked_with);
    let is_new = code != base.code;
    changes.version = base.version + i64::from(is_new);
    let save = store::save(turn, &store::AnswerUpdate::of(turn, message, &changes), now_ms());
    if !message.is_complete() {
        let kept = database.query(save).await?;
        return if kept.is_empty() { Err(DELETED) } else { Ok(Some(changes)) };
    }
    if !is_new {
        let [kept, _] = database.batch([save, store::require_not_stopped(turn)]).await?;
        return if kept.is_empty() { Err(DELETED) } else { Ok(Some(changes)) };
    }
    let [kept, _, replaced, _] = database
        .batch([
            save,
            store::require_not_stopped(turn),
            projects::replace_code(&turn.project_id, &turn.user, &code.to_json(), base.version, now_ms()),
            projects::record_version(&turn.project_id, &turn.user, "chat", Some(&turn.id)),
        ])
        .await?;
    match (kept.is_empty(), replaced.is_empty()) {
        (true, _) => Err(DELETED),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(changes)),
    }
}

/// The events that follow the model's own.
pub(super) fn final_events(
    turn: &ChatTurn,
    message: &Message,
    end: End,
    saved: Result<Kept, Error>,
) -> Vec<String> {
    match saved {
        Ok(kept) if message.is_complete() => done_events(turn, message, &kept),
        Ok(_) => vec![error_event(interruption(message, end))],
        Err(DELETED) => {
            vec![error_event(("not_found_error", "The project was deleted during the answer"))]
        }
        Err(_) => vec![error_event(("api_error", "The answer could not be saved; ask again"))],
    }
}

fn done_events(turn: &ChatTurn, message: &Message, kept: &Kept) -> Vec<String> {
    let mut what_was_saved = json!({
        "messageId": turn.id,
        "projectId": turn.project_id,
        "usage": message.usage,
        "model": turn.answered_as(message),
        "costMicroUsd": kept.cost_micro_usd,
    });
    if let (Some(note), Some(fields)) = (&turn.note, what_was_saved.as_object_mut()) {
        fields.insert("note".to_owned(), note.as_str().into());
    }
    vec![
        sse::event("files", &json!(kept.changes)),
        sse::event("saved", &what_was_saved),
        match turn.format {
            ChatFormat::Events => sse::event("done", &json!({ "type": "done", "done": true })),
            // Without an event name, as readers of `{"text"}` pieces expect.
            ChatFormat::Text => {
                let mut done = String::new();
                sse::push_data(&mut done, &json!({ "done": true }));
                done
            }
        },
    ]
}

fn error_event((kind, text): (&str, &str)) -> String {
    sse::event("error", &json!({ "type": "error", "error": { "type": kind, "message": text } }))
}

fn interruption(message: &Message, end: End) -> (&'static str, &'static str) {
    if let Some(kind) = message.error {
        return (kind, "The model ended the answer with an error; the text so far is saved");
    }
    match end {
        End::Stalled => ("timeout_error", "The model stopped sending; the text so far is saved"),
        End::Abandoned => ("api_error", "The answer was stopped; the text so far is saved"),
        End::Closed | End::Cut | End::TooLong => {
            ("api_error", "The answer was cut off; the text so far is saved")
        }
    }
}
