//! One request from its client to a model and back.

use std::rc::Rc;

use hatch_dialects::{Class, Dialect, Error as Said, Filter, Reply, Request, Seal, Usage, estimate_prompt};
use hatch_guardrails::Policy;

use super::{
    asked::{Asked, Options},
    guard::Guards,
    kept::Keeper,
    ledger::{Entry, Outcome},
    live, store,
    thoughts::Sealed,
    told,
};
use crate::{
    error::{Error, ModelError},
    http::RequestContext,
    identity::{
        DailyLimits, User,
        quotas::{self, Quota},
    },
    models::{
        self, Answer, Answered, Budget, Candidate, Catalogue, KeyLimits, Period, Providers, Question,
        Unanswered, Wish,
        budgets::{self, Limit},
    },
    platform::{clock::now_ms, random, response::Response},
    settings::FromVars as _,
    store::Database,
};

/// Who asks whom, by which rules, and what is set aside for it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) entry: Entry,
    pub(super) candidates: Vec<Candidate>,
    pub(super) guards: Guards,
    pub(super) prompt_tokens: u64,
    /// A guardrail has changed the request.
    is_changed: bool,
    /// The rules that found something in the request.
    rules: Vec<String>,
}

/// What a model without a limit of its own may say.
const SOME_OUTPUT: u64 = 8_192;

impl Turn {
    /// Finds who may answer and sets aside what that may cost.
    ///
    /// # Errors
    /// As routing's; 400 for what a guardrail blocks; 429 for a budget that is
    /// spent, and where no model has a price that could be counted.
    pub(super) async fn begin(
        request: &mut Request,
        names: Vec<&str>,
        options: &Options,
        user: &User,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Self, Error> {
        let (settings, now) = (&context.settings, now_ms());
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
        let prompt_tokens = estimate_prompt(request);
        let wish =
            Wish { names, preference: options.preference, prompt_tokens, allowed: limits.models.as_deref() };
        let mut candidates = models::candidates(&wish, request, &catalogue, providers)?;
        let guards = guards(&user.id, limits.guardrails.as_ref(), database).await?;
        let checked = guards.check(request)?;
        let is_theirs = options.key() != models::Key::Ours;
        if is_theirs {
            only_first_provider(&mut candidates);
        }
        let output = request.max_tokens.unwrap_or_default();
        let money = Money { key: user.credential.id(), limits: &limits, providers, now };
        let daily_limits = DailyLimits::of(settings)?;
        let is_counted = !is_theirs && (money.is_limited() || daily_limits.budget_micro_usd.is_some());
        if is_counted {
            candidates.retain(|candidate| candidate.model.prices.is_some());
        }
        let most =
            candidates.iter().filter_map(|candidate| most(candidate, prompt_tokens, output, request.n)).max();
        if candidates.is_empty() {
            let words = "A model whose price is not known here cannot be asked under a budget";
            return Err(Said::new(Class::Permission, words).with_code("model_without_price").into());
        }
        let most = if is_counted { most.unwrap_or_default() } else { 0 };
        let reserved = budgets::reserve(money.limits(most, is_theirs), now, database).await?;
        let daily = match is_counted {
            true => quotas::take(Quota::Budget, most, &user.id, daily_limits, database).await,
            false => Ok(None),
        };
        let mut entry = Entry {
            id: random::uuid()?,
            user: user.id.clone(),
            key: user.credential.id().map(str::to_owned),
            started: now,
            reserved,
            daily: None,
            is_theirs,
        };
        match daily {
            Ok(daily) => entry.daily = daily,
            Err(error) => {
                entry.close(Outcome { status: 429, ..Outcome::default() }, Vec::new(), database).await;
                return Err(error);
            }
        }
        let (is_changed, rules) = (checked.is_changed, checked.rules);
        Ok(Self { entry, candidates, guards, prompt_tokens, is_changed, rules })
    }

    /// Asks, and answers with who answers and what is left to do.
    pub(super) async fn ask(
        &mut self,
        asked: &Asked,
        is_live: bool,
        context: &RequestContext,
    ) -> Result<Answered, Unanswered> {
        let settings = match Providers::of(&context.settings) {
            Ok(settings) => settings,
            Err(error) => return Err(Unanswered::before(Said::new(Class::Upstream, error.detail()))),
        };
        let filter = || self.guards.filter();
        let question = Question {
            request: &asked.request,
            body: (!self.is_changed && !asked.needs_us).then_some((asked.bytes.as_slice(), asked.client)),
            client: asked.client,
            reply: self.reply(&asked.request, context),
            is_live,
            is_lenient: asked.options.is_lenient,
            key: asked.options.key(),
            anthropic: asked.options.anthropic(),
            filter: &filter as &dyn Fn() -> Option<Box<dyn Filter>>,
        };
        models::ask(&question, std::mem::take(&mut self.candidates), settings).await
    }

    fn reply(&self, request: &Request, context: &RequestContext) -> Reply {
        let id = self.entry.id.replace('-', "");
        let created = u64::try_from(self.entry.started / 1_000).unwrap_or_default();
        Reply {
            prompt_estimate: self.prompt_tokens,
            request_id: context.request_id.clone(),
            seal: Sealed::of(context, &self.entry.user).map(|seal| Rc::new(seal) as Rc<dyn Seal>),
            ..Reply::new(request, id, created)
        }
    }
}

/// `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`.
pub(super) async fn answer(context: RequestContext, client: Dialect) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let mut asked = Asked::read(&context, client, &user.id, &database).await?;
    let names: Vec<String> = asked.names().into_iter().map(str::to_owned).collect();
    let names = names.iter().map(String::as_str).collect();
    let mut turn = Turn::begin(&mut asked.request, names, &asked.options, &user, &context, &database).await?;
    let is_live = asked.request.stream && !asked.options.is_buffered;
    let answered = match turn.ask(&asked, is_live, &context).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(refuse(turn.entry, unanswered, &database).await),
    };
    let mut warnings = asked.request.warnings.clone();
    warnings.extend(turn.rules.iter().map(|rule| format!("guardrail: {rule}")));
    let keep = match client == Dialect::Responses && asked.request.store != Some(false) {
        true => Keeper::of(&asked.bytes, &asked.previous, &turn.guards),
        false => Keeper::nothing(),
    };
    let headers = told::headers(&answered, &warnings);
    match answered.answer {
        Answer::Live(stream) => {
            let carried = live::Carried {
                entry: turn.entry,
                candidate: answered.candidate,
                attempts: answered.attempts,
                first_token_ms: answered.first_token_ms,
                prompt_tokens: turn.prompt_tokens,
                reply: answered.reply,
                upstream: answered.upstream,
                idle_ms: Providers::of(&context.settings)?.idle_ms,
                keep,
                guards: turn.guards,
            };
            live::tell(*stream, carried, headers, &context.background, database)
        }
        Answer::Whole { response, bytes } => {
            let reply = &answered.reply;
            let watched = turn.guards.watch(&response);
            let outcome = Outcome::answered(
                &answered.candidate,
                answered.attempts,
                answered.first_token_ms,
                response.usage,
                Usage { input: turn.prompt_tokens, ..Usage::default() },
            );
            let bytes = bytes.filter(|_| {
                client == Dialect::Messages && answered.upstream == client && !turn.guards.has_output()
            });
            let kept = keep.statements(&turn.entry.user, watched.as_ref().ok(), reply);
            turn.entry.close(outcome, kept, &database).await;
            Ok(told::whole(&watched?, bytes, client, asked.request.stream, reply, headers))
        }
    }
}

