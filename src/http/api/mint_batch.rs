//! The batch mint API: `POST /auth/download-tokens`, a download token for each of up to 100 datasets.
//!
//! Clients that show many datasets at once, such as map viewers with mosaics, need one request for all of them.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::{DatasetId, DatasetIdError};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::parameter::RawDatasetId;
use crate::http::openapi::ApiTag;
use crate::http::reply::problem::{Problem, ProblemDetail};
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::download_token_batch::BatchResult;

/// The path of the batch mint.
pub const PATH: &str = "/auth/download-tokens";

/// The batch mint API.
pub struct MintBatchApi {
    /// Issues download tokens.
    pub tokens: Arc<DownloadTokens>,
}

/// The datasets that need a download token each.
#[derive(Object)]
#[oai(deny_unknown_fields)]
#[oai(rename = "DownloadTokensRequest")]
pub struct CreateDownloadTokensRequest {
    /// The dataset ids, each in any text form of RFC 9562.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub dataset_ids: Vec<RawDatasetId>,
}

/// One result for each dataset id of the request, in its order.
#[derive(Object)]
#[oai(rename = "DownloadTokensAnswer")]
pub struct CreateDownloadTokensResponse {
    /// The results; each has either a token or a problem.
    pub results: Vec<DownloadTokenResult>,
}

/// The result for one dataset: either `token` and `expires_in`, or `problem`.
#[derive(Object)]
pub struct DownloadTokenResult {
    /// The dataset id in its canonical form; what is no dataset id is repeated as it was sent.
    pub dataset_id: String,
    /// The download token. Send it as `?token=` on the download URL of this dataset.
    #[oai(skip_serializing_if_is_none)]
    pub token: Option<String>,
    /// Lifetime of the token in seconds.
    #[oai(skip_serializing_if_is_none)]
    pub expires_in: Option<u32>,
    /// Why there is no token: the problem with which the mint of this dataset alone would be answered.
    #[oai(skip_serializing_if_is_none)]
    pub problem: Option<DownloadTokenProblem>,
}

/// Why there is no token for a dataset, in the form of RFC 9457 with an extension member (section 3.2).
#[derive(Object)]
pub struct DownloadTokenProblem {
    /// The problem.
    #[oai(flatten)]
    pub problem: ProblemDetail,
    /// When to retry, in seconds, for the statuses 429 and 503; it stands for the header `Retry-After`.
    #[oai(skip_serializing_if_is_none)]
    pub retry_after: Option<u64>,
}

impl DownloadTokenResult {
    fn granted_or_refused(dataset_id: DatasetId, result: BatchResult) -> Self {
        match result {
            Ok(issued) => Self {
                dataset_id: dataset_id.to_string(),
                token: Some(issued.token.into_revealed()),
                expires_in: Some(issued.expires_in),
                problem: None,
            },
            Err(error) => Self::refused(dataset_id.to_string(), error.into()),
        }
    }

    fn malformed(text: String, error: &DatasetIdError) -> Self {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        Self::refused(text, problem)
    }

    fn refused(dataset_id: String, problem: Problem) -> Self {
        let (problem, retry_after) = problem.into_parts();
        Self {
            dataset_id,
            token: None,
            expires_in: None,
            problem: Some(DownloadTokenProblem {
                problem,
                retry_after,
            }),
        }
    }
}

/// The error statuses of the batch as a whole.
pub struct MintBatchStatuses;

impl ErrorStatuses for MintBatchStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (401, "The credential is malformed or not valid."),
        (
            429,
            "Too many requests: not one of the datasets is allowed now.",
        ),
        (
            503,
            "Temporarily unavailable: nothing could be decided for any of the datasets.",
        ),
    ];
}

#[OpenApi(tag = "ApiTag::Auth")]
impl MintBatchApi {
    /// Create download tokens
    ///
    /// Creates a download token for each of up to 100 datasets, with the credential of this request. Each dataset is
    /// answered on its own, in the order of the request: with a token, or with the problem that
    /// `POST /auth/download-token/{dataset_id}` would be answered with. Each counts as one mint; those beyond the
    /// limit have the problem 429, and `retry_after` says when the mint is possible. A dataset that is named twice
    /// gets two tokens.
    #[oai(
        path = "/auth/download-tokens",
        method = "post",
        operation_id = "create_download_tokens"
    )]
    async fn create_download_tokens(
        &self,
        body: JsonBody<CreateDownloadTokensRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<CreateDownloadTokensResponse>, ErrorResponse<MintBatchStatuses>> {
        let texts = body.0.dataset_ids.into_iter();
        let parsed: Vec<_> = texts
            .map(|RawDatasetId(text)| (text.parse(), text))
            .collect();
        let dataset_ids: Vec<DatasetId> = parsed
            .iter()
            .filter_map(|(id, _)| id.as_ref().ok().copied())
            .collect();
        let issued = self.tokens.issue_each(&credentials.0, &dataset_ids).await?;
        let mut issued = dataset_ids.into_iter().zip(issued);
        let results = parsed.into_iter().filter_map(|(id, text)| match id {
            Ok(_) => issued
                .next()
                .map(|(id, result)| DownloadTokenResult::granted_or_refused(id, result)),
            Err(error) => Some(DownloadTokenResult::malformed(text, &error)),
        });
        Ok(JsonOk(CreateDownloadTokensResponse {
            results: results.collect(),
        }))
    }
}
