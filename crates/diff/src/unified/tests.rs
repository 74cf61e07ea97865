//! Compares with `git apply` itself, and tests the intended differences.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use crate::{Applied, Binaries, Change, ChangeKind, DiffRefusal, Edit, Files, RefusalReason, apply, unified};

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

pub(super) fn apply_diff(files: &Files, diff: &str) -> Result<Applied, DiffRefusal> {
    apply(files, Edit::Unified { diff, binaries: Binaries::Refuse })
}

/// Applies a diff to one file.
fn change(content: &str, hunks: &str) -> Result<String, RefusalReason> {
    let diff = format!("--- a/f\n+++ b/f\n{hunks}");
    apply_diff(&files(&[("f", content)]), &diff)
        .map(|applied| applied.files["f"].clone())
        .map_err(|refusal| refusal.reason)
}

fn git(dir: &Path, args: &[&str]) -> (bool, Vec<u8>) {
    let output = Command::new("git")
        .args([
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.safecrlf=false",
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
        ])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", "/tmp")
        .output()
        .unwrap();
    (output.status.success(), output.stdout)
}

fn write(dir: &Path, files: &Files) {
    for (path, content) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn read(dir: &Path, below: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if name == ".git" || name == "the.diff" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// The result of `git apply`; `None` if it refuses.
pub(super) fn git_apply(before: &Files, diff: &str) -> Option<Files> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), before);
    fs::write(dir.path().join("the.diff"), diff).unwrap();
    let (is_applied, _) = git(dir.path(), &["apply", "--whitespace=nowarn", "the.diff"]);
    is_applied.then(|| {
        let mut after = Files::new();
        read(dir.path(), "", &mut after);
        after
    })
}

/// The diff between two sets of files, as git writes it.
fn git_diff(before: &Files, after: &Files, options: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    git(path, &["init", "-q"]);
    write(path, before);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-qm", "a", "--allow-empty"]);
    before.keys().for_each(|file| fs::remove_file(path.join(file)).unwrap());
    write(path, after);
    git(path, &["add", "-A"]);
    let (_, diff) = git(path, &[&["diff", "--cached", "HEAD"], options].concat());
    String::from_utf8(diff).unwrap()
}

const ORIGINAL: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";

#[test]
fn a_change_keeps_everything_around_it() {
    let after = change(ORIGINAL, "@@ -2,3 +2,4 @@ fn context()\n two\n-three\n+3\n+3.5\n four\n");
    assert_eq!(after.unwrap(), "one\ntwo\n3\n3.5\nfour\nfive\nsix\nseven\n");
}

#[test]
fn counts_that_are_wrong_are_refused() {
    for hunk in [
        "@@ -2,4 +2,3 @@\n two\n-three\n+3\n four\n",
        "@@ -2,2 +2,3 @@\n two\n-three\n+3\n four\n",
        "@@ -2,3 +2,2 @@\n two\n-three\n+3\n four\n",
        "@@ -2,2 +2,2 @@\n two\n-three\n+3\n four\n",
        "@@ -2,3 +2,3 @@\n two\n-three\n+3\n four\n+four and a half\n",
        "@@ -2,9999999999999999999 +2,3 @@\n two\n-three\n+3\n four\n",
        "@@ -2,1 +2,1 @@\n two\n",
    ] {
        assert!(matches!(change(ORIGINAL, hunk), Err(RefusalReason::Malformed { .. })), "{hunk}");
    }
}

#[test]
fn a_hunk_applies_at_its_stated_line_or_its_only_match() {
    let repeated = "a {\n}\nOk\nb {\n}\nOk\nc {\n}\nOk\nend\n";
    let hunk = |line: usize| format!("@@ -{line},2 +{line},3 @@\n }}\n+new\n Ok\n");
    assert_eq!(change(repeated, &hunk(5)).unwrap(), "a {\n}\nOk\nb {\n}\nnew\nOk\nc {\n}\nOk\nend\n");
    assert_eq!(change(repeated, &hunk(4)), Err(RefusalReason::Ambiguous(3)));
    assert_eq!(
        change(ORIGINAL, "@@ -5,3 +5,3 @@\n two\n-three\n+3\n four\n").unwrap(),
        ORIGINAL.replace("three", "3")
    );
    assert_eq!(change(ORIGINAL, "@@ -2,3 +2,3 @@\n two\n-tree\n+3\n four\n"), Err(RefusalReason::NotFound));
}

