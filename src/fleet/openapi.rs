//! What the fleet answers.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::{deployments, heartbeat, payments, setup, status::Status, window, workers};
use crate::{
    error::Error,
    openapi::{Answer, Count, Module, Operation, Time},
};

const NOON: Time = Time("2026-11-21T12:00:00.000Z");
const EARLIER: Time = Time("2026-11-21T09:00:00.000Z");
const WALLET: Wallet = Wallet("0x52908400098527886e0f7030069857d2e4169ee7");
const TX: &str = "0x2f1c5c2b44f771e942a8506148e256f94f1a464babc938ae0690c6e34cd79190";

/// A wallet's address.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
struct Wallet(&'static str);

impl JsonSchema for Wallet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wallet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": ADDRESS })
    }
}

/// Ethereum's in one case, and Stellar's, whose checksum no pattern can tell.
pub(super) const ADDRESS: &str = "^(?:0x(?:[0-9a-f]{40}|[0-9A-F]{40})|G[A-Z2-7]{55})$";
const TIMESTAMP: &str = r"^(?:19[7-9]\d|2\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,3})?Z$";
const NAME: &str = "^[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?$";
const GITHUB: &str =
    r"^(?:(?:https://)?github\.com/)?[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-]{1,90}(?:\.git)?/?$";
const AMOUNT: &str = "^(?:0|[1-9][0-9]{0,76})$";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FleetDeployment {
    id: Count,
    name: &'static str,
    /// The name again, as dashboards call it.
    app_name: &'static str,
    /// Where it answers: under `FLEET_DOMAIN` until its deployer says otherwise.
    url: &'static str,
    port: u16,
    branch: &'static str,
    status: Status,
    /// The repository's URL, in one form however it was sent.
    github: &'static str,
    /// The same as `owner/name`.
    github_repo: &'static str,
    replicas: u8,
    creator: Wallet,
    error_message: Option<&'static str>,
    /// Their values are sealed, and shown to deployers only.
    env_var_names: Vec<&'static str>,
    created_at: Time,
    updated_at: Time,
}

