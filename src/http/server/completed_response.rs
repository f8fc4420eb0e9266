//! The completed response: what a response owes to its request, whichever endpoint gave it.
//!
//! Every error is a problem; a 405 has `Allow` (RFC 9110 section 15.5.6), a 415 names the media types that are
//! taken, in `Accept` too (section 15.5.16), and a 401 has the challenges that the client can use.

use std::sync::Arc;

use poem::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{IntoResponse, Request, Response};

use crate::http::reply::problem::{PROBLEM_JSON, Problem, UnsupportedContentType};
use crate::http::reply::responses;

use super::operations::{BodyKind, OperationTable};
use super::request_id::X_REQUEST_ID;

/// Marks a response whose error status is not a problem: it is sent unchanged.
#[derive(Clone, Copy)]
pub struct Passthrough;

/// The challenge of RFC 7617, for clients that send a user name and a password only when asked (wget,
/// `curl --anyauth`, Python's urllib): the password is an API key.
///
/// Browsers would answer it with a dialog that asks for a password, on top of whatever page made the request;
/// they do not get it.
const BASIC_CHALLENGE: HeaderValue =
    HeaderValue::from_static(r#"Basic realm="cedargate: an API key as password", charset="UTF-8""#);

/// Headers that only browsers send (Fetch Metadata; the Fetch standard, section 3.2), though not all to plain
/// `http` on other machines: there [`BROWSER_PRODUCT`] tells.
const BROWSER_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
    header::ORIGIN,
];
/// What the `User-Agent` of every browser begins with.
const BROWSER_PRODUCT: &[u8] = b"Mozilla/";
/// The most bytes of a media type that a problem repeats.
const MAX_MEDIA_TYPE_LENGTH: usize = 100;

/// What completes the response to a request.
pub(super) struct ResponseCompletion {
    method: Method,
    path: Arc<str>,
    media_type: Option<String>,
    is_browser: bool,
}

impl ResponseCompletion {
    pub(super) fn of_request(request: &Request, path: Arc<str>) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            path,
            media_type: headers.get(CONTENT_TYPE).map(described_media_type),
            is_browser: is_browser(headers),
        }
    }

    /// Adds what the status asks for; OPTIONS is answered with `Allow` alone.
    pub(super) fn complete(&self, response: Response, operations: &OperationTable) -> Response {
        match response.status() {
            StatusCode::NOT_FOUND => self.with_hint(response, operations),
            StatusCode::METHOD_NOT_ALLOWED => self.with_allow(response, operations),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => self.with_accept(response, operations),
            StatusCode::UNAUTHORIZED => self.with_challenges(response, operations),
            _ => response,
        }
    }

    /// The server has no paths under the path of its issuer: whatever a proxy keeps from others at one path
    /// would be open at another.
    fn with_hint(&self, response: Response, operations: &OperationTable) -> Response {
        let is_served = operations.allowed_methods(&self.path).is_some();
        if is_served || !operations.has_base_path(&self.path) {
            return response;
        }
        let detail = "nothing is served at this path: the proxy must remove the path of the issuer from the \
                      requests that it passes on";
        Problem::new(StatusCode::NOT_FOUND, detail).into_response()
    }

    fn with_allow(&self, mut response: Response, operations: &OperationTable) -> Response {
        let Some(allowed) = operations.allowed_methods(&self.path) else {
            return response;
        };
        if self.method == Method::OPTIONS {
            response = responses::empty_response(StatusCode::NO_CONTENT);
        }
        response.headers_mut().insert(ALLOW, allowed.clone());
        response
    }

    fn with_accept(&self, response: Response, operations: &OperationTable) -> Response {
        let accepted = operations.media_types(&self.method, &self.path);
        let Ok(accept) = HeaderValue::from_str(&accepted.join(", ")) else {
            return response;
        };
        let is_of_content_type = response.extensions().get::<UnsupportedContentType>();
        if accepted.is_empty() || is_of_content_type.is_none() {
            return response;
        }
        let sent = match &self.media_type {
            Some(media_type) => format!("the request body has {media_type}"),
            None => "the request has no Content-Type".to_owned(),
        };
        let detail = format!("{sent}; this operation takes {}", accepted.join(" or "));
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        let mut response = problem.into_response();
        response.headers_mut().insert(header::ACCEPT, accept);
        response
    }

    fn with_challenges(&self, mut response: Response, operations: &OperationTable) -> Response {
        let takes_credentials = matches!(
            operations.body_kind(&self.method, &self.path),
            Some(BodyKind::Unused | BodyKind::OfCallers | BodyKind::OfCallersOrAnonymous)
        );
        if takes_credentials && !self.is_browser {
            let headers = response.headers_mut();
            headers.append(header::WWW_AUTHENTICATE, BASIC_CHALLENGE);
        }
        response
    }
}

fn is_browser(headers: &HeaderMap) -> bool {
    let has_header = BROWSER_HEADERS
        .iter()
        .any(|name| headers.contains_key(name));
    let user_agent = headers.get(header::USER_AGENT);
    has_header || user_agent.is_some_and(|value| value.as_bytes().starts_with(BROWSER_PRODUCT))
}

/// The media type without its parameters, as far as it can be repeated.
fn described_media_type(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() || essence.len() > MAX_MEDIA_TYPE_LENGTH {
        "a Content-Type that is not a media type".to_owned()
    } else {
        format!("the Content-Type `{essence}`")
    }
}

/// Gives an error response that is not ours the form of a problem; keeps its headers.
pub(super) fn into_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_problem || response.extensions().get::<Passthrough>().is_some() {
        return response;
    }
    let mut problem = Problem::from_status(status).into_response();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            problem.headers_mut().insert(name.clone(), value.clone());
        }
    }
    problem
}

/// Sets the headers that every response has.
pub(super) fn set_common_headers(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, request_id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Tokens travel in URLs: no page that was fetched with one may pass it on as its referrer.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

/// The response; it says that the connection is closed behind it, unless the request was read to its end
/// (RFC 9112, section 9.6).
pub(super) fn closing_unless(is_read: bool, mut response: Response) -> Response {
    if !is_read {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
