//! What a handler receives.

use std::{cell::Cell, rc::Rc};

use worker::Env;

use super::{caller::Caller, claim::Claim, limits::Limits, modules::Modules};
use crate::{
    audit,
    error::Error,
    platform::{background::Background, clock::now_ms, random, request::InboundRequest},
    settings::Settings,
    store::{Database, Rows, Statement},
};

/// What a handler receives: the request, its caller, and the Worker's environment.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) request: Rc<InboundRequest>,
    pub(crate) caller: Caller,
    /// The rows of the route's statement about the caller, if it ran with the lookup of their
    /// credential.
    pub(crate) owner_rows: Option<Rows>,
    pub(crate) settings: Rc<Settings>,
    pub(crate) env: Env,
    pub(crate) background: Background,
    pub(crate) modules: &'static Modules,
    pub(super) limits: Limits,
    pub(crate) request_id: String,
    /// The id of the request's trace (W3C Trace Context).
    pub(crate) trace_id: String,
    pub(super) params: Vec<(String, String)>,
    pub(super) idempotency: Option<Claim>,
    /// Whether the request wrote to the audit log, or tried to.
    pub(super) is_audited: Rc<Cell<bool>>,
}

impl RequestContext {
    /// A parameter of the route's pattern, percent-decoded; empty when the pattern has no parameter
    /// of that name.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query string, percent-decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.request.query().as_bytes())
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The raw body, within the route's limit.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(crate) async fn body(&self) -> Result<Vec<u8>, Error> {
        self.request.body(self.limits.body).await
    }

    pub(crate) fn database(&self) -> Result<Database, Error> {
        Database::open(&self.env)
    }

    /// An id for something that this request creates; `of` names its purpose. The id is the same
    /// for each request with the same `Idempotency-Key`, so that a repeat finds what an earlier
    /// request created.
    pub(crate) fn new_id(&self, of: &str) -> Result<String, Error> {
        match &self.idempotency {
            Some(claim) => Ok(claim.id(of)),
            None => random::uuid(),
        }
    }

    /// Whether the request has an `Idempotency-Key`.
    pub(crate) fn has_idempotency_key(&self) -> bool {
        self.idempotency.is_some()
    }

    /// Whether an earlier request with this `Idempotency-Key` may have created something already.
    pub(crate) fn is_again(&self) -> bool {
        self.idempotency.as_ref().is_some_and(|claim| claim.is_again)
    }

    /// Marks the response as a replay of what an earlier request with the same `Idempotency-Key`
    /// created.
    pub(crate) fn mark_replay(&self) {
        if let Some(claim) = &self.idempotency {
            claim.is_replay.set(true);
        }
    }

    /// A statement that writes to the audit log; it belongs in the batch of the action that it
    /// records.
    pub(crate) fn audit(&self, action: &str, subject: &str) -> Statement {
        self.audit_by(self.caller.name().unwrap_or_default(), action, subject)
    }

    /// [`Self::audit`] for a request that identifies its actor only in its body.
    pub(crate) fn audit_by(&self, actor: &str, action: &str, subject: &str) -> Statement {
        self.is_audited.set(true);
        audit::entry(actor, action, subject, &self.request_id, now_ms())
    }

    /// As [`Self::audit`], but only if the statement right before it changed a row.
    pub(crate) fn audit_change(&self, action: &str, subject: &str) -> Statement {
        self.is_audited.set(true);
        let actor = self.caller.name().unwrap_or_default();
        audit::entry_of_change(actor, action, subject, &self.request_id, now_ms())
    }
}
