//! The sandbox model's startup: a Next.js application for any prompt, always the same for the same prompt. Pure.
//!
//! The code is the same for every idea (`templates/startup/`); words, colour and statuses are data in one of its files,
//! `content/site.json`. So no text of a prompt becomes code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    complete::{complete, in_markdown},
    idea::Idea,
};
use crate::upstream::sandbox::{Templates, fill};

/// The templates with placeholders; in all others, `{{` is code.
const FILLED: [&str; 3] = ["README.md", "app/icon.svg", "package.json"];

/// The application's files, path to content, including those that packaging adds. They install, build, test and start
/// without any key.
pub(crate) fn files(idea: &Idea, templates: Templates) -> BTreeMap<String, String> {
    let values = [
        ("accent", idea.kind.accent.clone()),
        ("description", Value::from(idea.tagline.as_str()).to_string()),
        ("idea", in_markdown(&idea.prompt)),
        ("name", in_markdown(&idea.name)),
        ("slug", idea.slug.clone()),
        ("tagline", in_markdown(&idea.tagline)),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut files = templates.into_files();
    for path in FILLED {
        if let Some(text) = files.get_mut(path) {
            *text = fill(text, &values);
        }
    }
    files.insert("content/site.json".to_owned(), format!("{:#}\n", site(idea)));
    complete(&mut files, &idea.name, &idea.tagline);
    files
}

fn site(idea: &Idea) -> Value {
    let kind = &idea.kind;
    let features = kind.features.iter().map(|(title, text)| json!({"title": title, "text": text}));
    json!({
        "name": idea.name,
        "tagline": idea.tagline,
        "lead": kind.lead,
        "accent": kind.accent,
        "noun": idea.noun,
        "nouns": idea.nouns,
        "statuses": kind.statuses,
        "titleLabel": kind.title_label,
        "detailLabel": kind.detail_label,
        "features": features.collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::idea;

    /// Writes the application into the directory `HATCH_STARTUP`, for `npm install && npm test && npm run build` there.
    #[test]
    fn a_startup_can_be_written_to_a_directory() {
        let Ok(directory) = std::env::var("HATCH_STARTUP") else { return };
        let prompt = std::env::var("HATCH_PROMPT").unwrap();
        for (path, content) in files(&idea::read(&prompt), Templates::for_test(Templates::STARTUP)) {
            let path = std::path::Path::new(&directory).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}
