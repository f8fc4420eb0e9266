//! Policy decision point metadata: `GET /.well-known/authzen-configuration` (Authorization API 1.0, section 9).

use bytes::Bytes;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{Object, OpenApi};

use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::conditional::etag_response::json_etag;
use crate::http::conditional::public_document::{PreparedDocument, PublicDocument};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};

use super::evaluation::{BATCH_PATH, PATH};
use super::search::{ACTION_PATH, RESOURCE_PATH, SUBJECT_PATH};

/// The path of the metadata.
pub const AUTHZEN_CONFIGURATION_PATH: &str = "/.well-known/authzen-configuration";

/// The metadata API.
pub struct AuthzenMetadataApi {
    document: PreparedDocument,
}

/// What services have to know of this policy decision point.
#[derive(Object)]
pub struct AuthzenConfiguration {
    /// The policy decision point: the issuer of this server.
    pub policy_decision_point: String,
    /// Where one question is evaluated.
    pub access_evaluation_endpoint: String,
    /// Where several are.
    pub access_evaluations_endpoint: String,
    /// Where subjects are searched.
    pub search_subject_endpoint: String,
    /// Where resources are searched.
    pub search_resource_endpoint: String,
    /// Where actions are searched.
    pub search_action_endpoint: String,
}

impl AuthzenMetadataApi {
    /// The API of a server with this issuer, whose metadata may be cached as long as its key set.
    #[must_use]
    pub fn new(issuer: &str, lifetime: KeySetLifetime) -> Self {
        let below = |path: &str| format!("{issuer}{path}");
        let metadata = AuthzenConfiguration {
            policy_decision_point: issuer.to_owned(),
            access_evaluation_endpoint: below(PATH),
            access_evaluations_endpoint: below(BATCH_PATH),
            search_subject_endpoint: below(SUBJECT_PATH),
            search_resource_endpoint: below(RESOURCE_PATH),
            search_action_endpoint: below(ACTION_PATH),
        };
        Self {
            document: PreparedDocument::new(
                Bytes::from(metadata.to_json_string()),
                &json_etag(&metadata),
                &lifetime.cache_control(),
            ),
        }
    }
}

/// The error statuses of the metadata.
pub struct AuthzenMetadataStatuses;

impl ErrorStatuses for AuthzenMetadataStatuses {
    const STATUSES: &'static [u16] = &[500];
}

#[OpenApi(tag = "ApiTag::Access")]
#[allow(
    clippy::unused_async,
    reason = "every operation is async to poem-openapi"
)]
impl AuthzenMetadataApi {
    /// Get policy decision point metadata
    ///
    /// Returns where services ask for decisions and search.
    #[oai(
        path = "/.well-known/authzen-configuration",
        method = "get",
        operation_id = "authzen_configuration"
    )]
    async fn authzen_configuration(
        &self,
        request: &poem::Request,
    ) -> Result<PublicDocument<AuthzenConfiguration>, ErrorResponse<AuthzenMetadataStatuses>> {
        Ok(PublicDocument::reply(request, &self.document))
    }
}
