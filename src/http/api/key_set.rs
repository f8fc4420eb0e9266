//! The key set API: `GET /.well-known/jwks.json` (RFC 7517).
//!
//! One body, serialised once, with an `ETag`, so that verifiers fetch it rarely and cheaply.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};

use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::conditional::public_document::PublicDocument;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};
use crate::service::tokens::key_ring::KeyRing;

/// The path of the key set.
pub const KEY_SET_PATH: &str = "/.well-known/jwks.json";

/// The key set API.
pub struct KeySetApi {
    key_ring: Arc<KeyRing>,
    /// How long verifiers may cache the key set.
    lifetime: KeySetLifetime,
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
    ) -> Result<PublicDocument<JsonWebKeySet>, ErrorResponse<KeySetStatuses>> {
        Ok(self.reply(request))
    }
}

impl KeySetApi {
    /// The API over the key ring that has the published key set.
    #[must_use]
    pub fn new(key_ring: &Arc<KeyRing>, lifetime: KeySetLifetime) -> Self {
        Self {
            key_ring: Arc::clone(key_ring),
            lifetime,
        }
    }

    /// Answers a GET or HEAD of the key set.
    pub fn reply(&self, request: &poem::Request) -> PublicDocument<JsonWebKeySet> {
        let published = self.key_ring.published();
        let cache_control = self.lifetime.cache_control();
        PublicDocument::reply(request, published.body(), published.etag(), &cache_control)
    }
}
