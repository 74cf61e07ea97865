//! One compiled side of a policy.

use std::fmt;
use std::{borrow::Cow, sync::Arc};

use serde::Serialize;

use crate::cursor::{Cursor, is_invisible, is_word};
use crate::policy::{Action, Limit, OnFailure, PiiRule, Rule, Rules, SchemaRule, TermRule};
use crate::redactor::{Redactor, cut_out};
use crate::schema::{SchemaError, check_answer, check_schema};
use crate::secrets::{self, Swallow};
use crate::trie::{Trie, folded};
use crate::{injection, pii};

/// The longest term, in characters.
const MAX_TERM_CHARS: usize = 128;
/// The maximum number of terms of one side.
const MAX_TERMS: usize = 10_000;

/// Why a policy cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyError {
    /// A term of this list has no letters.
    EmptyTerm(String),
    /// A term of this list is longer than 128 characters.
    LongTerm(String),
    /// The lists have more than 10,000 terms.
    TooManyTerms,
    /// The schema for answers is invalid or has an unsupported keyword.
    Schema(SchemaError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyTerm(list) => write!(f, "the list {list:?} has an empty term"),
            Self::LongTerm(list) => {
                write!(f, "the list {list:?} has a term of more than {MAX_TERM_CHARS} characters")
            }
            Self::TooManyTerms => write!(f, "there are more than {MAX_TERMS} terms"),
            Self::Schema(error) => write!(f, "the schema of answers: {error}"),
        }
    }
}

impl std::error::Error for PolicyError {}

/// A match of a rule. It has the position, never the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule, as `secret:github-token`, `pii:card` or `term:<list>`.
    pub rule: String,
    /// The first byte, in the original text.
    pub start: usize,
    /// The byte after the match. A secret may continue; the rest is redacted, too.
    pub end: usize,
    /// What was done.
    pub action: Action,
}

/// The result of checking a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection<'a> {
    /// The text that may pass; borrowed if nothing was redacted.
    pub text: Cow<'a, str>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether a rule blocks the text. Then `text` ends before the match.
    pub is_blocked: bool,
}

/// The result of redacting a text in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether a rule blocks the text. Then what is left of it ends before the match.
    pub is_blocked: bool,
    /// Whether something was left out.
    pub is_changed: bool,
}

/// One side of a policy, compiled.
#[derive(Debug)]
pub struct Guard {
    /// The rules that only flag. They check released text, so they hold nothing back.
    flagging: Arc<Detectors>,
    /// The rules that redact or block.
    enforcing: Arc<Detectors>,
    limit: Option<Limit>,
    json_schema: Option<SchemaRule>,
}

/// A term: its list, and whether it must match whole words.
#[derive(Debug, Clone, Copy)]
struct Term {
    list: usize,
    begins_word: bool,
    ends_word: bool,
}

/// A match at a position.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    pub(crate) rule: String,
    pub(crate) mark: String,
    pub(crate) bytes: usize,
    pub(crate) action: Action,
    pub(crate) swallow: Option<Swallow>,
}

impl Guard {
    /// Compiles one side of a policy.
    ///
    /// # Errors
    /// A list of terms or a schema is invalid.
    pub fn new(rules: &Rules) -> Result<Self, PolicyError> {
        check_terms(&rules.terms)?;
        if let Some(rule) = &rules.json_schema
            && rule.on_failure == OnFailure::Closed
        {
            check_schema(&rule.schema).map_err(PolicyError::Schema)?;
        }
        Ok(Self {
            flagging: Arc::new(Detectors::new(rules, |action| action == Action::Flag)),
            enforcing: Arc::new(Detectors::new(rules, |action| action != Action::Flag)),
            limit: rules.max_bytes,
            json_schema: rules.json_schema.clone(),
        })
    }

    /// Checks a whole text.
    pub fn inspect<'a>(&self, text: &'a str) -> Inspection<'a> {
        let mut redactor = Redactor::new(self);
        let mut out = redactor.push(text);
        out.push_str(&redactor.finish());
        let is_blocked = redactor.is_blocked();
        let findings = redactor.into_findings();
        let text = if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) };
        Inspection { text, findings, is_blocked }
    }

    /// Checks a text that is divided into these parts as if it were not, and leaves in them what may pass.
    pub fn redact(&self, parts: &mut [&mut String]) -> Redaction {
        let mut redactor = Redactor::new(self);
        for part in &*parts {
            redactor.push(part);
        }
        redactor.finish();
        let is_blocked = redactor.is_blocked();
        let (findings, cuts) = redactor.into_parts();
        if !cuts.is_empty() {
            cut_out(parts, &cuts);
        }
        Redaction { findings, is_blocked, is_changed: !cuts.is_empty() }
    }

    /// Checks a whole answer against the schema, if there is one.
    pub fn check_answer(&self, answer: &str) -> Option<Finding> {
        let rule = self.json_schema.as_ref()?;
        let action = match check_answer(&rule.schema, answer) {
            Ok(()) => return None,
            Err(SchemaError::Unsupported { .. }) => match rule.on_failure {
                OnFailure::Open => return None,
                OnFailure::Closed => Action::Block,
            },
            Err(_) => rule.action,
        };
        Some(Finding { rule: "json-schema".to_owned(), start: 0, end: answer.len(), action })
    }

    pub(crate) fn flagging(&self) -> Arc<Detectors> {
        self.flagging.clone()
    }

    pub(crate) fn enforcing(&self) -> Arc<Detectors> {
        self.enforcing.clone()
    }

    pub(crate) fn limit(&self) -> Option<Limit> {
        self.limit
    }
}

