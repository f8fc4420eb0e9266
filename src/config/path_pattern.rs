//! Path patterns: which paths of a file server are which dataset's.
//!
//! A path is compared as it was sent, byte by byte: nothing is decoded and nothing is resolved, so that a path means
//! here what it means to the server behind. What that server could read in another way (`..`, `//`, `%2F`, `;`)
//! is in no pattern, and fits none.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::domain::id::DatasetId;

/// What stands for the dataset id in a pattern.
const PLACEHOLDER: &str = "{dataset_id}";
/// The end of a pattern that takes everything below a folder.
const SUBTREE: &str = "/*";
/// The most patterns: each request is compared with all of them.
const MAX_PATTERNS: usize = 100;
/// The most bytes of a pattern.
const MAX_PATTERN_LENGTH: usize = 1024;
/// What a segment of a path may have beside letters and digits: the rest of RFC 3986 section 3.3 without `;`,
/// which some servers cut a segment at, and quotes and stars.
const SEGMENT_MARKS: &[u8] = b"-._~@:+=,$&!()";

/// The patterns of all paths that a file server asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPatterns(Vec<PathPattern>);

/// One pattern: what comes before the dataset id and what comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PathPattern {
    before: String,
    after: String,
    /// Whether it takes every path below, of at least one segment.
    has_subtree: bool,
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It is not the path of a URL.
    #[error("does not begin with a single /: give the path alone, without scheme and host")]
    NotAPath,
    /// It does not say where the dataset id is.
    #[error("has no {{dataset_id}}")]
    NoPlaceholder,
    /// It says so twice.
    #[error("has {{dataset_id}} more than once")]
    TwoPlaceholders,
    /// It has other braces.
    #[error("has a brace that is not of {{dataset_id}}, the only placeholder")]
    OtherPlaceholder,
    /// It has a query or a fragment.
    #[error("has a ? or a #: a pattern is compared with the path alone")]
    Query,
    /// A star somewhere else than at the end.
    #[error("has a * that is not its last segment after {{dataset_id}}")]
    Star,
    /// No server would serve it under this path.
    #[error("has an empty segment, `.` or `..`")]
    NotNormal,
    /// It has characters that the path of a URL does not have, or has otherwise.
    #[error(
        "has a character that must be percent-encoded, an escape that must not be or is not in \
         capitals, or a ;"
    )]
    Characters,
    /// It is too long.
    #[error("is longer than {MAX_PATTERN_LENGTH} bytes")]
    TooLong,
    /// There are too many.
    #[error("is one too many: there may be {MAX_PATTERNS}")]
    TooMany,
}

impl PathPatterns {
    /// Parses a list; the error names the pattern that cannot be used.
    pub fn parse(list: &[String]) -> Result<Self, (String, PathPatternError)> {
        let parse = |(index, text): (usize, &String)| {
            let pattern = if index < MAX_PATTERNS {
                PathPattern::parse(text)
            } else {
                Err(PathPatternError::TooMany)
            };
            pattern.map_err(|error| (text.clone(), error))
        };
        let patterns = list.iter().enumerate().map(parse);
        patterns.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The dataset whose file is at this path; none if the path fits no pattern, or two that disagree.
    #[must_use]
    pub fn dataset_id(&self, path: &str) -> Option<DatasetId> {
        let mut found = self.0.iter().filter_map(|pattern| pattern.find(path));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, PathPatternError> {
        if text.len() > MAX_PATTERN_LENGTH {
            return Err(PathPatternError::TooLong);
        }
        if !text.starts_with('/') || text.starts_with("//") {
            return Err(PathPatternError::NotAPath);
        }
        if text.contains(['?', '#']) {
            return Err(PathPatternError::Query);
        }
        let (before, rest) = text
            .split_once(PLACEHOLDER)
            .ok_or(PathPatternError::NoPlaceholder)?;
        if rest.contains(PLACEHOLDER) {
            return Err(PathPatternError::TwoPlaceholders);
        }
        if [before, rest].iter().any(|part| part.contains(['{', '}'])) {
            return Err(PathPatternError::OtherPlaceholder);
        }
        let (after, has_subtree) = match rest.strip_suffix(SUBTREE) {
            // The slash stays: the id ends before it.
            Some(_) => (rest.trim_end_matches('*'), true),
            None => (rest, false),
        };
        if before.contains('*') || after.contains('*') {
            return Err(PathPatternError::Star);
        }
        // As the id itself does not matter, a letter stands for it.
        let example = format!("{before}x{after}{}", if has_subtree { "x" } else { "" });
        let mut segments = example.split('/').skip(1);
        if segments.clone().any(is_special_segment) {
            return Err(PathPatternError::NotNormal);
        }
        if !segments.all(is_literal_segment) {
            return Err(PathPatternError::Characters);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
            has_subtree,
        })
    }

    fn find(&self, path: &str) -> Option<DatasetId> {
        let rest = path.strip_prefix(&self.before)?;
        let id = if self.has_subtree {
            let (id, below) = rest.split_once(&self.after)?;
            let is_plain = |segment| !is_special_segment(segment) && has_plain_characters(segment);
            below.split('/').all(is_plain).then_some(id)?
        } else {
            rest.strip_suffix(self.after.as_str())?
        };
        id.parse().ok()
    }
}

/// Whether a segment is one that servers resolve instead of looking for it.
fn is_special_segment(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

fn has_plain_characters(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || SEGMENT_MARKS.contains(&byte);
    segment.bytes().all(is_plain)
}

/// Whether every client and server writes this segment in the same way: plain characters, and percent-encoded ones
/// that are text, need it, and do not separate anything.
fn is_literal_segment(segment: &str) -> bool {
    let mut parts = segment.split('%');
    let is_plain_start = parts.next().is_none_or(has_plain_characters);
    let is_escape = |part: &str| {
        let (Some(digits), Some(rest)) = (part.get(..2), part.get(2..)) else {
            return false;
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        let value = u8::from_str_radix(digits, 16);
        let needs_none = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\%;".contains(&byte)
        };
        digits.bytes().all(is_hex)
            && value.is_ok_and(|byte| !needs_none(byte))
            && has_plain_characters(rest)
    };
    let is_text = percent_decode_str(segment).decode_utf8().is_ok();
    is_plain_start && parts.all(is_escape) && is_text
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.has_subtree { "*" } else { "" };
        write!(f, "{}{PLACEHOLDER}{}{star}", self.before, self.after)
    }
}

impl fmt::Display for PathPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&shown.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";

