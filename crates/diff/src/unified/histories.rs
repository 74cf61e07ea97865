//! Applies diffs that `git` wrote from real histories: this repository's own, if it is available, and a generated one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tests::{apply_diff, git_apply};
use crate::{Files, RefusalReason};

/// A commit: the files that it changed, before and after, and the diff between them.
struct Commit {
    before: Files,
    after: Files,
    diff: String,
}

/// How many commits of a history are tested.
const MOST: &str = "--max-count=260";
/// Larger commits, in bytes, are skipped.
const LARGE: usize = 600_000;

fn git(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut git = Command::new("git")
        .args(["-c", "core.quotePath=false", "-c", "core.autocrlf=false"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (git.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = git.wait_with_output().unwrap();
    let _ = writing.join();
    output.stdout
}

/// The contents of blobs, by their ids.
fn blobs(dir: &Path, ids: &[&str]) -> BTreeMap<String, Option<String>> {
    let output = git(dir, &["cat-file", "--batch"], ids.join("\n").as_bytes());
    let (mut rest, mut found) = (output.as_slice(), BTreeMap::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let [id, "blob", size] = head.split(' ').collect::<Vec<_>>()[..] else { break };
        let size: usize = size.parse().unwrap();
        let content = &rest[end + 1..end + 1 + size];
        found.insert(id.to_owned(), String::from_utf8(content.to_vec()).ok());
        rest = &rest[end + size + 2..];
    }
    found
}

const NONE: &str = "0000000000000000000000000000000000000000";
const MARK: &str = "=== a commit of this history ===";

/// The commits of a history whose files are all text, and the text of their diffs.
fn commits(dir: &Path, options: &[&str]) -> Vec<Commit> {
    let format = format!("--format=tformat:{MARK}");
    let base = ["log", MOST, "--no-merges", "--raw", "--patch", "--no-abbrev", "--full-index", "--no-color"];
    let log = git(dir, &[&base, options, &[format.as_str()]].concat(), b"");
    let log = String::from_utf8_lossy(&log).into_owned();
    let mark = format!("{MARK}\n");
    let entries_and_diffs: Vec<(Vec<[&str; 5]>, &str)> = log
        .split(mark.as_str())
        .filter(|commit| commit.len() < LARGE)
        .filter_map(|commit| {
            let start = commit.find("\ndiff --git ")? + 1;
            let (raw, diff) = commit.split_at(start);
            let entries = raw.lines().filter(|line| line.starts_with(':')).map(entry);
            Some((entries.collect::<Option<_>>()?, diff))
        })
        .collect();
    let ids: Vec<&str> = entries_and_diffs
        .iter()
        .flat_map(|(entries, _)| entries)
        .flat_map(|entry| [entry[0], entry[1]])
        .collect();
    let blobs = blobs(dir, &ids.into_iter().filter(|id| *id != NONE).collect::<Vec<_>>());
    entries_and_diffs.into_iter().filter_map(|(entries, diff)| commit(&entries, diff, &blobs)).collect()
}

/// The ids of a file before and after, what happened to it, and its paths; `None` if it is not a file.
fn entry(line: &str) -> Option<[&str; 5]> {
    let mut fields = line.trim_start_matches(':').split('\t');
    let head: Vec<&str> = fields.next()?.split(' ').collect();
    let [old_mode, new_mode, old, new, kind] = head[..] else { return None };
    let is_file = |mode: &str| mode.starts_with("100") || mode == "000000";
    let from = fields.next()?;
    (is_file(old_mode) && is_file(new_mode)).then(|| [old, new, kind, from, fields.next().unwrap_or(from)])
}

fn commit(entries: &[[&str; 5]], diff: &str, blobs: &BTreeMap<String, Option<String>>) -> Option<Commit> {
    let (mut before, mut after) = (Files::new(), Files::new());
    for [old, new, kind, from, to] in entries {
        if *old != NONE {
            before.insert((*from).to_owned(), blobs.get(*old)?.clone()?);
        }
        if kind.starts_with('C') {
            // The source of a copy stays, unless the commit changes it too.
            after.entry((*from).to_owned()).or_insert(blobs.get(*old)?.clone()?);
        }
        if *new != NONE {
            after.insert((*to).to_owned(), blobs.get(*new)?.clone()?);
        }
    }
    Some(Commit { before, after, diff: diff.to_owned() })
}

/// Generates a history: files are written, edited, moved and deleted, with and without a final newline.
fn made_up() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"], b"");
    let (mut files, mut stream, mut state) = (BTreeMap::<String, Vec<String>>::new(), String::new(), 7_u64);
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for n in 0..260 {
        let mut changes = String::new();
        for _ in 0..=random(3) {
            let path =
                format!("{}/{}", ["src", "docs", "größe"][random(3)], ["a b.ts", "b.md", "c.css"][random(3)]);
            let mut lines = files.remove(&path).unwrap_or_default();
            match random(8) {
                0 if !lines.is_empty() => {
                    writeln!(changes, "D {path}").unwrap();
                    continue;
                }
                1 if lines.len() > 4 => {
                    writeln!(changes, "D {path}").unwrap();
                    let to = format!("moved/{n}.txt");
                    written(&mut changes, &to, &lines);
                    files.insert(to, lines);
                    continue;
                }
                _ => {}
            }
            for _ in 0..=random(6) {
                let at = random(lines.len() + 1);
                // Many lines are equal, so context must be exact.
                let line =
                    [format!("  line {}", random(9)), "}".to_owned(), String::new(), "é — ñ".to_owned()]
                        [random(4)]
                    .clone();
                let removed = random(4).min(lines.len() - at);
                let end = ["", "\r"][usize::from(path.ends_with("css"))];
                lines.splice(at..at + removed, (0..random(4)).map(|n| format!("{line}{n}{end}")));
            }
            written(&mut changes, &path, &lines);
            files.insert(path, lines);
        }
        writeln!(
            stream,
            "commit refs/heads/main\ncommitter A <a@example.com> {n} +0000\ndata 1\nx\n{changes}"
        )
        .unwrap();
    }
    git(dir.path(), &["fast-import", "--quiet"], stream.as_bytes());
    dir
}

fn written(stream: &mut String, path: &str, lines: &[String]) {
    // Some files end without a newline.
    let end = if lines.len().is_multiple_of(3) { "" } else { "\n" };
    let content = lines.join("\n") + if lines.is_empty() { "" } else { end };
    writeln!(stream, "M 100644 inline {path}\ndata {}\n{content}", content.len()).unwrap();
}

#[test]
fn five_hundred_diffs_of_histories_give_the_same_files_as_git_and_positions_are_never_guessed() {
    let made_up = made_up();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut fitting, mut drifted, mut stale) = (0, 0, Files::new());
    for dir in [made_up.path(), here] {
        for options in [["-M", "-U3"], ["-C", "-U1"]] {
            for (n, commit) in commits(dir, &options).iter().enumerate() {
                let ours = apply_diff(&commit.before, &commit.diff);
                match ours {
                    // The rules for paths are stricter than git's.
                    Err(refusal)
                        if matches!(refusal.reason, RefusalReason::Path(_) | RefusalReason::Collides(_)) =>
                    {
                        continue;
                    }
                    // With one line of context several positions may match; the line numbers decide between exact
                    // matches.
                    ours => assert_eq!(
                        ours.map(|applied| applied.files).as_ref(),
                        Ok(&commit.after),
                        "{}",
                        commit.diff
                    ),
                }
                fitting += 1;
                if n % 12 == 0 {
                    assert_eq!(
                        git_apply(&commit.before, &commit.diff).as_ref(),
                        Some(&commit.after),
                        "{}",
                        commit.diff
                    );
                    // The same diff on files of another commit: the same result as git's, or a refusal.
                    let other: Files = commit
                        .before
                        .keys()
                        .filter_map(|path| Some((path.clone(), stale.get(path)?.clone())))
                        .collect();
                    if let Ok(applied) = apply_diff(&other, &commit.diff) {
                        assert_eq!(git_apply(&other, &commit.diff), Some(applied.files), "{}", commit.diff);
                    }
                    drifted += 1;
                }
                stale.extend(commit.before.clone());
            }
        }
    }
    // The generated history alone has this many, because a shallow clone adds none.
    assert!(fitting >= 500 && drifted >= 40, "{fitting} fit, {drifted} drifted");
}
