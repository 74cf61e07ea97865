//! The OpenAPI contract of the fleet.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    deployments, fields, heartbeat,
    heartbeat::Beat,
    payments,
    row::{Health, Wallet},
    setup,
    status::Status,
    store::{
        deployments::FleetDeployment,
        machines::{Metric, WorkerEntry},
        payments::Payment,
        payouts::Payout,
        uptime::Interval,
    },
    window, workers,
};
use crate::{
    error::Error,
    openapi::{Count, DocumentedResponse, Module, NO_NUL, Operation, Time, WALLET as WALLET_PATTERN},
};

const NOON: Time = Time("2026-11-21T12:00:00.000Z");
const EARLIER: Time = Time("2026-11-21T09:00:00.000Z");
const WALLET: Wallet = Wallet::EXAMPLE;
const TX: &str = "0x2f1c5c2b44f771e942a8506148e256f94f1a464babc938ae0690c6e34cd79190";

const NAME: &str = "^[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?$";
const GITHUB: &str = r"^(?:(?:https://)?github\.com/)?[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,104}/?$";
/// RFC 3339, which permits a space in place of the T; the format `date-time`
/// does not.
const TIMESTAMP: &str = r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$";
const AMOUNT: &str = "^(?:0|[1-9][0-9]{0,77})$";
const BRANCH: &str = r"^[^\u0000-\u0020\u007f~^:?*\[\\-][^\u0000-\u0020\u007f~^:?*\[\\]*$";

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    success: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Env {
    env_vars: BTreeMap<&'static str, &'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Window {
    start_time: Time,
    end_time: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Beaten {
    success: bool,
    window: Window,
    /// How many seconds the machine should wait before the next beat.
    next_beat_seconds: Count,
    /// Whether the beat was not newer than the window's end, and so changed nothing,
    /// except that the first full beat of that very time reports the containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    stale: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Registered {
    wallet_address: Wallet,
    /// The machine's credential, which is shown only here.
    token: &'static str,
}

/// For a machine that does not exist or is not yours, this has only `exists`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WorkerView {
    exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    is_active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Wallet")]
    wallet_address: Option<Wallet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Health")]
    status: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'static str>,
    /// As the last beat reported it; null if none did. The next three are the
    /// numbers of these names in `system`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    tailscale_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_cores: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ram_total_gb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_total_gb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Map<String, Value>>,
    /// What the ledger owes the machine for closed periods, as a double;
    /// `/payments` has the exact amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    credits: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WorkerStatus {
    status: Health,
    last_seen: Option<Time>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Container {
    container_name: &'static str,
    /// The same name, in the other script's field.
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    port: Option<&'static str>,
    /// 0 if the beat did not report it; the next one likewise.
    cpu_percent: f64,
    mem_usage_mb: f64,
}

pub(crate) fn module() -> Module {
    let operations = [deployment_operations(), beats(), machines(), ledger()];
    Module {
        name: "fleet",
        about: "Deployments on users' machines, when these ran, and what they are paid. All but the set-up script \
                answers under `/api/v1` as well.",
        operations: operations.into_iter().flatten().collect(),
    }
}

/// A required field of text.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// An optional field of text.
fn some_text(most: u32) -> Value {
    json!({ "type": ["string", "null"], "minLength": 1, "maxLength": most, "pattern": NO_NUL })
}

fn wallet() -> Value {
    json!({
        "type": "string",
        "pattern": WALLET_PATTERN,
        "description": "0x and 40 hexadecimal digits, whose mixed case, if any, is the checksum of EIP-55; or a Stellar key.",
    })
}

fn wallet_query() -> Schema {
    json_schema!({ "type": "string", "pattern": WALLET_PATTERN })
}

fn time() -> Value {
    json!({ "type": "string", "pattern": TIMESTAMP, "description": "RFC 3339, in any zone; not before 1970." })
}

fn time_query() -> Schema {
    json_schema!({ "type": "string", "pattern": TIMESTAMP })
}

/// The names of a field, of which a body has at most one, and its schema.
type Field<'a> = (&'a [&'a str], Value);

/// An object with these fields.
fn object(required: &[Field<'_>], optional: &[Field<'_>]) -> Schema {
    let (mut properties, mut names, mut rules, mut excluded) =
        (Map::new(), Vec::new(), Vec::new(), Vec::new());
    for (field, schema) in optional {
        properties.extend(field.iter().map(|name| ((*name).to_owned(), schema.clone())));
        if field.len() > 1 {
            excluded.push(json!({ "required": field }));
        }
    }
    for (field, schema) in required {
        if let [name] = field {
            properties.insert((*name).to_owned(), schema.clone());
            names.push(*name);
        } else {
            rules.push(one_of(field, schema));
        }
    }
    let mut object = json_schema!({ "type": "object", "properties": properties, "required": names });
    if !rules.is_empty() {
        object.insert("allOf".to_owned(), json!(rules));
    }
    if !excluded.is_empty() {
        object.insert("not".to_owned(), json!({ "anyOf": excluded }));
    }
    object
}

/// Requires one of the names of a field, without the others.
fn one_of(names: &[&str], schema: &Value) -> Value {
    let by_name = |name: &&str| {
        let properties = Map::from_iter([((*name).to_owned(), schema.clone())]);
        let others = names.iter().filter(|other| *other != name).map(|other| json!({ "required": [other] }));
        let others: Vec<_> = others.collect();
        json!({ "type": "object", "properties": properties, "required": [name], "not": { "anyOf": others } })
    };
    json!({ "anyOf": names.iter().map(by_name).collect::<Vec<_>>() })
}

fn env_vars() -> Value {
    json!({
        "type": "object",
        "description": "At most 64 KiB in all.",
        "maxProperties": 100,
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$" },
        "additionalProperties": { "type": "string", "pattern": NO_NUL },
    })
}

/// The schema, which also admits null, for an optional field.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn port() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 65_535, "default": 3000 })
}

fn replicas() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 10 })
}

