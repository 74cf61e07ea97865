//! Patches, SEARCH/REPLACE blocks and files with placeholders, applied to a project.

use proptest::prelude::*;

use crate::{
    Binaries, Change, ChangeKind, DiffRefusal, Edit, Files, RefusalReason, apply, merge_placeholder, unified,
};

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

fn patched(before: &Files, body: &str) -> Result<Files, DiffRefusal> {
    let text = format!("*** Begin Patch\n{body}*** End Patch\n");
    apply(before, Edit::Patch(&text)).map(|applied| applied.files)
}

fn replaced(content: &str, text: &str) -> Result<String, RefusalReason> {
    apply(&files(&[("src/a.ts", content)]), Edit::SearchReplace { path: Some("src/a.ts"), text })
        .map(|applied| applied.files["src/a.ts"].clone())
        .map_err(|refusal| refusal.reason)
}

fn merged(old: &str, new: &str) -> Result<String, RefusalReason> {
    merge_placeholder("a.ts", old, new).map_err(|refusal| refusal.reason)
}

#[test]
fn a_patch_adds_updates_moves_and_deletes() {
    let before = files(&[
        ("a.py", "def f():\n    return 1\n\ndef g():\n    return 1\n"),
        ("old.txt", "x\ny"),
        ("gone", "z\n"),
    ]);
    let body = "\
*** Add File: new/b.txt
+one
+
+two
*** Update File: a.py
@@ def g():
-    return 1
+    return 2
*** Update File: old.txt
*** Move to: moved.txt
@@
 x
-y
+Y
*** End of File

*** Delete File: gone
";
    let after = files(&[
        ("a.py", "def f():\n    return 1\n\ndef g():\n    return 2\n"),
        ("moved.txt", "x\nY"),
        ("new/b.txt", "one\n\ntwo\n"),
    ]);
    assert_eq!(patched(&before, body), Ok(after));
}

#[test]
fn a_hunk_of_a_patch_applies_where_its_lines_occur_once() {
    let before = files(&[("a", "x {\n  a\n}\ny {\n  a\n}\n")]);
    let reason = |body: &str| patched(&before, &format!("*** Update File: a\n{body}")).unwrap_err().reason;
    assert_eq!(reason("@@\n-  a\n+  b\n"), RefusalReason::Ambiguous(2));
    assert_eq!(reason("@@\n-  c\n+  b\n"), RefusalReason::NotFound);
    assert_eq!(reason("@@ z {\n-  a\n+  b\n"), RefusalReason::NotFound);
    assert_eq!(reason("@@ x {\n-  d\n+  b\n"), RefusalReason::NotFound);
    assert_eq!(reason("@@\n+  b\n"), RefusalReason::NoContext);
    assert!(matches!(reason("@@\n   a\n"), RefusalReason::Malformed { .. }));
    let after = |body: &str| patched(&before, &format!("*** Update File: a\n{body}")).unwrap()["a"].clone();
    assert_eq!(after("@@ x {\n-  a\n+  b\n"), "x {\n  b\n}\ny {\n  a\n}\n");
    assert_eq!(after("@@ y {\n+  first\n"), "x {\n  a\n}\ny {\n  first\n  a\n}\n");
    assert_eq!(after("@@\n x {\n-  a\n+  1\n@@\n-  a\n+  2\n"), "x {\n  1\n}\ny {\n  2\n}\n");
    assert_eq!(after("@@\n }\n+end\n*** End of File\n"), "x {\n  a\n}\ny {\n  a\n}\nend\n");
}

#[test]
fn a_patch_keeps_line_ends() {
    let before = files(&[("a", "one\r\ntwo\r\nlast")]);
    let after = patched(&before, "*** Update File: a\n@@\n-two\n+2\n+3\n last\n").unwrap();
    assert_eq!(after["a"], "one\r\n2\r\n3\r\nlast");
    let after = patched(&before, "*** Update File: a\n@@\n last\n+end\n").unwrap();
    assert_eq!(after["a"], "one\r\ntwo\r\nlast\r\nend");
}

