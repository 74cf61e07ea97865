//! Ends a text at its stop sequence, where the model's API knows none.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Collector, Error, Event, Response, replay,
    response::{ChatMembers, PartKind, Stop, StopReason},
    stream::Filter,
};

/// Passes on each choice up to its first stop sequence. The model goes on unseen, because its last event has the usage.
#[derive(Debug)]
pub(crate) struct Stops {
    sequences: Vec<String>,
    /// The texts that have not ended.
    texts: BTreeMap<u32, Text>,
    /// The choices that have ended, each with its sequence.
    ended: BTreeMap<u32, String>,
    /// The parts that began after that.
    unseen: BTreeSet<u32>,
}

#[derive(Debug)]
struct Text {
    choice: u32,
    /// What may be the beginning of a sequence.
    held: String,
    searches: Vec<Search>,
}

/// The search for one sequence, byte by byte (Knuth, Morris, Pratt).
#[derive(Debug, Clone)]
struct Search {
    sequence: String,
    /// How much of the sequence is still matched if the byte after so much of it is another one.
    fallbacks: Vec<usize>,
    matched: usize,
}

impl Search {
    fn new(sequence: &str) -> Self {
        let mut search = Self { sequence: sequence.to_owned(), fallbacks: vec![0], matched: 0 };
        for byte in sequence.bytes().skip(1) {
            search.step(byte);
            search.fallbacks.push(search.matched);
        }
        Self { matched: 0, ..search }
    }

    /// Takes the text's next byte. Returns whether the sequence ends with it.
    fn step(&mut self, byte: u8) -> bool {
        let is_next = |matched: usize| self.sequence.as_bytes().get(matched) == Some(&byte);
        let mut matched = self.matched;
        while matched > 0 && !is_next(matched) {
            matched = matched.checked_sub(1).and_then(|last| self.fallbacks.get(last)).copied().unwrap_or(0);
        }
        self.matched = if is_next(matched) { matched + 1 } else { 0 };
        self.matched == self.sequence.len()
    }
}

impl Text {
    /// Takes more of the text. Returns what the client may see of it, and the sequence that ends it.
    fn push(&mut self, text: &str) -> (String, Option<String>) {
        let before = self.held.len();
        self.held.push_str(text);
        for (at, byte) in (before + 1..).zip(text.bytes()) {
            let found =
                self.searches.iter_mut().filter_map(|search| search.step(byte).then_some(&search.sequence));
            // Of those that end here the one that began first.
            if let Some(sequence) = found.max_by_key(|sequence| sequence.len()).cloned() {
                self.held.truncate(at.saturating_sub(sequence.len()));
                return (std::mem::take(&mut self.held), Some(sequence));
            }
        }
        let open = self.searches.iter().map(|search| search.matched).max().unwrap_or_default();
        let rest = self.held.split_off(self.held.len().saturating_sub(open));
        (std::mem::replace(&mut self.held, rest), None)
    }
}

impl Stops {
    pub(crate) fn new(sequences: &[String]) -> Self {
        Self {
            sequences: sequences.iter().filter(|sequence| !sequence.is_empty()).cloned().collect(),
            texts: BTreeMap::new(),
            ended: BTreeMap::new(),
            unseen: BTreeSet::new(),
        }
    }

    /// A filter that ends texts before `then` sees them.
    pub(crate) fn before(sequences: &[String], then: Option<Box<dyn Filter>>) -> Option<Box<dyn Filter>> {
        if sequences.is_empty() {
            return then;
        }
        Some(Box::new(Chain { stops: Self::new(sequences), then }))
    }

    fn begin(&mut self, part: u32, choice: u32, kind: &PartKind<'_>) {
        if self.ended.contains_key(&choice) {
            self.unseen.insert(part);
        } else if matches!(kind, PartKind::Text { .. }) {
            let searches = self.sequences.iter().map(|sequence| Search::new(sequence)).collect();
            self.texts.insert(part, Text { choice, held: String::new(), searches });
        }
    }

