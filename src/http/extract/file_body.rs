//! The body of an upload: a TIFF, as a stream.

use poem::{Body, Request, RequestBody};
use poem_openapi::error::ContentTypeError;
use poem_openapi::payload::{Binary, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

/// The media types of a TIFF. Parameters do not count: a Cloud Optimized `GeoTIFF` is
/// `image/tiff; application=geotiff; profile=cloud-optimized` (OGC 21-026).
const MEDIA_TYPES: [&str; 2] = ["image/tiff", "application/octet-stream"];

/// An uploaded file.
pub struct FileBody(pub Body);

impl<'a> ApiExtractor<'a> for FileBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let content = MEDIA_TYPES.map(|content_type| MetaMediaType {
            content_type,
            schema: Binary::<Body>::schema_ref(),
        });
        Some(MetaRequest {
            description: Some("A TIFF."),
            content: Vec::from(content),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let Some(sent) = request.content_type() else {
            return Err(ContentTypeError::ExpectContentType.into());
        };
        let media_type = sent.split(';').next().unwrap_or_default().trim_ascii();
        if MEDIA_TYPES
            .iter()
            .any(|it| it.eq_ignore_ascii_case(media_type))
        {
            return Ok(Self(body.take()?));
        }
        let content_type = sent.to_owned();
        Err(ContentTypeError::NotSupported { content_type }.into())
    }
}
