//! The sandbox model's startup: a whole Next.js application for any prompt, the same one each time. Pure.

use std::collections::BTreeMap;

use super::idea::Idea;

/// The application's files, path to content. They build, test and start without any key.
pub(crate) fn files(_idea: &Idea) -> BTreeMap<String, String> {
    BTreeMap::new()
}
