//! Packaging: adds what a repository needs beside the application, and writes the ZIP.

use hatch_code::CodeMap;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{complete, idea, steps::Step, store, work::Work};
use crate::{
    error::Error,
    http::conditional,
    jobs::Outcome,
    platform::clock::now_ms,
    store::{archive, files},
};

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let startup = &work.startup;
    let code = startup.code()?;
    let mut all = code.files().clone();
    complete::complete(&mut all, &startup.name, &description(&code));
    let unfit =
        |reason: String| Outcome::Failed { reason: format!("The files cannot be packaged: {reason}") };
    let all = match CodeMap::of(all) {
        Ok(all) => all,
        Err(reason) => return Ok(unfit(reason.to_string())),
    };
    let root = idea::slug(&startup.name);
    let zip = match archive::archive(&root, all.files()) {
        Ok(zip) => zip,
        Err(reason) => return Ok(unfit(reason)),
    };
    let (bytes, etag) = (zip.len(), conditional::etag_of(&zip));
    let sha256 = base16ct::lower::encode_string(&Sha256::digest(&zip));
    // The key is made of the content's hash, so that a second write changes nothing.
    let key = format!("startups/{}/{}.zip", startup.id, etag.trim_matches('"'));
    work.context
        .database
        .query(store::record_archive(&startup.id, &key, now_ms() + files::UNCLAIMED_MS))
        .await?;
    files::put(&work.context.env, &key, zip).await?;

    let archive =
        json!({ "key": key, "bytes": bytes, "etag": etag, "slug": root, "sha256": sha256 }).to_string();
    let mut writes = Vec::new();
    writes.extend(store::save_code(startup, &startup.name, &all.to_json(), now_ms()));
    writes.push(store::save_archive(&startup.id, &archive, &json!(stack(&code)).to_string()));
    writes.push(files::claim(&key));
    writes.push(work.log("success", &format!("Packaged {} files, {} KB", all.len(), bytes.div_ceil(1024))));
    writes.push(work.done(Step::Packaging));
    Ok(Outcome::Next { step: Step::Marketing.name(), writes })
}

fn package(code: &CodeMap) -> Value {
    code.get("package.json").and_then(|json| hatch_json::from_str(json).ok()).unwrap_or_default()
}

/// The description in package.json.
fn description(code: &CodeMap) -> String {
    package(code).get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Packages that the stack names, with their display names.
const KNOWN: &[(&str, &str)] = &[
    ("next", "Next.js"),
    ("react", "React"),
    ("vue", "Vue"),
    ("svelte", "Svelte"),
    ("astro", "Astro"),
    ("express", "Express"),
    ("hono", "Hono"),
    ("typescript", "TypeScript"),
    ("tailwindcss", "Tailwind CSS"),
    ("@supabase/supabase-js", "Supabase"),
    ("@supabase/ssr", "Supabase"),
    ("prisma", "Prisma"),
    ("drizzle-orm", "Drizzle"),
    ("stripe", "Stripe"),
    ("three", "three.js"),
    ("vite", "Vite"),
    ("vitest", "Vitest"),
];

/// The technologies of the application: `Next.js 14`, `Supabase`, …
fn stack(code: &CodeMap) -> Vec<String> {
    let package = package(code);
    let version = |name: &str| {
        let groups = ["dependencies", "devDependencies"];
        groups.iter().find_map(|group| package.get(group)?.get(name)?.as_str())
    };
    let named = KNOWN.iter().filter_map(|(name, called)| {
        let version = version(name)?;
        let major: String = version
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some(if *name == "next" && !major.is_empty() {
            format!("{called} {major}")
        } else {
            (*called).to_owned()
        })
    });
    let mut stack: Vec<String> = named.collect();
    if stack.is_empty() && code.get("index.html").is_some() {
        stack.push("HTML".to_owned());
    }
    stack.push("Docker".to_owned());
    stack.dedup();
    stack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_what_package_json_depends_on() {
        let json = json!({ "package.json": json!({
            "dependencies": { "next": "14.2.33", "@supabase/supabase-js": "^2", "@supabase/ssr": "^0.5" },
            "devDependencies": { "typescript": "5" },
        }).to_string() });
        let code = CodeMap::parse(&json.to_string()).unwrap();
        assert_eq!(stack(&code), ["Next.js 14", "TypeScript", "Supabase", "Docker"]);
        assert_eq!(stack(&CodeMap::default()), ["Docker"]);
    }
}
