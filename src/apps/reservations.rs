//! Reserves the highest possible cost of an answer before a model is asked:
//! from the budget of the whole Worker, that of the API key which began the
//! turn, and that of its user's day. A row records each reservation, so that
//! the next consumer or the sweep releases what a killed consumer held.

use worker::Env;

use crate::{
    error::Error,
    identity::{
        DailyLimits,
        quotas::{self, Quota},
    },
    models::{
        Budget, KeyLimits, Period, Providers,
        budgets::{self, Limit},
    },
    platform::{clock::now_ms, log},
    settings::{FromVars as _, Settings},
    store::{Database, Statement, sql},
};

/// The budgets that pay for a turn's answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payer<'a> {
    pub(super) turn: &'a str,
    pub(super) job: &'a str,
    /// The consumer that has the job's lease.
    pub(super) holder: &'a str,
    pub(super) user: &'a str,
    /// The API key that began the turn, and its limits.
    pub(super) key: Option<(&'a str, &'a KeyLimits)>,
}

/// The amounts reserved for one answer.
#[derive(Debug)]
pub(super) struct Reservation {
    turn: String,
    holder: String,
    user: String,
    limits: Vec<Limit>,
    is_daily: bool,
    at: i64,
}

/// Releases the reservations `r` that match a filter: returns their amounts to the budgets, and deletes their rows.
macro_rules! release {
    ($filter:literal $(, $value:expr)* $(,)?) => {
        [
            sql!(
                concat!(
                    "UPDATE model_budgets SET used = max(0, used - (SELECT sum(l.value ->> 'a')
                       FROM app_reservations r, json_each(r.limits) l
                       WHERE ", $filter, " AND l.value ->> 's' = subject AND l.value ->> 'p' = period))
                     WHERE (subject, period) IN (SELECT l.value ->> 's', l.value ->> 'p'
                       FROM app_reservations r, json_each(r.limits) l WHERE ", $filter, ")"
                )
                $(, $value)*
            ),
            sql!(
                concat!(
                    "UPDATE daily_counters SET used = max(0, used - (SELECT sum(r.daily) FROM app_reservations r
                       WHERE ", $filter, " AND r.user_id = daily_counters.user_id AND r.day = daily_counters.day))
                     WHERE (user_id, name, day) IN (SELECT r.user_id, 'budget-day', r.day
                       FROM app_reservations r WHERE ", $filter, ")"
                )
                $(, $value)*
            ),
            sql!(concat!("DELETE FROM app_reservations AS r WHERE ", $filter) $(, $value)*),
        ]
    };
}

/// Releases the reservations of a user who is deleted.
pub(super) fn release_of_user(user: &str) -> [Statement; 3] {
    release!("r.user_id = ?1", user)
}

/// Releases the reservations whose consumer has lost its job.
pub(crate) async fn sweep(env: &Env) {
    let abandoned = || {
        release!(
            "NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = r.job_id AND j.lease_owner = r.holder AND j.lease_until > ?1)",
            now_ms()
        )
    };
    let swept = async { Database::open(env)?.batch(abandoned()).await };
    if let Err(error) = swept.await {
        log::failure("apps.sweep", &error);
    }
}

impl Payer<'_> {
    fn limits(&self, most: i64, settings: &Settings, now: i64) -> Result<Vec<Limit>, Error> {
        let of_key = self.key.and_then(|(id, limits)| Some((format!("key:{id}"), limits.budget?)));
        let of_worker = Providers::of(settings)?.daily_budget_micro_usd;
        let of_worker =
            of_worker.map(|micro_usd| ("all".to_owned(), Budget { micro_usd, per: Period::Day }));
        let budgets = of_key.into_iter().chain(of_worker);
        Ok(budgets.map(|(subject, budget)| Limit::money(subject, budget, most, now)).collect())
    }

    /// Whether a budget limits it, so that only models with known prices may answer.
    pub(super) fn is_bounded(&self, settings: &Settings) -> Result<bool, Error> {
        Ok(DailyLimits::of(settings)?.budget_micro_usd.is_some() || !self.limits(0, settings, 0)?.is_empty())
    }

    /// Reserves `most`, and releases what another consumer has reserved for this turn.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] that names the budget with too little left.
    pub(super) async fn reserve(
        &self,
        most: i64,
        settings: &Settings,
        database: &Database,
    ) -> Result<Reservation, Error> {
        let at = now_ms();
        let (limits, daily) = (self.limits(most, settings, at)?, DailyLimits::of(settings)?.budget_micro_usd);
        let reservation = Reservation {
            turn: self.turn.to_owned(),
            holder: self.holder.to_owned(),
            user: self.user.to_owned(),
            is_daily: daily.is_some(),
            limits,
            at,
        };
        if !reservation.is_any() {
            return Ok(reservation);
        }
        let mut batch: Vec<Statement> = release!("r.turn_id = ?1", self.turn).into();
        batch.extend(budgets::take_in_batch(&reservation.limits)?);
        batch.extend(
            daily
                .into_iter()
                .flat_map(|limit| quotas::take_in_batch(Quota::Budget, most, self.user, limit, at)),
        );
        batch.push(self.record(&reservation, most)?);
        match database.batch_all(batch).await {
            Ok(_) => Ok(reservation),
            Err(Error::GuardFailed) => Err(refusal(&reservation.limits, daily, at, database).await?),
            Err(error) => Err(error),
        }
    }

    fn record(&self, reservation: &Reservation, most: i64) -> Result<Statement, Error> {
        Ok(sql!(
            "INSERT INTO app_reservations (turn_id, job_id, holder, user_id, limits, daily, day) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            self.turn,
            self.job,
            self.holder,
            self.user,
            budgets::to_json(&reservation.limits)?,
            if reservation.is_daily { most } else { 0 },
            quotas::day(reservation.at)
        ))
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
    fn is_any(&self) -> bool {
        self.is_daily || !self.limits.is_empty()
    }

    /// Books the real cost of the answer, and returns the rest. If this consumer
    /// has lost the turn, its reservation is released already, and only the cost is booked.
    pub(super) fn reconcile(&self, spent: i64) -> Result<Vec<Statement>, Error> {
        if !self.is_any() {
            return Ok(Vec::new());
        }
        let mut batch: Vec<Statement> =
            release!("r.turn_id = ?1 AND r.holder = ?2", self.turn.as_str(), self.holder.as_str()).into();
        if spent > 0 {
            batch.extend(budgets::spend(&self.limits, spent)?);
            batch.extend(self.is_daily.then(|| quotas::spend(Quota::Budget, &self.user, spent, self.at)));
        }
        Ok(batch)
    }
}
