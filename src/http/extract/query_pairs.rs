//! The names and values of a query, as forms write them (`application/x-www-form-urlencoded`, URL standard section 5.1).
//!
//! Tokens are long and have nothing to decode: only what has an escape is decoded, so that a span does not cost a walk
//! through its token for each who reads the query.

use std::borrow::Cow;

use url::form_urlencoded;

/// The pairs of a query in their order, decoded.
pub(crate) fn query_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| {
        if pair.contains('%') || pair.contains('+') {
            return form_urlencoded::parse(pair.as_bytes()).next();
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((name.into(), value.into()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_read_as_the_standard_says(query: &str) -> bool {
        query_pairs(query).eq(form_urlencoded::parse(query.as_bytes()))
    }

    #[test]
    fn escapes_separators_and_empty_parts_are_read_as_the_standard_says() {
        for query in [
            "",
            "&",
            "=",
            "a",
            "a=",
            "=b",
            "&&a=b&",
            "a=b=c&a",
            "to%6ben=x",
            "a+b=c%26d&%=%%",
            "%ff=\u{e9}&\u{e9}=+",
        ] {
            assert!(is_read_as_the_standard_says(query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn every_query_is_read_as_the_standard_says(
            query in prop_oneof!["[a-c=&%+26\u{e9}]{0,20}", any::<String>()]
        ) {
            prop_assert!(is_read_as_the_standard_says(&query));
        }
    }
}