#[test]
fn a_hunk_that_begins_or_ends_its_file_applies_only_there() {
    for hunk in
        ["@@ -1,2 +1,3 @@\n two\n+x\n three\n", "@@ -2,2 +2,3 @@\n two\n three\n+x\n", "@@ -4,0 +5 @@\n+x\n"]
    {
        assert!(
            matches!(change(ORIGINAL, hunk), Err(RefusalReason::NotFound | RefusalReason::NoContext)),
            "{hunk}"
        );
    }
    assert_eq!(change(ORIGINAL, "@@ -7 +7,2 @@\n seven\n+x\n").unwrap(), format!("{ORIGINAL}x\n"));
    assert_eq!(change(ORIGINAL, "@@ -1 +1,2 @@\n+x\n one\n").unwrap(), format!("x\n{ORIGINAL}"));
}

#[test]
fn line_ends_do_not_count_as_context_and_new_lines_get_the_files_line_ends() {
    let hunk = "@@ -1,2 +1,3 @@\n alpha\n+inserted\n beta\n";
    assert_eq!(change("alpha\r\nbeta\r\n", hunk).unwrap(), "alpha\r\ninserted\r\nbeta\r\n");
    assert_eq!(change("alpha\r\nbeta\n", hunk).unwrap(), "alpha\r\ninserted\r\nbeta\n");
    assert_eq!(change("alpha\nbeta\n", &hunk.replace('\n', "\r\n")).unwrap(), "alpha\ninserted\nbeta\n");
    let exact = "@@ -1,2 +1,2 @@\n alpha\r\n-beta\r\n+gamma\n";
    assert_eq!(change("alpha\r\nbeta\r\n", exact).unwrap(), "alpha\r\ngamma\n");
}

#[test]
fn the_final_newline_is_as_the_diff_says() {
    let marker = "\\ No newline at end of file\n";
    for (before, hunk, after) in [
        ("a\nb", format!("@@ -1,2 +1,2 @@\n a\n-b\n{marker}+c\n"), "a\nc\n"),
        ("a\nb\n", format!("@@ -1,2 +1,2 @@\n a\n-b\n+c\n{marker}"), "a\nc"),
        ("a\nb", format!("@@ -1,2 +1,2 @@\n-a\n+c\n b\n{marker}"), "c\nb"),
        ("", "@@ -0,0 +1 @@\n+a\n".to_owned(), "a\n"),
        ("a\n\nb\n", "@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n".to_owned(), "a\n\nc\n"),
        ("\u{feff}a\nb\n", "@@ -1,2 +1,2 @@\n \u{feff}a\n-b\n+c".to_owned(), "\u{feff}a\nc\n"),
    ] {
        assert_eq!(change(before, &hunk).as_deref(), Ok(after), "{hunk}");
    }
    assert_eq!(change("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"), Err(RefusalReason::NotFound));
}

#[test]
fn files_are_created_deleted_renamed_copied_and_given_modes() {
    let before =
        files(&[("gone", "x\n"), ("old name", "y\n"), ("ü.txt", "z\n"), ("run", "#\n"), ("empty", "")]);
    let diff = "\
diff --git a/new b/new
new file mode 100755
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+n
diff --git a/blank b/blank
new file mode 100644
index 0000000..e69de29
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/empty b/empty
deleted file mode 100644
diff --git a/old name b/new name
similarity index 100%
rename from old name
rename to new name
diff --git \"a/\\303\\274.txt\" \"b/\\303\\274.txt\"
--- \"a/\\303\\274.txt\"
+++ \"b/\\303\\274.txt\"
@@ -1 +1 @@
-z
+Z
diff --git \"a/\\303\\274.txt\" b/u.txt
similarity index 50%
copy from \"\\303\\274.txt\"
copy to u.txt
diff --git a/run b/run
old mode 100644
new mode 100755
";
    let applied = apply_diff(&before, diff).unwrap();
    let after = files(&[
        ("new", "n\n"),
        ("blank", ""),
        ("new name", "y\n"),
        ("ü.txt", "Z\n"),
        ("u.txt", "z\n"),
        ("run", "#\n"),
    ]);
    assert_eq!(applied.files, after);
    assert_eq!(git_apply(&before, diff), Some(after));
    let change = |path: &str, kind, mode| Change { path: path.to_owned(), kind, mode };
    let from = |from: &str| from.to_owned();
    assert_eq!(
        applied.changes,
        [
            change("new", ChangeKind::Added, Some(0o100_755)),
            change("blank", ChangeKind::Added, Some(0o100_644)),
            change("gone", ChangeKind::Deleted, None),
            change("empty", ChangeKind::Deleted, None),
            change("new name", ChangeKind::Renamed { from: from("old name") }, None),
            change("ü.txt", ChangeKind::Changed, None),
            change("u.txt", ChangeKind::Copied { from: from("ü.txt") }, None),
            change("run", ChangeKind::Changed, Some(0o100_755)),
        ]
    );
}

