//! What a route lets through: columns of the table.

/// What a route lets through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest body, in bytes.
    pub(crate) body: usize,
    /// Whether its requests are counted against the rate limit.
    pub(crate) is_counted: bool,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self { body: 1_000_000, is_counted: true };

    /// For archives of a project's files.
    pub(crate) const fn archives(self) -> Self {
        Self { body: 5_000_000, ..self }
    }

    /// For a message with a few pictures.
    pub(crate) const fn pictures(self) -> Self {
        Self { body: 2_000_000, ..self }
    }

    /// For what a page of a hosted app loads, and what asks whether we live.
    pub(crate) const fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    /// For conversations with pictures and documents in them: as much as
    /// Anthropic's API takes.
    pub(crate) const fn large(self) -> Self {
        Self { body: 32_000_000, ..self }
    }
}
