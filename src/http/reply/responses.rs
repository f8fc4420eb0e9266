//! Responses of operations, with their entries in the OpenAPI document.
//!
//! An operation returns `Result<JsonOk<T>, ErrorResponse<S>>`: `T` is the body, and `S` lists the
//! error statuses.

use std::marker::PhantomData;

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};

use crate::service::error::ServiceError;

use super::problem::{FieldProblemDetail, PROBLEM_JSON, Problem, ProblemDetail};

/// A 200 with a JSON body that caches must not store.
pub struct JsonOk<T>(pub T);

impl<T: Type + ToJSON> IntoResponse for JsonOk<T> {
    fn into_response(self) -> Response {
        json_ok(empty_headers(), self.0.to_json_string())
    }
}

impl<T: serde::Serialize> JsonOk<T> {
    /// The same response with empty `headers`, written without a tree of JSON values in between.
    ///
    /// `capacity` is about how many bytes its body has.
    pub fn into_serialized(self, headers: HeaderMap, capacity: usize) -> Response {
        let mut json = Vec::with_capacity(capacity);
        match serde_json::to_writer(&mut json, &self.0) {
            Ok(()) => json_ok(headers, json),
            Err(error) => {
                tracing::error!(%error, "response not written as JSON");
                Problem::internal().into_response()
            }
        }
    }
}

/// How many headers most responses have in the end.
const DEFAULT_HEADER_CAPACITY: usize = 12;
/// A larger header map of a request is not kept: an open connection would keep its memory.
const MAX_REUSED_CAPACITY: usize = 4 * DEFAULT_HEADER_CAPACITY;

/// An empty header map with room for the headers of most responses.
pub(crate) fn empty_headers() -> HeaderMap {
    HeaderMap::with_capacity(DEFAULT_HEADER_CAPACITY)
}

/// Empties a request that is not needed any more, but for its body, and gives its header map for the response: the
/// memory is large enough, because hyper takes that of the last response for the next request.
///
/// A request has parts of the buffer that it was read into. While it waits, hyper watches whether its client has gone,
/// which needs a second buffer as long as the first is in use.
pub(crate) fn released_headers(request: &mut Request) -> HeaderMap {
    let body = request.take_body();
    let mut released = std::mem::take(request);
    request.set_body(body);
    let mut headers = std::mem::take(released.headers_mut());
    if headers.capacity() > MAX_REUSED_CAPACITY {
        return empty_headers();
    }
    headers.clear();
    headers.reserve(DEFAULT_HEADER_CAPACITY);
    headers
}

/// A response with these headers.
pub(crate) fn response_with_headers(headers: HeaderMap, body: impl Into<Body>) -> Response {
    let mut response = Response::builder().body(body);
    *response.headers_mut() = headers;
    response
}

fn json_ok(headers: HeaderMap, json: impl Into<Body>) -> Response {
    let mut response = response_with_headers(headers, json);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    response
}

impl<T: Type + ToJSON> ApiResponse for JsonOk<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: "application/json",
            schema: T::schema_ref(),
        }];
        let headers = vec![text_header("Cache-Control", "Always `no-store`.")];
        MetaResponses {
            responses: vec![meta_response(200, "Success.", content, headers)],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A 201 with a JSON body that caches must not store.
pub struct JsonCreated<T>(pub T);

impl<T: Type + ToJSON> IntoResponse for JsonCreated<T> {
    fn into_response(self) -> Response {
        let mut response = JsonOk(self.0).into_response();
        response.set_status(StatusCode::CREATED);
        response
    }
}

impl<T: Type + ToJSON> ApiResponse for JsonCreated<T> {
    fn meta() -> MetaResponses {
        let created = |ok| MetaResponse {
            status: Some(201),
            description: "Created.",
            ..ok
        };
        let responses = JsonOk::<T>::meta().responses.into_iter();
        MetaResponses {
            responses: responses.map(created).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A 204.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        empty_response(StatusCode::NO_CONTENT)
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![meta_response(
                204,
                "Success, without a body.",
                vec![],
                vec![],
            )],
        }
    }

    fn register(_: &mut Registry) {}
}

/// The error statuses of one operation.
pub trait ErrorStatuses: Send + Sync + 'static {
    /// The statuses in ascending order.
    const STATUSES: &'static [u16];
    /// What some of them mean for this operation, where the usual description does not fit.
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[];
    /// Those whose problem may name a field.
    const FIELD_STATUSES: &'static [u16] = &[409];
}

/// An error of an operation that documents the statuses of `S`.
pub struct ErrorResponse<S> {
    problem: Problem,
    statuses: PhantomData<S>,
}

impl<S> From<ServiceError> for ErrorResponse<S> {
    fn from(error: ServiceError) -> Self {
        Self::from(Problem::from(error))
    }
}

