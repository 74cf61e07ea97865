//! The steps of a deployment to a cloud.

use std::borrow::Cow;

use super::{
    cloud_store::{self, Task},
    site::File,
};
use crate::{
    clouds::{self, AppSpec, Cloud, Line, Report, ResolvedCredentials, State, credentials},
    error::Error,
    jobs::{self, Job, JobContext, Outcome},
    platform::clock::{MINUTE_MS, now_ms},
    settings::Settings,
    store::Statement,
};

/// The step that polls the cloud for the status.
pub(super) const AWAIT: &str = "await";

/// The most lines of a report that go into the log: a build may produce thousands at once.
const MOST_LINES: usize = 200;

impl Task {
    /// # Errors
    /// [`Error::Refused`] when the credentials that the deployment started with are gone.
    fn credentials(&self, cloud: Cloud, settings: &Settings) -> Result<ResolvedCredentials, Error> {
        let source = self.source.ok_or_else(|| Error::Internal("no source of credentials".to_owned()))?;
        let resolved = credentials::restore(cloud, &self.user_id, source, self.sealed.as_deref(), settings)?;
        if self.place.as_deref() == Some(&*resolved.place(cloud, settings)?) {
            return Ok(resolved);
        }
        Err(Error::Refused {
            code: "credentials_gone",
            detail: format!("This Worker has another account at {} now; deploy again", cloud.title),
        })
    }

    fn spec<'a>(&'a self, resolved: &'a ResolvedCredentials, settings: &'a Settings) -> AppSpec<'a> {
        AppSpec {
            project_id: &self.project_id,
            deployment_id: Some(&self.id),
            name: &self.name,
            credentials: resolved,
            container: self.container.as_ref(),
            remote: self.remote.as_deref(),
            is_live: self.is_live,
            settings,
        }
    }
}

/// Uploads the files to the cloud.
pub(super) async fn push(
    job: &Job,
    context: &JobContext,
    cloud: Cloud,
    task: &Task,
    files: &[File],
) -> Result<Outcome, Error> {
    if !task.is_youngest {
        let reason = "A newer deployment of this project has replaced it".to_owned();
        return Ok(Outcome::Failed { reason });
    }
    let settings = Settings::of(&context.env)?;
    let resolved = task.credentials(cloud, &settings)?;
    let files: Vec<clouds::File<'_>> =
        files.iter().map(|file| clouds::File { path: &file.path, content: &file.content }).collect();
    outcome_of(job, cloud.push(&task.spec(&resolved, &settings), &files).await)
}

/// Polls the status of what was pushed.
pub(super) async fn wait(job: &Job, context: &JobContext) -> Result<Outcome, Error> {
    let task = context.database.query(cloud_store::task(&job.subject_id, &job.id)).await?.first::<Task>()?;
    let Some(task) = task else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let cloud = task.target.cloud().ok_or_else(|| Error::Internal("edge has nothing to await".to_owned()))?;
    let since_ms = now_ms() - task.pushed_at.unwrap_or_else(now_ms);
    let settings = Settings::of(&context.env)?;
    let resolved = task.credentials(cloud, &settings)?;
    let polled = cloud.poll(&task.spec(&resolved, &settings), since_ms).await;
    // Poll before checking the deadline: the app may have gone live while polling failed.
    if since_ms > cloud.patience_ms && is_undecided(&polled) {
        let minutes = cloud.patience_ms / MINUTE_MS;
        let reason = format!("{} had not brought it live after {minutes} minutes", cloud.title);
        return Ok(Outcome::Failed { reason });
    }
    outcome_of(job, polled)
}

/// Whether a later poll may return another status.
fn is_undecided(polled: &Result<Report, Error>) -> bool {
    match polled {
        Ok(report) => matches!(report.state, State::Going { .. }),
        Err(error) => error.is_retryable(),
    }
}

/// Maps the cloud's report to the outcome of the job's step.
fn outcome_of(job: &Job, report: Result<Report, Error>) -> Result<Outcome, Error> {
    let report = match report {
        Ok(report) => report,
        Err(error) => return permanent_reason(&error).map(|reason| Outcome::Failed { reason }).ok_or(error),
    };
    let writes = record(job, &report)?;
    Ok(match report.state {
        State::Going { .. } if job.step != AWAIT => Outcome::Next { step: AWAIT, writes },
        State::Going { after_ms } => Outcome::Wait { after_ms, writes },
        State::Live { url } => Outcome::Done { writes: live(job, url.as_deref(), writes) },
        // A failed job writes only its reason, so the lines are written first.
        State::Failed { .. } if !report.lines.is_empty() => Outcome::Wait { after_ms: 0, writes },
        State::Failed { reason } => Outcome::Failed { reason },
    })
}

/// The reason for the owner, when a retry would not help.
pub(super) fn permanent_reason(error: &Error) -> Option<String> {
    match error {
        Error::Upstream { kind, detail, .. } if kind.is_permanent() => Some(detail.clone()),
        Error::Refused { detail, .. } => Some(detail.clone()),
        _ => None,
    }
}

fn record(job: &Job, report: &Report) -> Result<Vec<Statement>, Error> {
    let now = now_ms();
    let mut writes = Vec::from(cloud_store::keep_remote(&job.subject_id, report.remote.as_deref(), now));
    if !report.lines.is_empty() {
        let text = log_lines(&report.lines);
        let text = serde_json::to_string(&text).map_err(|e| Error::Internal(e.to_string()))?;
        writes.push(jobs::store::log_report(&job.id, &text, report.lines.len(), now));
    }
    Ok(writes)
}

/// The lines of a report for the log. Of very many, only the last ones, which show the result.
fn log_lines(lines: &[Line]) -> Vec<Cow<'_, Line>> {
    let left_out = lines.len().saturating_sub(MOST_LINES);
    let note = (left_out > 0).then(|| Line::info(format!("({left_out} lines are left out here)")));
    note.map(Cow::Owned).into_iter().chain(lines.iter().skip(left_out).map(Cow::Borrowed)).collect()
}

fn live(job: &Job, url: Option<&str>, mut writes: Vec<Statement>) -> Vec<Statement> {
    let now = now_ms();
    writes.extend(cloud_store::go_live(&job.subject_id, url, now));
    let text = url.map_or_else(|| "Live".to_owned(), |url| format!("Live at {url}"));
    writes.push(jobs::store::log_end(&job.id, "success", &text, now));
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_report_is_cut_to_its_last_lines_with_a_note() {
        let lines: Vec<Line> = (0..MOST_LINES + 50).map(|n| Line::info(n.to_string())).collect();
        let few = log_lines(lines.get(..MOST_LINES).unwrap());
        assert_eq!((few.len(), few[0].message.as_str()), (MOST_LINES, "0"));
        let many = log_lines(&lines);
        assert_eq!(many.len(), MOST_LINES + 1);
        assert_eq!(many[0].message, "(50 lines are left out here)");
        assert_eq!((many[1].message.as_str(), many[MOST_LINES].message.as_str()), ("50", "249"));
    }
}
