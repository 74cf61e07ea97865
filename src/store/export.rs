//! All that is a user's, for them to take along: lists, newest first.

use super::{
    Statement, page,
    page::Page,
    projects::{PROJECT_JSON, rfc3339},
    sql,
};

macro_rules! list {
    ($user:expr, $page:expr, $rows:literal, $json:expr, $bytes:literal) => {{
        let (key, id) = $page.bound();
        sql!(
            page!(
                rows: concat!($rows, " AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC"),
                key: "created_at || '.' || id",
                json: $json,
                bytes: $bytes
            ),
            $user,
            key,
            id,
            $page.limit
        )
    }};
}

pub(crate) fn projects(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM projects WHERE user_id = ?1",
        PROJECT_JSON,
        "length(CAST(coalesce(code, '') || coalesce(description, '') AS BLOB)) + 400"
    )
}

pub(crate) fn messages(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM chat_messages WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'projectId', project_id, 'role', role, 'content', content, 'status', status, ",
            "'model', model, 'usage', json(usage), 'changes', json(changes), 'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "length(CAST(content AS BLOB))"
    )
}

pub(crate) fn deployments(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM deployments WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'projectId', project_id, 'target', target, 'status', status, 'url', url, ",
            "'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "0"
    )
}

/// How the startups among the projects were made, and what came of them.
pub(crate) fn startups(user: &str, page: &Page) -> Statement {
    list!(
        user,
        page,
        "FROM startups WHERE user_id = ?1",
        concat!(
            "json_object('id', id, 'jobId', job_id, 'prompt', prompt, 'status', status, 'name', name, ",
            "'tagline', tagline, 'competitors', json(competitors), 'launchChannels', json(channels), ",
            "'pitchDeck', deck, 'verified', json(iif(verified, 'true', 'false')), 'costMicroUsd', cost_micro_usd, ",
            "'createdAt', ",
            rfc3339!("created_at"),
            ")"
        ),
        "length(CAST(prompt || competitors || channels || coalesce(deck, '') AS BLOB)) + 400"
    )
}

/// Ordered by version and not by time: that is what the table is kept by.
pub(crate) fn versions(user: &str, page: &Page) -> Statement {
    let (version, project) = page.bound();
    sql!(
        page!(
            rows: "FROM project_versions WHERE project_id IN (SELECT id FROM projects WHERE user_id = ?1)
                   AND (version, project_id) < (?2, ?3) ORDER BY version DESC, project_id DESC",
            key: "version || '.' || project_id",
            json: concat!(
                "json_object('projectId', project_id, 'version', version, 'origin', origin, 'code', code, ",
                "'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "length(CAST(code AS BLOB))"
        ),
        user,
        version,
        project,
        page.limit
    )
}
