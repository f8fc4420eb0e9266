//! The forward-auth API: `GET` and `HEAD /auth/verify`, for nginx `auth_request`, Traefik `ForwardAuth` and Caddy
//! `forward_auth`.
//!
//! A proxy asks here whether it may answer a request for a dataset's file that it serves itself. The answer is 2xx,
//! 401 or 403, whatever happens ([`mod@crate::http::server::forward_auth_statuses`]): nginx takes anything else
//! for an error of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, Response};
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use crate::config::PathPatterns;
use crate::domain::id::{DatasetId, UserId};
use crate::http::extract::credentials::{ForwardedCredentials, forwarded_context};
use crate::http::extract::original_request::OriginalRequest;
use crate::http::openapi::ApiTag;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses::{self, ErrorResponse, ErrorStatuses};
use crate::http::server::forward_auth_statuses::FORWARD_AUTH_PATH;
use crate::http::server::request_info::RequestInfo;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::tokens::forward_auth::ForwardAuth;

/// The header that names the caller: the name is that of oauth2-proxy, which proxies know.
const USER_HEADER: &str = "x-auth-request-user";
/// The header that names the dataset.
const DATASET_HEADER: &str = "x-auth-request-dataset";
/// What [`USER_HEADER`] says of a caller who is nobody. It is never left out, because some proxies then pass on
/// what the client sent.
const ANONYMOUS: HeaderValue = HeaderValue::from_static("anonymous");

/// What the answer depends on.
const VARY: HeaderValue = HeaderValue::from_static(
    "Authorization, X-Api-Key, X-Original-URI, X-Original-Method, X-Forwarded-Uri, X-Forwarded-Method, \
     X-Forwarded-For, Forwarded",
);

/// The forward-auth API; clones share what was logged.
#[derive(Clone)]
pub struct ForwardAuthApi {
    forward_auth: Arc<ForwardAuth>,
    paths: PathPatterns,
    /// A peer that is not trusted is logged once, not with every request.
    has_warned: Arc<AtomicBool>,
}

/// The proxy may answer the request.
pub struct PermittedResponse {
    dataset_id: DatasetId,
    user_id: Option<UserId>,
    max_age: u32,
}

/// The error statuses of forward-auth.
pub struct ForwardAuthStatuses;

impl ErrorStatuses for ForwardAuthStatuses {
    const STATUSES: &'static [u16] = &[401, 403];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[(
        403,
        "The proxy must not answer the request. If that has another cause than a denial, `X-Error-Status` has the \
         status that the server would have answered with: 429 and 503 come with `Retry-After`.",
    )];
    const FIELD_STATUSES: &'static [u16] = &[];
}

impl IntoResponse for PermittedResponse {
    fn into_response(self) -> Response {
        let mut response = responses::empty_response(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        let text = |id: String| HeaderValue::from_str(&id).unwrap_or(ANONYMOUS);
        let user = self.user_id.map(|id| text(id.to_string()));
        headers.insert(USER_HEADER, user.unwrap_or(ANONYMOUS));
        headers.insert(DATASET_HEADER, text(self.dataset_id.to_string()));
        headers.insert(header::VARY, VARY);
        let cached = format!("private, max-age={}", self.max_age);
        if let Ok(cached) = HeaderValue::from_str(&cached) {
            headers.insert(header::CACHE_CONTROL, cached);
        }
        response
    }
}

impl ApiResponse for PermittedResponse {
    fn meta() -> MetaResponses {
        let headers = vec![
            responses::text_header(
                "X-Auth-Request-User",
                "The id of the user who asks, or `anonymous`.",
            ),
            responses::text_header("X-Auth-Request-Dataset", "The id of the dataset."),
            responses::text_header(
                "Cache-Control",
                "How long the answer holds for the same request: never longer than the token.",
            ),
        ];
        let description = "The proxy may answer the request.";
        MetaResponses {
            responses: vec![responses::meta_response(204, description, vec![], headers)],
        }
    }

    fn register(_: &mut Registry) {}
}

impl ForwardAuthApi {
    /// The API for file servers with their files at these paths.
    #[must_use]
    pub fn new(forward_auth: &Arc<ForwardAuth>, paths: &PathPatterns) -> Self {
        Self {
            forward_auth: Arc::clone(forward_auth),
            paths: paths.clone(),
            has_warned: Arc::default(),
        }
    }

    /// Answers a GET of [`FORWARD_AUTH_PATH`].
    pub async fn reply(&self, request: &Request) -> poem::Result<Response> {
        let context = forwarded_context(request);
        let answered = self.answer(&context, request).await?;
        Ok(answered.into_response())
    }

    async fn answer(
        &self,
        context: &RequestContext,
        request: &Request,
    ) -> Result<PermittedResponse, ErrorResponse<ForwardAuthStatuses>> {
        let info = RequestInfo::from_request(request);
        if !info.is_of_trusted_proxy {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    peer = %info.address.for_limits(),
                    "{FORWARD_AUTH_PATH} refused: the peer is not a trusted proxy; if it is your proxy, add it to \
                     CEDARGATE_TRUSTED_PROXIES; logged once"
                );
            }
            return Err(forbidden(
                "the request does not come from a trusted proxy, so its forwarding headers do not count; if it \
                 is your proxy, add it to CEDARGATE_TRUSTED_PROXIES",
            )
            .into());
        }
        let original = OriginalRequest::from_headers(request.headers()).map_err(Problem::from)?;
        let Some(dataset_id) = self.paths.dataset_id(original.path) else {
            return Err(forbidden(
                "the original path fits no pattern of CEDARGATE_FORWARD_AUTH_PATHS, exactly as it was sent",
            )
            .into());
        };
        let permitted = self
            .forward_auth
            .verify(context, dataset_id)
            .await
            .map_err(problem)?;
        Ok(PermittedResponse {
            dataset_id,
            user_id: permitted.user_id,
            max_age: permitted.max_age,
        })
    }
}

#[OpenApi(tag = "ApiTag::Operators")]
impl ForwardAuthApi {
    /// Get decision about a proxied request
    ///
    /// For proxies that serve the files of datasets themselves: nginx `auth_request`, Traefik `ForwardAuth` and Caddy
    /// `forward_auth`. HEAD is supported. The headers name the request that the proxy has received; they count only
    /// if the proxy is one of the server's `trusted_proxies`, and the path has to fit one of its
    /// `forward_auth_paths`. The credential is that of a download: `?token=` of the original URI, or a header. The
    /// operation's own query is ignored.
    #[oai(
        path = "/auth/verify",
        method = "get",
        operation_id = "verify_proxied_request"
    )]
    async fn verify(
        &self,
        credentials: ForwardedCredentials,
        request: &poem::Request,
    ) -> Result<PermittedResponse, ErrorResponse<ForwardAuthStatuses>> {
        self.answer(&credentials.0, request).await
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// A token of another dataset is not asked for again, as 401 would have it: it is good, but not for this.
fn problem(error: ServiceError) -> Problem {
    if matches!(error, ServiceError::TokenOfOtherDataset) {
        return forbidden(&error.to_string());
    }
    Problem::from(error)
}
