//! Authorization server metadata (RFC 8414): libraries that verify tokens configure themselves from the issuer.
//!
//! The same document is at `/.well-known/openid-configuration`, because many libraries that only want the key set
//! look there alone; RFC 8414 section 5 foresees that. This server is no `OpenID` provider.

use bytes::Bytes;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{Object, OpenApi};

use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::conditional::etag_response::json_etag;
use crate::http::conditional::public_document::{PreparedDocument, PublicDocument};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};

use super::key_set::KEY_SET_PATH;

/// The path of the metadata (RFC 8414 section 3).
pub const SERVER_METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// The other path of the metadata, for libraries that know no other (RFC 8414 section 5).
pub const OPENID_CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";

/// The metadata API.
pub struct ServerMetadataApi {
    document: PreparedDocument,
}

/// What clients and verifiers have to know of this server (RFC 8414 section 2).
#[derive(Object)]
pub struct ServerMetadata {
    /// The `iss` of all tokens.
    pub issuer: String,
    /// Where the key set is.
    pub jwks_uri: String,
    /// Where users sign in with the password form.
    pub token_endpoint: String,
    /// Always `password`.
    pub grant_types_supported: Vec<String>,
    /// Always empty: there is no authorization endpoint.
    pub response_types_supported: Vec<String>,
    /// Always `public`: the `sub` of a user is the same for everybody. The name is that of `OpenID` Connect Discovery,
    /// for the libraries that require it.
    pub subject_types_supported: Vec<String>,
    /// Always `none`: clients have no credentials of their own.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Always `ES256`: the algorithm of all tokens. The name is that of `OpenID` Connect Discovery, for the
    /// libraries that read it.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Where the docs are.
    pub service_documentation: String,
}

impl ServerMetadata {
    fn of(issuer: &str) -> Self {
        let below = |path: &str| format!("{issuer}{path}");
        let one = |word: &str| vec![word.to_owned()];
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: below(KEY_SET_PATH),
            token_endpoint: below("/auth/login"),
            grant_types_supported: one("password"),
            response_types_supported: Vec::new(),
            subject_types_supported: one("public"),
            token_endpoint_auth_methods_supported: one("none"),
            id_token_signing_alg_values_supported: one("ES256"),
            service_documentation: below("/docs"),
        }
    }
}

impl ServerMetadataApi {
    /// The API of a server with this issuer, whose metadata may be cached as long as its key set.
    #[must_use]
    pub fn new(issuer: &str, lifetime: KeySetLifetime) -> Self {
        let metadata = ServerMetadata::of(issuer);
        Self {
            document: PreparedDocument::new(
                Bytes::from(metadata.to_json_string()),
                &json_etag(&metadata),
                &lifetime.cache_control(),
            ),
        }
    }

    fn reply(&self, request: &poem::Request) -> PublicDocument<ServerMetadata> {
        PublicDocument::reply(request, &self.document)
    }
}

/// The error statuses of the metadata.
pub struct ServerMetadataStatuses;

impl ErrorStatuses for ServerMetadataStatuses {
    const STATUSES: &'static [u16] = &[500];
}

#[OpenApi(tag = "ApiTag::KeySet")]
#[allow(
    clippy::unused_async,
    reason = "every operation is async to poem-openapi"
)]
impl ServerMetadataApi {
    /// Get authorization server metadata
    ///
    /// Returns what libraries configure themselves from: the issuer and where the key set is (RFC 8414).
    #[oai(
        path = "/.well-known/oauth-authorization-server",
        method = "get",
        operation_id = "server_metadata"
    )]
    async fn server_metadata(
        &self,
        request: &poem::Request,
    ) -> Result<PublicDocument<ServerMetadata>, ErrorResponse<ServerMetadataStatuses>> {
        Ok(self.reply(request))
    }

    /// Get authorization server metadata for `OpenID` libraries
    ///
    /// Returns the same document, for libraries that look here alone. This server is no `OpenID` provider: it issues no
    /// ID tokens.
    #[oai(
        path = "/.well-known/openid-configuration",
        method = "get",
        operation_id = "openid_configuration"
    )]
    async fn openid_configuration(
        &self,
        request: &poem::Request,
    ) -> Result<PublicDocument<ServerMetadata>, ErrorResponse<ServerMetadataStatuses>> {
        Ok(self.reply(request))
    }
}
