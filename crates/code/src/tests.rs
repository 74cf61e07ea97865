//! Answers as models write them, and properties that hold for every answer.

use super::extract::{ExtractedFile, extract, extract_interrupted};
use super::map::CodeMap;
use super::path::safe_path;
use super::scan::work;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Path and content of the files. The path of an incomplete file is prefixed with `…`, that of an edit with `±`.
fn files(answer: &str) -> Vec<(String, String)> {
    let message = |file: ExtractedFile| {
        let (cut, edit) = (if file.complete { "" } else { "…" }, if file.is_edit { "±" } else { "" });
        (format!("{cut}{edit}{}", file.path), file.content)
    };
    extract(answer).into_iter().map(message).collect()
}

#[track_caller]
fn holds(answer: &str, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
    assert_eq!(files(answer), expected, "in\n{answer}");
}

#[test]
fn a_path_is_found_in_every_place_where_models_put_it() {
    for answer in [
        "```tsx:src/App.tsx\nx\n```\n",
        "```tsx src/App.tsx\nx\n```\n",
        "```tsx title=\"src/App.tsx\"\nx\n```",
        "```tsx filename=src/App.tsx\nx\n```",
        "~~~tsx file='src/App.tsx'\nx\n~~~\n",
        "```src/App.tsx\nx\n```\n",
        "```tsx\n// File: src/App.tsx\nx\n```\n",
        "```tsx\n# File: src/App.tsx\nx\n```\n",
        "```tsx\n/* File: src/App.tsx */\nx\n```\n",
        "```tsx\n{/* File: src/App.tsx */}\nx\n```\n",
        "```tsx\n<!-- File: src/App.tsx -->\nx\n```\n",
        "```tsx\n// src/App.tsx\nx\n```\n",
        "### src/App.tsx\n\n```tsx\nx\n```\n",
        "### 1. `src/App.tsx`\n```tsx\nx\n```\n",
        "### src/App.tsx\n\nThe main component.\n\n```tsx\nx\n```\n",
        "**src/App.tsx**\n\n\n```tsx\nx\n```\n",
        "**File: src/App.tsx**\n```tsx\nx\n```\n",
        "`src/App.tsx`\n```tsx\nx\n```\n",
        "path: src/App.tsx\n```tsx\nx\n```\n",
        "FILE: src/App.tsx\n```tsx\nx\n```\n",
        "Here is `src/App.tsx`:\n```tsx\nx\n```\n",
        "// src/App.tsx\n```tsx\nx\n```\n",
        "<file path=\"src/App.tsx\">\nx\n</file>\n",
        "<file name='src/App.tsx'>x\n</file>",
        "<file path=\"src/App.tsx\"><![CDATA[\nx\n]]></file>",
        "<file path=\"src/App.tsx\">\n```tsx\nx\n```\n</file>",
        "<boltArtifact id=\"a\">\n<boltAction type=\"file\" filePath=\"src/App.tsx\">\nx\n</boltAction>\n</boltArtifact>",
        "```xml\n<files>\n<file path=\"src/App.tsx\">\nx\n</file>\n</files>\n```\n",
        "\u{feff}```tsx:./src/App.tsx\nx\n```",
        "**\u{200b}src/App.tsx**\n```tsx\nx\n```\n",
        "**src/App.tsx**\n```tsx\n// src/App.tsx\nx\n```\n",
        "1. The component:\n\n   ```tsx:src/App.tsx\n   x\n   ```\n",
        "- a\n  - b\n\n     ```tsx:src/App.tsx\n     x\n     ```\n",
        "- ```tsx:src/App.tsx\n  x\n  ```\n",
        "`````tsx:src/App.tsx\nx\n`````\n",
    ] {
        holds(answer, &[("src/App.tsx", "x\n")]);
    }
}

#[test]
fn line_ends_are_kept() {
    holds("```a.js\r\nx\r\n\r\ny\r\n```\r\n", &[("a.js", "x\r\n\r\ny\r\n")]);
    holds("```js:a.js\rx\ry\r```\r", &[("a.js", "x\ry\r")]);
    holds("<file path=\"a.js\">\r\nx\r\n</file>\r\n", &[("a.js", "x\r\n")]);
}