    fn text(&mut self, part: u32, text: Cow<'_, str>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(known) = self.texts.get_mut(&part) else { return sink(Event::Delta { part, text }) };
        if self.ended.contains_key(&known.choice) {
            return;
        }
        let (text, ended_by) = known.push(&text);
        if let Some(sequence) = ended_by {
            self.ended.insert(known.choice, sequence);
        }
        deliver(part, text, sink);
    }

    fn finish(&self, choice: u32, stop: Stop) -> Stop {
        match self.ended.get(&choice).cloned() {
            Some(sequence) => Stop { sequence: Some(sequence), ..StopReason::StopSequence.into() },
            None => stop,
        }
    }

    fn is_unseen(&self, part: u32) -> bool {
        let is_over = |text: &Text| self.ended.contains_key(&text.choice);
        self.unseen.contains(&part) || self.texts.get(&part).is_some_and(is_over)
    }
}

fn deliver(part: u32, text: String, sink: &mut dyn FnMut(Event<'_>)) {
    if !text.is_empty() {
        sink(Event::Delta { part, text: Cow::Owned(text) });
    }
}

impl Filter for Stops {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Event::PartStart { part, choice, kind } = &event {
            self.begin(*part, *choice, kind);
        }
        match event {
            Event::PartStart { part, .. } | Event::Progress { part, .. } | Event::Delta { part, .. }
                if self.unseen.contains(&part) => {}
            Event::PartStop { part } if self.unseen.contains(&part) => {}
            Event::Signature { part, .. } | Event::Annotation { part, .. } if self.is_unseen(part) => {}
            Event::Delta { part, text } => self.text(part, text, sink),
            Event::PartStop { part } => {
                if let Some(text) = self.texts.remove(&part) {
                    deliver(part, text.held, sink);
                }
                sink(Event::PartStop { part });
            }
            Event::Error(error) => {
                for (part, text) in std::mem::take(&mut self.texts) {
                    deliver(part, text.held, sink);
                }
                sink(Event::Error(error));
            }
            Event::Finish { choice, stop } => sink(Event::Finish { choice, stop: self.finish(choice, stop) }),
            event => sink(event),
        }
    }
}

/// Two filters, one after the other.
#[derive(Debug)]
struct Chain {
    stops: Stops,
    then: Option<Box<dyn Filter>>,
}

impl Filter for Chain {
    fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Self { stops, then } = self;
        stops.event(event, &mut |event| match then {
            Some(then) => then.event(event, sink),
            None => sink(event),
        });
    }
}

impl Response {
    /// This answer up to the first of these stop sequences.
    ///
    /// # Errors
    /// None that a whole answer could cause.
    pub fn until(self, sequences: &[String]) -> Result<Self, Error> {
        let (mut stops, mut collector) = (Stops::new(sequences), Collector::default());
        if !stops.sequences.is_empty() {
            replay(&self, &mut |event| stops.event(event, &mut |event| collector.event(&event)));
        }
        if stops.ended.is_empty() {
            return Ok(self);
        }
        let chat = ChatMembers { choices: Vec::new(), ..self.chat };
        Ok(Self { choices: collector.finish()?.choices, chat, native: None, ..self })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dialect, Usage, response::CallStart};

    /// What a client sees of a text that comes in these pieces, and what ended it.
    fn seen(pieces: &[&str], sequences: &[String]) -> (String, Stop) {
        let (mut stops, mut collector) = (Stops::new(sequences), Collector::default());
        let mut see = |event| stops.event(event, &mut |event| collector.event(&event));
        see(Event::PartStart { part: 0, choice: 0, kind: PartKind::TEXT });
        for piece in pieces {
            see(Event::Delta { part: 0, text: Cow::Borrowed(piece) });
        }
        see(Event::PartStop { part: 0 });
        see(Event::Finish { choice: 0, stop: Stop::default() });
        see(Event::Usage(Usage::default()));
        see(Event::End);
        let response = collector.finish().unwrap();
        let [choice] = response.choices.as_slice() else { panic!("{response:?}") };
        (choice.parts[0].as_text().unwrap().to_owned(), choice.stop.clone())
    }

