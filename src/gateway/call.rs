//! One call: from the client's request to the model and back.

use std::rc::Rc;

use futures::FutureExt as _;
use hatch_dialects::{
    Class, DailyBudget, Dialect, Error as DialectError, Filter, Reply, Request, Seal, Usage, estimate_prompt,
};
use hatch_guardrails::Policy;
use worker::Env;

use super::{
    account::{self, Account},
    cache::{CacheSlot, CachedAnswer},
    eligible,
    guardrails::{Checked, Guards, moderation},
    ledger::{Budgets, CallPrompt, Entry, Outcome},
    live::{self, StreamingCall},
    request::{GatewayRequest, Options},
    response,
    stored::{Keep, completions, responses},
    thoughts::ReasoningSeal,
    tools::join::Step,
};
use crate::{
    error::Error,
    http::RequestContext,
    models::{
        self, AnsweredCall, Candidate, Catalogue, DayBudget, FailedCall, KeyLimits, Keys, Live,
        ModelResponse, Providers, Question, RouteQuery,
    },
    platform::response::Response,
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
    pub(super) is_changed: bool,
    /// The guardrails that found something in the request.
    rules: Vec<String>,
    /// The step of a chat whose tools the gateway runs.
    step: Option<Step>,
    /// What is stored of the answer.
    keep: Keep,
    /// Where the answer is cached.
    place: Option<CacheSlot>,
}

/// What is wanted of a call, besides its request.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The models to ask, in their order.
    pub(super) names: Vec<&'a str>,
    pub(super) options: &'a Options,
    /// The step of a chat whose tools the gateway runs.
    pub(super) step: Option<Step>,
}

impl Call {
    /// Finds the candidates and reserves the most that they can cost.
    ///
    /// # Errors
    /// Those of routing; 400 for a request that a guardrail blocks; 429 for a
    /// spent budget; 403 under a budget if no model has a known price.
    pub(super) async fn begin(
        request: &mut Request,
        wanted: Wanted<'_>,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Self, Error> {
        let Wanted { names, options, step } = wanted;
        let (user, settings) = (context.caller.user()?, &context.settings);
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
        let prompt_tokens = estimate_prompt(request).saturating_add(options.other_tokens);
        let account = Account::of(context).await?;
        let mut guards = guards_of(account.policy()?.as_ref(), limits.guardrails.as_ref())?;
        guards.expect(request);
        let (keys, allowed) = (account.keys(context)?, limits.models.as_deref());
        let query = RouteQuery { names, preference: options.preference, prompt_tokens, allowed, keys: &keys };
        let candidates = models::candidates(&query, request, &catalogue, providers)?;
        let Checked { is_changed, rules } = check(request, &guards, &keys, context, database).await?;
        let candidates = eligible::open_to_caller(candidates, request, &keys)?;
        let budgets = Budgets::of(&limits, context)?;
        let is_budgeted = !eligible::are_all_own(&candidates, &keys) && budgets.are_there()?;
        let candidates = if is_budgeted { models::only_with_price(candidates, &keys)? } else { candidates };
        if !options.is_counted && step.as_ref().is_none_or(Step::is_first) {
            budgets.count_request(database).await?;
        }
        let cost = eligible::cost(&candidates, request, prompt_tokens, &keys);
        let own = eligible::own_key_providers(&candidates, &keys);
        let mut entry = budgets.reserve(is_budgeted.then_some(cost), own, database).await?;
        entry.listed = eligible::listed(&candidates);
        entry.prompt = CallPrompt::of(cost.prompt);
        let (keep, place) = (Keep::Nothing, None);
        Ok(Self { entry, candidates, guards, keys, prompt_tokens, is_changed, rules, step, keep, place })
    }

