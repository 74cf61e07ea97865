use std::{collections::BTreeMap, sync::LazyLock};

use proptest::prelude::*;
use serde_json::Value;

use super::{MODEL, Templates, archetypes, events};

fn answer(prompt: &str, current: Option<&BTreeMap<String, String>>) -> String {
    static APPS: LazyLock<Templates> = LazyLock::new(|| Templates::for_test(Templates::APPS));
    super::answer(prompt, current, &APPS)
}

/// The files in an answer. A fence ends at the next fence of its length.
fn files(answer: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut lines = answer.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let fence: String = line.chars().take_while(|c| *c == '`').collect();
        if fence.len() < 3 {
            continue;
        }
        let path = line.trim_end().split_once(':').expect("a path").1.to_owned();
        let content: String = lines.by_ref().take_while(|line| line.trim_end() != fence).collect();
        files.insert(path, content);
    }
    files
}

fn app(prompt: &str) -> BTreeMap<String, String> {
    files(&answer(prompt, None))
}

fn kind(prompt: &str) -> String {
    let page = app(prompt).remove("index.html").unwrap_or_default();
    page.split("data-app=\"").nth(1).unwrap_or_default().split('"').next().unwrap_or_default().to_owned()
}

fn title(files: &BTreeMap<String, String>) -> &str {
    files["index.html"].split("<title>").nth(1).unwrap().split("</title>").next().unwrap()
}

/// The files that a second message changes in the app of the first one.
fn change(first: &str, message: &str) -> BTreeMap<String, String> {
    files(&answer(message, Some(&app(first))))
}

const NATURAL: &[(&str, &str, &str)] = &[
    ("a pomodoro timer", "timer", "Pomodoro Timer"),
    ("Build me a stopwatch", "timer", "Stopwatch"),
    ("an expense tracker for a trip", "expenses", "Trip Expense Tracker"),
    ("a quiz about capitals", "quiz", "Capitals Quiz"),
    ("tic tac toe", "tictactoe", "Tic Tac Toe"),
    ("landing page for a bakery", "landing", "Golden Crust Bakery"),
    ("Make a landing page for my dog grooming business, with prices", "landing", "Dog Grooming Business"),
    ("a markdown notes app", "notes", "Markdown Notes"),
    ("unit converter", "converter", "Unit Converter"),
    ("MEMORY GAME", "memory", "MEMORY GAME"),
    ("todo list for my team", "todo", "Team Todo List"),
    ("I need a to-do list", "todo", "To-do List"),
    ("habit tracker", "habits", "Habit Tracker"),
    ("poll", "poll", "Poll"),
    ("survey about coffee habits", "poll", "Coffee Habits Survey"),
    ("colour palette picker", "palette", "Colour Palette Picker"),
    ("recipe box", "recipes", "Recipe Box"),
    ("my recipes", "recipes", "Recipes"),
    ("a recipe box with a pomodoro timer and a stopwatch", "recipes", "Recipe Box"),
    ("drawing pad", "drawing", "Drawing Pad"),
    ("countdown to new year", "countdown", "Countdown to New Year"),
    ("password generator", "password", "Password Generator"),
    ("flashcards for Spanish", "flashcards", "Spanish Flashcards"),
    ("a calculator", "calculator", "Calculator"),
    ("snake", "snake", "Snake"),
    ("inventory of houseplants", "collection", "Houseplant Inventory"),
    ("I want an app that tracks my runs", "collection", "Runs"),
];

#[test]
fn natural_prompts_give_a_fitting_app_and_title() {
    for (prompt, name, named) in NATURAL {
        assert_eq!((kind(prompt).as_str(), title(&app(prompt))), (*name, *named), "{prompt}");
    }
}

#[test]
fn every_archetype_is_reached_by_a_natural_prompt() {
    for archetype in archetypes::ARCHETYPES.iter().chain([archetypes::general()]) {
        assert!(NATURAL.iter().any(|(_, name, _)| *name == archetype.name), "{}", archetype.name);
    }
}

#[test]
fn different_prompts_give_different_apps() {
    let scripts: Vec<String> = ["a poll", "a drawing pad", "a quiz about space", "a quiz about capitals"]
        .iter()
        .map(|prompt| app(prompt)["app.js"].clone())
        .collect();
    assert!(scripts.iter().enumerate().all(|(i, script)| !scripts[..i].contains(script)));
}

