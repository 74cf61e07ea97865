//! Reserves the most that a call can cost before it begins. When it is over, one
//! batch records it and returns the rest of the reservation.

use std::future::Future;

use chrono::DateTime;
use futures::{
    future::{Either, select},
    pin_mut,
};
use hatch_dialects::{Dialect, Usage};

use super::{group_commit, store, stored::large::Unstored};
use crate::{
    error::{Error, ModelError},
    http::RequestContext,
    identity::{DailyLimits, User, quotas::Quota},
    models::{
        Candidate, FailedCall, KeyLimits, PaidWork, Payer, Prompt, Providers, Reservation,
        budgets::{self, Limit},
    },
    platform::{
        clock::{now_ms, sleep},
        log, random,
    },
    settings::{FromVars as _, Settings},
    store::{Database, Statement},
};

/// The budgets that limit a call.
#[derive(Debug)]
pub(super) struct Budgets<'a> {
    user: &'a User,
    limits: &'a KeyLimits,
    settings: &'a Settings,
}

/// What a call can cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallCost<'a> {
    /// With the longest answer.
    pub(super) most_micro_usd: i64,
    pub(super) prompt: Prompt<'a>,
}

impl<'a> Budgets<'a> {
    /// The budgets of the caller and of their key, which has these limits.
    pub(super) fn of(limits: &'a KeyLimits, context: &'a RequestContext) -> Result<Self, Error> {
        let RequestContext { caller, settings, .. } = context;
        Ok(Self { user: caller.user()?, limits, settings })
    }

    pub(super) fn are_there(&self) -> Result<bool, Error> {
        let of_others =
            self.limits.budget.is_some() || Providers::of(self.settings)?.daily_budget_micro_usd.is_some();
        Ok(of_others || DailyLimits::of(self.settings)?.budget_micro_usd.is_some())
    }

    /// Counts a client's request in the minute of its key. What the gateway asks
    /// on its own to serve the request does not count.
    ///
    /// # Errors
    /// 429 if the key has sent all its requests of this minute.
    pub(super) async fn count_request(&self, database: &Database) -> Result<(), Error> {
        let (Some(key), Some(rpm)) = (self.user.credential.id(), self.limits.rpm) else { return Ok(()) };
        let now = now_ms();
        budgets::count_request(Limit::request(key, rpm, now), now, database).await
    }

    /// Begins a call and reserves the most that it can cost. Without a cost it reserves
    /// no money: the caller pays with their own keys of `own_key_providers`.
    ///
    /// # Errors
    /// 429 for a spent budget.
    pub(super) async fn reserve(
        &self,
        cost: Option<CallCost<'_>>,
        own_key_providers: Vec<String>,
        database: &Database,
    ) -> Result<Entry, Error> {
        let (now, id, key) = (now_ms(), random::uuid()?, self.user.credential.id());
        let payer = Payer {
            subject: &id,
            work: PaidWork::Call(cost.map(|cost| cost.prompt).unwrap_or_default()),
            user: &self.user.id,
            key: key.map(|key| (key, self.limits)),
        };
        let mut entry = Entry {
            user: self.user.id.clone(),
            key: key.map(str::to_owned),
            started: now,
            reservation: Reservation::none(&payer),
            own_key_providers,
            listed: Vec::new(),
            prompt: CallPrompt::default(),
            id: id.clone(),
        };
        let Some(CallCost { most_micro_usd, .. }) = cost else { return Ok(entry) };
        match payer.reserve(most_micro_usd, self.settings, database).await {
            Ok(reservation) => entry.reservation = reservation,
            Err(error) => {
                if is_of_the_day(&error) {
                    entry.close(Outcome { status: 429, ..Outcome::default() }, database).await;
                }
                return Err(error);
            }
        }
        Ok(entry)
    }
}

