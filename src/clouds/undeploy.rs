//! Plans which apps can be undeployed at their clouds, and creates the jobs for it. A job needs
//! only the row of its app, so it outlives the project.

use worker::Env;

use super::{
    Cloud, CredentialSource, credentials,
    store::{self, App},
};
use crate::{
    error::Error,
    jobs::{self, outbox},
    platform::{background::Background, clock::now_ms, random, request::InboundRequest},
    settings::Settings,
    store::{Database, Statement},
};

/// The kind of job, and its only step.
pub(crate) const JOB: &str = "take-down";

/// The statements and jobs that undeploy apps.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For the batch that deletes the project or account.
    pub(crate) statements: Vec<Statement>,
    /// The jobs to send after the batch.
    jobs: Vec<String>,
    /// Apps that no available credentials reach.
    pub(crate) out_of_reach: Vec<App>,
}

/// Plans to undeploy `apps` with the credentials of the request, of its user, or of the operator,
/// whichever belong to the account with the app.
///
/// # Errors
/// 400 for an invalid header.
pub(crate) async fn plan(
    user: &str,
    apps: Vec<App>,
    request: &InboundRequest,
    trace_id: &str,
    settings: &Settings,
    database: &Database,
) -> Result<Plan, Error> {
    let (mut plan, now) = (Plan::default(), now_ms());
    for app in apps {
        let header = |name: &str| request.header(name);
        let resolved = credentials::find_for(&app, user, header, settings, database).await?;
        let Some(resolved) = resolved else {
            plan.out_of_reach.push(app);
            continue;
        };
        let (job, sealed) = (random::uuid()?, resolved.sealed(app.cloud, user, settings)?);
        plan.statements.push(store::mark_for_removal(&app.id, &resolved, sealed.as_deref(), now));
        plan.statements.extend(jobs::store::create(&job, user, JOB, &app.id, JOB, trace_id, now));
        // A deployment that is running there is dropped with its project, but may not notice for a
        // moment. The outbox sends this message later.
        if !app.is_busy {
            plan.jobs.push(job);
        }
    }
    Ok(plan)
}

impl Plan {
    /// Sends the jobs after the response.
    pub(crate) fn send(self, env: &Env, background: &Background) {
        let env = env.clone();
        background.run(async move {
            for job in self.jobs {
                outbox::send(&env, &job).await;
            }
        });
    }
}

/// The error for an app out of reach, with what to do.
pub(crate) fn out_of_reach(app: &App) -> Error {
    match app.source {
        Some(CredentialSource::Own) => Error::Conflict {
            code: "credentials_needed",
            detail: format!(
                "An app is live in an account at {} that this Worker no longer has: the account's operator can take it down there",
                app.cloud.title
            )
            .into(),
        },
        _ => credentials_needed(app.cloud),
    }
}

/// [`out_of_reach`] when the user has the credentials.
pub(crate) fn credentials_needed(cloud: Cloud) -> Error {
    let title = cloud.title;
    let account = cloud.account.as_ref().filter(|account| account.is_required);
    let headers = match account {
        Some(account) => format!("{} and {}", cloud.token_header, account.header),
        None => cloud.token_header.to_owned(),
    };
    Error::Conflict {
        code: "credentials_needed",
        detail: format!(
            "An app is live in an account at {title} that needs your credentials: send {headers}, as when it was deployed"
        )
        .into(),
    }
}
