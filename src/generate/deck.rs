//! The pitch deck: five slides as one HTML page without external resources. Pure.
//!
//! A slide fills the screen; in print each is a page of 13⅓ by 7½ inches, as presentations have. All sizes are relative to
//! the slide's width, so that screen and print look alike.

use serde::{Deserialize, Serialize};

use crate::upstream::sandbox::{fill, html};

/// How many slides every deck has.
pub(crate) const SLIDES: u32 = 5;

const PAGE: &str = include_str!("template/deck.html");
/// A slide with more characters than this gets a smaller font.
const DENSE_CHARS: usize = 330;
/// A name with more characters than this gets a smaller font.
const LONG_NAME: usize = 18;

/// The content of a deck. Plain text in any script: [`page`] escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deck {
    pub(crate) problem: Slide,
    pub(crate) solution: Slide,
    pub(crate) market: Slide,
    pub(crate) competitors: Vec<Competitor>,
    pub(crate) model: Slide,
    /// The next steps, and what the founders ask for.
    pub(crate) roadmap: Slide,
}

/// A headline and a few short points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slide {
    pub(crate) headline: String,
    pub(crate) points: Vec<String>,
}

/// A competitor, and how this product differs from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Competitor {
    pub(crate) name: String,
    pub(crate) difference: String,
}

/// Renders the page, `text/html; charset=utf-8`. Its style and its script, which is optional, are inline.
pub(crate) fn page(name: &str, tagline: &str, deck: &Deck) -> String {
    let slides = [
        cover(name, tagline),
        section(2, "problem", name, deck.problem.chars(), &problem(&deck.problem)),
        section(3, "solution", name, deck.solution.chars(), &split("Solution", &deck.solution, "points")),
        section(4, "market", name, market_chars(deck), &market(deck)),
        section(5, "plan", name, deck.model.chars().max(deck.roadmap.chars()), &plan(deck)),
    ];
    fill(PAGE, &[("name", &html(name)), ("hue", &hue(name).to_string()), ("slides", &slides.concat())])
}

impl Slide {
    fn chars(&self) -> usize {
        self.headline.chars().count() + self.points.iter().map(|point| point.chars().count()).sum::<usize>()
    }
}

fn market_chars(deck: &Deck) -> usize {
    let rivals =
        deck.competitors.iter().map(|rival| rival.name.chars().count() + rival.difference.chars().count());
    deck.market.chars().max(rivals.sum())
}

fn cover(name: &str, tagline: &str) -> String {
    let long = if name.chars().count() > LONG_NAME { " class=\"long\"" } else { "" };
    let (name, tagline) = (html(name), html(tagline));
    format!(
        "<section class=\"slide cover\" data-number=\"1\" data-name=\"Pitch deck\">\n<span class=\"mark\"></span>\n\
         <h1 dir=\"auto\"{long}>{name}</h1>\n<p dir=\"auto\">{tagline}</p>\n</section>\n"
    )
}

fn section(number: u32, class: &str, name: &str, chars: usize, body: &str) -> String {
    let dense = if chars > DENSE_CHARS { " dense" } else { "" };
    let name = html(name);
    format!(
        "<section class=\"slide {class}{dense}\" data-number=\"{number}\" data-name=\"{name}\">\n{body}</section>\n"
    )
}

fn problem(slide: &Slide) -> String {
    split("Problem", slide, "points numbered")
}

/// A slide with the headline on one side and the points on the other.
fn split(kicker: &str, slide: &Slide, class: &str) -> String {
    format!(
        "<div class=\"split\">\n<div>\n{}</div>\n{}</div>\n",
        heading(kicker, &slide.headline),
        list(class, &slide.points)
    )
}

fn market(deck: &Deck) -> String {
    let rivals = deck.competitors.iter().map(|rival| {
        let (name, difference) = (html(&rival.name), html(&rival.difference));
        format!("<li><b dir=\"auto\">{name}</b> <span dir=\"auto\">{difference}</span></li>\n")
    });
    let rivals = rivals.collect::<String>();
    let beside = match rivals.is_empty() {
        true => String::new(),
        false => format!("<div>\n<h3>Who else is there</h3>\n<ul class=\"rivals\">\n{rivals}</ul>\n</div>\n"),
    };
    format!(
        "{}<div class=\"split\">\n<div>\n<h3>What we see</h3>\n{}</div>\n{beside}</div>\n",
        heading("Market", &deck.market.headline),
        list("points", &deck.market.points)
    )
}

