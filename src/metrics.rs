//! Metrics for the operator's monitoring, in Prometheus' text format 0.0.4.
//!
//! The values come from the database. Counters of an isolate would mean little,
//! because there are many isolates, they come and go, and each scrape hits another one.

use std::fmt::Write as _;

use constcat::concat;

use crate::{
    error::Error,
    http::RequestContext,
    models::buckets,
    platform::{clock::now_ms, response::Response},
    store::{Statement, sql},
};

/// A metric: its type, its name, its help text, and a statement that returns a
/// row `labels value` for each series.
type Metric = (&'static str, &'static str, &'static str, Statement);

/// `GET /metrics`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let mut metrics: Vec<Metric> = Vec::new();
    for (name, help, statement) in gauges(now_ms()) {
        metrics.push(("gauge", name, help, statement));
    }
    metrics.extend(gateway());
    let statements = metrics.iter().map(|(_, _, _, statement)| statement.clone()).collect();
    let series = context.database()?.batch_all(statements).await?;
    let mut text = String::new();
    for ((kind, name, help, _), rows) in metrics.iter().zip(series) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for row in rows.0 {
            let _ = writeln!(text, "{name}{row}");
        }
    }
    let mut response = Response::json(200, text);
    response.content_type = "text/plain; version=0.0.4; charset=utf-8".into();
    Ok(response)
}

fn gauges(now: i64) -> [(&'static str, &'static str, Statement); 12] {
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
            "Answers in chats by status",
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
            "Jobs whose message is still in the outbox",
            sql!("SELECT ' ' || count(*) AS json FROM outbox WHERE send_at <= ?1", now),
        ),
        (
            "hatch_dead_letters",
            "Dead letters that were not redriven",
            sql!("SELECT ' ' || count(*) AS json FROM dead_letters WHERE redriven_at IS NULL"),
        ),
        (
            "hatch_audit_entries",
            "Entries of the audit log",
            sql!("SELECT ' ' || coalesce(max(seq), 0) AS json FROM audit_log"),
        ),
    ]
}

/// Builds the labels from a row of `model_metrics`.
const LABELS: &str = r#"'{provider="' || provider || '",model="' || replace(replace(replace(model, '\', '\\'), '"', '\"'), char(10), '\n') || '",outcome="' || outcome || '"'"#;

/// A counter of the gateway: a column of `model_metrics`.
macro_rules! counter {
    ($value:literal) => {
        sql!(concat!(
            "SELECT ",
            LABELS,
            " || '} ' || ",
            $value,
            " AS json FROM model_metrics ORDER BY model, outcome"
        ))
    };
}

/// A histogram: a list of counts, the labels of its bounds, its sum and its
/// count.
macro_rules! histogram {
    ($buckets:literal, $bounds:expr, $sum:literal) => {
        sql!(
            concat!(
                "SELECT line AS json FROM (SELECT model, outcome, key AS place, '_bucket' || ", LABELS,
                " || ',le=\"' || (?1 ->> key) || '\"} ' || sum(value) OVER (PARTITION BY model, outcome ORDER BY key) AS line
                 FROM model_metrics, json_each(", $buckets, ")
                 UNION ALL SELECT model, outcome, 98, '_sum' || ", LABELS, " || '} ' || ", $sum, " FROM model_metrics
                 UNION ALL SELECT model, outcome, 99, '_count' || ", LABELS,
                " || '} ' || (SELECT sum(value) FROM json_each(", $buckets, ")) FROM model_metrics)
                 ORDER BY model, outcome, place"
            ),
            $bounds
        )
    };
}

fn gateway() -> [Metric; 8] {
    [
        ("counter", "hatch_gateway_requests_total", "Calls of the gateway", counter!("calls")),
        ("counter", "hatch_gateway_attempts_total", "Requests to providers", counter!("attempts")),
        ("counter", "hatch_gateway_input_tokens_total", "Tokens of prompts", counter!("input_tokens")),
        ("counter", "hatch_gateway_output_tokens_total", "Tokens of answers", counter!("output_tokens")),
        ("counter", "hatch_gateway_cost_usd_total", "Dollars spent", counter!("(cost_micro_usd / 1e6)")),
        (
            "histogram",
            "hatch_gateway_first_token_seconds",
            "Seconds until the first token of an answer",
            histogram!("first_buckets", buckets::SECONDS, "(first_ms / 1e3)"),
        ),
        (
            "histogram",
            "hatch_gateway_total_seconds",
            "Seconds until the end of a call",
            histogram!("total_buckets", buckets::SECONDS, "(total_ms / 1e3)"),
        ),
        (
            "histogram",
            "hatch_gateway_attempts",
            "Requests to providers for one call",
            histogram!("attempt_buckets", buckets::ATTEMPTS_LE, "attempts"),
        ),
    ]
}