#[test]
fn a_header_whose_names_differ_is_refused() {
    let before = files(&[("a", "1\n"), ("b", "1\n")]);
    for diff in [
        "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/a b/a\ndeleted file mode 100644\n--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n",
        "diff --git a/a b/a\n--- a/a\n+++ b/b\n@@ -1 +1 @@\n-1\n+2\n",
        "diff --git a/a b/c\nrename from a\nrename to c\n--- a/b\n+++ b/c\n@@ -1 +1 @@\n-1\n+2\n",
        "diff --git a/a b/c\nrename from a\ncopy to c\n",
        "diff --git a/a b/c\nold mode 100644\nnew mode 100755\n",
    ] {
        assert!(
            matches!(apply_diff(&before, diff).unwrap_err().reason, RefusalReason::Malformed { .. }),
            "{diff}"
        );
        // Git treats a change of `a` into `b` like a rename and overwrites `b`.
        assert!(diff.contains("+++ b/b") || git_apply(&before, diff).is_none(), "{diff}");
    }
}

#[test]
fn two_files_may_swap_names() {
    let before = files(&[("a", "1\n"), ("b", "2\n")]);
    let diff = "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n\
                diff --git a/b b/a\nsimilarity index 100%\nrename from b\nrename to a\n";
    let after = files(&[("a", "2\n"), ("b", "1\n")]);
    assert_eq!(apply_diff(&before, diff).unwrap().files, after);
    assert_eq!(git_apply(&before, diff), Some(after));
}

#[test]
fn plain_headers_name_files_with_timestamps_and_without_prefixes() {
    let before = files(&[("src/my file.ts", "a\n"), ("top", "t\n"), ("gone", "x\n")]);
    let diff = "\
--- a/src/my file.ts\t2026-11-28 10:00:00.000000000 +0100
+++ b/src/my file.ts\t2026-11-28 10:00:01.000000000 +0100
@@ -1 +1 @@
-a
+b
--- gone\t2026-11-28 10:00:00 +0100
+++ gone\t1970-01-01 01:00:00.000000000 +0100
@@ -1 +0,0 @@
-x
--- /dev/null
+++ src/deep/new.ts
@@ -0,0 +1 @@
+n
--- src/my file.ts
+++ src/my file.ts
@@ -1 +1 @@
-b
+c
";
    let after = files(&[("src/my file.ts", "c\n"), ("top", "t\n"), ("src/deep/new.ts", "n\n")]);
    assert_eq!(apply_diff(&before, diff).unwrap().files, after);
}

#[test]
fn a_diff_with_a_forbidden_path_is_refused_completely() {
    let before = files(&[("a", "1\n"), ("dir/b", "2\n")]);
    let good = "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n";
    let new = |path: &str| format!("{good}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n");
    for path in ["../x", "/etc/x", "x/../../y", ".git/config", "C:/x"] {
        assert!(
            matches!(apply_diff(&before, &new(path)).unwrap_err().reason, RefusalReason::Path(_)),
            "{path}"
        );
    }
    assert_eq!(apply_diff(&before, &new("A")).unwrap_err().reason, RefusalReason::Collides("A".to_owned()));
    assert_eq!(apply_diff(&before, &new("a/x")).unwrap_err().reason, RefusalReason::Collides("a".to_owned()));
    assert_eq!(
        apply_diff(&before, &new("dir")).unwrap_err().reason,
        RefusalReason::Collides("dir".to_owned())
    );
    assert_eq!(apply_diff(&before, &new("dir/b")).unwrap_err().reason, RefusalReason::Exists);
    let link = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n";
    assert_eq!(apply_diff(&before, link).unwrap_err().reason, RefusalReason::NotAFile);
    let missing = "--- a/no\n+++ b/no\n@@ -1 +1 @@\n-1\n+2\n";
    let refusal = apply_diff(&before, &format!("{good}{missing}")).unwrap_err();
    assert_eq!((refusal.path.as_str(), refusal.reason), ("no", RefusalReason::NoSuchFile));
}

