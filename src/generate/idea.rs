//! How the sandbox model reads a prompt: the startup's name and subject. Pure.

use serde::Deserialize;

use super::line::one_line;
use crate::upstream::sandbox::{
    fill,
    wording::{Prompt, capital, plural},
};

/// The longest name, in characters.
pub(crate) const NAME_CHARS: usize = 40;
const SLUG_CHARS: usize = 40;
const PROMPT_CHARS: usize = 600;
/// The bounds of a name that is only the beginning of a prompt.
const BEGINNING_WORDS: usize = 3;
const BEGINNING_CHARS: usize = 24;

/// A startup before it is built. Each text is short, on one line, without control characters, and not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idea {
    /// The display name, in the prompt's script, at most [`NAME_CHARS`] characters.
    pub(crate) name: String,
    /// The name for files, packages and hosts.
    pub(crate) slug: String,
    /// One sentence, at most 120 characters.
    pub(crate) tagline: String,
    /// The things that the product keeps, in the singular: "booking", "houseplant", or "item".
    pub(crate) noun: String,
    /// The noun in the plural.
    pub(crate) nouns: String,
    /// The beginning of the prompt.
    pub(super) prompt: String,
    pub(super) kind: StartupKind,
}

/// A kind of startup, with its placeholders filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartupKind {
    /// Words, in the singular, that name this kind in a prompt.
    words: Vec<String>,
    noun: String,
    tagline: String,
    /// A colour on which white text can be read.
    pub(super) accent: String,
    pub(super) statuses: Vec<String>,
    pub(super) title_label: String,
    pub(super) detail_label: String,
    pub(super) lead: String,
    /// Title and text.
    pub(super) features: Vec<(String, String)>,
    /// Four lines, of which the first is the headline.
    pub(super) problem: Vec<String>,
    pub(super) solution: Vec<String>,
    pub(super) market: Vec<String>,
    pub(super) model: Vec<String>,
}

/// The kinds of startup; the last one fits prompts that no other fits.
const KINDS: &str = include_str!("template/kinds.json");

/// Words after which a prompt names the thing that the product keeps.
const KEEPING: [&str; 16] = [
    "tracker",
    "track",
    "tracking",
    "list",
    "manager",
    "manage",
    "managing",
    "inventory",
    "catalogue",
    "catalog",
    "journal",
    "library",
    "collection",
    "organizer",
    "organiser",
    "planner",
];

/// Slugs that would collide with the template's dependencies.
const TAKEN: [&str; 7] = ["react", "next", "vitest", "postcss", "autoprefixer", "tailwindcss", "typescript"];

/// Reads a prompt of any length in any script. The same prompt always results in the same idea.
pub(crate) fn read(prompt: &str) -> Idea {
    let read = Prompt::read(prompt);
    let mut kind = kind(&read);
    let name = name(&read);
    let noun = match read.subject().noun {
        noun if noun != "item" && read.has(&KEEPING) => noun,
        _ => kind.noun.clone(),
    };
    let nouns = plural(&noun);
    kind.fill(&[("name", &name), ("noun", &noun), ("nouns", &nouns), ("Nouns", &capital(&nouns))]);
    let prompt = one_line(prompt, PROMPT_CHARS);
    Idea { slug: slug(&name), tagline: kind.tagline.clone(), name, noun, nouns, prompt, kind }
}

/// A name as a DNS label, a file name and a package name: 1 to 40 of `a-z`, `0-9` and `-`, beginning with a letter
/// and not ending in `-`. It is `startup` for a name without Latin letters.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match latin(c) {
            Some(letters) => slug.push_str(letters),
            None if c.is_ascii_alphanumeric() => slug.push(c),
            None if slug.is_empty() || slug.ends_with('-') || matches!(c, '\'' | '’') => {}
            None => slug.push('-'),
        }
    }
    if !slug.contains(|c: char| c.is_ascii_alphabetic()) {
        return "startup".to_owned();
    }
    if !slug.starts_with(|c: char| c.is_ascii_alphabetic()) {
        slug.insert_str(0, "startup-");
    }
    slug.truncate(SLUG_CHARS);
    let slug = slug.trim_end_matches('-');
    match TAKEN.contains(&slug) || hatch_code::safe_path(slug).is_err() {
        true => format!("{slug}-startup"),
        false => slug.to_owned(),
    }
}

/// Transliterates a letter of a European language.
fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' | 'ā' | 'ă' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' | 'ē' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ı' | 'ī' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ő' | 'ō' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'ù' | 'ú' | 'û' | 'ů' | 'ű' | 'ū' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'þ' => "th",
        _ => return None,
    })
}

impl StartupKind {
    fn fill(&mut self, values: &[(&str, &str)]) {
        let features = self.features.iter_mut().flat_map(|(title, text)| [title, text]);
        let slides = [&mut self.problem, &mut self.solution, &mut self.market, &mut self.model];
        let texts = [&mut self.tagline, &mut self.lead].into_iter().chain(features);
        for text in texts.chain(slides.into_iter().flatten()) {
            *text = fill(text, values);
        }
    }
}

