//! From JavaScript to the few tokens that imports are made of.

/// A token of the code itself: none of them stands in a comment, a template, a regular expression or the text of JSX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// What stands between quotes, as written; of a template only one without `${`.
    Text(&'a str),
    /// Any other character.
    Mark(char),
}

/// The tokens, each with its line, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Tokens<'a> {
    pub(super) list: Vec<(Token<'a>, u32)>,
}

/// What the scanner is inside of; the innermost is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Braces in code: `{`, also those of JSX.
    Braces,
    /// `${` in a template.
    Substitution,
    /// The tag that opens an element.
    Tag,
    /// The children of an element.
    Children,
}

/// Keywords after which an expression begins, so that `/` begins a regular expression and `<` an element.
const BEFORE_EXPRESSION: &str =
    " return typeof case in of delete void throw new do else instanceof await yield default ";

impl<'a> Tokens<'a> {
    /// `None` if JSX begins and never ends.
    pub(super) fn of(source: &'a str, jsx: bool) -> Option<Self> {
        let mut scanner =
            Scanner { rest: source, line: 1, jsx, inside: Vec::new(), list: Vec::new(), broken: None };
        if source.starts_with("#!") {
            scanner.skip_to(source.find('\n').unwrap_or(source.len()));
        }
        while !scanner.rest.is_empty() {
            match scanner.inside.last() {
                Some(Inside::Tag) => scanner.tag(),
                Some(Inside::Children) => scanner.children(),
                _ => scanner.code(),
            }
        }
        let ended = !scanner.inside.iter().any(|inside| matches!(inside, Inside::Tag | Inside::Children));
        ended.then_some(Self { list: scanner.list })
    }
}

