//! The sandbox model as an agent: a script of a few steps, so that everything
//! works in development without a key.

use hatch_dialects::{
    Response,
    request::{Content, Part, ToolCall},
    response::{Choice, StopReason},
};
use hatch_diff::Files;
use serde_json::{Value, json};

use crate::upstream::sandbox::{Templates, answer};

pub(super) use crate::upstream::sandbox::MODEL;

/// What the sandbox model needs to know of a turn. Real models use tools for that.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) message: &'a str,
    pub(super) files: &'a Files,
    /// The number of answers in this turn so far.
    pub(super) step: usize,
}

/// The next answer of the script: list the files, write what the message asks
/// for, check it, finish. If it finds no template, it asks the user.
pub(super) fn play(scene: &Scene<'_>, apps: &Templates) -> Response {
    let text = answer(scene.message, Some(scene.files), apps);
    match scene.step {
        0 => {
            let wanted = hatch_code::extract(&text);
            match wanted.is_empty() {
                true => answer_with(scene, "", &[("ask_user", json!({ "question": text }))]),
                false => answer_with(scene, "I look at what is there.", &[("list_files", json!({}))]),
            }
        }
        1 => {
            let calls: Vec<_> = hatch_code::extract(&text)
                .into_iter()
                .map(|file| ("write_file", json!({ "path": file.path, "content": file.content })))
                .collect();
            answer_with(scene, "I write the files.", &calls)
        }
        2 => answer_with(scene, "", &[("check", json!({})), ("preview", json!({}))]),
        _ => {
            let message = scene.message.lines().next().unwrap_or_default();
            let words = message.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
            let summary =
                "The sandbox model wrote this from a template; set `CLAUDE_API_KEY`, and Claude takes over.";
            let commit = format!("feat: {}", message.chars().take(60).collect::<String>());
            answer_with(
                scene,
                "",
                &[("finish", json!({ "name": words, "commit_message": commit, "summary": summary }))],
            )
        }
    }
}

fn answer_with(scene: &Scene<'_>, text: &str, calls: &[(&str, Value)]) -> Response {
    let mut parts: Vec<Part> = Vec::new();
    if !text.is_empty() {
        parts.push(Part::text(text));
    }
    parts.extend(calls.iter().enumerate().map(|(n, (name, arguments))| {
        let call = ToolCall {
            id: format!("toolu_sandbox_{}_{n}", scene.step),
            name: (*name).to_owned(),
            namespace: None,
            arguments: arguments.to_string(),
            is_custom: false,
        };
        Part::from(Content::ToolCall(call))
    }));
    let choice = Choice { parts, stop: StopReason::ToolCalls.into(), logprobs: None };
    Response { model: MODEL.to_owned(), choices: vec![choice], ..Response::default() }
}
