//! Asks the model for the agent's next answer: any model of the catalogue that
//! can use tools, Claude by default, the sandbox model in development. Reserves
//! the most that an answer can cost before, and books its real cost after.

use hatch_dialects::{Class, Dialect, Reader, Reply, Request, Response, Usage, estimate_prompt};

use super::{
    reservations::{Payer, Reservation},
    sandbox::{self, Scene},
    settings::{AgentServer, Apps},
    store, tools,
    work::Work,
};
use crate::{
    error::{Error, UpstreamKind},
    models::{
        self, Candidate, Catalogue, FailedCall, KeyLimits, Keys, ModelResponse, Preference, Providers,
        Question, RouteQuery,
    },
    platform::{
        clock::now_ms,
        pump::{Deadlines, End},
    },
    settings::{FromVars as _, Settings},
    store::Database,
    upstream::{anthropic::Claude, sandbox::Templates},
};

/// The longest answer; a consumer of a queue has a quarter of an hour.
const ANSWER_MS: i64 = 10 * 60_000;
/// The lengths of answers, in tokens. If the budget does not suffice for a long
/// answer, a shorter one is requested.
const LENGTHS: [u64; 5] = [32_000, 16_000, 8_000, 4_000, 2_000];

/// An answer of a model, or its error, and its cost.
#[derive(Debug)]
pub(super) struct BookedAnswer {
    pub(super) answer: Result<Response, Error>,
    /// The model that has answered.
    pub(super) model: String,
    /// Tokens, read and written.
    pub(super) tokens: i64,
    pub(super) cost_micro_usd: i64,
}

/// What an answer may cost.
#[derive(Debug)]
pub(super) struct Allowance {
    max_tokens: u64,
    reservation: Reservation,
}

/// The budgets that pay for a turn's answers.
fn payer<'a>(work: &'a Work, limits: &'a KeyLimits) -> Payer<'a> {
    let (turn, job) = (&work.turn, &work.job);
    let key = turn.key_id.as_deref().map(|id| (id, limits));
    Payer { turn: &turn.id, job: &job.id, holder: job.holder(), user: &turn.user_id, key }
}

/// Checks that a model or an agent server can do the work.
///
/// # Errors
/// [`Error::NotConfigured`] in production without an agent server and without a key.
pub(super) fn can_work(settings: &Settings) -> Result<(), Error> {
    let is_there = Option::<AgentServer>::of(settings)?.is_some() || !Providers::of(settings)?.all.is_empty();
    if is_there { Ok(()) } else { Err(no_model()) }
}

pub(super) fn no_model() -> Error {
    Error::NotConfigured {
        variable: "CLAUDE_API_KEY",
        detail:
            "Set the secret CLAUDE_API_KEY, another provider's key or AGENT_SERVER_URL, to build apps from a \
                 conversation"
                .to_owned(),
    }
}

/// Checks that the agent can use the model that a user names.
///
/// # Errors
/// A violation at `/model`.
pub(super) async fn check(
    name: &str,
    allowed: Option<&[String]>,
    settings: &Settings,
    database: &Database,
) -> Result<(), Error> {
    if Option::<AgentServer>::of(settings)?.is_some() {
        return Err(Error::invalid("/model", "is chosen by the agent server here"));
    }
    let found = candidates(name, allowed, settings, database).await?;
    let found = found.map_err(|error| Error::invalid("/model", error.message))?;
    if found.is_empty() {
        return Err(Error::invalid("/model", "cannot use tools"));
    }
    // The operator pays for the model that the user names, so its price must be known.
    if found.iter().any(|candidate| candidate.model.prices.is_none()) {
        return Err(Error::invalid("/model", "has no price in the catalogue"));
    }
    Ok(())
}

