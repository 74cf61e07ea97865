//! The compiler of hosted apps: a project's files go in, those of a site or
//! what is wrong with the project come out. Pure: it neither reads nor
//! fetches anything.
//!
//! It is a Worker of its own (worker.js), because V8 looks at all of a
//! Worker's Wasm when an isolate starts, needed or not: in the main Worker it
//! would cost every first answer 10 to 15 ms.

mod check;
mod css;
mod diagnostic;
mod graph;
mod html;
mod json;
mod module;
mod nesting;
mod package;
mod page;
mod path;
mod plan;
mod project;
mod resolve;
mod site;
mod tailwind;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{diagnostic::Diagnostic, site::Made, tailwind::Urls};

/// What is asked of the compiler.
#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "camelCase")]
enum Task {
    /// Makes a site of the files.
    #[serde(rename_all = "camelCase")]
    Compile { files: BTreeMap<String, String>, cdn: String, tailwind: Urls },
    /// Looks whether npm can build them: syntax, imports, what of Next.js runs where.
    Check { files: BTreeMap<String, String> },
}

/// What it answers.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
enum Answer {
    Plain,
    Site {
        files: Vec<(String, String)>,
        notes: Vec<String>,
    },
    Wrong {
        diagnostics: Vec<Diagnostic>,
    },
    Checked {
        diagnostics: Vec<Diagnostic>,
    },
    /// The task itself could not be read.
    Misunderstood {
        message: String,
    },
}

/// Does a task, which is JSON, and answers with JSON.
#[wasm_bindgen]
pub fn run(task: &str) -> String {
    let answer = match serde_json::from_str(task) {
        Ok(task) => done(task),
        Err(error) => Answer::Misunderstood { message: error.to_string() },
    };
    serde_json::to_string(&answer).unwrap_or_default()
}

fn done(task: Task) -> Answer {
    match task {
        Task::Compile { files, cdn, tailwind } => match site::make(&files, &cdn, &tailwind) {
            Made::Plain => Answer::Plain,
            Made::Site { files, notes } => Answer::Site { files: files.into_iter().collect(), notes },
            Made::Wrong(diagnostics) => Answer::Wrong { diagnostics },
        },
        Task::Check { files } => Answer::Checked { diagnostics: check::check(&files) },
    }
}

#[cfg(test)]
mod tests;
