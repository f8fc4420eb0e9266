//! The identity providers admin API: `GET /admin/issuers`.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};

use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::ReadAllStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::NullableTimestamp;
use crate::service::administration::Administration;
use crate::service::identity::identity_providers::IdentityProviderStatus;

/// The identity providers admin API.
pub struct IdentityProvidersApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// All external identity providers.
#[derive(Object)]
#[oai(rename = "IssuerList")]
pub struct IdentityProviderList {
    /// The identity providers, in the order of the settings; not paged, because there are few.
    pub items: Vec<IdentityProviderResponse>,
}

/// An external identity provider whose tokens are accepted.
#[derive(Object)]
#[oai(rename = "IssuerAnswer")]
pub struct IdentityProviderResponse {
    /// Its URL: the `iss` of its tokens.
    pub issuer: String,
    /// The audience that its tokens must name.
    pub audience: String,
    /// The source of its keys: a file, or the URL of its discovery document.
    pub source: String,
    /// The number of its keys that can verify tokens.
    pub keys: u64,
    /// When its keys were last fetched; null if never.
    pub last_success: NullableTimestamp,
    /// Why the last attempt to fetch its keys failed; absent if it succeeded.
    #[oai(skip_serializing_if_is_none)]
    pub last_error: Option<String>,
}

impl From<IdentityProviderStatus> for IdentityProviderResponse {
    fn from(status: IdentityProviderStatus) -> Self {
        Self {
            issuer: status.issuer,
            audience: status.audience,
            source: status.source,
            keys: u64::try_from(status.keys).unwrap_or(u64::MAX),
            last_success: NullableTimestamp(status.last_success),
            last_error: status.last_error,
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl IdentityProvidersApi {
    /// List identity providers
    ///
    /// Returns the external identity providers of the settings, and whether their keys could be
    /// fetched. Requires `view_issuers`.
    #[oai(path = "/admin/issuers", method = "get", operation_id = "list_issuers")]
    async fn list(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<IdentityProviderList>, ErrorResponse<ReadAllStatuses>> {
        let issuers = self
            .administration
            .list_identity_providers(&credentials.0)
            .await?;
        Ok(JsonOk(IdentityProviderList {
            items: issuers
                .into_iter()
                .map(IdentityProviderResponse::from)
                .collect(),
        }))
    }
}
