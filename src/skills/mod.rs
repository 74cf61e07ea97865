//! Skills: components for Claude Code from aitmpl.com and skillsmp.com, in
//! one catalogue of our own, which also responds while the sources do not.
//!
//! Handlers: `list`, `list_of_source`, `show`, `categories`, `in_category`, `install`.
//!
//! `x-cache` says where a response came from: `HIT`, from the catalogue;
//! `STALE`, from the catalogue while a source has been silent for a day;
//! `MISS`, after the sources were asked.

mod catalogue;
mod feeds;
mod install;
#[cfg(test)]
pub(crate) mod openapi;
mod refresh;
mod skill;
mod store;

use serde::Serialize;
use serde_json::json;

use self::{
    feeds::{CacheStatus, Feed},
    install::{ContentSource, Target},
    skill::{Skill, Type},
    store::Search,
};
use crate::{
    error::{Error, Resource},
    http::{RequestContext, page},
    platform::{log, response::Response},
    settings::Settings,
    store::Rows,
    upstream::{aitmpl, skillsmp},
};

const NOT_FOUND: Error = Error::NotFound(Resource::Skill);
const LONGEST_QUERY: usize = 200;
const MAX_LIMIT: u32 = 100;
const DEFAULT_LIMIT: u32 = 20;
/// The page size at the paths of the source's own API.
const SOURCE_LIMIT: u32 = 100;
const MAX_PAGE: u32 = 10_000;
/// The catalogue is the same for everyone, and changes once a day.
const PUBLIC: &str = "public, max-age=30, stale-while-revalidate=300, stale-if-error=86400";

/// `GET /api/skillsmp?q=&category=&type=&limit=&page=`:
/// `{skills,total,page,limit,has_more,next_page,source}`, where `source` lists
/// the sources of the results, separated by commas.
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    list_page(&context, category(&context), DEFAULT_LIMIT).await
}

/// `GET /api/skillsmp/skills`, `/skills/search`: as [`list`], with larger pages.
pub(crate) async fn list_of_source(context: RequestContext) -> Result<Response, Error> {
    list_page(&context, category(&context), SOURCE_LIMIT).await
}

fn category(context: &RequestContext) -> Option<String> {
    context.query("category").filter(|category| !category.is_empty())
}

/// `GET /api/skillsmp/category/:category`: as [`list`]. An unknown category is
/// empty.
pub(crate) async fn in_category(context: RequestContext) -> Result<Response, Error> {
    list_page(&context, Some(context.param("category").to_owned()), DEFAULT_LIMIT).await
}

/// `GET /api/skillsmp/categories`: `{categories:[{name,count}]}`, by name.
pub(crate) async fn categories(context: RequestContext) -> Result<Response, Error> {
    let (rows, cache) = refresh::read(&context, &Feed::base(), store::categories()).await?;
    public(rows, cache)
}

/// `GET /api/skillsmp/:id`: the skill. The slash in an id comes as `%2F`.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let show = store::show(context.param("id"));
    let (rows, cache) = refresh::read(&context, &Feed::base(), show).await?;
    public(rows, cache)
}

/// How to install a skill, and its files.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Installation {
    skill: Skill,
    install_command: Option<String>,
    instructions: Vec<String>,
    install_path: String,
    /// Empty when the content is unavailable or longer than 256 KB.
    files: Vec<File>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct File {
    path: String,
    content: String,
}

/// `POST /api/skillsmp/:id/install`: says how to install a skill, and installs
/// nothing itself, so it needs no body.
pub(crate) async fn install(context: RequestContext) -> Result<Response, Error> {
    let show = store::show(context.param("id"));
    let (rows, _) = refresh::read(&context, &Feed::base(), show).await?;
    let skill: Skill = rows.first()?.ok_or(NOT_FOUND)?;
    let target = Target::of(&skill);
    let content = content(&context.settings, &skill, &target.content).await;
    let installation = Installation {
        install_command: skill.install_command.clone(),
        instructions: install::instructions(&skill, &target.path, content.is_some()),
        install_path: target.path.clone(),
        files: content.map(|content| File { path: target.path, content }).into_iter().collect(),
        skill,
    };
    Ok(Response::json(200, json!(installation).to_string()))
}

async fn list_page(
    context: &RequestContext,
    category: Option<String>,
    limit: u32,
) -> Result<Response, Error> {
    // A response's `next_page` is a page number.
    let has_token = context.query("next_page").is_some_and(|token| !token.is_empty());
    let page = if has_token { "next_page" } else { "page" };
    let search = Search {
        words: words(&context.query("q").unwrap_or_default())?,
        category,
        kind: context.query("type").filter(|name| !name.is_empty()).map(|name| kind(&name)).transpose()?,
        limit: page::number(context, "limit", limit, MAX_LIMIT)?,
        page: page::number(context, page, 1, MAX_PAGE)?,
    };
    let feeds = Feed::with_search(&search.words);
    let (rows, cache) = refresh::read(context, &feeds, store::list(&search)).await?;
    public(rows, cache)
}

/// The distinct words of a query, in lower case.
fn words(query: &str) -> Result<Vec<String>, Error> {
    if query.chars().count() > LONGEST_QUERY {
        return Err(Error::invalid("q", format!("must have at most {LONGEST_QUERY} characters")));
    }
    let mut words: Vec<String> = Vec::new();
    for word in catalogue::clean(query, LONGEST_QUERY).unwrap_or_default().to_lowercase().split(' ') {
        if !word.is_empty() && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

fn kind(name: &str) -> Result<Type, Error> {
    Type::of_name(name).ok_or_else(|| {
        let names = Type::ALL.map(Type::name).join(", ");
        Error::invalid("type", format!("must be one of {names}"))
    })
}

/// The first row as the response to a public GET; 404 when there is none.
fn public(rows: Rows, cache: CacheStatus) -> Result<Response, Error> {
    let json = rows.into_json().ok_or(NOT_FOUND)?;
    Ok(Response::json(200, json).with("cache-control", PUBLIC).with("x-cache", cache.name()))
}

/// Fetches the file of a skill, only from the two hosts in the settings.
async fn content(settings: &Settings, skill: &Skill, place: &ContentSource) -> Option<String> {
    let content = match place {
        ContentSource::Component(slug) => {
            let json = aitmpl::content(settings, skill.kind.plural(), slug).await;
            json.map(|json| catalogue::read_aitmpl_content(&json))
        }
        ContentSource::Raw(path) => skillsmp::raw_file(settings, path).await.map(Some),
        ContentSource::Nowhere => return None,
    };
    content.unwrap_or_else(|refusal| {
        log::line(&json!({ "level": "warn", "message": "skills: no content", "reason": refusal.reason }));
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_its_words_in_lower_case() {
        assert_eq!(words("  PDF\tForms pdf\0 ÄRGER ").unwrap(), ["pdf", "forms", "ärger"]);
        assert_eq!(words(" \n").unwrap(), Vec::<String>::new());
        assert!(words(&"ä".repeat(200)).is_ok());
        assert!(matches!(words(&"a".repeat(201)), Err(Error::Invalid(_))));
    }

    #[test]
    fn the_error_for_an_unknown_type_lists_the_known_ones() {
        assert_eq!(kind("mcp"), Ok(Type::Mcp));
        assert!(kind("agents").unwrap_err().detail().contains("agent, command, mcp"));
    }
}