#[test]
fn blocks_without_a_path_are_named_in_order_by_their_language() {
    holds(
        "```html\n1\n```\n```css\n2\n```\n```c++\n3\n```\n",
        &[("App.html", "1\n"), ("file-1.css", "2\n"), ("file-2.cpp", "3\n")],
    );
    holds("```brainfuck\n+\n```\n", &[("App.txt", "+\n")]);
    holds("```\n<!DOCTYPE html>\n```\n", &[("App.html", "<!DOCTYPE html>\n")]);
    holds("```html\n\n```\n", &[]);
}

#[test]
fn a_generated_name_is_never_one_that_the_answer_states() {
    holds(
        "```html\n1\n```\n```html\n2\n```\n```html:app.html\n3\n```\n```html:file-1.html\n4\n```\n",
        &[("file-2.html", "1\n"), ("file-3.html", "2\n"), ("app.html", "3\n"), ("file-1.html", "4\n")],
    );
}

#[test]
fn commands_and_output_are_not_files() {
    for answer in [
        "```bash\nnpm install\n```\n",
        "```console\n$ npm start\n```\n",
        "Update `package.json`:\n```bash\nnpm i react\n```\n",
        "```\nsrc/\n├── App.tsx\n```\n",
        "```text\nsrc/\n```\n",
        "```diff\n- a\n+ b\n```\n",
        "The output of `app.py`:\n```\nhello\n```\n",
        "```mermaid\ngraph TD\n```\n",
        "```12:14:src/App.tsx\nx\n```\n",
        "Use ```js``` and `a.ts`.\n",
        "````\n```tsx:src/App.tsx\nx\n```\n````\n",
    ] {
        holds(answer, &[]);
    }
    holds("```diff:src/App.tsx\n- a\n+ b\n```\n", &[("±src/App.tsx", "- a\n+ b\n")]);
}

#[test]
fn a_shell_or_text_block_with_a_path_of_its_own_is_a_file() {
    holds("```bash:deploy.sh\nls\n```\n", &[("deploy.sh", "ls\n")]);
    holds("```bash\n# deploy.sh\nls\n```\n", &[("deploy.sh", "ls\n")]);
    holds("```bash\n# .env.local\nA=1\n```\n", &[(".env.local", "A=1\n")]);
    holds("**requirements.txt**\n```\nflask\n```\n", &[("requirements.txt", "flask\n")]);
    holds("Create a `.gitignore` file:\n```\ndist\n```\n", &[(".gitignore", "dist\n")]);
    holds("```diff:fix.patch\n- a\n```\n", &[("fix.patch", "- a\n")]);
}

#[test]
fn a_block_with_an_unsafe_path_is_not_a_file() {
    for path in [
        "/etc/x.js",
        "../x.js",
        "a/../../x.js",
        "C:\\x.js",
        "c:/x.js",
        "src\\x.js",
        ".git/config",
        "~/x.js",
        "a\0.js",
    ] {
        for answer in [
            format!("```js:{path}\nx\n```\n"),
            format!("```js {path}\nx\n```\n"),
            format!("```js title=\"{path}\"\nx\n```\n"),
            format!("```js\n// File: {path}\nx\n```\n"),
            format!("**File: {path}**\n```js\nx\n```\n"),
            format!("FILE: {path}\n```js\nx\n```\n"),
            format!("<file path=\"{path}\">\nx\n</file>\n"),
        ] {
            holds(&answer, &[]);
        }
    }
    holds("### `/etc/x.js`\n```js\nx\n```\n", &[]);
}

#[test]
fn a_fence_inside_a_string_closes_nothing() {
    holds(
        "```js:a.js\nconst s = \"```\";\nconst t = '```js';\n```js\n~~~\n    ```\n```\nafter\n",
        &[("a.js", "const s = \"```\";\nconst t = '```js';\n```js\n~~~\n    ```\n")],
    );
    holds(
        "<file path=\"a.js\">\nconst s = \"</file>\";\n```\n</file>\n",
        &[("a.js", "const s = \"</file>\";\n```\n")],
    );
}

#[test]
fn a_longer_fence_may_contain_shorter_ones() {
    holds(
        "````md:README.md\n```bash\nls\n```\n````\n```js:a.js\nx\n```\n",
        &[("README.md", "```bash\nls\n```\n"), ("a.js", "x\n")],
    );
}

#[test]
fn markdown_may_contain_fences_of_the_same_length_if_they_pair_up() {
    holds(
        "```md:README.md\n# A\n```bash\nls\n```\nb\n```\n\n```js:a.js\nx\n```\n",
        &[("README.md", "# A\n```bash\nls\n```\nb\n"), ("a.js", "x\n")],
    );
    holds("**README.md**\n```markdown\n```js\n1\n```\n```\n", &[("README.md", "```js\n1\n```\n")]);
    holds("```md:README.md\n# A\n```bash\nls\n```\nThat is all.\n", &[("README.md", "# A\n```bash\nls\n")]);
}

