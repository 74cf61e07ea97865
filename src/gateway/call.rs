//! One call: from the client's request to the model and back.

use std::rc::Rc;

use hatch_dialects::{
    Class, Dialect, Error as DialectError, Filter, Reply, Request, Seal, Usage, estimate_prompt,
};
use hatch_guardrails::Policy;

use super::{
    cache::{CacheSlot, CachedAnswer},
    guard::Guards,
    ledger::{Entry, Outcome},
    live, moderate,
    request::{GatewayRequest, Options},
    response, store,
    stored_responses::Keeper,
    thoughts::ReasoningSeal,
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
        self, AnsweredCall, Budget, Candidate, Catalogue, FailedCall, KeyLimits, Keys, ModelResponse, Period,
        Providers, Question, RouteQuery,
        budgets::{self, Limit},
    },
    platform::{clock::now_ms, random, response::Response},
    settings::FromVars as _,
    store::Database,
};

/// A call with its candidates, its rules, and what it has reserved.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) entry: Entry,
    pub(super) candidates: Vec<Candidate>,
    pub(super) guards: Guards,
    /// The caller's own keys of providers.
    pub(super) keys: Keys,
    pub(super) prompt_tokens: u64,
    /// Whether a guardrail has changed the request.
    is_changed: bool,
    /// The guardrails that found something in the request.
    rules: Vec<String>,
}

/// The longest answer of a model without a known limit, in tokens.
const SOME_OUTPUT: u64 = 8_192;

impl Call {
    /// Finds the candidates and reserves the most that they can cost.
    ///
    /// # Errors
    /// Those of routing; 400 for a request that a guardrail blocks; 429 for a
    /// spent budget; 403 under a budget if no model has a known price.
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
        let query = RouteQuery { names, preference: options.preference, prompt_tokens, allowed, keys: &keys };
        let mut candidates = models::candidates(&query, request, &catalogue, providers)?;
        let mut checked = guards.check(request)?;
        let text = moderate::request_text(request);
        checked.rules.extend(moderate::judge(&text, &guards.moderate_input, &keys, context, database).await?);
        if keys.is_for_request() {
            only_first_provider(&mut candidates);
        }
        let has_own_key = |candidate: &Candidate| keys.of(&candidate.provider.name).is_some();
        let is_caller_paid = candidates.iter().all(has_own_key);
        let output = request.max_tokens.unwrap_or_default();
        let money = Money { key: user.credential.id(), limits: &limits, providers, now };
        let daily_limits = DailyLimits::of(settings)?;
        let is_counted = !is_caller_paid && (money.is_limited() || daily_limits.budget_micro_usd.is_some());
        if is_counted {
            candidates.retain(|candidate| candidate.model.prices.is_some() || has_own_key(candidate));
        }
        let ours = candidates.iter().filter(|candidate| !has_own_key(candidate));
        let most = ours.filter_map(|candidate| most(candidate, prompt_tokens, output, request.n)).max();
        if candidates.is_empty() {
            let words = "A model whose price is not known here cannot be asked under a budget";
            return Err(DialectError::new(Class::Permission, words).with_code("model_without_price").into());
        }
        let most = if is_counted { most.unwrap_or_default() } else { 0 };
        let reserved = budgets::reserve(money.limits(most, is_caller_paid), now, database).await?;
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
            own_key_providers: candidates
                .iter()
                .filter(|candidate| has_own_key(candidate))
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

