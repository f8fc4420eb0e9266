//! Responses with an `ETag`: JSON that can be changed with `If-Match`.
//!
//! The entity tag is the SHA-256 of the body, so that it is strong (RFC 9110 section 8.8.1) and need
//! not be stored.

use poem::IntoResponse;
use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};
use sha2::{Digest, Sha256};

use crate::http::reply::responses::{JsonOk, text_header};

/// A 200 with a JSON body, and the `ETag` with which to change it.
pub struct WithEtag<T>(pub T);

/// A 201 with a JSON body, its `Location`, and the `ETag` with which to change it.
pub struct CreatedWithEtag<T> {
    /// The new resource.
    pub resource: T,
    /// Where it is, relative to the path of the request: whatever path the server stands under, a client finds it.
    pub location: String,
}

/// The entity tag of a resource's JSON representation.
pub fn json_etag(resource: &impl ToJSON) -> String {
    content_etag(resource.to_json_string().as_bytes())
}

/// The entity tag of what is sent as it is.
pub fn content_etag(content: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Sha256::digest(content)))
}

impl<T: Type + ToJSON> IntoResponse for WithEtag<T> {
    fn into_response(self) -> Response {
        let etag = HeaderValue::try_from(json_etag(&self.0));
        let mut response = JsonOk(self.0).into_response();
        if let Ok(etag) = etag {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

impl<T: Type + ToJSON> IntoResponse for CreatedWithEtag<T> {
    fn into_response(self) -> Response {
        let mut response = WithEtag(self.resource).into_response();
        response.set_status(StatusCode::CREATED);
        if let Ok(location) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

fn etag_responses<T: Type + ToJSON>() -> impl Iterator<Item = MetaResponse> {
    let responses = JsonOk::<T>::meta().responses.into_iter();
    responses.map(|mut response| {
        let etag = text_header("ETag", "Send it as `If-Match` to change just this version.");
        response.headers.push(etag);
        response
    })
}

impl<T: Type + ToJSON> ApiResponse for WithEtag<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: etag_responses::<T>().collect(),
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + ToJSON> ApiResponse for CreatedWithEtag<T> {
    fn meta() -> MetaResponses {
        let created = |mut response: MetaResponse| {
            response.status = Some(201);
            response.description = "Created.";
            response.headers.push(text_header(
                "Location",
                "Where it is, relative to the URL of the request.",
            ));
            response
        };
        MetaResponses {
            responses: etag_responses::<T>().map(created).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
