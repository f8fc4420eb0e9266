//! API keys: `/auth/api-keys`, the caller's own.
//!
//! A key's text is in the answer that makes it and in no other. This module refuses to know how
//! keys are made and what they open.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyScope};
use crate::domain::id::{ApiKeyId, DatasetId};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonCreated, JsonOk, NoContent};
use crate::http::reply::timestamp::{NullableTimestamp, Timestamp};
use crate::service::error::ServiceError;
use crate::service::identity::api_keys::{ApiKeys, NewApiKey};

/// How many keys a page has when the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// The operations on the caller's API keys.
pub struct ApiKeysApi {
    /// What makes, lists and revokes keys.
    pub api_keys: Arc<ApiKeys>,
}

/// What a new API key is to be like.
#[derive(Object)]
#[oai(deny_unknown_fields)]
#[oai(rename = "NewApiKey")]
pub struct CreateApiKeyRequest {
    /// What you call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// When it ends; left out, it lives until you revoke it.
    pub expires_at: Option<Timestamp>,
    /// The actions it is limited to; left out, all of yours. `read` mints and downloads; add
    /// `discover` to let it know of datasets that it may not read.
    #[oai(validator(min_items = 1, max_items = 16))]
    pub actions: Option<Vec<Action>>,
    /// The datasets it is limited to; left out, all of yours.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub datasets: Option<Vec<DatasetId>>,
}

/// An API key, without its text.
#[derive(Object)]
#[oai(rename = "ApiKeyAnswer")]
pub struct ApiKeyResponse {
    /// Names the key where it is listed, revoked and audited; not secret.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// The ten characters after `cg_` in its text, to tell keys apart; not secret.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; null for a key that lives until it is revoked.
    pub expires_at: NullableTimestamp,
    /// When it was last used, told to the hour; null before its first use.
    pub last_used: NullableTimestamp,
    /// The actions it is limited to; left out when it is not.
    #[oai(skip_serializing_if_is_none)]
    pub actions: Option<Vec<Action>>,
    /// The datasets it is limited to; left out when it is not.
    #[oai(skip_serializing_if_is_none)]
    pub datasets: Option<Vec<DatasetId>>,
}

/// A new API key, with its text this once.
#[derive(Object)]
#[oai(rename = "CreatedApiKey")]
pub struct CreateApiKeyResponse {
    /// The key's text: send it as `X-Api-Key`. It is shown this once and kept nowhere.
    pub key: String,
    /// The key.
    #[oai(flatten)]
    pub described: ApiKeyResponse,
}

/// Some of the caller's API keys, oldest first.
#[derive(Object)]
pub struct ApiKeyPage {
    /// The keys.
    pub items: Vec<ApiKeyResponse>,
    /// The `after` of the next page; left out on the last one.
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

const RESTRICTED_KEY: &str = "An API key with a limit manages nothing.";

/// The statuses with which listing keys may refuse.
pub struct ListApiKeysStatuses;

impl ErrorStatuses for ListApiKeysStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[(403, RESTRICTED_KEY)];
}

/// The statuses with which making a key may refuse.
pub struct CreateApiKeyStatuses;

impl ErrorStatuses for CreateApiKeyStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, RESTRICTED_KEY),
        (409, "You have as many living keys as you can."),
    ];
}

/// The statuses with which revoking a key may refuse.
pub struct RevokeApiKeyStatuses;

impl ErrorStatuses for RevokeApiKeyStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] =
        &[(403, RESTRICTED_KEY), (404, "You have no such key.")];
}

#[OpenApi(tag = "Tags::Auth")]
impl ApiKeysApi {
    /// List your API keys
    ///
    /// Oldest first, a page at a time; expired keys too, until they make room for new ones. Send a
    /// session token, or an API key without limits.
    #[oai(
        path = "/auth/api-keys",
        method = "get",
        operation_id = "list_api_keys"
    )]
    async fn list_api_keys(
        &self,
        /// The most keys to list.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        after: Query<Option<ApiKeyId>>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<ApiKeyPage>, ErrorResponse<ListApiKeysStatuses>> {
        let limit = limit.0.unwrap_or(DEFAULT_PAGE_SIZE);
        let page = self.api_keys.list(&visitor.0, after.0, limit).await?;
        Ok(JsonOk(ApiKeyPage {
            next: page.next_cursor(|key| key.id),
            items: page.items.into_iter().map(ApiKeyResponse::from).collect(),
        }))
    }

    /// Make an API key
    ///
    /// The key is in this answer and in no other: keep it now. It does what you may do, within the
    /// limits that you give it here; a key with a limit manages nothing. Send a session token, or
    /// an API key without limits; a key made with another one must not outlive that one.
    #[oai(
        path = "/auth/api-keys",
        method = "post",
        operation_id = "create_api_key"
    )]
    async fn create_api_key(
        &self,
        // Before the visitor, who would read the body away.
        wish: Json<CreateApiKeyRequest>,
        visitor: HeaderCredentials,
    ) -> Result<JsonCreated<CreateApiKeyResponse>, ErrorResponse<CreateApiKeyStatuses>> {
        let made = self
            .api_keys
            .create(&visitor.0, wish.0.into_new_key()?)
            .await?;
        Ok(JsonCreated(CreateApiKeyResponse {
            key: made.text.reveal().clone(),
            described: made.key.into(),
        }))
    }

    /// Revoke one of your API keys
    ///
    /// From now on the key opens nothing, nor do the download tokens that it minted. Send a session
    /// token, or an API key without limits (which may revoke itself).
    #[oai(
        path = "/auth/api-keys/:id",
        method = "delete",
        operation_id = "revoke_api_key"
    )]
    async fn revoke_api_key(
        &self,
        /// The key's id.
        id: Path<ApiKeyId>,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<RevokeApiKeyStatuses>> {
        self.api_keys.revoke(&visitor.0, id.0).await?;
        Ok(NoContent)
    }
}