    /// Asks the candidates, and returns the answer that has begun.
    pub(super) async fn ask(
        &mut self,
        inbound: &GatewayRequest,
        is_live: bool,
        context: &RequestContext,
    ) -> Result<AnsweredCall, FailedCall> {
        let settings = match Providers::of(&context.settings) {
            Ok(settings) => settings,
            Err(error) => return Err(FailedCall::before(DialectError::new(Class::Upstream, error.detail()))),
        };
        let filter = || self.guards.filter();
        let question = Question {
            request: &inbound.request,
            body: (!self.is_changed && !inbound.needs_us)
                .then_some((inbound.bytes.as_slice(), inbound.client)),
            client: inbound.client,
            reply: self.reply(&inbound.request, context),
            is_live,
            is_lenient: inbound.options.is_lenient,
            keys: &self.keys,
            anthropic: inbound.options.anthropic(),
            filter: &filter as &dyn Fn() -> Option<Box<dyn Filter>>,
        };
        models::ask(&question, std::mem::take(&mut self.candidates), settings).await
    }

    /// Applies the guardrails to a whole answer. The headers get a warning for
    /// each flagged rule.
    pub(super) async fn watch(
        &self,
        response: &hatch_dialects::Response,
        headers: &mut response::Headers,
        context: &RequestContext,
        database: &Database,
    ) -> Result<hatch_dialects::Response, Error> {
        let watched = self.guards.watch(response)?;
        let (text, rules) = (moderate::response_text(&watched), &self.guards.moderate_output);
        let found = moderate::judge(&text, rules, &self.keys, context, database).await?;
        let found: Vec<String> = found.iter().map(|rule| format!("guardrail: {rule}")).collect();
        response::warn(headers, &found.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(watched)
    }

    fn reply(&self, request: &Request, context: &RequestContext) -> Reply {
        let id = self.entry.id.replace('-', "");
        let created = u64::try_from(self.entry.started / 1_000).unwrap_or_default();
        Reply {
            prompt_estimate: self.prompt_tokens,
            request_id: context.request_id.clone(),
            seal: ReasoningSeal::of(context, &self.entry.user).map(|seal| Rc::new(seal) as Rc<dyn Seal>),
            ..Reply::new(request, id, created)
        }
    }
}

/// `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`.
pub(super) async fn answer(context: RequestContext, client: Dialect) -> Result<Response, Error> {
    let user = context.caller.user()?.clone();
    let database = context.database()?;
    let mut inbound = GatewayRequest::read(&context, client, &user.id, &database).await?;
    let names: Vec<String> = inbound.names().into_iter().map(str::to_owned).collect();
    let names = names.iter().map(String::as_str).collect();
    let mut call =
        Call::begin(&mut inbound.request, names, &inbound.options, &user, &context, &database).await?;
    let place = CacheSlot::of(&inbound, &call.guards, &user.id);
    let keep = match client == Dialect::Responses && inbound.request.store != Some(false) {
        true => Keeper::of(&inbound.bytes, &inbound.previous, &call.guards),
        false => Keeper::nothing(),
    };
    if let Some(place) = &place
        && let Some(cached) = place.get(client, &call.candidates).await
    {
        return Ok(respond_from_cache(call, cached, &inbound, keep, &context, &database).await);
    }
    // A moderation model judges whole answers, so this one cannot be streamed live.
    let is_judged = !call.guards.moderate_output.is_empty();
    let is_live = inbound.request.stream && !inbound.options.is_buffered && !is_judged;
    let answered = match call.ask(&inbound, is_live, &context).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(fail(call.entry, unanswered, &database).await),
    };
    let mut warnings = inbound.request.warnings.clone();
    warnings.extend(call.rules.iter().map(|rule| format!("guardrail: {rule}")));
    let mut headers = response::headers(&answered, &warnings);
    if inbound.options.cache.is_some() {
        headers.push(("x-gateway-cache", "miss".to_owned()));
    }
    match answered.answer {
        ModelResponse::Live(stream) => {
            let carried = live::StreamingCall {
                entry: call.entry,
                candidate: answered.candidate,
                attempts: answered.attempts,
                first_token_ms: answered.first_token_ms,
                prompt_tokens: call.prompt_tokens,
                reply: answered.reply,
                upstream: answered.upstream,
                idle_ms: Providers::of(&context.settings)?.idle_ms,
                keep,
                guards: call.guards,
                client,
                place,
            };
            live::respond(*stream, carried, headers, &context.background, database)
        }
        ModelResponse::Whole { response, bytes } => {
            let reply = &answered.reply;
            let watched = call.watch(&response, &mut headers, &context, &database).await;
            let outcome = Outcome::answered(
                &answered.candidate,
                answered.attempts,
                answered.first_token_ms,
                response.usage,
                Usage { input: call.prompt_tokens, ..Usage::default() },
            );
            let bytes = bytes.filter(|_| {
                client == Dialect::Messages && answered.upstream == client && !call.guards.has_output()
            });
            let stored = keep.statements(&call.entry.user, watched.as_ref().ok(), reply);
            call.entry.close(outcome, stored, &database).await;
            if let (Some(place), Ok(answer)) = (&place, &watched) {
                place.put(answer, client, &answered.candidate, reply).await;
            }
            Ok(response::whole(&watched?, bytes, client, inbound.request.stream, reply, headers))
        }
    }
}

