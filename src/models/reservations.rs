//! Reserves the highest possible cost of an answer before a model is asked:
//! from the budget of the whole Worker, that of the API key that pays, and
//! that of the user's day. A row records each reservation, and shrinks by what
//! is booked while the answer arrives. So the next consumer or the sweep
//! releases the rest of what a killed Worker held, and what came stays paid.
//! A call of the gateway pays for its prompt when it begins, and for the rest at
//! its end, so that a lost one has paid for its prompt.

use std::cell::Cell;

use hatch_dialects::Usage;
use serde::Serialize;
use worker::Env;

use super::{
    budgets::{self, Limit},
    limits::{Budget, KeyLimits, Period},
    model::Model,
    settings::Providers,
};
use crate::{
    error::Error,
    identity::{
        DailyLimits,
        quotas::{self, Quota},
    },
    platform::{
        clock::{MINUTE_MS, now_ms},
        log,
    },
    settings::{FromVars as _, Settings},
    store::{
        Database, Rows, Statement,
        owned::{Owned, give},
        sql,
    },
};

/// Releases the reservations `r` that match a filter: returns their amounts to the budgets, and deletes their rows.
macro_rules! release {
    ($filter:literal $(, $value:expr)* $(,)?) => {
        [
            sql!(
                concat!(
                    "UPDATE model_budgets SET used = max(0, used - (SELECT sum(l.value ->> 'a')
                       FROM model_reservations r, json_each(r.limits) l
                       WHERE ", $filter, " AND l.value ->> 's' = subject AND l.value ->> 'p' = period))
                     WHERE (subject, period) IN (SELECT l.value ->> 's', l.value ->> 'p'
                       FROM model_reservations r, json_each(r.limits) l WHERE ", $filter, ")"
                )
                $(, $value)*
            ),
            sql!(
                concat!(
                    "UPDATE daily_counters SET used = max(0, used - (SELECT sum(r.daily) FROM model_reservations r
                       WHERE ", $filter, " AND r.user_id = daily_counters.user_id AND r.day = daily_counters.day))
                     WHERE (user_id, name, day) IN (SELECT r.user_id, 'budget-day', r.day
                       FROM model_reservations r WHERE ", $filter, ")"
                )
                $(, $value)*
            ),
            sql!(concat!("DELETE FROM model_reservations AS r WHERE ", $filter) $(, $value)*),
        ]
    };
}

pub(crate) use release;

pub(crate) const OWNED: Owned = Owned {
    tables: &["model_reservations"],
    export: &[],
    in_files: &[],
    delete: |user| release!("r.user_id = ?1", user).into(),
    give: |from, to| vec![give!("model_reservations", from, to)],
};

/// The work that an answer is for, which decides when its reservation is abandoned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PaidWork<'a> {
    /// Abandoned when the consumer has lost the job's lease.
    Job { id: &'a str, holder: &'a str },
    /// Abandoned when the answer's row is no longer streaming.
    ChatAnswer,
    /// Abandoned after [`LONGEST_CALL_MS`].
    Call(Prompt<'a>),
}

/// The prompt of a call of the gateway. A lost call costs what its prompt costs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prompt<'a> {
    /// The model that is asked first.
    pub(crate) model: &'a str,
    /// Estimated.
    pub(crate) tokens: u64,
    pub(crate) micro_usd: i64,
}

impl<'a> Prompt<'a> {
    /// A prompt of so many tokens for this model.
    pub(crate) fn of(model: &'a Model, tokens: u64) -> Self {
        let usage = Usage { input: tokens, ..Usage::default() };
        Self { model: &model.id, tokens, micro_usd: model.cost_micro_usd(&usage).unwrap_or_default() }
    }
}

/// A call as its reservation records it. The gateway reads it when the call is lost.
#[derive(Serialize)]
struct CallRow<'a> {
    key: Option<&'a str>,
    at: i64,
    model: &'a str,
    tokens: u64,
    cost: i64,
}

