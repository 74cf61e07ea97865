//! Answers with edits instead of whole files, applied to a project with a file of sixty lines.

use hatch_code::{CodeMap, FileStatus};

use super::apply_answer;

/// A file of sixty different lines.
fn old() -> String {
    (0..60).map(|n| format!("line{n}();\n")).collect()
}

/// The file after the answer, and its status and reason.
fn applied(path: &str, answer: &str) -> (String, FileStatus, String) {
    let mut code = CodeMap::of([(path.to_owned(), old())].into()).unwrap();
    let changes = apply_answer(&mut code, hatch_code::extraction(answer));
    assert_eq!(changes.len(), 1, "{answer}: {changes:?}");
    let reason = changes[0].reason.clone().unwrap_or_default().into_owned();
    (code.get(path).unwrap_or_default().to_owned(), changes[0].status, reason)
}

#[track_caller]
fn is_kept(path: &str, answer: &str) {
    let (content, status, reason) = applied(path, answer);
    assert_eq!((content, status), (old(), FileStatus::Incomplete), "{answer}");
    assert!(!reason.is_empty(), "{answer}");
}

#[track_caller]
fn becomes(answer: &str, content: &str) {
    let (found, status, _) = applied("src/App.tsx", answer);
    assert_eq!((found.as_str(), status), (content, FileStatus::Changed), "{answer}");
}

#[test]
fn a_file_with_unresolved_placeholders_changes_nothing() {
    for (path, body) in [
        (
            "app.js",
            "// ... existing code ...\nfunction added(){}\n// rest stays the same\nfunction other(){}\n// ...\n",
        ),
        ("app.jsx", "import x from 'x'\n{/* unchanged */}\nexport default 1\n"),
        ("app.css", ".a {}\n/* ... keep styles ... */\n.b {}\n"),
        ("app.html", "<p>new</p>\n<!-- rest of the page -->\n<p>end</p>\n"),
        ("app.py", "def new(): pass\n# ... (otros métodos sin cambios)\ndef last(): pass\n"),
        ("app.js", "added()\n// (rest of the code remains the same)\nlast()\n"),
    ] {
        is_kept(path, &format!("```{}:{path}\n{body}```\n", path.rsplit('.').next().unwrap()));
    }
}

#[test]
fn a_placeholder_between_known_lines_is_replaced_by_the_lines_between_them() {
    let expected = old().replace("line30();\n", "line30();\nadded();\n");
    becomes(
        "```tsx:src/App.tsx\n// ... existing code ...\nline30();\nadded();\nline31();\n// ... existing code ...\n```\n",
        &expected,
    );
}

#[test]
fn whole_files_are_accepted() {
    becomes(
        "```tsx:src/App.tsx\n// rest of the queue\nqueue.slice(1);\n```\n",
        "// rest of the queue\nqueue.slice(1);\n",
    );
    becomes("```tsx:src/App.tsx\nshort();\n```\n", "short();\n");
}

#[test]
fn a_search_text_that_occurs_once_is_replaced_in_every_format() {
    let expected = old().replace("line7();", "seven();");
    let marks = "<<<<<<< SEARCH\nline7();\n=======\nseven();\n>>>>>>> REPLACE\n";
    for answer in [
        format!("```tsx:src/App.tsx\n{marks}```\n"),
        format!("src/App.tsx\n```tsx\n{marks}```\n"),
        format!("<file path=\"src/App.tsx\">\n{marks}</file>\n"),
        format!("<dyad-search-replace path=\"src/App.tsx\" description=\"d\">\n{marks}</dyad-search-replace>\n"),
        "<lov-search-replace file_path=\"src/App.tsx\">\n<search>\nline7();\n</search>\n<replace>\nseven();\n</replace>\n</lov-search-replace>\n".to_owned(),
        "*** Begin Patch\n*** Update File: src/App.tsx\n line6();\n-line7();\n+seven();\n line8();\n*** End Patch\n".to_owned(),
        "```tsx:src/App.tsx\n*** Begin Patch\n*** Update File: src/App.tsx\n@@\n line6();\n-line7();\n+seven();\n*** End Patch\n```\n".to_owned(),
        "```diff\n--- a/src/App.tsx\n+++ b/src/App.tsx\n@@ -7,3 +7,3 @@\n line6();\n-line7();\n+seven();\n line8();\n```\n".to_owned(),
        "```diff:src/App.tsx\n@@ -7,3 +7,3 @@\n line6();\n-line7();\n+seven();\n line8();\n```\n".to_owned(),
    ] {
        becomes(&answer, &expected);
    }
}

