//! What the operator's monitoring reads: Prometheus' text form, version 0.0.4.
//!
//! The figures are those of the database. An isolate's own counters would say
//! little: there are many, they come and go, and each scrape meets another.

use std::fmt::Write as _;

use crate::{
    error::Error,
    http::RequestContext,
    platform::{clock::now_ms, response::Response},
    store::{Statement, sql},
};

/// A gauge: its name, what it means, and the statement that answers with a
/// row `labels value` for each of its series.
type Gauge = (&'static str, &'static str, Statement);

/// `GET /metrics`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let gauges = gauges(now_ms());
    let statements = gauges.iter().map(|(_, _, statement)| statement.clone()).collect();
    let series = context.database()?.batch_all(statements).await?;
    let mut text = String::new();
    for ((name, help, _), rows) in gauges.iter().zip(series) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for row in rows.0 {
            let _ = writeln!(text, "{name}{row}");
        }
    }
    let mut response = Response::json(200, text);
    response.content_type = "text/plain; version=0.0.4; charset=utf-8".into();
    Ok(response)
}

fn gauges(now: i64) -> [Gauge; 12] {
    [
        ("hatch_users", "Users with an account", sql!("SELECT ' ' || count(*) AS json FROM users")),
        (
            "hatch_projects",
            "Projects by status",
            sql!(
                r#"SELECT '{status="' || status || '"} ' || count(*) AS json FROM projects GROUP BY status"#
            ),
        ),
        ("hatch_sites", "Live apps", sql!("SELECT ' ' || count(*) AS json FROM sites")),
        (
            "hatch_deployments",
            "Deployments by status",
            sql!(
                r#"SELECT '{status="' || status || '"} ' || count(*) AS json FROM deployments GROUP BY status"#
            ),
        ),
        (
            "hatch_answers",
            "Answers of Claude by status",
            sql!(
                r#"SELECT '{status="' || status || '"} ' || count(*) AS json FROM chat_messages
                   WHERE role = 'assistant' GROUP BY status"#
            ),
        ),
        (
            "hatch_answer_tokens",
            "Output tokens of the answers that are kept, by model",
            sql!(
                r#"SELECT '{model="' || replace(replace(replace(model, '\', '\\'), '"', '\"'), char(10), '\n') || '"} ' || coalesce(sum(usage ->> 'output_tokens'), 0) AS json
                   FROM chat_messages WHERE role = 'assistant' GROUP BY model"#
            ),
        ),
        (
            "hatch_agent_turns",
            "Messages to agents by status",
            sql!(
                r#"SELECT '{status="' || status || '"} ' || count(*) AS json FROM app_turns GROUP BY status"#
            ),
        ),
        (
            "hatch_agent_cost_micro_usd",
            "What the answers of agents have cost, by the model that answered last",
            sql!(
                r#"SELECT '{model="' || replace(replace(replace(model, '\', '\\'), '"', '\"'), char(10), '\n') || '"} ' || sum(cost_micro_usd) AS json
                   FROM app_turns WHERE model IS NOT NULL GROUP BY model"#
            ),
        ),
        (
            "hatch_jobs",
            "Jobs by kind and state",
            sql!(
                r#"SELECT '{kind="' || kind || '",state="' || state || '"} ' || count(*) AS json
                   FROM jobs GROUP BY kind, state"#
            ),
        ),
        (
            "hatch_jobs_overdue",
            "Jobs whose message is owed",
            sql!("SELECT ' ' || count(*) AS json FROM outbox WHERE send_at <= ?1", now),
        ),
        (
            "hatch_dead_letters",
            "Dead letters that nobody has driven again",
            sql!("SELECT ' ' || count(*) AS json FROM dead_letters WHERE redriven_at IS NULL"),
        ),
        (
            "hatch_audit_entries",
            "Entries of the audit log",
            sql!("SELECT ' ' || coalesce(max(seq), 0) AS json FROM audit_log"),
        ),
    ]
}
