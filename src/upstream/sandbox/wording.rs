//! Reads a prompt: its words in a comparable form, the title for an app, and the things that it is
//! about.

/// How many characters of a prompt are read: enough for everything that the templates can do.
const READ_CHARS: usize = 600;
const TITLE_CHARS: usize = 60;
const TITLE_WORDS: usize = 6;

/// Words that precede the actual request.
const LEAD: &str = "please can could you would will i i'd i'll we want need like to make build create write generate design develop \
    give show me us a an the my our your some simple small nice modern beautiful cool little basic minimal clean tiny fancy pretty \
    good great working functional interactive responsive new quick just really let's lets hi hello hey claude program code implement \
    mini help helps let have now instead okay ok it into turn this replace with something that";
/// Words that introduce details.
const DETAILS: &str = "with that which where who whose using so including featuring because when based called named titled but instead";
/// Words that link a thing and its topic.
const LINKS: &str = "for about of on to";
/// Words that say nothing about an app.
const FLUFF: &str = "app apps application tool program web webapp online page site website";
/// Verbs for what people do with things that they collect.
const KEEPING: &str = "track tracking manage managing organise organize organising organizing record recording store storing collect \
    collecting keep keeping save saving remember see logging listing planning";
const CONTAINERS: &str = "tracker list manager inventory catalogue catalog log journal library collection organizer organiser planner \
    database archive box board index directory register record keeper system app";
const ARTICLES: &str = "a an the my our your his her their its me us some all";
const SMALL: &str = "a an the to of for and or in on at with by about";

/// A parsed prompt.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The beginning of the prompt on one line.
    pub(crate) text: String,
    /// Its words, lower-case and in the singular.
    pub(crate) words: Vec<String>,
    /// How many of the words name the thing itself, before "for", "about" or "of".
    pub(crate) thing: usize,
    /// How many of the words precede the details ("with …", "that …").
    pub(crate) head: usize,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    /// Lower-case.
    key: String,
    /// Whether punctuation that ends a clause follows.
    ends: bool,
}

/// The title and the topic of an app.
#[derive(Debug, PartialEq)]
pub(crate) struct Subject {
    /// `None` if the prompt is too long or too vague for a title.
    pub(crate) title: Option<String>,
    /// The text after "about", "for", "of" or "to", without articles.
    pub(crate) about: Option<String>,
    /// One entry of a collection, in the singular: "houseplant", or "item" if the prompt names
    /// nothing.
    pub(crate) noun: String,
}

fn is(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|entry| entry == word)
}

impl Prompt {
    /// Reads the beginning of `prompt`, which may be any text.
    pub(crate) fn read(prompt: &str) -> Self {
        let begin: String = prompt.chars().take(READ_CHARS).collect();
        let text = begin.split_whitespace().collect::<Vec<_>>().join(" ");
        let tokens = tokens(&text);
        let words: Vec<String> = tokens.iter().flat_map(|token| token.key.split('-')).map(singular).collect();
        let before = |list: &str| {
            words.iter().skip(1).position(|word| is(list, word)).map_or(words.len(), |at| at + 1)
        };
        let head = before(DETAILS);
        let thing = before("for about of").min(head);
        Self { text, words, thing, head, tokens }
    }

    /// The position of `phrase` (singular words) among the words.
    pub(crate) fn position(&self, phrase: &str) -> Option<usize> {
        let expected: Vec<&str> = phrase.split(' ').collect();
        self.words
            .windows(expected.len())
            .position(|words| words.iter().zip(&expected).all(|(word, expected)| word == expected))
    }

