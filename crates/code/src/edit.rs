//! Recognises edits in an answer: patches, and elements of app builders that describe a change. The crate hatch-diff
//! applies them.

use super::fence::first_line;
use super::label::{attribute, is_path_key};
use super::tag::split_at_tag_end;

/// The first and last line of a patch in `apply_patch`'s format.
pub(super) const PATCH: (&str, &str) = ("*** Begin Patch", "*** End Patch");
/// The first line of a file's diff in git's format.
pub(super) const DIFF: &str = "diff --git ";

/// Elements that delete a file.
const DELETES: [&str; 4] = ["lov-delete", "dyad-delete", "delete_file", "boltAction"];
/// Elements that rename a file.
const RENAMES: [&str; 4] = ["lov-rename", "dyad-rename", "rename_file", "move_file"];

/// Elements with other actions, which are not executed here.
const IGNORED_ELEMENTS: [&str; 13] = [
    "lov-delete",
    "lov-rename",
    "lov-copy",
    "dyad-delete",
    "dyad-rename",
    "dyad-copy",
    "dyad-execute-sql",
    "delete_file",
    "rename_file",
    "move_file",
    "lov-add-dependency",
    "dyad-add-dependency",
    "apply_diff",
];

/// Whether a block begins like a patch.
pub(super) fn is_patch(body: &str) -> bool {
    let body = body.trim_start();
    let Some(first) = first_line(body) else { return false };
    let next = body.get(first.raw.len()..).unwrap_or_default();
    body.starts_with(PATCH.0)
        || body.starts_with(DIFF)
        || (body.starts_with("--- ") && next.starts_with("+++ "))
        || (body.starts_with("@@ ") && first.text.trim_end().ends_with("@@"))
}

/// Reads an element at the start of the text that deletes or renames a file. Returns it as a patch with one entry, and
/// the text after the element.
pub(super) fn moved(text: &str) -> Option<(String, &str)> {
    let inside = text.trim_start().strip_prefix('<')?;
    let (name, attributes) = inside.split_at_checked(inside.find(char::is_whitespace)?)?;
    let (attributes, rest) = split_at_tag_end(attributes)?;
    let attributes = attributes.trim_end_matches('/');
    let is_one_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let value = |names: &[&str]| attribute(attributes, |key| names.contains(&key));
    let entry = if is_one_of(&RENAMES) {
        let from = value(&["from", "originalfilepath", "oldfilepath", "oldpath"])?;
        let to = value(&["to", "newfilepath", "newpath"])?;
        format!("*** Update File: {from}\n*** Move to: {to}\n")
    } else if is_one_of(&DELETES)
        && (!name.eq_ignore_ascii_case("boltAction") || value(&["type"]) == Some("delete"))
    {
        format!("*** Delete File: {}\n", attribute(attributes, is_path_key)?)
    } else {
        return None;
    };
    let closing = format!("</{name}>");
    let after = rest.trim_start();
    let closes = after.get(..closing.len()).is_some_and(|end| end.eq_ignore_ascii_case(&closing));
    let rest = if closes { after.get(closing.len()..).unwrap_or_default() } else { rest };
    Some((format!("{}\n{entry}{}\n", PATCH.0, PATCH.1), rest))
}

/// The name of an element at the start of the line whose action is not executed here.
pub(super) fn ignored_element(line: &str) -> Option<&'static str> {
    let inside = line.trim_start().strip_prefix('<')?;
    IGNORED_ELEMENTS.into_iter().find(|name| {
        inside
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || matches!(c, '>' | '/')))
    })
}

/// The body of an edit element, with its `<search>` and `<replace>` children as SEARCH/REPLACE blocks.
pub(super) fn marked(body: &str) -> String {
    let mut blocks = String::new();
    let mut rest = body;
    while let Some((search, after)) = child(rest, "<search>", "</search>") {
        let Some((replace, after)) = child(after, "<replace>", "</replace>") else { break };
        blocks.push_str(&format!("<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"));
        rest = after;
    }
    if blocks.is_empty() { body.to_owned() } else { blocks }
}

/// The lines of a child element, each with a line end, and the text after it.
fn child<'a>(text: &'a str, opening: &str, closing: &str) -> Option<(String, &'a str)> {
    let (_, inside) = text.split_once(opening)?;
    let (inside, after) = inside.split_once(closing)?;
    let inside = inside.strip_prefix("\r\n").or_else(|| inside.strip_prefix('\n')).unwrap_or(inside);
    let is_ended = inside.is_empty() || inside.ends_with('\n');
    Some((format!("{inside}{}", if is_ended { "" } else { "\n" }), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_recognised_by_its_first_line() {
        for body in [
            "*** Begin Patch\n*** Update File: a.js\n",
            "\ndiff --git a/a.js b/a.js\n",
            "--- a/a.js\n+++ b/a.js\n@@ -1 +1 @@\n",
            "@@ -1,2 +1,2 @@\n-a\n+b\n",
        ] {
            assert!(is_patch(body), "{body}");
        }
        for body in ["--- \ntitle: x\n---\n", "- a\n+ b\n", "@@ is an operator\n", "", "@media print {}\n"] {
            assert!(!is_patch(body), "{body}");
        }
    }

    #[test]
    fn search_and_replace_children_become_blocks() {
        assert_eq!(
            marked("<search>\na\n</search>\n<replace>b</replace>"),
            "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"
        );
        assert_eq!(marked("<<<<<<< SEARCH\n"), "<<<<<<< SEARCH\n");
    }

    #[test]
    fn an_element_that_deletes_or_renames_a_file_becomes_a_patch_with_one_entry() {
        let patch = |entry: &str| format!("*** Begin Patch\n{entry}\n*** End Patch\n");
        for (text, entry, rest) in [
            ("<lov-delete file_path=\"src/a b.js\"/>", "*** Delete File: src/a b.js", ""),
            ("  <dyad-delete path=\"a.js\"></dyad-delete><p>", "*** Delete File: a.js", "<p>"),
            ("<boltAction type=\"delete\" filePath=\"a.js\"></boltAction>", "*** Delete File: a.js", ""),
            (
                "<lov-rename original_file_path=\"a.js\" new_file_path=\"b.js\" />",
                "*** Update File: a.js\n*** Move to: b.js",
                "",
            ),
            (
                "<dyad-rename from='a.js' to='b.js'></dyad-rename>",
                "*** Update File: a.js\n*** Move to: b.js",
                "",
            ),
        ] {
            assert_eq!(moved(text), Some((patch(entry), rest)), "{text}");
        }
        for text in [
            "<lov-delete/>",
            "<lov-deleted path=\"a\">",
            "<dyad-rename from=\"a\">",
            "<boltAction type=\"file\" filePath=\"a\">",
            "<dyad-delete path=\"a\"",
            "use <dyad-delete path=\"a\">",
        ] {
            assert_eq!(moved(text), None, "{text}");
        }
    }

    #[test]
    fn elements_with_other_actions_are_recognised() {
        assert_eq!(ignored_element("<lov-delete />"), Some("lov-delete"));
        assert_eq!(ignored_element("<lov-deleted>"), None);
    }
}
