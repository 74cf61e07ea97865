//! An agent server, which does the work in place of the built-in agent. It gets
//! one request with the files, and streams events with diffs against them. The
//! state that it wants to keep is stored sealed, and no client sees it.

use hatch_diff::{Binaries, Change, ChangeKind, Edit, Files, apply};
use hatch_wire::sse::Decoder;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    events::{Event, MessageKind},
    save::Ending,
    settings::AgentServer,
    steps::SAVE,
    store::{self, work::EarlierMessage},
    tools::{Finish, app_name},
    work::{Work, code_of},
};
use crate::{
    error::{Error, UpstreamKind},
    jobs::Outcome,
    platform::{
        clock::now_ms,
        fetch::{self, Failure, FetchResponse, OutboundRequest, Piece},
    },
    store::{Statement, files, sealing, sealing_key},
};

/// How many earlier messages are sent.
const EARLIER: u32 = 100;
/// The most bytes of one answer; one event may be megabytes.
const MOST_BYTES: usize = 24 * 1024 * 1024;
/// The most bytes of an agent's state.
const MOST_STATE: usize = 8 * 1024 * 1024;
const MOST_WORDS: usize = 8_000;
/// Markers that an agent sends in place of a diff.
const EMPTY_DIFF: &str = "# Note: This is a valid empty diff";
const BROKEN_DIFF: &str = "# ERROR GENERATING DIFF";

/// The fields of an event that are used. Absent ones are null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AgentEvent {
    status: String,
    message: AgentMessage,
}

#[derive(Debug, Deserialize)]
struct AgentMessage {
    kind: String,
    #[serde(default)]
    messages: Option<Vec<AgentText>>,
    #[serde(default, rename = "agentState")]
    agent_state: Option<Value>,
    #[serde(default, rename = "unifiedDiff")]
    unified_diff: Option<String>,
    #[serde(default)]
    app_name: Option<String>,
    #[serde(default)]
    commit_message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AgentText {
    #[serde(default)]
    content: String,
}

impl AgentMessage {
    fn text(&self) -> String {
        let texts =
            self.messages.iter().flatten().map(|text| text.content.trim()).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join("\n").chars().take(MOST_WORDS).collect()
    }

    fn kind(&self) -> Option<MessageKind> {
        hatch_json::from_value(&Value::from(self.kind.as_str())).ok()
    }

    /// The diff. None if it is empty or a marker for an empty one.
    fn diff(&self) -> Option<&str> {
        self.unified_diff
            .as_deref()
            .filter(|diff| !diff.trim().is_empty() && !diff.trim_start().starts_with(EMPTY_DIFF))
    }
}

/// Sends the message, and stores the agent's events until it waits or has ended.
pub(super) async fn step(work: &Work, server: &AgentServer) -> Result<Outcome, Error> {
    let turn = &work.turn;
    let files = work.files().await?;
    let body = request(work, &files).await?;
    let answer = ask(server, body, work.settings.timeouts.head_ms).await?;
    if work.job.attempts > 1 {
        let again =
            Event::running(MessageKind::WipUpdate, "The connection to the agent was lost; it starts again.");
        work.context.database.query(work.add_events(&[again])).await?;
    }
    let mut listener =
        Listener { work, sent: files, decoder: Decoder::default(), bytes: 0, draft: None, last: None };
    let ended = answer.read_pieces(server.idle_ms, async |piece| listener.read(&piece).await).await;
    let Listener { draft, last, .. } = listener;
    let mut writes = vec![store::turns::count_step(&turn.id, "agent-server")];
    let (ending, state) = match (last, ended) {
        (Some((ending, state)), _) => (ending, state),
        (None, Err(Piece::Refused(error))) if error.is_retryable() => return Err(error),
        (None, ended) => (Ending::failed(broken_off(&ended)), None),
    };
    writes.extend(draft.map(|files| store::work::set_draft(&turn.id, &code_of(&files))));
    if let Some(state) = state {
        writes.extend(store_state(work, &state).await?);
    }
    writes.push(store::turns::set_result(&turn.id, &ending.to_json()?));
    Ok(Outcome::Next { step: SAVE, writes })
}

fn broken_off(ended: &Result<(), Piece<Error>>) -> &'static str {
    match ended {
        Err(Piece::Failed(Failure::Timeout)) => "The agent stopped answering in the middle of its work.",
        Err(Piece::Failed(Failure::TooLong)) => "The agent sent more than 24 MB.",
        _ => "The connection to the agent broke off in the middle of its work.",
    }
}

