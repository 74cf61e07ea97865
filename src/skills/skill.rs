//! The type of a skill.

use serde::{Deserialize, Serialize};

/// The type of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    Agent,
    Command,
    Mcp,
    Setting,
    Hook,
    Skill,
}

impl Type {
    pub(super) const ALL: [Self; 6] =
        [Self::Agent, Self::Command, Self::Mcp, Self::Setting, Self::Hook, Self::Skill];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Command => "command",
            Self::Mcp => "mcp",
            Self::Setting => "setting",
            Self::Hook => "hook",
            Self::Skill => "skill",
        }
    }

    /// aitmpl.com's name for the list of this type.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Agent => "agents",
            Self::Command => "commands",
            Self::Mcp => "mcps",
            Self::Setting => "settings",
            Self::Hook => "hooks",
            Self::Skill => "skills",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn of_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

/// A skill as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Skill {
    /// `aitmpl:{type}:{category}/{name}` or `skillsmp:{its id}`.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    /// Empty when the source has none.
    pub(super) description: String,
    pub(super) author: Option<String>,
    pub(super) categories: Vec<String>,
    /// Always under `https://github.com/`.
    pub(super) github_url: Option<String>,
    /// Stars on GitHub; 0 when the source does not count them.
    pub(super) stars: u64,
    /// One line for a shell, built by us from checked parts only.
    pub(super) install_command: Option<String>,
}

impl Skill {
    /// The text that a search looks through, in lower case.
    pub(super) fn haystack(&self) -> String {
        let author = self.author.as_deref().unwrap_or_default();
        format!("{}\n{}\n{author}\n{}", self.name, self.description, self.categories.join("\n"))
            .to_lowercase()
    }
}

#[cfg(test)]
impl Skill {
    pub(super) const EXAMPLE_ID: &str = "aitmpl:agent:development-team/frontend-developer";

    /// An agent of the catalogue.
    pub(super) fn example() -> Self {
        let path = "development-team/frontend-developer";
        Self {
            id: Self::EXAMPLE_ID.to_owned(),
            name: "frontend-developer".to_owned(),
            kind: Type::Agent,
            description: "Builds pages.".to_owned(),
            author: None,
            categories: vec!["development-team".to_owned()],
            github_url: Some(format!(
                "https://github.com/davila7/claude-code-templates/blob/main/cli-tool/components/agents/{path}.md"
            )),
            stars: 0,
            install_command: Some(format!("npx claude-code-templates@latest --agent {path} --yes")),
        }
    }
}