    /// Whether the prompt contains any of the phrases (singular words).
    pub(crate) fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.position(phrase).is_some())
    }

    /// Whether it is a greeting, a thank-you or a question to the model instead of a request for an
    /// app.
    pub(crate) fn is_small_talk(&self) -> bool {
        let greeting = "hi hello hey there thank thanks you good morning evening claude ping how are today";
        let question = self.text.ends_with('?')
            && self.words.first().is_some_and(|word| is("what how who why when where are do doe is", word));
        question || self.words.iter().all(|word| is(greeting, word))
    }

    /// Whether a message to a project with files asks for another app instead of a change.
    pub(crate) fn asks_for_an_app(&self) -> bool {
        if self.has(&[
            "instead",
            "start over",
            "turn it into",
            "turn this into",
            "replace it with",
            "different app",
            "new app",
        ]) {
            return true;
        }
        let polite = "please now ok okay can could would you i want need like to let claude hi hey hello";
        let mut words = self.words.iter().map(String::as_str).skip_while(|word| is(polite, word));
        match words.next() {
            Some("build" | "create" | "generate" | "write" | "design" | "develop" | "a" | "an") => true,
            Some("make" | "give") => {
                words.find(|word| !is("me us u", word)).is_some_and(|word| is("a an", word))
            }
            _ => false,
        }
    }

    /// Whether the words before the details name an app of an unknown kind.
    pub(crate) fn names_an_app(&self) -> bool {
        self.words
            .iter()
            .take(self.head)
            .any(|word| is("app tracker inventory manager catalogue catalog collection log", word))
    }

    /// The question and the options of a poll: "…: which day, a, b or c?", "between a, b and c".
    pub(crate) fn choice(&self) -> (Option<String>, Vec<String>) {
        let after = [": ", " between ", " options "]
            .iter()
            .find_map(|mark| self.text.split_once(mark))
            .map_or("", |(_, rest)| rest);
        let listed = after.replace(" or ", ", ").replace(" and ", ", ");
        let mut options: Vec<String> = listed
            .split([',', '?', '.'])
            .map(|option| option.trim().trim_start_matches("or ").trim_start_matches("and ").to_owned())
            .filter(|option| !option.is_empty() && option.chars().count() <= 60)
            .take(9)
            .collect();
        let asks = |text: &String| {
            is("which what where who when how should shall do does is are", &first_word(text))
        };
        let question = options.first().is_some_and(asks).then(|| format!("{}?", capital(&options.remove(0))));
        if options.len() < 2 { (question, vec![]) } else { (question, options) }
    }

    /// The first number before a word that begins with "min".
    pub(crate) fn minutes(&self) -> Option<u32> {
        let minutes = self.words.windows(2).find_map(|pair| match pair {
            [number, unit] if unit.starts_with("min") => number.parse().ok(),
            _ => None,
        });
        minutes.filter(|minutes| (1..=180).contains(minutes))
    }

    /// The name in the prompt ("called Zen", "call it “Zen”"), with `phrases` as the words before a
    /// name.
    pub(crate) fn name_after(&self, phrases: &[&str], stops: &[&str]) -> Option<String> {
        // Changing the case of ASCII letters keeps every byte offset valid for the text itself.
        let lower = self.text.to_ascii_lowercase();
        let (at, length) = phrases
            .iter()
            .filter_map(|phrase| lower.find(phrase).map(|at| (at, phrase.len())))
            .filter(|(at, _)| {
                at.checked_sub(1).is_none_or(|before| lower.as_bytes().get(before) == Some(&b' '))
            })
            .min_by_key(|(at, length)| (*at, usize::MAX - length))?;
        named(self.text.get(at + length..)?, stops)
    }

    /// The title, theme and noun in the prompt.
    pub(crate) fn subject(&self) -> Subject {
        let clause = self.clause();
        let at = clause.iter().skip(1).position(|token| is(LINKS, &token.key)).map(|at| at + 1);
        let (head, tail) = at.map_or((clause.as_slice(), [].as_slice()), |at| clause.split_at(at));
        let link = tail.first().map_or("", |token| token.key.as_str()).to_owned();
        let full_tail = tail.get(1..).unwrap_or_default();
        let tail = without_leading(full_tail, ARTICLES);
        let end = head.iter().rposition(|token| !is(FLUFF, &token.key)).map_or(0, |last| last + 1);
        let meaning = head.get(..end).unwrap_or_default();
        let noun = noun(meaning, tail, &link);

        let mut title: Vec<&Token> = vec![];
        let one = (link == "of"
            && tail.len() <= 3
            && meaning.last().is_some_and(|last| is(CONTAINERS, &singular(&last.key))))
        .then(|| tail.last().map(Token::in_singular))
        .flatten();
        match link.as_str() {
            "" => title.extend(meaning),
            "to" => title.extend(clause.iter()),
            _ if tail.len() > 3 => title.extend(clause.iter()),
            _ => {
                let kept = tail.len() - usize::from(one.is_some());
                title.extend(tail.iter().take(kept));
                title.extend(&one);
                title.extend(meaning);
            }
        }
        // A sentence about the user is not a title.
        let personal = title.iter().any(|token| is("i i'm me we you it what how", &token.key));
        let title =
            (!title.is_empty() && !personal && title.len() <= TITLE_WORDS).then(|| title_case(&title));
        let about = (!tail.is_empty()).then(|| shortened(&joined(tail)));
        Subject { title, about, noun }
    }

    /// The request itself: after the lead, before the details, and without "an app for tracking".
    fn clause(&self) -> Vec<Token> {
        let mut tokens = without_lead(&self.tokens);
        let nothing = |token: &Token| is(FLUFF, &token.key);
        if tokens.first().is_some_and(nothing)
            && tokens.get(1).is_some_and(|token| is("for to that of about where which", &token.key))
        {
            tokens = without_lead(tokens.get(2..).unwrap_or_default());
        }
        if tokens.len() > 1 && tokens.first().is_some_and(|token| is(KEEPING, &singular(&token.key))) {
            tokens =
                without_leading(tokens.get(1..).unwrap_or_default(), "track of my our the a an all down");
        }
        let mut clause = vec![];
        let mut rest = tokens.iter().peekable();
        while let Some(token) = rest.next() {
            let aside = token.key == "and"
                && rest.peek().is_some_and(|next| {
                    is("a an the it i make also show shows has have lets let then", &next.key)
                });
            if !clause.is_empty() && (aside || token.key == "please" || is(DETAILS, &token.key)) {
                break;
            }
            clause.push(token.clone());
            if token.ends {
                break;
            }
        }
        clause
    }
}

