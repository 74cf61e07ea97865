//! One request from its client to a model and back.

use std::rc::Rc;

use hatch_dialects::{Class, Dialect, Error as Said, Filter, Reply, Request, Seal, Usage, estimate_prompt};
use hatch_guardrails::Policy;

use super::{
    asked::{Asked, Options},
    cache::{Kept, Place},
    guard::Guards,
    kept::Keeper,
    ledger::{Entry, Outcome},
    live, moderate, store,
    thoughts::Sealed,
    told,
};
use crate::{
    clouds,
    error::{Error, ModelError},
    http::RequestContext,
    identity::{
        DailyLimits, User,
        quotas::{self, Quota},
    },
    models::{
        self, Answer, Answered, Budget, Candidate, Catalogue, KeyLimits, Keys, Period, Providers, Question,
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
    /// The caller's own keys of providers.
    pub(super) keys: Keys,
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
        let [policy, keys] =
            database.batch([store::policy(&user.id), clouds::store::all_sealed(&user.id)]).await?;
        let guards = guards_of(policy.first::<Policy>()?.as_ref(), limits.guardrails.as_ref())?;
        let keys = Keys::open(options.provider_key.as_deref(), keys.read()?, &user.id, settings)?;
        let allowed = limits.models.as_deref();
        let wish = Wish { names, preference: options.preference, prompt_tokens, allowed, keys: &keys };
        let mut candidates = models::candidates(&wish, request, &catalogue, providers)?;
        let mut checked = guards.check(request)?;
        let said = moderate::asked(request);
        checked.rules.extend(moderate::judge(&said, &guards.moderate_input, &keys, context, database).await?);
        if keys.is_for_request() {
            only_first_provider(&mut candidates);
        }
        let theirs = |candidate: &Candidate| keys.of(&candidate.provider.name).is_some();
        let is_theirs = candidates.iter().all(theirs);
        let output = request.max_tokens.unwrap_or_default();
        let money = Money { key: user.credential.id(), limits: &limits, providers, now };
        let daily_limits = DailyLimits::of(settings)?;
        let is_counted = !is_theirs && (money.is_limited() || daily_limits.budget_micro_usd.is_some());
        if is_counted {
            candidates.retain(|candidate| candidate.model.prices.is_some() || theirs(candidate));
        }
        let ours = candidates.iter().filter(|candidate| !theirs(candidate));
        let most = ours.filter_map(|candidate| most(candidate, prompt_tokens, output, request.n)).max();
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
            theirs: candidates
                .iter()
                .filter(|candidate| theirs(candidate))
                .map(|candidate| candidate.provider.name.clone())
                .collect(),
        };
        match daily {
            Ok(daily) => entry.daily = daily,
            Err(error) => {
                entry.close(Outcome { status: 429, ..Outcome::default() }, Vec::new(), database).await;
                return Err(error);
            }
        }
        let (is_changed, rules) = (checked.is_changed, checked.rules);
        Ok(Self { entry, candidates, guards, keys, prompt_tokens, is_changed, rules })
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
            keys: &self.keys,
            anthropic: asked.options.anthropic(),
            filter: &filter as &dyn Fn() -> Option<Box<dyn Filter>>,
        };
        models::ask(&question, std::mem::take(&mut self.candidates), settings).await
    }

    /// What the guardrails leave of a whole answer. What they flag is told in
    /// the headers.
    pub(super) async fn watch(
        &self,
        response: &hatch_dialects::Response,
        headers: &mut told::Headers,
        context: &RequestContext,
        database: &Database,
    ) -> Result<hatch_dialects::Response, Error> {
        let watched = self.guards.watch(response)?;
        let (said, rules) = (moderate::answered(&watched), &self.guards.moderate_output);
        let found = moderate::judge(&said, rules, &self.keys, context, database).await?;
        let found: Vec<String> = found.iter().map(|rule| format!("guardrail: {rule}")).collect();
        told::warn(headers, &found.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(watched)
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
    let place = Place::of(&asked, &turn.guards, &user.id);
    let keep = match client == Dialect::Responses && asked.request.store != Some(false) {
        true => Keeper::of(&asked.bytes, &asked.previous, &turn.guards),
        false => Keeper::nothing(),
    };
    if let Some(place) = &place
        && let Some(kept) = place.get(client, &turn.candidates).await
    {
        return Ok(tell_again(turn, kept, &asked, keep, &context, &database).await);
    }
    // Who is to judge an answer has to know all of it first.
    let is_judged = !turn.guards.moderate_output.is_empty();
    let is_live = asked.request.stream && !asked.options.is_buffered && !is_judged;
    let answered = match turn.ask(&asked, is_live, &context).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(refuse(turn.entry, unanswered, &database).await),
    };
    let mut warnings = asked.request.warnings.clone();
    warnings.extend(turn.rules.iter().map(|rule| format!("guardrail: {rule}")));
    let mut headers = told::headers(&answered, &warnings);
    if asked.options.cache.is_some() {
        headers.push(("x-gateway-cache", "miss".to_owned()));
    }
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
                client,
                place,
            };
            live::tell(*stream, carried, headers, &context.background, database)
        }
        Answer::Whole { response, bytes } => {
            let reply = &answered.reply;
            let watched = turn.watch(&response, &mut headers, &context, &database).await;
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
            if let (Some(place), Ok(answer)) = (&place, &watched) {
                place.put(answer, client, &answered.candidate, reply).await;
            }
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

/// An answer that was told before: it costs nothing, and is one of its own,
/// which can be gone on with.
async fn tell_again(
    turn: Turn,
    kept: Kept,
    asked: &Asked,
    keep: Keeper,
    context: &RequestContext,
    database: &Database,
) -> Response {
    let Kept { provider, model, answer } = kept;
    let mut reply = turn.reply(&asked.request, context);
    reply.model.clone_from(&answer.model);
    let usage = answer.usage.unwrap_or_default();
    let outcome = Outcome { model: Some(&model), status: 200, usage, is_hit: true, ..Outcome::default() };
    let statements = keep.statements(&turn.entry.user, Some(&answer), &reply);
    turn.entry.close(outcome, statements, database).await;
    let headers = vec![
        ("x-gateway-provider", provider),
        ("x-gateway-model", model),
        ("x-gateway-attempts", "0".to_owned()),
        ("x-gateway-cache", "hit".to_owned()),
    ];
    told::whole(&answer, None, asked.client, asked.request.stream, &reply, headers)
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
fn guards_of(of_user: Option<&Policy>, of_key: Option<&Policy>) -> Result<Guards, Error> {
    let policies: Vec<&Policy> = of_user.into_iter().chain(of_key).collect();
    // They were checked when they were set.
    Guards::new(&policies).map_err(|error| Error::Internal(format!("guardrails: {error}")))
}
