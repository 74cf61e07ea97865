//! The kinds of app that the sandbox model can write, how it picks one, and how it fills its
//! templates.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    edits::{self, PromptTurn},
    fill::{fill, html, script_data},
    templates::Templates,
    wording::{Prompt, Subject, capital, plural, titled},
};

/// A kind of app: the words that ask for it, and the name of its templates.
#[derive(Debug)]
pub(super) struct Archetype {
    pub(super) name: &'static str,
    title: &'static str,
    accent: &'static str,
    tagline: &'static str,
    /// What it does, as a phrase after the title and a colon.
    pub(super) about: &'static str,
    /// Phrases in the singular, each with a weight.
    words: &'static [(&'static str, u32)],
    /// Scripts that are loaded before its own.
    parts: &'static [&'static str],
}

/// A generated app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) title: String,
    /// A note for the user.
    pub(super) note: Option<String>,
    pub(super) files: BTreeMap<String, String>,
}

/// The content of an archetype for a topic. The last entry of `content.json` is the default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    words: Vec<String>,
    title: Option<String>,
    tagline: Option<String>,
    note: Option<String>,
    data: Map<String, Value>,
}

/// Words that name the thing itself count three times, words for its topic twice, words in the
/// details once. From this score an archetype fits.
const FITS: u32 = 4;
/// From this score it fits so well that it may replace an existing app.
const FITS_CLEARLY: u32 = 8;

macro_rules! archetype {
    ($name:literal, $title:literal, $accent:literal, [$($word:literal $weight:literal),* $(,)?], $tagline:literal, $about:literal $(, with $part:literal)?) => {
        Archetype {
            name: $name,
            title: $title,
            accent: $accent,
            tagline: $tagline,
            about: $about,
            words: &[$(($word, $weight)),*],
            parts: &[$($part)?],
        }
    };
}