    /// Asks the candidates, and returns the answer that has begun.
    pub(super) async fn ask(
        &mut self,
        inbound: &GatewayRequest,
        is_live: bool,
        context: &RequestContext,
        database: &Database,
    ) -> Result<(ModelResponse, AnsweredCall), FailedCall> {
        let settings = match Providers::of(&context.settings) {
            Ok(settings) => settings,
            Err(error) => return Err(FailedCall::before(DialectError::new(Class::Upstream, error.detail()))),
        };
        let filter = || match &self.step {
            Some(step) => Some(Box::new(step.filter(self.guards.filter())) as Box<dyn Filter>),
            None => self.guards.filter(),
        };
        let question = Question {
            request: &inbound.request,
            body: inbound
                .bytes_to_pass_on()
                .filter(|(bytes, _)| !self.is_changed && self.guards.have_read(bytes)),
            client: inbound.client,
            reply: self.reply(inbound, context),
            is_live,
            is_lenient: inbound.options.is_lenient,
            keys: &self.keys,
            anthropic: inbound.options.anthropic(),
            watched: None,
            within_ms: models::WHOLE_MS,
            filter: &filter as &dyn Fn() -> Option<Box<dyn Filter>>,
        };
        let asked = models::ask(&question, std::mem::take(&mut self.candidates), settings);
        self.entry.noted(asked, database).await
    }

    /// The warnings about the request: what was left out of it, and which guardrails found something.
    pub(super) fn warnings(&self, inbound: &GatewayRequest) -> Vec<String> {
        let found = self.rules.iter().map(|rule| format!("guardrail: {rule}"));
        inbound.request.warnings.iter().cloned().chain(found).collect()
    }

    /// Asks for the answer. If it comes whole, its call is recorded while the client gets it;
    /// the stream of another one does that at its end.
    async fn proceed(
        mut self,
        inbound: &GatewayRequest,
        is_live: bool,
        context: &RequestContext,
        database: &Database,
    ) -> Result<Begun, Error> {
        // A moderation model judges whole answers.
        let is_live = is_live && self.guards.moderate_output.is_empty();
        let (answer, answered) = match self.ask(inbound, is_live, context, database).await {
            Ok(answered) => answered,
            Err(unanswered) => return Err(self.entry.fail(unanswered, database).await),
        };
        let client = inbound.client;
        let is_kept = self.place.is_some() || self.keep.is_wanted();
        let mut headers = response::headers(&answered, &self.warnings(inbound));
        if inbound.options.cache.is_some() {
            headers.push(("x-gateway-cache", "miss".to_owned()));
        }
        match answer {
            ModelResponse::Live(stream) => {
                let idle_ms = Providers::of(&context.settings)?.idle_ms;
                let call = Box::new(self.into_streaming(answered, idle_ms, client));
                Ok(Begun::Live { stream, call, headers })
            }
            ModelResponse::Whole { response, bytes, events } => {
                let is_as_sent =
                    client == Dialect::Messages && answered.upstream == client && !self.guards.has_output();
                let bytes = bytes.filter(|_| is_as_sent);
                let watched = self.watch(&response, &mut headers, context, database).await;
                let reply = answered.reply.clone();
                let close = self.close(
                    *response,
                    watched.as_ref().ok().filter(|_| is_kept).cloned(),
                    answered,
                    client,
                    context.database()?,
                );
                if is_kept {
                    // The client may ask for it as soon as it has the answer.
                    response::warn(&mut headers, close.await.as_slice());
                } else {
                    context.background.run(close.map(drop));
                }
                Ok(Begun::Whole(Box::new(Whole { answer: watched?, bytes, events, reply, headers })))
            }
        }
    }

