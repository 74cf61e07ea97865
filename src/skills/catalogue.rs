//! Reads skills from the responses of their sources.
//!
//! Anyone may publish at the sources, so their data is untrusted: each
//! field is taken only if it has the right type, and is then cleaned and cut.
//! An item without a usable id is left out; the rest of its list stays.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    install::{self, Location},
    skill::{Skill, Type},
};

/// Lengths in characters.
const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 1000;
/// The most skills that are kept of one list.
const MOST_SKILLS: usize = 5000;
const MOST_STARS: u64 = 1_000_000_000;

/// Reads `/components/{types}.json`, an array. None if it is something else or
/// has no usable skill, for these lists are never empty.
pub(super) fn read_aitmpl(kind: Type, json: &str) -> Option<Vec<Skill>> {
    let items = parse(json)?;
    let skills = distinct(items.as_array()?.iter().filter_map(|item| component(kind, item)));
    (!skills.is_empty()).then_some(skills)
}

/// Reads a search at skillsmp.com, which may be empty:
/// `{"success":true,"data":{"skills":[…]}}`. None if it is
/// something else.
pub(super) fn read_skillsmp(json: &str) -> Option<Vec<Skill>> {
    let answer = parse(json)?;
    if answer.get("success")? != true {
        return None;
    }
    let items = answer.get("data")?.get("skills")?.as_array()?;
    Some(distinct(items.iter().filter_map(marketplace_skill)))
}

/// Reads the text in `/component-content/…`: `{"content":"…"}`.
pub(super) fn read_aitmpl_content(json: &str) -> Option<String> {
    Some(parse(json)?.get("content")?.as_str()?.to_owned())
}

/// Reads a component. One with an unsafe path has no id and is left out.
fn component(kind: Type, item: &Value) -> Option<Skill> {
    let slug = slug(item).filter(|slug| install::is_safe(slug))?;
    let (directory, file_name) = slug.rsplit_once('/').unwrap_or(("", &slug));
    let category = text(item, "category", LONGEST_NAME).or_else(|| clean(directory, LONGEST_NAME));
    Some(Skill {
        id: format!("aitmpl:{}:{slug}", kind.name()),
        name: text(item, "name", LONGEST_NAME).unwrap_or_else(|| file_name.to_owned()),
        kind,
        description: text(item, "description", LONGEST_DESCRIPTION).unwrap_or_default(),
        author: text(item, "author", LONGEST_NAME),
        categories: category.into_iter().collect(),
        github_url: Some(install::component_url(kind, &slug)),
        stars: 0,
        install_command: Some(install::component_command(kind, &slug)),
    })
}

/// The slug `category/name`: the path without its extension.
fn slug(item: &Value) -> Option<String> {
    if let Some(path) = item.get("path").and_then(Value::as_str) {
        let slug = path.strip_suffix(".md").or_else(|| path.strip_suffix(".json"));
        return Some(slug.unwrap_or(path).to_owned());
    }
    let field = |name| item.get(name).and_then(Value::as_str);
    Some(format!("{}/{}", field("category")?, field("name")?))
}

fn marketplace_skill(item: &Value) -> Option<Skill> {
    let id = item.get("id")?.as_str().filter(|id| install::is_safe(id) && !id.contains('/'))?;
    let github_url = item.get("githubUrl").and_then(Value::as_str).and_then(install::github_url);
    let location = github_url.as_deref().and_then(Location::of);
    Some(Skill {
        id: format!("skillsmp:{id}"),
        name: text(item, "name", LONGEST_NAME).unwrap_or_else(|| id.to_owned()),
        kind: Type::Skill,
        description: text(item, "description", LONGEST_DESCRIPTION).unwrap_or_default(),
        author: text(item, "author", LONGEST_NAME),
        categories: text(item, "category", LONGEST_NAME).into_iter().collect(),
        github_url,
        stars: item.get("stars").and_then(Value::as_u64).unwrap_or_default().min(MOST_STARS),
        install_command: location.map(|location| location.command()),
    })
}

/// Keeps the first skill of each id.
fn distinct(skills: impl Iterator<Item = Skill>) -> Vec<Skill> {
    let mut ids = HashSet::new();
    skills.filter(|skill| ids.insert(skill.id.clone())).take(MOST_SKILLS).collect()
}

fn text(item: &Value, field: &str, longest: usize) -> Option<String> {
    clean(item.get(field)?.as_str()?, longest)
}

