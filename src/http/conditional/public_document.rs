//! Public documents: JSON that caches may keep, serialised before anybody asks, with an `ETag` and a 304.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;

use crate::http::reply::responses;

use super::precondition::{PreconditionOutcome, Validators, evaluate};

/// The document, or 304 if the client already has it; `T` is its schema.
pub struct PublicDocument<T> {
    response: Response,
    schema: PhantomData<fn() -> T>,
}

impl<T> PublicDocument<T> {
    /// Answers a GET or HEAD of a document; `etag` is strong and has its quotes (RFC 9110 section 8.8.3).
    pub fn reply(request: &Request, body: Bytes, etag: &str, cache_control: &str) -> Self {
        // Such a document has no date: only its ETag says whether the client has it.
        let now = Validators {
            etag,
            last_modified: i64::MAX,
        };
        let response = Response::builder()
            .header(header::ETAG, etag)
            .header(header::CACHE_CONTROL, cache_control);
        let response = match evaluate(request.method(), request.headers(), now) {
            PreconditionOutcome::NotModified => response.status(StatusCode::NOT_MODIFIED).finish(),
            PreconditionOutcome::Met | PreconditionOutcome::Failed => {
                // RFC 7517 section 8.5.2 registers `application/jwk-set+json`, but many clients of a key
                // set accept nothing but JSON, and none requires the registered type.
                let response = response.content_type("application/json");
                // Said to a HEAD too, whose body is dropped.
                response
                    .header(header::CONTENT_LENGTH, body.len())
                    .body(body)
            }
        };
        Self {
            response,
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
