//! How a skill is installed: the command, and the file that it writes.
//!
//! Users paste the command into shells and programs write the paths to disks,
//! so both are built here from parts that pass [`is_safe`]. A command or path
//! that a source suggests is never passed on.

use super::skill::{Skill, Type};

const GITHUB: &str = "https://github.com/";
const AITMPL_REPOSITORY: &str = "davila7/claude-code-templates";
const LONGEST_PATH: usize = 250;

/// Whether `path` is a plain relative path: `^[A-Za-z0-9._/-]+$`, no component
/// empty, `.` or `..`, and none that a command would read as an option.
pub(super) fn is_safe(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with('-');
    path.len() <= LONGEST_PATH && path.bytes().all(plain) && path.split('/').all(part)
}

/// The URL without query, fragment and last slash, if it is a repository on
/// GitHub or something in one.
pub(super) fn github_url(url: &str) -> Option<String> {
    let path = url.strip_prefix(GITHUB)?.split(['?', '#']).next()?.trim_end_matches('/');
    (path.contains('/') && is_safe(path)).then(|| format!("{GITHUB}{path}"))
}

/// The address of a component of aitmpl.com. `slug` is `category/name`.
pub(super) fn component_url(kind: Type, slug: &str) -> String {
    let (view, ending) = match kind {
        Type::Agent | Type::Command => ("blob", ".md"),
        Type::Mcp | Type::Setting | Type::Hook => ("blob", ".json"),
        Type::Skill => ("tree", ""),
    };
    format!("{GITHUB}{AITMPL_REPOSITORY}/{view}/main/cli-tool/components/{}/{slug}{ending}", kind.plural())
}

pub(super) fn component_command(kind: Type, slug: &str) -> String {
    format!("npx claude-code-templates@latest --{} {slug} --yes", kind.name())
}

/// A directory with a SKILL.md on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// `owner/name`.
    repository: String,
    /// None for the default branch.
    branch: Option<String>,
    /// Empty for the root.
    directory: String,
}

impl Location {
    /// Reads a URL from [`github_url`]. A branch whose name has a slash cannot be
    /// distinguished from a directory, and is read as one.
    pub(super) fn of(github_url: &str) -> Option<Self> {
        let parts: Vec<_> = github_url.strip_prefix(GITHUB)?.split('/').collect();
        let (owner, name, branch, directory) = match parts.as_slice() {
            [owner, name] => (owner, name, None, Vec::new()),
            [owner, name, "tree", branch, directory @ ..]
            | [owner, name, "blob", branch, directory @ .., "SKILL.md"] => {
                (owner, name, Some((*branch).to_owned()), directory.to_vec())
            }
            _ => return None,
        };
        let name = name.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(name);
        Some(Self { repository: format!("{owner}/{name}"), branch, directory: directory.join("/") })
    }

    /// `npx skills add` takes a directory's URL as it is
    /// (github.com/vercel-labs/skills).
    pub(super) fn command(&self) -> String {
        let branch = self.branch.iter().map(|branch| format!("/tree/{branch}"));
        let directory = (!self.directory.is_empty()).then(|| format!("/{}", self.directory));
        let place: String = branch.chain(directory).collect();
        format!("npx skills@latest add {GITHUB}{}{place} --agent claude-code --yes", self.repository)
    }

    /// The path of its SKILL.md at raw.githubusercontent.com.
    pub(super) fn raw_path(&self) -> String {
        let branch = self.branch.as_deref().unwrap_or("HEAD");
        let directory =
            if self.directory.is_empty() { String::new() } else { format!("{}/", self.directory) };
        format!("{}/{branch}/{directory}SKILL.md", self.repository)
    }

    fn name(&self) -> &str {
        let path = if self.directory.is_empty() { &self.repository } else { &self.directory };
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// The source of a skill's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContentSource {
    /// At aitmpl.com, by `category/name`.
    Component(String),
    /// At raw.githubusercontent.com, by path.
    Raw(String),
    /// Unknown.
    Nowhere,
}

/// The file that installing a skill writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The path within the user's project.
    pub(super) path: String,
    pub(super) content: ContentSource,
}

