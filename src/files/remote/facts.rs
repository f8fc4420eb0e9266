//! What a store says of a file: its length, its age and its entity tag.

use crate::domain::clock::Clock;

/// What a store says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::files) struct RemoteFacts {
    /// The length in bytes.
    pub(in crate::files) size: u64,
    /// When it was stored, in seconds since 1970 UTC.
    pub(in crate::files) modified: i64,
    /// Whether the store said when.
    pub(super) is_dated: bool,
    /// The entity tag as the store writes it.
    pub(super) tag: Option<String>,
}

impl RemoteFacts {
    /// Facts of a file whose store may not say when it was stored: then it counts as stored now, so that no date of
    /// an earlier answer matches.
    pub(super) fn new(size: u64, modified: Option<i64>, tag: Option<String>) -> Self {
        Self {
            size,
            modified: modified.unwrap_or_else(|| Clock::system().unix_seconds()),
            is_dated: modified.is_some(),
            tag,
        }
    }

    /// The entity tag for clients (RFC 9110 section 8.8.3); weak if the store has none, or a weak one.
    pub(in crate::files) fn entity_tag(&self) -> String {
        let made = || format!("W/\"{:x}-{:x}\"", self.size, self.modified);
        let Some(tag) = &self.tag else { return made() };
        let is_opaque = |text: &str| {
            (1..=200).contains(&text.len()) && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x7e))
        };
        let unquoted = |text: &str| {
            let inside = text.strip_prefix('"')?.strip_suffix('"')?;
            is_opaque(inside).then(|| inside.to_owned())
        };
        if let Some(opaque) = unquoted(tag) {
            format!("\"{opaque}\"")
        } else if let Some(opaque) = tag.strip_prefix("W/").and_then(unquoted) {
            format!("W/\"{opaque}\"")
        } else if is_opaque(tag) {
            // Azure writes some without quotes.
            format!("\"{tag}\"")
        } else {
            made()
        }
    }

    /// The tag to name this version to its store, if it is strong.
    pub(super) fn strong_tag(&self) -> Option<&str> {
        self.tag.as_deref().filter(|tag| !tag.starts_with("W/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_well_formed_whatever_a_store_says() {
        let tag = |tag: Option<&str>| {
            RemoteFacts::new(255, Some(16), tag.map(str::to_owned)).entity_tag()
        };
        for (given, sent) in [
            (Some("\"abc-2\""), "\"abc-2\""),
            (Some("0x8DB"), "\"0x8DB\""),
            (Some("W/\"abc\""), "W/\"abc\""),
            (Some("\"a\r\nb\""), "W/\"ff-10\""),
            (Some("\"a\"b\""), "W/\"ff-10\""),
            (Some("\""), "W/\"ff-10\""),
            (Some("\"\""), "W/\"ff-10\""),
            (Some(""), "W/\"ff-10\""),
            (None, "W/\"ff-10\""),
        ] {
            assert_eq!(tag(given), sent, "{given:?}");
        }
    }
}
