//! Answers: what operations reply, as the OpenAPI document tells it.
//!
//! An operation's type is `Result<Granted<T>, Refusal<S>>`: what it gives, and the statuses with
//! which it may refuse. This module refuses to know any single operation.

use std::marker::PhantomData;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};

use crate::service::error::ServiceError;

use super::problem::{FieldProblemDetail, PROBLEM_JSON, Problem, ProblemDetail};

/// A 200 with a JSON body that no cache may keep.
pub struct JsonOk<T>(pub T);

impl<T: Type + ToJSON> IntoResponse for JsonOk<T> {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .body(self.0.to_json_string())
    }
}

impl<T: Type + ToJSON> ApiResponse for JsonOk<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: "application/json",
            schema: T::schema_ref(),
        }];
        let headers = vec![text_header("Cache-Control", "Always `no-store`.")];
        MetaResponses {
            responses: vec![meta_response(200, "Granted.", content, headers)],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A 201 with a JSON body that no cache may keep.
pub struct JsonCreated<T>(pub T);

impl<T: Type + ToJSON> IntoResponse for JsonCreated<T> {
    fn into_response(self) -> Response {
        let mut response = JsonOk(self.0).into_response();
        response.set_status(StatusCode::CREATED);
        response
    }
}

impl<T: Type + ToJSON> ApiResponse for JsonCreated<T> {
    fn meta() -> MetaResponses {
        let created = |granted| MetaResponse {
            status: Some(201),
            description: "Created.",
            ..granted
        };
        let granted = JsonOk::<T>::meta().responses.into_iter();
        MetaResponses {
            responses: granted.map(created).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A 204: it is done, and there is nothing to say about it.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        empty_response(StatusCode::NO_CONTENT)
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![meta_response(204, "Done.", vec![], vec![])],
        }
    }

    fn register(_: &mut Registry) {}
}

/// The statuses with which one operation may refuse.
pub trait ErrorStatuses: Send + Sync + 'static {
    /// The statuses in ascending order.
    const STATUSES: &'static [u16];
    /// What some of them mean for this operation, where the usual words do not fit.
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[];
}

/// A refusal of an operation whose document names the statuses of `S`.
pub struct ErrorResponse<S> {
    problem: Problem,
    statuses: PhantomData<S>,
}

impl<S> From<ServiceError> for ErrorResponse<S> {
    fn from(error: ServiceError) -> Self {
        Self::from(Problem::from(error))
    }
}

impl<S> From<Problem> for ErrorResponse<S> {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            statuses: PhantomData,
        }
    }
}

impl<S> From<ErrorResponse<S>> for poem::Error {
    fn from(refusal: ErrorResponse<S>) -> Self {
        refusal.problem.into()
    }
}

impl<S: ErrorStatuses> ApiResponse for ErrorResponse<S> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: S::STATUSES
                .iter()
                .map(|status| described_response::<S>(*status))
                .collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDetail::register(registry);
        FieldProblemDetail::register(registry);
    }
}

fn described_response<S: ErrorStatuses>(status: u16) -> MetaResponse {
    let usual = problem_response(status);
    let own = S::DESCRIPTIONS.iter().find(|(own, _)| *own == status);
    MetaResponse {
        description: own.map_or(usual.description, |(_, description)| description),
        ..usual
    }
}

/// How the document tells one problem status; one table for all operations.
fn problem_response(status: u16) -> MetaResponse {
    let (description, headers) = match status {
        400 => (
            "The credentials cannot be read, or there is more than one.",
            vec![],
        ),
        401 => (
            "A credential is missing, or the one given does not resolve.",
            vec![text_header(
                "WWW-Authenticate",
                "The challenge of RFC 6750.",
            )],
        ),
        403 => ("You may know of the dataset, but not read it.", vec![]),
        404 => (
            "There is no such dataset, or you may not know that there is.",
            vec![],
        ),
        408 => ("The body did not arrive in time.", vec![]),
        409 => ("It is at odds with what there is already.", vec![]),
        412 => ("It is not what `If-Match` names: it has changed.", vec![]),
        413 => ("The body is too large.", vec![]),
        415 => ("The body has an unsupported type.", vec![]),
        422 => ("A parameter or the body cannot be read.", vec![]),
        429 => (
            "Too many requests.",
            vec![number_header(
                "Retry-After",
                "When to try again, in seconds.",
            )],
        ),
        503 => (
            "Something that is needed is away for now; nothing was done.",
            vec![number_header(
                "Retry-After",
                "When to try again, in seconds.",
            )],
        ),
        _ => ("Something went wrong inside the server.", vec![]),
    };
    let content = vec![MetaMediaType {
        content_type: PROBLEM_JSON,
        schema: match status {
            409 => FieldProblemDetail::schema_ref(),
            _ => ProblemDetail::schema_ref(),
        },
    }];
    meta_response(status, description, content, headers)
}

/// One response of the document.
pub(crate) fn meta_response(
    status: u16,
    description: &'static str,
    content: Vec<MetaMediaType>,
    headers: Vec<MetaHeader>,
) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content,
        headers,
    }
}

/// A header of the document whose value is text.
pub(crate) fn text_header(name: &str, description: &str) -> MetaHeader {
    described_header(name, description, MetaSchema::new("string"))
}

/// A header of the document whose value is a whole number.
pub(crate) fn number_header(name: &str, description: &str) -> MetaHeader {
    described_header(name, description, MetaSchema::new("integer"))
}

fn described_header(name: &str, description: &str, schema: MetaSchema) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    }
}

/// An answer without a body.
pub(crate) fn empty_response(status: StatusCode) -> Response {
    Response::builder().status(status).finish()
}