#[test]
fn a_surplus_fence_does_not_swallow_the_next_file() {
    holds(
        "```md:README.md\n```\ntree\n```\n```\n```tsx:a.tsx\nx\n```\n",
        &[("README.md", ""), ("a.tsx", "x\n")],
    );
}

#[test]
fn the_marker_line_is_dropped_and_nothing_else() {
    holds(
        "```html\n<!-- File: index.html -->\n<!DOCTYPE html>\n```\n",
        &[("index.html", "<!DOCTYPE html>\n")],
    );
    holds("```json:package.json\n// package.json\n{}\n```\n", &[("package.json", "{}\n")]);
    holds("```ts:a.ts\n// a.ts\nx\n```\n", &[("a.ts", "// a.ts\nx\n")]);
    holds("**a.ts**\n```ts\n// b.ts\nx\n```\n", &[("a.ts", "// b.ts\nx\n")]);
    holds("**server/index.js**\n```js\n// index.js\nx\n```\n", &[("server/index.js", "x\n")]);
}

#[test]
fn a_mentioned_path_must_match_the_language() {
    holds("You need this for `App.tsx`:\n```css\nx\n```\n", &[("App.css", "x\n")]);
    holds("In `src/App.tsx`, change a line:\n```tsx\nx\n```\n", &[("App.tsx", "x\n")]);
}

#[test]
fn a_label_counts_for_one_block() {
    holds("### a.ts\n```ts\n1\n```\n```ts\n2\n```\n", &[("a.ts", "1\n"), ("App.ts", "2\n")]);
}

#[test]
fn several_elements_may_share_a_line() {
    holds("<file path=\"a\">x</file> <file path=\"b\">y</file>\n", &[("a", "x"), ("b", "y")]);
}

#[test]
fn an_artifact_on_one_line_works_as_on_several() {
    let one = "<boltArtifact id=\"a\" title=\"t\"><boltAction type=\"file\" filePath=\"a.js\">x</boltAction>\
               <boltAction type=\"file\" filePath=\"b.js\">y</boltAction></boltArtifact>";
    holds(one, &[("a.js", "x"), ("b.js", "y")]);
    holds(&format!("Done: {one} That is all."), &[("a.js", "x"), ("b.js", "y")]);
    let several = one.replace("><", ">\n<");
    holds(&several, &[("a.js", "x"), ("b.js", "y")]);
}

#[test]
fn thinking_is_never_extracted_as_code() {
    let draft = "maybe\n```html:index.html\n<p>draft</p>\n```\n<file path=\"old.js\">x</file>\n";
    let last = "```html:index.html\n<p>final</p>\n```\n";
    for (opening, closing) in [
        ("<think>", "</think>"),
        ("<thinking>\n", "</thinking>"),
        ("<THINKING>", "</Thinking>\n"),
        ("[THINK]", "[/THINK]"),
    ] {
        holds(&format!("{opening}{draft}{closing}It is done already."), &[]);
        holds(&format!("{opening}{draft}{closing}\n{last}"), &[("index.html", "<p>final</p>\n")]);
        holds(&format!("{opening}{draft}"), &[]);
    }
    holds(&format!("{draft}</think>\n{last}"), &[("index.html", "<p>final</p>\n")]);
    holds(&format!("We use <think> here, and `<think>`:\n{last}"), &[("index.html", "<p>final</p>\n")]);
    holds("```tsx:a.tsx\n<think>\nx\n```\n", &[("a.tsx", "<think>\nx\n")]);
}

#[test]
fn an_artifact_is_named_by_its_type() {
    holds(
        "<antArtifact identifier=\"a\" type=\"application/vnd.ant.react\" title=\"Counter\">\nx\n</antArtifact>\n",
        &[("App.jsx", "x\n")],
    );
}

#[test]
fn a_file_that_the_answer_ends_in_is_incomplete() {
    holds("```tsx:src/App.tsx\nexport def", &[("…src/App.tsx", "export def")]);
    holds("```tsx\n// src/App.tsx\nexport def", &[("…src/App.tsx", "export def")]);
    holds("<file path=\"a.ts\">\nx\n</fil", &[("…a.ts", "x\n</fil")]);
    holds("````js:a.js\nx\n```", &[("…a.js", "x\n```")]);
    holds("```tsx:src/Ap", &[]);
}