/// Whether the user's daily budget is spent. Only such a refusal is recorded as a call.
fn is_of_the_day(error: &Error) -> bool {
    matches!(error, Error::TooManyRequests(exceeded) if exceeded.policy == Quota::Budget.name())
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) key: Option<String>,
    pub(super) started: i64,
    /// Reserved from the budgets of the key, of the user's day and of the Worker.
    pub(super) reservation: Reservation,
    /// The providers for which the caller brings a key, and so pays.
    pub(super) own_key_providers: Vec<String>,
    /// The ids of models that settings list, and that may be asked.
    pub(super) listed: Vec<String>,
    /// What the call costs if it is lost.
    pub(super) prompt: CallPrompt,
}

/// [`Prompt`] of a call that has begun.
#[derive(Debug, Default)]
pub(super) struct CallPrompt {
    model: String,
    tokens: u64,
    micro_usd: i64,
}

impl CallPrompt {
    pub(super) fn of(prompt: Prompt<'_>) -> Self {
        let Prompt { model, tokens, micro_usd } = prompt;
        Self { model: model.to_owned(), tokens, micro_usd }
    }
}

/// How long a call may take before it is noted. The platform ends a call 30 s after its client has left, so one that
/// it ends has taken longer.
const NOTED_AFTER_MS: u64 = 20_000;

/// How a call has ended.
#[derive(Debug, Default)]
pub(super) struct Outcome<'a> {
    pub(super) candidate: Option<&'a Candidate>,
    /// The model that was asked last, if none answered.
    pub(super) model: Option<&'a str>,
    pub(super) status: u16,
    pub(super) attempts: u32,
    pub(super) usage: Usage,
    pub(super) is_estimated: bool,
    pub(super) first_token_ms: Option<i64>,
    /// The answer came from the cache.
    pub(super) is_hit: bool,
    /// What a tool cost; what a model costs follows from its usage.
    pub(super) cost_micro_usd: i64,
}

impl<'a> Outcome<'a> {
    /// The outcome of an answered call. If the provider counts no tokens, they are
    /// estimated.
    pub(super) fn answered(
        candidate: &'a Candidate,
        attempts: u32,
        first_token_ms: i64,
        usage: Option<Usage>,
        estimate: Usage,
    ) -> Self {
        Self {
            candidate: Some(candidate),
            status: 200,
            attempts,
            usage: usage.unwrap_or(estimate),
            is_estimated: usage.is_none(),
            first_token_ms: Some(first_token_ms),
            ..Self::default()
        }
    }
}

impl Entry {
    /// Waits for the answer. A call that no budget limits has no row until it ends, so it is noted if that takes long:
    /// most calls end before, and write once.
    pub(super) async fn noted<T>(&self, answer: impl Future<Output = T>, database: &Database) -> T {
        if self.reservation.is_any() {
            return answer.await;
        }
        let note = async {
            sleep(NOTED_AFTER_MS).await;
            self.note(database).await
        };
        pin_mut!(answer, note);
        match select(answer, note).await {
            Either::Left((answer, _)) => answer,
            Either::Right((noted, answer)) => {
                if let Err(error) = noted {
                    log::failure("gateway.note", &error);
                }
                answer.await
            }
        }
    }

    async fn note(&self, database: &Database) -> Result<(), Error> {
        let CallPrompt { ref model, tokens, micro_usd } = self.prompt;
        let prompt = Prompt { model, tokens, micro_usd };
        match self.reservation.note(prompt, self.key.as_deref(), self.started)? {
            Some(note) => database.query(note).await.map(drop),
            None => Ok(()),
        }
    }

    /// Records a call that no model has answered to its end, and returns its error.
    pub(super) async fn fail(self, unanswered: FailedCall, database: &Database) -> Error {
        let FailedCall { error, retry_after_s, attempts, model, answered } = unanswered;
        let status = error.status(Dialect::Chat);
        let (candidate, usage) = answered.map(|answered| *answered).unzip();
        let outcome = Outcome {
            candidate: candidate.as_ref(),
            model: model.as_deref(),
            status,
            attempts,
            is_estimated: usage.is_some(),
            usage: usage.unwrap_or_default(),
            ..Outcome::default()
        };
        self.close(outcome, database).await;
        let headers = vec![("x-gateway-attempts", attempts.to_string())];
        // The vendors' SDKs ignore a longer pause.
        let retry_after_s = retry_after_s.map(|seconds| seconds.clamp(1, 60));
        Error::Model(Box::new(ModelError { error, retry_after_s, headers }))
    }

