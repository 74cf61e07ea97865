//! Finds the tool call that a delta belongs to.

use std::borrow::Cow;

/// The index of a call's first delta, and the first id of any.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallKey {
    pub(crate) index: Option<u64>,
    pub(crate) id: String,
}

impl CallKey {
    /// Takes the id of a later delta, if none has come before.
    pub(crate) fn fill(&mut self, id: Option<&str>) {
        if let Some(id) = id.filter(|_| self.id.is_empty()) {
            id.clone_into(&mut self.id);
        }
    }
}

/// How a delta refers to its call.
#[derive(Debug, Clone)]
pub(crate) struct CallRef<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) has_name: bool,
}

/// The position of the call that a delta continues; `None` if the delta begins
/// a new call. Some upstreams send no index, others the same index for every
/// call.
pub(crate) fn place(keys: &[CallKey], of: &CallRef<'_>) -> Option<usize> {
    if let Some(id) = &of.id
        && let Some(place) = keys.iter().rposition(|key| key.id == *id)
    {
        return Some(place);
    }
    match of.index {
        Some(index) => {
            let place = keys.iter().rposition(|key| key.index == Some(index))?;
            let is_another = of.id.is_some() && keys.get(place).is_some_and(|key| !key.id.is_empty());
            (!is_another).then_some(place)
        }
        None if of.id.is_some() || of.has_name => None,
        None => keys.len().checked_sub(1),
    }
}
