//! Public documents: what is the same for everybody and is made once, with an `ETag` and a 304.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;

use crate::http::reply::responses;

use super::precondition::{PreconditionOutcome, Validators, evaluate};

/// A document, and what the headers of its responses say.
#[derive(Clone, Debug)]
pub struct PreparedDocument {
    body: Bytes,
    etag: String,
    etag_header: HeaderValue,
    cache_control: HeaderValue,
    content_type: HeaderValue,
    length: HeaderValue,
}

impl PreparedDocument {
    /// Prepares a JSON document; `etag` is strong and has its quotes (RFC 9110 section 8.8.3).
    #[must_use]
    pub fn new(body: Bytes, etag: &str, cache_control: &str) -> Self {
        // Both are made of visible ASCII.
        let header = |text| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            length: HeaderValue::from(body.len()),
            body,
            etag: etag.to_owned(),
            etag_header: header(etag),
            cache_control: header(cache_control),
            // RFC 7517 section 8.5.2 registers `application/jwk-set+json`, but many clients of a key
            // set accept nothing but JSON, and none requires the registered type.
            content_type: HeaderValue::from_static("application/json"),
        }
    }

    /// The document with another media type.
    #[must_use]
    pub fn with_content_type(self, content_type: &'static str) -> Self {
        Self {
            content_type: HeaderValue::from_static(content_type),
            ..self
        }
    }

    /// Answers a GET or HEAD: the document, or 304 if the client already has it.
    #[must_use]
    pub fn reply(&self, request: &Request) -> Response {
        self.respond(self.evaluate(request), responses::empty_headers())
    }

    fn evaluate(&self, request: &Request) -> PreconditionOutcome {
        // Such a document has no date: only its ETag says whether the client has it.
        let now = Validators {
            etag: &self.etag,
            last_modified: i64::MAX,
        };
        evaluate(request.method(), request.headers(), now)
    }

    fn respond(&self, outcome: PreconditionOutcome, headers: HeaderMap) -> Response {
        let mut response = match outcome {
            PreconditionOutcome::NotModified => {
                let mut response = responses::response_with_headers(headers, ());
                response.set_status(StatusCode::NOT_MODIFIED);
                response
            }
            PreconditionOutcome::Met | PreconditionOutcome::Failed => {
                let body = self.body.clone();
                let mut response = responses::response_with_headers(headers, body);
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, self.content_type.clone());
                // Said to a HEAD too, whose body is dropped.
                headers.insert(header::CONTENT_LENGTH, self.length.clone());
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag_header.clone());
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        response
    }
}

/// The document, or 304 if the client already has it; `T` is its schema.
pub struct PublicDocument<T> {
    response: Response,
    schema: PhantomData<fn() -> T>,
}

impl<T> PublicDocument<T> {
    /// Answers a GET or HEAD of a document.
    pub fn reply(request: &Request, document: &PreparedDocument) -> Self {
        Self {
            response: document.reply(request),
            schema: PhantomData,
        }
    }

    /// Answers as [`PublicDocument::reply`] does a request that is not needed any more.
    pub fn reply_last(request: &mut Request, document: &PreparedDocument) -> Self {
        let outcome = document.evaluate(request);
        Self {
            response: document.respond(outcome, responses::released_headers(request)),
            schema: PhantomData,
        }
    }
}

impl<T: Send> IntoResponse for PublicDocument<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: Type> ApiResponse for PublicDocument<T> {
    fn meta() -> MetaResponses {
        let headers = || {
            vec![
                responses::text_header("ETag", "The entity tag of the document."),
                responses::text_header("Cache-Control", "How long it may be cached."),
            ]
        };
        let content = vec![MetaMediaType {
            content_type: "application/json",
            schema: T::schema_ref(),
        }];
        MetaResponses {
            responses: vec![
                responses::meta_response(200, "The document.", content, headers()),
                responses::meta_response(304, "The client's copy is current.", vec![], headers()),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
