//! One turn, from the first byte of the answer to the last word to the
//! client: carried, understood, saved, told.
//!
//! A long answer is also put by while it comes, so that a Worker that is
//! killed loses a few seconds of it and not all.

use serde_json::json;

use super::store;
use crate::{
    accounts::quotas::Taken,
    code::{self, CodeMap, ExtractedFile, FileChange},
    error::Error,
    http::sse,
    platform::{
        clock::{now_ms, sleep},
        log,
        pump::{Deadlines, End, Outcome, Rewrite, Source},
        stream::Writer,
    },
    redact,
    settings::ChatFormat,
    store::{Database, Rows, Statement, projects},
    upstream::anthropic::{
        events::{Decoder, Message},
        models,
    },
};

/// Tries to save an answer. Each one that fails found a busy database, or
/// code that somebody else has just changed; half a minute of it is enough.
const SAVES: u32 = 20;

/// The row of the answer is there no more.
const DELETED: Error = Error::NotFound("Project not found");

/// A question and the answer to come.
#[derive(Debug)]
pub(super) struct Turn {
    /// Of the answer's row.
    pub(super) id: String,
    pub(super) question_id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) model: String,
    /// What was taken of the user's messages of today for it.
    pub(super) counted: Option<Taken>,
    /// What was set aside of their budget.
    pub(super) reserved: Option<Taken>,
}

/// The code that an answer changes.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) code: CodeMap,
    version: i64,
}

impl Base {
    /// Reads the row of [`projects::code`]; no row is no code.
    pub(super) fn of(project: &Rows) -> Result<Self, Error> {
        let project: Option<store::Project> = project.first()?;
        let (json, version) = project.map_or((None, 0), |project| (project.code, project.version));
        let code = CodeMap::parse(json.as_deref().unwrap_or("{}"))
            .map_err(|error| Error::Internal(format!("stored code: {error}")))?;
        Ok(Self { code, version })
    }
}

/// What a saved turn left.
pub(super) struct Saved {
    /// The version of the project's code, and what the answer did to it.
    version: i64,
    files: Vec<FileChange>,
}

impl Saved {
    /// What `message` did to the code `before` it, making `version`.
    pub(super) fn again(message: &Message, before: &Base, version: i64) -> Self {
        Self { version, files: before.code.clone().merge(extracted(message)) }
    }
}

/// Carries the answer to the client and saves it. Runs in the background of
/// the request, whether or not the client stays.
pub(super) async fn carry(
    turn: Turn,
    base: Base,
    source: Source,
    client: Writer,
    format: ChatFormat,
    deadlines: Deadlines,
    database: Database,
) {
    let rewrite = match format {
        ChatFormat::Events => None,
        ChatFormat::Text => Some(text_pieces()),
    };
    let put_by = async |so_far: Vec<u8>| {
        let message = Message::of(&so_far);
        // What is lost here is put by a few seconds later, or saved at the end.
        let _ = database.query(store::put_by(&turn, &message.text, now_ms())).await;
    };
    let Outcome { received, end, client } = source.pump(client, rewrite, deadlines, put_by).await;
    let message = Message::of(&received);
    let saved = save(&turn, &message, base, &database).await;
    settle(&turn, &message, &database).await;
    if let Err(error) = &saved {
        log::line(&json!({
            "level": "error", "event": "chat.save", "message_id": turn.id, "code": error.code(),
            "detail": error.internal_detail().map(redact::text),
        }));
    }
    let Some(client) = client else { return };
    let mut words = String::new();
    if format == ChatFormat::Events && !ends_an_event(&received) {
        // Else the half event would swallow the one that follows it.
        words.push_str("\n\n");
    }
    last_words(&mut words, &turn, &message, end, format, saved);
    // A client that leaves now has missed no more than our own last words.
    let _ = client.write(words.as_bytes()).await;
    client.close().await;
}

/// Gives back what was set aside and not spent, and the message if not a word
/// came. Lost with a Worker that is killed: then nobody knows what the answer
/// has cost.
async fn settle(turn: &Turn, message: &Message, database: &Database) {
    let cost = models::cost_of_answer(&turn.model, message);
    let unspent = turn.reserved.iter().map(|reserved| reserved.settle(cost));
    let unanswered = turn.counted.iter().filter(|_| message.text.is_empty()).map(Taken::refund);
    give_back(unspent.chain(unanswered).collect(), database).await;
}

/// Runs what gives back to a user's quotas, if there is anything.
pub(super) async fn give_back(statements: Vec<Statement>, database: &Database) {
    if statements.is_empty() {
        return;
    }
    if let Err(error) = database.batch_all(statements).await {
        log::failure("chat.give_back", &error);
    }
}

fn ends_an_event(stream: &[u8]) -> bool {
    ["\n\n", "\r\n\r\n", "\r\r"].iter().any(|blank_line| stream.ends_with(blank_line.as_bytes()))
}

