//! Responses of the Authorization API: JSON that is written in one go.

use poem::http::HeaderMap;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};

use crate::http::reply::responses::{self, JsonOk};

/// About how many bytes a response has.
const CAPACITY: usize = 256;

/// A 200 with an answer, which caches must not store.
pub struct AccessOk<T>(pub T);

impl<T: serde::Serialize> AccessOk<T> {
    /// The response with these headers.
    pub(super) fn with_headers(self, headers: HeaderMap) -> Response {
        JsonOk(self.0).into_serialized(headers, CAPACITY)
    }
}

impl<T: serde::Serialize + Send> IntoResponse for AccessOk<T> {
    fn into_response(self) -> Response {
        self.with_headers(responses::empty_headers())
    }
}

impl<T: Type + ToJSON> ApiResponse for AccessOk<T> {
    fn meta() -> MetaResponses {
        JsonOk::<T>::meta()
    }

    fn register(registry: &mut Registry) {
        JsonOk::<T>::register(registry);
    }
}