    /// Records the call of a whole answer. `watched` is what the guardrails have left
    /// of it, which is stored and cached. Returns a warning if it cannot be stored.
    async fn close(
        self,
        response: hatch_dialects::Response,
        watched: Option<hatch_dialects::Response>,
        answered: AnsweredCall,
        client: Dialect,
        database: Database,
    ) -> Option<&'static str> {
        if let (Some(place), Some(watched)) = (&self.place, &watched) {
            place.put(watched, client, &answered.candidate, &answered.reply).await;
        }
        let outcome = Outcome::answered(
            &answered.candidate,
            answered.attempts,
            answered.first_token_ms,
            response.usage,
            Usage { input: self.prompt_tokens, ..Usage::default() },
        );
        let kept = self.keep.statements(&self.entry.user, watched.as_ref(), &answered.reply, &database).await;
        self.entry.close_and_store(outcome, kept, &database).await
    }

    /// Applies the guardrails to a whole answer. The headers get a warning for
    /// each flagged rule.
    async fn watch(
        &self,
        response: &hatch_dialects::Response,
        headers: &mut response::Headers,
        context: &RequestContext,
        database: &Database,
    ) -> Result<hatch_dialects::Response, Error> {
        let watched = self.guards.watch(response)?;
        let (text, rules) = (|| moderation::response_text(&watched), &self.guards.moderate_output);
        let found = moderation::judge(text, rules, &self.keys, context, database).await?;
        let found: Vec<String> = found.iter().map(|rule| format!("guardrail: {rule}")).collect();
        response::warn(headers, &found.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(watched)
    }

    /// The call of a stream that has begun.
    fn into_streaming(self, answered: AnsweredCall, idle_ms: i64, client: Dialect) -> StreamingCall {
        StreamingCall {
            entry: self.entry,
            candidate: answered.candidate,
            attempts: answered.attempts,
            first_token_ms: answered.first_token_ms,
            prompt_tokens: self.prompt_tokens,
            reply: answered.reply,
            upstream: answered.upstream,
            idle_ms,
            keep: self.keep,
            guards: self.guards,
            client,
            place: self.place,
            is_step: self.step.is_some(),
        }
    }

    fn reply(&self, inbound: &GatewayRequest, context: &RequestContext) -> Reply {
        let first = self.step.as_ref().and_then(|step| step.first.as_ref());
        let (id, created, budget) = match first {
            Some(first) => (first.id.clone(), first.created, first.budget.clone()),
            None => {
                let created = u64::try_from(self.entry.started / 1_000).unwrap_or_default();
                let day = self.entry.reservation.day;
                let budget = day.map(|DayBudget { used, limit }| DailyBudget { used, limit, pricing: None });
                (self.entry.id.replace('-', ""), created, budget)
            }
        };
        Reply {
            prompt_estimate: self.prompt_tokens,
            request_id: context.request_id.clone(),
            seal: ReasoningSeal::of(context, &self.entry.user).map(|seal| Rc::new(seal) as Rc<dyn Seal>),
            has_own_id: inbound.ours.is_stored,
            form: inbound.ours.form.clone(),
            continues: self.step.as_ref().and_then(Step::continued),
            budget,
            ..Reply::new(&inbound.request, id, created)
        }
    }
}

/// Reads a request in the client's dialect.
pub(super) async fn read(context: &RequestContext, client: Dialect) -> Result<GatewayRequest, Error> {
    let (user, database) = (context.caller.user_id()?, context.database()?);
    GatewayRequest::read(context, client, user, &database).await
}

/// `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`, and a completion of one prompt.
pub(super) async fn answer(mut inbound: GatewayRequest, context: &RequestContext) -> Result<Response, Error> {
    let (client, database) = (inbound.client, context.database()?);
    let is_live = inbound.request.stream && !inbound.options.is_buffered;
    match ask_or_recall(&mut inbound, is_live, context, &database).await? {
        Begun::Live { stream, call, headers } => {
            live::respond(*stream, *call, headers, &context.background, database)
        }
        Begun::Whole(whole) => {
            let Whole { answer, bytes, events, reply, headers } = *whole;
            let is_stream = inbound.request.stream;
            let as_sent = if is_stream { events } else { bytes };
            Ok(response::whole(&answer, as_sent, client, is_stream, &reply, headers))
        }
    }
}

/// The answer of the cache, if there is one, or the model's.
async fn ask_or_recall(
    inbound: &mut GatewayRequest,
    is_live: bool,
    context: &RequestContext,
    database: &Database,
) -> Result<Begun, Error> {
    let mut call = begin(inbound, None, context, database).await?;
    call.place = CacheSlot::of(inbound, &call.guards, context.caller.user_id()?);
    call.keep = keep(inbound, &call.guards, &context.env);
    if let Some(place) = &call.place
        && let Some(cached) = place.get(inbound.client, &call.candidates).await
    {
        return Ok(Begun::Whole(Box::new(recall(call, cached, inbound, context, database).await)));
    }
    call.proceed(inbound, is_live, context, database).await
}

/// Begins the call of a request.
pub(super) async fn begin(
    inbound: &mut GatewayRequest,
    step: Option<Step>,
    context: &RequestContext,
    database: &Database,
) -> Result<Call, Error> {
    let names: Vec<String> = inbound.names().into_iter().map(str::to_owned).collect();
    let names = names.iter().map(String::as_str).collect();
    let wanted = Wanted { names, options: &inbound.options, step };
    Call::begin(&mut inbound.request, wanted, context, database).await
}

