//! Amazon Web Services: their signature, and ECR, the container registry.

pub(crate) mod ecr;
mod sigv4;

/// A pair of keys. Whoever holds it is the account.
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}
