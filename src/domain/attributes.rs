//! Attributes: values that the schema of the policies declares for datasets and users, beside those that
//! Cedargate fills in itself.
//!
//! The catalog keeps them as JSON by name: text, whole numbers, booleans, lists and objects. What type each
//! one has is up to the schema in force.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::memory_size::{ITEM_SIZE, size_of_text};

/// The values of attributes, by name.
pub type Attributes = BTreeMap<String, Value>;

/// The most attributes of one dataset or user.
pub const MAX_ATTRIBUTES: usize = 64;
/// The longest text in an attribute, in characters.
pub const MAX_ATTRIBUTE_TEXT_LENGTH: usize = 1024;
/// The most members of a list in an attribute.
pub const MAX_ATTRIBUTE_MEMBERS: usize = 256;
/// The most bytes of all attributes of one dataset or user, as JSON.
pub const MAX_ATTRIBUTES_SIZE: usize = 16 * 1024;

/// What has attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeOwner {
    /// A dataset: Cedar's `Dataset`.
    Dataset,
    /// A user: Cedar's `User`.
    User,
}

impl AttributeOwner {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Dataset, Self::User];

    /// The name of its entity type in the schema.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Dataset => "Dataset",
            Self::User => "User",
        }
    }

    /// The attributes that Cedargate fills in itself; each has a member of its own in requests and catalog files.
    #[must_use]
    pub fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Dataset => &[
                "title",
                "visibility",
                "record_status",
                "owner",
                "reader_users",
                "reader_roles",
            ],
            Self::User => &["username", "issuer"],
        }
    }
}

impl fmt::Display for AttributeOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

/// About how many bytes of memory attributes take.
#[must_use]
pub fn size_of_attributes(attributes: &Attributes) -> usize {
    let named = attributes.iter();
    named
        .map(|(name, value)| size_of_text(name) + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => ITEM_SIZE,
        Value::String(text) => size_of_text(text),
        Value::Array(values) => ITEM_SIZE + values.iter().map(size_of_value).sum::<usize>(),
        Value::Object(members) => {
            let sizes = members.iter();
            let sizes = sizes.map(|(name, value)| size_of_text(name) + size_of_value(value));
            ITEM_SIZE + sizes.sum::<usize>()
        }
    }
}

/// The names of the attributes that differ, marked: `+` new, `-` removed, `~` changed. Values may be secrets.
#[must_use]
pub fn attribute_changes(before: &Attributes, after: &Attributes) -> Vec<String> {
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let removed = removed.map(|name| format!("-{name}"));
    let others = after
        .iter()
        .filter_map(|(name, value)| match before.get(name) {
            None => Some(format!("+{name}")),
            Some(old) if old != value => Some(format!("~{name}")),
            Some(_) => None,
        });
    others.chain(removed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attributes(value: Value) -> Attributes {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn changes_are_named_without_their_values() {
        let before = attributes(json!({"a": 1, "b": "secret", "c": true}));
        let after = attributes(json!({"b": "other", "c": true, "d": []}));
        assert_eq!(attribute_changes(&before, &after), ["~b", "+d", "-a"]);
        assert!(attribute_changes(&after, &after).is_empty());
    }

    #[test]
    fn the_size_in_memory_grows_with_what_is_in_it() {
        let small = size_of_attributes(&attributes(json!({"a": ["x"]})));
        let large = size_of_attributes(&attributes(json!({"a": ["x", {"b": "y".repeat(1000)}]})));
        assert!(large > small + 1000);
    }
}
