//! Health: `/health/live` and `/health/ready`, for orchestrators and people.
//!
//! Live says that the process answers; ready says that it can do its work. This module refuses to
//! know what the work is made of.

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::http::openapi::Tags;
use crate::http::reply::responses;
use crate::http::reply::responses::Granted;
use crate::http::server::request_middleware::AsItIs;
use crate::service::health::{Health, Readiness};

/// The operations of health.
pub struct HealthApi {
    /// What looks at everything that is needed.
    pub health: Arc<Health>,
}

/// That the process answers.
#[derive(Object)]
pub struct Live {
    /// Always `live`.
    pub status: String,
}

/// Whether the work can be done.
#[derive(Object)]
pub struct Ready {
    /// Whether the work can be done.
    pub status: ReadyStatus,
    /// What is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
    /// The revision of the policies in force.
    pub revision: String,
}

/// Whether the work can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ReadyStatus {
    /// All is well.
    Ready,
    /// It serves, but something is wrong.
    Degraded,
    /// It cannot serve.
    Unready,
}

/// The readiness as a response: 200, or 503 when unready.
pub struct ReadyAnswer(Ready);

impl IntoResponse for ReadyAnswer {
    fn into_response(self) -> Response {
        let is_unready = self.0.status == ReadyStatus::Unready;
        let mut response = Granted(self.0).into_response();
        if is_unready {
            response.set_status(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(header::RETRY_AFTER, 2.into());
            response.extensions_mut().insert(AsItIs);
        }
        response
    }
}

impl ApiResponse for ReadyAnswer {
    fn meta() -> MetaResponses {
        let content = || {
            vec![MetaMediaType {
                content_type: "application/json",
                schema: Ready::schema_ref(),
            }]
        };
        let retry_after =
            responses::number_header("Retry-After", "When to look again, in seconds.");
        MetaResponses {
            responses: vec![
                responses::response(200, "It serves.", content(), vec![]),
                responses::response(503, "It cannot serve.", content(), vec![retry_after]),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        Ready::register(registry);
    }
}

#[OpenApi(tag = "Tags::Operators")]
#[allow(
    clippy::unused_async,
    reason = "every operation is async to poem-openapi"
)]
impl HealthApi {
    /// Does the process answer?
    #[oai(path = "/health/live", method = "get", operation_id = "live")]
    async fn live(&self) -> Granted<Live> {
        Granted(Live {
            status: "live".to_owned(),
        })
    }

    /// Can the work be done?
    #[oai(path = "/health/ready", method = "get", operation_id = "ready")]
    async fn ready(&self) -> ReadyAnswer {
        let Readiness {
            failures,
            warnings,
            revision,
        } = self.health.look().await;
        let status = match (failures.is_empty(), warnings.is_empty()) {
            (false, _) => ReadyStatus::Unready,
            (true, false) => ReadyStatus::Degraded,
            (true, true) => ReadyStatus::Ready,
        };
        let problems = failures.into_iter().chain(warnings).collect();
        ReadyAnswer(Ready {
            status,
            problems,
            revision: revision.to_string(),
        })
    }
}
