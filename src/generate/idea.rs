//! What the sandbox model reads in a prompt: the startup's name and what it is about. Pure.

/// A startup before it is built. All of it is short, on one line and free of control characters; none of it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idea {
    /// The name as people see it, in the prompt's script, at most [`NAME_CHARS`] characters.
    pub(crate) name: String,
    /// The name for a file, a package and a host.
    pub(crate) slug: String,
    /// One sentence, at most 120 characters.
    pub(crate) tagline: String,
    /// What the product keeps, in the singular: "booking", "houseplant", or "item".
    pub(crate) noun: String,
}

/// The longest name, in characters.
pub(crate) const NAME_CHARS: usize = 40;

/// Reads a prompt of any length in any script. The same prompt gives the same idea.
pub(crate) fn read(prompt: &str) -> Idea {
    Idea { name: prompt.to_owned(), slug: slug(prompt), tagline: String::new(), noun: "item".to_owned() }
}

/// A name as a DNS label, a file's name and a package's name: 1 to 40 of `a-z`, `0-9` and `-`, beginning with a letter
/// and never ending in `-`; `startup` where the name has no Latin letter.
pub(crate) fn slug(_name: &str) -> String {
    "startup".to_owned()
}