#[test]
fn a_patch_that_does_not_apply_completely_changes_nothing() {
    let before = files(&[("a", "1\n"), ("b", "2\n")]);
    for (body, reason) in [
        ("*** Add File: a\n+x\n", RefusalReason::Exists),
        ("*** Delete File: c\n", RefusalReason::NoSuchFile),
        ("*** Update File: c\n@@\n-1\n+2\n", RefusalReason::NoSuchFile),
        ("*** Update File: a\n*** Move to: b\n@@\n-1\n+2\n", RefusalReason::Exists),
        ("*** Update File: a\n@@\n-1\n+2\n*** Update File: b\n@@\n-3\n+4\n", RefusalReason::NotFound),
        ("", RefusalReason::NoEdit),
    ] {
        assert_eq!(patched(&before, body).unwrap_err().reason, reason, "{body}");
    }
    for path in ["../x", "/x", ".git/config"] {
        let body = format!("*** Add File: {path}\n+x\n");
        assert!(matches!(patched(&before, &body).unwrap_err().reason, RefusalReason::Path(_)), "{path}");
    }
    let cut = apply(&before, Edit::Patch("*** Begin Patch\n*** Update File: a\n@@\n-1\n+2\n"));
    assert_eq!(cut.unwrap_err().reason, RefusalReason::Cut);
}

#[test]
fn a_block_replaces_lines_that_occur_once() {
    let content = "a\nb\nc\nb\n";
    let block = |old: &str, new: &str| format!("<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n");
    assert_eq!(replaced(content, &block("a\nb\n", "a\nB\nB\n")).unwrap(), "a\nB\nB\nc\nb\n");
    assert_eq!(replaced(content, &block("c\n", "")).unwrap(), "a\nb\nb\n");
    assert_eq!(replaced("a\r\nb\r\nc", &block("b\n", "x\ny\n")).unwrap(), "a\r\nx\r\ny\r\nc");
    assert_eq!(replaced("a\nb", &block("b\n", "x\ny\n")).unwrap(), "a\nx\ny");
    assert_eq!(replaced(content, &block("b\n", "x\n")), Err(RefusalReason::Ambiguous(2)));
    assert_eq!(replaced(content, &block("d\n", "x\n")), Err(RefusalReason::NotFound));
    assert_eq!(replaced(content, &block("", "x\n")), Err(RefusalReason::NoContext));
    let two = block("a\n", "1\n") + "\n" + &block("c\n", "3\n");
    assert_eq!(replaced(content, &two).unwrap(), "1\nb\n3\nb\n");
    assert_eq!(
        replaced(content, &(block("a\n", "1\n") + &block("a\n", "2\n"))),
        Err(RefusalReason::NotFound)
    );
    assert_eq!(replaced(content, "<<<<<<< SEARCH\na\n=======\nx\n"), Err(RefusalReason::Cut));
    assert!(matches!(
        replaced(content, &block("a\n=======\nb\n", "x\n")),
        Err(RefusalReason::Malformed { .. })
    ));
}

#[test]
fn the_marks_may_be_written_in_several_ways() {
    for (open, divide, close) in [
        ("<<<<< SEARCH", "=====", ">>>>> REPLACE"),
        ("<<<<<<<<< SEARCH", "=========", ">>>>>>>>> REPLACE"),
        ("<<<<<<< HEAD", "=======", ">>>>>>> branch"),
        ("<<<<<<< ORIGINAL", "=======", ">>>>>>> UPDATED"),
        ("------- SEARCH", "=======", "+++++++ REPLACE"),
        ("<<<<<<<SEARCH", "=======", ">>>>>>>REPLACE"),
    ] {
        let text = format!("{open}\na\n{divide}\nb\n{close}\n");
        assert_eq!(replaced("a\n", &text).as_deref(), Ok("b\n"), "{open}");
        assert!(matches!(Edit::recognise(Some("x"), &text), Some(Edit::SearchReplace { .. })), "{open}");
    }
}

