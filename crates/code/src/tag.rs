//! Reads files written as elements: `<file path="…">…</file>` and the forms of other app builders.

use super::label::{attribute, is_path_key, may_be_path};

/// Elements that contain one file. A container around them (`<files>`, `<boltArtifact>`) is treated as prose.
const ELEMENTS: [&str; 7] =
    ["file", "create_file", "write_file", "boltAction", "lov-write", "dyad-write", "antArtifact"];
/// Elements that describe a change to one file.
const EDITS: [&str; 7] = [
    "diff",
    "dyad-search-replace",
    "dyad-edit",
    "lov-search-replace",
    "lov-line-replace",
    "search_replace",
    "edit_file",
];
/// Elements that contain such elements.
const CONTAINERS: [&str; 7] =
    ["boltArtifact", "files", "artifact", "artifacts", "lov-code", "dyad-code", "code_changes"];
const CDATA_START: &str = "<![CDATA[";
const CDATA_END: &str = "]]>";

/// An opening tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    name: &'a str,
    /// The path as written; `None` for an artifact that has only a type.
    pub path: Option<&'a str>,
    /// The language of an artifact without a path, as a fence would say it.
    pub language: &'a str,
    /// Whether the element describes a change instead of containing the file.
    pub is_edit: bool,
}

impl<'a> Tag<'a> {
    /// Reads the tag at the start of a line and returns it with the text after it. `None` for a tag without a path or a
    /// type, a self-closing tag, or one that continues on the next line.
    pub(super) fn opening(text: &'a str) -> Option<(Self, &'a str)> {
        let inside = text.trim_start().strip_prefix('<')?;
        let name_end = inside.find(|c: char| c.is_whitespace())?;
        let (name, attributes) = inside.split_at_checked(name_end)?;
        let mut known = ELEMENTS.iter().chain(&EDITS);
        let name = known.find(|element| element.eq_ignore_ascii_case(name)).copied()?;
        let (attributes, rest) = split_at_tag_end(attributes)?;
        if attributes.ends_with('/') {
            return None;
        }
        let path = attribute(attributes, is_path_key)
            .or_else(|| attribute(attributes, |key| key == "name"))
            .or_else(|| attribute(attributes, |key| key == "title").filter(|title| may_be_path(title)));
        let language = attribute(attributes, |key| key == "language")
            .or_else(|| attribute(attributes, |key| key == "type").and_then(language_of_type))
            .unwrap_or_default();
        let is_edit = EDITS.contains(&name) || (name == "boltAction" && !holds_a_file(attributes));
        (path.is_some() || !language.is_empty()).then_some((Self { name, path, language, is_edit }, rest))
    }

    /// The element's closing tags in this line, each as its start and end offset. A closing tag ends its line or is
    /// followed by another tag; in `const s = "</file>";` it is part of the file.
    pub(super) fn closings<'b>(&self, text: &'b str) -> impl Iterator<Item = (usize, usize)> + use<'b, 'a> {
        let name = self.name;
        text.match_indices("</").filter_map(move |(before, _)| {
            let after_slash = text.get(before + 2..)?;
            let written = after_slash.get(..name.len())?;
            let rest = after_slash.get(name.len()..)?.strip_prefix('>')?;
            let closes = written.eq_ignore_ascii_case(name)
                && rest.trim_start().chars().next().is_none_or(|c| c == '<');
            closes.then_some((before, text.len() - rest.len()))
        })
    }
}

/// Whether a Bolt action contains a file; other actions do something else with the file that they name.
fn holds_a_file(attributes: &str) -> bool {
    attribute(attributes, |key| key == "type").is_none_or(|kind| matches!(kind, "file" | "supabase"))
}

/// The text after a container's tag in the same line, for models that write everything into one line. A quoted
/// container (`` `<boltArtifact>` ``) is only mentioned.
pub(super) fn after_container(line: &str) -> Option<&str> {
    let mut starts = line.match_indices('<').filter(|(start, _)| {
        let before = line.get(..*start).unwrap_or_default();
        !before.ends_with(['`', '"', '\''])
    });
    let (_, attributes) = starts.find_map(|(start, _)| {
        let inside = line.get(start + 1..)?;
        CONTAINERS.iter().find_map(|name| {
            let (written, attributes) = inside.split_at_checked(name.len())?;
            let is_name = written.eq_ignore_ascii_case(name) && attributes.starts_with([' ', '\t', '>']);
            is_name.then_some((name, attributes))
        })
    })?;
    let (_, rest) = split_at_tag_end(attributes)?;
    (!rest.trim().is_empty()).then_some(rest)
}

