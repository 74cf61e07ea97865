//! Asks a model for the agent's next answer: any model of the catalogue that can
//! use tools, Claude by default, the sandbox model in development.

use hatch_dialects::{Request, Usage};

use super::{
    sandbox::{self, Scene},
    settings::{AgentServer, Apps},
    store, tools,
    work::Work,
};
use crate::{
    error::Error,
    models::{
        self, Allowance, AnswerRules, Booking, Candidate, KeyLimits, Keys, OpenModels, PaidAnswer,
        PaidQuestion, PaidWork, Payer,
    },
    settings::{FromVars as _, Settings},
    store::Database,
    upstream::sandbox::Templates,
};

/// The name of the agent's model in messages to users.
const WHO: &str = "The model";

/// What decides who answers a step, and who pays.
#[derive(Debug)]
pub(super) struct Terms {
    key_limits: KeyLimits,
    keys: Keys,
}

impl Terms {
    pub(super) async fn of(work: &Work) -> Result<Self, Error> {
        let (turn, database) = (&work.turn, &work.context.database);
        Ok(Self {
            key_limits: KeyLimits::parse(turn.key_limits.as_deref())?,
            keys: Keys::of_user(&turn.user_id, &work.settings, database).await?,
        })
    }

    fn rules<'a>(&'a self, work: &'a Work) -> AnswerRules<'a> {
        let (turn, job) = (&work.turn, &work.job);
        let key = turn.key_id.as_deref().map(|id| (id, &self.key_limits));
        AnswerRules {
            payer: Payer {
                subject: &turn.id,
                work: PaidWork::Job { id: &job.id, holder: job.holder() },
                user: &turn.user_id,
                key,
            },
            keys: &self.keys,
            settings: &work.settings,
            database: &work.context.database,
        }
    }
}

/// Checks that a model or an agent server can do the work.
///
/// # Errors
/// [`Error::NotConfigured`] in production without an agent server and without a key.
pub(super) async fn can_work(user: &str, settings: &Settings, database: &Database) -> Result<(), Error> {
    let is_there = Option::<AgentServer>::of(settings)?.is_some()
        || models::is_any_open(user, settings, database).await?;
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
    user: &str,
    allowed: Option<&[String]>,
    settings: &Settings,
    database: &Database,
) -> Result<(), Error> {
    if Option::<AgentServer>::of(settings)?.is_some() {
        return Err(Error::invalid("/model", "is chosen by the agent server here"));
    }
    let keys = Keys::of_user(user, settings, database).await?;
    let open = OpenModels { allowed, keys: &keys, settings, database };
    let found = open.named(name, &with_tools()).await?;
    let found = found.map_err(|error| Error::invalid("/model", error.message))?;
    if found.is_empty() {
        return Err(Error::invalid("/model", "cannot use tools"));
    }
    // The operator pays for the model that the user names, so its price must be known.
    let is_ours = |candidate: &&Candidate| !keys.has(&candidate.provider.name);
    if found.iter().filter(is_ours).any(|candidate| candidate.model.prices.is_none()) {
        return Err(Error::invalid("/model", "has no price in the catalogue"));
    }
    Ok(())
}

fn with_tools() -> Request {
    Request { tools: tools::offered(), ..Request::default() }
}

/// The candidates for a turn, in their order.
pub(super) async fn choose(work: &Work, terms: &Terms) -> Result<Vec<Candidate>, Error> {
    let preferred = Apps::of(&work.settings)?.model.as_deref();
    models::choose(work.turn.model.as_deref(), preferred, &with_tools(), &terms.rules(work)).await
}

/// Reserves the most that the next answer can cost. None if the turn's own
/// budget does not suffice.
///
/// # Errors
/// [`Error::TooManyRequests`] if the budget of the key, the user or the Worker is spent.
pub(super) async fn afford(
    request: &Request,
    candidates: &[Candidate],
    work: &Work,
    terms: &Terms,
) -> Result<Option<Allowance>, Error> {
    let bounds = Apps::of(&work.settings)?.bounds;
    let left = bounds.micro_usd.saturating_sub(work.turn.cost_micro_usd);
    models::afford(request, None, candidates, left, &terms.rules(work)).await
}

/// Asks for one answer, reads it to its end, and books its cost. The cost stays
/// booked if the step is repeated.
pub(super) async fn ask(
    request: Request,
    candidates: Vec<Candidate>,
    allowance: Allowance,
    scene: &Scene<'_>,
    work: &Work,
    terms: &Terms,
) -> Result<PaidAnswer, Error> {
    let booking = Booking::new(&allowance.reservation, &work.context.database);
    let answered = match candidates.first() {
        Some(candidate) if candidate.provider.is_sandbox() => PaidAnswer {
            answer: Ok(sandbox::play(scene, &Templates::read(&work.context.env, Templates::APPS).await?)),
            model: sandbox::MODEL.to_owned(),
            usage: Usage::default(),
            cost_micro_usd: 0,
        },
        _ => {
            let rules = terms.rules(work);
            let so_far = async |_: &str, cost: i64| {
                booking.book(cost, |more| store::turns::spend(&work.turn.id, 0, more)).await;
            };
            let question = PaidQuestion { request, candidates, who: WHO };
            models::answer(question, &allowance, &rules, so_far).await?
        }
    };
    let tokens = i64::try_from(answered.usage.total()).unwrap_or(i64::MAX);
    booking.finish(answered.cost_micro_usd, |rest| store::turns::spend(&work.turn.id, tokens, rest)).await?;
    Ok(answered)
}
