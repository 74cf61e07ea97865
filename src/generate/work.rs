//! The context that every step of the job works with.

use std::rc::Rc;

use super::{
    question::{Question, TextAnswer},
    settings::Generate,
    steps::Step,
    store::{self, Startup},
};
use crate::{
    error::Error,
    identity::{
        DailyLimits,
        quotas::{self, Quota},
    },
    jobs::{self, Job, JobContext},
    models::{
        self, AnswerRules, Booking, KeyLimits, Keys, PaidQuestion, PaidWork, Payer, Providers, Reservation,
        web_search,
    },
    platform::clock::now_ms,
    settings::{FromVars as _, Settings},
    store::Statement,
    upstream::search::{Hit, Search},
};

/// The context of a step.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) startup: Startup,
    pub(super) settings: Rc<Settings>,
    pub(super) context: Rc<JobContext>,
    /// The owner's own keys of providers.
    keys: Keys,
    /// The limits of the API key that began the startup.
    key_limits: KeyLimits,
}

impl Work {
    pub(super) async fn new(
        job: Job,
        startup: Startup,
        settings: Rc<Settings>,
        context: Rc<JobContext>,
    ) -> Result<Self, Error> {
        let keys = Keys::of_user(&startup.user_id, &settings, &context.database).await?;
        let key_limits = KeyLimits::parse(startup.key_limits.as_deref())?;
        Ok(Self { job, startup, settings, context, keys, key_limits })
    }

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

    /// Whether a real model answers and not the sandbox model.
    pub(super) fn has_model(&self) -> Result<bool, Error> {
        let providers = Providers::of(&self.settings)?;
        Ok(providers.all.iter().any(|provider| provider.is_open_to(&self.keys) && !provider.is_sandbox()))
    }

    /// The name of the model in messages to the owner.
    pub(super) fn model_name(&self) -> Result<&'static str, Error> {
        let preferred = Generate::of(&self.settings)?.model.as_deref();
        let name = models::default_name(preferred, &self.keys, &self.settings)?;
        let is_claude =
            name.starts_with("anthropic/") && models::is_allowed(&name, self.key_limits.models.as_deref());
        Ok(if is_claude { "Claude" } else { "The model" })
    }

    /// Fails if today's budget is used up.
    pub(super) async fn require_budget(&self) -> Result<(), Error> {
        let limits = DailyLimits::of(&self.settings)?;
        quotas::require(Quota::Budget, &self.startup.user_id, limits, &self.context.database).await
    }

    fn rules(&self) -> AnswerRules<'_> {
        let (startup, job) = (&self.startup, &self.job);
        let key = startup.key_id.as_deref().map(|id| (id, &self.key_limits));
        AnswerRules {
            payer: Payer {
                subject: &startup.id,
                work: PaidWork::Job { id: &job.id, holder: job.holder() },
                user: &startup.user_id,
                key,
            },
            keys: &self.keys,
            settings: &self.settings,
            database: &self.context.database,
        }
    }

    /// Asks a model, and books the cost while the answer arrives, so that also a
    /// cancelled or timed-out step pays for what it got.
    /// `so_far` gets the text that has arrived, every few seconds.
    pub(super) async fn ask(
        &self,
        question: &Question,
        so_far: impl AsyncFn(&str),
    ) -> Result<TextAnswer, Error> {
        let (request, rules) = (question.request(), self.rules());
        let preferred = Generate::of(&self.settings)?.model.as_deref();
        let candidates = models::choose(None, preferred, &request, &rules).await?;
        let allowance = models::afford(&request, question.max_tokens, &candidates, i64::MAX, &rules).await?;
        let allowance = allowance.ok_or_else(|| Error::Internal("an answer costs too much".to_owned()))?;
        let booking = Booking::new(&allowance.reservation, &self.context.database);
        let progress = async |text: &str, cost: i64| {
            booking.book(cost, |more| store::spend(&self.startup.id, 0, 0, more)).await;
            so_far(text).await;
        };
        let who = self.model_name()?;
        let question = PaidQuestion { request, candidates, who };
        let paid = models::answer(question, &allowance, &rules, progress).await?;
        let tokens = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (read, written) = match paid.answer {
            Ok(_) => (tokens(paid.usage.prompt()), tokens(paid.usage.output)),
            // The provider has not counted the tokens of an interrupted answer.
            Err(_) => (0, 0),
        };
        let spend = |rest| store::spend(&self.startup.id, read, written, rest);
        booking.finish(paid.cost_micro_usd, spend).await?;
        paid.answer.map(|response| TextAnswer::of(response, who))
    }

    /// Searches the web. A search by a model is paid like its answers, whatever becomes of the job.
    ///
    /// # Errors
    /// A spent budget, and those of the database. The search's own is inside.
    pub(super) async fn search(
        &self,
        provider: &Search,
        query: &str,
        results: usize,
    ) -> Result<Result<Vec<Hit>, Error>, Error> {
        let (payer, database) = (self.rules().payer, &self.context.database);
        let reservation = match provider {
            Search::Claude => payer.reserve(web_search::MOST_MICRO_USD, &self.settings, database).await?,
            Search::Engine(_) => Reservation::none(&payer),
        };
        let tokens = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let found = web_search::search(provider, query, results, &self.settings, database).await;
        let (read, written, cost, hits) = match found {
            Ok(found) => {
                let (read, written) = (found.usage.prompt(), found.usage.output);
                (tokens(read), tokens(written), found.cost_micro_usd, Ok(found.hits))
            }
            Err(failed) => (0, 0, failed.cost_micro_usd, Err(failed.error)),
        };
        let spend = |cost| store::spend(&self.startup.id, read, written, cost);
        Booking::new(&reservation, database).finish(cost, spend).await?;
        Ok(hits)
    }
}
