//! The mint API: `POST /auth/download-token/{dataset_id}`.
//!
//! Its names, statuses and media types are a contract with clients.

use std::sync::Arc;

use poem::{Request, Response};
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::DatasetId;
use crate::http::extract::credentials::{HeaderCredentials, header_context};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{self, ErrorResponse, ErrorStatuses, JsonOk};
use crate::service::identity::request_context::RequestContext;
use crate::service::tokens::download_token::DownloadTokens;

/// The path of the mint, as the OpenAPI document has it.
pub const PATH: &str = "/auth/download-token/{dataset_id}";
/// What comes before the dataset id in it.
pub const MINT_PATH_PREFIX: &str = "/auth/download-token/";

/// The mint API.
pub struct MintApi {
    tokens: Arc<DownloadTokens>,
}

/// A download token for one dataset.
#[derive(Debug, Object, serde::Serialize)]
pub struct DownloadTokenResponse {
    /// The download token. Send it as `?token=` on the download URL.
    pub token: String,
    /// Lifetime of the token in seconds.
    #[oai(default = "default_expires_in")]
    pub expires_in: u32,
}

fn default_expires_in() -> u32 {
    MAX_TOKEN_TTL
}

/// The error statuses of the mint.
pub struct MintStatuses;

impl ErrorStatuses for MintStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
}

#[OpenApi(tag = "ApiTag::Auth")]
impl MintApi {
    /// Create Download Token Endpoint
    ///
    /// Creates a token that allows downloading this dataset only, for at most 120 seconds. Policies
    /// decide: public data needs no credential, other data needs a session token or an API key.
    /// Send the token as `?token=` on the download URL.
    #[oai(
        path = "/auth/download-token/:dataset_id",
        method = "post",
        operation_id = "create_download_token_endpoint_auth_download_token__dataset_id__post"
    )]
    async fn create_download_token(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<DownloadTokenResponse>, ErrorResponse<MintStatuses>> {
        self.mint(&credentials.0, dataset_id.0).await
    }
}

impl MintApi {
    /// The API over the service that issues tokens.
    #[must_use]
    pub fn new(tokens: &Arc<DownloadTokens>) -> Self {
        Self {
            tokens: Arc::clone(tokens),
        }
    }

    /// Answers a request for a token of this dataset.
    pub async fn reply(
        &self,
        request: &mut Request,
        dataset_id: DatasetId,
    ) -> poem::Result<Response> {
        let context = header_context(request);
        let headers = responses::released_headers(request);
        let minted = self.mint(&context, dataset_id).await?;
        // What the response has beside the token is shorter.
        let capacity = minted.0.token.len() + 64;
        Ok(minted.into_serialized(headers, capacity))
    }

    async fn mint(
        &self,
        context: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<JsonOk<DownloadTokenResponse>, ErrorResponse<MintStatuses>> {
        let issued = self.tokens.issue(context, dataset_id).await?;
        Ok(JsonOk(DownloadTokenResponse {
            token: issued.token.into_revealed(),
            expires_in: issued.expires_in,
        }))
    }
}
