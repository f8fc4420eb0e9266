//! The key set API: `GET /.well-known/jwks.json` (RFC 7517).
//!
//! One body, serialised once, with an `ETag`, so that verifiers fetch it rarely and cheaply.

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::conditional::precondition::{PreconditionOutcome, Validators, evaluate};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{self, ErrorResponse, ErrorStatuses};
use crate::service::tokens::key_ring::KeyRing;

/// The path of the key set.
pub const KEY_SET_PATH: &str = "/.well-known/jwks.json";

/// The media type of the key set. RFC 7517 section 8.5.2 registers `application/jwk-set+json`, but
/// many clients accept nothing but JSON, and none requires the registered type.
const KEY_SET_TYPE: &str = "application/json";

/// The key set API.
pub struct KeySetApi {
    /// Holds the published key set.
    pub key_ring: Arc<KeyRing>,
    /// How long verifiers may cache the key set.
    pub lifetime: KeySetLifetime,
}

/// A JWK set (RFC 7517 section 5).
#[derive(Object)]
pub struct JsonWebKeySet {
    /// The keys that verify tokens, in no particular order.
    pub keys: Vec<JsonWebKey>,
}

/// One public P-256 key (RFC 7518 section 6.2.1).
#[derive(Object)]
pub struct JsonWebKey {
    /// Always `EC`.
    pub kty: String,
    /// Always `P-256`.
    pub crv: String,
    /// The x coordinate, base64url.
    pub x: String,
    /// The y coordinate, base64url.
    pub y: String,
    /// The key's RFC 7638 thumbprint, as in the header of tokens.
    pub kid: String,
    /// Always `ES256`.
    pub alg: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    pub usage: String,
}

/// The published key set, or 304 if the client already has it.
pub struct KeySetResponse(Response);

impl IntoResponse for KeySetResponse {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for KeySetResponse {
    fn meta() -> MetaResponses {
        let headers = || {
            vec![
                responses::text_header("ETag", "The entity tag of the key set."),
                responses::text_header("Cache-Control", "How long the key set may be cached."),
            ]
        };
        let content = vec![MetaMediaType {
            content_type: KEY_SET_TYPE,
            schema: JsonWebKeySet::schema_ref(),
        }];
        MetaResponses {
            responses: vec![
                responses::meta_response(200, "The key set.", content, headers()),
                responses::meta_response(304, "The client's copy is current.", vec![], headers()),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        JsonWebKeySet::register(registry);
    }
}

/// The error statuses of the key set.
pub struct KeySetStatuses;

impl ErrorStatuses for KeySetStatuses {
    const STATUSES: &'static [u16] = &[500];
}

#[OpenApi(tag = "ApiTag::KeySet")]
#[allow(
    clippy::unused_async,
    reason = "every operation is async to poem-openapi"
)]
impl KeySetApi {
    /// Get key set that verifies download tokens
    ///
    /// Returns the public keys that verify download tokens, as a JWK set. Cache it as long as
    /// `Cache-Control` says; a new key is published before it signs.
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        operation_id = "key_set"
    )]
    async fn key_set(
        &self,
        request: &poem::Request,
    ) -> Result<KeySetResponse, ErrorResponse<KeySetStatuses>> {
        let published = self.key_ring.published();
        // A key set has no date: only its ETag says whether the client has it.
        let now = Validators {
            etag: published.etag(),
            last_modified: i64::MAX,
        };
        let response = Response::builder()
            .header(header::ETAG, published.etag())
            .header(header::CACHE_CONTROL, self.lifetime.cache_control());
        Ok(KeySetResponse(
            match evaluate(request.method(), request.headers(), now) {
                PreconditionOutcome::NotModified => {
                    response.status(StatusCode::NOT_MODIFIED).finish()
                }
                PreconditionOutcome::Met | PreconditionOutcome::Failed => {
                    response.content_type(KEY_SET_TYPE).body(published.body())
                }
            },
        ))
    }
}
