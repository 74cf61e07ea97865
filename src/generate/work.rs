//! The context that every step of the job works with.

use std::{cell::Cell, rc::Rc};

use hatch_wire::anthropic::Usage;

use super::{
    steps::Step,
    store::{self, Startup},
};
use crate::identity::DailyLimits;
use crate::settings::FromVars as _;
use crate::upstream::anthropic::Claude;
use crate::{
    error::Error,
    identity::quotas::{self, Quota},
    jobs::{self, Job, JobContext},
    platform::clock::now_ms,
    settings::Settings,
    store::Statement,
    upstream::anthropic::complete::{Completion, Question, complete_with_progress},
};

/// The context of a step.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) startup: Startup,
    pub(super) settings: Rc<Settings>,
    pub(super) claude: &'static Claude,
    pub(super) context: Rc<JobContext>,
}

impl Work {
    /// Reads the startup again; none when it was deleted or cancelled.
    pub(super) async fn reload(&self) -> Result<Option<Startup>, Error> {
        self.context.database.query(store::startup(&self.startup.id)).await?.first()
    }

    /// A log line, for the outcome's batch.
    pub(super) fn log(&self, level: &str, message: &str) -> Statement {
        jobs::store::log(&self.job.id, level, message, now_ms())
    }

    /// Logs at once that a part begins. A retry does not log it again.
    pub(super) async fn announce(&self, message: &str) -> Result<(), Error> {
        if self.job.attempts > 1 {
            return Ok(());
        }
        self.context.database.query(self.log("info", message)).await.map(drop)
    }

    /// Marks `step` as done, in the outcome's batch.
    pub(super) fn done(&self, step: Step) -> Statement {
        store::progress(&self.startup.id, step.ends_at(), now_ms())
    }

    /// Whether Claude answers and not the sandbox model.
    pub(super) fn has_claude(&self) -> bool {
        self.claude.key.is_some()
    }

    /// Fails if today's budget is used up.
    pub(super) async fn require_budget(&self) -> Result<(), Error> {
        let limits = DailyLimits::of(&self.settings)?;
        quotas::require(Quota::Budget, &self.startup.user_id, limits, &self.context.database).await
    }

    /// Asks Claude, and books the cost while the answer arrives, so that also a
    /// cancelled or timed-out step pays for what it got.
    /// `so_far` gets the text that has arrived, every few seconds.
    pub(super) async fn ask(
        &self,
        question: &Question,
        so_far: impl AsyncFn(&str),
    ) -> Result<Completion, Error> {
        let booked = Cell::new(0);
        let answer = complete_with_progress(&self.settings, question, async |text, cost_micro_usd| {
            let more = cost_micro_usd.saturating_sub(booked.get());
            // A failed booking is added to the next one.
            if more > 0 && self.pay(&Usage::default(), more).await.is_ok() {
                booked.set(cost_micro_usd);
            }
            so_far(text).await;
        })
        .await;
        let left = |cost_micro_usd: i64| cost_micro_usd.saturating_sub(booked.get());
        match answer {
            Ok(answer) => {
                self.pay(&answer.usage, left(answer.cost_micro_usd)).await?;
                Ok(answer)
            }
            Err(failed) => {
                self.pay(&Usage::default(), left(failed.cost_micro_usd)).await?;
                Err(failed.error)
            }
        }
    }

    /// Books what was spent, immediately and whatever becomes of the job. The
    /// amounts are negative if too much was booked before.
    pub(super) async fn pay(&self, usage: &Usage, cost_micro_usd: i64) -> Result<(), Error> {
        let tokens = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (read, written) = (tokens(usage.read_tokens()), tokens(usage.output_tokens));
        let booked = [
            store::spend(&self.startup.id, read, written, cost_micro_usd),
            quotas::spend(Quota::Budget, &self.startup.user_id, cost_micro_usd, now_ms()),
        ];
        self.context.database.batch(booked).await.map(drop)
    }
}