fn reads_wallet(text: &str) -> bool {
    super::wallet(text, "creator").is_ok()
}

fn reads_time(text: &str) -> bool {
    fields::time(&json!(text)).is_ok()
}

fn deployment_operations() -> Vec<Operation> {
    let shown = || DocumentedResponse::new(200, "The deployment.").json(FleetDeployment::example());
    let of_one = |route, id, summary| {
        Operation::new(route, id, summary)
            .path("name", "The deployment.", DeploymentName("my-app"))
            .fails(deployments::NOT_FOUND)
    };
    let created = DocumentedResponse::new(201, "The deployment.")
        .json(FleetDeployment::example())
        .with("Location", "Its address.")
        .leads_to(&["fleet.show_deployment", "fleet.delete_deployment"], "name", "/name");
    let branch = json!({
        "type": ["string", "null"], "maxLength": 255, "pattern": BRANCH, "default": "main",
        "description": "A name that git accepts for a branch.",
    });
    let mut url = some_text(2000);
    url["description"] = json!("The deployment's address: an http or https URL.");
    let status = json!({ "type": "string", "enum": ["pending", "processing", "success", "failed"] });
    vec![
        Operation::new("POST /deployments", "fleet.create_deployment", "Put a repository on the fleet")
            .about("`creator` is the wallet of the caller's account.")
            .object(
                object(
                    &[
                        (&deployments::NAME_FIELDS, text(NAME)),
                        (&deployments::GITHUB_FIELDS, text(GITHUB)),
                        (&["creator"], wallet()),
                    ],
                    &[
                        (&["port"], port()),
                        (&["replicas"], or_null(replicas())),
                        (&["branch"], branch),
                        (&deployments::ENV_FIELDS, or_null(env_vars())),
                    ],
                ),
                json!({ "name": "my-app", "github": "https://github.com/owner/repository", "creator": WALLET }),
                |body| deployments::NewDeployment::read(body).map(drop),
            )
            .answers(created)
            .fails(deployments::name_taken())
            .fails(deployments::not_your_wallet()),
        Operation::new("GET /deployments", "fleet.list_deployments", "List the deployments")
            .about("With `creator`, a page has 100 deployments unless `limit` is given.")
            .query("creator", "Only those of this wallet.", wallet_query())
            .read_by(reads_wallet)
            .query(
                "status",
                "Only those in this status.",
                json_schema!({ "type": "string", "enum": ["pending", "processing", "success", "failed"] }),
            )
            .read_by(|name| Status::parse(name).is_some())
            .paged(20)
            .answers(
                DocumentedResponse::new(200, "Deployments, newest first.")
                    .json(vec![FleetDeployment::example()])
                    .may_have("Link", "The next page, where there is one."),
            ),
        of_one("GET /deployments/{name}", "fleet.show_deployment", "Show a deployment").answers(shown()),
        of_one("DELETE /deployments/{name}", "fleet.delete_deployment", "Delete a deployment")
            .answers(DocumentedResponse::new(200, "It is deleted.").json(Deleted { success: true })),
        of_one("PATCH /deployments/{name}/status", "fleet.set_status", "Change a deployment's status")
            .about("pending → processing → success or failed; failed → pending to try again.")
            .object(
                object(
                    &[(&["status"], status)],
                    &[(&["url"], url), (&deployments::ERROR_FIELDS, some_text(2000))],
                ),
                json!({ "status": "processing" }),
                |body| deployments::StatusChange::read(body).map(drop),
            )
            .answers(shown())
            .fails(deployments::status_conflict("pending", Status::Success)),
        of_one("PATCH /deployments/{name}/env", "fleet.set_env", "Replace a deployment's environment")
            .object(
                object(&[(&deployments::ENV_FIELDS, env_vars())], &[(&["port"], port())]),
                json!({ "envVars": { "API_KEY": "a secret" } }),
                |body| deployments::NewEnv::read(body).map(drop),
            )
            .answers(shown()),
        of_one("GET /deployments/{name}/env", "fleet.show_env", "Show a deployment's environment to a deployer")
            .answers(DocumentedResponse::new(200, "The variables in plain text.").json(Env { env_vars: BTreeMap::from([("API_KEY", "a secret")]) })),
        of_one("PATCH /deployments/{name}/replicas", "fleet.set_replicas", "Change the number of replicas")
            .object(
                object(&[(&["replicas"], replicas())], &[]),
                json!({ "replicas": 3 }),
                |body| deployments::replicas(body).map(drop),
            )
            .answers(shown()),
    ]
}