/// Rewrites Claude's events into the `{"text"}` pieces of the original's
/// front end.
fn text_pieces() -> Rewrite {
    let (mut decoder, mut message) = (Decoder::default(), Message::default());
    Box::new(move |bytes| {
        let mut pieces = String::new();
        decoder.push(bytes, |data| {
            if let Some(text) = message.observe(data) {
                sse::push_data(&mut pieces, &json!({ "text": text }));
            }
        });
        // The text has been passed on; only the decoder's state is needed.
        message.text.clear();
        pieces.into_bytes()
    })
}

/// Saves the answer, and with a complete one the files it brings.
async fn save(turn: &Turn, message: &Message, mut base: Base, database: &Database) -> Result<Saved, Error> {
    for tries in 1..=SAVES {
        match save_once(turn, message, &base, database).await {
            Ok(Some(saved)) => return Ok(saved),
            // Somebody changed the code meanwhile: merge into theirs.
            Ok(None) => {
                base = Base::of(&database.query(projects::code(&turn.project_id, &turn.user)).await?)?
            }
            Err(Error::Unavailable(_)) if tries < SAVES => sleep(50 << tries.min(5)).await,
            Err(error) => return Err(error),
        }
    }
    Err(Error::Internal("the code never stood still".to_owned()))
}

/// One try; none when the code is no longer `base`.
async fn save_once(
    turn: &Turn,
    message: &Message,
    base: &Base,
    database: &Database,
) -> Result<Option<Saved>, Error> {
    let mut code = base.code.clone();
    let files = code.merge(extracted(message));
    let save = store::save(turn, &store::Answer::of(turn, message));
    if code == base.code {
        let kept = database.query(save).await?;
        return if kept.is_empty() { Err(DELETED) } else { Ok(Some(Saved { version: base.version, files })) };
    }
    let [kept, replaced, _] = database
        .batch([
            save,
            projects::replace_code(&turn.project_id, &turn.user, &code.to_json(), base.version, now_ms()),
            projects::record_version(&turn.project_id, &turn.user, "chat", Some(&turn.id)),
        ])
        .await?;
    match (kept.is_empty(), replaced.is_empty()) {
        (true, _) => Err(DELETED),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(Saved { version: base.version + 1, files })),
    }
}

/// The files of an answer. A turn that was cut changes nothing: half of a
/// change of several files could break what worked.
fn extracted(message: &Message) -> Vec<ExtractedFile> {
    if !message.is_complete() || message.was_refused() {
        return Vec::new();
    }
    match message.ran_out() {
        true => code::extract_interrupted(&message.text),
        false => code::extract(&message.text),
    }
}

/// What follows Claude's own events.
pub(super) fn last_words(
    out: &mut String,
    turn: &Turn,
    message: &Message,
    end: End,
    format: ChatFormat,
    saved: Result<Saved, Error>,
) {
    // Claude's own error event has already gone to a client of the events.
    if message.error.is_some() && format == ChatFormat::Events {
        return;
    }
    match saved {
        Ok(saved) if message.is_complete() => done(out, turn, message, format, &saved),
        Ok(_) => failed(out, interruption(message, end)),
        Err(DELETED) => failed(out, ("not_found_error", "The project was deleted while Claude answered")),
        Err(_) => failed(out, ("api_error", "The answer could not be saved; ask again")),
    }
}

fn done(out: &mut String, turn: &Turn, message: &Message, format: ChatFormat, saved: &Saved) {
    if format == ChatFormat::Text {
        return sse::push_data(out, &json!({ "done": true }));
    }
    let model = message.model.as_deref().unwrap_or(&turn.model);
    out.push_str(&sse::event("files", &json!({ "version": saved.version, "files": saved.files })));
    out.push_str(&sse::event(
        "saved",
        &json!({
            "messageId": turn.id,
            "projectId": turn.project_id,
            "usage": message.usage,
            "model": model,
            "costMicroUsd": models::cost_micro_usd(model, &message.usage),
        }),
    ));
    out.push_str(&sse::event("done", &json!({ "done": true })));
}

fn failed(out: &mut String, (kind, text): (&str, &str)) {
    let error = json!({ "type": "error", "error": { "type": kind, "message": text } });
    out.push_str(&sse::event("error", &error));
}

fn interruption(message: &Message, end: End) -> (&'static str, &'static str) {
    if let Some(kind) = message.error {
        return (kind, "Claude ended the answer with an error; what had come is saved");
    }
    match end {
        End::Stalled => ("timeout_error", "Claude fell silent; what had come is saved"),
        End::Closed | End::Cut | End::TooLong | End::Abandoned => {
            ("api_error", "The answer was cut off; what had come is saved")
        }
    }
}