    fn patterns(list: &[&str]) -> Result<PathPatterns, PathPatternError> {
        let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
        PathPatterns::parse(&list).map_err(|(_, error)| error)
    }

    fn is_found(patterns: &PathPatterns, path: &str) -> bool {
        patterns.dataset_id(path) == Some(ID.parse().unwrap())
    }

    #[test]
    fn a_path_is_found_by_exactly_its_pattern() {
        let patterns = patterns(&[
            "/cogs/{dataset_id}.tif",
            "/cogs/{dataset_id}.tif.ovr",
            "/{dataset_id}",
            "/my%20data/v1.{dataset_id}/cog.tif",
            "/tiles/{dataset_id}.zarr/*",
        ])
        .unwrap();
        for path in [
            "/cogs/ID.tif",
            "/cogs/ID.tif.ovr",
            "/ID",
            "/my%20data/v1.ID/cog.tif",
            "/tiles/ID.zarr/.zarray",
            "/tiles/ID.zarr/0/1/2.png",
        ] {
            assert!(is_found(&patterns, &path.replace("ID", ID)), "{path}");
            let forms = [
                ID.to_uppercase(),
                ID.replace('-', ""),
                format!("urn:uuid:{ID}"),
            ];
            for form in forms {
                let path = path.replace("ID", &form);
                assert!(is_found(&patterns, &path), "{path}");
            }
        }
    }

    #[test]
    fn what_a_server_could_read_in_another_way_fits_no_pattern() {
        let patterns = patterns(&["/cogs/{dataset_id}.tif", "/my%20data/{dataset_id}/*"]).unwrap();
        for path in [
            "",
            "/",
            "cogs/ID.tif",
            "//cogs/ID.tif",
            "/cogs//ID.tif",
            "/./cogs/ID.tif",
            "/x/../cogs/ID.tif",
            "/cogs/ID.tif/",
            "/cogs/ID.tif/..",
            "/cogs/ID.tif;x",
            "/cogs/ID.tif%00",
            "/cogs/ID.tif%20",
            "/cogs/ID.tif ",
            "/cogs/ID.tif.",
            "/cogs/ID.tiff",
            "/cogs/ID",
            "/cogs/ID.TIF",
            "/Cogs/ID.tif",
            "/cogs/%49D.tif",
            "/%63ogs/ID.tif",
            "/cogs%2FID.tif",
            "/cogs\\ID.tif",
            "/cogs/{ID}.tif",
            "/cogs/ID.tif?",
            "/cogs/ID.tif#x",
            "/cogs/ID.tif/../ID2.tif",
            "/cogs/.tif",
            "http://x/cogs/ID.tif",
            "*",
            "/my%20data/ID",
            "/my%20data/ID/",
            "/my%20data/ID//x",
            "/my%20data/ID/x/",
            "/my%20data/ID/.",
            "/my%20data/ID/../ID2/x",
            "/my%20data/ID/x/..",
            "/my%20data/ID/%2e%2e/x",
            "/my%20data/ID/a%2fb",
            "/my%20data/ID/..;/x",
            "/my%20data/ID/a\\b",
            "/my data/ID/x",
            "/my+data/ID/x",
        ] {
            let path = path
                .replace("ID2", "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32")
                .replace("ID", ID);
            assert_eq!(patterns.dataset_id(&path), None, "{path}");
        }
    }

