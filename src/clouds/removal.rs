//! Deletes a project that has apps at clouds. Jobs undeploy the apps; they outlive the project.

use super::{
    store::{self, App},
    undeploy::{self, Plan},
};
use crate::{
    error::Error,
    platform::request::InboundRequest,
    settings::Settings,
    store::{Database, Statement, projects},
};

/// A project to delete, and who deletes it.
#[derive(Debug)]
pub(crate) struct Removal<'a> {
    pub(crate) id: &'a str,
    pub(crate) user: &'a str,
    /// Delete only this revision.
    pub(crate) revision: Option<i64>,
    /// Delete even if no credentials reach a live app.
    pub(crate) is_forced: bool,
    /// The audit entry, written right after the deletion.
    pub(crate) audit: Statement,
    pub(crate) request: &'a InboundRequest,
    pub(crate) trace_id: &'a str,
    pub(crate) settings: &'a Settings,
}

impl Removal<'_> {
    /// Deletes the project with its `apps`. The caller must send the jobs of the plan, which
    /// undeploy them.
    ///
    /// # Errors
    /// 409 for an app out of reach, [`Error::PreconditionFailed`] when the project or its apps
    /// changed meanwhile.
    pub(crate) async fn run(self, apps: Vec<App>, database: &Database) -> Result<Plan, Error> {
        let Self { id, user, revision, is_forced, audit, request, trace_id, settings } = self;
        let known = i64::try_from(apps.len()).unwrap_or_default();
        let mut plan = undeploy::plan(user, apps, request, trace_id, settings, database).await?;
        if let Some(app) = plan.out_of_reach.iter().find(|app| app.is_live && !is_forced) {
            return Err(undeploy::out_of_reach(app));
        }
        let mut batch = vec![
            projects::is_deletable(id, user, revision, known),
            projects::delete_jobs(id, user, revision, known),
            projects::delete(id, user, revision, known),
            audit,
        ];
        batch.append(&mut plan.statements);
        batch.extend(plan.out_of_reach.iter().map(|app| store::forget_app(&app.id)));
        match database.batch_all(batch).await {
            Ok(_) => Ok(plan),
            Err(Error::GuardFailed) => Err(Error::PreconditionFailed),
            Err(error) => Err(error),
        }
    }
}
