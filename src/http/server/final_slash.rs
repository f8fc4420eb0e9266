//! A final slash: a path with one is answered as the path without it.
//!
//! It is removed before anything looks at the path (CORS, limits, the body gate, the log, the router), so
//! that nothing is permitted or limited otherwise for it. There is no redirect: it would lose the body of a
//! POST. Only one slash is removed; a path with an empty segment is another path, and nothing is served there.

use poem::http::uri::PathAndQuery;
use poem::http::{HeaderValue, Uri, header};
use poem::{Request, Response};

/// Marks a request whose path had a final slash: what its response refers to is one level up.
#[derive(Clone, Copy, Debug)]
pub struct FinalSlash;

/// Removes a final slash from the path of a request and marks it; returns whether there was one.
pub(super) fn remove(request: &mut Request) -> bool {
    let Some(uri) = without_final_slash(request.uri()) else {
        return false;
    };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(FinalSlash);
    true
}

/// Makes what the response to a marked request refers to relative to the path with the slash.
pub(super) fn complete(response: &mut Response) {
    let location = response.headers().get(header::LOCATION);
    if let Some(location) = location.and_then(one_level_up) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// The URI without the final slash of its path, if it has one that is not its only one.
fn without_final_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if path.is_empty() || path.ends_with('/') {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// A reference that is relative to the path without the slash, relative to the one with it.
fn one_level_up(location: &HeaderValue) -> Option<HeaderValue> {
    let location = location.to_str().ok()?;
    let is_relative = !location.starts_with('/') && !location.contains(':');
    is_relative
        .then(|| HeaderValue::try_from(format!("../{location}")).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_slash_is_removed_and_nothing_else_changes() {
        for (before, after) in [
            ("/a/", Some("/a")),
            ("/a/b/?c=d/", Some("/a/b?c=d/")),
            ("/a%2F/", Some("/a%2F")),
            ("http://x/a/", Some("http://x/a")),
            ("/", None),
            ("//", None),
            ("/a//", None),
            ("/a", None),
            ("/a?b/", None),
            ("/a%2F", None),
        ] {
            let uri = without_final_slash(&before.parse().unwrap());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn only_a_relative_reference_is_moved_one_level_up() {
        for (before, after) in [
            ("datasets/1", Some("../datasets/1")),
            ("/datasets/1", None),
            ("https://x/y", None),
        ] {
            let moved = one_level_up(&HeaderValue::from_static(before));
            assert_eq!(
                moved.as_ref().map(|value| value.to_str().unwrap()),
                after,
                "{before}"
            );
        }
    }
}