/// The candidates for a turn, in their order.
pub(super) async fn choose(work: &Work) -> Result<Vec<Candidate>, Error> {
    let (settings, database, limits) = (&work.settings, &work.context.database, work.key_limits()?);
    let allowed = limits.models.as_deref();
    let name = match &work.turn.model {
        Some(name) => name.clone(),
        None => default_name(settings)?,
    };
    let found = match candidates(&name, allowed, settings, database).await? {
        // A key that may not ask the operator's choice asks one that it may.
        Err(_) if work.turn.model.is_none() && allowed.is_some() => {
            candidates("auto", allowed, settings, database).await?
        }
        found => found,
    }?;
    if found.is_empty() {
        let words = format!("The model {name} cannot use tools, so no agent can work with it");
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    let is_bounded = payer(work, &limits).is_bounded(settings)?;
    if is_bounded && found.iter().any(|candidate| candidate.model.prices.is_none()) {
        let words = "A model whose price is not known here cannot be asked under a budget";
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    Ok(found)
}

/// The default model: `AGENT_MODEL`, else Claude, else any model that can use tools.
fn default_name(settings: &Settings) -> Result<String, Error> {
    let claude = Claude::of(settings)?;
    Ok(match &Apps::of(settings)?.model {
        Some(model) => model.clone(),
        None if claude.key.is_some() => format!("anthropic/{}", claude.model),
        None => "auto".to_owned(),
    })
}

async fn candidates(
    name: &str,
    allowed: Option<&[String]>,
    settings: &Settings,
    database: &Database,
) -> Result<Result<Vec<Candidate>, hatch_dialects::Error>, Error> {
    let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
    let request = Request { tools: tools::offered(), ..Request::default() };
    let keys = Keys::default();
    let (names, preference) = (vec![name], Preference::default());
    let query = RouteQuery { names, preference, prompt_tokens: 0, allowed, keys: &keys };
    let found = models::candidates(&query, &request, &catalogue, providers);
    Ok(found.map(|mut found| {
        found.retain(|candidate| candidate.model.can("tools"));
        found
    }))
}

/// Reserves the most that the next answer can cost. None if the turn's own
/// budget does not suffice.
///
/// # Errors
/// [`Error::TooManyRequests`] if the daily budget of the user or of the Worker is spent.
pub(super) async fn afford(
    request: &Request,
    candidates: &[Candidate],
    work: &Work,
) -> Result<Option<Allowance>, Error> {
    let bounds = Apps::of(&work.settings)?.bounds;
    let left = bounds.micro_usd.saturating_sub(work.turn.cost_micro_usd);
    let (prompt, limits) = (estimate_prompt(request), work.key_limits()?);
    let mut refused = None;
    for max_tokens in LENGTHS {
        let most = |candidate: &Candidate| {
            let longest = u64::try_from(candidate.model.max_output).ok().filter(|tokens| *tokens > 0);
            let output = longest.map_or(max_tokens, |longest| longest.min(max_tokens));
            candidate.model.most_micro_usd(prompt, output)
        };
        let most = candidates.iter().filter_map(most).max().unwrap_or_default();
        if most > left {
            continue;
        }
        match payer(work, &limits).reserve(most, &work.settings, &work.context.database).await {
            Err(error @ Error::TooManyRequests(_)) => refused = Some(error),
            other => return other.map(|reservation| Some(Allowance { max_tokens, reservation })),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Asks for one answer, reads it to its end, and books its cost. The cost stays
/// booked if the step is repeated.
pub(super) async fn ask(
    mut request: Request,
    candidates: Vec<Candidate>,
    allowance: Allowance,
    scene: &Scene<'_>,
    work: &Work,
) -> Result<BookedAnswer, Error> {
    request.max_tokens = Some(allowance.max_tokens);
    let answered = match candidates.first() {
        Some(candidate) if candidate.provider.is_sandbox() => BookedAnswer {
            answer: Ok(sandbox::play(scene, &Templates::read(&work.context.env, Templates::APPS).await?)),
            model: sandbox::MODEL.to_owned(),
            tokens: 0,
            cost_micro_usd: 0,
        },
        _ => answer(&request, candidates, work).await?,
    };
    let mut booked = vec![store::spend(&work.turn.id, answered.tokens, answered.cost_micro_usd)];
    booked.extend(allowance.reservation.reconcile(answered.cost_micro_usd)?);
    work.context.database.batch_all(booked).await?;
    Ok(answered)
}

async fn answer(request: &Request, candidates: Vec<Candidate>, work: &Work) -> Result<BookedAnswer, Error> {
    let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let question = Question {
        request,
        body: None,
        client: Dialect::Messages,
        reply: Reply::new(request, work.turn.id.replace('-', ""), seconds),
        // A stream shows what an interrupted answer has cost.
        is_live: true,
        is_lenient: true,
        keys: &Keys::default(),
        anthropic: None,
        filter: &|| None,
    };
    let (answer, answered) = match models::ask(&question, candidates, Providers::of(&work.settings)?).await {
        Ok(answered) => answered,
        Err(FailedCall { error, retry_after_s, model, .. }) => {
            let answer = Err(described(&error, retry_after_s));
            return Ok(BookedAnswer {
                answer,
                model: model.unwrap_or_default(),
                tokens: 0,
                cost_micro_usd: 0,
            });
        }
    };
    let estimate = Usage { input: estimate_prompt(request), ..Usage::default() };
    let (answer, usage) = match answer {
        ModelResponse::Whole { response, .. } => {
            let usage = response.usage.unwrap_or(estimate);
            (Ok(*response), usage)
        }
        ModelResponse::Live(live) => {
            let idle_ms = work.settings.timeouts.idle_ms;
            let deadlines = Deadlines { idle_ms, after_client_ms: ANSWER_MS };
            let outcome = live.source.collect(deadlines, async |_| ()).await;
            let mut reader = Reader::new(answered.upstream);
            reader.push(&outcome.received);
            let (usage, _) = reader.meter().charged(estimate.input);
            let answer = reader.finish().map_err(|error| match outcome.end {
                End::Stalled => Error::upstream(
                    UpstreamKind::Timeout,
                    "The model fell silent in the middle of its answer",
                ),
                _ => described(&error, None),
            });
            (answer, usage)
        }
    };
    let model = answered.candidate.model;
    Ok(BookedAnswer {
        answer,
        tokens: i64::try_from(usage.total()).unwrap_or(i64::MAX),
        cost_micro_usd: model.cost_micro_usd(&usage).unwrap_or_default(),
        model: model.id,
    })
}

/// An error of the model, in words for the user.
fn described(error: &hatch_dialects::Error, retry_after_s: Option<i64>) -> Error {
    let (kind, words) = match error.class {
        Class::Overloaded => (UpstreamKind::Overloaded, "The model is overloaded"),
        Class::RateLimit => (UpstreamKind::RateLimited, "The model's rate limit is reached"),
        Class::Timeout => (UpstreamKind::Timeout, "The model did not answer in time"),
        Class::Cut => (UpstreamKind::Interrupted, "The model's answer broke off"),
        Class::Upstream if error.code.as_deref() == Some(models::KEY_REFUSED) => {
            (UpstreamKind::Unauthorized, "The model refused our key")
        }
        Class::Upstream => (UpstreamKind::Failed, "The model failed"),
        Class::ContextTooLong => (UpstreamKind::Rejected, "The app is longer than the model can read"),
        Class::NotFound => (UpstreamKind::Rejected, "Its provider has no such model"),
        _ => (UpstreamKind::Rejected, "The model refused the request"),
    };
    Error::Upstream { kind, detail: words.to_owned(), retry_after_s }
}
