//! The built-in agent. Each step of its job is one answer of the model with the
//! results of its tool calls, committed as a whole. An interrupted step begins
//! again, and clients have seen nothing of it.

use hatch_code::CodeMap;
use hatch_dialects::response::StopReason;
use hatch_diff::Files;

use super::{
    events::{Event, MessageKind},
    merge,
    model::{self, Terms},
    prompt::{self, PromptBudget},
    sandbox::Scene,
    save::Ending,
    settings::{Apps, Bounds},
    steps::{SAVE, WORK},
    store::{
        self,
        turns::AppTurn,
        work::{Draft, EarlierMessage},
    },
    tools::{self, Effect, Finish},
    transcript::{self, Call, CallResult, Step},
    work::{Work, code_of, files_of},
};
use crate::{
    error::Error,
    jobs::Outcome,
    platform::clock::{MINUTE_MS, now_ms},
    settings::FromVars as _,
    store::{Rows, Statement},
    upstream::{
        compiler::{self, Packages},
        vercel,
    },
};

/// How many earlier messages are read.
const EARLIER: u32 = 40;
/// The most characters of the model's text in one event.
const MOST_WORDS: usize = 4_000;
/// How many calls of `finish` may fail because the code does not compile.
const FAILED_FINISHES: usize = 3;

/// Asks the model once and runs the tools that it calls.
pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let turn = &work.turn;
    if let Some(reason) = exhausted(turn, Apps::of(&work.settings)?.bounds, now_ms()) {
        return end(work, Vec::new(), &Ending::failed(reason));
    }
    let terms = Terms::of(work).await?;
    let candidates = model::choose(work, &terms).await?;
    let known = [
        store::work::draft(&turn.id),
        store::work::steps(&turn.id),
        store::work::earlier(turn, EARLIER),
        base(turn),
    ];
    let known: [Rows; 4] = work.context.database.batch(known).await?;
    let [draft, steps, earlier, base] = known;
    let draft: Draft = draft.first()?.ok_or_else(|| Error::Internal("a turn has no draft".to_owned()))?;
    let (steps, earlier): (Vec<Step>, Vec<EarlierMessage>) = (steps.read()?, earlier.read()?);
    let files_at_start = files_of(&base.into_json().unwrap_or_else(|| "{}".to_owned()))?;
    let mut files = files_of(&draft.files)?;

    let window = candidates.first().map_or(0, |candidate| candidate.model.context);
    let request = prompt::request(turn, &files_at_start, &earlier, &steps, PromptBudget::of(window));
    let allowance = match model::afford(&request, &candidates, work, &terms).await {
        Ok(Some(allowance)) => allowance,
        Ok(None) => {
            let bounds = Apps::of(&work.settings)?.bounds;
            return end(work, Vec::new(), &Ending::failed(used_up(&budget(bounds))));
        }
        Err(error @ Error::TooManyRequests(_)) => {
            return end(work, Vec::new(), &Ending::failed(error.detail()));
        }
        Err(error) => return Err(error),
    };
    let scene = Scene { message: &turn.message, files: &files_at_start, step: steps.len() };
    let answered = model::ask(request, candidates, allowance, &scene, work, &terms).await?;
    let response = answered.answer?;

    let stop = response.choices.first().map(|choice| choice.stop.reason).unwrap_or_default();
    let mut step = Step::of(&response);
    let repeats = transcript::repeats_itself(&steps, &step);
    let before = files.clone();
    let has_calls = step.calls().next().is_some();
    let ending = match has_calls {
        _ if stop == StopReason::Refusal => Some(Ending::failed(REFUSED)),
        false => Some(ending_without_tools(&step, &files_at_start, &files)),
        true => run(&mut step, &steps, &mut files, work).await?,
    };
    let ending = ending.or_else(|| repeats.then(|| Ending::failed(REPETITION)));

    let seq = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let kept = serde_json::to_string(&step).map_err(|e| Error::Internal(e.to_string()))?;
    let mut writes = vec![
        store::work::add_step(&turn.id, seq, &kept),
        store::turns::count_step(&turn.id, &answered.model),
    ];
    if files != before {
        writes.push(store::work::set_draft(&turn.id, &code_of(&files)));
    }
    let mut events: Vec<Event> = progress(&step, &before, &files, ending.is_some()).into_iter().collect();
    events.push(Event::debug(format!(
        "{}: {} tokens, {} micro-dollars",
        answered.model,
        answered.usage.total(),
        answered.cost_micro_usd
    )));
    writes.push(work.add_events(&events));
    match ending {
        Some(ending) => end(work, writes, &ending),
        None => Ok(Outcome::Next { step: WORK, writes }),
    }
}