#[test]
fn every_app_is_complete() {
    for (prompt, ..) in NATURAL {
        let answer = answer(prompt, None);
        let files = files(&answer);
        assert!(!answer.contains("{{"), "a template is left open in {prompt}");
        let page = &files["index.html"];
        let mentioned = page.split(['"', ' ']).filter(|part| part.ends_with(".js") || part.ends_with(".css"));
        for path in mentioned {
            assert!(files.contains_key(path), "{prompt} mentions {path}");
        }
        assert_eq!(files.len(), 3);
        // The page or the script has each id that the script uses.
        let script = &files["app.js"];
        for id in script.split("$('#").skip(1).map(|rest| rest.split(['\'', ' ']).next().unwrap()) {
            assert!(
                page.contains(&format!("id=\"{id}\"")) || script.contains(&format!("id: '{id}'")),
                "{prompt}: no #{id}"
            );
        }
        assert!(
            !["http://", "https://"].iter().any(|scheme| page.contains(scheme)),
            "{prompt} loads from outside"
        );
    }
}

#[test]
fn the_content_of_the_templates_is_used() {
    assert!(app("a quiz about space")["app.js"].contains("Jupiter"));
    assert!(app("a quiz about the Roman Empire")["app.js"].contains("Mona Lisa"));
    assert!(app("inventory of houseplants")["app.js"].contains("Monstera"));
}

#[test]
fn a_fence_is_longer_than_the_fences_in_its_file() {
    let answer = answer("a markdown notes app", None);
    assert!(files(&answer)["app.js"].contains("```"));
    assert!(answer.contains("\n````js:app.js\n"));
}

#[test]
fn markup_in_a_prompt_comes_out_as_text() {
    let attack = "</script><img src=x onerror=alert(1)>{{body}}\u{2028}";
    for prompt in [
        attack.to_owned(),
        format!("a poll called \"{attack}\""),
        format!("a poll: {attack}, b or c"),
        format!("countdown to {attack}"),
        format!("quiz about {attack}"),
    ] {
        let files = app(&prompt);
        for (path, text) in &files {
            assert!(!text.contains("<img src=x"), "{path} for {prompt}");
            assert!(!text.contains("{{"), "{path} for {prompt}");
        }
        assert_eq!(files["index.html"].matches("</script>").count(), 1, "{prompt}");
        assert!(!files["app.js"].contains("</script>"), "{prompt}");
        assert!(files["index.html"].contains("&lt;img src=x onerror=alert(1)&gt;"), "{prompt}");
    }
}