    #[test]
    fn patterns_that_disagree_about_a_path_find_nothing() {
        let list = [
            format!("/{ID}/{PLACEHOLDER}"),
            format!("/{PLACEHOLDER}/{ID}"),
        ];
        let patterns = PathPatterns::parse(&list).unwrap();
        let other = "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32";
        assert!(is_found(&patterns, &format!("/{ID}/{ID}")));
        assert!(patterns.dataset_id(&format!("/{ID}/{other}")).is_some());
        let both = format!("/{ID}/{other}/..");
        assert_eq!(patterns.dataset_id(&both), None);
        let list = [format!("/{PLACEHOLDER}/*"), format!("/{ID}/{PLACEHOLDER}")];
        let patterns = PathPatterns::parse(&list).unwrap();
        assert_eq!(patterns.dataset_id(&format!("/{ID}/{other}")), None);
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused() {
        use PathPatternError::*;
        for (text, error) in [
            ("", NotAPath),
            ("cogs/{dataset_id}", NotAPath),
            ("//cogs/{dataset_id}", NotAPath),
            ("https://x/{dataset_id}", NotAPath),
            ("/cogs", NoPlaceholder),
            ("/cogs/{id}", NoPlaceholder),
            ("/cogs/{DATASET_ID}", NoPlaceholder),
            ("/{dataset_id}/{dataset_id}", TwoPlaceholders),
            ("/{dataset_id}/{z}", OtherPlaceholder),
            ("/{{dataset_id}}", OtherPlaceholder),
            ("/{dataset_id}?x", Query),
            ("/{dataset_id}#x", Query),
            ("/*/{dataset_id}", Star),
            ("/{dataset_id}*", Star),
            ("/{dataset_id}/*/x", Star),
            ("/{dataset_id}/**", Star),
            ("/a//{dataset_id}", NotNormal),
            ("/a/../{dataset_id}", NotNormal),
            ("/./{dataset_id}", NotNormal),
            ("/{dataset_id}/", NotNormal),
            ("/{dataset_id}//*", NotNormal),
            ("/a b/{dataset_id}", Characters),
            ("/a%2Fb/{dataset_id}", Characters),
            ("/a%2fb/{dataset_id}", Characters),
            ("/a%2Eb/{dataset_id}", Characters),
            ("/a%00/{dataset_id}", Characters),
            ("/a%FF/{dataset_id}", Characters),
            ("/a%c3%a9/{dataset_id}", Characters),
            ("/a%/{dataset_id}", Characters),
            ("/a%2/{dataset_id}", Characters),
            ("/a%+1/{dataset_id}", Characters),
            ("/a\u{e9}/{dataset_id}", Characters),
            ("/a;b/{dataset_id}", Characters),
            ("/a\\{dataset_id}", Characters),
        ] {
            assert_eq!(patterns(&[text]), Err(error), "{text}");
        }
        let long = format!("/{}{PLACEHOLDER}", "a".repeat(MAX_PATTERN_LENGTH));
        assert_eq!(patterns(&[&long]), Err(TooLong));
        let many = vec!["/{dataset_id}"; MAX_PATTERNS + 1];
        assert_eq!(patterns(&many), Err(TooMany));
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_given() {
        for text in [
            "/{dataset_id}",
            "/a%C3%A9/{dataset_id}.tif",
            "/t/{dataset_id}/*",
        ] {
            assert_eq!(patterns(&[text]).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_path_that_fits_is_its_own_normal_form(path in "/cogs/[ -~]{0,12}(2489e9ad-2ee2-8e00-8ec9-32d5f69181c0)?[ -~]{0,12}") {
            let patterns = patterns(&["/cogs/{dataset_id}.tif", "/cogs/{dataset_id}/*"]).unwrap();
            if patterns.dataset_id(&path).is_some() {
                let url = url::Url::parse(&format!("http://x{path}")).unwrap();
                prop_assert_eq!(url.path(), path.as_str());
                prop_assert_eq!(percent_decode_str(&path).decode_utf8().unwrap(), path.as_str());
            }
        }
    }
}