#[test]
fn binary_files_are_refused_or_kept_and_reported() {
    let before = files(&[("a", "1\n")]);
    for body in ["Binary files /dev/null and b/logo.png differ\n", "GIT binary patch\nliteral 3\nKcmZ\n\n"] {
        let diff =
            format!("diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0000000..3f1c2aa\n{body}");
        assert_eq!(apply_diff(&before, &diff).unwrap_err().reason, RefusalReason::Binary);
        let kept = apply(&before, Edit::Unified { diff: &diff, binaries: Binaries::Keep }).unwrap();
        assert_eq!((kept.files, &kept.changes[0].kind), (before.clone(), &ChangeKind::BinaryKept));
    }
}

#[test]
fn a_text_without_a_diff_is_refused() {
    for text in ["", " \n", "# Note: This is a valid empty diff", "hello\n--- x\nworld\n"] {
        assert_eq!(apply_diff(&Files::new(), text).unwrap_err().reason, RefusalReason::NoEdit);
    }
}

/// Each diff of this repository's own history, applied to the files before it.
#[test]
fn diffs_of_a_real_history_give_the_trees_that_git_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let run = |args: &[&str]| String::from_utf8_lossy(&git(&root, args).1).into_owned();
    let commits = run(&["log", "--no-merges", "--format=%H", "-500"]);
    let mut applied = 0;
    for commit in commits.lines() {
        let range = [format!("{commit}^"), commit.to_owned()];
        let names = run(&["diff", "--name-status", "--no-renames", "-z", &range[0], &range[1]]);
        let fields: Vec<&str> = names.split('\0').filter(|field| !field.is_empty()).collect();
        // Each file separately, so that there are hundreds of diffs, and the whole commit with renames.
        let mut before = Files::new();
        let mut after = Files::new();
        for pair in fields.chunks(2) {
            let [status, path] = pair else { continue };
            let (mut old, mut new) = (Files::new(), Files::new());
            if *status != "A" {
                old.insert((*path).to_owned(), run(&["show", &format!("{}:{path}", range[0])]));
            }
            if *status != "D" {
                new.insert((*path).to_owned(), run(&["show", &format!("{}:{path}", range[1])]));
            }
            if applied < 500 {
                let diff = run(&["diff", "--no-renames", &range[0], &range[1], "--", path]);
                if !diff.contains("\nBinary files ") {
                    assert_eq!(
                        apply_diff(&old, &diff).map(|applied| applied.files),
                        Ok(new.clone()),
                        "{commit} {path}"
                    );
                    applied += 1;
                }
            }
            before.extend(old);
            after.extend(new);
        }
        let diff = run(&["diff", "-M", "-C", &range[0], &range[1]]);
        if !fields.is_empty() && !diff.contains("\nBinary files ") {
            assert_eq!(apply_diff(&before, &diff).map(|applied| applied.files), Ok(after), "{commit}");
        }
        if applied >= 500 {
            return;
        }
    }
    assert!(applied > 0, "the history is not there");
}

/// Content of a few lines, many of them equal, with or without a final newline.
fn content() -> impl Strategy<Value = String> {
    let line = prop_oneof![4 => "[ab{}]{0,2}", 1 => "[-+@ ]{1,3}[ab]", 1 => "é|-- |\\\\ x|\u{2028}"];
    (prop::collection::vec(line, 0..30), any::<bool>()).prop_map(|(lines, has_end)| {
        let text = lines.join("\n");
        if has_end && !text.is_empty() { text + "\n" } else { text }
    })
}

fn tree() -> impl Strategy<Value = Files> {
    let path = prop_oneof!["[abc]", "d/[ab]", "x y", "ü", "q'q"];
    prop::collection::btree_map(path, content(), 0..4)
}

