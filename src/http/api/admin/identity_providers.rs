//! The outside issuers: `GET /admin/issuers`.
//!
//! This module refuses to know how their tokens are verified.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};

use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::NullableTimestamp;
use crate::service::administration::Administration;
use crate::service::identity::identity_providers::IdentityProviderStatus;

/// The operations of the outside issuers.
pub struct IdentityProvidersApi {
    /// What lists them.
    pub administration: Arc<Administration>,
}

/// All outside issuers.
#[derive(Object)]
#[oai(rename = "IssuerList")]
pub struct IdentityProviderList {
    /// The issuers, in the order of the settings; there are few, and no pages.
    pub items: Vec<IdentityProviderResponse>,
}

/// An outside issuer whose tokens are accepted.
#[derive(Object)]
#[oai(rename = "IssuerAnswer")]
pub struct IdentityProviderResponse {
    /// Its URL: the `iss` of its tokens.
    pub issuer: String,
    /// The audience that its tokens must have.
    pub audience: String,
    /// Where its keys come from: a file, or the address of its discovery document.
    pub source: String,
    /// How many keys of it verify tokens now.
    pub keys: u64,
    /// When its keys were last fetched; null before the first time.
    pub last_success: NullableTimestamp,
    /// Why they could not be fetched the last time; left out when they could.
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

/// The statuses with which the list may be refused.
pub struct IdentityProvidersStatuses;

impl ErrorStatuses for IdentityProvidersStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[(
        403,
        "The policies do not permit you to see the outside issuers.",
    )];
}

#[OpenApi(tag = "Tags::Administration")]
impl IdentityProvidersApi {
    /// List the outside issuers
    ///
    /// The settings say which there are; this says whether their keys could be had.
    #[oai(path = "/admin/issuers", method = "get", operation_id = "list_issuers")]
    async fn list(
        &self,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<IdentityProviderList>, ErrorResponse<IdentityProvidersStatuses>> {
        let issuers = self
            .administration
            .list_identity_providers(&visitor.0)
            .await?;
        Ok(JsonOk(IdentityProviderList {
            items: issuers
                .into_iter()
                .map(IdentityProviderResponse::from)
                .collect(),
        }))
    }
}
