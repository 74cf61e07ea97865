//! The OpenAPI contract of the skills module.

use schemars::json_schema;

use super::{
    DEFAULT_LIMIT, File, Installation, LONGEST_QUERY, MAX_LIMIT, MAX_PAGE, NOT_FOUND, SOURCE_LIMIT, refresh,
    skill::{Skill, Type},
    store::{Categories, SkillPage},
};
use crate::openapi::{DocumentedResponse, Module, Operation};

pub(crate) fn module() -> Module {
    Module {
        name: "skills",
        about: "Components for Claude Code from aitmpl.com and skillsmp.com, in one catalogue. Some paths are those of \
                the original's source.",
        operations: vec![
            in_any_category("GET /api/skillsmp", "skills.list", "Find skills", DEFAULT_LIMIT),
            in_any_category(
                "GET /api/skillsmp/skills",
                "skills.skills",
                "Find skills, at the source's path",
                SOURCE_LIMIT,
            ),
            in_any_category(
                "GET /api/skillsmp/skills/search",
                "skills.search",
                "Find skills, at the source's path",
                SOURCE_LIMIT,
            ),
            show("GET /api/skillsmp/skills/{id}", "skills.skill", "Show a skill, at the source's path"),
            categories(),
            page_of(
                "GET /api/skillsmp/category/{category}",
                "skills.in_category",
                "Find skills of a category",
                DEFAULT_LIMIT,
            )
            .about("An unknown category is empty.")
            .path("category", "Its name, in upper or lower case.", "development-team"),
            show("GET /api/skillsmp/{id}", "skills.show", "Show a skill"),
            install(),
        ],
    }
}

/// An operation of the catalogue, which fails while the catalogue is empty and no source answers.
fn catalogue_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).fails(refresh::unavailable(60))
}

fn cached(answer: DocumentedResponse) -> DocumentedResponse {
    let about = "`HIT`: from the catalogue; `STALE`: from the catalogue, while a source is silent; `MISS`: after the sources were asked.";
    answer.with("Cache-Control", "Public.").with("X-Cache", about)
}

fn page_of(route: &'static str, id: &'static str, summary: &'static str, limit: u32) -> Operation {
    let page = SkillPage { limit, ..SkillPage::example() };
    let number = |default: u32, max: u32| json_schema!({ "type": "integer", "minimum": 1, "maximum": max, "default": default });
    let words = json_schema!({ "type": "string", "maxLength": LONGEST_QUERY });
    // An empty type means any type.
    let names: Vec<_> = Type::ALL.map(Type::name).into_iter().chain([""]).collect();
    catalogue_operation(route, id, summary)
        .query("q", "Words that the skill must all have.", words)
        .query("type", "The type of component.", json_schema!({ "type": "string", "enum": names }))
        .query("limit", "How many at most.", number(limit, MAX_LIMIT))
        .query("page", "The page, counted from 1.", number(1, MAX_PAGE))
        .query(
            "next_page",
            "The value of `next_page` in the last response; it takes precedence over `page`.",
            json_schema!({ "type": "string", "pattern": "^(?:[1-9][0-9]{0,3}|10000)?$" }),
        )
        .answers(cached(DocumentedResponse::new(200, "A page of skills, most stars first.").json(page)))
}

fn in_any_category(route: &'static str, id: &'static str, summary: &'static str, limit: u32) -> Operation {
    page_of(route, id, summary, limit).query(
        "category",
        "Only of this category.",
        json_schema!({ "type": "string" }),
    )
}

fn categories() -> Operation {
    catalogue_operation("GET /api/skillsmp/categories", "skills.categories", "List the categories")
        .answers(cached(DocumentedResponse::new(200, "The categories, by name.").json(Categories::example())))
}

fn show(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    catalogue_operation(route, id, summary)
        .path("id", "The skill; a slash in it is `%2F`.", Skill::EXAMPLE_ID)
        .answers(cached(DocumentedResponse::new(200, "The skill.").json(Skill::example())))
        .fails(NOT_FOUND)
}

fn install() -> Operation {
    let installation = Installation {
        install_command: Skill::example().install_command,
        skill: Skill::example(),
        instructions: vec!["In the folder of your project, run the command.".to_owned()],
        install_path: ".claude/agents/frontend-developer.md".to_owned(),
        files: vec![File {
            path: ".claude/agents/frontend-developer.md".to_owned(),
            content: "---\nname: frontend-developer\n---\n".to_owned(),
        }],
    };
    catalogue_operation("POST /api/skillsmp/{id}/install", "skills.install", "Show how to install a skill")
        .about("Installs nothing by itself, and needs no body.")
        .path("id", "The skill; a slash in it is `%2F`.", Skill::EXAMPLE_ID)
        .answers(DocumentedResponse::new(200, "What to run, and its files.").json(installation))
        .fails(NOT_FOUND)
}
