//! Taking apps down at their clouds: which can be, and the jobs that do it.
//! A job needs nothing but the row of its app, so it outlives the project.

use worker::Env;

use super::{
    Cloud, Source, credentials,
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

/// What takes apps down.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For the batch that needs them down.
    pub(crate) statements: Vec<Statement>,
    /// Jobs to be sent when the batch is through.
    jobs: Vec<String>,
    /// Apps that nobody's credentials reach.
    pub(crate) out_of_reach: Vec<App>,
}

/// Plans to take `apps` down by the credentials of the request, of its user,
/// or of the Worker: whichever are of the account that an app is in.
///
/// # Errors
/// 400 for a wrong header.
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
        let right = credentials::find_for(&app, user, header, settings, database).await?;
        let Some(right) = right else {
            plan.out_of_reach.push(app);
            continue;
        };
        let (job, sealed) = (random::uuid()?, right.sealed(app.cloud, user, settings)?);
        plan.statements.push(store::will_be_taken_down(&app.id, &right, sealed.as_deref(), now));
        plan.statements.extend(jobs::store::create(&job, user, JOB, &app.id, JOB, trace_id, now));
        // A deployment that is at work there is dropped with its project, but
        // may not know of it for a moment. The outbox sends this one later.
        if !app.is_busy {
            plan.jobs.push(job);
        }
    }
    Ok(plan)
}

impl Plan {
    /// Sends the jobs, after the answer.
    pub(crate) fn send(self, env: &Env, background: &Background) {
        let env = env.clone();
        background.run(async move {
            for job in self.jobs {
                outbox::send(&env, &job).await;
            }
        });
    }
}

/// What to do about an app out of reach.
pub(crate) fn out_of_reach(app: &App) -> Error {
    match app.source {
        Some(Source::Own) => Error::Conflict {
            code: "credentials_needed",
            detail: format!(
                "An app of this is live in an account at {} that this Worker has no longer: its operator can take it down there",
                app.cloud.title
            )
            .into(),
        },
        _ => credentials_needed(app.cloud),
    }
}

/// [`out_of_reach`], where the user has the credentials.
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
            "An app of this is live in an account at {title} that takes your credentials: send {headers}, as when it was deployed"
        )
        .into(),
    }
}
