//! One request from its client to a model and back.

use std::rc::Rc;

use hatch_dialects::{Class, Dialect, Error as Said, Filter, Reply, Request, Seal, Usage, estimate_prompt};
use hatch_guardrails::Policy;

use super::{
    asked::{Asked, Options},
    cache::{Kept, Place},
    guard::Guards,
    kept::{self, Keep},
    ledger::{Budgets, Entry, Outcome},
    live, moderate, store, stored,
    thoughts::Sealed,
    told,
};
use crate::{
    clouds,
    error::{Error, ModelError},
    http::RequestContext,
    identity::User,
    models::{
        self, Answer, Answered, Candidate, Catalogue, KeyLimits, Keys, Providers, Question, Unanswered, Wish,
    },
    platform::response::Response,
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
        let settings = &context.settings;
        let limits = KeyLimits::parse(user.gateway.as_deref())?;
        let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
        let prompt_tokens = estimate_prompt(request);
        let [policy, keys] =
            database.batch([store::policy(&user.id), clouds::store::all_sealed(&user.id)]).await?;
        let guards = guards_of(policy.first::<Policy>()?.as_ref(), limits.guardrails.as_ref())?;
        let keys = Keys::new(options.provider_key.as_deref(), keys.read()?, &user.id, settings);
        let allowed = limits.models.as_deref();
        let wish = Wish { names, preference: options.preference, prompt_tokens, allowed, keys: &keys };
        let mut candidates = models::candidates(&wish, request, &catalogue, providers)?;
        let mut checked = guards.check(request)?;
        let said = moderate::asked(request);
        checked.rules.extend(moderate::judge(&said, &guards.moderate_input, &keys, context, database).await?);
        if keys.is_for_request() {
            only_first_provider(&mut candidates);
        }
        let theirs = |candidate: &Candidate| keys.has(&candidate.provider.name);
        let is_theirs = candidates.iter().all(theirs);
        let budgets = Budgets::of(user, &limits, settings)?;
        let is_counted = !is_theirs && budgets.are_there();
        if is_counted {
            candidates.retain(|candidate| candidate.model.prices.is_some() || theirs(candidate));
        }
        if candidates.is_empty() {
            let words = "A model whose price is not known here cannot be asked under a budget";
            return Err(Said::new(Class::Permission, words).with_code("model_without_price").into());
        }
        let output = request.max_tokens.unwrap_or_default();
        let ours = candidates.iter().filter(|candidate| !theirs(candidate));
        let most = ours.filter_map(|candidate| most(candidate, prompt_tokens, output, request.n)).max();
        let most = is_counted.then(|| most.unwrap_or_default());
        let own = candidates.iter().filter(|candidate| theirs(candidate));
        let own = own.map(|candidate| candidate.provider.name.clone()).collect();
        let mut entry = budgets.set_aside(most, own, database).await?;
        let listed = candidates.iter().filter(|candidate| candidate.provider.lists(&candidate.model.id));
        entry.listed = listed.map(|candidate| candidate.model.id.clone()).collect();
        let (is_changed, rules) = (checked.is_changed, checked.rules);
        Ok(Self { entry, candidates, guards, keys, prompt_tokens, is_changed, rules })
    }

    /// Asks, and answers with who answers and what is left to do.
    pub(super) async fn ask(
        &mut self,
        asked: &Asked,
        is_live: bool,
        context: &RequestContext,
    ) -> Result<(Answer, Answered), Unanswered> {
        let settings = match Providers::of(&context.settings) {
            Ok(settings) => settings,
            Err(error) => return Err(Unanswered::before(Said::new(Class::Upstream, error.detail()))),
        };
        let filter = || self.guards.filter();
        let question = Question {
            request: &asked.request,
            body: asked.bytes_to_pass_on().filter(|_| !self.is_changed),
            client: asked.client,
            reply: self.reply(asked, context),
            is_live,
            is_lenient: asked.options.is_lenient,
            keys: &self.keys,
            anthropic: asked.options.anthropic(),
            filter: &filter as &dyn Fn() -> Option<Box<dyn Filter>>,
        };
        models::ask(&question, std::mem::take(&mut self.candidates), settings).await
    }

    /// What was left out of the request, and which guardrails found something in it.
    fn warnings(&self, asked: &Asked) -> Vec<String> {
        let found = self.rules.iter().map(|rule| format!("guardrail: {rule}"));
        asked.request.warnings.iter().cloned().chain(found).collect()
    }

    /// What the guardrails leave of a whole answer. The call is written down
    /// whatever they say, with what `keep` keeps of it; what they flag is told
    /// in the headers.
    async fn settle(
        self,
        response: &hatch_dialects::Response,
        answered: &Answered,
        keep: &Keep,
        headers: &mut told::Headers,
        context: &RequestContext,
        database: &Database,
    ) -> Result<hatch_dialects::Response, Error> {
        let watched = self.watch(response, headers, context, database).await;
        let outcome = Outcome::answered(
            &answered.candidate,
            answered.attempts,
            answered.first_token_ms,
            response.usage,
            Usage { input: self.prompt_tokens, ..Usage::default() },
        );
        let kept = keep.statements(&self.entry.user, watched.as_ref().ok(), &answered.reply);
        self.entry.close(outcome, kept, database).await;
        watched
    }

    async fn watch(
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

    fn reply(&self, asked: &Asked, context: &RequestContext) -> Reply {
        let id = self.entry.id.replace('-', "");
        let created = u64::try_from(self.entry.started / 1_000).unwrap_or_default();
        Reply {
            prompt_estimate: self.prompt_tokens,
            request_id: context.request_id.clone(),
            seal: Sealed::of(context, &self.entry.user).map(|seal| Rc::new(seal) as Rc<dyn Seal>),
            has_own_id: asked.ours.is_stored,
            is_polychat: asked.ours.is_polychat,
            ..Reply::new(&asked.request, id, created)
        }
    }
}