#[test]
fn a_line_above_a_block_names_its_file() {
    let before = files(&[("src/a.ts", "a\n"), ("src/b.ts", "a\n")]);
    let block = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n";
    for text in [
        format!("src/b.ts\n{block}"),
        format!("src/b.ts\n```ts\n{block}```\n"),
        format!("```ts\nsrc/b.ts\n{block}```\n"),
        format!("**src/b.ts**\n\n{block}"),
        format!("### File: `src/b.ts`\n{block}"),
    ] {
        let after = apply(&before, Edit::SearchReplace { path: None, text: &text }).unwrap();
        assert_eq!(after.files, files(&[("src/a.ts", "a\n"), ("src/b.ts", "b\n")]), "{text}");
    }
    let unnamed = apply(&before, Edit::SearchReplace { path: None, text: block });
    assert_eq!(unnamed.unwrap_err().reason, RefusalReason::NoPath);
    let new = "new.ts\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n";
    let after = apply(&before, Edit::SearchReplace { path: None, text: new }).unwrap();
    assert_eq!(after.files["new.ts"], "x\n");
    assert_eq!(after.changes, [Change { path: "new.ts".to_owned(), kind: ChangeKind::Added, mode: None }]);
}

#[test]
fn conflict_marks_in_a_whole_file_apply_to_the_file_of_their_first_sides() {
    let text = "a\n<<<<<<< HEAD\nb\n=======\nB\n>>>>>>> new\nc\n<<<<<<< HEAD\n||||||| base\nx\n=======\nd\n>>>>>>> new\n";
    assert_eq!(replaced("a\nb\nc\n", text).unwrap(), "a\nB\nc\nd\n");
    assert_eq!(replaced("a\nb\nother\n", text), Err(RefusalReason::NotFound));
    assert_eq!(replaced("a\nb\nc\nmore\n", text), Err(RefusalReason::NotFound));
}

const OLD: &str = "import a\n\nfunction one() {\n  return 1\n}\n\nfunction two() {\n  return 2\n}\n\nfunction three() {\n  return 3\n}\n";

#[test]
fn a_placeholder_is_replaced_by_the_lines_between_its_neighbours() {
    let new = "import a\nimport b\n\nfunction one() {\n  return 11\n}\n\n// ... existing code ...\n\nfunction three() {\n  return 33\n}\n";
    // `}` occurs several times and `return 11` never, so it is unclear where the unchanged code begins.
    assert_eq!(merged(OLD, new), Err(RefusalReason::Unanchored { line: 8, found: 3 }));
    let new = "import a\nimport b\n\n// ... existing code ...\n\nfunction three() {\n  return 33\n}\n";
    assert_eq!(merged(OLD, new), Err(RefusalReason::Unanchored { line: 4, found: 0 }));
    let new = "import b\nimport a\n// ... existing code ...\nfunction three() {\n  return 33\n}\n";
    assert_eq!(merged(OLD, new).unwrap(), format!("import b\n{}", OLD.replace("return 3", "return 33")));
    let new = "// ... rest of the code ...\nfunction two() {\n  return 22\n}\n\nfunction three() {\n// ...\n";
    let expected = OLD.replace("return 2", "return 22");
    assert_eq!(merged(OLD, new).unwrap(), expected);
    let crlf = OLD.replace('\n', "\r\n");
    assert_eq!(merged(&crlf, new).unwrap(), expected.replace('\n', "\r\n"));
}

#[test]
fn a_file_with_an_unanchored_placeholder_is_refused() {
    let stub = "// ... existing code ...\nfunction added() {}\n// rest stays the same\n";
    assert_eq!(merged(OLD, stub), Err(RefusalReason::Unanchored { line: 1, found: 0 }));
    let inline = "function one() { /* ... */ }\n";
    assert_eq!(merged(OLD, inline), Err(RefusalReason::InlinePlaceholder(1)));
    let backwards = "function three() {\n// ...\nfunction one() {\n  return 1\n";
    assert_eq!(merged(OLD, backwards), Err(RefusalReason::OutOfOrder));
    assert_eq!(merged(OLD, "whole\n").unwrap(), "whole\n");
    assert_eq!(merged(OLD, "// ... existing code ...\n").unwrap(), OLD);
}

#[test]
fn a_whole_file_is_accepted_unless_it_is_new_and_has_placeholders() {
    let before = files(&[("a.ts", OLD)]);
    let edit = |path, content| apply(&before, Edit::File { path, content });
    assert_eq!(edit("a.ts", "x\n").unwrap().files["a.ts"], "x\n");
    assert_eq!(edit("b.ts", "x\n").unwrap().changes[0].kind, ChangeKind::Added);
    assert_eq!(edit("b.ts", "// ... existing code ...\n").unwrap_err().reason, RefusalReason::NoSuchFile);
}