    /// Records the call. A failure is only logged, because the client has its answer.
    pub(super) async fn close(self, outcome: Outcome<'_>, database: &Database) {
        self.close_and_store(outcome, Ok(Vec::new()), database).await;
    }

    /// Records the call, and stores its answer by these statements. Returns a warning for the client if that is not stored.
    pub(super) async fn close_and_store(
        self,
        outcome: Outcome<'_>,
        stored: Result<Vec<Statement>, Unstored>,
        database: &Database,
    ) -> Option<&'static str> {
        let cost = match outcome.candidate {
            Some(candidate)
                if !self.own_key_providers.contains(&candidate.provider.name) && !outcome.is_hit =>
            {
                candidate.model.cost_micro_usd(&outcome.usage).unwrap_or_default()
            }
            _ => outcome.cost_micro_usd,
        };
        let day =
            DateTime::from_timestamp_millis(self.started).unwrap_or_default().format("%Y-%m-%d").to_string();
        let model = outcome.candidate.map(|candidate| candidate.model.id.as_str()).or(outcome.model);
        let call = store::Call {
            id: self.id,
            user: self.user,
            key: self.key,
            at: self.started,
            day,
            is_listed: model.is_some_and(|id| self.listed.iter().any(|listed| listed == id)),
            model: model.unwrap_or_default().to_owned(),
            status: outcome.status,
            attempts: outcome.attempts,
            is_hit: outcome.is_hit,
            usage: outcome.usage,
            cost,
            is_estimated: outcome.is_estimated,
            first_token_ms: outcome.first_token_ms,
            total_ms: now_ms() - self.started,
        };
        let (stored, unstored) = match stored {
            Ok(statements) => (statements, None),
            Err(unstored) => (Vec::new(), Some(unstored)),
        };
        let is_without_answer = stored.is_empty();
        let closed = async {
            let settled = self.reservation.reconcile(cost)?;
            match (is_without_answer, settled.is_empty()) {
                (true, true) => group_commit::record(call, database).await.map(|()| None),
                (true, false) => database.batch_all(record(&call, settled)).await.map(|_| None),
                (false, _) => record_with_answer(&call, settled, stored, database).await,
            }
        };
        let failed = closed.await.unwrap_or_else(|error| {
            log::failure("gateway.close", &error);
            (!is_without_answer).then_some(Unstored::Failed)
        });
        unstored.or(failed).map(Unstored::warning)
    }
}

/// What records a call and settles what was reserved for it.
fn record(call: &store::Call, settled: Vec<Statement>) -> Vec<Statement> {
    [store::write(call), store::count(call)].into_iter().chain(settled).collect()
}

/// Records a call and stores its answer by one batch. If the database refuses that, it may be because of the answer, so
/// the call is recorded without it, unless it is recorded after all.
async fn record_with_answer(
    call: &store::Call,
    settled: Vec<Statement>,
    answer: Vec<Statement>,
    database: &Database,
) -> Result<Option<Unstored>, Error> {
    let mut batch = record(call, settled.clone());
    batch.extend(answer);
    let Err(error) = database.batch_all(batch).await else { return Ok(None) };
    log::failure("gateway.store", &error);
    let mut batch = vec![store::is_new(call)];
    batch.extend(record(call, settled));
    match database.batch_all(batch).await {
        Ok(_) => Ok(Some(Unstored::Failed)),
        Err(Error::GuardFailed) => Ok(None),
        Err(error) => Err(error),
    }
}