#[test]
fn in_an_interrupted_answer_the_last_line_closes_nothing() {
    let complete = |answer| extract_interrupted(answer).iter().map(|file| file.complete).collect::<Vec<_>>();
    assert_eq!(complete("```js:a.js\nx\n```"), [false]);
    assert_eq!(complete("```js:a.js\nx\n```\n"), [true]);
    assert_eq!(complete("<file path=\"a\">\nx\n</file>"), [false]);
    assert_eq!(complete("```md:a.md\n```sh\nls\n```\n"), [false]);
}

/// Counts the bytes of the lines read. The work on one line must be linear too, or the inputs with one long line would
/// not finish.
#[test]
fn the_work_is_linear_in_the_answer() {
    const SIZE: usize = 50_000;
    for piece in [
        "```js:a.js\n",
        "```\n",
        "```md:a.md\n```js\n```\n",
        "```md:a.md\n```js\n",
        "`",
        "~",
        "````\n```\n",
        "<file path=\"a\">\n",
        "<file path=\"",
        "<file path=\"a\">x</file>",
        "<file path=\"a\"><![CDATA[</file>\n",
        "<![CDATA[",
        "</file>",
        "</file>\n",
        "<file path=\"a\">\n</file>\n",
        "# a.js\n",
        "**a.js**\n",
        "a=",
        "- ",
        "\r",
        " ",
        "#",
        ":",
        "*",
        "`a.js` ",
        "```\n```js:a.js\n",
        "```xml\n<files>\n",
        "- ```js\n",
        "x",
        "<think>\n",
        "<think>x</think>",
        "</think>\n",
        "*** Begin Patch\n",
        "diff --git a/a b/a\n\n",
        "<boltArtifact id=\"a\">",
        "<lov-delete/>\n",
        "<edit_file path=\"a\">",
    ] {
        for head in ["", "```js:a.js\n", "```md:a.md\n", "<file path=\"a\"><![CDATA[", "```", "```js "] {
            let answer = format!("{head}{}", piece.repeat(SIZE / piece.len()));
            work::take();
            extract(&answer);
            extract_interrupted(&answer);
            assert!(work::take() <= 6 * answer.len(), "{head:?} {piece:?}");
        }
    }
    // The white space before a CDATA section is scanned once, however many closing tags follow.
    extract(&format!("<file path=\"a\">{}<![CDATA[{}", " ".repeat(SIZE), "</file>\n".repeat(SIZE / 8)));
}

/// Writes a file in one of the formats. The content ends in a line end, or is empty.
fn written(path: &str, content: &str, form: usize) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    match form {
        0 => format!("{fence}tsx:{path}\n{content}{fence}\n"),
        1 => format!("{fence}tsx {path}\n{content}{fence}\n"),
        2 => format!("{fence}tsx title=\"{path}\"\n{content}{fence}\n"),
        3 => format!("{fence}tsx\n// File: {path}\n{content}{fence}\n"),
        4 => format!("{fence}tsx\n<!-- File: {path} -->\n{content}{fence}\n"),
        5 => format!("### `{path}`\n\n{fence}tsx\n{content}{fence}\n"),
        6 => format!("**{path}**\n{fence}tsx\n{content}{fence}\n"),
        7 => format!("FILE: {path}\n{fence}tsx\n{content}{fence}\n"),
        8 => format!("Here is `{path}`:\n{fence}tsx\n{content}{fence}\n"),
        9 => format!(
            "1. x\n\n   {fence}tsx:{path}\n{}   {fence}\n",
            content.split_inclusive('\n').map(|line| format!("   {line}")).collect::<String>()
        ),
        10 => format!("~~~{fence}\n{path}\n~~~{fence}\n")
            .replace(&fence, "~~")
            .replace(&format!("\n{path}\n"), &format!("tsx:{path}\n{content}")),
        _ => format!("<file path=\"{path}\">\n{content}</file>\n"),
    }
}
const FORMS: usize = 12;

fn any_path() -> impl Strategy<Value = String> {
    "([a-z\\[(_][a-zA-Z0-9_\\-]{0,6}[\\])]?/){0,3}[a-zA-Z_][a-zA-Z0-9_]{0,8}\\.(ts|tsx|js|jsx)"
        .prop_filter("is safe", |path| safe_path(path).is_ok())
}