#[test]
fn an_edit_that_does_not_match_exactly_once_changes_nothing() {
    let search = |text: &str| format!("<<<<<<< SEARCH\n{text}\n=======\nnew\n>>>>>>> REPLACE\n");
    for answer in [
        format!("```tsx:src/App.tsx\n{}```\n", search("gone();")),
        format!("```tsx:src/App.tsx\n{}{}```\n", search("line7();"), search("gone();")),
        format!("<dyad-search-replace path=\"src/App.tsx\">\n{}</dyad-search-replace>\n", search("gone();")),
        "<lov-line-replace file_path=\"src/App.tsx\">\n<search>\ngone();\n...\n</search>\n<replace>\nx\n</replace>\n</lov-line-replace>\n".to_owned(),
        "```tsx:src/App.tsx\nline0();\n<<<<<<< HEAD\nours();\n=======\ntheirs();\n>>>>>>> main\n```\n".to_owned(),
        "*** Begin Patch\n*** Update File: src/App.tsx\n-gone();\n+new();\n*** End Patch\n".to_owned(),
        "```diff:src/App.tsx\n- gone();\n+ new();\n```\n".to_owned(),
        "```diff:src/App.tsx\n@@ -1 +1 @@\n-gone();\n+new();\n```\n".to_owned(),
        "```tsx:src/App.tsx\nline0();\nline1();\n".to_owned(),
    ] {
        is_kept("src/App.tsx", &answer);
    }
}