/// Keeps only the first provider's models: a key in the header is for that one.
fn only_first_provider(candidates: &mut Vec<Candidate>) {
    if let Some(first) = candidates.first().map(|candidate| candidate.provider) {
        candidates.retain(|candidate| candidate.provider.name == first.name);
    }
}

/// Responds with a cached answer. It costs nothing, and is stored as an answer
/// of its own, so that later requests can refer to it.
async fn respond_from_cache(
    call: Call,
    cached: CachedAnswer,
    inbound: &GatewayRequest,
    keep: Keeper,
    context: &RequestContext,
    database: &Database,
) -> Response {
    let CachedAnswer { provider, model, answer } = cached;
    let mut reply = call.reply(&inbound.request, context);
    reply.model.clone_from(&answer.model);
    let usage = answer.usage.unwrap_or_default();
    let outcome = Outcome { model: Some(&model), status: 200, usage, is_hit: true, ..Outcome::default() };
    let statements = keep.statements(&call.entry.user, Some(&answer), &reply);
    call.entry.close(outcome, statements, database).await;
    let headers = vec![
        ("x-gateway-provider", provider),
        ("x-gateway-model", model),
        ("x-gateway-attempts", "0".to_owned()),
        ("x-gateway-cache", "hit".to_owned()),
    ];
    response::whole(&answer, None, inbound.client, inbound.request.stream, &reply, headers)
}

/// Records a call that no model has answered, and returns its error.
pub(super) async fn fail(entry: Entry, unanswered: FailedCall, database: &Database) -> Error {
    let FailedCall { error, retry_after_s, attempts, model } = unanswered;
    let status = error.status(Dialect::Chat);
    let outcome = Outcome { model: model.as_deref(), status, attempts, ..Outcome::default() };
    entry.close(outcome, Vec::new(), database).await;
    let headers = vec![("x-gateway-attempts", attempts.to_string())];
    Error::Model(Box::new(ModelError { error, retry_after_s, headers }))
}

/// The most that an answer of this candidate can cost.
fn most(candidate: &Candidate, prompt: u64, wanted: u64, n: Option<u64>) -> Option<i64> {
    let model = &candidate.model;
    let most = u64::try_from(model.max_output).ok().filter(|tokens| *tokens > 0).unwrap_or(SOME_OUTPUT);
    let output = if wanted > 0 { wanted.min(most) } else { most };
    model.most_micro_usd(prompt, output.saturating_mul(n.unwrap_or(1).max(1)))
}

/// The budgets that apply to a call.
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

    fn limits(&self, most: i64, is_caller_paid: bool) -> Vec<Limit> {
        let mut limits = Vec::new();
        if let (Some(key), Some(rpm)) = (self.key, self.limits.rpm) {
            limits.push(Limit::request(key, rpm, self.now));
        }
        if is_caller_paid {
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
    // Policies are validated when they are set, so a failure here is a bug.
    Guards::new(&policies).map_err(|error| Error::Internal(format!("guardrails: {error}")))
}