/// Lines that could be mistaken for a fence, a tag or a label.
fn any_content() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[ -~é\t]{0,20}",
        prop::sample::select(vec![
            "```",
            "```js",
            "````",
            "const s = `",
            "# a.ts",
            "**b.ts**",
            "- x",
            "  x",
            "",
            "FILE: c.ts",
            "\"</file>\";",
            "<file path=\"q\">"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Answers made of meaningful pieces, in any order.
fn any_answer() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "```", "````", "~~~", "`", "\n", "\n", "\n", "\r\n", "\r", " ", "    ", "tsx", "md", "bash", "html", ":", "src/App.tsx", "a.md", "x.sh", "../x", "title=\"a.js\"",
            "// File: ", "# ", "- ", "1. ", "**", "FILE: ", "<file path=\"b.ts\">", "</file>", "<![CDATA[", "]]>", "{", "=", "\"", "\u{feff}", "\u{200b}", "<files>", "é",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            "```js:a.js\n", "```md:a.md\n", "```html\n", "```\n", "```\n", "```\n", "```js\n", "x\n", "### c.ts\n", "// d.ts\n",
            "<file path=\"b\">\n", "</file>\n", "</file>x\n", "<think>\n", "*** Begin Patch\n", "*** End Patch\n",
            "diff --git a/a b/a\n", "<boltArtifact id=\"a\">", "<dyad-edit path=\"e\">\n", "</dyad-edit>\n",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
        1 => any_path(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        extract(&text);
        extract_interrupted(&text);
        let _ = CodeMap::parse(&text);
    }

    #[test]
    fn every_path_is_safe(answer in any_answer()) {
        for file in extract(&answer).into_iter().chain(extract_interrupted(&answer)) {
            prop_assert_eq!(safe_path(&file.path), Ok(file.path.clone()));
        }
    }

    #[test]
    fn a_file_written_in_any_format_is_extracted_exactly(
        files in prop::collection::btree_map(any_path(), (any_content(), 0..FORMS), 0..5),
        before in "[a-z ]{0,10}",
    ) {
        let plain = |content: &str, form: usize| match form {
            // Excludes content that would end the block early or be taken for a marker.
            9 => !content.contains('\t') && !content.split('\n').any(|line| line.chars().all(char::is_whitespace) && !line.is_empty()),
            10 => !content.contains("~~"),
            11 => !content.trim_start().starts_with(['`', '~', '<']) && !content.split('\n').any(|line| line.ends_with("</file>")),
            _ => true,
        };
        let is_marker = |content: &str| content.split('\n').next().is_some_and(|line| super::label::in_comment(line, false).is_some());
        let files: BTreeMap<_, _> = files.into_iter().filter(|(_, (content, form))| plain(content, *form) && !(is_marker(content) && (5..9).contains(form))).collect();
        let answer: String = files.iter().map(|(path, (content, form))| format!("{before}\n\n{}\n", written(path, content, *form))).collect();
        let expected: Vec<_> = files.iter().map(|(path, (content, _))| ExtractedFile { path: path.clone(), content: content.clone(), complete: true, is_edit: false }).collect();
        prop_assert_eq!(extract(&answer), expected, "in\n{}", answer);
    }

    #[test]
    fn a_merged_map_is_always_valid(answers in prop::collection::vec(any_answer(), 0..4)) {
        let mut code = CodeMap::default();
        for answer in answers {
            code.merge(extract(&answer), |_, file| Ok(file.content));
        }
        prop_assert_eq!(CodeMap::parse(&code.to_json()), Ok(code));
    }

    /// Cuts the answer at every position. A generated name may change when a later block states it; a complete file
    /// stays complete, with the same content.
    #[test]
    fn cutting_an_answer_never_completes_a_file_with_other_content(answer in any_answer()) {
        let made_up = |path: &str| path.starts_with("App.") || path.starts_with("file-");
        let whole = extract(&answer);
        for (cut, _) in answer.char_indices() {
            let start = answer.get(..cut).unwrap();
            let mut rest = whole.iter();
            for file in extract_interrupted(start).into_iter().filter(|file| file.complete) {
                let is_same = |other: &ExtractedFile| {
                    other.complete && other.content == file.content && (other.path == file.path || made_up(&file.path))
                };
                prop_assert!(rest.any(is_same), "{:?} of {:?} is not in {:?}", file, start, whole);
            }
        }
    }
}