/// After this time a call of the gateway counts as lost. One that takes longer still books its cost.
const LONGEST_CALL_MS: i64 = 15 * MINUTE_MS;

/// Who pays for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payer<'a> {
    /// A turn of an app, a startup, an answer of the chat, or a call of the gateway. It has one
    /// reservation at a time.
    pub(crate) subject: &'a str,
    pub(crate) work: PaidWork<'a>,
    pub(crate) user: &'a str,
    /// The API key that began it, and its limits.
    pub(crate) key: Option<(&'a str, &'a KeyLimits)>,
}

/// The amounts reserved for one answer.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    subject: String,
    holder: String,
    user: String,
    limits: Vec<Limit>,
    is_daily: bool,
    at: i64,
    most: i64,
    /// How much of it is booked already: what has arrived, or the prompt of a call.
    drawn: Cell<i64>,
    /// There is a row of a call that reserves nothing.
    is_noted: Cell<bool>,
    /// Of the user's day, if it has a budget.
    pub(crate) day: Option<DayBudget>,
}

/// The budget of a user's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayBudget {
    /// What was spent or reserved before this reservation, in micro-dollars.
    pub(crate) used: i64,
    pub(crate) limit: i64,
}

/// Reads the state before a reservation from the rows of its batch, of which the last is the day's counter.
fn day_budget(rows: Vec<Rows>, most: i64, limit: Option<i64>) -> Result<Option<DayBudget>, Error> {
    let (Some(limit), Some(counter)) = (limit, rows.into_iter().next_back()) else { return Ok(None) };
    let used: Option<i64> = counter.first()?;
    Ok(used.map(|used| DayBudget { used: used - most, limit }))
}

/// Releases the reservations of lost jobs. The chat and the gateway release their own.
pub(crate) async fn sweep(env: &Env) {
    let abandoned = || {
        release!(
            "r.job_id IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.id = r.job_id AND j.lease_owner = r.holder AND j.lease_until > ?1)",
            now_ms()
        )
    };
    let swept = async { Database::open(env)?.batch(abandoned()).await };
    if let Err(error) = swept.await {
        log::failure("models.sweep", &error);
    }
}

impl Payer<'_> {
    fn holder(&self) -> &str {
        match self.work {
            PaidWork::Job { holder, .. } => holder,
            PaidWork::ChatAnswer | PaidWork::Call(_) => "",
        }
    }

    /// What of `most` is paid as soon as the work begins.
    fn paid_at_once(&self, most: i64) -> i64 {
        match self.work {
            PaidWork::Call(prompt) => prompt.micro_usd.clamp(0, most.max(0)),
            PaidWork::Job { .. } | PaidWork::ChatAnswer => 0,
        }
    }

    fn limits(&self, most: i64, settings: &Settings, now: i64) -> Result<Vec<Limit>, Error> {
        let of_key = self.key.and_then(|(id, limits)| Some((format!("key:{id}"), limits.budget?)));
        let of_worker = Providers::of(settings)?.daily_budget_micro_usd;
        let of_worker = of_worker.map(|micro_usd| ("all".to_owned(), Budget { micro_usd, per: Period::Day }));
        let budgets = of_key.into_iter().chain(of_worker);
        Ok(budgets.map(|(subject, budget)| Limit::money(subject, budget, most, now)).collect())
    }

    /// Whether a budget limits it, so that only models with known prices may answer.
    pub(super) fn is_bounded(&self, settings: &Settings) -> Result<bool, Error> {
        Ok(DailyLimits::of(settings)?.budget_micro_usd.is_some() || !self.limits(0, settings, 0)?.is_empty())
    }

    /// Reserves `most`, and releases what another consumer has reserved for this subject.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] that names the budget with too little left.
    pub(crate) async fn reserve(
        &self,
        most: i64,
        settings: &Settings,
        database: &Database,
    ) -> Result<Reservation, Error> {
        let at = now_ms();
        let (limits, daily) = (self.limits(most, settings, at)?, DailyLimits::of(settings)?.budget_micro_usd);
        let reservation = Reservation {
            subject: self.subject.to_owned(),
            holder: self.holder().to_owned(),
            user: self.user.to_owned(),
            is_daily: daily.is_some(),
            limits,
            at,
            most,
            drawn: Cell::new(self.paid_at_once(most)),
            is_noted: Cell::new(false),
            day: None,
        };
        if !reservation.is_any() {
            return Ok(reservation);
        }
        let mut batch: Vec<Statement> = match self.work {
            PaidWork::Job { .. } => release!("r.subject_id = ?1", self.subject).into(),
            PaidWork::ChatAnswer | PaidWork::Call(_) => Vec::new(),
        };
        batch.extend(budgets::take_in_batch(&reservation.limits)?);
        batch.push(reservation.record(self.work, self.key.map(|(id, _)| id), at)?);
        batch.extend(
            daily
                .into_iter()
                .flat_map(|limit| quotas::take_in_batch(Quota::Budget, most, self.user, limit, at)),
        );
        match database.batch_all(batch).await {
            Ok(rows) => Ok(Reservation { day: day_budget(rows, most, daily)?, ..reservation }),
            Err(Error::GuardFailed) => Err(refusal(&reservation.limits, daily, at, database).await?),
            Err(error) => Err(error),
        }
    }
}