impl<S> From<Problem> for ErrorResponse<S> {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            statuses: PhantomData,
        }
    }
}

impl<S> From<ErrorResponse<S>> for poem::Error {
    fn from(response: ErrorResponse<S>) -> Self {
        response.problem.into()
    }
}

impl<S: ErrorStatuses> ApiResponse for ErrorResponse<S> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: S::STATUSES
                .iter()
                .map(|status| problem_response::<S>(*status))
                .collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDetail::register(registry);
        FieldProblemDetail::register(registry);
    }
}

/// One error response of the document.
fn problem_response<S: ErrorStatuses>(status: u16) -> MetaResponse {
    let (usual_description, headers) = usual_response(status);
    let own = S::DESCRIPTIONS.iter().find(|(own, _)| *own == status);
    let description = own.map_or(usual_description, |(_, description)| description);
    let schema = if S::FIELD_STATUSES.contains(&status) {
        FieldProblemDetail::schema_ref()
    } else {
        ProblemDetail::schema_ref()
    };
    let content = vec![MetaMediaType {
        content_type: PROBLEM_JSON,
        schema,
    }];
    meta_response(status, description, content, headers)
}

/// The description and the headers of an error status; one table for all operations.
fn usual_response(status: u16) -> (&'static str, Vec<MetaHeader>) {
    match status {
        400 => (
            "The request has more than one credential, or one twice.",
            vec![],
        ),
        401 => (
            "A credential is missing, malformed or not valid.",
            vec![text_header(
                "WWW-Authenticate",
                "The challenge of RFC 6750.",
            )],
        ),
        403 => ("You may see the dataset, but not read it.", vec![]),
        404 => ("Dataset not found, or not visible to you.", vec![]),
        408 => ("The body did not arrive in time.", vec![]),
        409 => ("Conflicts with the current state.", vec![]),
        412 => ("Changed since the version that `If-Match` names.", vec![]),
        413 => ("The body is too large.", vec![]),
        415 => ("The body has an unsupported type.", vec![]),
        422 => ("A parameter or the body is malformed.", vec![]),
        428 => ("`If-Match` is missing.", vec![]),
        429 => (
            "Too many requests.",
            vec![number_header("Retry-After", "When to retry, in seconds.")],
        ),
        503 => (
            "Temporarily unavailable; nothing was done.",
            vec![number_header("Retry-After", "When to retry, in seconds.")],
        ),
        _ => ("Internal error.", vec![]),
    }
}

/// One response of the document.
pub(crate) fn meta_response(
    status: u16,
    description: &'static str,
    content: Vec<MetaMediaType>,
    headers: Vec<MetaHeader>,
) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content,
        headers,
    }
}

/// The media type of bytes of any kind, which every generator of clients knows (RFC 2046 section 4.5.1).
pub(crate) const ANY_BYTES: &str = "application/octet-stream";

/// A media type of the document whose content is bytes.
pub(crate) fn binary_media_type(content_type: &'static str) -> MetaMediaType {
    let schema = MetaSchema::new_with_format("string", "binary");
    MetaMediaType {
        content_type,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    }
}

/// A header of the document whose value is text.
pub(crate) fn text_header(name: &str, description: &str) -> MetaHeader {
    described_header(name, description, MetaSchema::new("string"))
}

/// A header of the document whose value is a whole number.
pub(crate) fn number_header(name: &str, description: &str) -> MetaHeader {
    described_header(name, description, MetaSchema::new("integer"))
}

fn described_header(name: &str, description: &str, schema: MetaSchema) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    }
}

/// A response without a body.
pub(crate) fn empty_response(status: StatusCode) -> Response {
    Response::builder().status(status).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_request_has_nothing_left_but_its_body_and_a_large_header_map_is_not_kept() {
        for (count, is_kept) in [(3, true), (90, false)] {
            let uri = poem::http::Uri::from_static("/secret?token=x");
            let mut request = Request::builder().uri(uri).body("the body");
            for number in 0..count {
                let name = poem::http::HeaderName::from_bytes(format!("x-{number}").as_bytes());
                let value = HeaderValue::from_static("secret");
                request.headers_mut().insert(name.unwrap(), value);
            }
            let capacity = request.headers().capacity();
            let headers = released_headers(&mut request);
            assert!(headers.is_empty() && request.headers().is_empty());
            assert!(headers.capacity() >= DEFAULT_HEADER_CAPACITY);
            assert_eq!(headers.capacity() >= capacity, is_kept);
            assert_eq!(
                (request.uri().path(), request.original_uri().path()),
                ("/", "/")
            );
            assert!(!request.take_body().is_empty());
        }
    }
}