/// Reads what a client of this dialect asks.
pub(super) async fn read(context: &RequestContext, client: Dialect) -> Result<Asked, Error> {
    let (user, database) = (context.caller.user_id()?, context.database()?);
    Asked::read(context, client, user, &database).await
}

/// `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`.
pub(super) async fn answer(mut asked: Asked, context: &RequestContext) -> Result<Response, Error> {
    let (user, client) = (context.caller.user()?, asked.client);
    let database = context.database()?;
    let names: Vec<String> = asked.names().into_iter().map(str::to_owned).collect();
    let names = names.iter().map(String::as_str).collect();
    let mut turn = Turn::begin(&mut asked.request, names, &asked.options, user, context, &database).await?;
    let place = Place::of(&asked, &turn.guards, &user.id);
    let keep = keep(&asked, &turn.guards);
    if let Some(place) = &place
        && let Some(kept) = place.get(client, &turn.candidates).await
    {
        return Ok(tell_again(turn, kept, &asked, keep, context, &database).await);
    }
    // Who is to judge an answer has to know all of it first.
    let is_judged = !turn.guards.moderate_output.is_empty();
    let is_live = asked.request.stream && !asked.options.is_buffered && !is_judged;
    let (answer, answered) = match turn.ask(&asked, is_live, context).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(refuse(turn.entry, unanswered, &database).await),
    };
    let mut headers = told::headers(&answered, &turn.warnings(&asked));
    if asked.options.cache.is_some() {
        headers.push(("x-gateway-cache", "miss".to_owned()));
    }
    match answer {
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
            let bytes = bytes.filter(|_| {
                client == Dialect::Messages && answered.upstream == client && !turn.guards.has_output()
            });
            let watched = turn.settle(&response, &answered, &keep, &mut headers, context, &database).await?;
            if let Some(place) = &place {
                place.put(&watched, client, &answered.candidate, &answered.reply).await;
            }
            Ok(told::whole(&watched, bytes, client, asked.request.stream, &answered.reply, headers))
        }
    }
}

/// What is kept of the answer to this request.
pub(super) fn keep(asked: &Asked, guards: &Guards) -> Keep {
    match asked.client {
        Dialect::Responses if asked.request.store != Some(false) => {
            Keep::Response(kept::Keeper::of(&asked.bytes, &asked.previous, guards))
        }
        Dialect::Chat if asked.ours.is_stored => {
            let name = asked.ours.completion_id.clone();
            Keep::Completion(stored::Keeper::of(&asked.bytes, name, guards))
        }
        _ => Keep::Nothing,
    }
}

/// A whole answer, which nobody has been told yet.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) answer: hatch_dialects::Response,
    pub(super) reply: Reply,
    pub(super) headers: told::Headers,
}

/// Asks for one whole answer, and writes the call down.
pub(super) async fn whole(
    asked: &mut Asked,
    keep: &Keep,
    context: &RequestContext,
    database: &Database,
) -> Result<Whole, Error> {
    let user = context.caller.user()?;
    let names: Vec<String> = asked.names().into_iter().map(str::to_owned).collect();
    let names = names.iter().map(String::as_str).collect();
    let mut turn = Turn::begin(&mut asked.request, names, &asked.options, user, context, database).await?;
    let (answer, answered) = match turn.ask(asked, false, context).await {
        Ok(answered) => answered,
        Err(unanswered) => return Err(refuse(turn.entry, unanswered, database).await),
    };
    let Answer::Whole { response, .. } = answer else {
        return Err(Error::Internal("a whole answer was asked for".to_owned()));
    };
    let mut headers = told::headers(&answered, &turn.warnings(asked));
    let answer = turn.settle(&response, &answered, keep, &mut headers, context, database).await?;
    Ok(Whole { answer, reply: answered.reply, headers })
}

/// The guardrails of the caller, and of their key.
pub(super) async fn guards(context: &RequestContext) -> Result<Guards, Error> {
    let user = context.caller.user()?;
    let limits = KeyLimits::parse(user.gateway.as_deref())?;
    let policy: Option<Policy> = context.database()?.query(store::policy(&user.id)).await?.first()?;
    guards_of(policy.as_ref(), limits.guardrails.as_ref())
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
    keep: Keep,
    context: &RequestContext,
    database: &Database,
) -> Response {
    let Kept { provider, model, answer } = kept;
    let mut reply = turn.reply(asked, context);
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

/// The guardrails of a user and of their key.
fn guards_of(of_user: Option<&Policy>, of_key: Option<&Policy>) -> Result<Guards, Error> {
    let policies: Vec<&Policy> = of_user.into_iter().chain(of_key).collect();
    // They were checked when they were set.
    Guards::new(&policies).map_err(|error| Error::Internal(format!("guardrails: {error}")))
}
