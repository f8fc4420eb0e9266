//! The API keys API: `/auth/api-keys`, the caller's own keys.
//!
//! The text of a key is in the response that creates it and in no other.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyScope};
use crate::domain::id::{ApiKeyId, DatasetId};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonCreated, JsonOk, NoContent};
use crate::http::reply::timestamp::{NullableTimestamp, Timestamp};
use crate::service::error::ServiceError;
use crate::service::identity::api_keys::{ApiKeys, NewApiKey};

/// The API keys API.
pub struct ApiKeysApi {
    /// Creates, lists and revokes API keys.
    pub api_keys: Arc<ApiKeys>,
}

/// A new API key.
#[derive(Object)]
#[oai(deny_unknown_fields)]
#[oai(rename = "NewApiKey")]
pub struct CreateApiKeyRequest {
    /// A name for the key.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// When the key expires. If omitted, it is valid until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// The actions that the key is restricted to. If omitted, all of yours. `read` allows minting
    /// and downloading; add `discover` to list datasets that the key may not read.
    #[oai(validator(min_items = 1, max_items = 16))]
    pub actions: Option<Vec<Action>>,
    /// The datasets that the key is restricted to. If omitted, all of yours.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub datasets: Option<Vec<DatasetId>>,
}

/// An API key, without its text.
#[derive(Object)]
#[oai(rename = "ApiKeyAnswer")]
pub struct ApiKeyResponse {
    /// The id of the key in lists and audit records; not secret.
    pub id: ApiKeyId,
    /// The name that its owner gave it.
    pub name: String,
    /// The ten characters after `cg_` in the key's text, to recognise the key; not secret.
    pub prefix: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the key expires; null if it is valid until it is revoked.
    pub expires_at: NullableTimestamp,
    /// When the key was last used, rounded to the hour; null if never.
    pub last_used: NullableTimestamp,
    /// The actions that the key is restricted to; absent if it is not restricted.
    #[oai(skip_serializing_if_is_none)]
    pub actions: Option<Vec<Action>>,
    /// The datasets that the key is restricted to; absent if it is not restricted.
    #[oai(skip_serializing_if_is_none)]
    pub datasets: Option<Vec<DatasetId>>,
}

/// A new API key, including its text.
#[derive(Object)]
#[oai(rename = "CreatedApiKey")]
pub struct CreateApiKeyResponse {
    /// The key's text. Send it as `X-Api-Key`. It is returned only here and is not stored.
    pub key: String,
    /// The key.
    #[oai(flatten)]
    pub described: ApiKeyResponse,
}

/// A page of API keys, oldest first.
#[derive(Object)]
pub struct ApiKeyPage {
    /// The keys.
    pub items: Vec<ApiKeyResponse>,
    /// The `after` value of the next page; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<ApiKeyId>,
}

impl From<ApiKey> for ApiKeyResponse {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.as_str().to_owned(),
            prefix: key.prefix.as_str().to_owned(),
            created_at: Timestamp(key.created_at),
            expires_at: NullableTimestamp(key.expires_at),
            last_used: NullableTimestamp(key.last_used),
            actions: key.scope.actions().map(|all| all.iter().copied().collect()),
            datasets: key
                .scope
                .datasets()
                .map(|all| all.iter().copied().collect()),
        }
    }
}

impl CreateApiKeyRequest {
    fn into_new_key(self) -> Result<NewApiKey, ServiceError> {
        let actions = self.actions.map(|all| all.into_iter().collect());
        let datasets = self.datasets.map(|all| all.into_iter().collect());
        Ok(NewApiKey {
            name: KeyName::new(&self.name)?,
            scope: KeyScope::new(actions, datasets)?,
            expires_at: self.expires_at.map(|Timestamp(seconds)| seconds),
        })
    }
}

const RESTRICTED_KEY: &str = "A restricted API key cannot manage API keys.";

/// The error statuses of listing API keys.
pub struct ListApiKeysStatuses;

impl ErrorStatuses for ListApiKeysStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[(403, RESTRICTED_KEY)];
}

/// The error statuses of creating an API key.
pub struct CreateApiKeyStatuses;

impl ErrorStatuses for CreateApiKeyStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, RESTRICTED_KEY),
        (409, "You have reached the limit of active API keys."),
    ];
}

/// The error statuses of revoking an API key.
pub struct RevokeApiKeyStatuses;

impl ErrorStatuses for RevokeApiKeyStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, RESTRICTED_KEY),
        (404, "You have no such API key."),
        (409, "The last admin signs in with this API key."),
    ];
}

/// The path of the caller's API keys.
pub const PATH: &str = "/auth/api-keys";

/// Whether a request creates an API key.
pub fn is_key_creation(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == PATH
}

#[OpenApi(tag = "ApiTag::ApiKeys")]
impl ApiKeysApi {
    /// List API keys
    ///
    /// Returns your API keys, oldest first, including expired ones that were not yet removed to
    /// make room. Requires a session token or an unrestricted API key.
    #[oai(
        path = "/auth/api-keys",
        method = "get",
        operation_id = "list_api_keys"
    )]
    async fn list_api_keys(
        &self,
        /// Maximum number of keys per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<ApiKeyId>>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<ApiKeyPage>, ErrorResponse<ListApiKeysStatuses>> {
        let page = self
            .api_keys
            .list(&credentials.0, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(ApiKeyPage {
            next: page.next_cursor(|key| key.id),
            items: page.items.into_iter().map(ApiKeyResponse::from).collect(),
        }))
    }

    /// Create API key
    ///
    /// The key's text is in this response only: store it now. The key can do what you may do,
    /// within the restrictions given here; a restricted API key cannot manage API keys. Requires a
    /// session token or an unrestricted API key; a key created with another key must not outlive
    /// it.
    #[oai(
        path = "/auth/api-keys",
        method = "post",
        operation_id = "create_api_key"
    )]
    async fn create_api_key(
        &self,
        body: JsonBody<CreateApiKeyRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonCreated<CreateApiKeyResponse>, ErrorResponse<CreateApiKeyStatuses>> {
        let created = self
            .api_keys
            .create(&credentials.0, body.0.into_new_key()?)
            .await?;
        Ok(JsonCreated(CreateApiKeyResponse {
            key: created.text.text().reveal().clone(),
            described: created.key.into(),
        }))
    }

    /// Revoke API key
    ///
    /// The key and the download tokens minted with it stop working immediately. Requires a session
    /// token or an unrestricted API key, which may revoke itself, unless it is how the last admin
    /// signs in.
    #[oai(
        path = "/auth/api-keys/:id",
        method = "delete",
        operation_id = "revoke_api_key"
    )]
    async fn revoke_api_key(
        &self,
        /// The API key id.
        id: Path<ApiKeyId>,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<RevokeApiKeyStatuses>> {
        self.api_keys.revoke(&credentials.0, id.0).await?;
        Ok(NoContent)
    }
}
