//! Searches for many texts at one position at once.

use std::collections::BTreeMap;

use crate::cursor::{Cursor, is_invisible};

/// Texts, each with a value. A lookup at a position takes no longer than the longest text that matches there.
#[derive(Debug)]
pub(crate) struct Trie<V> {
    nodes: Vec<Node<V>>,
}

#[derive(Debug)]
struct Node<V> {
    next: BTreeMap<char, usize>,
    values: Vec<V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { nodes: vec![Node { next: BTreeMap::new(), values: Vec::new() }] }
    }
}

impl<V: Copy> Trie<V> {
    pub(crate) fn insert(&mut self, text: impl Iterator<Item = char>, value: V) {
        let mut at = 0;
        for c in text {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = *node.next.entry(c).or_insert(new);
            if at == new {
                self.nodes.push(Node { next: BTreeMap::new(), values: Vec::new() });
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.values.push(value);
        }
    }

    /// Whether a text begins with this character.
    pub(crate) fn begins_with(&self, c: char) -> bool {
        self.nodes.first().is_some_and(|root| root.next.contains_key(&c))
    }

    /// The same for texts that were inserted in folded form.
    pub(crate) fn begins_with_folded(&self, c: char) -> bool {
        fold(c).next().is_some_and(|c| self.begins_with(c))
    }

    /// Reports each text at the cursor, with the cursor after it.
    pub(crate) fn walk<'a>(&self, cursor: &mut Cursor<'a>, mut found: impl FnMut(V, &Cursor<'a>)) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at).filter(|node| !node.next.is_empty()) {
            let Some(next) = cursor.peek().and_then(|c| node.next.get(&c)) else { return };
            cursor.next();
            at = *next;
            self.report(at, cursor, &mut found);
        }
    }

    /// The same for texts that were inserted in folded form.
    pub(crate) fn walk_folded<'a>(&self, cursor: &mut Cursor<'a>, mut found: impl FnMut(V, &Cursor<'a>)) {
        let mut at = 0;
        let mut skipped = 0;
        while self.nodes.get(at).is_some_and(|node| !node.next.is_empty()) {
            let Some(c) = cursor.peek() else { return };
            let Some(next) = fold(c).try_fold(at, |at, c| self.child(at, c)) else { return };
            cursor.next();
            at = next;
            if c.is_whitespace() {
                skipped += cursor.run(char::is_whitespace, MAX_SKIPPED.saturating_sub(skipped));
            }
            self.report(at, cursor, &mut found);
        }
    }

    fn child(&self, at: usize, c: char) -> Option<usize> {
        self.nodes.get(at)?.next.get(&c).copied()
    }

    fn report<'a>(&self, at: usize, cursor: &Cursor<'a>, found: &mut impl FnMut(V, &Cursor<'a>)) {
        for value in self.nodes.get(at).map(|node| node.values.as_slice()).unwrap_or_default() {
            found(*value, cursor);
        }
    }
}

/// How many repeated spaces are skipped within a text.
const MAX_SKIPPED: usize = 32;

/// A text in the form that [`Trie::walk_folded`] searches for.
pub(crate) fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !is_invisible(*c)).flat_map(fold).collect()
}

/// Folds a character's case and width.
fn fold(c: char) -> impl Iterator<Item = char> {
    let narrow = match u32::from(c) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0).unwrap_or(c),
        _ if c.is_whitespace() => ' ',
        _ => c,
    };
    // Uppercase first, so that ß equals SS and the two small sigmas are equal.
    narrow.to_uppercase().flat_map(char::to_lowercase)
}