/// The request's body: the conversation oldest first, the files, and the agent's state.
async fn request(work: &Work, files: &Files) -> Result<String, Error> {
    let turn = &work.turn;
    let earlier: Vec<EarlierMessage> =
        work.context.database.query(store::work::earlier(turn, EARLIER)).await?.read()?;
    let mut messages: Vec<Value> = earlier.iter().map(to_agent_message).collect();
    messages.push(json!({ "role": "user", "content": turn.message }));
    let mut body = json!({ "allMessages": messages, "applicationId": turn.app_id, "traceId": turn.trace_id });
    let sent: Vec<Value> = files
        .iter()
        .filter(|(path, _)| is_sent(path))
        .map(|(path, content)| json!({ "path": path, "content": content }))
        .collect();
    let key = || sealing_key(&work.settings);
    let Some(fields) = body.as_object_mut() else { return Err(Error::Internal("no request".to_owned())) };
    if !sent.is_empty() {
        fields.insert("allFiles".to_owned(), sent.into());
    }
    if let Some(template) = &turn.template_id {
        fields.insert("templateId".to_owned(), json!(template));
    }
    if let Some(settings) = &turn.settings {
        let opened = sealing::open(key()?, &turn.id, settings)?;
        fields.insert("settings".to_owned(), hatch_json::from_str(&opened).unwrap_or_default());
    }
    if let Some(state) = &turn.agent_state
        && let Some(sealed) = files::read_text(&work.context.env, state).await?
    {
        let opened = sealing::open(key()?, &turn.app_id, &sealed)?;
        fields.insert("agentState".to_owned(), hatch_json::from_str(&opened).unwrap_or_default());
    }
    Ok(body.to_string())
}

/// An earlier message in the form that agents take. An assistant's has a kind and a list of texts.
fn to_agent_message(earlier: &EarlierMessage) -> Value {
    if earlier.role == "user" {
        return json!({ "role": "user", "content": earlier.text });
    }
    json!({ "role": "assistant", "kind": earlier.kind, "messages": [{ "role": "assistant", "content": earlier.text }] })
}

/// Whether an agent gets this file. Agents fail on git's files and on their own patches.
fn is_sent(path: &str) -> bool {
    path.split('/').all(|part| {
        part != ".git"
            && part != ".github"
            && !(part.starts_with("unified_diff-") && part.ends_with(".patch"))
    })
}

async fn ask(server: &AgentServer, body: String, timeout_ms: u64) -> Result<FetchResponse, Error> {
    let request = OutboundRequest::post_json(format!("{}/message", server.url), body)
        .with("accept", "text/event-stream")
        // Compression would delay its events.
        .with("accept-encoding", "identity");
    let request = match &server.secret {
        Some(secret) => request.with("authorization", format!("Bearer {secret}")),
        None => request,
    };
    let upstream = |kind, words: &str| Err(Error::upstream(kind, words));
    match fetch::send(request, timeout_ms).await {
        Ok(answer) => match answer.status() {
            200 => Ok(answer),
            401 | 403 => upstream(
                UpstreamKind::Unauthorized,
                "The agent server refused our secret: check AGENT_API_SECRET_AUTH",
            ),
            400..500 => upstream(UpstreamKind::Rejected, "The agent server refused the request"),
            _ => upstream(UpstreamKind::Failed, "The agent server failed"),
        },
        Err(Failure::Timeout) => upstream(UpstreamKind::Timeout, "The agent server did not answer in time"),
        Err(_) => upstream(UpstreamKind::Unreachable, "The agent server cannot be reached"),
    }
}

/// Reads an agent's events.
struct Listener<'a> {
    work: &'a Work,
    /// The files that it was sent. Its diffs apply to them.
    sent: Files,
    decoder: Decoder,
    bytes: usize,
    /// The files after its last diff.
    draft: Option<Files>,
    /// How it has ended, and its new state.
    last: Option<(Ending, Option<Value>)>,
}