#[test]
fn a_patch_may_add_and_delete_files_and_applies_as_a_whole_or_not_at_all() {
    let mut code =
        CodeMap::of([("a.js".to_owned(), "a\n".to_owned()), ("b.js".to_owned(), "b\n".to_owned())].into())
            .unwrap();
    let patch = |update: &str| {
        format!(
            "*** Begin Patch\n*** Add File: c.js\n+c\n*** Delete File: b.js\n*** Update File: a.js\n-{update}\n+aa\n*** End Patch\n"
        )
    };
    let before = code.clone();
    let changes = apply_answer(&mut code, hatch_code::extraction(&patch("x")));
    assert_eq!(
        (&code, changes[0].status, changes[0].path.as_str()),
        (&before, FileStatus::Incomplete, "a.js")
    );
    let changes = apply_answer(&mut code, hatch_code::extraction(&patch("a")));
    assert_eq!(code, CodeMap::parse(r#"{"a.js":"aa\n","c.js":"c\n"}"#).unwrap());
    let statuses: Vec<_> = changes.iter().map(|change| (change.path.as_str(), change.status)).collect();
    assert_eq!(
        statuses,
        [("b.js", FileStatus::Deleted), ("a.js", FileStatus::Changed), ("c.js", FileStatus::Added)]
    );
}

#[test]
fn elements_that_move_files_move_them_where_they_can() {
    let begun = || CodeMap::parse(r#"{"a.js":"a\n","b.js":"b\n"}"#).unwrap();
    for (answer, left) in [
        ("<lov-delete file_path=\"b.js\"/>\n", r#"{"a.js":"a\n"}"#),
        ("<dyad-delete path=\"b.js\"></dyad-delete>\n", r#"{"a.js":"a\n"}"#),
        ("<boltAction type=\"delete\" filePath=\"b.js\"></boltAction>\n", r#"{"a.js":"a\n"}"#),
        ("```xml\n<dyad-delete path=\"b.js\"></dyad-delete>\n```\n", r#"{"a.js":"a\n"}"#),
        (
            "<lov-rename original_file_path=\"b.js\" new_file_path=\"lib/c.js\"/>\n",
            r#"{"a.js":"a\n","lib/c.js":"b\n"}"#,
        ),
        (
            "<dyad-rename from=\"b.js\" to=\"c.js\"></dyad-rename><dyad-delete path=\"a.js\"></dyad-delete>\n",
            r#"{"c.js":"b\n"}"#,
        ),
        // The content is written after the rename.
        (
            "<dyad-write path=\"c.js\">\nc\n</dyad-write>\n<dyad-rename from=\"b.js\" to=\"c.js\"/>\n",
            r#"{"a.js":"a\n","c.js":"c\n"}"#,
        ),
        (
            "<lov-delete file_path=\"b.js\"/>\n<lov-write file_path=\"b.js\">\nbb\n</lov-write>\n",
            r#"{"a.js":"a\n","b.js":"bb\n"}"#,
        ),
    ] {
        let mut code = begun();
        let changes = apply_answer(&mut code, hatch_code::extraction(answer));
        assert_eq!(code, CodeMap::parse(left).unwrap(), "{answer}");
        assert!(changes.iter().all(|change| change.status != FileStatus::Incomplete), "{changes:?}");
    }
    for (answer, path) in [
        ("<lov-delete file_path=\"gone.js\"/>\n", "gone.js"),
        ("<dyad-rename from=\"a.js\" to=\"b.js\"></dyad-rename>\n", "b.js"),
        ("<dyad-rename from=\"a.js\" to=\"../b.js\"></dyad-rename>\n", "../b.js"),
        ("<dyad-rename from=\"a.js\" to=\"aux.js\"></dyad-rename>\n", "aux.js"),
    ] {
        let mut code = begun();
        let changes = apply_answer(&mut code, hatch_code::extraction(answer));
        assert_eq!((&code, changes.len()), (&begun(), 1), "{answer}: {changes:?}");
        assert_eq!((changes[0].path.as_str(), changes[0].status), (path, FileStatus::Incomplete), "{answer}");
        assert!(changes[0].reason.is_some(), "{answer}");
    }
    // An answer that ended within the element, or only mentions it, deletes nothing.
    for answer in ["<lov-delete file_path=\"b.js\"", "Use `<lov-delete file_path=\"b.js\"/>` for it.\n"] {
        let mut code = begun();
        assert_eq!(apply_answer(&mut code, hatch_code::extraction_interrupted(answer)), [], "{answer}");
        assert_eq!(code, begun(), "{answer}");
    }
}

#[test]
fn bolt_actions_that_do_not_hold_files_are_not_taken_for_content() {
    let expected = old().replace("line7();", "seven();");
    becomes(
        "<diff path=\"src/App.tsx\">\n@@ -7,3 +7,3 @@\n line6();\n-line7();\n+seven();\n line8();\n</diff>\n",
        &expected,
    );
    becomes(
        "<boltAction type=\"edit\" filePath=\"src/App.tsx\">\n<<<<<<< SEARCH\nline7();\n=======\nseven();\n>>>>>>> REPLACE\n</boltAction>\n",
        &expected,
    );
    becomes("<boltAction type=\"file\" filePath=\"src/App.tsx\">\nwhole();\n</boltAction>\n", "whole();\n");
    for kind in ["edit", "modify", "patch"] {
        is_kept(
            "src/App.tsx",
            &format!(
                "<boltAction type=\"{kind}\" filePath=\"src/App.tsx\">\nReplace line 7.\n</boltAction>\n"
            ),
        );
    }
}

#[test]
fn a_file_that_documents_edits_is_kept_as_a_file() {
    let mut code = CodeMap::default();
    let answer = "````md:README.md\n# Use\n\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n````\n```diff:fix.patch\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n";
    let changes = apply_answer(&mut code, hatch_code::extraction(answer));
    assert!(changes.iter().all(|change| change.status == FileStatus::Added), "{changes:?}");
    assert_eq!(changes.len(), 2);
}

#[test]
fn a_name_that_windows_forbids_is_reported_in_every_format() {
    for path in ["src/aux.tsx", "con.js", "nul", "lib/COM1.ts", "what?.md", "nul.tar.gz"] {
        for answer in [
            format!("```ts file=\"{path}\"\nx\n```\n"),
            format!("<file path=\"{path}\">\nx\n</file>\n"),
            format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"),
        ] {
            let mut code = CodeMap::default();
            let changes = apply_answer(&mut code, hatch_code::extraction(&answer));
            assert_eq!(changes.len(), 1, "{answer}: {changes:?}");
            let reason = changes[0].reason.as_deref().unwrap_or_default();
            assert!(changes[0].path == path && reason.contains("Windows"), "{answer}: {changes:?}");
            assert!(code.is_empty(), "{answer}");
        }
    }
}

#[test]
fn a_refused_path_is_reported() {
    let mut code = CodeMap::default();
    let changes = apply_answer(&mut code, hatch_code::extraction("```js:../../a.js\nx\n```\n"));
    assert_eq!((changes[0].path.as_str(), changes[0].status), ("../../a.js", FileStatus::Refused));
    assert!(changes[0].reason.is_some() && code.is_empty());
}
