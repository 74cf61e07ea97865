//! The changes that the sandbox model can make to an app: title, colours, light or dark mode, text
//! size, corners.
//!
//! A colour, a size or a colour scheme is a custom property in the style sheet; the title is in the
//! page. An app without such a place stays unchanged.

use std::collections::BTreeMap;

use super::wording::Prompt;

/// One change that can be applied.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Title(String),
    /// A property of the style sheet, its new value, and a description of the change.
    Style {
        property: &'static str,
        value: String,
        message: String,
    },
    /// Larger or smaller text, in steps of an eighth.
    Text(i32),
}

/// Whether the prompt starts a project or changes one: a first prompt describes the app ("a list
/// with dark mode, called Zen"), a later one commands ("call it Zen").
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PromptTurn {
    First,
    FollowUp,
}

/// The result: the changed files, and a description of each change.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) files: BTreeMap<String, String>,
    /// Includes changes that were in place already.
    pub(super) done: Vec<String>,
}

const COLOURS: &[(&str, &str)] = &[
    ("red", "#d6323e"),
    ("crimson", "#c01f45"),
    ("coral", "#e8604c"),
    ("orange", "#e0701a"),
    ("amber", "#c98a00"),
    ("gold", "#b8860b"),
    ("yellow", "#d9a800"),
    ("lime", "#4f7d0c"),
    ("green", "#1e8045"),
    ("emerald", "#0d7d60"),
    ("mint", "#1f8262"),
    ("teal", "#0f7f86"),
    ("turquoise", "#0e7f7f"),
    ("cyan", "#0e7490"),
    ("sky", "#0b75b8"),
    ("blue", "#2563d9"),
    ("navy", "#1f3a7a"),
    ("indigo", "#4f46e5"),
    ("violet", "#7048e8"),
    ("purple", "#8a3fd1"),
    ("magenta", "#c026a3"),
    ("pink", "#cf3a87"),
    ("rose", "#d42c52"),
    ("brown", "#8a5a3c"),
    ("grey", "#5f6670"),
    ("gray", "#5f6670"),
    ("black", "#1c1c22"),
    ("white", "#f4f4f6"),
];
/// Words that may stand between a colour and what it colours.
const SHADES: &[&str] = &[
    "dark", "light", "deep", "bright", "soft", "pastel", "warm", "nice", "more", "bit", "a", "an", "the",
    "of", "really", "very",
];
const COLOURED: &[&str] = &[
    "theme",
    "accent",
    "colour",
    "color",
    "button",
    "scheme",
    "tone",
    "look",
    "style",
    "highlight",
    "background",
    "page",
];

/// The changes that a prompt asks for, in the order in which they are applied.
pub(super) fn requested(read: &Prompt, turn: PromptTurn) -> Vec<Change> {
    let mut changes = vec![];
    // The page of a new app already contains its name.
    if turn == PromptTurn::FollowUp {
        changes.extend(name(read, turn).map(Change::Title));
    }
    changes.extend(colours(read, turn));
    changes.extend(scheme(read).map(|(value, message)| style("color-scheme", value, message)));
    if turn == PromptTurn::FollowUp {
        changes.extend(text_size(read).map(Change::Text));
    }
    changes.extend(corners(read).map(|(value, message)| style("--radius", value, message)));
    changes
}

/// The name that the prompt gives to the app.
pub(super) fn name(read: &Prompt, turn: PromptTurn) -> Option<String> {
    let clauses = [
        " and make",
        " and change",
        " and use",
        " and set",
        " and turn",
        " and give",
        " and add",
        ", ",
        ". ",
        "; ",
        " please",
        " instead",
    ];
    match turn {
        PromptTurn::First => {
            let details = [" with ", " that ", " which ", " for ", " in which ", " where "];
            let stops: Vec<&str> = clauses.iter().chain(&details).copied().collect();
            let at = read.position("called").or(read.position("named")).or(read.position("titled"))?;
            // "A list with a column called Priority" names the column.
            let of_the_app = at <= read.head;
            read.name_after(&["called ", "named ", "titled "], &stops).filter(|_| of_the_app)
        }
        PromptTurn::FollowUp => {
            let phrases = [
                "call it ",
                "call this ",
                "call the app ",
                "name it ",
                "name the app ",
                "rename it to ",
                "rename to ",
                "rename this to ",
                "rename the app to ",
                "rename the project to ",
                "rename the app ",
                "rename it ",
                "title to ",
                "title should be ",
                "title: ",
                "heading to ",
                "heading should be ",
                "headline to ",
                "name to ",
                "name should be ",
                "retitle it ",
            ];
            read.name_after(&phrases, &clauses)
        }
    }
}