/// A second tree made from the first: files edited, moved, dropped and added.
fn two_trees() -> impl Strategy<Value = (Files, Files)> {
    (tree(), tree(), prop::collection::vec((0_usize..40, 0_usize..4, content()), 4), 0_u8..8).prop_map(
        |(before, extra, edits, moves)| {
            let mut after = Files::new();
            for (index, ((path, content), (at, count, new))) in before.iter().zip(&edits).enumerate() {
                let mut lines: Vec<&str> = content.split_inclusive('\n').collect();
                let from = (*at).min(lines.len());
                let to = (from + count).min(lines.len());
                let new: Vec<&str> = new.split_inclusive('\n').take(3).collect();
                lines.splice(from..to, new);
                let path = if moves >> index & 1 == 1 { format!("moved/{index}") } else { path.clone() };
                after.insert(path, lines.concat());
            }
            if moves & 1 == 1 {
                after.extend(extra);
            }
            (before, after)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_written_by_git_gives_the_same_tree((before, after) in two_trees(), context in 0_usize..2) {
        let options: &[&str] = if context == 0 { &["-M", "-C", "--find-copies-harder"] } else { &["--no-renames"] };
        let diff = git_diff(&before, &after, options);
        if before == after {
            prop_assert_eq!(apply_diff(&before, &diff).unwrap_err().reason, RefusalReason::NoEdit);
        } else {
            prop_assert_eq!(apply_diff(&before, &diff).map(|applied| applied.files), Ok(after), "{}", diff);
        }
    }

    #[test]
    fn nothing_is_accepted_that_git_refuses_or_applies_differently(
        (before, after) in two_trees(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..6, "[ab+@ -]{0,3}|[0-9]"), 1..3),
        drift in content(),
    ) {
        let mut lines: Vec<String> = git_diff(&before, &after, &["-M"]).lines().map(str::to_owned).collect();
        let mut before = before;
        for (index, kind, text) in edits {
            if lines.is_empty() { break }
            let at = index.index(lines.len());
            match kind {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, text),
                2 => lines.insert(at, lines[at].clone()),
                3 => lines[at] = lines[at].replacen(|c: char| c.is_ascii_digit(), &text, 1),
                4 => lines.truncate(at),
                _ => if let Some(content) = before.values_mut().next() { content.insert_str(0, &drift) },
            }
        }
        let mut diff = lines.join("\n");
        diff.push('\n');
        let Ok(applied) = apply_diff(&before, &diff) else { return Ok(()) };
        // Names without prefixes and `/dev/null` without a mode are accepted, unlike in git.
        let count = |start: &str| diff.lines().filter(|line| line.starts_with(start)).count();
        let is_lenient = count("--- /dev/null") > count("new file mode") || count("+++ /dev/null") > count("deleted file mode");
        if !is_lenient {
            prop_assert_eq!(Some(applied.files), git_apply(&before, &diff), "{}", diff);
        }
    }

    #[test]
    fn diffs_written_here_are_read_here_and_by_git(old in content(), new in content(), is_new: bool) {
        let old = Some(old).filter(|_| !is_new);
        let diff = unified(old.as_deref(), Some(&new), "d/x y");
        prop_assume!(old.as_ref() != Some(&new));
        let before: Files = old.map(|old| ("d/x y".to_owned(), old)).into_iter().collect();
        let after = files(&[("d/x y", &new)]);
        prop_assert_eq!(apply_diff(&before, &diff).map(|applied| applied.files), Ok(after.clone()), "{}", diff);
        prop_assert_eq!(git_apply(&before, &diff), Some(after), "{}", diff);
        let back = unified(Some(&new), None, "ü");
        prop_assert!(apply_diff(&files(&[("ü", &new)]), &back).unwrap().files.is_empty());
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(text in r#"(diff --git a/f b/f|--- a/f|\+\+\+ b/f|@@ -[0-3],[0-3] \+[0-3] @@|new file mode |rename (from|to) f|[ +\\-]?[ab]?|\\ No newline|\PC{0,5}|\n){0,40}"#) {
        let _ = apply_diff(&files(&[("f", "a\nb\na\n")]), &text);
    }
}

#[test]
fn hunks_that_need_too_much_searching_are_refused() {
    let same = "a\n".repeat(100_000);
    assert_eq!(
        change(&same, &"@@ -9,3 +9,3 @@\n a\n-a\n+b\n a\n".repeat(9)),
        Err(RefusalReason::Ambiguous(99_993))
    );
    let many = "--- a/f\n+++ b/f\n@@ -9,3 +9,3 @@\n a\n-a\n+a\n a\n".repeat(1_000);
    assert_eq!(apply_diff(&files(&[("f", &same)]), &many).unwrap_err().reason, RefusalReason::TooMuchSearch);
}