async fn refusal(
    limits: &[Limit],
    daily: Option<i64>,
    now: i64,
    database: &Database,
) -> Result<Error, Error> {
    let of_budgets = budgets::refusal(limits, now, database).await?;
    let of_day = || daily.map(|limit| quotas::exceeded(Quota::Budget, limit, now));
    // Another request has returned an amount between the guard and this query.
    let gone = || Error::database("a budget had too little left, and has enough now");
    Ok(of_budgets.or_else(of_day).unwrap_or_else(gone))
}

impl Reservation {
    /// For an answer that its user pays for at the provider.
    pub(crate) fn none(payer: &Payer<'_>) -> Self {
        Self {
            subject: payer.subject.to_owned(),
            holder: payer.holder().to_owned(),
            user: payer.user.to_owned(),
            limits: Vec::new(),
            is_daily: false,
            at: 0,
            most: 0,
            drawn: Cell::new(0),
            is_noted: Cell::new(false),
            day: None,
        }
    }

    /// Whether anything is reserved, so that it has a row from its beginning.
    pub(crate) fn is_any(&self) -> bool {
        self.is_daily || !self.limits.is_empty()
    }

    /// Records what is to be returned if the work is abandoned.
    fn record(&self, work: PaidWork<'_>, key: Option<&str>, at: i64) -> Result<Statement, Error> {
        let Self { most, is_daily, .. } = *self;
        let paid = self.drawn.get();
        let limits: Vec<Limit> = self.limits.iter().map(|limit| limit.less(paid)).collect();
        let (job, until, call) = match work {
            PaidWork::Job { id, .. } => (Some(id), None, None),
            PaidWork::ChatAnswer => (None, None, None),
            PaidWork::Call(Prompt { model, tokens, .. }) => {
                let row = CallRow { key, at, model, tokens, cost: paid };
                let row = serde_json::to_string(&row).map_err(|error| Error::Internal(error.to_string()))?;
                (None, Some(at + LONGEST_CALL_MS), Some(row))
            }
        };
        Ok(sql!(
            "INSERT INTO model_reservations (subject_id, job_id, holder, user_id, limits, daily, day, until, call)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            self.subject.as_str(),
            job,
            self.holder.as_str(),
            self.user.as_str(),
            budgets::to_json(&limits)?,
            if is_daily { most - paid } else { 0 },
            quotas::day(at),
            until,
            call
        ))
    }

    /// Records a call that reserves nothing and began at this time, so that it too counts as lost if it does not end. None if it has a row.
    pub(crate) fn note(
        &self,
        prompt: Prompt<'_>,
        key: Option<&str>,
        at: i64,
    ) -> Result<Option<Statement>, Error> {
        if self.is_any() || self.is_noted.replace(true) {
            return Ok(None);
        }
        self.drawn.set(prompt.micro_usd);
        self.record(PaidWork::Call(prompt), key, at).map(Some)
    }