/// The text as one line without control characters and characters that hide or
/// reorder others, cut to `longest` characters. None when nothing is left.
pub(super) fn clean(text: &str, longest: usize) -> Option<String> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).take(4 * longest).collect();
    let words: Vec<_> = visible.split(is_blank).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(longest).collect();
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Zero-width space and BOM, and the overrides and isolates of the
/// bidirectional algorithm (Unicode Technical Report 36, 2.4). Joiners stay,
/// because emoji and many scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}')
}

fn parse(json: &str) -> Option<Value> {
    hatch_json::from_str(json).or_else(|_| hatch_json::from_str(&replace_unpaired_surrogates(json))).ok()
}

/// Replaces each unpaired surrogate, which JavaScript may write as an escape
/// and a Rust string cannot hold, with U+FFFD. So one such character does not
/// invalidate a whole list.
fn replace_unpaired_surrogates(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        let (kept, length) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (escape.get(..12), 12),
            (Some(0xD800..=0xDFFF), _) => (Some("\\ufffd"), 6),
            _ => (escape.get(..2), 2),
        };
        mended.push_str(before);
        mended.push_str(kept.unwrap_or("\\"));
        rest = escape.get(length..).or_else(|| escape.get(1..)).unwrap_or_default();
    }
    mended + rest
}