impl Token {
    fn in_singular(&self) -> Token {
        Token { text: singular(&self.text), key: singular(&self.key), ends: self.ends }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    text.split_whitespace()
        .flat_map(|part| {
            part.split_inclusive([',', ';', ':', '!', '?', '(', ')', '/', '<', '>', '"', '“', '”', '=', '.'])
        })
        .filter(|part| !part.starts_with('#'))
        .filter_map(|part| {
            let word: String = part.chars().filter(|c| c.is_alphanumeric() || "'’-+&".contains(*c)).collect();
            let word = word.trim_matches(['-', '\'', '’', '&']);
            let ends = part.ends_with([',', ';', ':', '!', '?', '.']);
            (!word.is_empty()).then(|| Token {
                text: word.to_owned(),
                key: word.to_lowercase().replace('’', "'"),
                ends,
            })
        })
        .collect()
}

fn without_leading<'a>(tokens: &'a [Token], list: &str) -> &'a [Token] {
    let start = tokens.iter().position(|token| !is(list, &token.key)).unwrap_or(tokens.len());
    tokens.get(start..).unwrap_or_default()
}

/// "To do list" begins with its noun, although "to" may precede a request.
fn without_lead(tokens: &[Token]) -> &[Token] {
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        let to_do = first.key == "to" && after.first().is_some_and(|next| next.key == "do");
        if to_do || after.is_empty() || !is(LEAD, &first.key) {
            break;
        }
        rest = after;
    }
    rest
}

/// The noun for one entry: "book" for "book list", "film" for "list of films", "item" for
/// "wishlist".
fn noun(head: &[Token], tail: &[Token], link: &str) -> String {
    let thing = |tokens: &[Token]| {
        let word = tokens.last().map(|token| singular(&token.key))?;
        let named = !is(CONTAINERS, &word) && !word.ends_with("ing") && !word.ends_with("list");
        (named && word.chars().count() <= 24 && word.chars().all(char::is_alphanumeric)).then_some(word)
    };
    let ends_in_container =
        head.last().is_some_and(|last| is(CONTAINERS, &singular(&last.key)) || last.key.ends_with("list"));
    let found = match (link, ends_in_container) {
        ("of", true) => thing(tail),
        (_, true) => thing(head.get(..head.len().saturating_sub(1)).unwrap_or_default()),
        _ if head.is_empty() => thing(tail),
        _ => thing(head),
    };
    found.unwrap_or_else(|| "item".to_owned())
}

/// The name at the start of `text`: in quotes, or up to the first stop word.
fn named(text: &str, stops: &[&str]) -> Option<String> {
    let text = text.trim_start();
    let quotes = [('"', '"'), ('“', '”'), ('\'', '\''), ('‘', '’'), ('«', '»')];
    let quoted = quotes
        .iter()
        .find_map(|(open, close)| text.strip_prefix(*open)?.split_once(*close).map(|(name, _)| name));
    let name = quoted.unwrap_or_else(|| {
        let lower = text.to_ascii_lowercase();
        let end = stops.iter().filter_map(|stop| lower.find(stop)).min();
        end.and_then(|end| text.get(..end)).unwrap_or(text).trim_end_matches(['.', '!', '?', ','])
    });
    let name = shortened(name.trim());
    (!name.is_empty()).then_some(name)
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_lowercase()
}

fn shortened(text: &str) -> String {
    text.chars().take(TITLE_CHARS).collect::<String>().trim().to_owned()
}

fn joined(tokens: &[Token]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn title_case(tokens: &[&Token]) -> String {
    let words: Vec<String> = tokens
        .iter()
        .enumerate()
        .map(
            |(i, token)| {
                if i > 0 && is(SMALL, &token.key) { token.key.clone() } else { capital(&token.text) }
            },
        )
        .collect();
    shortened(&words.join(" "))
}

/// The text with a capital at each word except the small ones.
pub(crate) fn titled(text: &str) -> String {
    title_case(&tokens(text).iter().collect::<Vec<_>>())
}

/// The word with a capital first letter.
pub(crate) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An approximate English singular, good enough to compare words and to name one entry.
pub(crate) fn singular(word: &str) -> String {
    let stem = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.chars().count() > 2);
    if is("series movies cookies this his its always news lens", word)
        || ["ss", "us", "is"].iter().any(|end| word.ends_with(end))
    {
        return match word {
            "movies" => "movie".to_owned(),
            "cookies" => "cookie".to_owned(),
            _ => word.to_owned(),
        };
    }
    if let Some(stem) = stem("ies") {
        return format!("{stem}y");
    }
    if let Some(stem) = stem("zzes") {
        return format!("{stem}z");
    }
    for ending in ["ches", "shes", "xes", "sses"] {
        if stem(ending).is_some() {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    stem("s").unwrap_or(word).to_owned()
}

/// An approximate English plural of a singular.
pub(crate) fn plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u'])) {
        return format!("{stem}ies");
    }
    if ["s", "x", "ch", "sh", "z"].iter().any(|end| word.ends_with(end)) {
        return format!("{word}es");
    }
    format!("{word}s")
}