/// A deployment's name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct DeploymentName(&'static str);

impl JsonSchema for DeploymentName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeploymentName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

fn beats() -> Vec<Operation> {
    let beaten = || {
        let window = Window { start_time: EARLIER, end_time: NOON };
        DocumentedResponse::new(200, "The machine's window.").json(Beaten {
            success: true,
            window,
            next_beat_seconds: Count(300),
            stale: None,
        })
    };
    let container_name = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL });
    let container_port = json!({
        "type": ["string", "integer", "null"], "minimum": 0, "maximum": 65_535, "maxLength": 100, "pattern": NO_NUL,
    });
    let figure = || json!({ "type": ["number", "null"] });
    let container = object(
        &[(&["containerName", "name"], container_name)],
        &[(&["port"], container_port), (&["cpuPercent"], figure()), (&["memUsageMb"], figure())],
    );
    let containers = json!({ "type": "array", "items": container, "maxItems": 500 });
    let proved: [Field<'_>; 2] = [(&heartbeat::WALLET_FIELDS, wallet()), (&["timestamp"], time())];
    let tailscale_ip = json!({ "type": ["string", "null"], "maxLength": 64, "pattern": NO_NUL });
    let of_machine: [Field<'_>; 3] = [
        (
            &["system"],
            json!({ "type": ["object", "null"], "description": "The machine's report about itself, at most 4 KiB." }),
        ),
        (&["hostname"], some_text(253)),
        (&heartbeat::TAILSCALE_FIELDS, tailscale_ip),
    ];
    let of_full: [Field<'_>; 3] = [proved[0].clone(), proved[1].clone(), (&["containers"], containers)];
    let with_auth = |operation: Operation| {
        operation
            .header(
                "X-Wallet-Signature",
                "Instead of a token: the wallet's signature (EIP-191; SEP-53 for a Stellar key) over \
                 `hatch-heartbeat\\n{wallet}\\n{timestamp}\\n{sha256 of the body, hex}`: an Ethereum wallet in lower \
                 case, a Stellar key and the timestamp as they are in the body, the \
                 hexadecimal digits in lower case.",
                json_schema!({ "type": "string" }),
            )
            .answers(beaten())
            .fails(heartbeat::missing_proof())
            .fails(heartbeat::not_your_machine())
            .fails(heartbeat::AHEAD)
            .fails(heartbeat::TOO_LATE)
    };
    vec![
        with_auth(
            Operation::new("POST /heartbeat", "fleet.beat", "Report that a machine runs, and its containers")
                .object(
                    object(&of_full, &of_machine),
                    json!({ "walletAddress": WALLET, "timestamp": "2026-11-20T12:00:00Z",
                    "containers": [{ "containerName": "web", "port": "8080" }] }),
                    |body| Beat::read(body, true).1.map(drop),
                ),
        ),
        with_auth(Operation::new("POST /heartbeat/ping", "fleet.ping", "Report that a machine runs").object(
            object(&proved, &of_machine),
            json!({ "walletAddress": WALLET, "timestamp": "2026-11-20T12:00:00Z" }),
            |body| Beat::read(body, false).1.map(drop),
        )),
    ]
}

fn machines() -> Vec<Operation> {
    let view = WorkerView {
        exists: true,
        is_active: Some(true),
        wallet_address: Some(WALLET),
        status: Some(Health::Healthy),
        last_seen: Some(NOON),
        window: Some(Window { start_time: EARLIER, end_time: NOON }),
        hostname: Some("atlas"),
        tailscale_ip: Some("100.64.0.7"),
        cpu_cores: Some(8.0),
        ram_total_gb: Some(31.2),
        storage_total_gb: Some(468.0),
        system: json!({ "cpuCores": 8, "ramTotalGb": 31.2, "storageTotalGb": 468 }).as_object().cloned(),
        credits: Some(0.0),
    };
    let wrong_wallet = || Error::invalid("wallet", "an address is 0x and 40 hexadecimal digits");
    let of_one = |route, id, summary| {
        Operation::new(route, id, summary)
            .path("wallet", "The machine's wallet.", WALLET)
            .fails(wrong_wallet())
    };
    let registered = DocumentedResponse::new(201, "The machine's token.")
        .json(Registered { wallet_address: WALLET, token: "wk_…" })
        .with("Location", "Its address.")
        .leads_to(&["fleet.show_worker", "fleet.worker_status"], "wallet", "/walletAddress");
    let containers = vec![Container {
        container_name: "web",
        name: "web",
        port: Some("8080"),
        cpu_percent: 1.5,
        mem_usage_mb: 20.0,
    }];
    vec![
        Operation::new("POST /workers", "fleet.register", "Register a machine, or give it a new token")
            .about(
                "With the signed challenge of `POST /auth/wallet/challenge`, or signed in with the wallet. In \
                 development `walletAddress` needs no proof.",
            )
            .body_read_by::<workers::NewWorker>(json!({ "walletAddress": WALLET }), |new| new.wallet().map(drop))
            .answers(registered)
            .fails(workers::missing_proof())
            .fails(workers::by_a_key())
            .fails(workers::no_wallet()),
        Operation::new("GET /workers", "fleet.list_workers", "List your machines").paged(20).answers(
            DocumentedResponse::new(200, "Machines, by wallet.")
                .json(vec![WorkerEntry::example()])
                .may_have("Link", "The next page, where there is one."),
        ),
        of_one("GET /workers/{wallet}", "fleet.show_worker", "Show a machine")
            .answers(DocumentedResponse::new(200, "The machine.").json(view)),
        of_one("DELETE /workers/{wallet}", "fleet.revoke_worker", "Revoke a machine's token")
            .answers(DocumentedResponse::new(204, "The token is revoked."))
            .fails(workers::NOT_FOUND),
        of_one("GET /workers/{wallet}/status", "fleet.worker_status", "Show a machine's health").answers(
            DocumentedResponse::new(200, "Its health, by the time since its last beat.")
                .json(WorkerStatus { status: Health::Healthy, last_seen: Some(NOON) }),
        ),
        of_one("GET /workers/{wallet}/uptime", "fleet.uptime", "Show when a machine ran")
            .query("from", "The period's beginning.", time_query())
            .read_by(reads_time)
            .query("to", "The period's end.", time_query())
            .read_by(reads_time)
            .paged(20)
            .answers(
                DocumentedResponse::new(200, "Newest first, clipped to the period, including the open window.")
                    .json(vec![Interval::example()])
                    .with("X-Uptime-Seconds", "The whole seconds of the period in which it ran, by its beats.")
                    .may_have("Link", "The next page, where there is one."),
            )
            .fails(workers::NOT_FOUND),
        of_one("GET /workers/{wallet}/containers", "fleet.containers", "List a machine's containers")
            .answers(DocumentedResponse::new(200, "The containers in its last beat; empty for a machine that is not yours.").json(containers)),
        of_one("GET /workers/{wallet}/metrics", "fleet.metrics", "List a machine's reports about itself")
            .about("The last report of each past hour, for a day, and the newest one.")
            .query(
                "hours",
                "How many hours back.",
                json_schema!({ "type": "integer", "minimum": 1, "maximum": window::MOST_HOURS, "default": window::MOST_HOURS }),
            )
            .answers(
                DocumentedResponse::new(200, "Oldest first; empty for a machine that is not yours.").json(vec![Metric::example()]),
            ),
        Operation::new("GET /api/setup", "fleet.setup", "Download the script with which a machine joins")
            .must_query("wallet", "The machine's wallet.", wallet_query())
            .read_by(reads_wallet)
            .about("In development, without a credential, a request without `token` gives the machine a new one.")
            .query(
                "token",
                "The machine's token; its last six digits are a checksum.",
                json_schema!({ "type": "string", "pattern": "^wk_[0-9A-Za-z]{49}$" }),
            )
            .read_by(|text| setup::token(text).is_ok())
            .fails(setup::mistyped())
            .answers(
                DocumentedResponse::new(200, "A POSIX shell script.")
                    .file("text/x-shellscript")
                    .with("Content-Disposition", "A file's name."),
            ),
    ]
}

fn ledger() -> Vec<Operation> {
    let entered = |status, about| DocumentedResponse::new(status, about).json(Payment::example());
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL });
    let amount = json!({
        "type": "string", "pattern": AMOUNT, "description": "In the token's smallest unit: at most 2^256 - 1.",
    });
    let tx_hash = or_null(text("^(?:0x)?[0-9a-fA-F]{64}$"));
    vec![
        Operation::new("POST /payments", "fleet.pay", "Enter a payment")
            .object(
                object(
                    &[(&["name"], name), (&["amount"], amount), (&["creator"], wallet())],
                    &[(&payments::TX_FIELDS, tx_hash)],
                ),
                json!({ "name": "November", "amount": "1000000000000000000", "creator": WALLET, "txHash": TX }),
                |body| payments::NewPayment::read(body).map(drop),
            )
            .answers(
                entered(201, "The entry.")
                    .with("Location", "Its address.")
                    .leads_to(&["fleet.show_payment"], "id", "/id"),
            )
            .answers(entered(200, "The entry, which existed already."))
            .fails(payments::transaction_entered()),
        Operation::new("GET /payments", "fleet.list_payments", "List the payments")
            .query("creator", "Only those to this wallet.", wallet_query())
            .read_by(reads_wallet)
            .paged(20)
            .answers(
                DocumentedResponse::new(200, "Payments, newest first.")
                    .json(vec![Payment::example()])
                    .may_have("Link", "The next page, where there is one."),
            ),
        Operation::new("GET /payments/{id}", "fleet.show_payment", "Show a payment")
            .path("id", "The payment.", Count(1))
            .answers(entered(200, "The entry."))
            .fails(payments::NOT_FOUND),
        Operation::new("POST /payments/payouts", "fleet.close", "Close a period of a machine")
            .about(
                "Enters `PAYOUT_RATE` for each second of its uptime, once. Possible from 25 hours after the period's \
                 end, when no late beat can change the uptime any more. Time before the machine was registered, or first \
                 beat, is not paid.",
            )
            .object(
                object(
                    &[(&heartbeat::WALLET_FIELDS, wallet()), (&["from"], time()), (&["to"], time())],
                    &[],
                ),
                json!({ "walletAddress": WALLET, "from": "2026-11-01T00:00:00Z", "to": "2026-11-08T00:00:00Z" }),
                |body| payments::Period::read(body).map(drop),
            )
            .answers(DocumentedResponse::new(201, "What is owed.").json(Payout::example()))
            .answers(DocumentedResponse::new(200, "What is owed; the period was closed already.").json(Payout::example()))
            .fails(payments::overlap())
            .fails(payments::not_settled())
            .fails(payments::no_rate()),
    ]
}