/// All archetypes except the general one.
pub(super) static ARCHETYPES: &[Archetype] = &[
    archetype!("timer", "Pomodoro Timer", "#cf3a44",
        ["pomodoro" 6, "timer" 4, "stopwatch" 5, "focus" 1],
        "One thing at a time, then a break.",
        "a timer with focus, breaks and a stopwatch, and a record of the day."),
    archetype!("expenses", "Expense Tracker", "#0d7d60",
        ["expense" 5, "budget" 4, "spending" 4, "split the bill" 5, "split bill" 5, "finance" 3, "cost" 1, "money" 1],
        "Where the money goes.",
        "expenses by category, a budget, and who owes whom."),
    archetype!("quiz", "Quiz", "#7048e8",
        ["quiz" 6, "trivia" 5, "question game" 4],
        "Choose an answer with a click or the keys 1 to 4.",
        "a quiz with mixed questions, a score, a review of the answers and room for your own questions."),
    archetype!("tictactoe", "Tic Tac Toe", "#2563d9",
        ["tic tac toe" 8, "tictactoe" 8, "nought and crosse" 8, "three in a row" 6],
        "Three in a row win.",
        "the game against the computer or for two, with the score kept."),
    archetype!("memory", "Memory Game", "#c2418f",
        ["memory game" 7, "memory card" 6, "matching game" 6, "matching pair" 6, "match pair" 5, "concentration game" 6, "memory" 1],
        "Turn two cards at a time.",
        "the game of pairs in three sizes, with moves, time and your best."),
    archetype!("snake", "Snake", "#2a8037",
        ["snake" 5, "arcade" 4, "game" 2, "chess" 3, "tetris" 3, "pong" 3, "hangman" 3, "sudoku" 3, "minesweeper" 3, "platformer" 3],
        "Eat, grow, and do not bite yourself.",
        "the game with keys or buttons, a speed to choose and your best score."),
    archetype!("landing", "Welcome", "#b4541a",
        ["landing page" 6, "landing" 3, "homepage" 5, "home page" 5, "portfolio" 5, "product page" 5, "website for" 3, "site for" 3, "web page for" 3,
         "website" 1, "bakery" 2, "restaurant" 1, "cafe" 1, "coffee shop" 2, "gym" 1, "salon" 1, "startup" 1, "business" 1, "band" 1],
        "Welcome.",
        "a page with an offer to choose from, opening hours, questions and a checked contact form."),
    archetype!("notes", "Notes", "#8a6a00",
        ["note" 4, "markdown" 3, "journal" 4, "diary" 4, "notepad" 5, "notebook" 4],
        "Write on one side, read on the other.",
        "notes in Markdown with a live preview and a search."),
    archetype!("converter", "Unit Converter", "#0a749d",
        ["converter" 5, "convert" 4, "conversion" 4, "unit" 1],
        "Type on either side.",
        "eight kinds of units, converted in both directions as you type."),
    archetype!("todo", "Todo List", "#4f46e5",
        ["todo" 5, "to do" 4, "task" 4, "checklist" 4, "chore" 4, "kanban" 5],
        "What needs doing, and what is done.",
        "tasks with priority and date that can be added, edited, filtered and ticked."),
    archetype!("habits", "Habit Tracker", "#1b7c51",
        ["habit" 5, "streak" 3, "routine" 3],
        "A small step a day.",
        "a week at a glance, with ticks, streaks and habits of your own."),
    archetype!("poll", "Poll", "#6d3fd1",
        ["poll" 6, "vote" 4, "voting" 4, "survey" 4, "ballot" 4],
        "Choose one. You can change your mind.",
        "a poll with live bars, to which options can be added. Votes stay on the device, as a static page has no server to count them."),
    archetype!("palette", "Colour Palette", "#7c5ce0",
        ["palette" 5, "colour picker" 6, "color picker" 6, "colour scheme" 5, "color scheme" 5, "colour" 1, "color" 1],
        "Five colours that go together.",
        "palettes by harmony from a colour you choose, with codes to copy and the contrast checked.", with "copy"),
    archetype!("recipes", "Recipe Box", "#c4472b",
        ["recipe" 5, "cookbook" 5, "cooking" 1],
        "What to cook, for how many.",
        "recipes to search, to scale to any number of servings and to add to."),
    archetype!("drawing", "Drawing Pad", "#c2368a",
        ["drawing" 5, "draw" 4, "sketch" 4, "sketchpad" 5, "paint" 4, "whiteboard" 5, "doodle" 4, "painting" 1],
        "Draw with the mouse, a finger or a pen.",
        "a pad with colours, an eraser, undo and redo, which makes a picture to save."),
    archetype!("countdown", "Countdown", "#3b5bdb",
        ["countdown" 6, "count down" 6, "day until" 5, "day to" 1],
        "It is coming closer.",
        "days, hours, minutes and seconds to go, and dates of your own."),
    archetype!("password", "Password Generator", "#0f766e",
        ["password" 5, "passphrase" 5],
        "Long, random and only yours.",
        "passwords, passphrases and PINs from the browser's secure generator, with their strength.", with "copy"),
    archetype!("flashcards", "Flashcards", "#b45309",
        ["flashcard" 6, "flash card" 6, "vocabulary" 4, "spaced repetition" 5],
        "Turn the card, be honest, come back tomorrow.",
        "cards to turn in either direction, which come back until you know them."),
    archetype!("calculator", "Calculator", "#e0701a",
        ["calculator" 4, "calculate" 3],
        "With the keys or the keyboard.",
        "a calculator with parentheses, keyboard and history."),
];

static GENERAL: Archetype = archetype!(
    "collection",
    "My List",
    "#4263eb",
    [],
    "Add, tick, find.",
    "a collection to add to, edit, tick, search, filter and sort."
);

/// The archetype for prompts that no other one fits.
pub(super) fn general() -> &'static Archetype {
    &GENERAL
}

/// The best archetype for the prompt; `None` if none fits.
pub(super) fn find(read: &Prompt) -> Option<&'static Archetype> {
    best(read, FITS)
}

/// As [`find`], for an app that replaces another one.
pub(super) fn find_clearly(read: &Prompt) -> Option<&'static Archetype> {
    best(read, FITS_CLEARLY)
}

/// The highest score wins; among equals, the one that the prompt names first.
fn best(read: &Prompt, least: u32) -> Option<&'static Archetype> {
    let scored = ARCHETYPES.iter().map(|archetype| (score(archetype, read), archetype));
    let (_, archetype) = scored
        .filter(|((points, _), _)| *points >= least)
        .min_by_key(|((points, position), _)| (u32::MAX - points, *position))?;
    Some(archetype)
}

/// The score, and the position of the first matching word.
fn score(archetype: &Archetype, read: &Prompt) -> (u32, usize) {
    let found = archetype.words.iter().filter_map(|(phrase, weight)| Some((read.position(phrase)?, *weight)));
    found.fold((0, usize::MAX), |(points, first), (position, weight)| {
        let times = 1 + u32::from(position < read.head) + u32::from(position < read.thing);
        (points + times * weight, first.min(position))
    })
}

