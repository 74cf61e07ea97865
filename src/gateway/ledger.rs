//! Records each call with its cost when it ends, and returns in the same batch
//! what it has reserved and not spent.

use chrono::DateTime;
use hatch_dialects::Usage;

use super::store;
use crate::{
    identity::quotas::Taken,
    models::{Candidate, budgets::Reserved},
    platform::{clock::now_ms, log},
    store::{Database, Statement},
};

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) key: Option<String>,
    pub(super) started: i64,
    /// Reserved from the budgets of the key and of the Worker.
    pub(super) reserved: Reserved,
    /// Reserved from the user's daily budget.
    pub(super) daily: Option<Taken>,
    /// The providers for which the caller brings a key, and so pays.
    pub(super) own_key_providers: Vec<String>,
}

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
    /// Records the call. A failure is only logged, because the client has its answer.
    pub(super) async fn close(self, outcome: Outcome<'_>, more: Vec<Statement>, database: &Database) {
        let cost = match outcome.candidate {
            Some(candidate)
                if !self.own_key_providers.contains(&candidate.provider.name) && !outcome.is_hit =>
            {
                candidate.model.cost_micro_usd(&outcome.usage).unwrap_or_default()
            }
            _ => 0,
        };
        let day =
            DateTime::from_timestamp_millis(self.started).unwrap_or_default().format("%Y-%m-%d").to_string();
        let model = outcome.candidate.map(|candidate| candidate.model.id.as_str()).or(outcome.model);
        let call = store::Call {
            id: &self.id,
            user: &self.user,
            key: self.key.as_deref(),
            at: self.started,
            day: &day,
            model: model.unwrap_or_default(),
            status: outcome.status,
            attempts: outcome.attempts,
            cache: if outcome.is_hit { "hit" } else { "miss" },
            usage: outcome.usage,
            cost,
            is_estimated: outcome.is_estimated,
            first_token_ms: outcome.first_token_ms,
            total_ms: now_ms() - self.started,
        };
        let mut statements = vec![store::write(&call), store::count(&call)];
        statements.extend(self.daily.iter().map(|daily| daily.reconcile(cost)));
        statements.extend(more);
        let closed = async {
            statements.extend(self.reserved.reconcile(cost)?);
            database.batch_all(statements).await
        };
        if let Err(error) = closed.await {
            log::failure("gateway.close", &error);
        }
    }
}
