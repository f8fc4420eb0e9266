//! The mint: `POST /auth/download-token/{dataset_id}`.
//!
//! Its names, statuses and media types are a contract with clients. This module refuses to know
//! how a token comes about.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::DatasetId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::service::tokens::download_token::DownloadTokens;

/// The mint's operations.
pub struct MintApi {
    /// What issues tokens.
    pub tokens: Arc<DownloadTokens>,
}

/// A download token for one dataset.
#[derive(Debug, Object)]
pub struct DownloadTokenResponse {
    /// The download token: put it on the download's URL as `?token=`.
    pub token: String,
    /// How many seconds the token lives.
    #[oai(default = "longest_life")]
    pub expires_in: u32,
}

fn longest_life() -> u32 {
    MAX_TOKEN_TTL
}

/// The statuses with which the mint may refuse.
pub struct MintStatuses;

impl ErrorStatuses for MintStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
}

#[OpenApi(tag = "Tags::Auth")]
impl MintApi {
    /// Create Download Token Endpoint
    ///
    /// Gives a token that opens the download of this dataset alone, for at most 120 seconds.
    /// Policies decide: on public data no credential is needed; elsewhere send a session token or
    /// an API key. Put the token on the download's URL as `?token=`.
    #[oai(
        path = "/auth/download-token/:dataset_id",
        method = "post",
        operation_id = "create_download_token_endpoint_auth_download_token__dataset_id__post"
    )]
    async fn create_download_token(
        &self,
        /// The dataset to download, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<DownloadTokenResponse>, ErrorResponse<MintStatuses>> {
        let issued = self.tokens.issue(&visitor.0, dataset_id.0).await?;
        Ok(JsonOk(DownloadTokenResponse {
            token: issued.token.reveal().clone(),
            expires_in: issued.expires_in,
        }))
    }
}
