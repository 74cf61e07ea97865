//! Which tool call a delta belongs to.

use std::borrow::Cow;

/// What a call was told by first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Key {
    pub(crate) index: Option<u64>,
    pub(crate) id: String,
}

/// What a delta tells of its call.
#[derive(Debug, Clone)]
pub(crate) struct Of<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) has_name: bool,
}

/// The place of the call that a delta goes on with, if it begins none. Some
/// upstreams send no index, some the same one for every call.
pub(crate) fn place(keys: &[Key], of: &Of<'_>) -> Option<usize> {
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