/// The first colour in the prompt, by code or by name, as `#rrggbb`.
pub(super) fn colour(read: &Prompt) -> Option<String> {
    code(read).or_else(|| read.words.iter().find_map(|word| named(word)).map(str::to_owned))
}

fn named(word: &str) -> Option<&'static str> {
    COLOURS.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}

/// A colour code such as `#0af` or `#00aaff`, in six digits.
fn code(read: &Prompt) -> Option<String> {
    read.text.split('#').skip(1).find_map(|after| {
        let digits: String =
            after.chars().take_while(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
        match digits.len() {
            3 => Some(format!("#{}", digits.chars().flat_map(|digit| [digit, digit]).collect::<String>())),
            6 => Some(format!("#{digits}")),
            _ => None,
        }
    })
}

fn colours(read: &Prompt, turn: PromptTurn) -> Vec<Change> {
    if let Some(code) = code(read) {
        return match read.has(&["background"]) {
            true => background(&code, &code),
            false => accent(&code, &code),
        };
    }
    for (at, word) in read.words.iter().enumerate() {
        let Some(code) = named(word) else { continue };
        let before: Vec<&str> = read
            .words
            .iter()
            .take(at)
            .rev()
            .map(String::as_str)
            .filter(|word| !SHADES.contains(word))
            .take(2)
            .collect();
        let after = read.words.get(at + 1).map_or("", String::as_str);
        let on_page = after == "background" || before.contains(&"background");
        let coloured = COLOURED.contains(&after)
            || before.first().is_some_and(|word| {
                ["in", "it", "to", "be", "everything", "more", "into"].contains(word)
                    || COLOURED.contains(word)
            });
        // "A green timer".
        let first =
            before.first().is_none_or(|word| ["make", "build", "create", "design", "want"].contains(word));
        let of_a_new_app = first && (turn == PromptTurn::First || read.asks_for_an_app());
        // "Green, please" is a complete message; "green tea" in a longer one is not.
        let alone = turn == PromptTurn::FollowUp && read.words.len() <= 3;
        let dark_or_light = on_page || after == "mode" || after == "theme";
        match word.as_str() {
            "black" if dark_or_light => return vec![style("color-scheme", "dark", "dark mode")],
            "white" if dark_or_light => return vec![style("color-scheme", "light", "light mode")],
            "white" => {}
            _ if on_page => return background(code, word),
            _ if coloured || alone || of_a_new_app => return accent(code, word),
            _ => {}
        }
    }
    vec![]
}

fn accent(code: &str, message: &str) -> Vec<Change> {
    vec![
        style("--accent", code, &format!("{message} as the accent colour")),
        // Follows from the accent colour, so it is not mentioned.
        style("--on-accent", text_on(code), ""),
    ]
}

/// The colour as a tint, in light and in dark, so that text stays readable.
fn background(code: &str, message: &str) -> Vec<Change> {
    let tint = format!(
        "light-dark(color-mix(in srgb, {code} 16%, #ffffff), color-mix(in srgb, {code} 22%, #0d0d11))"
    );
    vec![style("--page", &tint, &format!("a {message} background"))]
}

fn scheme(read: &Prompt) -> Option<(&'static str, &'static str)> {
    // A switch on the page is more than a style change.
    if read.has(&["toggle", "switcher", "mode switch", "mode button", "theme switch"]) {
        return None;
    }
    let dark = read.has(&[
        "dark mode",
        "dark theme",
        "dark version",
        "dark background",
        "night mode",
        "make it dark",
        "darker",
        "in dark",
    ]);
    let light = read.has(&[
        "light mode",
        "light theme",
        "light version",
        "light background",
        "day mode",
        "make it light",
        "lighter",
    ]);
    let both = read.has(&[
        "light and dark",
        "dark and light",
        "light dark",
        "system theme",
        "dark or light",
        "light or dark",
    ]);
    let no_dark =
        read.has(&["no dark", "not dark", "remove dark", "remove the dark", "without dark", "le dark"]);
    match (both || dark && light, dark, light || no_dark) {
        (true, ..) => Some(("light dark", "light or dark as the system is")),
        (_, true, false) => Some(("dark", "dark mode")),
        (_, _, true) => Some(("light", "light mode")),
        _ => None,
    }
}

fn text_size(read: &Prompt) -> Option<i32> {
    let of_text = read.has(&[
        "text",
        "font",
        "letter",
        "type size",
        "everything",
        "make it bigger",
        "make it larger",
        "make it smaller",
    ]);
    if of_text && read.has(&["bigger", "larger", "large", "big", "increase", "bump"]) {
        return Some(1);
    }
    (of_text && read.has(&["smaller", "small", "decrease", "reduce"])).then_some(-1)
}

fn corners(read: &Prompt) -> Option<(&'static str, &'static str)> {
    let square = [
        "square corner",
        "sharp corner",
        "sharper",
        "less rounded",
        "not rounded",
        "no rounded",
        "square edge",
        "sharp edge",
        "boxy",
    ];
    if read.has(&square) {
        return Some(("3px", "square corners"));
    }
    read.has(&["rounded", "rounder", "round corner", "round button", "soft corner"])
        .then_some(("26px", "rounded corners"))
}

fn style(property: &'static str, value: &str, message: &str) -> Change {
    Change::Style { property, value: value.to_owned(), message: message.to_owned() }
}

/// Applies the changes to the files. The outcome contains only files that differ afterwards.
pub(super) fn apply(files: &BTreeMap<String, String>, changes: &[Change]) -> Outcome {
    let mut outcome = Outcome::default();
    for change in changes {
        let extension = if matches!(change, Change::Title(_)) { ".html" } else { ".css" };
        // The first file with the property or title: `index.html` and `styles.css` before files in
        // folders.
        let mut paths: Vec<&String> = files.keys().filter(|path| path.ends_with(extension)).collect();
        paths.sort_by_key(|path| (path.matches('/').count(), path.as_str() != "index.html"));
        for path in paths {
            let Some(before) = outcome.files.get(path).or(files.get(path)) else { continue };
            let Some((after, message)) = changed(before, change) else { continue };
            outcome.files.insert(path.clone(), after);
            outcome.done.extend(Some(message).filter(|message| !message.is_empty()));
            break;
        }
    }
    outcome.files.retain(|path, text| files.get(path) != Some(text));
    outcome
}

/// The changed file and a description of the change; `None` if the change does not apply to the
/// file.
fn changed(text: &str, change: &Change) -> Option<(String, String)> {
    match change {
        Change::Title(title) => Some((with_title(text, title)?, format!("the title is “{title}”"))),
        Change::Style { property, value, message } => {
            Some((with_property(text, property, value)?, message.clone()))
        }
        Change::Text(steps) => {
            let size: f64 = property(text, "--text")?.strip_suffix("rem")?.parse().ok()?;
            let size = (size + 0.125 * f64::from(*steps)).clamp(0.75, 1.75);
            Some((
                with_property(text, "--text", &format!("{size}rem"))?,
                format!("text at {} % of its usual size", size * 100.0),
            ))
        }
    }
}

/// The page with a new title and first heading.
fn with_title(page: &str, title: &str) -> Option<String> {
    let title = super::fill::html(title);
    let in_tab = with_element(page, "title", &title);
    let in_page = with_element(in_tab.as_deref().unwrap_or(page), "h1", &title);
    in_page.or(in_tab)
}

/// The page with new content in the first element of this name.
fn with_element(page: &str, name: &str, content: &str) -> Option<String> {
    let (before, rest) = page.split_once(&format!("<{name}"))?;
    let (attributes, rest) = rest.split_once('>')?;
    let (_, after) = rest.split_once(&format!("</{name}>"))?;
    Some(format!("{before}<{name}{attributes}>{content}</{name}>{after}"))
}

/// The style sheet with this accent colour.
pub(super) fn with_accent(css: &str, code: &str) -> String {
    let coloured = with_property(css, "--accent", code);
    coloured
        .and_then(|css| with_property(&css, "--on-accent", text_on(code)))
        .unwrap_or_else(|| css.to_owned())
}

/// The value in the first declaration of the property.
fn property<'a>(css: &'a str, name: &str) -> Option<&'a str> {
    css.lines().find_map(|line| declared(line, name))
}

fn declared<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (value, _) = line.trim_start().strip_prefix(name)?.strip_prefix(':')?.split_once(';')?;
    Some(value.trim())
}

/// The style sheet with the first declaration of the property replaced.
fn with_property(css: &str, name: &str, value: &str) -> Option<String> {
    property(css, name)?;
    let mut open = true;
    let lines = css.split_inclusive('\n').map(|line| match declared(line, name).filter(|_| open) {
        Some(old) => {
            open = false;
            line.replacen(old, value, 1)
        }
        None => line.to_owned(),
    });
    Some(lines.collect())
}

/// Black or white, whichever is easier to read on the colour (WCAG 2 contrast; equal at a luminance of 0.179).
fn text_on(code: &str) -> &'static str {
    let number = u32::from_str_radix(code.trim_start_matches('#'), 16).unwrap_or(0);
    let channel = |shift: u32| {
        let value = f64::from(number >> shift & 255) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0);
    if luminance > 0.18 { "#111111" } else { "#ffffff" }
}