const REFUSED: &str = "The model refused to do this; try other words.";
const REPETITION: &str = "The agent was stopped because it called the same tools again and again.";

/// The code at the beginning of the turn.
fn base(turn: &AppTurn) -> Statement {
    crate::store::sql!(
        "SELECT v.code AS json FROM app_drafts d JOIN project_versions v ON v.project_id = ?2 AND v.version = d.base_version
         WHERE d.turn_id = ?1",
        turn.id.as_str(),
        turn.app_id.as_str()
    )
}

/// Names the bound that the turn has reached. None if it may go on.
fn exhausted(turn: &AppTurn, bounds: Bounds, now: i64) -> Option<String> {
    let reached = |what: &str| Some(used_up(what));
    match () {
        () if turn.steps >= bounds.steps => reached(&format!("{} steps", bounds.steps)),
        () if turn.tokens >= bounds.tokens => reached(&format!("{} tokens", bounds.tokens)),
        () if turn.cost_micro_usd >= bounds.micro_usd => reached(&budget(bounds)),
        () if now - turn.created_at >= bounds.ms => reached(&format!("{} minutes", bounds.ms / MINUTE_MS)),
        () => None,
    }
}

fn used_up(what: &str) -> String {
    format!("The agent has used up its {what}; send another message to go on.")
}

fn budget(bounds: Bounds) -> String {
    let cents = bounds.micro_usd / 10_000;
    format!("budget of ${}.{:02}", cents / 100, cents % 100)
}

fn end(work: &Work, mut writes: Vec<Statement>, ending: &Ending) -> Result<Outcome, Error> {
    writes.push(store::turns::set_result(&work.turn.id, &ending.to_json()?));
    Ok(Outcome::Next { step: SAVE, writes })
}

/// A model that calls no tool has finished, or asks the user.
fn ending_without_tools(step: &Step, at_start: &Files, files: &Files) -> Ending {
    let text = step.text();
    match (text.is_empty(), merge::changed(at_start, files).is_empty()) {
        (true, true) => Ending::failed("The model answered nothing."),
        (false, true) => Ending::question(text),
        (_, false) => Ending::finished(Finish {
            name: None,
            commit_message: "feat: update".to_owned(),
            summary: if text.is_empty() { "The changes are made.".to_owned() } else { text },
        }),
    }
}

/// Runs the model's tool calls in order. Later calls see the changes of earlier
/// ones.
async fn run(
    step: &mut Step,
    steps: &[Step],
    files: &mut Files,
    work: &Work,
) -> Result<Option<Ending>, Error> {
    let calls: Vec<Call> = step.calls().cloned().collect();
    let mut ending = None;
    for call in calls {
        let (text, is_error) = match tools::run(&call, files) {
            Effect::Output(text) => (text, false),
            Effect::Failed(reason) => (reason, true),
            Effect::Check => {
                (check(files, work).await?.unwrap_or_else(|| "Nothing is wrong".to_owned()), false)
            }
            Effect::Preview => preview(files, work).await?,
            Effect::Ask(question) => {
                ending = ending.or(Some(Ending::question(question)));
                ("The user is asked".to_owned(), false)
            }
            Effect::Finish(finish) => match unfinished(files, steps, work).await? {
                Some(problems) => (problems, true),
                None => {
                    ending = ending.or(Some(Ending::finished(finish)));
                    ("Finished".to_owned(), false)
                }
            },
        };
        step.results.push(CallResult { id: call.id, text, is_error });
    }
    Ok(ending)
}

/// Why the turn cannot be finished yet. After [`FAILED_FINISHES`] attempts the
/// code is accepted as it is, and its owner sees what is wrong.
async fn unfinished(files: &Files, steps: &[Step], work: &Work) -> Result<Option<String>, Error> {
    let finishes = steps.iter().flat_map(Step::calls).filter(|call| call.name == "finish").count();
    if finishes >= FAILED_FINISHES || files.is_empty() {
        return Ok(None);
    }
    let problems = check(files, work).await?;
    Ok(problems.map(|problems| format!("Not finished: repair this first.\n{problems}")))
}