impl Target {
    pub(super) fn of(skill: &Skill) -> Self {
        let component = skill.id.strip_prefix(&format!("aitmpl:{}:", skill.kind.name()));
        let location = skill.github_url.as_deref().and_then(Location::of);
        let (name, content) = match (component, &location) {
            (Some(slug), _) => (slug.rsplit('/').next(), ContentSource::Component(slug.to_owned())),
            (None, Some(location)) => (Some(location.name()), ContentSource::Raw(location.raw_path())),
            (None, None) => (skill.id.strip_prefix("skillsmp:"), ContentSource::Nowhere),
        };
        Self { path: path(skill.kind, name.unwrap_or_default()), content }
    }
}

fn path(kind: Type, name: &str) -> String {
    match kind {
        Type::Agent => format!(".claude/agents/{name}.md"),
        Type::Command => format!(".claude/commands/{name}.md"),
        Type::Skill => format!(".claude/skills/{name}/SKILL.md"),
        Type::Mcp => ".mcp.json".to_owned(),
        Type::Setting | Type::Hook => ".claude/settings.json".to_owned(),
    }
}

/// The steps for the user. `has_file` says whether the response has the content.
pub(super) fn instructions(skill: &Skill, path: &str, has_file: bool) -> Vec<String> {
    let by_command = skill
        .install_command
        .as_ref()
        .map(|command| format!("Run `{command}` in the directory of your project."));
    let content = match (&skill.github_url, has_file) {
        (_, true) => Some("the content of `files`".to_owned()),
        (Some(url), false) => Some(format!("what is at {url}")),
        (None, false) => None,
    };
    let by_hand = content.map(|content| match skill.kind {
        Type::Mcp | Type::Setting | Type::Hook => format!("Or merge {content} into `{path}` yourself."),
        Type::Agent | Type::Command | Type::Skill => format!("Or save {content} as `{path}` yourself."),
    });
    let nowhere = "Its source names no place on GitHub to install it from; ask its author for the file.";
    let mut steps: Vec<_> = by_command.into_iter().chain(by_hand).collect();
    if steps.is_empty() {
        steps.push(nowhere.to_owned());
    }
    steps.push("Read it before you use it: anybody may publish there, and Claude will follow it.".to_owned());
    steps.push(format!("Start Claude Code again, so that it finds the new {}.", skill.kind.name()));
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::catalogue::{read_aitmpl, read_skillsmp, tests::any_json},
        *,
    };

    fn location(url: &str) -> Option<Location> {
        Location::of(&github_url(url)?)
    }

    #[test]
    fn safe_paths_are_plain_and_stay_inside() {
        for path in ["a", "a/b", "git/create-pr", "x/__proto__", ".claude/skills/a.b_c", "..a/b..", "a/b.c"] {
            assert!(is_safe(path), "{path}");
        }
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "-rf", "a/--yes", "a b", "a;b",
            "$(id)", "a\\b", "a\nb", "a\0", "ünï", "%2e%2e", "~", "a:b",
        ] {
            assert!(!is_safe(path), "{path:?}");
        }
        assert!(is_safe(&"a".repeat(250)) && !is_safe(&"a".repeat(251)));
    }

    #[test]
    fn a_skill_is_found_in_its_repository() {
        let raw = |url| location(url).map(|location| location.raw_path());
        for (url, path) in [
            ("https://github.com/a/b", "a/b/HEAD/SKILL.md"),
            ("https://github.com/a/b.git", "a/b/HEAD/SKILL.md"),
            ("https://github.com/a/b/tree/dev", "a/b/dev/SKILL.md"),
            (
                "https://github.com/a/b/tree/main/.claude/skills/c/?tab=x#y",
                "a/b/main/.claude/skills/c/SKILL.md",
            ),
            ("https://github.com/a/b/blob/main/c/SKILL.md", "a/b/main/c/SKILL.md"),
        ] {
            assert_eq!(raw(url).as_deref(), Some(path), "{url}");
        }
        for url in [
            "https://github.com/a/b/issues/1",
            "https://github.com/a/b/blob/main/c/other.md",
            "https://github.com/a/b/tree",
        ] {
            assert_eq!(raw(url), None, "{url}");
        }
    }

    #[test]
    fn the_command_names_the_directory() {
        let command = |url| location(url).unwrap().command();
        assert_eq!(
            command("https://github.com/a/b"),
            "npx skills@latest add https://github.com/a/b --agent claude-code --yes"
        );
        assert_eq!(
            command("https://github.com/a/b/blob/main/c/d/SKILL.md"),
            "npx skills@latest add https://github.com/a/b/tree/main/c/d --agent claude-code --yes"
        );
    }

    #[test]
    fn each_type_has_its_place() {
        for (kind, path, slug) in [
            (Type::Agent, ".claude/agents/b.md", "a/b"),
            (Type::Command, ".claude/commands/b.md", "a/b"),
            (Type::Skill, ".claude/skills/b/SKILL.md", "a/b"),
            (Type::Mcp, ".mcp.json", "a/b"),
            (Type::Setting, ".claude/settings.json", "a/b"),
            (Type::Hook, ".claude/settings.json", "a/b"),
        ] {
            let skill = read_aitmpl(kind, r#"[{"path":"a/b"}]"#).unwrap().remove(0);
            let target = Target { path: path.to_owned(), content: ContentSource::Component(slug.to_owned()) };
            assert_eq!(Target::of(&skill), target);
        }
    }

    fn marketplace(url: &str) -> Skill {
        let json =
            format!(r#"{{"success":true,"data":{{"skills":[{{"id":"the-id","githubUrl":"{url}"}}]}}}}"#);
        read_skillsmp(&json).unwrap().remove(0)
    }

    #[test]
    fn a_skill_of_the_marketplace_is_named_by_its_directory() {
        let path = |url| Target::of(&marketplace(url)).path;
        assert_eq!(path("https://github.com/a/b/tree/main/skills/pdf"), ".claude/skills/pdf/SKILL.md");
        assert_eq!(path("https://github.com/a/b"), ".claude/skills/b/SKILL.md");
        assert_eq!(path("http://elsewhere.example"), ".claude/skills/the-id/SKILL.md");
        assert_eq!(Target::of(&marketplace("x")).content, ContentSource::Nowhere);
    }

    #[test]
    fn instructions_work_without_the_file_and_without_a_command() {
        let steps = |url, has_file| instructions(&marketplace(url), "p", has_file).join(" ");
        let github = "https://github.com/a/b";
        assert!(steps(github, true).contains("Or save the content of `files` as `p`"));
        assert!(steps(github, false).contains("Or save what is at https://github.com/a/b as `p`"));
        assert!(steps("x", false).starts_with("Its source names no place"));
    }

    proptest! {
        #[test]
        fn an_installed_file_stays_inside_the_project(items in any_json(), kind in 0..6_usize) {
            let listed = serde_json::json!({ "success": true, "data": { "skills": items } }).to_string();
            let components = read_aitmpl(Type::ALL[kind], &items.to_string());
            for skill in [components, read_skillsmp(&listed)].into_iter().flatten().flatten() {
                let target = Target::of(&skill);
                prop_assert!(is_safe(&target.path), "{}", target.path);
                if let ContentSource::Component(path) | ContentSource::Raw(path) = target.content {
                    prop_assert!(path.split('/').all(is_safe), "{path}");
                }
            }
        }

        #[test]
        fn any_text_is_a_place_on_github_or_none(text in "(https://github.com/)?.*") {
            if let Some(url) = github_url(&text) {
                prop_assert!(is_safe(url.strip_prefix(GITHUB).unwrap()));
            }
        }
    }
}