impl Listener<'_> {
    /// Reads the next bytes. Returns whether to go on.
    async fn read(&mut self, piece: &[u8]) -> Result<bool, Error> {
        self.bytes = self.bytes.saturating_add(piece.len());
        let mut events = Vec::new();
        self.decoder.push(piece, |data| events.push(data.to_owned()));
        for data in events {
            // An event that does not parse may be of a later protocol, and is skipped.
            if let Ok(event) = hatch_json::from_str::<AgentEvent>(&data) {
                self.event(event).await?;
            }
            if self.last.is_some() {
                return Ok(false);
            }
        }
        Ok(self.bytes <= MOST_BYTES)
    }

    async fn event(&mut self, event: AgentEvent) -> Result<(), Error> {
        let AgentEvent { status, message } = event;
        let Some(kind) = message.kind() else { return Ok(()) };
        let kept = match self.apply(&message) {
            Ok(kept) => kept,
            Err(refusal) => {
                let reason =
                    format!("The agent's changes do not fit the files, so none of them was made. {refusal}");
                self.last = Some((Ending::failed(reason), None));
                return Ok(());
            }
        };
        if status != "idle" {
            let text = message.text();
            if text.is_empty() {
                return Ok(());
            }
            let name = message.app_name.as_deref().and_then(app_name);
            let event = Event::running(kind, text).with_names(name, message.commit_message);
            return self.work.context.database.query(self.work.add_events(&[event])).await.map(drop);
        }
        let state = message.agent_state.clone().filter(|state| !state.is_null());
        self.last = Some((ending(kind, &message, &kept), state));
        Ok(())
    }

    /// Applies a diff to the files that the agent was sent. Returns the paths of
    /// binary files, which stay unchanged.
    fn apply(&mut self, message: &AgentMessage) -> Result<Vec<String>, String> {
        let Some(diff) = message.diff() else { return Ok(Vec::new()) };
        if diff.trim_start().starts_with(BROKEN_DIFF) {
            return Err("It could not write its diff.".to_owned());
        }
        let edit = Edit::Unified { diff, binaries: Binaries::Keep };
        let applied = apply(&self.sent, edit).map_err(|refusal| refusal.to_string())?;
        let is_kept = |change: &&Change| change.kind == ChangeKind::BinaryKept;
        let kept = applied.changes.iter().filter(is_kept).map(|change| change.path.clone()).collect();
        let files: Files = applied.files.into_iter().filter(|(path, _)| is_sent(path)).collect();
        hatch_code::CodeMap::of(files.clone()).map_err(|error| error.to_string())?;
        self.draft = Some(files);
        Ok(kept)
    }
}

/// The ending for the last event of an agent.
fn ending(kind: MessageKind, message: &AgentMessage, kept: &[String]) -> Ending {
    let mut text = message.text();
    match kind {
        MessageKind::RefinementRequest => Ending::question(text),
        MessageKind::RuntimeError => {
            Ending::failed(if text.is_empty() { "The agent has failed.".to_owned() } else { text })
        }
        _ => {
            if !kept.is_empty() {
                text.push_str(&format!(
                    "

These files are not text and were left unchanged: {}",
                    kept.join(", ")
                ));
            }
            let message_of_commit =
                message.commit_message.as_deref().map(str::trim).filter(|text| !text.is_empty());
            Ending::finished(Finish {
                name: message.app_name.as_deref().and_then(app_name),
                commit_message: message_of_commit.unwrap_or("feat: update").chars().take(500).collect(),
                summary: if text.is_empty() { "The changes are made.".to_owned() } else { text },
            })
        }
    }
}

/// Stores the agent's state, sealed to its app, in place of the earlier one.
async fn store_state(work: &Work, state: &Value) -> Result<Vec<Statement>, Error> {
    let text = state.to_string();
    if text.len() > MOST_STATE {
        return Err(Error::upstream(UpstreamKind::Rejected, "The agent's state is larger than 8 MB"));
    }
    let sealed = sealing::seal(sealing_key(&work.settings)?, &work.turn.app_id, &text)?;
    let digest: [u8; 32] = Sha256::digest(&sealed).into();
    let hash = base16ct::lower::encode_string(digest.get(..8).unwrap_or_default());
    let key = format!("agent-states/{}/{hash}", work.turn.id);
    files::put_unclaimed(&work.context.env, &work.context.database, &key, sealed.into_bytes()).await?;
    let mut writes: Vec<Statement> = store::work::set_agent_state(&work.turn, &key, now_ms()).into();
    writes.push(files::claim(&key));
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_files_and_patches_are_not_sent_to_an_agent() {
        for path in [".git/config", "a/.github/x.yml", "unified_diff-1.patch", "b/unified_diff-x.patch/c"] {
            assert!(!is_sent(path), "{path}");
        }
        for path in ["src/app.js", ".gitignore", "github/x", "unified_diff.patch"] {
            assert!(is_sent(path), "{path}");
        }
    }

    #[test]
    fn markers_in_place_of_a_diff_are_not_taken_for_diffs() {
        let message = |diff: &str| AgentMessage {
            kind: "ReviewResult".into(),
            messages: None,
            agent_state: None,
            unified_diff: Some(diff.into()),
            app_name: None,
            commit_message: None,
        };
        for none in ["", " \n", "# Note: This is a valid empty diff (means no changes from template)"] {
            assert_eq!(message(none).diff(), None, "{none}");
        }
        assert!(message("# ERROR GENERATING DIFF: x").diff().is_some());
    }
}
