//! The statuses of forward-auth: what leaves is 2xx, 401 or 403, whatever happened.
//!
//! nginx `auth_request` answers its client with 500 when it is told anything else. Whatever else the server
//! would have answered with becomes a 403 that has the status in `X-Error-Status`, so that a proxy can turn
//! it back. It is the last thing that is done to a response, because every layer may refuse a request for reasons of its own.

use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};
use serde_json::Value;

/// The header that has the status that the server would have answered with.
pub const ERROR_STATUS: HeaderName = HeaderName::from_static("x-error-status");

/// The path of forward-auth.
pub const FORWARD_AUTH_PATH: &str = "/auth/verify";

/// The response to a request for forward-auth, with a status that proxies know.
pub(super) async fn complete(response: Response) -> Response {
    without_cors(with_known_status(response).await)
}

/// No proxy asks with another method, unless it is told to: those are answered as anywhere.
pub(super) fn is_verification(request: &Request) -> bool {
    let path = request.uri().path();
    let path = path.strip_suffix('/').unwrap_or(path);
    path == FORWARD_AUTH_PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What pages may read of the proxy's responses, the proxy says: most proxies pass a refusal on as it is, and the
/// same header twice means nothing to a browser.
fn without_cors(mut response: Response) -> Response {
    let is_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let names: Vec<_> = response.headers().keys().filter(is_cors).cloned().collect();
    for name in names {
        response.headers_mut().remove(name);
    }
    response
}

async fn with_known_status(mut response: Response) -> Response {
    let status = response.status();
    let is_known =
        status.is_success() || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_known {
        return response;
    }
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    let forbidden = StatusCode::FORBIDDEN;
    let body = match serde_json::from_slice(&body) {
        Ok(Value::Object(mut problem)) => {
            problem.insert("status".to_owned(), forbidden.as_u16().into());
            let title = forbidden.canonical_reason().unwrap_or_default();
            problem.insert("title".to_owned(), title.into());
            Value::Object(problem).to_string().into()
        }
        Ok(_) | Err(_) => body,
    };
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.set_body(body);
    response.set_status(forbidden);
    let status = HeaderValue::from(status.as_u16());
    response.headers_mut().insert(ERROR_STATUS, status);
    response
}
