//! Tags of datasets and claims of users in JSON: keys with lists of values.

use std::collections::BTreeMap;

use crate::domain::principal::Tags;

/// Tags as JSON.
pub type TagsJson = BTreeMap<String, Vec<String>>;

/// Converts tags to JSON.
pub fn tags_to_json(tags: Tags) -> TagsJson {
    tags.into_iter()
        .map(|(key, values)| (key, values.into_iter().collect()))
        .collect()
}

/// Converts tags from JSON; a repeated value counts once.
pub fn tags_from_json(tags: TagsJson) -> Tags {
    tags.into_iter()
        .map(|(key, values)| (key, values.into_iter().collect()))
        .collect()
}