/// Whether the files are an app of this archetype.
pub(super) fn is_made_from(archetype: &Archetype, files: &BTreeMap<String, String>) -> bool {
    let mark = format!("data-app=\"{}\"", archetype.name);
    files.get("index.html").is_some_and(|page| page.contains(&mark))
}

/// Generates the app: three files with a title, content and colours for the prompt.
pub(super) fn write(archetype: &Archetype, read: &Prompt, templates: &Templates) -> App {
    let subject = read.subject();
    let mut content = content(archetype, read, templates);
    personalise(archetype, &mut content, read, &subject);

    let own = subject.title.as_ref().filter(|_| archetype.name != "landing");
    let about = subject.about.as_deref().map(titled).filter(|_| archetype.name == "landing");
    let title = edits::name(read, PromptTurn::First)
        .or(content.title)
        .or(own.cloned())
        .or(about)
        .unwrap_or_else(|| archetype.title.to_owned());
    let tagline = content.tagline.as_deref().unwrap_or(archetype.tagline);

    let add = html(&format!("New {}", subject.noun));
    let search = html(&format!("In all {}", plural(&subject.noun)));
    let own = |extension: &str| templates.get(&format!("{}.{extension}", archetype.name));
    let body = fill(own("html"), &[("add", &add), ("search", &search)]);
    let prompt: String = read.text.chars().take(160).collect();
    let page = fill(
        templates.get("page.html"),
        &[
            ("app", archetype.name),
            ("title", &html(&title)),
            ("tagline", &html(tagline)),
            ("prompt", &html(&prompt)),
            ("body", &body),
        ],
    );
    let base = templates.get("base.css");
    let styles = edits::with_accent(&format!("{base}\n{}", own("css")), archetype.accent);
    let parts = archetype.parts.iter().map(|part| templates.get(&format!("{part}.js")));
    let script =
        [&script_data(&content.data), templates.get("common.js"), &parts.collect::<String>(), own("js")]
            .concat();

    let files = [("index.html", page), ("styles.css", styles), ("app.js", script)];
    App {
        title,
        note: content.note,
        files: files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect(),
    }
}

/// The content with the most matching words in the prompt; the last one if none matches.
fn content(archetype: &Archetype, read: &Prompt, templates: &Templates) -> Content {
    let all = hatch_json::from_str(templates.get("content.json"));
    let mut all: BTreeMap<String, Vec<Content>> = all.unwrap_or_default();
    let mut variants = all.remove(archetype.name).unwrap_or_default();
    let rest = variants.pop().unwrap_or_default();
    let hits = |content: &Content| content.words.iter().filter(|word| read.position(word).is_some()).count();
    // `max_by_key` returns the last of equals, but the first should win.
    let best = variants.into_iter().rev().max_by_key(hits);
    best.filter(|content| hits(content) > 0).unwrap_or(rest)
}

/// Adds what only the prompt can provide: durations, names, options, nouns.
fn personalise(archetype: &Archetype, content: &mut Content, read: &Prompt, subject: &Subject) {
    let general = content.words.is_empty();
    let data = &mut content.data;
    match archetype.name {
        "timer" => {
            if let Some(minutes) = read.minutes() {
                data.insert("minutes".to_owned(), json!(minutes));
            }
        }
        "poll" => {
            let (question, options) = read.choice();
            let about = subject.about.as_deref().unwrap_or("it");
            if !options.is_empty() {
                let choice = || {
                    format!(
                        "{}: which one?",
                        subject.about.as_deref().map_or("Your choice".to_owned(), capital)
                    )
                };
                data.insert("question".to_owned(), json!(question.unwrap_or_else(choice)));
                data.insert("options".to_owned(), json!(options));
            } else if general && subject.about.is_some() {
                data.insert("question".to_owned(), json!(format!("What do you think about {about}?")));
                data.insert(
                    "options".to_owned(),
                    json!(["I like it", "I can live with it", "Not for me", "Not sure yet"]),
                );
            }
        }
        "countdown" => {
            if let Some(about) = subject.about.as_deref().filter(|_| general) {
                data.insert("events".to_owned(), json!([{"name": capital(about)}]));
            }
        }
        "palette" => {
            if let Some(colour) = edits::colour(read) {
                data.insert("base".to_owned(), json!(colour));
            }
        }
        "collection" => {
            data.insert("noun".to_owned(), json!(subject.noun));
            data.insert("plural".to_owned(), json!(plural(&subject.noun)));
        }
        _ => {}
    }
}
