//! `Content-Disposition`: the name under which a download is saved (RFC 6266).
//!
//! A name that is not plain ASCII is sent twice: as `filename*` in UTF-8 (RFC 8187), which browsers prefer, and
//! before it as `filename` with a `_` for each other character, for programs that know nothing else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What `filename*` encodes: all but the `attr-char` of RFC 8187 section 3.2.1.
const EXTENDED_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The value of `Content-Disposition` for a file that is saved as `name`.
pub fn attachment(name: &str) -> String {
    // RFC 6266 appendix D: backslashes and percent signs are read differently by different clients.
    let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%');
    if name.chars().all(is_plain) {
        return format!("attachment; filename=\"{name}\"");
    }
    let plain: String = name
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    let extended = utf8_percent_encode(name, EXTENDED_VALUE);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}")
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_is_sent_once_and_another_twice() {
        for (name, value) in [
            ("dem.tif", "attachment; filename=\"dem.tif\""),
            ("a;b c.tif", "attachment; filename=\"a;b c.tif\""),
            (
                "Höhe 1.tif",
                "attachment; filename=\"H_he 1.tif\"; filename*=UTF-8''H%C3%B6he%201.tif",
            ),
            (
                "50%.tif",
                "attachment; filename=\"50_.tif\"; filename*=UTF-8''50%25.tif",
            ),
            (
                "地'*.tif",
                "attachment; filename=\"_'*.tif\"; filename*=UTF-8''%E5%9C%B0%27%2A.tif",
            ),
        ] {
            assert_eq!(attachment(name), value);
        }
    }

    proptest! {
        #[test]
        fn no_name_ends_its_parameter_or_the_header(name in any::<String>()) {
            let value = attachment(&name);
            prop_assert!(value.is_ascii());
            prop_assert!(HeaderValue::try_from(value.clone()).is_ok());
            prop_assert_eq!(value.matches('"').count(), 2);
            prop_assert!(!value.contains(['\r', '\n', '\\']));
        }
    }
}
