//! Entity tags: parsing, comparing, and finding one in a list (RFC 9110 section 8.8.3).
//!
//! What compresses an answer on its way changes its entity tag: nginx, Cloudflare and Envoy make it weak, Apache
//! and Jetty put a suffix in it. With such a tag no change is ever made, because `If-Match` compares strongly, and
//! reading again brings the same tag. So it is told from a tag of another version, and so is what is no entity tag
//! at all, such as one whose quotes a client has taken off.

/// What the client is told whose `If-Match` has a tag that was changed on its way.
pub const ALTERED_TAG: &str = "the entity tag in If-Match is weak or has a suffix, so it matches no version: \
    something between this server and the client compressed the answer that it came with; read it again with \
    `Accept-Encoding: identity`, or switch compression off there";

/// What the client is told whose `If-Match` has something else than entity tags.
pub const MALFORMED_TAG: &str = "If-Match is not an entity tag, so it matches no version: send the value of the \
    `ETag` header as it was received, with its quotes";

/// The suffixes that Apache, Jetty, Caddy and others put into a tag, before its closing quote.
const CODING_SUFFIXES: [&[u8]; 10] = [
    b"-gzip",
    b";gzip",
    b":gzip",
    b"+gzip",
    b"-br",
    b";br",
    b":br",
    b"-zstd",
    b"-deflate",
    b"-df",
];

/// What comparing `If-Match` with an entity tag came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatchOutcome {
    /// It names this version.
    Matches,
    /// It names other versions.
    Differs,
    /// It does not name this version, and a tag in it was changed by something that compresses answers.
    Altered,
    /// It does not name this version, and something in it is no entity tag.
    Malformed,
}

/// Whether a list of entity tags, or `*`, matches `etag` by strong comparison, as `If-Match`
/// requires (RFC 9110 section 13.1.1).
pub fn matches_strongly(listed: &[u8], etag: &str) -> bool {
    list_matches(listed, etag, strong_eq)
}

/// Like [`matches_strongly`]; says if a tag that does not match was changed on its way.
pub fn compare_strongly(listed: &[u8], etag: &str) -> IfMatchOutcome {
    if matches_strongly(listed, etag) {
        IfMatchOutcome::Matches
    } else if list_matches(listed, etag, is_altered) {
        IfMatchOutcome::Altered
    } else if !TagList::parse(listed).is_well_formed {
        IfMatchOutcome::Malformed
    } else {
        IfMatchOutcome::Differs
    }
}

/// Whether a tag is weak, or has a suffix that this server never gives.
fn is_altered(tag: &[u8], etag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_suffix(b"\"").map(<[u8]>::to_vec);
    let (Some(tag), Some(etag)) = (opaque(tag), opaque(etag)) else {
        return false;
    };
    let lower = tag.to_ascii_lowercase();
    tag.starts_with(b"W/")
        || (tag.len() > etag.len() && tag.starts_with(&etag))
        || CODING_SUFFIXES.iter().any(|suffix| lower.ends_with(suffix))
}

/// Whether a list of entity tags, or `*`, matches `etag` by weak comparison, as `If-None-Match`
/// requires (RFC 9110 section 13.1.2).
pub fn matches_weakly(listed: &[u8], etag: &str) -> bool {
    list_matches(listed, etag, weak_eq)
}

/// Whether a list of entity tags, or `*`, matches `etag`.
fn list_matches(listed: &[u8], etag: &str, eq: fn(&[u8], &[u8]) -> bool) -> bool {
    let list = TagList::parse(listed);
    list.is_any || list.tags.iter().any(|tag| eq(tag, etag.as_bytes()))
}

/// The tags that a header lists.
struct TagList<'a> {
    /// Whether it is `*`, which means every version.
    is_any: bool,
    /// The tags; what follows a malformed one is ignored: such a list matches fewer versions, so that
    /// `If-Match` fails and `If-None-Match` sends the file.
    tags: Vec<&'a [u8]>,
    /// Whether there is at least one tag, or `*`, and nothing else.
    is_well_formed: bool,
}

impl<'a> TagList<'a> {
    fn parse(listed: &'a [u8]) -> Self {
        let mut rest = listed.trim_ascii();
        let is_any = rest == b"*";
        let mut tags = Vec::new();
        loop {
            while let [b',' | b' ' | b'\t', more @ ..] = rest {
                rest = more;
            }
            let split = split_entity_tag(rest).map(|(tag, more)| (tag, more.trim_ascii_start()));
            let Some((tag, more @ ([] | [b',', ..]))) = split else {
                break;
            };
            tags.push(tag);
            rest = more;
        }
        Self {
            is_any,
            is_well_formed: is_any || (rest.is_empty() && !tags.is_empty()),
            tags,
        }
    }
}