fn plan(deck: &Deck) -> String {
    format!(
        "<div class=\"split\">\n<div>\n{}{}</div>\n<div>\n{}{}</div>\n</div>\n",
        heading("Business model", &deck.model.headline),
        list("points", &deck.model.points),
        heading("What comes next", &deck.roadmap.headline),
        list("steps", &deck.roadmap.points)
    )
}

fn heading(kicker: &str, headline: &str) -> String {
    format!("<p class=\"kicker\">{kicker}</p>\n<h2 dir=\"auto\">{}</h2>\n", html(headline))
}

fn list(class: &str, points: &[String]) -> String {
    let points: String =
        points.iter().map(|point| format!("<li><span dir=\"auto\">{}</span></li>\n", html(point))).collect();
    format!("<ol class=\"{class}\">\n{points}</ol>\n")
}

/// The hue for a name: always the same for one name, and never a yellow, on which white text cannot be read.
fn hue(name: &str) -> u32 {
    const HUES: [u32; 8] = [12, 152, 172, 200, 222, 252, 285, 338];
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    HUES.get(sum % HUES.len()).copied().unwrap_or(222)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate::{idea, launch};

    fn example() -> Deck {
        let idea = idea::read("a booking app for dog walkers");
        launch::sandbox(&idea, &[launch::Rival { name: "Rover", about: "A marketplace for sitters" }]).deck
    }

    #[test]
    fn a_deck_has_five_slides_and_needs_nothing_from_outside() {
        let page = page("Rover & Co", "Walks.", &example());
        assert_eq!(page.matches("<section").count(), SLIDES as usize);
        for outside in ["src=", "href=", "url(", "@import", "http:", "https:", "{{"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("Rover &amp; Co"));
    }

    /// Writes decks into the directory `HATCH_DECKS`, for a person to look at.
    #[test]
    fn decks_can_be_written_to_a_directory() {
        let Ok(directory) = std::env::var("HATCH_DECKS") else { return };
        let write = |file: &str, name: &str, tagline: &str, deck: &Deck| {
            std::fs::write(std::path::Path::new(&directory).join(file), page(name, tagline, deck)).unwrap();
        };
        for (file, prompt) in [
            ("short.html", "a booking app for dog walkers"),
            ("arabic.html", "سوق للمزارعين المحليين"),
            ("long.html", "A marketplace for handmade candles"),
        ] {
            let idea = idea::read(prompt);
            let rivals = [
                launch::Rival {
                    name: "Etsy",
                    about: "A global marketplace for handmade and vintage goods, with payments and reviews",
                },
                launch::Rival { name: "Facebook Marketplace", about: "Local listings with chat" },
            ];
            let launch = launch::sandbox(&idea, &rivals);
            write(file, &idea.name, &idea.tagline, &launch.deck);
        }
        let word = "wording ";
        let slide = || Slide { headline: word.repeat(11), points: vec![word.repeat(17); 4] };
        let fullest = Deck {
            problem: slide(),
            solution: slide(),
            market: slide(),
            competitors: vec![Competitor { name: word.repeat(5), difference: word.repeat(14) }; 4],
            model: slide(),
            roadmap: slide(),
        };
        write("fullest.html", &word.repeat(5), &word.repeat(15), &fullest);
    }

    proptest! {
        #[test]
        fn text_of_a_deck_never_becomes_markup(text in "(\\PC|[<>\"'&{}]){0,60}") {
            let marked = format!("{text}<b onclick=\"x\">'</section><script>");
            let slide = || Slide { headline: marked.clone(), points: vec![marked.clone(); 2] };
            let rival = Competitor { name: marked.clone(), difference: marked.clone() };
            let deck = Deck { problem: slide(), solution: slide(), market: slide(), competitors: vec![rival], model: slide(), roadmap: slide() };
            let page = page(&marked, &marked, &deck);
            prop_assert_eq!(page.matches("<section").count(), 5);
            prop_assert_eq!(page.matches("<script>").count(), 1);
            prop_assert!(!page.contains("onclick=\""));
        }
    }
}