/// The compiler's errors for the files. None if there are no errors.
async fn check(files: &Files, work: &Work) -> Result<Option<String>, Error> {
    let code = CodeMap::of(files.clone()).map_err(|error| Error::Internal(error.to_string()))?;
    if code.is_empty() {
        return Ok(Some("There are no files yet".to_owned()));
    }
    let reason = if is_built_by_npm(&code) {
        let found = compiler::check(&code, &work.context.env).await?;
        let lines: Vec<String> =
            found.iter().map(|diagnostic| format!("{diagnostic}\n{}", diagnostic.frame)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    } else {
        let built = compiler::compile(&code, Packages::FromCdn, &work.context.env).await?;
        built.err().map(|failed| failed.reason())
    };
    Ok(reason.map(|reason| tools::capped(&reason, "repair these first")))
}

/// Whether the code needs a server, so that it cannot become a static site.
fn is_built_by_npm(code: &CodeMap) -> bool {
    code.get("package.json").and_then(vercel::framework) == Some("nextjs")
}

/// The files that a visitor's browser would load.
async fn preview(files: &Files, work: &Work) -> Result<(String, bool), Error> {
    let code = CodeMap::of(files.clone()).map_err(|error| Error::Internal(error.to_string()))?;
    if is_built_by_npm(&code) {
        return Ok((
            "A Next.js app needs a server and has no preview here; use check instead".to_owned(),
            true,
        ));
    }
    let site = match compiler::compile(&code, Packages::FromCdn, &work.context.env).await? {
        Ok(site) => site,
        Err(failed) => return Ok((tools::capped(&failed.reason(), "repair these first"), true)),
    };
    let mut text = String::from("A visitor gets these files:\n");
    for (path, content) in &site.files {
        text.push_str(&format!("{path} ({} bytes)\n", content.len()));
    }
    for (path, page) in site.files.iter().filter(|(path, _)| path.ends_with(".html")) {
        text.push_str(&format!("\n<page path={path:?}>\n{page}\n</page>\n"));
    }
    Ok((tools::capped(&text, "read the files for the rest"), false))
}

/// The event of a step: the model's text, and the files that it has changed.
fn progress(step: &Step, before: &Files, after: &Files, has_ended: bool) -> Option<Event> {
    let mut text: String = step.text().chars().take(MOST_WORDS).collect();
    let changed = merge::changed(before, after);
    if !changed.is_empty() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str("Created or changed:");
        for path in &changed {
            let lines = after.get(path).map_or(0, |content| content.lines().count());
            match after.contains_key(path) {
                true => text.push_str(&format!("\n📝 {path} (+{lines} more)")),
                false => text.push_str(&format!("\n🗑 {path}")),
            }
        }
    }
    let tools: Vec<&str> = step.calls().map(|call| call.name.as_str()).collect();
    match (text.is_empty(), has_ended) {
        // The event at the turn's end has the last text.
        (_, true) if changed.is_empty() => None,
        (true, _) if tools.is_empty() => None,
        (true, _) => Some(Event::running(MessageKind::WipUpdate, tools.join(", "))),
        (false, _) => Some(Event::running(MessageKind::WipUpdate, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(steps: i64, tokens: i64, cost_micro_usd: i64) -> AppTurn {
        serde_json::from_value(serde_json::json!({
            "id": "t", "appId": "a", "userId": "u", "traceId": "x", "message": "m", "settings": null, "githubToken": null,
            "origin": "o", "steps": steps, "tokens": tokens, "costMicroUsd": cost_micro_usd, "createdAt": 1_000, "result": null,
            "appName": "n", "templateId": null, "target": "edge", "runs": null, "agentState": null, "repository": null,
            "deploymentId": null, "keyId": null, "keyLimits": null,
        }))
        .unwrap()
    }

    #[test]
    fn a_turn_ends_at_its_bounds_of_steps_tokens_money_and_time() {
        let bounds = Bounds { steps: 3, tokens: 100, micro_usd: 2_500_000, ms: 60_000 };
        let reason = |turn: &AppTurn, now| exhausted(turn, bounds, now);
        assert_eq!(reason(&turn(2, 99, 2_499_999), 60_999), None);
        assert!(reason(&turn(3, 0, 0), 0).unwrap().contains("3 steps"));
        assert!(reason(&turn(0, 100, 0), 0).unwrap().contains("100 tokens"));
        assert!(reason(&turn(0, 0, 2_500_000), 0).unwrap().contains("$2.50"));
        assert!(reason(&turn(0, 0, 0), 61_000).unwrap().contains("1 minutes"));
    }

    #[test]
    fn an_answer_without_tool_calls_is_a_question_unless_files_have_changed() {
        let step = Step {
            parts: vec![super::super::transcript::AnswerPart::Text { text: "Which?".into() }],
            results: vec![],
        };
        let (none, some) = (Files::new(), Files::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(ending_without_tools(&step, &none, &none), Ending::question("Which?".to_owned()));
        assert!(matches!(ending_without_tools(&step, &none, &some).kind, MessageKind::ReviewResult));
        assert!(matches!(
            ending_without_tools(&Step::default(), &none, &none).kind,
            MessageKind::RuntimeError
        ));
    }
}