    /// The rule, without pieces: the sequence that ends first, and of those that end together the longest.
    fn expected(text: &str, sequences: &[String]) -> (String, Stop) {
        let found = sequences.iter().filter(|sequence| !sequence.is_empty()).filter_map(|sequence| {
            let at = text.find(sequence.as_str())?;
            Some((at + sequence.len(), at, sequence))
        });
        match found.min() {
            Some((_, at, sequence)) => {
                let stop = Stop { sequence: Some(sequence.clone()), ..StopReason::StopSequence.into() };
                (text.split_at(at).0.to_owned(), stop)
            }
            None => (text.to_owned(), Stop::default()),
        }
    }

    proptest! {
        #[test]
        fn a_text_ends_at_its_first_sequence_however_it_is_split(
            text in "[abé🚀]{0,24}",
            sequences in proptest::collection::vec("[abé🚀]{0,4}", 0..4),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.retain(|cut| text.is_char_boundary(*cut));
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|cut| text.get(cut[0]..cut[1]).unwrap()).collect();
            prop_assert_eq!(seen(&pieces, &sequences), expected(&text, &sequences));
        }

        #[test]
        fn only_what_may_begin_a_sequence_is_held_back(text in "[ab]{0,16}", sequence in "[ab]{1,4}") {
            let mut stops = Stops::new(std::slice::from_ref(&sequence));
            stops.begin(0, 0, &PartKind::TEXT);
            let mut shown = String::new();
            stops.text(0, Cow::Borrowed(&text), &mut |event| {
                if let Event::Delta { text, .. } = event {
                    shown.push_str(&text);
                }
            });
            let begins_at = || (0..=text.len()).find(|at| sequence.starts_with(text.split_at(*at).1)).unwrap();
            let end = text.find(&sequence).unwrap_or_else(begins_at);
            prop_assert_eq!(&shown, text.split_at(end).0);
        }
    }

    #[test]
    fn nothing_that_begins_after_the_end_is_seen_and_other_choices_go_on() {
        let (mut stops, mut events) = (Stops::new(&["END".to_owned()]), Vec::new());
        let mut see = |event: Event<'static>| {
            stops.event(event, &mut |event| events.push(format!("{event:?}")));
        };
        for choice in [0, 1] {
            see(Event::PartStart { part: choice, choice, kind: PartKind::TEXT });
        }
        for text in ["one EN", "D two", " three"] {
            see(Event::Delta { part: 0, text: text.into() });
        }
        see(Event::Delta { part: 1, text: "EN".into() });
        see(Event::PartStop { part: 0 });
        see(Event::PartStart { part: 2, choice: 0, kind: PartKind::ToolCall(CallStart::default()) });
        see(Event::Delta { part: 2, text: "{}".into() });
        see(Event::PartStop { part: 2 });
        see(Event::Error(Error::cut()));
        let told = events.join("\n");
        for unseen in ["part: 2", "two", "three", "END"] {
            assert!(!told.contains(unseen), "{told}");
        }
        let [.., held, error] = events.as_slice() else { panic!("{told}") };
        assert!(held.contains("EN") && error.starts_with("Error") && told.contains("one "), "{told}");
    }

    #[test]
    fn an_answer_without_a_sequence_is_left_as_it_is() {
        let body = br#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one END two"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10}}"#;
        let whole = Dialect::Chat.parse_response(body).unwrap();
        assert_eq!(whole.clone().until(&["none".to_owned()]).unwrap(), whole);
        assert_eq!(whole.clone().until(&[]).unwrap(), whole);
        let cut = whole.clone().until(&["END".to_owned()]).unwrap();
        let [choice] = cut.choices.as_slice() else { panic!("{cut:?}") };
        assert_eq!((choice.parts[0].as_text(), choice.stop.reason), (Some("one "), StopReason::StopSequence));
        assert_eq!(cut.usage, whole.usage);
    }
}