/// Splits an entity tag (RFC 9110 section 8.8.3) off the start of a value.
pub fn split_entity_tag(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let prefix = if value.starts_with(b"W/") { 2 } else { 0 };
    let [b'"', opaque @ ..] = value.get(prefix..)? else {
        return None;
    };
    let length = opaque
        .iter()
        .position(|c| !matches!(c, 0x21 | 0x23..=0x7e | 0x80..))?;
    let is_closed = opaque.get(length) == Some(&b'"');
    if is_closed {
        value.split_at_checked(prefix + length + 2)
    } else {
        None
    }
}

/// Strong comparison (RFC 9110 section 8.8.3.2): both strong, and the same characters.
pub fn strong_eq(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.starts_with(b"W/")
}

/// Weak comparison (RFC 9110 section 8.8.3.2): the same characters, weak or strong.
fn weak_eq(one: &[u8], other: &[u8]) -> bool {
    one.strip_prefix(b"W/").unwrap_or(one) == other.strip_prefix(b"W/").unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    #[test]
    fn the_tag_a_list_with_it_and_a_star_match_strongly() {
        for listed in [
            ETAG,
            "\"x\", \"abc\"",
            " \"x\",,\t\"abc\" ,\"y\"",
            "*",
            " * ",
        ] {
            assert!(matches_strongly(listed.as_bytes(), ETAG), "{listed}");
        }
    }

    #[test]
    fn another_tag_a_weak_one_and_a_malformed_one_do_not_match_strongly() {
        for listed in [
            "\"x\"",
            "W/\"abc\"",
            "abc",
            "",
            "\"abc",
            "\"abc\"x",
            "\"x\" \"abc\"",
            "*, \"x\"",
        ] {
            assert!(!matches_strongly(listed.as_bytes(), ETAG), "{listed}");
        }
    }

    #[test]
    fn a_tag_that_was_compressed_on_its_way_is_told_from_one_of_another_version() {
        use IfMatchOutcome::{Altered, Differs, Malformed, Matches};
        for (listed, outcome) in [
            (ETAG, Matches),
            ("W/\"abc\", \"abc\"", Matches),
            ("\"x\"", Differs),
            ("\"x\",, \"y\" ,", Differs),
            ("", Malformed),
            (" , ", Malformed),
            ("abc", Malformed),
            ("W/abc", Malformed),
            ("w/\"abc\"", Malformed),
            ("\"abc", Malformed),
            ("'abc'", Malformed),
            ("\\\"abc\\\"", Malformed),
            ("\"\"abc\"\"", Malformed),
            ("\"x\", abc", Malformed),
            ("\"abc\", x", Matches),
            ("W/\"abc\", x", Altered),
            ("W/\"abc\"", Altered),
            ("W/\"x\"", Altered),
            ("\"x\", W/\"abc\"", Altered),
            ("\"abc-gzip\"", Altered),
            ("\"abc--gzip\"", Altered),
            ("\"abc;gzip\"", Altered),
            ("\"x-GZIP\"", Altered),
            ("W/\"abc-br\"", Altered),
            ("\"abc:1f8b\"", Altered),
        ] {
            assert_eq!(
                compare_strongly(listed.as_bytes(), ETAG),
                outcome,
                "{listed}"
            );
        }
    }

    #[test]
    fn a_weak_tag_matches_only_weakly() {
        assert!(!matches_strongly(b"W/\"abc\"", "W/\"abc\""));
        assert!(matches_weakly(b"W/\"abc\"", "W/\"abc\""));
        assert!(matches_weakly(b"\"abc\"", "W/\"abc\""));
    }

    #[test]
    fn the_tag_weak_or_strong_listed_or_starred_matches_weakly() {
        for listed in [ETAG, "W/\"abc\"", "\"x\", W/\"abc\"", "*"] {
            assert!(matches_weakly(listed.as_bytes(), ETAG), "{listed}");
        }
    }

    #[test]
    fn another_tag_and_a_malformed_one_do_not_match_weakly() {
        for listed in ["\"x\"", "w/\"abc\"", "abc", "", "\"x\" \"abc\"", "\"ABC\""] {
            assert!(!matches_weakly(listed.as_bytes(), ETAG), "{listed}");
        }
    }

    #[test]
    fn a_comma_inside_a_tag_does_not_end_it() {
        assert!(matches_weakly(b"\"x\", \"a,b\"", "\"a,b\""));
        assert!(!matches_weakly(b"\"a\", \"b\"", "\"a,b\""));
    }
}