fn check_terms(lists: &[TermRule]) -> Result<(), PolicyError> {
    if lists.iter().map(|list| list.terms.len()).sum::<usize>() > MAX_TERMS {
        return Err(PolicyError::TooManyTerms);
    }
    for list in lists {
        let lengths = || list.terms.iter().map(|term| folded(term).chars().count());
        if lengths().any(|length| length == 0) {
            return Err(PolicyError::EmptyTerm(list.name.clone()));
        }
        if lengths().any(|length| length > MAX_TERM_CHARS) {
            return Err(PolicyError::LongTerm(list.name.clone()));
        }
    }
    Ok(())
}

/// The detectors for some of the rules.
#[derive(Debug)]
pub(crate) struct Detectors {
    secrets: Option<Action>,
    flags_named_secrets: bool,
    pii: Option<PiiRule>,
    terms: Trie<Term>,
    lists: Vec<(String, Action)>,
    injection: Option<Action>,
}

impl Detectors {
    /// The detectors for rules with the wanted actions.
    fn new(rules: &Rules, is_wanted: fn(Action) -> bool) -> Self {
        let wanted = |rule: Option<Rule>| rule.map(|rule| rule.action).filter(|action| is_wanted(*action));
        let mut terms = Trie::default();
        let mut lists = Vec::new();
        for rule in rules.terms.iter().filter(|rule| is_wanted(rule.action)) {
            for term in &rule.terms {
                let term = folded(term);
                let begins_word = term.chars().next().is_some_and(is_spaced);
                let ends_word = term.chars().next_back().is_some_and(is_spaced);
                terms.insert(term.chars(), Term { list: lists.len(), begins_word, ends_word });
            }
            lists.push((rule.name.clone(), rule.action));
        }
        Self {
            secrets: wanted(rules.secrets),
            flags_named_secrets: rules.flag_named_secrets && is_wanted(Action::Flag),
            pii: rules.pii.clone().filter(|rule| is_wanted(rule.action)),
            terms,
            lists,
            injection: wanted(rules.injection),
        }
    }

    /// Whether there are no rules.
    pub(crate) fn is_idle(&self) -> bool {
        self.secrets.is_none()
            && !self.flags_named_secrets
            && self.pii.is_none()
            && self.lists.is_empty()
            && self.injection.is_none()
    }

    /// Whether a match may begin with this character. This check alone skips most of a text.
    pub(crate) fn may_begin(&self, c: char, before: Option<char>) -> bool {
        let is_start = !before.is_some_and(char::is_alphanumeric);
        (self.secrets.is_some() && secrets::may_begin(c))
            || (is_start && (self.flags_named_secrets || self.pii.is_some()))
            || self.injection.is_some()
            || self.terms.begins_with_folded(c)
    }

    /// Collects the matches of all rules at the cursor.
    pub(crate) fn detect(&self, cursor: &mut Cursor<'_>, found: &mut Vec<Detection>) {
        let detection = |family: &str, rule: &str, bytes, action, swallow| Detection {
            rule: format!("{family}:{rule}"),
            mark: rule.to_owned(),
            bytes,
            action,
            swallow,
        };
        // A match begins with a visible character.
        if let Some(c) = cursor.peek_any().filter(|c| is_invisible(*c)) {
            if let (Some(action), Some(kind)) = (self.injection, injection::unseen(c, cursor.before())) {
                found.push(detection("injection", kind, c.len_utf8(), action, None));
            }
            return;
        }
        if let Some(action) = self.secrets {
            secrets::detect(cursor, &mut |secret| {
                found.push(detection("secret", secret.rule, secret.bytes, action, secret.swallow));
            });
        }
        if self.flags_named_secrets {
            secrets::detect_named(cursor, &mut |bytes| {
                found.push(detection("secret", "named", bytes, Action::Flag, None));
            });
        }
        if let Some(rule) = &self.pii {
            pii::detect(cursor, &rule.kinds, &mut |kind, bytes| {
                found.push(detection("pii", kind, bytes, rule.action, None));
            });
        }
        if let Some(action) = self.injection {
            injection::detect(cursor, &mut |kind, bytes| {
                found.push(detection("injection", kind, bytes, action, None));
            });
        }
        self.detect_terms(cursor, |list, action, bytes| {
            found.push(detection("term", list, bytes, action, None));
        });
    }

    fn detect_terms(&self, cursor: &mut Cursor<'_>, mut found: impl FnMut(&str, Action, usize)) {
        let is_start = !cursor.before().is_some_and(|c| is_word(c) && is_spaced(c));
        let mut ahead = cursor.clone();
        let mut is_starved = false;
        self.terms.walk_folded(&mut ahead, |term, behind| {
            let mut end = behind.clone();
            let fits = (!term.begins_word || is_start)
                && (!term.ends_word || !end.peek_any().is_some_and(|c| is_word(c) && is_spaced(c)));
            if let Some((list, action)) = self.lists.get(term.list).filter(|_| fits) {
                found(list, *action, end.read());
            }
            is_starved |= end.is_starved();
        });
        cursor.starve_if(is_starved || ahead.is_starved());
    }
}

/// Whether a character belongs to a script with spaces between words. In other scripts a term may match within a run of
/// letters.
fn is_spaced(c: char) -> bool {
    let is_spaceless = matches!(u32::from(c),
        0x0e00..=0x0eff // Thai, Lao
        | 0x1000..=0x109f | 0x1780..=0x17ff // Burmese, Khmer
        | 0x3040..=0x30ff | 0x31f0..=0x31ff // Kana
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff // Han
        | 0x1100..=0x11ff | 0xac00..=0xd7af // Hangul: particles are written onto words
    );
    is_word(c) && !is_spaceless
}