struct Scanner<'a> {
    rest: &'a str,
    line: u32,
    jsx: bool,
    inside: Vec<Inside>,
    list: Vec<(Token<'a>, u32)>,
    /// How much of the source is left at the end of the last line with a string that does not end.
    broken: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn in_broken_line(&self) -> bool {
        self.broken.is_some_and(|end| self.rest.len() > end)
    }

    /// Moves over `length` bytes and gives them.
    fn skip_to(&mut self, length: usize) -> &'a str {
        let (passed, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line = self.line.saturating_add(u32::try_from(passed.matches('\n').count()).unwrap_or(u32::MAX));
        self.rest = rest;
        passed
    }

    fn push(&mut self, token: Token<'a>) {
        self.list.push((token, self.line));
    }

    /// One token of code, or what is between two.
    fn code(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        let word = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        match first {
            _ if self.space_or_comment() => {}
            '\'' | '"' if !self.in_broken_line() => match string(self.rest) {
                Some(text) => {
                    self.push(Token::Text(text));
                    self.skip_to(text.len() + 2);
                }
                // Not a string after all: nothing that follows is inside of it, nor is it looked through again.
                None => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.broken = Some(self.rest.len() - end);
                    self.mark(first);
                }
            },
            '`' => {
                self.skip_to(1);
                self.template(true);
            }
            '{' => {
                self.inside.push(Inside::Braces);
                self.mark(first);
            }
            '}' => match self.inside.pop() {
                Some(Inside::Substitution) => {
                    self.skip_to(1);
                    self.template(false);
                }
                // The end of `{…}` in JSX is none of the code around the element.
                Some(_) if matches!(self.inside.last(), Some(Inside::Tag | Inside::Children)) => {
                    self.skip_to(1);
                }
                _ => self.mark(first),
            },
            '/' => match regex(self.rest).filter(|_| self.begins_expression()) {
                Some(length) => {
                    self.push(Token::Mark('/'));
                    self.skip_to(length);
                    // So that what follows is no expression.
                    self.push(Token::Mark(')'));
                }
                None => self.mark(first),
            },
            '<' if self.jsx && self.begins_expression() && begins_element(self.rest) => {
                self.push(Token::Mark('<'));
                self.open_tag();
            }
            _ if word > 0 => {
                let word = self.skip_to(word);
                self.push(Token::Word(word));
            }
            _ => self.mark(first),
        }
    }

    fn mark(&mut self, c: char) {
        self.push(Token::Mark(c));
        self.skip_to(c.len_utf8());
    }

    /// Whether it has passed white space or a comment.
    fn space_or_comment(&mut self) -> bool {
        let space = self.rest.len() - self.rest.trim_start().len();
        let length = match self.rest {
            _ if space > 0 => space,
            rest if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            rest if rest.starts_with("/*") => {
                rest.get(2..).and_then(|rest| rest.find("*/")).map_or(rest.len(), |at| at + 4)
            }
            _ => return false,
        };
        self.skip_to(length);
        true
    }

    /// The text of a template, up to its end or its next `${`.
    fn template(&mut self, is_start: bool) {
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    chars.next();
                }
                '`' => {
                    let text = self.rest.get(..at).unwrap_or_default();
                    self.push(if is_start { Token::Text(text) } else { Token::Mark(')') });
                    self.skip_to(at + 1);
                    return;
                }
                '$' if self.rest.get(at + 1..).is_some_and(|rest| rest.starts_with('{')) => {
                    // An operator, after which an expression begins.
                    self.push(Token::Mark('+'));
                    self.inside.push(Inside::Substitution);
                    self.skip_to(at + 2);
                    return;
                }
                _ => {}
            }
        }
        self.skip_to(self.rest.len());
    }

    /// Whether an expression may begin here, by what stands before.
    fn begins_expression(&self) -> bool {
        match self.list.last() {
            None => true,
            Some((Token::Text(_) | Token::Mark(')' | ']'), _)) => false,
            Some((Token::Mark(_), _)) => true,
            Some((Token::Word(word), _)) => BEFORE_EXPRESSION.contains(&format!(" {word} ")),
        }
    }

    /// `<name`, or `<` of a fragment.
    fn open_tag(&mut self) {
        self.skip_to(1);
        let name = self.rest.find(|c| !is_tag_name(c)).unwrap_or(self.rest.len());
        self.skip_to(name);
        self.inside.push(Inside::Tag);
    }

    /// Between the name of a tag and its `>`.
    fn tag(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        match first {
            _ if self.space_or_comment() => {}
            // A string of JSX has no escapes and may go over lines.
            '\'' | '"' => {
                let end =
                    self.rest.get(1..).and_then(|rest| rest.find(first)).map_or(self.rest.len(), |at| at + 2);
                self.skip_to(end);
            }
            '{' => self.braces(),
            '<' if begins_element(self.rest) => self.open_tag(),
            '/' if self.rest.starts_with("/>") => {
                self.skip_to(2);
                self.end_element();
            }
            '>' => {
                self.skip_to(1);
                self.inside.pop();
                self.inside.push(Inside::Children);
            }
            _ => {
                self.skip_to(first.len_utf8());
            }
        }
    }

    /// Between a tag and the one that closes it.
    fn children(&mut self) {
        self.skip_to(self.rest.find(['<', '{']).unwrap_or(self.rest.len()));
        if self.rest.starts_with('{') {
            self.braces();
        } else if self.rest.starts_with("</") {
            self.skip_to(self.rest.find('>').map_or(self.rest.len(), |at| at + 1));
            self.end_element();
        } else if !self.rest.is_empty() {
            self.open_tag();
        }
    }

    /// Code inside of JSX. What stands before it is no part of it.
    fn braces(&mut self) {
        self.inside.push(Inside::Braces);
        self.mark('{');
    }

    fn end_element(&mut self) {
        self.inside.pop();
        if !matches!(self.inside.last(), Some(Inside::Tag | Inside::Children)) {
            self.push(Token::Mark(')'));
        }
    }
}

/// What the string at the beginning of `rest` holds, if it ends on its line.
fn string(rest: &str) -> Option<&str> {
    let mut chars = rest.char_indices();
    let (_, quote) = chars.next()?;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\n' => return None,
            c if c == quote => return rest.get(1..at),
            _ => {}
        }
    }
    None
}

/// How far a regular expression is looked for, so that many slashes cost no square of their number.
const REGEX_CHARS: usize = 1_000;

/// The length of the regular expression at the beginning of `rest`, without its flags, if it ends on its line.
fn regex(rest: &str) -> Option<usize> {
    let mut in_class = false;
    let mut chars = rest.char_indices().take(REGEX_CHARS).skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\n' => return None,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether `<` begins an element, and not the type parameters of an arrow function: `<T,>`, `<T extends`, `<T>(x: T) =>`.
fn begins_element(rest: &str) -> bool {
    let Some(after) = rest.strip_prefix('<') else { return false };
    let name = after.find(|c| !is_tag_name(c)).unwrap_or(after.len());
    let Some((name, after)) = after.split_at_checked(name) else { return false };
    if name.is_empty() {
        return after.starts_with('>');
    }
    let after = after.trim_start();
    !after.starts_with([',', '='])
        && !after.starts_with("extends ")
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn is_tag_name(c: char) -> bool {
    is_word(c) || matches!(c, '.' | '-' | ':')
}