/// The kind with the most of its words in the prompt; words before the details count twice. The first of equals wins.
fn kind(read: &Prompt) -> StartupKind {
    let kinds: Vec<StartupKind> = hatch_json::from_str(KINDS).unwrap_or_default();
    let points = |kind: &StartupKind| -> usize {
        let found = kind.words.iter().filter_map(|word| read.position(word));
        found.map(|at| 1 + usize::from(at < read.head)).sum()
    };
    let scored = kinds.into_iter().map(|kind| (points(&kind), kind));
    let best = scored.reduce(|best, next| match next.0 > best.0 || (best.0 == 0 && next.0 == 0) {
        true => next,
        false => best,
    });
    best.map_or_else(StartupKind::default, |(_, kind)| kind)
}

/// The name in the prompt, or the title it suggests, or its beginning.
fn name(read: &Prompt) -> String {
    let stops = [",", ".", ";", "!", "?", " that ", " which ", " with ", " for ", " where ", " and "];
    let given = read.name_after(&["called ", "named ", "titled "], &stops);
    // Titles are made by rules of English grammar.
    let is_latin = |title: &String| title.chars().all(|c| c < '\u{250}' || !c.is_alphabetic());
    let title = || read.subject().title.filter(is_latin);
    let name = given.or_else(title).unwrap_or_else(|| beginning(&read.text));
    match one_line(&name, NAME_CHARS) {
        name if name.contains(char::is_alphanumeric) => name,
        _ => "My Startup".to_owned(),
    }
}

/// The first words of the first clause.
fn beginning(text: &str) -> String {
    let ends = |c: char| ".,;:!?…、。，；：！？।؟،()[]{}<>\"“”«»「」".contains(c);
    let clause = text.split(ends).map(str::trim).find(|clause| clause.contains(char::is_alphanumeric));
    let words: Vec<&str> = clause.unwrap_or_default().split_whitespace().take(BEGINNING_WORDS).collect();
    capital(&one_line(&words.join(" "), BEGINNING_CHARS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_idea_is_named_after_what_the_prompt_says() {
        for (prompt, name, slug, kind) in [
            ("An app called Zen Garden that helps people meditate", "Zen Garden", "zen-garden", "habit"),
            (
                "A marketplace for handmade candles",
                "Handmade Candles Marketplace",
                "handmade-candles-marketplace",
                "listing",
            ),
            ("a houseplant tracker", "Houseplant Tracker", "houseplant-tracker", "houseplant"),
            (
                "Build a booking platform for dog walkers",
                "Dog Walkers Booking Platform",
                "dog-walkers-booking-platform",
                "booking",
            ),
            ("日本の農家のための市場。新鮮な野菜", "日本の農家のための市場", "startup", "item"),
            ("Crème brûlée für Köln", "Crème Brûlée Für Köln", "creme-brulee-fuer-koeln", "item"),
            ("next", "Next", "next-startup", "item"),
            ("3D printing", "3D Printing", "startup-3d-printing", "item"),
            ("?!", "My Startup", "my-startup", "item"),
        ] {
            let idea = read(prompt);
            assert_eq!(
                (idea.name.as_str(), idea.slug.as_str(), idea.noun.as_str()),
                (name, slug, kind),
                "{prompt}"
            );
        }
    }

    #[test]
    fn every_kind_is_whole_and_found_by_each_of_its_words() {
        let kinds: Vec<StartupKind> = hatch_json::from_str(KINDS).unwrap();
        assert!(kinds.last().unwrap().words.is_empty());
        for known in &kinds {
            assert_eq!((known.statuses.len(), known.features.len()), (3, 3), "{}", known.noun);
            for word in &known.words {
                assert_eq!(kind(&Prompt::read(word)).noun, known.noun, "{word}");
            }
            let mut filled = known.clone();
            filled.fill(&[("name", "N"), ("noun", "n"), ("nouns", "ns"), ("Nouns", "Ns")]);
            assert!(!format!("{filled:?}").contains("{{"), "{filled:?}");
        }
    }

    #[test]
    fn a_prompt_is_of_the_kind_that_it_names() {
        assert_eq!(read("AI scheduling tool for freelancers").noun, "booking");
        assert_eq!(read("AI agent for support teams").noun, "task");
    }

    proptest! {
        #[test]
        fn any_prompt_gives_an_idea_within_its_bounds(prompt in "(\\PC|\\pC|[ \n.]|called ){0,200}") {
            let idea = read(&prompt);
            prop_assert!((1..=NAME_CHARS).contains(&idea.name.chars().count()), "{}", idea.name);
            prop_assert!(!idea.name.contains(char::is_control));
            prop_assert!((1..=120).contains(&idea.tagline.chars().count()), "{}", idea.tagline);
            prop_assert_eq!(read(&prompt), idea.clone());
        }

        #[test]
        fn a_slug_is_a_label_of_a_host(name in "(\\PC|[a-zA-Z0-9 -]){0,80}") {
            let slug = slug(&name);
            prop_assert!((1..=SLUG_CHARS + 8).contains(&slug.len()));
            prop_assert!(slug.starts_with(|c: char| c.is_ascii_lowercase()) && !slug.ends_with('-'));
            prop_assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert_eq!(super::slug(&slug), slug.clone());
        }
    }
}
