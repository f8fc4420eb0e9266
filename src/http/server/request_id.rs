//! The request id that a client or proxy sent in `X-Request-Id`.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

/// The longest request id that is accepted from a client or proxy.
const MAX_REQUEST_ID_LENGTH: usize = 64;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that a client or proxy sent, if it is safe to log; of several headers none.
pub(super) fn received_request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut received = headers.get_all(X_REQUEST_ID).iter();
    let (Some(id), None) = (received.next(), received.next()) else {
        return None;
    };
    let id = id.to_str().ok()?;
    let is_safe = (1..=MAX_REQUEST_ID_LENGTH).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_safe.then(|| Arc::from(id))
}

/// The one id that a client sent, to be sent back byte for byte where a standard asks for that (Authorization API 1.0,
/// section 10.1.3). It may be unfit for the log.
pub(super) fn echoed_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut received = headers.get_all(X_REQUEST_ID).iter();
    match (received.next(), received.next()) {
        (Some(id), None) => Some(id.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_id_is_sent_back_as_it_came() {
        for id in [
            "trace/7:a \"b\" <c>",
            "tab\there",
            "\u{e9}",
            &"x".repeat(1000),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                X_REQUEST_ID,
                HeaderValue::from_bytes(id.as_bytes()).unwrap(),
            );
            let echoed = echoed_request_id(&headers).unwrap();
            assert_eq!(echoed.as_bytes(), id.as_bytes());
            headers.append(X_REQUEST_ID, HeaderValue::from_static("b"));
            assert_eq!(echoed_request_id(&headers), None);
        }
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_dropped() {
        let mut headers = HeaderMap::new();
        assert_eq!(received_request_id(&headers), None);
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("abc-1.2_3"));
        let received = received_request_id(&headers);
        assert_eq!(received.as_deref(), Some("abc-1.2_3"));
        headers.append(X_REQUEST_ID, HeaderValue::from_static("other"));
        assert_eq!(received_request_id(&headers), None);
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("a b\"c"));
        assert_eq!(received_request_id(&headers), None);
    }
}