/// A caller's own key is of one provider, and no other one may see it.
fn only_first_provider(candidates: &mut Vec<Candidate>) {
    if let Some(first) = candidates.first().map(|candidate| candidate.provider) {
        candidates.retain(|candidate| candidate.provider.name == first.name);
    }
}

/// Nobody answered: nothing is spent.
pub(super) async fn refuse(entry: Entry, unanswered: Unanswered, database: &Database) -> Error {
    let Unanswered { error, retry_after_s, attempts, model } = unanswered;
    let status = error.status(Dialect::Chat);
    let outcome = Outcome { model: model.as_deref(), status, attempts, ..Outcome::default() };
    entry.close(outcome, Vec::new(), database).await;
    let headers = vec![("x-gateway-attempts", attempts.to_string())];
    Error::Model(Box::new(ModelError { error, retry_after_s, headers }))
}

/// The most that an answer of this model can cost.
fn most(candidate: &Candidate, prompt: u64, wanted: u64, n: Option<u64>) -> Option<i64> {
    let model = &candidate.model;
    let most = u64::try_from(model.max_output).ok().filter(|tokens| *tokens > 0).unwrap_or(SOME_OUTPUT);
    let output = if wanted > 0 { wanted.min(most) } else { most };
    model.most_micro_usd(prompt, output.saturating_mul(n.unwrap_or(1).max(1)))
}

/// Which budgets hold.
struct Money<'a> {
    key: Option<&'a str>,
    limits: &'a KeyLimits,
    providers: &'a Providers,
    now: i64,
}

impl Money<'_> {
    fn is_limited(&self) -> bool {
        self.limits.budget.is_some() || self.providers.daily_budget_micro_usd.is_some()
    }

    fn limits(&self, most: i64, is_theirs: bool) -> Vec<Limit> {
        let mut limits = Vec::new();
        if let (Some(key), Some(rpm)) = (self.key, self.limits.rpm) {
            limits.push(Limit::request(key, rpm, self.now));
        }
        if is_theirs {
            return limits;
        }
        if let (Some(key), Some(budget)) = (self.key, self.limits.budget) {
            limits.push(Limit::money(format!("key:{key}"), budget, most, self.now));
        }
        if let Some(micro_usd) = self.providers.daily_budget_micro_usd {
            let budget = Budget { micro_usd, per: Period::Day };
            limits.push(Limit::money("all".to_owned(), budget, most, self.now));
        }
        limits
    }
}

/// The guardrails of a user and of their key.
pub(super) async fn guards(
    user: &str,
    of_key: Option<&Policy>,
    database: &Database,
) -> Result<Guards, Error> {
    let of_user: Option<Policy> = database.query(store::policy(user)).await?.first()?;
    let policies: Vec<&Policy> = of_user.iter().chain(of_key).collect();
    // They were checked when they were set.
    Guards::new(&policies).map_err(|error| Error::Internal(format!("guardrails: {error}")))
}
