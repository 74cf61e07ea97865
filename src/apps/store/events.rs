//! The events of a conversation: how they are written, and how the history shows them.

use constcat::concat;

#[cfg(test)]
use crate::openapi::{Id, Time};
use crate::{
    apps::events::Event,
    store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql},
};

/// Adds events to a running turn.
pub(in crate::apps) fn add_events(turn: &str, events: &[Event], now: i64) -> Statement {
    sql!(
        "INSERT INTO app_events (app_id, seq, turn_id, event, data, created_at)
         SELECT t.app_id, (SELECT coalesce(max(seq), 0) FROM app_events WHERE app_id = t.app_id) + 1 + e.key, t.id,
           e.value ->> 'event',
           CASE e.value ->> 'event'
             WHEN 'done' THEN json_object('done', json('true'), 'traceId', t.trace_id, 'appId', t.app_id)
             ELSE json_patch('{}', json_object('status', e.value ->> 'status', 'traceId', t.trace_id, 'appId', t.app_id,
               'techStack', a.tech_stack,
               'message', json_object('kind', e.value ->> 'kind', 'messages', json(e.value -> 'messages'),
                 'app_name', e.value ->> 'appName', 'commit_message', e.value ->> 'commitMessage'),
               'metadata', json(e.value -> 'metadata')))
           END, ?3
         FROM app_turns t JOIN apps a ON a.id = t.app_id, json_each(?2) e WHERE t.id = ?1 AND t.status = 'running'",
        turn,
        serde_json::to_string(events).unwrap_or_default(),
        now
    )
}

/// An event's id: the beginning of the app's id, and the event's number.
pub(super) const EVENT_ID: &str = "substr(app_id, 1, 8) || '-' || seq";

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(in crate::apps) enum Speaker {
    User,
    Assistant,
}

shape! {
    // A row of app_events.
    /// A message of an app's conversation.
    pub(in crate::apps) struct AppMessage, MESSAGE_JSON {
        /// The id of its event.
        id: &'static str = EVENT_ID, "1f3a9c04-2";
        appId: Id = "app_id", crate::store::projects::Project::ID;
        prompt: &'static str = "coalesce((SELECT group_concat(m.value ->> 'content', char(10)) FROM json_each(data, '$.message.messages') m), '')", "A pomodoro timer";
        kind: Speaker = "iif(event = 'user', 'user', 'assistant')", Speaker::User;
        messageKind: &'static str = "data ->> '$.message.kind'", "UserMessage";
        /// The `type` and the details of a notice of the platform.
        metadata: Option<serde_json::Value> = "json(data -> '$.metadata')", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

/// The conversation, oldest first, in pages.
pub(in crate::apps) fn history(id: &str, user: &str, page: &Page) -> Statement {
    let (key, _) = page.after.as_ref().map_or((0, ""), |(key, id)| (*key, id.as_str()));
    sql!(
        page!(
            rows: "FROM app_events WHERE app_id = ?1 AND seq > ?3 AND event IN ('user', 'message')
                   AND EXISTS (SELECT 1 FROM apps WHERE id = ?1 AND user_id = ?2) ORDER BY seq",
            key: "seq || '.'",
            json: MESSAGE_JSON,
            bytes: "length(CAST(data AS BLOB)) + 200"
        ),
        id,
        user,
        key,
        page.limit
    )
}
