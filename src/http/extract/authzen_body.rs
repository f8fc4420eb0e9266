//! AuthZEN bodies: JSON objects, of which whatever is wrong is answered with 400.
//!
//! The Authorization API 1.0 (section 10.1.2) knows no 415 for a media type and no 422. Unknown members are ignored (section 11), and a
//! member twice is malformed.

use poem::http::{HeaderMap, StatusCode, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::{Map, Value};

use crate::domain::strict_json::StrictValue;
use crate::domain::text_file::skip_byte_order_mark;
use crate::http::reply::problem::Problem;

const APPLICATION_JSON: &str = "application/json";

/// What a body is read into, and how the document describes it.
pub trait AuthzenRequest: Sized + Send {
    /// The schema in the document.
    type Schema: Type;

    /// Reads the members of a body; fails with what is wrong with which member.
    fn read(members: Map<String, Value>) -> std::result::Result<Self, String>;
}

/// The body of a request of the Authorization API.
pub struct AuthzenBody<T>(pub T);

impl<T: AuthzenRequest> AuthzenBody<T> {
    /// Reads the body of a request.
    pub async fn read(headers: &HeaderMap, body: poem::Body) -> Result<Self> {
        check_media_type(headers)?;
        let bytes = body.into_bytes().await?;
        let parsed: serde_json::Result<StrictValue> =
            serde_json::from_slice(skip_byte_order_mark(&bytes));
        drop(bytes);
        let members = match parsed {
            Ok(StrictValue(Value::Object(members))) => members,
            Ok(_) => return Err(malformed("the body is not a JSON object")),
            Err(error) => return Err(malformed(&format!("the body is not JSON: {error}"))),
        };
        T::read(members)
            .map(Self)
            .map_err(|error| malformed(&error))
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().is_ok_and(|text| {
            let essence = text.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case(APPLICATION_JSON)
        }),
        _ => false,
    };
    if is_json {
        return Ok(());
    }
    Err(malformed(
        "the body must have the Content-Type application/json",
    ))
}

fn malformed(detail: &str) -> poem::Error {
    Problem::new(StatusCode::BAD_REQUEST, detail).into()
}

impl<T: AuthzenRequest> Payload for AuthzenBody<T> {
    const CONTENT_TYPE: &'static str = APPLICATION_JSON;

    fn schema_ref() -> MetaSchemaRef {
        T::Schema::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::Schema::register(registry);
    }
}

impl<'a, T: AuthzenRequest> ApiExtractor<'a> for AuthzenBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: APPLICATION_JSON,
                schema: T::Schema::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Self::read(request.headers(), body.take()?).await
    }
}
