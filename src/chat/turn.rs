//! One turn, from the first byte of the answer to the last word to the
//! client: carried, understood, saved, told.

use serde_json::{Value, json};

use super::store;
use crate::{
    code::{self, CodeMap, ExtractedFile, FileChange},
    error::Error,
    http::sse,
    platform::{
        clock::{now_ms, sleep},
        log,
        pump::{Deadlines, End, Outcome, Rewrite, Source},
        stream::Writer,
    },
    settings::ChatFormat,
    store::{Database, Rows, projects},
    upstream::anthropic::{
        events::{Decoder, Message},
        models,
    },
};

/// Tries to save an answer; the first failure is most often a busy database.
const SAVES: u32 = 5;

/// A question and the answer to come.
#[derive(Debug)]
pub(super) struct Turn {
    /// Of the answer's row.
    pub(super) id: String,
    pub(super) question_id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) model: String,
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
struct Saved {
    /// The version of the project's code, and what the answer did to it.
    version: i64,
    files: Vec<FileChange>,
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
    let Outcome { received, end, client } = source.pump(client, rewrite, deadlines).await;
    let message = Message::of(&received);
    let saved = save(&turn, &message, base, &database).await;
    if let Err(error) = &saved {
        log::line(&json!({
            "level": "error", "event": "chat.save", "message_id": turn.id, "detail": error.internal_detail(),
        }));
    }
    let Some(client) = client else { return };
    // A client that leaves now has missed no more than our own last words.
    let _ = client.write(last_words(&turn, &message, end, format, saved).as_bytes()).await;
    client.close().await;
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
    let mut tries = 0;
    loop {
        tries += 1;
        match save_once(turn, message, &mut base, database).await {
            Err(Error::Unavailable(_) | Error::Conflict { .. }) if tries < SAVES => sleep(50 << tries).await,
            result => return result,
        }
    }
}

async fn save_once(turn: &Turn, message: &Message, base: &mut Base, database: &Database) -> Result<Saved, Error> {
    let (mut code, version) = (base.code.clone(), base.version);
    let files = code.merge(extracted(message));
    let save = store::save(turn, &store::Answer::of(turn, message));
    if code == base.code {
        database.query(save).await?;
        return Ok(Saved { version, files });
    }
    let [kept, replaced, _] = database
        .batch([
            save,
            projects::replace_code(&turn.project_id, &turn.user, &code.to_json(), version, now_ms()),
            projects::record_version(&turn.project_id, &turn.user, "chat", Some(&turn.id)),
        ])
        .await?;
    // No row any more: the project was deleted while Claude answered.
    if kept.is_empty() || !replaced.is_empty() {
        return Ok(Saved { version: version + 1, files });
    }
    // Somebody changed the code meanwhile: merge into theirs.
    let theirs = database.query(projects::code(&turn.project_id, &turn.user)).await?;
    *base = Base::of(&theirs)?;
    Err(Error::Conflict { code: "code_changed", detail: String::new() })
}

/// The files of an answer. A turn that was cut changes nothing: half of a
/// change of several files could break what worked.
fn extracted(message: &Message) -> Vec<ExtractedFile> {
    match (message.is_complete(), message.ran_out()) {
        (false, _) => Vec::new(),
        (true, true) => code::extract_interrupted(&message.text),
        (true, false) => code::extract(&message.text),
    }
}

/// What follows Claude's own events.
fn last_words(turn: &Turn, message: &Message, end: End, format: ChatFormat, saved: Result<Saved, Error>) -> String {
    let mut out = String::new();
    match (message.is_complete(), saved) {
        (true, Ok(saved)) => done(&mut out, turn, message, format, &saved),
        (true, Err(_)) => failed(&mut out, "api_error", "The answer could not be saved; ask again"),
        // Claude's own error event has already gone to a client of the events.
        (false, _) if message.error.is_some() && format == ChatFormat::Events => {}
        (false, _) => {
            let (kind, text) = interruption(message, end);
            failed(&mut out, kind, text);
        }
    }
    out
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

fn failed(out: &mut String, kind: &str, text: &str) {
    // Ends an event that was cut in its middle, which would swallow this one.
    out.push_str("\n\n");
    let error: Value = json!({ "type": "error", "error": { "type": kind, "message": text } });
    out.push_str(&sse::event("error", &error));
}

fn interruption(message: &Message, end: End) -> (&str, &'static str) {
    if let Some(kind) = &message.error {
        return (kind, "Claude ended the answer with an error; what had come is saved");
    }
    match end {
        End::Stalled => ("timeout_error", "Claude fell silent; what had come is saved"),
        End::Closed | End::Cut | End::Abandoned => ("api_error", "The answer was cut off; what had come is saved"),
    }
}