/// The UTF-16 unit of an escape `\uXXXX` at the beginning.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FIELDS: &str = "path name id stars success data skills content category githubUrl description";

    /// Arbitrary JSON, often with the fields that are read.
    pub(in super::super) fn any_json() -> impl Strategy<Value = Value> {
        let field = prop::sample::select(FIELDS.split(' ').collect::<Vec<_>>());
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "[a-z./-]{0,12}".prop_map(Value::from),
            "https://github\\.com/[a-z./~$-]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map(field.clone(), inner, 0..8)
                    .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
            ]
        })
    }

    fn aitmpl(items: &Value) -> Option<Vec<Skill>> {
        read_aitmpl(Type::Agent, &items.to_string())
    }

    fn skillsmp(items: &Value) -> Option<Vec<Skill>> {
        read_skillsmp(&json!({ "success": true, "data": { "skills": items } }).to_string())
    }

    #[test]
    fn a_component_is_read() {
        let skills = aitmpl(&json!([{
            "name": "frontend-developer", "path": "development-team/frontend-developer.md", "category": "development-team",
            "type": "agent", "description": "Builds\n  pages.", "author": "", "downloads": 7,
        }]));
        let expected = Skill {
            id: "aitmpl:agent:development-team/frontend-developer".to_owned(),
            name: "frontend-developer".to_owned(),
            kind: Type::Agent,
            description: "Builds pages.".to_owned(),
            author: None,
            categories: vec!["development-team".to_owned()],
            github_url: Some(
                "https://github.com/davila7/claude-code-templates/blob/main/cli-tool/components/agents/\
                 development-team/frontend-developer.md"
                    .to_owned(),
            ),
            stars: 0,
            install_command: Some(
                "npx claude-code-templates@latest --agent development-team/frontend-developer --yes"
                    .to_owned(),
            ),
        };
        assert_eq!(skills, Some(vec![expected]));
    }

    #[test]
    fn a_skill_of_the_marketplace_is_read() {
        let skills = skillsmp(&json!([{
            "id": "anthropics-skills-pdf-skill-md", "name": "pdf", "author": "anthropics", "description": "Fills in forms.",
            "githubUrl": "https://github.com/anthropics/skills/tree/main/skills/pdf/", "stars": 12, "updatedAt": 1,
        }]));
        let skill = &skills.unwrap()[0];
        assert_eq!(skill.id, "skillsmp:anthropics-skills-pdf-skill-md");
        assert_eq!((skill.kind, skill.stars), (Type::Skill, 12));
        assert_eq!(skill.categories, Vec::<String>::new());
        assert_eq!(
            skill.github_url.as_deref(),
            Some("https://github.com/anthropics/skills/tree/main/skills/pdf")
        );
        let command = "npx skills@latest add https://github.com/anthropics/skills/tree/main/skills/pdf --agent claude-code --yes";
        assert_eq!(skill.install_command.as_deref(), Some(command));
    }

    #[test]
    fn one_bad_item_does_not_hide_the_others() {
        let skills = aitmpl(&json!([
            null, "a string", 7, [], {}, { "name": "nothing else" }, { "path": "../../etc/passwd" },
            { "path": "evil/\"; rm -rf ~.md" }, { "path": "/etc/passwd" }, { "path": "--help" },
            { "path": "good/one.md", "name": 7, "description": 42, "category": [] },
            { "path": "good/one.md", "name": "the same id again" },
            { "name": "two", "category": "good" },
        ]));
        let shown: Vec<_> = skills.unwrap().into_iter().map(|s| (s.id, s.name, s.categories)).collect();
        let good = |id: &str, name: &str| (id.to_owned(), name.to_owned(), vec!["good".to_owned()]);
        assert_eq!(shown, [good("aitmpl:agent:good/one", "one"), good("aitmpl:agent:good/two", "two")]);
    }

    #[test]
    fn a_skill_without_a_known_place_on_github_has_no_command() {
        for url in [
            "http://github.com/a/b",
            "https://github.com@evil.example/a/b",
            "https://github.com/a/b/tree/main/../../c",
            "https://github.com/a",
            "javascript:alert(1)",
            "https://github.com/a/b/tree/main/$(id)",
        ] {
            let skill = skillsmp(&json!([{ "id": "x", "githubUrl": url }])).unwrap().remove(0);
            assert_eq!((skill.github_url, skill.install_command), (None, None), "{url}");
        }
    }

    #[test]
    fn a_response_of_another_form_is_none() {
        assert_eq!(aitmpl(&json!([])), None);
        assert_eq!(aitmpl(&json!({ "agents": [] })), None);
        assert_eq!(read_aitmpl(Type::Agent, "<!DOCTYPE html>"), None);
        assert_eq!(read_aitmpl(Type::Agent, &"[".repeat(100_000)), None);
        assert_eq!(read_skillsmp(r#"{"success":false,"data":{"skills":[]}}"#), None);
        assert_eq!(read_skillsmp(r#"{"success":true,"data":{}}"#), None);
        assert_eq!(skillsmp(&json!([])), Some(vec![]));
    }

    #[test]
    fn an_unpaired_surrogate_affects_only_itself() {
        let list = r#"[{"path":"a/b","name":"x\ud800y\\ud800 \udc00\ud83d\ude00"}]"#;
        assert_eq!(read_aitmpl(Type::Hook, list).unwrap()[0].name, "x\u{FFFD}y\\ud800 \u{FFFD}\u{1F600}");
    }

    #[test]
    fn text_is_one_visible_line() {
        assert_eq!(clean("a\r\nSet-Cookie: b\0c\u{2028}d", 50).as_deref(), Some("a Set-Cookie: b c d"));
        assert_eq!(clean("safe\u{202E}gpj.exe", 50).as_deref(), Some("safegpj.exe"));
        assert_eq!(clean("👩\u{200D}💻 e\u{301}", 50).as_deref(), Some("👩\u{200D}💻 e\u{301}"));
        assert_eq!(clean(" \0\u{200B}\n", 50), None);
        assert_eq!(clean(&"ä".repeat(1_000_000), 3).as_deref(), Some("äää"));
    }

    #[test]
    fn types_are_found_by_both_names() {
        for kind in Type::ALL {
            assert_eq!(Type::of_name(kind.name()), Some(kind));
            assert_eq!(Type::of_plural(kind.plural()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    proptest! {
        #[test]
        fn any_json_gives_skills_within_the_limits(items in any_json()) {
            let all = [aitmpl(&items), skillsmp(&items), read_skillsmp(&items.to_string())];
            for skill in all.into_iter().flatten().flatten() {
                prop_assert!((1..=LONGEST_NAME).contains(&skill.name.chars().count()));
                prop_assert!(skill.description.chars().count() <= LONGEST_DESCRIPTION);
                prop_assert!(!serde_json::to_string(&skill).unwrap().contains("\\u0000"));
                if let Some(command) = skill.install_command {
                    prop_assert!(command.starts_with("npx "));
                    prop_assert!(command.bytes().all(|b| b.is_ascii_alphanumeric() || b" ._/:@-".contains(&b)), "{command}");
                    prop_assert!(!command.contains("/../") && !command.contains(" ../"), "{command}");
                }
                if let Some(url) = skill.github_url {
                    prop_assert!(url.starts_with("https://github.com/") && !url.contains("/../"), "{url}");
                }
            }
        }

        #[test]
        fn any_text_is_a_list_or_none(text in ".*") {
            let _ = (read_aitmpl(Type::Mcp, &text), read_skillsmp(&text), read_aitmpl_content(&text));
        }

        #[test]
        fn repairing_keeps_valid_json(value in any_json()) {
            let json = value.to_string();
            prop_assert_eq!(replace_unpaired_surrogates(&json), json);
        }

        #[test]
        fn repairing_never_fails(text in "([a-zä\\\\]|\\\\u|d8|dc|00)*") {
            let _ = replace_unpaired_surrogates(&text);
        }
    }
}
