//! The OpenAPI contract of the generate module.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    JOB_NOT_FOUND, NewStartup, PROJECT_NOT_FOUND,
    competitors::Competitor,
    empty_prompt, has_ended,
    identity::Identity,
    not_failed,
    proof::unknown_challenge,
    running_limit,
    store::{Generation, JOB, JobStatus, PROJECT},
};
use crate::{
    error::{Error, Resource},
    identity::quotas::{self, Quota},
    openapi::{Count, DocumentedResponse, Id, Module, Operation, Time, Url},
    upstream::concordium::presentation,
};

const TOKEN: &str = "9f86d081884c7d659a2feaa0c55ad015";

#[derive(Debug, Serialize, JsonSchema)]
struct GenerationStarted {
    job_id: Id,
    status: JobStatus,
    message: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ProofChallenge {
    #[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
    challenge: &'static str,
    #[schemars(extend("enum" = ["testnet", "mainnet"]))]
    network: &'static str,
    expires_at: Time,
    /// The request for the wallet's `requestVerifiablePresentation`.
    request: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum StepStatus {
    Pending,
    InProgress,
    Completed,
    Failed,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GenerationStep {
    id: Count,
    title: &'static str,
    status: StepStatus,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GenerationLog {
    /// `HH:MM:SS` in UTC.
    #[schemars(extend("pattern" = r"^\d{2}:\d{2}:\d{2}$"))]
    timestamp: &'static str,
    message: &'static str,
    #[schemars(extend("enum" = ["info", "success", "error"]))]
    r#type: &'static str,
}

/// The job's use of models so far.
#[derive(Debug, Serialize, JsonSchema)]
struct GenerationUsage {
    /// The model that wrote the code; null before that.
    model: Option<&'static str>,
    input_tokens: Count,
    output_tokens: Count,
    /// In millionths of a dollar.
    cost_micro_usd: Count,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GenerationStatus {
    job_id: Id,
    status: JobStatus,
    /// In per cent; never decreases.
    progress: Count,
    steps: Vec<GenerationStep>,
    logs: Vec<GenerationLog>,
    /// Null until the job is completed.
    project_id: Option<Id>,
    project_name: &'static str,
    /// Why the job failed.
    error: Option<&'static str>,
    usage: GenerationUsage,
}

/// One event: a `log` line, whose number is the id, or a `status`, which is the
/// answer of the status route without the log. The last event has the id `end`.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct GenerationEvent {
    #[schemars(extend("enum" = ["log", "status"]))]
    event: String,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// JSON.
    #[schemars(extend("contentMediaType" = "application/json"))]
    data: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum AssetStatus {
    Completed,
    Failed,
    NotConfigured,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Video {
    video_url: Option<Url>,
    thumbnail_url: Option<Url>,
    /// In seconds.
    duration: Option<f64>,
    status: AssetStatus,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PitchDeck {
    /// The deck's page, for people who have this address.
    deck_url: Option<Url>,
    slides: Count,
    status: AssetStatus,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MarketingAssets {
    video: Video,
    pitch_deck: PitchDeck,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LaunchChannel {
    name: &'static str,
    description: &'static str,
    #[schemars(extend("enum" = ["high", "medium", "low"]))]
    priority: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct File {
    path: &'static str,
    bytes: Count,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Startup {
    project_id: Id,
    project_name: &'static str,
    tagline: &'static str,
    prompt: &'static str,
    stack: Vec<&'static str>,
    /// Whether the proof of identity was verified.
    verified: bool,
    marketing_assets: MarketingAssets,
    launch_channels: Vec<LaunchChannel>,
    competitors: Vec<Competitor>,
    /// Where the competitors come from: a `search` of the web, the `model` alone, or the `sandbox`.
    competitors_source: Option<&'static str>,
    /// The proof of identity, and the registration of the package's hash on chain.
    identity: Identity,
    files: Vec<File>,
    usage: GenerationUsage,
    created_at: Time,
}

const USAGE: GenerationUsage = GenerationUsage {
    model: Some("claude-sonnet-5-5"),
    input_tokens: Count(5_120),
    output_tokens: Count(41_900),
    cost_micro_usd: Count(429_240),
};

const STREAM: &str = r#"id: 1
event: log
data: {"timestamp":"09:32:00","message":"Looking for competitors","type":"info"}

event: status
data: {"job_id":"3d0c1f5a-9b7e-4c28-8a64-1e5f7b90c2d3","status":"processing","progress":10}

"#;

pub(crate) fn module() -> Module {
    Module {
        name: "generate",
        about: "From a prompt to a packaged startup.",
        operations: vec![
            challenge(),
            create(),
            list(),
            cancel(),
            retry(),
            status(),
            events(),
            show(),
            download(),
            Operation::new("GET /decks/{token}", "generate.deck", "Look at a pitch deck")
                .about("Five slides as one page, for people who have the link.")
                .path("token", "As in the startup's `deck_url`.", TOKEN)
                .answers(DocumentedResponse::new(200, "The deck.").file("text/html"))
                .fails(Error::NotFound(Resource::Deck)),
        ],
    }
}

fn with_begin_errors(operation: Operation) -> Operation {
    operation.fails(running_limit(3, 0)).fails(quotas::exceeded(Quota::Budget, 1_000_000, 0)).fails(
        Error::NotConfigured {
            variable: "CLAUDE_API_KEY",
            detail: "Set the secret CLAUDE_API_KEY to generate startups".to_owned(),
        },
    )
}

fn answer(status: JobStatus, message: &'static str) -> DocumentedResponse {
    DocumentedResponse::new(200, "The job's status.").json(GenerationStarted { job_id: JOB, status, message })
}

fn create() -> Operation {
    let operation = Operation::new("POST /api/generate", "generate.create", "Generate a startup")
        .about("Starts a job that finds competitors, writes the application, packages it, makes a launch kit and registers the identity.")
        .body_read_by::<NewStartup>(json!({ "prompt": "AI scheduling tool for freelancers" }), |new| {
            new.prompt().map(drop)
        })
        .answers(answer(JobStatus::Processing, "Startup generation started").leads_to(
            &["generate.status", "generate.events", "generate.cancel"],
            "job_id",
            "/job_id",
        ))
        .fails(empty_prompt())
        .fails(unknown_challenge());
    with_begin_errors(operation)
}

fn challenge() -> Operation {
    const CHALLENGE: &str = "dbd9887999b7ce48236f86fa35d29dd7a8335287b422b186e11ec6d1d02b3291";
    let challenge = ProofChallenge {
        challenge: CHALLENGE,
        network: "testnet",
        expires_at: Time("2026-11-21T09:47:00.000Z"),
        request: presentation::request(CHALLENGE, "20261121").as_object().cloned().unwrap_or_default(),
    };
    Operation::new(
        "POST /api/generate/challenge",
        "generate.challenge",
        "Get a challenge for a proof of identity",
    )
    .about(
        "A Concordium wallet answers the request with a presentation, which is the `proof` of the next \
             startup. It proves that an identity document is valid, and reveals nothing else.",
    )
    .answers(
        DocumentedResponse::new(200, "The challenge, valid for one proof until it expires.").json(challenge),
    )
}

fn list() -> Operation {
    Operation::new("GET /api/generate", "generate.list", "List your jobs").paged(20).answers(
        DocumentedResponse::new(200, "Newest first.")
            .json(vec![Generation::example()])
            .may_have("Link", "The next page."),
    )
}

fn job_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("job_id", "The job.", JOB).fails(JOB_NOT_FOUND)
}

fn cancel() -> Operation {
    job_operation("POST /api/generate/{job_id}/cancel", "generate.cancel", "Cancel a job")
        .about("Its results so far stay, and the job can be retried.")
        .answers(answer(JobStatus::Cancelled, "Startup generation cancelled"))
        .fails(has_ended())
}

fn retry() -> Operation {
    let operation = job_operation("POST /api/generate/{job_id}/retry", "generate.retry", "Retry a job")
        .about("A failed or cancelled job continues with the step that it had reached.")
        .answers(answer(JobStatus::Processing, "Startup generation goes on"))
        .fails(not_failed());
    with_begin_errors(operation)
}

fn status() -> Operation {
    let step = |id, title, status| GenerationStep { id: Count(id), title, status };
    let running_job = GenerationStatus {
        job_id: JOB,
        status: JobStatus::Processing,
        progress: Count(40),
        steps: vec![
            step(1, "Finding competitors", StepStatus::Completed),
            step(2, "Building MVP", StepStatus::InProgress),
            step(3, "Packaging startup", StepStatus::Pending),
        ],
        logs: vec![GenerationLog {
            timestamp: "09:32:00",
            message: "Looking for competitors",
            r#type: "info",
        }],
        project_id: None,
        project_name: "Slotwise",
        error: None,
        usage: USAGE,
    };
    with_states(job_operation("GET /api/status/{job_id}", "generate.status", "Show a job's status"))
        .header("If-None-Match", "Answers 304 if nothing has changed.", json_schema!({ "type": "string" }))
        .answers(
            DocumentedResponse::new(200, "The job's status.")
                .json(running_job)
                .with("ETag", "The ETag of the body."),
        )
        .answers(DocumentedResponse::new(304, "Nothing has changed.").with("ETag", "The ETag of the body."))
}

fn with_states(operation: Operation) -> Operation {
    operation.query(
        "states",
        "With `all`, a cancelled job has the status `cancelled`; without, it is `failed`, for clients that know only three states.",
        json_schema!({ "type": "string", "enum": ["all"] }),
    )
}

fn events() -> Operation {
    with_states(job_operation(
        "GET /api/status/{job_id}/events",
        "generate.events",
        "Follow a job until it has ended",
    ))
    .header(
        "Last-Event-ID",
        "The id of the last event received; only later ones are sent.",
        json_schema!({ "type": "string" }),
    )
    .answers(
        DocumentedResponse::new(200, "Its log and its status, as they change.")
            .events::<GenerationEvent>(STREAM),
    )
    .answers(DocumentedResponse::new(204, "There are no more events: an EventSource stops reconnecting."))
}

fn startup_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("id", "The startup's project.", PROJECT).fails(PROJECT_NOT_FOUND)
}

fn show() -> Operation {
    let startup = Startup {
        project_id: PROJECT,
        project_name: "Slotwise",
        tagline: "Your week, booked while you work.",
        prompt: "AI scheduling tool for freelancers",
        stack: vec!["Next.js 14", "TypeScript", "Tailwind CSS", "Supabase", "Docker"],
        verified: false,
        marketing_assets: MarketingAssets {
            video: Video {
                video_url: None,
                thumbnail_url: None,
                duration: None,
                status: AssetStatus::NotConfigured,
            },
            pitch_deck: PitchDeck {
                deck_url: Some(Url("http://localhost:8787/decks/9f86d081884c7d659a2feaa0c55ad015")),
                slides: Count(5),
                status: AssetStatus::Completed,
            },
        },
        launch_channels: vec![LaunchChannel {
            name: "Product Hunt",
            description: "Launch on a Tuesday with a one-minute demo.",
            priority: "high",
        }],
        competitors: vec![Competitor {
            name: "Calendly".to_owned(),
            url: Some("https://calendly.com/".to_owned()),
            description: "Lets people book a time in your calendar by a link.".to_owned(),
            features: vec!["Booking pages".to_owned(), "Calendar sync".to_owned()],
            technology: vec!["Ruby on Rails".to_owned()],
            citations: vec!["https://calendly.com/features".to_owned()],
        }],
        competitors_source: Some("search"),
        identity: Identity::default(),
        files: vec![File { path: "app/page.tsx", bytes: Count(2_140) }],
        usage: USAGE,
        created_at: Time("2026-11-21T09:32:00.000Z"),
    };
    startup_operation("GET /api/project/{id}", "generate.show", "Show a startup")
        .about("Its code is the project of the same id.")
        .answers(DocumentedResponse::new(200, "The startup, once its job is completed.").json(startup))
}

fn download() -> Operation {
    startup_operation("GET /api/download/{id}", "generate.download", "Download a startup")
        .header("Range", "One range of bytes.", json_schema!({ "type": "string" }))
        .header("If-Range", "The range only if this is still its `ETag`.", json_schema!({ "type": "string" }))
        .header(
            "If-None-Match",
            "Answers 304 if this is still its `ETag`.",
            json_schema!({ "type": "string" }),
        )
        .answers(
            DocumentedResponse::new(200, "A ZIP; the same files give the same bytes.")
                .file("application/zip")
                .with("ETag", "Of its bytes.")
                .with("Content-Disposition", "Its name."),
        )
        .answers(
            DocumentedResponse::new(206, "The range.")
                .file("application/zip")
                .with("Content-Range", "Which bytes of how many."),
        )
        .answers(DocumentedResponse::new(304, "It has not changed.").with("ETag", "Of its bytes."))
        .answers(
            DocumentedResponse::new(416, "There are no such bytes.")
                .with("Content-Range", "How many there are."),
        )
}
