//! Placeholders: comments that stand for unchanged code, such as `// ... existing code ...`.
//!
//! A placeholder is a comment that begins with an ellipsis, or that says only that code is unchanged; or a line that is
//! not code in any language, such as `...` alone. Comments that merely contain such words are not placeholders, nor are
//! commented-out spreads, prose, and strings.

mod comments;
mod words;

use comments::{Comment, comments};

/// A placeholder in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placeholder {
    /// Its first and its last line, counted from zero.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Its lines contain nothing else.
    pub(crate) is_whole: bool,
}

/// Whether a file has a placeholder for unchanged code.
pub fn has_placeholder(path: &str, content: &str) -> bool {
    find_placeholder(path, content).is_some()
}

/// The line of the first placeholder of a file, counted from one.
pub fn find_placeholder(path: &str, content: &str) -> Option<usize> {
    placeholders(path, content).first().map(|placeholder| placeholder.first + 1)
}

/// The placeholders of a file, in the order of their lines.
pub(crate) fn placeholders(path: &str, content: &str) -> Vec<Placeholder> {
    let mut last_comment = None;
    let mut found = Vec::new();
    for Comment { text, first, last, place } in comments(path, content) {
        let continues = last_comment.is_some_and(|line: usize| line + 1 == first);
        last_comment = Some(last);
        let is_placeholder = match place {
            comments::Place::Bare => words::is_bare_placeholder(&text),
            comments::Place::BareText => words::is_kept_text(&text),
            comments::Place::Whole | comments::Place::OnlyInBraces => words::is_placeholder(&text, continues),
        };
        if is_placeholder {
            found.push(Placeholder { first, last, is_whole: place != comments::Place::OnlyInBraces });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_are_found_in_every_comment_syntax_and_language() {
        for (path, content) in [
            ("a.js", "// ... existing code ...\nfunction added() {}\n// rest stays the same\n"),
            ("a.tsx", "return (\n  <div>\n    {/* ... existing code ... */}\n  </div>\n)\n"),
            ("a.tsx", "  {/* unchanged */}\n"),
            ("a.tsx", "  {/* … */}\n"),
            ("a.css", "/* ... keep styles ... */\n.a { color: red }\n"),
            ("a.css", "/* ... */\n"),
            ("a.html", "<body>\n<!-- rest of the page -->\n</body>\n"),
            ("a.html", "<!-- ... -->\n"),
            ("a.py", "# ... (otros métodos sin cambios)\n"),
            ("a.py", "class A:\n    # ... keep\n"),
            ("a.py", "    # ... rest of the methods ...\n"),
            ("a.js", "// (rest of the code remains the same)\n"),
            ("a.ts", "// ...\n"),
            ("a.ts", "x()\n...\ny()\n"),
            ("a.ts", "// …rest of the file unchanged…\n"),
            ("a.go", "// ... existing imports\n"),
            ("a.rs", "    // ...existing code...\n"),
            ("a.sql", "-- ... rest of the schema unchanged\n"),
            ("a.lua", "-- existing code here\n"),
            ("a.clj", ";; ... existing code ...\n"),
            ("a.tex", "% ... unchanged ...\n"),
            ("a.yml", "  # ... rest of config\n"),
            ("Dockerfile", "# ... existing code ...\n"),
            ("a.vue", "<script>\n// ... existing code ...\n</script>\n"),
            ("a.js", "// Rest of your code here\n"),
            ("a.js", "// The rest of the file remains unchanged.\n"),
            ("a.js", "/*\n * ... existing code ...\n */\n"),
            ("a.js", "function a() { /* ... existing code ... */ }\n"),
            ("a.js", "function a() { /* ... */ }\n"),
            ("a.js", "// [... rest of the component ...]\n"),
            ("a.js", "[... rest of code unchanged ...]\n"),
            ("a.js", "// keep existing code\n"),
            ("a.js", "// same as before\n"),
            ("a.js", "// imports remain unchanged\n"),
            ("a.js", "// resto del código sin cambios\n"),
            ("a.js", "// reste du code inchangé\n"),
            ("a.js", "// Rest des Codes bleibt gleich\n"),
            ("a.js", "// 其余代码保持不变\n"),
            ("a.js", "// 既存のコード\n"),
            ("a.js", "// 나머지 코드는 그대로\n"),
            ("a.js", "// остальной код без изменений\n"),
            ("a.js", "// ... ваш код ...\n"),
            ("a.md", "# Title\n<!-- ... rest of the document ... -->\n"),
            ("a.json", "{\n  ...\n  \"a\": 1\n}\n"),
            ("a.json", "{\n  // ... existing scripts\n}\n"),
            ("a.unknown", "# ... existing code ...\n"),
        ] {
            assert!(has_placeholder(path, content), "{path}: {content}");
        }
    }

    #[test]
    fn ordinary_code_comments_and_prose_are_not_placeholders() {
        for (path, content) in [
            ("a.js", "// rest of the queue\nqueue.slice(1)\n"),
            ("a.js", "// The header stays the same when scrolling\n"),
            ("a.js", "// The color remains unchanged.\n"),
            ("a.js", "const next = {\n  ...state,\n  ...rest,\n}\n"),
            ("a.js", "// ...args,\n"),
            ("a.js", "  // ...existingConfig,\n"),
            ("a.js", "function noop(/* ...args */) {}\n"),
            ("a.js", "// First it reads the file\n// ...then it writes it\n"),
            ("a.js", "// First it reads the file\n// ... then it writes it\n"),
            ("a.js", "x()\n// ... and try again\n"),
            ("a.js", "// Loading previous messages...\n"),
            ("a.js", "// keep trying...\n"),
            ("a.js", "// existing users are asked again\n"),
            ("a.js", "const a = '// ... existing code ...'\n"),
            ("a.js", "const a = `\n// ... existing code ...\n`\n"),
            ("a.py", "a = \"\"\"\n# ... existing code ...\n\"\"\"\n"),
            ("a.py", "def f() -> int:\n    ...\n"),
            ("a.pyi", "def f(): ...\n"),
            ("a.yml", "a: 1\n...\n"),
            ("a.md", "Then write ... existing code ... and so on.\n\n```js\n// ... existing code ...\n```\n"),
            ("a.md", "...\nThe rest of the code remains unchanged.\n"),
            ("a.txt", "... existing code ...\n"),
            ("a.html", "<p>\n...\n</p>\n<!-- header -->\n"),
            ("a.tsx", "<span>\n  ...\n</span>\n"),
            ("a.js", "const x = 1 // unchanged\n"),
            ("a.js", "/** Keeps the existing code of the user. */\n"),
            ("a.js", "/**\n * ...\n * @param rest the rest of the code\n */\n"),
            ("a.js", "// remaining methods\n"),
            ("a.js", "const re = /\\/*/\nconst a = 1\n"),
            ("a.css", ".a { color: red } /* red */\n"),
            ("a.rs", "let Foo { a, .. } = foo;\nfor i in 0...3 {}\n"),
            ("a.go", "func f(args ...string) {}\n"),
            ("a.sh", "#!/bin/sh\n# Copy the rest of the files\ncp \"$@\" .\n"),
            ("a.js", ""),
        ] {
            assert_eq!(find_placeholder(path, content), None, "{path}: {content}");
        }
    }

    #[test]
    fn the_line_of_a_placeholder_is_found() {
        assert_eq!(find_placeholder("a.ts", "a\n\n// ... existing code ...\n"), Some(3));
        assert_eq!(find_placeholder("a.ts", "a\r\n// ...\r\n"), Some(2));
    }

    proptest! {
        #[test]
        fn any_text_is_read(path in "[a-z.]{0,6}", content in r#"([/*#<>!.…'"` {}()\na-z-]|existing code|\PC){0,80}"#) {
            has_placeholder(&path, &content);
        }
    }
}