#[test]
fn details_of_the_prompt_are_in_the_app() {
    assert!(app("a 50 minute focus timer")["app.js"].contains("minutes: 50"));
    let poll = &app("poll: which day suits you, Monday, Tuesday or Friday?")["app.js"];
    assert!(
        poll.contains(r#"question: "Which day suits you?""#)
            && poll.contains(r#"["Monday","Tuesday","Friday"]"#),
        "{poll}"
    );
    assert!(app("a colour palette based on #ff8800")["app.js"].contains("\"#ff8800\""));
    assert!(app("inventory of houseplants")["app.js"].contains("noun: \"houseplant\""));
    let named = app("a todo list called “Zen & Co” in dark mode with a green theme");
    assert_eq!(title(&named), "Zen &amp; Co");
    assert!(
        named["styles.css"].contains("color-scheme: dark;")
            && named["styles.css"].contains("--accent: #1e8045;")
    );
}

#[test]
fn greetings_and_questions_get_an_answer_without_files() {
    for prompt in ["hello", "Thank you!", "What can you do?", ""] {
        let answer = answer(prompt, None);
        assert!(files(&answer).is_empty() && answer.contains("CLAUDE_API_KEY"), "{prompt}");
    }
}

#[test]
fn a_new_title_changes_only_the_page() {
    for message in [
        "call it Recipes for Two",
        "Rename the app to “Recipes for Two”, please",
        "change the title to Recipes for Two.",
    ] {
        let changed = change("recipe box", message);
        assert_eq!(changed.keys().collect::<Vec<_>>(), ["index.html"], "{message}");
        assert_eq!(title(&changed), "Recipes for Two", "{message}");
        assert!(changed["index.html"].contains("<h1>Recipes for Two</h1>"), "{message}");
    }
}

#[test]
fn a_new_style_changes_only_the_style_sheet() {
    for (message, line) in [
        ("make it green", "--accent: #1e8045;"),
        ("use #0af as the accent", "--accent: #00aaff;"),
        ("make the buttons purple", "--accent: #8a3fd1;"),
        ("make a blue timer", "--accent: #2563d9;"),
        ("dark mode please", "color-scheme: dark;"),
        ("set the background to white", "color-scheme: light;"),
        ("make the text bigger", "--text: 1.125rem;"),
        ("rounded corners", "--radius: 26px;"),
        ("make the background light blue", "--page: light-dark(color-mix(in srgb, #2563d9 16%, #ffffff)"),
    ] {
        let changed = change("a pomodoro timer", message);
        assert_eq!(changed.keys().collect::<Vec<_>>(), ["styles.css"], "{message}");
        assert!(changed["styles.css"].contains(line), "{message}");
    }
}

#[test]
fn two_changes_in_one_message_are_both_made() {
    let changed = change("a pomodoro timer", "call it Zen and make it teal");
    assert_eq!(title(&changed), "Zen");
    assert!(changed["styles.css"].contains("--accent: #0f7f86;"));
}

#[test]
fn text_grows_step_by_step_up_to_a_limit() {
    let mut files = app("a poll");
    for _ in 0..9 {
        files.extend(change_of(&files, "bigger text"));
    }
    assert!(files["styles.css"].contains("--text: 1.75rem;"));
}

fn change_of(current: &BTreeMap<String, String>, message: &str) -> BTreeMap<String, String> {
    files(&answer(message, Some(current)))
}

#[test]
fn another_app_replaces_the_first_on_request() {
    for message in ["build me a tic tac toe instead", "tic tac toe instead", "now make a tic tac toe game"] {
        assert!(change("a poll", message)["index.html"].contains("data-app=\"tictactoe\""), "{message}");
    }
    assert!(change("a quiz about capitals", "make a quiz about space")["app.js"].contains("Jupiter"));
    assert!(
        change("a poll", "build an app to track my plants")["index.html"].contains("data-app=\"collection\"")
    );
}

#[test]
fn a_change_that_it_cannot_make_gets_an_explanation() {
    for message in [
        "add a timer to each question",
        "add a login page",
        "add a dark mode toggle",
        "why is it slow?",
        "create a settings page",
        "make it better",
    ] {
        let answer = answer(message, Some(&app("a quiz about capitals")));
        assert!(files(&answer).is_empty() && answer.contains("CLAUDE_API_KEY"), "{message}");
    }
}

#[test]
fn a_change_that_is_already_made_changes_no_file() {
    let mut files = app("a poll");
    files.extend(change_of(&files, "make it green"));
    assert!(change_of(&files, "make it green").is_empty());
}

#[test]
fn foreign_files_stay_unchanged_when_the_change_does_not_apply() {
    let current = BTreeMap::from([
        ("public/index.html".to_owned(), "<h1 class=\"a\">Old</h1>".to_owned()),
        ("styles.css".to_owned(), "h1 { color: red }".to_owned()),
    ]);
    assert!(change_of(&current, "make it green").is_empty());
    assert_eq!(change_of(&current, "call it New")["public/index.html"], "<h1 class=\"a\">New</h1>\n");
}

fn data(event: &str) -> Value {
    hatch_json::from_str(event.trim_end().split_once("\ndata: ").unwrap().1).unwrap()
}

#[test]
fn events_come_in_claudes_order_and_name_their_type() {
    let events = events("msg_sandbox_1", "a poll", "Here is a poll that has quite a few words in it.");
    let names: Vec<String> =
        events.iter().map(|event| data(event)["type"].as_str().unwrap().to_owned()).collect();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(
        once,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    for (event, name) in events.iter().zip(&names) {
        assert!(
            event.starts_with(&format!("event: {name}\ndata: {{")) && event.ends_with("}\n\n"),
            "{event}"
        );
    }
    let message = &data(&events[0])["message"];
    assert_eq!((message["model"].as_str(), message["id"].as_str()), (Some(MODEL), Some("msg_sandbox_1")));
    let delta = data(&events[events.len() - 2]);
    assert_eq!(
        (delta["delta"]["stop_reason"].as_str(), delta["usage"]["output_tokens"].as_u64()),
        (Some("end_turn"), Some(12))
    );
}

fn streamed(answer: &str) -> String {
    let events = events("msg_\"1\n", "p", answer);
    assert!(events.iter().all(|event| event.matches('\n').count() == 3), "one data line a frame");
    events.iter().map(|event| data(event)["delta"]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

proptest! {
    #[test]
    fn any_prompt_gets_the_same_answer_twice_without_open_templates(prompt in any::<String>(), words in "([a-z]{1,9}[ ,.:\"#“<]{1,2}){0,12}") {
        for prompt in [prompt, words] {
            let first = answer(&prompt, None);
            prop_assert_eq!(&first, &answer(&prompt, None));
            prop_assert!(!first.contains("{{"));
        }
    }

    #[test]
    fn any_message_with_any_files_gets_an_answer(
        message in "((call it|make|title to|green|text|bigger|a|#|timer|dark|\"|“|<h1|İ|ß) ?){0,8}\\PC{0,9}",
        page in "(<title|<h1|>|</h1>|</title>|é| ){0,9}",
        css in "(--text:|--accent:| |;|\n|1rem|é){0,9}",
    ) {
        let current = BTreeMap::from([("index.html".to_owned(), page), ("styles.css".to_owned(), css)]);
        let first = answer(&message, Some(&current));
        prop_assert_eq!(&first, &answer(&message, Some(&current)));
    }

    #[test]
    fn the_joined_deltas_are_the_answer(text in any::<String>(), words in "(\\PC{0,9}[ \n\r\t]{0,3}){0,40}") {
        prop_assert_eq!(streamed(&text), text);
        prop_assert_eq!(streamed(&words), words);
    }
}
