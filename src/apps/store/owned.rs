//! The rows of apps that belong to a user, and their export, newest first.

use constcat::concat;
#[cfg(test)]
use serde_json::{Map, Value};

#[cfg(test)]
use crate::openapi::{Id, Time, Url};
use crate::store::{
    Statement,
    owned::{Owned, give, released},
    page,
    page::Page,
    projects::rfc3339,
    shape::shape,
    sql,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["apps", "app_turns", "custom_message_limits"],
    export: &[("apps", export_apps), ("appMessages", export_messages)],
    in_files: &[],
    // The limit and the counters stay, so that a new account does not reset them.
    delete: |user| {
        vec![
            sql!("DELETE FROM app_turns WHERE user_id = ?1", user),
            sql!("DELETE FROM apps WHERE user_id = ?1", user),
        ]
    },
    give: |from, to| {
        vec![
            give!("apps", from, to),
            give!("app_turns", from, to),
            // If the second account has a limit of its own, that one stays.
            sql!(
                concat!(
                    "UPDATE OR IGNORE custom_message_limits SET user_id = ?2 WHERE user_id = ",
                    released!()
                ),
                from,
                to
            ),
        ]
    },
};

shape! {
    /// An app of the agent, as an export has it.
    pub(crate) struct ExportedApp, EXPORTED_APP_JSON {
        id: Id = "id", Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");
        appName: &'static str = "app_name", "pomodoro";
        techStack: &'static str = "tech_stack", "static";
        target: &'static str = "target", "edge";
        /// What runs there, if it is not the files.
        runs: Option<Map<String, Value>> = "json(runs)", None;
        model: Option<&'static str> = "model", None;
        repositoryUrl: Option<Url> = "repository ->> 'url'", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

fn export_apps(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM apps WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: EXPORTED_APP_JSON,
            bytes: "0"
        ),
        user,
        key,
        id,
        page.limit
    )
}

shape! {
    /// A message to the agent with what it answered, as an export has them.
    pub(crate) struct ExportedAppMessage, EXPORTED_MESSAGE_JSON {
        id: Id = "id", Id("5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50");
        appId: Id = "app_id", Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");
        message: &'static str = "message", "A pomodoro timer";
        status: &'static str = "status", "done";
        costMicroUsd: Option<i64> = "cost_micro_usd", None;
        /// The events of the stream that carried its words.
        answers: Vec<Map<String, Value>> =
            "(SELECT json_group_array(json(data)) FROM app_events WHERE turn_id = id AND event = 'message')", Vec::new();
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

fn export_messages(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM app_turns WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: EXPORTED_MESSAGE_JSON,
            bytes: "length(CAST(message AS BLOB)) + 20000"
        ),
        user,
        key,
        id,
        page.limit
    )
}
