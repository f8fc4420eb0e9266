//! The key set API: `GET /.well-known/jwks.json` (RFC 7517).
//!
//! One body, serialised once, with an `ETag`, so that verifiers fetch it rarely and cheaply.

use std::sync::Arc;

use arc_swap::ArcSwap;
use poem_openapi::{Object, OpenApi};

use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::conditional::public_document::{PreparedDocument, PublicDocument};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};
use crate::service::tokens::key_ring::KeyRing;
use crate::token::KeySet;

/// The path of the key set.
pub const KEY_SET_PATH: &str = "/.well-known/jwks.json";

/// The key set API.
pub struct KeySetApi {
    key_ring: Arc<KeyRing>,
    /// How long verifiers may cache the key set.
    lifetime: KeySetLifetime,
    last: ArcSwap<PublishedDocument>,
}

/// The document of a key set.
struct PublishedDocument {
    key_set: Arc<KeySet>,
    document: PreparedDocument,
}

impl PublishedDocument {
    fn new(key_set: Arc<KeySet>, lifetime: KeySetLifetime) -> Self {
        let cache_control = lifetime.cache_control();
        Self {
            document: PreparedDocument::new(key_set.body(), key_set.etag(), &cache_control),
            key_set,
        }
    }
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
        Ok(PublicDocument::reply(request, &self.published().document))
    }
}

impl KeySetApi {
    /// The API over the key ring that has the published key set.
    #[must_use]
    pub fn new(key_ring: &Arc<KeyRing>, lifetime: KeySetLifetime) -> Self {
        let published = PublishedDocument::new(key_ring.published(), lifetime);
        Self {
            key_ring: Arc::clone(key_ring),
            lifetime,
            last: ArcSwap::from_pointee(published),
        }
    }

    /// Answers a GET or HEAD of the key set, and needs nothing of the request afterwards.
    pub fn reply_last(&self, request: &mut poem::Request) -> PublicDocument<JsonWebKeySet> {
        PublicDocument::reply_last(request, &self.published().document)
    }

    /// The document of the key set that is published now.
    fn published(&self) -> Arc<PublishedDocument> {
        let published = self.key_ring.published();
        let last = self.last.load();
        if Arc::ptr_eq(&last.key_set, &published) {
            return Arc::clone(&last);
        }
        let current = Arc::new(PublishedDocument::new(published, self.lifetime));
        self.last.store(Arc::clone(&current));
        current
    }
}
