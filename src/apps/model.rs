//! The one place where a model is asked: any of the catalogue that can use
//! tools, Claude where nobody says which, the sandbox model in development.
//! What an answer can cost at most is set aside before, and settled after.

use hatch_dialects::{Class, Dialect, Reader, Reply, Request, Response, Usage, estimate_prompt};

use super::{
    sandbox::{self, Scene},
    settings::{AgentServer, Apps},
    store, tools,
    work::Work,
};
use crate::{
    error::{Error, UpstreamKind},
    identity::{
        DailyLimits,
        quotas::{self, Quota, Taken},
    },
    models::{
        self, Answer, Budget, Candidate, Catalogue, Keys, Period, Preference, Providers, Question,
        Unanswered, Wish,
        budgets::{self, Limit, Reserved},
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
/// The longest answers in tokens: a shorter one is asked for where there is no
/// money for a longer one.
const LENGTHS: [u64; 5] = [32_000, 16_000, 8_000, 4_000, 2_000];

/// An answer, or why there is none.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: Result<Response, Error>,
    /// Who has answered.
    pub(super) model: String,
    /// Read and written.
    pub(super) tokens: i64,
    pub(super) cost_micro_usd: i64,
}

/// What an answer may take.
#[derive(Debug)]
pub(super) struct Allowance {
    max_tokens: u64,
    /// Of everybody's budget.
    reserved: Reserved,
    /// Of the user's day.
    daily: Option<Taken>,
}

/// That there is somebody to do the work.
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

/// That the agent can work with a model that a user names.
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
        return Err(Error::invalid("/model", "is none that can use tools"));
    }
    // Who pays for it is not who names it.
    if found.iter().any(|candidate| candidate.model.prices.is_none()) {
        return Err(Error::invalid("/model", "has no price that is known here"));
    }
    Ok(())
}

/// Who may answer for a turn, the first one first.
pub(super) async fn choose(
    wanted: Option<&str>,
    settings: &Settings,
    database: &Database,
) -> Result<Vec<Candidate>, Error> {
    let name = match wanted {
        Some(name) => name.to_owned(),
        None => default_name(settings)?,
    };
    let found = candidates(&name, None, settings, database).await??;
    if found.is_empty() {
        let words = format!("The model {name} cannot use tools, so no agent can work with it");
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    let has_budget = DailyLimits::of(settings)?.budget_micro_usd.is_some()
        || Providers::of(settings)?.daily_budget_micro_usd.is_some();
    if has_budget && found.iter().any(|candidate| candidate.model.prices.is_none()) {
        let words = "A model whose price is not known here cannot be asked under a budget";
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    Ok(found)
}

/// The operator's choice: `AGENT_MODEL`, Claude, or whoever can do it.
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
    let wish = Wish { names, preference, prompt_tokens: 0, allowed, keys: &keys };
    let found = models::candidates(&wish, &request, &catalogue, providers);
    Ok(found.map(|mut found| {
        found.retain(|candidate| candidate.model.can("tools"));
        found
    }))
}

/// Sets aside what the next answer can cost: none where the turn has not as
/// much left.
///
/// # Errors
/// [`Error::TooManyRequests`] where its user has not, or everybody together.
pub(super) async fn afford(
    request: &Request,
    candidates: &[Candidate],
    work: &Work,
) -> Result<Option<Allowance>, Error> {
    let bounds = Apps::of(&work.settings)?.bounds;
    let left = bounds.micro_usd.saturating_sub(work.turn.cost_micro_usd);
    let prompt = estimate_prompt(request);
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
        match set_aside(max_tokens, most, work).await {
            Err(error @ Error::TooManyRequests(_)) => refused = Some(error),
            other => return other.map(Some),
        }
    }
    refused.map_or(Ok(None), Err)
}

async fn set_aside(max_tokens: u64, most: i64, work: &Work) -> Result<Allowance, Error> {
    let (settings, database, now) = (&work.settings, &work.context.database, now_ms());
    let everybodys = Providers::of(settings)?
        .daily_budget_micro_usd
        .map(|micro_usd| Limit::money("all".to_owned(), Budget { micro_usd, per: Period::Day }, most, now));
    let reserved = budgets::reserve(everybodys.into_iter().collect(), now, database).await?;
    match quotas::take(Quota::Budget, most, &work.turn.user_id, DailyLimits::of(settings)?, database).await {
        Ok(daily) => Ok(Allowance { max_tokens, reserved, daily }),
        Err(error) => {
            if let Some(back) = reserved.settle(0)? {
                database.query(back).await?;
            }
            Err(error)
        }
    }
}

/// Asks for one answer, reads it to its end, and books what it cost: whatever
/// becomes of its step.
pub(super) async fn ask(
    mut request: Request,
    candidates: Vec<Candidate>,
    allowance: Allowance,
    scene: &Scene<'_>,
    work: &Work,
) -> Result<Asked, Error> {
    request.max_tokens = Some(allowance.max_tokens);
    let asked = match candidates.first() {
        Some(candidate) if candidate.provider.is_sandbox() => Asked {
            answer: Ok(sandbox::play(scene, &Templates::read(&work.context.env, Templates::APPS).await?)),
            model: sandbox::MODEL.to_owned(),
            tokens: 0,
            cost_micro_usd: 0,
        },
        _ => answer(&request, candidates, work).await?,
    };
    let mut booked = vec![store::spend(&work.turn.id, asked.tokens, asked.cost_micro_usd)];
    booked.extend(allowance.daily.map(|daily| daily.reconcile(asked.cost_micro_usd)));
    booked.extend(allowance.reserved.settle(asked.cost_micro_usd)?);
    work.context.database.batch_all(booked).await?;
    Ok(asked)
}

async fn answer(request: &Request, candidates: Vec<Candidate>, work: &Work) -> Result<Asked, Error> {
    let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let question = Question {
        request,
        body: None,
        client: Dialect::Messages,
        reply: Reply::new(request, work.turn.id.replace('-', ""), seconds),
        // So that what a broken answer has cost is known.
        is_live: true,
        is_lenient: true,
        keys: &Keys::default(),
        anthropic: None,
        filter: &|| None,
    };
    let (answer, answered) = match models::ask(&question, candidates, Providers::of(&work.settings)?).await {
        Ok(answered) => answered,
        Err(Unanswered { error, retry_after_s, model, .. }) => {
            let answer = Err(described(&error, retry_after_s));
            return Ok(Asked { answer, model: model.unwrap_or_default(), tokens: 0, cost_micro_usd: 0 });
        }
    };
    let estimate = Usage { input: estimate_prompt(request), ..Usage::default() };
    let (answer, usage) = match answer {
        Answer::Whole { response, .. } => {
            let usage = response.usage.unwrap_or(estimate);
            (Ok(*response), usage)
        }
        Answer::Live(live) => {
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
    Ok(Asked {
        answer,
        tokens: i64::try_from(usage.total()).unwrap_or(i64::MAX),
        cost_micro_usd: model.cost_micro_usd(&usage).unwrap_or_default(),
        model: model.id,
    })
}

/// A failure of the model's, in our own words.
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
