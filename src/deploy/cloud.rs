//! The steps of a deployment at somebody's cloud.

use super::{
    cloud_store::{self, Task},
    job::AWAIT,
    site::File,
    targets::{self, Order, Report, State},
};
use crate::{
    clouds::{Cloud, Right, credentials},
    error::Error,
    jobs::{self, Job, Outcome, Workshop},
    platform::clock::now_ms,
    settings::Settings,
    store::Statement,
};

impl Task {
    /// # Errors
    /// [`Error::Refused`] when the right by which this began is there no longer.
    fn right(&self, cloud: Cloud, settings: &Settings) -> Result<Right, Error> {
        let source = self.source.ok_or_else(|| Error::Internal("no source of credentials".to_owned()))?;
        let right = credentials::recall(cloud, &self.user_id, source, self.sealed.as_deref(), settings)?;
        if self.place.as_deref() == Some(&*right.place(cloud, settings)) {
            return Ok(right);
        }
        Err(Error::Refused {
            code: "credentials_gone",
            detail: format!("This Worker has another account at {} now; deploy again", cloud.title()),
        })
    }

    fn order<'a>(&'a self, right: &'a Right, settings: &'a Settings) -> Order<'a> {
        Order {
            project_id: &self.project_id,
            deployment_id: Some(&self.id),
            name: &self.name,
            right,
            container: self.container.as_ref(),
            remote: self.remote.as_deref(),
            is_live: self.is_live,
            settings,
        }
    }
}

/// Brings the files to the cloud.
pub(super) async fn push(
    job: &Job,
    workshop: &Workshop,
    cloud: Cloud,
    task: &Task,
    files: &[File],
) -> Result<Outcome, Error> {
    if !task.is_youngest {
        let reason = "A younger deployment of this project has taken its place".to_owned();
        return Ok(Outcome::Failed { reason });
    }
    let settings = Settings::of(&workshop.env)?;
    let right = task.right(cloud, &settings)?;
    settled(job, targets::push(cloud, &task.order(&right, &settings), files).await)
}

/// Asks after what was pushed.
pub(super) async fn wait(job: &Job, workshop: &Workshop) -> Result<Outcome, Error> {
    let task = workshop.database.query(cloud_store::task(&job.subject_id, &job.id)).await?.first::<Task>()?;
    let Some(task) = task else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let cloud = task.target.cloud().ok_or_else(|| Error::Internal("edge has nothing to await".to_owned()))?;
    let since_ms = now_ms() - task.pushed_at.unwrap_or_else(now_ms);
    if since_ms > targets::patience_ms(cloud) {
        let minutes = targets::patience_ms(cloud) / 60_000;
        let reason = format!("{} had not brought it live after {minutes} minutes", cloud.title());
        return settled(job, Ok(Report { state: State::Failed { reason }, lines: Vec::new(), remote: None }));
    }
    let settings = Settings::of(&workshop.env)?;
    let right = task.right(cloud, &settings)?;
    settled(job, targets::poll(cloud, &task.order(&right, &settings), since_ms).await)
}

/// What the cloud's answer means for the job.
fn settled(job: &Job, report: Result<Report, Error>) -> Result<Outcome, Error> {
    let report = match report {
        Ok(report) => report,
        Err(error) => return refusal(&error).map(|reason| Outcome::Failed { reason }).ok_or(error),
    };
    let writes = noted(job, &report);
    Ok(match report.state {
        State::Going { .. } if job.step != AWAIT => Outcome::Next { step: AWAIT, writes },
        State::Going { after_ms } => Outcome::Wait { after_ms, writes },
        State::Live { url } => Outcome::Done { writes: live(job, url.as_deref(), writes) },
        // A failure writes its reason and nothing else, so the lines go before it.
        State::Failed { .. } if !report.lines.is_empty() => Outcome::Wait { after_ms: 0, writes },
        State::Failed { reason } => Outcome::Failed { reason },
    })
}

/// Why it cannot be done, where trying again would not help.
pub(super) fn refusal(error: &Error) -> Option<String> {
    match error {
        Error::Upstream {
            code: "upstream_auth" | "upstream_billing" | "upstream_rejected", detail, ..
        }
        | Error::Refused { detail, .. } => Some(detail.clone()),
        _ => None,
    }
}

fn noted(job: &Job, report: &Report) -> Vec<Statement> {
    let now = now_ms();
    let lines = report.lines.iter().map(|line| jobs::store::log(&job.id, line.level, &line.message, now));
    lines.chain(cloud_store::keep_remote(&job.subject_id, report.remote.as_deref(), now)).collect()
}

fn live(job: &Job, url: Option<&str>, mut writes: Vec<Statement>) -> Vec<Statement> {
    let now = now_ms();
    writes.extend(cloud_store::go_live(&job.subject_id, url, now));
    let told = url.map_or_else(|| "Live".to_owned(), |url| format!("Live at {url}"));
    writes.push(jobs::store::log(&job.id, "success", &told, now));
    writes
}
