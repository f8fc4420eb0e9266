//! About how many bytes of memory values take, for caches that are bounded in bytes.

use std::collections::{BTreeMap, BTreeSet};

/// About how many bytes one item of a collection takes beside its text.
pub(super) const ITEM_SIZE: usize = 48;

/// About how many bytes a text takes in a collection.
#[must_use]
pub fn size_of_text(text: &str) -> usize {
    text.len() + ITEM_SIZE
}

/// About how many bytes tags or claims take.
#[must_use]
pub fn size_of_tags(tags: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let texts = tags
        .iter()
        .flat_map(|(key, values)| values.iter().chain([key]));
    texts.map(|text| size_of_text(text)).sum()
}
