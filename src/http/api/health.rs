//! The health API: `/health/live` and `/health/ready`, for orchestrators and operators.

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{self, JsonOk};
use crate::http::server::completed_response::Passthrough;
use crate::service::health::{Health, Readiness};

/// The paths of the API, which are answered even if there is no place for another connection.
pub const PATHS: [&str; 2] = ["/health/live", "/health/ready"];

/// The health API.
pub struct HealthApi {
    /// Checks everything that the server depends on.
    pub health: Arc<Health>,
}

/// The liveness of the process.
#[derive(Object)]
#[oai(rename = "Live")]
pub struct LivenessResponse {
    /// Always `live`.
    pub status: String,
}

/// Whether the server can serve requests.
#[derive(Object)]
#[oai(rename = "Ready")]
pub struct ReadinessResponse {
    /// Whether the server can serve requests.
    pub status: ReadinessStatus,
    /// What is wrong, one sentence each; empty if nothing is.
    pub problems: Vec<String>,
    /// The revision of the policies in force.
    pub revision: String,
    /// The SHA-256 over the policies in force with their cases and invariants.
    pub folder_revision: String,
    /// The same over the policy folder, while it is refused and can be read.
    #[oai(skip_serializing_if_is_none)]
    pub refused_folder_revision: Option<String>,
}

/// Whether the server can serve requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
#[oai(rename = "ReadyStatus")]
pub enum ReadinessStatus {
    /// Everything works.
    Ready,
    /// The server serves requests, but something is wrong.
    Degraded,
    /// The server cannot serve requests.
    Unready,
}

/// The readiness as a response: 200, or 503 if unready.
pub struct ReadyResponse(ReadinessResponse);

impl IntoResponse for ReadyResponse {
    fn into_response(self) -> Response {
        let is_unready = self.0.status == ReadinessStatus::Unready;
        let mut response = JsonOk(self.0).into_response();
        if is_unready {
            response.set_status(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(header::RETRY_AFTER, 2.into());
            response.extensions_mut().insert(Passthrough);
        }
        response
    }
}

impl ApiResponse for ReadyResponse {
    fn meta() -> MetaResponses {
        let content = || {
            vec![MetaMediaType {
                content_type: "application/json",
                schema: ReadinessResponse::schema_ref(),
            }]
        };
        let retry_after = responses::number_header("Retry-After", "When to retry, in seconds.");
        MetaResponses {
            responses: vec![
                responses::meta_response(200, "The server is ready.", content(), vec![]),
                responses::meta_response(
                    503,
                    "The server is not ready.",
                    content(),
                    vec![retry_after],
                ),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        ReadinessResponse::register(registry);
    }
}

#[OpenApi(tag = "ApiTag::Operators")]
#[allow(
    clippy::unused_async,
    reason = "every operation is async to poem-openapi"
)]
impl HealthApi {
    /// Check liveness
    ///
    /// Returns 200 while the process responds.
    #[oai(path = "/health/live", method = "get", operation_id = "live")]
    async fn live(&self) -> JsonOk<LivenessResponse> {
        JsonOk(LivenessResponse {
            status: "live".to_owned(),
        })
    }

    /// Check readiness
    ///
    /// Returns 200 if the server can mint and record tokens, and 503 if not; `problems` lists what
    /// is wrong.
    #[oai(path = "/health/ready", method = "get", operation_id = "ready")]
    async fn ready(&self) -> ReadyResponse {
        let Readiness {
            failures,
            warnings,
            revision,
            folder_revision,
            refused_folder_revision,
        } = self.health.check().await;
        let status = match (failures.is_empty(), warnings.is_empty()) {
            (false, _) => ReadinessStatus::Unready,
            (true, false) => ReadinessStatus::Degraded,
            (true, true) => ReadinessStatus::Ready,
        };
        let problems = failures.into_iter().chain(warnings).collect();
        ReadyResponse(ReadinessResponse {
            status,
            problems,
            revision: revision.to_string(),
            folder_revision,
            refused_folder_revision,
        })
    }
}