impl FleetDeployment {
    fn example() -> Self {
        Self {
            id: Count(1),
            name: "my-app",
            app_name: "my-app",
            url: "http://my-app.localhost",
            port: 3000,
            branch: "main",
            status: Status::Pending,
            github: "https://github.com/owner/repository",
            github_repo: "owner/repository",
            replicas: 1,
            creator: WALLET,
            error_message: None,
            env_var_names: vec!["API_KEY"],
            created_at: NOON,
            updated_at: NOON,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    success: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Env {
    env_vars: Value,
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
    /// How long the machine is asked to wait.
    next_beat_seconds: Count,
    /// Whether the beat was not newer than the window's end, and changed nothing:
    /// only the first full beat of that very moment still tells what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    stale: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Registered {
    wallet_address: Wallet,
    /// The machine's credential, shown here and nowhere else.
    token: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum Health {
    Unknown,
    Healthy,
    Warning,
    Dead,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Worker {
    wallet_address: Wallet,
    token_hint: Option<&'static str>,
    created_at: Time,
    last_seen: Option<Time>,
    hostname: Option<&'static str>,
    system: Option<Value>,
    status: Health,
}

/// Only `exists` for a machine that is not yours, or is none.
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
    /// As the last beat reported it; null before that, and where none did. So are
    /// the next three, which are the numbers of `system` by these names.
    #[serde(skip_serializing_if = "Option::is_none")]
    tailscale_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_cores: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ram_total_gb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_total_gb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Value>,
    /// What the ledger owes it for closed periods, as near as a double comes
    /// to it; `/payments` has the exact amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    credits: Option<f64>,
}

/// What a machine's beats said last in an hour, or last of all; 0 where they
/// did not tell.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Metric {
    timestamp: Time,
    cpu_usage_percent: f64,
    ram_used_gb: f64,
    ram_total_gb: f64,
    /// What the ledger owed the machine by then.
    credits_earned: f64,
    container_count: Count,
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
    /// The same, as the other script calls it.
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    port: Option<&'static str>,
    /// 0 where the beat did not tell; so is the next.
    cpu_percent: f64,
    mem_usage_mb: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Interval {
    time_from: Time,
    time_to: Time,
    duration_seconds: Count,
    /// Whether it is the machine's present window, which is not recorded yet.
    open: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Payment {
    id: Count,
    name: &'static str,
    /// A uint256 in decimal.
    amount: &'static str,
    creator: Wallet,
    tx_hash: Option<&'static str>,
    created_at: Time,
}

impl Payment {
    fn example() -> Self {
        Self {
            id: Count(1),
            name: "November",
            amount: "1000000000000000000",
            creator: WALLET,
            tx_hash: Some(TX),
            created_at: NOON,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Payout {
    wallet_address: Wallet,
    from: Time,
    to: Time,
    uptime_seconds: Count,
    amount: &'static str,
    payment_id: Count,
}

pub(crate) fn module() -> Module {
    let operations = [deployment_operations(), beats(), machines(), ledger()];
    Module {
        name: "fleet",
        about: "What runs on whose machines, when they ran, and what they are paid. All but the set-up script \
                answers under `/api/v1` as well.",
        operations: operations.into_iter().flatten().collect(),
    }
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn env_vars() -> Value {
    json!({
        "type": "object",
        "maxProperties": 100,
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$" },
        "additionalProperties": { "type": "string", "maxLength": 400, "pattern": crate::openapi::NO_NUL },
    })
}

fn port() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 65_535, "default": 3000 })
}

fn replicas() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 10 })
}

fn deployment_operations() -> Vec<Operation> {
    let shown = || Answer::new(200, "The deployment.").json(FleetDeployment::example());
    let of_one = |route, id, summary| {
        Operation::new(route, id, summary)
            .path("name", "Of the deployment.", DeploymentName("my-app"))
            .fails(deployments::NOT_FOUND)
    };
    let created = Answer::new(201, "The deployment.")
        .json(FleetDeployment::example())
        .with("Location", "Where it is shown.")
        .leads_to(&["fleet.show_deployment", "fleet.delete_deployment"], "name", "/name");
    vec![
        Operation::new("POST /deployments", "fleet.create_deployment", "Put a repository on the fleet")
            .about("`creator` is the wallet of the caller's account.")
            .object(
                json_schema!({
                    "type": "object",
                    "properties": {
                        "name": text(NAME), "app_name": text(NAME), "appName": text(NAME),
                        "github": text(GITHUB), "github_repo": text(GITHUB), "githubRepo": text(GITHUB),
                        "creator": text(ADDRESS), "port": port(), "replicas": replicas(),
                        "branch": { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", "default": "main" },
                        "envVars": env_vars(), "env_vars": env_vars(),
                    },
                    "required": ["creator"],
                    "allOf": [
                        { "oneOf": [{ "required": ["name"] }, { "required": ["app_name"] }, { "required": ["appName"] }] },
                        { "oneOf": [{ "required": ["github"] }, { "required": ["github_repo"] }, { "required": ["githubRepo"] }] },
                        { "not": { "required": ["envVars", "env_vars"] } },
                    ],
                }),
                json!({ "name": "my-app", "github": "https://github.com/owner/repository", "creator": WALLET }),
            )
            .answers(created)
            .fails(deployments::name_taken())
            .fails(deployments::not_your_wallet()),
        Operation::new("GET /deployments", "fleet.list_deployments", "List the deployments")
            .about("With `creator`, a page is of 100 unless `limit` says otherwise.")
            .query("creator", "Of this wallet.", json_schema!({ "type": "string", "pattern": ADDRESS }))
            .query(
                "status",
                "In this status.",
                json_schema!({ "type": "string", "enum": ["pending", "processing", "success", "failed"] }),
            )
            .paged(20)
            .answers(
                Answer::new(200, "Deployments, newest first.")
                    .json(vec![FleetDeployment::example()])
                    .may_have("Link", "The next page, where there is one."),
            ),
        of_one("GET /deployments/{name}", "fleet.show_deployment", "Show a deployment").answers(shown()),
        of_one("DELETE /deployments/{name}", "fleet.delete_deployment", "Delete a deployment")
            .answers(Answer::new(200, "It is deleted.").json(Deleted { success: true })),
        of_one("PATCH /deployments/{name}/status", "fleet.set_status", "Move a deployment on")
            .about("pending → processing → success or failed; failed → pending to try again.")
            .object(
                json_schema!({
                    "type": "object",
                    "properties": {
                        "status": { "type": "string", "enum": ["pending", "processing", "success", "failed"] },
                        "url": text(r"^https?://[a-z0-9]{1,60}\.example/$"),
                        "errorMessage": { "type": "string", "minLength": 1, "maxLength": 2000, "pattern": crate::openapi::NO_NUL },
                    },
                    "required": ["status"],
                }),
                json!({ "status": "processing" }),
            )
            .answers(shown())
            .fails(deployments::status_conflict("pending", Status::Success)),
        of_one("PATCH /deployments/{name}/env", "fleet.set_env", "Replace a deployment's environment")
            .object(
                json_schema!({
                    "type": "object",
                    "properties": { "envVars": env_vars(), "port": port() },
                    "required": ["envVars"],
                }),
                json!({ "envVars": { "API_KEY": "a secret" } }),
            )
            .answers(shown()),
        of_one("GET /deployments/{name}/env", "fleet.show_env", "Show a deployment's environment to a deployer")
            .answers(Answer::new(200, "In clear.").json(Env { env_vars: json!({ "API_KEY": "a secret" }) })),
        of_one("PATCH /deployments/{name}/replicas", "fleet.set_replicas", "Say how many shall run")
            .object(
                json_schema!({ "type": "object", "properties": { "replicas": replicas() }, "required": ["replicas"] }),
                json!({ "replicas": 3 }),
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
        Answer::new(200, "The machine's window.").json(Beaten {
            success: true,
            window,
            next_beat_seconds: Count(300),
            stale: None,
        })
    };
    let container = json!({
        "type": "object",
        "properties": {
            "containerName": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": crate::openapi::NO_NUL },
            "port": { "type": "string", "maxLength": 100, "pattern": crate::openapi::NO_NUL },
            "cpuPercent": { "type": "number" },
            "memUsageMb": { "type": "number" },
        },
        "required": ["containerName"],
        "not": { "required": ["name"] },
    });
    let with_auth = |operation: Operation| {
        operation
            .header(
                "X-Wallet-Signature",
                "Instead of a token: the wallet's signature (EIP-191; SEP-53 of a Stellar key) over \
                 `hatch-heartbeat\\n{wallet}\\n{timestamp}\\n{sha256 of the body, hex}`: the wallet in lower \
                 case however the body writes it, a Stellar key as it is, the timestamp as it is there, the \
                 hexadecimal digits in lower case.",
                json_schema!({ "type": "string" }),
            )
            .answers(beaten())
            .fails(heartbeat::unproved())
            .fails(heartbeat::not_your_machine())
            .fails(heartbeat::AHEAD)
            .fails(heartbeat::TOO_LATE)
    };
    vec![
        with_auth(Operation::new("POST /heartbeat", "fleet.beat", "Say that a machine runs, and what").object(
            json_schema!({
                "type": "object",
                "properties": {
                    "walletAddress": text(ADDRESS),
                    "timestamp": text(TIMESTAMP),
                    "containers": { "type": "array", "items": container, "maxItems": 500 },
                    "system": { "type": "object", "maxProperties": 10, "additionalProperties": { "type": "integer" } },
                    "hostname": { "type": "string", "minLength": 1, "maxLength": 253, "pattern": crate::openapi::NO_NUL },
                    "tailscaleIp": { "type": "string", "maxLength": 64, "pattern": crate::openapi::NO_NUL },
                },
                "required": ["walletAddress", "timestamp", "containers"],
            }),
            json!({ "walletAddress": WALLET, "timestamp": "2026-11-20T12:00:00Z",
                    "containers": [{ "containerName": "web", "port": "8080" }] }),
        )),
        with_auth(Operation::new("POST /heartbeat/ping", "fleet.ping", "Say that a machine runs").object(
            json_schema!({
                "type": "object",
                "properties": { "walletAddress": text(ADDRESS), "timestamp": text(TIMESTAMP) },
                "required": ["walletAddress", "timestamp"],
            }),
            json!({ "walletAddress": WALLET, "timestamp": "2026-11-20T12:00:00Z" }),
        )),
    ]
}

fn machines() -> Vec<Operation> {
    let worker = Worker {
        wallet_address: WALLET,
        token_hint: Some("wk_…wXyZ"),
        created_at: NOON,
        last_seen: Some(NOON),
        hostname: Some("atlas"),
        system: None,
        status: Health::Healthy,
    };
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
        system: Some(json!({ "cpuCores": 8, "ramTotalGb": 31.2, "storageTotalGb": 468 })),
        credits: Some(0.0),
    };
    let metric = Metric {
        timestamp: NOON,
        cpu_usage_percent: 12.5,
        ram_used_gb: 9.8,
        ram_total_gb: 31.2,
        credits_earned: 0.0,
        container_count: Count(2),
    };
    let wrong_wallet = || Error::invalid("wallet", "an address is 0x and 40 hexadecimal digits");
    let of_one = |route, id, summary| {
        Operation::new(route, id, summary).path("wallet", "Of the machine.", WALLET).fails(wrong_wallet())
    };
    let registered = Answer::new(201, "Its token.")
        .json(Registered { wallet_address: WALLET, token: "wk_…" })
        .with("Location", "Where it is shown.")
        .leads_to(&["fleet.show_worker", "fleet.worker_status"], "wallet", "/walletAddress");
    let containers = vec![Container {
        container_name: "web",
        name: "web",
        port: Some("8080"),
        cpu_percent: 1.5,
        mem_usage_mb: 20.0,
    }];
    let interval =
        Interval { time_from: EARLIER, time_to: NOON, duration_seconds: Count(10_800), open: true };
    vec![
        Operation::new("POST /workers", "fleet.register", "Register a machine, or give it a new token")
            .about(
                "With the signed challenge of `POST /auth/wallet/challenge`, or signed in with the wallet. In \
                 development `walletAddress` is taken at its word.",
            )
            .body::<workers::NewWorker>(json!({ "walletAddress": WALLET }))
            .answers(registered)
            .fails(workers::unproved())
            .fails(workers::by_a_key())
            .fails(workers::no_wallet()),
        Operation::new("GET /workers", "fleet.list_workers", "List your machines").paged(20).answers(
            Answer::new(200, "Machines, by wallet.")
                .json(vec![worker])
                .may_have("Link", "The next page, where there is one."),
        ),
        of_one("GET /workers/{wallet}", "fleet.show_worker", "Show a machine")
            .answers(Answer::new(200, "What is known of it.").json(view)),
        of_one("DELETE /workers/{wallet}", "fleet.revoke_worker", "Revoke a machine's token")
            .answers(Answer::new(204, "It is good no longer."))
            .fails(workers::NOT_FOUND),
        of_one("GET /workers/{wallet}/status", "fleet.worker_status", "Say how a machine is").answers(
            Answer::new(200, "By the time since its last beat.")
                .json(WorkerStatus { status: Health::Healthy, last_seen: Some(NOON) }),
        ),
        of_one("GET /workers/{wallet}/uptime", "fleet.uptime", "Say when a machine ran")
            .query("from", "The period's beginning.", json_schema!({ "type": "string", "pattern": TIMESTAMP }))
            .query("to", "The period's end.", json_schema!({ "type": "string", "pattern": TIMESTAMP }))
            .paged(20)
            .answers(
                Answer::new(200, "Newest first, clipped to the period, the open window among them.")
                    .json(vec![interval])
                    .with("X-Uptime-Seconds", "The whole seconds of the period in which it ran.")
                    .may_have("Link", "The next page, where there is one."),
            )
            .fails(workers::NOT_FOUND),
        of_one("GET /workers/{wallet}/containers", "fleet.containers", "List a machine's containers")
            .answers(Answer::new(200, "Those of its last beat; none of a machine that is not yours.").json(containers)),
        of_one("GET /workers/{wallet}/metrics", "fleet.metrics", "List what a machine said of itself")
            .about("At most one for each hour that is over, for a day, and the newest.")
            .query(
                "hours",
                "Of so many hours.",
                json_schema!({ "type": "integer", "minimum": 1, "maximum": window::MOST_HOURS, "default": window::MOST_HOURS }),
            )
            .answers(
                Answer::new(200, "Oldest first; none of a machine that is not yours.").json(vec![metric]),
            ),
        Operation::new("GET /api/setup", "fleet.setup", "The script by which a machine joins")
            .must_query("wallet", "Of the machine.", json_schema!({ "type": "string", "pattern": ADDRESS }))
            .about("In development, without a credential, a request without `token` gives the machine a new one.")
            .query(
                "token",
                "Of the machine; its last six digits are a checksum.",
                json_schema!({ "type": "string", "pattern": "^wk_[0-9A-Za-z]{49}$" }),
            )
            .fails(setup::mistyped())
            .answers(
                Answer::new(200, "A POSIX shell script.")
                    .file("text/x-shellscript")
                    .with("Content-Disposition", "A file's name."),
            ),
    ]
}

fn ledger() -> Vec<Operation> {
    let entered = |status, about| Answer::new(status, about).json(Payment::example());
    let payout = || Payout {
        wallet_address: WALLET,
        from: EARLIER,
        to: NOON,
        uptime_seconds: Count(10_800),
        amount: "10800000",
        payment_id: Count(1),
    };
    vec![
        Operation::new("POST /payments", "fleet.pay", "Enter a payment")
            .object(
                json_schema!({
                    "type": "object",
                    "properties": {
                        "name": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": crate::openapi::NO_NUL },
                        "amount": text(AMOUNT), "creator": text(ADDRESS),
                        "txHash": text("^(?:0x)?[0-9a-fA-F]{64}$"),
                    },
                    "required": ["name", "amount", "creator"],
                }),
                json!({ "name": "November", "amount": "1000000000000000000", "creator": WALLET, "txHash": TX }),
            )
            .answers(
                entered(201, "The entry.")
                    .with("Location", "Where it is shown.")
                    .leads_to(&["fleet.show_payment"], "id", "/id"),
            )
            .answers(entered(200, "The entry, which was there already."))
            .fails(payments::transaction_entered()),
        Operation::new("GET /payments", "fleet.list_payments", "List the payments")
            .query("creator", "To this wallet.", json_schema!({ "type": "string", "pattern": ADDRESS }))
            .paged(20)
            .answers(
                Answer::new(200, "Payments, newest first.")
                    .json(vec![Payment::example()])
                    .may_have("Link", "The next page, where there is one."),
            ),
        Operation::new("GET /payments/{id}", "fleet.show_payment", "Show a payment")
            .path("id", "Of the payment.", Count(1))
            .answers(entered(200, "The entry."))
            .fails(payments::NOT_FOUND),
        Operation::new("POST /payments/payouts", "fleet.close", "Close a period of a machine")
            .about(
                "Enters what its uptime is worth, `PAYOUT_RATE` a second, once; from 25 hours after the period's \
                 end, when no late beat can change it any more.",
            )
            .object(
                json_schema!({
                    "type": "object",
                    "properties": { "walletAddress": text(ADDRESS), "from": text(TIMESTAMP), "to": text(TIMESTAMP) },
                    "required": ["walletAddress", "from", "to"],
                }),
                json!({ "walletAddress": WALLET, "from": "2026-11-01T00:00:00Z", "to": "2026-11-08T00:00:00Z" }),
            )
            .answers(Answer::new(201, "What is owed.").json(payout()))
            .answers(Answer::new(200, "What is owed; the period was closed already.").json(payout()))
            .fails(payments::overlap())
            .fails(payments::not_settled()),
    ]
}