    /// Books `cost`, the cost of what has arrived so far: it stays paid if the
    /// Worker is killed. The row is returned as long as this consumer has it,
    /// and then [`Self::has_drawn`] must be called. None if nothing is to book.
    /// What is beyond the reservation is booked at the end.
    pub(crate) fn draw(&self, cost: i64) -> Option<Statement> {
        let more = cost.min(self.most).saturating_sub(self.drawn.get());
        (more > 0 && self.is_any()).then(|| {
            sql!(
                "UPDATE model_reservations SET daily = max(0, daily - ?3), limits = (
                   SELECT json_group_array(json_set(l.value, '$.a', max(0, (l.value ->> 'a') - ?3)))
                   FROM json_each(model_reservations.limits) l)
                 WHERE subject_id = ?1 AND holder = ?2 RETURNING json_quote(subject_id) AS json",
                self.subject.as_str(),
                self.holder.as_str(),
                more
            )
        })
    }

    /// Marks `cost` as booked, as far as it was reserved.
    pub(crate) fn has_drawn(&self, cost: i64) {
        self.drawn.set(self.drawn.get().max(cost.min(self.most)));
    }

    /// Books the real cost of the answer, and returns the rest. If this consumer
    /// has lost its subject, the rest is returned already, and only the cost is booked.
    pub(crate) fn reconcile(&self, cost: i64) -> Result<Vec<Statement>, Error> {
        let release =
            || release!("r.subject_id = ?1 AND r.holder = ?2", self.subject.as_str(), self.holder.as_str());
        if !self.is_any() {
            let [.., forget] = release();
            return Ok(self.is_noted.get().then_some(forget).into_iter().collect());
        }
        let mut batch: Vec<Statement> = release().into();
        // Less than what was booked if the estimate of an arriving answer was too high.
        let more = cost.saturating_sub(self.drawn.get());
        if more != 0 {
            batch.extend(budgets::spend(&self.limits, more)?);
            batch.extend(self.is_daily.then(|| quotas::spend(Quota::Budget, &self.user, more, self.at)));
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_drawn_than_was_reserved() {
        let payer = Payer { subject: "answer", work: PaidWork::ChatAnswer, user: "ada", key: None };
        let reserved = Reservation { is_daily: true, most: 100, ..Reservation::none(&payer) };
        assert!(reserved.draw(150).is_some());
        reserved.has_drawn(150);
        // The 50 beyond are booked at the end, and an answer of 90 returns 10.
        assert_eq!(reserved.drawn.get(), 100);
        assert!(reserved.draw(200).is_none());
    }

    #[test]
    fn a_call_that_reserves_nothing_is_noted_once_and_then_only_its_row_is_deleted() {
        let prompt = Prompt { model: "a/b", tokens: 7, micro_usd: 40 };
        let payer = Payer { subject: "1", work: PaidWork::Call(prompt), user: "ada", key: None };
        let call = Reservation::none(&payer);
        assert!(call.reconcile(50).unwrap().is_empty());
        assert!(call.note(prompt, None, 1).unwrap().is_some());
        assert!(call.note(prompt, None, 1).unwrap().is_none());
        assert_eq!(call.reconcile(50).unwrap().len(), 1);
        let reserved = Reservation { is_daily: true, most: 100, ..Reservation::none(&payer) };
        assert!(reserved.note(prompt, None, 1).unwrap().is_none());
    }

    #[test]
    fn only_a_call_pays_for_its_prompt_at_once_and_never_more_than_is_reserved() {
        let prompt = Prompt { model: "a/b", tokens: 7, micro_usd: 40 };
        let paid = |work, most| Payer { subject: "1", work, user: "ada", key: None }.paid_at_once(most);
        assert_eq!(paid(PaidWork::ChatAnswer, 100), 0);
        assert_eq!([100, 30, 0].map(|most| paid(PaidWork::Call(prompt), most)), [40, 30, 0]);
    }
}