#[test]
fn the_format_of_an_edit_is_recognised() {
    let diff = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
    let patch = "*** Begin Patch\n*** Delete File: f\n*** End Patch";
    assert_eq!(Edit::recognise(None, diff), Some(Edit::Unified { diff, binaries: Binaries::Refuse }));
    assert_eq!(Edit::recognise(Some("f"), patch), Some(Edit::Patch(patch)));
    assert_eq!(
        Edit::recognise(Some("f"), "a\n=======\nb\n"),
        Some(Edit::File { path: "f", content: "a\n=======\nb\n" })
    );
    assert_eq!(Edit::recognise(None, "a"), None);
}

#[test]
fn a_refusal_names_file_and_hunk() {
    let refusal = patched(&files(&[("a", "1\n")]), "*** Update File: a\n@@\n-2\n+3\n").unwrap_err();
    assert_eq!(refusal.to_string(), "a: hunk 1: the text to change is not in the file");
}

#[test]
fn an_edit_that_searches_too_much_is_refused() {
    let old: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let before = files(&[("a.ts", &old)]);
    let blocks: String = (0..20_000)
        .map(|line| format!("<<<<<<< SEARCH\nline {line}\n=======\nx\n>>>>>>> REPLACE\n"))
        .collect();
    assert_eq!(replaced(&old, &blocks), Err(RefusalReason::TooMuchSearch));
    let hunks: String = (0..20_000).map(|line| format!("@@\n-line {line}\n+x\n")).collect();
    let body = format!("*** Update File: a.ts\n{hunks}");
    assert_eq!(patched(&before, &body).unwrap_err().reason, RefusalReason::TooMuchSearch);
    let placeholders: String = (0..20_000).map(|line| format!("line {line}\n// ...\n")).collect();
    assert_eq!(merged(&old, &placeholders), Err(RefusalReason::TooMuchSearch));
}

/// Each of these would take hours if the work were quadratic.
#[test]
fn hostile_files_are_read_in_linear_time() {
    for piece in ["/**/ ", "/* ' ` \" ", "{/* */", "`", "...\n", "<!-- ", "'\\"] {
        let content = piece.repeat(1_000_000 / piece.len());
        for path in ["a.ts", "a.html", "a.py", "a"] {
            crate::has_placeholder(path, &content);
        }
    }
    let old = "a\n".repeat(200_000);
    assert_eq!(merged(&old, &format!("{old}// ...\n{old}")), Err(RefusalReason::TooMuchSearch));
    let other: String = (0..30_000).map(|line| format!("{line}\n")).collect();
    assert!(unified(Some(&old), Some(&other), "a").len() > old.len());
}

proptest! {
    #[test]
    fn any_patch_is_parsed_without_a_panic(body in r#"(\*\*\* (Add|Update|Delete) File: [abc]\n|\*\*\* Move to: [bc]\n|\*\*\* End of File\n|@@( a)?\n|[ +-]?[ab]?\n|\PC{0,4}\n){0,20}"#) {
        let _ = patched(&files(&[("a", "a\nb\na\n"), ("b", "")]), &body);
    }

    #[test]
    fn any_block_is_parsed_without_a_panic(text in r#"(<{5,7} SEARCH\n|={5,7}\n|>{5,7} REPLACE\n|[ab]?\n|\|{7}\n|\PC{0,4}\n){0,20}"#) {
        let _ = replaced("a\nb\n\n", &text);
        let _ = apply(&Files::new(), Edit::SearchReplace { path: None, text: &text });
    }

    #[test]
    fn a_file_with_one_stretch_left_out_gives_the_old_file(
        lines in prop::collection::vec("[a-c]{1,2}", 1..20), from in 0_usize..20, to in 0_usize..20,
    ) {
        let (from, to) = (from.min(lines.len()), to.min(lines.len()));
        prop_assume!(from < to);
        let old = lines.join("\n") + "\n";
        let mut new = lines.clone();
        new.splice(from..to, ["// ... existing code ...".to_owned()]);
        match merged(&old, &(new.join("\n") + "\n")) {
            Ok(merged) => prop_assert_eq!(merged, old),
            Err(reason) => prop_assert!(matches!(reason, RefusalReason::Unanchored { found: 2.., .. }), "{reason:?}"),
        }
    }
}
