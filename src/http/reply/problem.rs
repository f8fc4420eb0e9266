//! Problems: the one place that gives an error its status (RFC 9457).
//!
//! Every error, the router's own and a panic included, is sent as `application/problem+json`.

use std::io::ErrorKind;

use poem::error::{ParsePathError as UnreadablePathError, ReadBodyError};
use poem::http::header::{ACCEPT_ENCODING, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::Object;
use poem_openapi::error::{
    ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};

use crate::service::error::ServiceError;

use super::type_names::without_type_names;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The type of the problem of a change that may have been made.
const OUTCOME_UNKNOWN: &str = "urn:cedargate:outcome-unknown";

/// When to retry after a 503, in seconds.
const UNAVAILABLE_RETRY_AFTER: u64 = 2;

/// Marks a 415 whose cause is the `Content-Type`: the request middleware knows which ones the operation takes.
#[derive(Clone, Copy, Debug)]
pub struct UnsupportedContentType;

/// An error, in the form of RFC 9457.
#[derive(Debug, Clone, Object, serde::Serialize)]
pub struct ProblemDetail {
    /// The kind of problem; `about:blank` means that the status says it all.
    #[oai(rename = "type", default = "about_blank")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, and what to do about it.
    pub detail: String,
}

/// An error that may be about one field, in the form of RFC 9457 with an extension member (section 3.2).
#[derive(Debug, Clone, Object, serde::Serialize)]
pub struct FieldProblemDetail {
    /// The error.
    #[oai(flatten)]
    #[serde(flatten)]
    pub problem: ProblemDetail,
    /// The field of the request that the error is about, if it is about one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// A problem, before it is sent.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    is_outcome_unknown: bool,
    detail: String,
    field: Option<&'static str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a status and a detail.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            is_outcome_unknown: false,
            detail: detail.into(),
            field: None,
            header: None,
        }
    }

    /// An internal error; the cause is in the log alone.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; the server's log has the cause under this X-Request-Id",
        )
    }

    /// A change that may have been made although its request failed. It has no `Retry-After`: to repeat it may
    /// make it twice.
    #[must_use]
    pub fn outcome_unknown(status: StatusCode, request_id: &str) -> Self {
        let detail = format!(
            "the request failed, but its change may have been made: look for it before you repeat it; \
             if it was made, there is an audit record with the request_id {request_id}"
        );
        Self {
            is_outcome_unknown: true,
            ..Self::new(status, detail)
        }
    }

    /// Something is temporarily unavailable.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry_after(UNAVAILABLE_RETRY_AFTER)
    }

    /// The client has more in flight than it may.
    #[must_use]
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(UNAVAILABLE_RETRY_AFTER)
    }

    /// The body has a content coding, and none is accepted (RFC 9110 section 15.5.16).
    #[must_use]
    pub fn unsupported_coding(detail: impl Into<String>) -> Self {
        let identity = HeaderValue::from_static("identity");
        Self {
            header: Some((ACCEPT_ENCODING, identity)),
            ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
        }
    }

    /// The challenge of RFC 6750 section 3.
    fn with_challenge(self, challenge: &'static str) -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge))),
            ..self
        }
    }

    /// Names the field that the problem is about.
    fn with_field(self, field: &'static str) -> Self {
        Self {
            field: Some(field),
            ..self
        }
    }

    /// The problem as a part of a response that has several, and when to retry, in seconds.
    #[must_use]
    pub fn into_parts(self) -> (ProblemDetail, Option<u64>) {
        let retry_after = match &self.header {
            Some((name, value)) if *name == RETRY_AFTER => {
                value.to_str().ok().and_then(|text| text.parse().ok())
            }
            Some(_) | None => None,
        };
        (self.into_detail(), retry_after)
    }

    /// The body of its response.
    #[must_use]
    pub fn into_field_detail(self) -> FieldProblemDetail {
        let field = self.field.map(str::to_owned);
        FieldProblemDetail {
            problem: self.into_detail(),
            field,
        }
    }

    fn into_detail(self) -> ProblemDetail {
        let kind = if self.is_outcome_unknown {
            OUTCOME_UNKNOWN.to_owned()
        } else {
            about_blank()
        };
        ProblemDetail {
            kind,
            title: self
                .status
                .canonical_reason()
                .unwrap_or("Problem")
                .to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        }
    }

    fn with_retry_after(self, seconds: u64) -> Self {
        Self {
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
            ..self
        }
    }

    /// The problem of a status alone, for errors that are not raised by our own code.
    #[must_use]
    pub fn from_status(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "nothing is served at this path; see /docs",
            StatusCode::METHOD_NOT_ALLOWED => {
                "this path does not take this method; see the Allow header"
            }
            StatusCode::REQUEST_TIMEOUT => "the request body did not arrive in time",
            StatusCode::PAYLOAD_TOO_LARGE => "the request body is too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "the request body has an unsupported media type",
            _ if status.is_server_error() => return Self::internal(),
            _ => "the request is malformed",
        };
        Self::new(status, detail)
    }

    /// The problem of a body that was not received completely.
    fn from_body_error(error: &std::io::Error) -> Self {
        // poem wraps the error of a body that it collects in another one.
        let wrapped = error.get_ref().and_then(|cause| cause.downcast_ref());
        let cause: &std::io::Error = wrapped.unwrap_or(error);
        if cause.kind() == ErrorKind::StorageFull {
            return Self::unavailable(cause.to_string());
        }
        match cause.kind() {
            ErrorKind::TimedOut => Self::from_status(StatusCode::REQUEST_TIMEOUT),
            ErrorKind::FileTooLarge => Self::from_status(StatusCode::PAYLOAD_TOO_LARGE),
            ErrorKind::InvalidData => Self::new(StatusCode::BAD_REQUEST, cause.to_string()),
            _ => Self::new(
                StatusCode::BAD_REQUEST,
                "the request body did not arrive completely; nothing was changed",
            ),
        }
    }

    /// The response for an error of the router or of an extractor.
    #[must_use]
    pub fn response_for_error(error: poem::Error) -> Response {
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            let detail = without_type_names(&error.reason);
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
        if error.is::<UnreadablePathError>() {
            let detail = "the path is not UTF-8 after percent-decoding";
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
        if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
            let reason = without_type_names(reason);
            let detail = format!("the parameter {name} is malformed: {reason}");
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
        if let Some(ParseRequestPayloadError { reason }) = error.downcast_ref() {
            let reason = without_type_names(reason);
            let detail = format!("the request body is malformed: {reason}");
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
        if let Some(ReadBodyError::Io(error)) = error.downcast_ref() {
            return Self::from_body_error(error).into_response();
        }
        if let Some(error) = error.downcast_ref::<ContentTypeError>() {
            let problem = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string());
            let mut response = problem.into_response();
            response.extensions_mut().insert(UnsupportedContentType);
            return response;
        }
        error.into_response()
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::MultipleCredentials | ServiceError::QuestionInvalid { .. } => {
                Self::new(StatusCode::BAD_REQUEST, detail)
            }
            ServiceError::CredentialRejected { .. } | ServiceError::TokenOfOtherDataset => {
                Self::new(StatusCode::UNAUTHORIZED, detail)
                    .with_challenge(r#"Bearer realm="cedargate", error="invalid_token""#)
            }
            ServiceError::LoginFailed | ServiceError::CredentialMissing { .. } => {
                Self::new(StatusCode::UNAUTHORIZED, detail)
                    .with_challenge(r#"Bearer realm="cedargate""#)
            }
            ServiceError::LimitExceeded {
                retry_after_seconds,
            } => Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
                .with_retry_after(retry_after_seconds),
            ServiceError::DatasetNotFound
            | ServiceError::FileNotFound { .. }
            | ServiceError::NotFound { .. }
            | ServiceError::ApiKeyNotFound => Self::new(StatusCode::NOT_FOUND, detail),
            ServiceError::ReadDenied
            | ServiceError::KeyScopeRestricted
            | ServiceError::OwnUserProtected
            | ServiceError::PrivilegeExceeded
            | ServiceError::AdministrationDenied { .. } => Self::new(StatusCode::FORBIDDEN, detail),
            ServiceError::Conflict { field, .. } => {
                Self::new(StatusCode::CONFLICT, detail).with_field(field)
            }
            ServiceError::Invalid { field, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_field(field)
            }
            ServiceError::UploadIncomplete { source } => Self::from_body_error(&source),
            ServiceError::PreconditionFailed
            | ServiceError::PreconditionIncomparable { .. }
            | ServiceError::EditOutdated { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, detail)
            }
            ServiceError::PreconditionMissing { .. } => {
                Self::new(StatusCode::PRECONDITION_REQUIRED, detail)
            }
            // Nobody reads it.
            ServiceError::GivenUp => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
            ServiceError::TooManyApiKeys | ServiceError::LastAdminKey => {
                Self::new(StatusCode::CONFLICT, detail)
            }
            ServiceError::ApiKeyInvalid(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            ServiceError::Unavailable { what, source } => {
                tracing::warn!(%source, "{what} unavailable");
                Self::unavailable(format!("{detail}; try again shortly"))
            }
            ServiceError::RecordUncertain => {
                tracing::warn!("the audit log did not respond in time");
                Self::unavailable(detail)
            }
            ServiceError::StorageLow => {
                tracing::warn!("free disk space is low; nothing new is stored");
                Self::unavailable(detail)
            }
            ServiceError::Internal { what, source } => {
                tracing::error!(%source, "{what} failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, header) = (self.status, self.header.clone());
        let body = self.into_field_detail();
        let mut response = Response::builder()
            .status(status)
            .content_type(PROBLEM_JSON)
            .header("Cache-Control", "no-store")
            .body(serde_json::to_vec(&body).unwrap_or_default());
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        Self::from_response(problem.into_response())
    }
}
