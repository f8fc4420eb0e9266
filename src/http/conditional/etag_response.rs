//! Responses with an `ETag`: JSON that can be changed with `If-Match`.
//!
//! The entity tag is the SHA-256 of the body, so that it is strong (RFC 9110 section 8.8.1) and need
//! not be stored; of a resource whose versions are counted, it is the version.

use std::fmt::Display;

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

/// A 200 with a JSON body of a resource whose versions are counted, and the `ETag` of its version.
pub struct WithVersion<T> {
    /// The resource.
    pub resource: T,
    /// Its version.
    pub version: u64,
}

/// A 201 with a JSON body of a resource whose versions are counted, its `Location`, and the `ETag` of its version.
pub struct CreatedWithVersion<T> {
    /// The new resource.
    pub resource: T,
    /// Its version.
    pub version: u64,
    /// Where it is, relative to the path of the request.
    pub location: String,
}

/// The entity tag of a version that is counted or has a name.
pub fn version_etag(version: impl Display) -> String {
    format!("\"{version}\"")
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
        let etag = json_etag(&self.0);
        tagged(self.0, &etag)
    }
}

impl<T: Type + ToJSON> IntoResponse for WithVersion<T> {
    fn into_response(self) -> Response {
        tagged(self.resource, &version_etag(self.version))
    }
}

impl<T: Type + ToJSON> IntoResponse for CreatedWithVersion<T> {
    fn into_response(self) -> Response {
        let response = tagged(self.resource, &version_etag(self.version));
        created(response, self.location)
    }
}

fn tagged<T: Type + ToJSON>(resource: T, etag: &str) -> Response {
    let mut response = JsonOk(resource).into_response();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn created(mut response: Response, location: String) -> Response {
    response.set_status(StatusCode::CREATED);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

impl<T: Type + ToJSON> IntoResponse for CreatedWithEtag<T> {
    fn into_response(self) -> Response {
        created(WithEtag(self.resource).into_response(), self.location)
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

fn created_responses<T: Type + ToJSON>() -> MetaResponses {
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

impl<T: Type + ToJSON> ApiResponse for CreatedWithEtag<T> {
    fn meta() -> MetaResponses {
        created_responses::<T>()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + ToJSON> ApiResponse for WithVersion<T> {
    fn meta() -> MetaResponses {
        WithEtag::<T>::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + ToJSON> ApiResponse for CreatedWithVersion<T> {
    fn meta() -> MetaResponses {
        created_responses::<T>()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