/// Whether an opening tag is followed by a CDATA section. Then the element ends after the section.
pub(super) fn is_character_data(body: &str) -> bool {
    body.trim_start().starts_with(CDATA_START)
}

/// Whether a CDATA section that began earlier ends with this text.
pub(super) fn ends_character_data(body: &str) -> bool {
    body.trim_end().ends_with(CDATA_END)
}

/// The content of a CDATA section, or the body itself if it is not one. `]]>` inside is written as two sections.
pub(super) fn character_data(body: &str) -> String {
    let Some(data) = body.trim_start().strip_prefix(CDATA_START) else { return body.to_owned() };
    let data = data.trim_end().strip_suffix(CDATA_END).unwrap_or(data);
    let data = data.strip_prefix("\r\n").or_else(|| data.strip_prefix(['\n', '\r'])).unwrap_or(data);
    data.replace("]]]]><![CDATA[>", CDATA_END)
}

/// Splits after the `>` that ends the tag, skipping quoted ones.
pub(super) fn split_at_tag_end(attributes: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let end = attributes.bytes().position(|b| {
        match (quote, b) {
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
        quote.is_none() && b == b'>'
    })?;
    Some((attributes.get(..end)?, attributes.get(end + 1..)?))
}

/// The language of an artifact's media type.
fn language_of_type(media_type: &str) -> Option<&'static str> {
    match media_type {
        "application/vnd.ant.react" => Some("jsx"),
        "application/vnd.ant.mermaid" => Some("mermaid"),
        "application/vnd.ant.code" => Some("code"),
        "text/html" => Some("html"),
        "text/markdown" => Some("markdown"),
        "image/svg+xml" => Some("svg"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<&str> {
        Tag::opening(text).and_then(|(tag, _)| tag.path)
    }

    #[test]
    fn the_path_is_in_one_of_the_usual_attributes() {
        assert_eq!(path("<file path=\"src/a.ts\">"), Some("src/a.ts"));
        assert_eq!(path("  <File name='a b.ts'>rest"), Some("a b.ts"));
        assert_eq!(path("<boltAction type=\"file\" filePath=\"x.js\">"), Some("x.js"));
        assert_eq!(path("<dyad-write path=\"x>y.js\" description=\"d\">"), Some("x>y.js"));
        assert_eq!(path("<lov-write file_path=\"x.js\">"), Some("x.js"));
    }

    #[test]
    fn other_tags_are_prose() {
        for text in [
            "<files>",
            "<file>",
            "<file path=\"a\"/>",
            "<file path=\"a\"",
            "<div path=\"a\">",
            "<boltAction type=\"shell\">",
            "<",
            "x <file path=\"a\">",
        ] {
            assert!(Tag::opening(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_closing_tag_ends_its_line_or_is_followed_by_a_tag() {
        let (tag, _) = Tag::opening("<file path=\"a\">").unwrap();
        assert_eq!(tag.closings("x</FILE>  ").next(), Some((1, 8)));
        assert_eq!(tag.closings("</file><file path=\"b\">").next(), Some((0, 7)));
        assert_eq!(tag.closings("const s = \"</file>\";").next(), None);
        assert_eq!(tag.closings("</files>").next(), None);
    }

    #[test]
    fn text_after_a_container_in_the_same_line_is_read() {
        let element = "<boltAction type=\"file\" filePath=\"a.js\">x</boltAction></boltArtifact>";
        for container in ["<boltArtifact id=\"a\" title=\"a > b\">", "Here: <boltArtifact id='a'>", "<files>"]
        {
            assert_eq!(after_container(&format!("{container}{element}")), Some(element), "{container}");
        }
        for line in ["<boltArtifact id=\"a\">", "<files> ", "the `<files>` element", "<filesystem>x", "a < b"]
        {
            assert_eq!(after_container(line), None, "{line}");
        }
    }

    #[test]
    fn a_section_of_character_data_is_unwrapped() {
        assert_eq!(character_data("<![CDATA[\nif (a]]]]><![CDATA[>b)\n]]>\n"), "if (a]]>b)\n");
        assert_eq!(character_data("plain\n"), "plain\n");
        assert!(is_character_data("\n <![CDATA[ x") && !is_character_data("x <![CDATA["));
        assert!(ends_character_data("<![CDATA[ x ]]>\n") && !ends_character_data("<![CDATA[ x "));
    }
}
