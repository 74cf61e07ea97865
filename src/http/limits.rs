//! The limits of a route: columns of the routing table.

/// The limits of a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The maximum body size in bytes.
    pub(crate) body: usize,
    /// Whether requests count against the rate limit.
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

    /// For files of hosted apps, and for health checks.
    pub(crate) const fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    /// For conversations with images and documents: the limit of Anthropic's API.
    pub(crate) const fn large(self) -> Self {
        Self { body: 32_000_000, ..self }
    }
}
