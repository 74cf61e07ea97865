//! The sandbox model's startup: a whole Next.js application for any prompt, the same one each time. Pure.
//!
//! The code is the same for every idea (`template/`); the words, the colour and the statuses are data in one file of it,
//! `content/site.json`. So text of a prompt never stands in code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    complete::{complete, in_markdown},
    idea::Idea,
};
use crate::upstream::sandbox::fill;

macro_rules! template {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("template/", $path)))),*]
    };
}

static TEMPLATE: &[(&str, &str)] = template![
    "README.md",
    "app/api/entries/[id]/route.ts",
    "app/api/entries/route.ts",
    "app/api/waitlist/route.ts",
    "app/globals.css",
    "app/icon.svg",
    "app/layout.tsx",
    "app/not-found.tsx",
    "app/page.tsx",
    "app/workspace/page.tsx",
    "components/Board.tsx",
    "components/WaitlistForm.tsx",
    "components/send.ts",
    "lib/database.ts",
    "lib/entries.ts",
    "lib/http.ts",
    "lib/memory.ts",
    "lib/site.ts",
    "lib/store.ts",
    "lib/supabase.ts",
    "lib/workspace.ts",
    "next.config.mjs",
    "package.json",
    "postcss.config.mjs",
    "supabase/migrations/0001_init.sql",
    "tailwind.config.ts",
    "tests/entries.test.ts",
    "tests/memory.test.ts",
    "tsconfig.json",
    "vitest.config.ts",
];

/// The templates in which something is filled in; in all others, `{{` is code.
const FILLED: [&str; 3] = ["README.md", "app/icon.svg", "package.json"];

/// The application's files, path to content, with everything that packaging promises. They install, build, test and start
/// without any key.
pub(crate) fn files(idea: &Idea) -> BTreeMap<String, String> {
    let values = [
        ("accent", idea.kind.accent.clone()),
        ("description", Value::from(idea.tagline.as_str()).to_string()),
        ("idea", in_markdown(&idea.prompt)),
        ("name", in_markdown(&idea.name)),
        ("slug", idea.slug.clone()),
        ("tagline", in_markdown(&idea.tagline)),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let written = TEMPLATE.iter().map(|(path, text)| {
        let text = if FILLED.contains(path) { fill(text, &values) } else { (*text).to_owned() };
        ((*path).to_owned(), text)
    });
    let mut files: BTreeMap<String, String> = written.collect();
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

    /// Writes the application to `HATCH_STARTUP`, for `npm install && npm test && npm run build` there.
    #[test]
    fn a_startup_can_be_written_to_a_directory() {
        let Ok(directory) = std::env::var("HATCH_STARTUP") else { return };
        let prompt = std::env::var("HATCH_PROMPT").unwrap();
        for (path, content) in files(&idea::read(&prompt)) {
            let path = std::path::Path::new(&directory).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}