/// What to store of the answer to this request.
pub(super) fn keep(inbound: &GatewayRequest, guards: &Guards, env: &Env) -> Keep {
    match inbound.client {
        Dialect::Responses if inbound.request.store != Some(false) => {
            Keep::Response(responses::Keeper::of(&inbound.items, guards, env))
        }
        Dialect::Chat if inbound.ours.is_stored => {
            let name = inbound.ours.completion_id.clone();
            Keep::Completion(completions::Keeper::of(&inbound.bytes, name, guards, env))
        }
        _ => Keep::Nothing,
    }
}

/// A whole answer before it is sent. Its call is recorded, or that has begun.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) answer: hatch_dialects::Response,
    /// The upstream's own bytes, if the client may have them.
    pub(super) bytes: Option<Vec<u8>>,
    /// What a client that wants a stream gets, if the answer was held back from it.
    pub(super) events: Option<Vec<u8>>,
    pub(super) reply: Reply,
    pub(super) headers: response::Headers,
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) enum Begun {
    /// Its call is recorded when the stream ends.
    Live {
        stream: Box<Live>,
        call: Box<StreamingCall>,
        headers: response::Headers,
    },
    Whole(Box<Whole>),
}

/// Asks for one whole answer.
pub(super) async fn whole(
    inbound: &mut GatewayRequest,
    context: &RequestContext,
    database: &Database,
) -> Result<Whole, Error> {
    match ask_or_recall(inbound, false, context, database).await? {
        Begun::Whole(whole) => Ok(*whole),
        Begun::Live { .. } => Err(Error::Internal("a whole answer arrived as a stream".to_owned())),
    }
}

/// Asks for one step of a chat.
pub(super) async fn step(
    inbound: &mut GatewayRequest,
    step: Step,
    is_live: bool,
    context: &RequestContext,
    database: &Database,
) -> Result<Begun, Error> {
    let call = begin(inbound, Some(step), context, database).await?;
    call.proceed(inbound, is_live, context, database).await
}

/// The guardrails of the caller, and of their key.
pub(super) async fn guards(context: &RequestContext) -> Result<Guards, Error> {
    let user = context.caller.user()?;
    let limits = KeyLimits::parse(user.gateway.as_deref())?;
    guards_of(account::policy(context).await?.as_ref(), limits.guardrails.as_ref())
}

/// Makes a cached answer that of this call. It costs nothing, and is stored as an answer
/// of its own, so that later requests can refer to it.
async fn recall(
    call: Call,
    cached: CachedAnswer,
    inbound: &GatewayRequest,
    context: &RequestContext,
    database: &Database,
) -> Whole {
    let CachedAnswer { provider, model, answer } = cached;
    let mut reply = call.reply(inbound, context);
    reply.model.clone_from(&answer.model);
    let usage = answer.usage.unwrap_or_default();
    let outcome = Outcome { model: Some(&model), status: 200, usage, is_hit: true, ..Outcome::default() };
    let kept = call.keep.statements(&call.entry.user, Some(&answer), &reply, database).await;
    let warning = call.entry.close_and_store(outcome, kept, database).await;
    let mut headers = vec![
        ("x-gateway-provider", provider),
        ("x-gateway-model", model),
        ("x-gateway-attempts", "0".to_owned()),
        ("x-gateway-cache", "hit".to_owned()),
    ];
    response::warn(&mut headers, warning.as_slice());
    Whole { answer, bytes: None, events: None, reply, headers }
}

/// Checks the request by its guardrails, and by the models that moderate it.
async fn check(
    request: &mut Request,
    guards: &Guards,
    keys: &Keys,
    context: &RequestContext,
    database: &Database,
) -> Result<Checked, Error> {
    let mut checked = guards.check(request)?;
    let text = || moderation::request_text(request);
    let judged = moderation::judge(text, &guards.moderate_input, keys, context, database).await?;
    checked.rules.extend(judged);
    Ok(checked)
}

/// The guardrails of a user and of their key.
fn guards_of(of_user: Option<&Policy>, of_key: Option<&Policy>) -> Result<Guards, Error> {
    let policies: Vec<&Policy> = of_user.into_iter().chain(of_key).collect();
    // Policies are validated when they are set, so another version has set one that fails here.
    Guards::new(&policies).map_err(|_| account::unreadable())
}
