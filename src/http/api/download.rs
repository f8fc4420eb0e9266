//! The download API: `GET` and `HEAD /datasets/{dataset_id}/download/cog`.
//!
//! Range and conditional requests follow RFC 9110, so that GDAL and QGIS can read a COG in parts.
//! Bodies are never compressed, because a range counts bytes of the file.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use crate::domain::id::DatasetId;
use crate::files::ByteStream;
use crate::http::conditional::entity_tag::{
    ALTERED_TAG, IfMatchOutcome, MALFORMED_TAG, compare_strongly,
};
use crate::http::conditional::precondition::{format_http_date, joined_header};
use crate::http::conditional::span::{
    SelectedRange, content_range, select_range, unsatisfied_range,
};
use crate::http::extract::credentials::{HeaderOrQueryCredentials, header_or_query_context};
use crate::http::openapi::ApiTag;
use crate::http::reply::content_disposition::attachment;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses::{self, ANY_BYTES, ErrorResponse, ErrorStatuses};
use crate::http::server::request_info::RequestInfo;
use crate::http::server::tracked_body::{TrackedBody, TrackedChunk};
use crate::service::folded_records::CountedRequest;
use crate::service::identity::request_context::RequestContext;
use crate::service::tokens::download::{Download, DownloadContent, Downloads};

/// What comes before and after the dataset id in the path of a download.
pub const DOWNLOAD_PATH_PARTS: (&str, &str) = ("/datasets/", "/download/cog");

/// The media type of a GeoTIFF (RFC 3302).
const TIFF: &str = "image/tiff";

/// The media types of the file in the OpenAPI document. It is always sent as the first; generators of clients
/// that know no images take it for the second, which is what it is to them, and give its bytes instead of
/// nothing.
const DOCUMENTED_TYPES: [&str; 2] = [TIFF, ANY_BYTES];

/// For how many headers a response has room at once: these, and those that every response has.
const MAX_RESPONSE_HEADERS: usize = 24;

/// The download API.
pub struct DownloadApi {
    /// Authorizes downloads and opens files.
    pub downloads: Arc<Downloads>,
}

/// The error statuses of a download, except those of conditional and range requests.
pub struct DownloadStatuses;

impl ErrorStatuses for DownloadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
}

/// A file, a range of it, or the reason why no bytes are sent.
pub struct FileResponse(Response);

impl IntoResponse for FileResponse {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for FileResponse {
    fn meta() -> MetaResponses {
        let tiff = || DOCUMENTED_TYPES.map(responses::binary_media_type).into();
        let problem = || {
            ErrorResponse::<DownloadStatuses>::meta()
                .responses
                .into_iter()
                .next()
                .map(|response| response.content)
                .unwrap_or_default()
        };
        let etag = || responses::text_header("ETag", "The strong entity tag of the content.");
        let ranges = || responses::text_header("Accept-Ranges", "Always `bytes`.");
        let span =
            || responses::text_header("Content-Range", "The range and the total size in bytes.");
        MetaResponses {
            responses: vec![
                responses::meta_response(200, "The whole file.", tiff(), vec![etag(), ranges()]),
                responses::meta_response(
                    206,
                    "The requested range.",
                    tiff(),
                    vec![etag(), ranges(), span()],
                ),
                responses::meta_response(
                    302,
                    "The file is in a store that clients read themselves: a presigned URL, which lives no longer \
                     than the token.",
                    vec![],
                    vec![responses::text_header("Location", "The presigned URL.")],
                ),
                responses::meta_response(
                    304,
                    "The client's copy is current.",
                    vec![],
                    vec![etag()],
                ),
                responses::meta_response(
                    412,
                    "The content does not match the condition.",
                    problem(),
                    vec![],
                ),
                responses::meta_response(
                    416,
                    "The requested range is outside the file.",
                    problem(),
                    vec![span()],
                ),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        ErrorResponse::<DownloadStatuses>::register(registry);
    }
}

#[OpenApi(tag = "ApiTag::Datasets")]
impl DownloadApi {
    /// Download dataset file with a token
    ///
    /// Returns the Cloud Optimized GeoTIFF, or the bytes named by `Range`. HEAD is supported. Send
    /// a download token as `?token=`, or a session token or an API key in a header. The current
    /// policies decide; access revoked after minting is denied.
    #[oai(
        path = "/datasets/:dataset_id/download/cog",
        method = "get",
        operation_id = "download_cog"
    )]
    async fn download_cog(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderOrQueryCredentials,
        request: &poem::Request,
    ) -> Result<FileResponse, ErrorResponse<DownloadStatuses>> {
        self.download(&credentials.0, dataset_id.0, request).await
    }
}

impl DownloadApi {
    /// The API of these downloads.
    #[must_use]
    pub fn new(downloads: &Arc<Downloads>) -> Self {
        Self {
            downloads: Arc::clone(downloads),
        }
    }

    /// Answers a GET of a dataset's file.
    pub async fn reply(&self, request: &Request, dataset_id: DatasetId) -> poem::Result<Response> {
        let context = header_or_query_context(request);
        let answered = self.download(&context, dataset_id, request).await?;
        Ok(answered.into_response())
    }

    async fn download(
        &self,
        context: &RequestContext,
        dataset_id: DatasetId,
        request: &Request,
    ) -> Result<FileResponse, ErrorResponse<DownloadStatuses>> {
        let info = request.extensions().get::<RequestInfo>();
        let is_head = info.map_or(request.method() == Method::HEAD, |info| info.is_head);
        let method = if is_head { Method::HEAD } else { Method::GET };
        let mut selection = SelectedRange::Whole;
        let download = self
            .downloads
            .open(context, dataset_id, |file| {
                let headers = request.headers();
                selection = select_range(&method, headers, &file.etag, file.modified, file.size);
                match &selection {
                    SelectedRange::Whole if method == Method::HEAD => None,
                    SelectedRange::Whole => Some(0..file.size),
                    SelectedRange::Span(span) => Some(span.clone()),
                    SelectedRange::NotModified
                    | SelectedRange::PreconditionFailed
                    | SelectedRange::Unsatisfiable => None,
                }
            })
            .await?;
        let listed = joined_header(request.headers(), &header::IF_MATCH);
        let if_match = listed.map(|listed| compare_strongly(&listed, &download.file.etag));
        Ok(FileResponse(reply(&selection, download, if_match)))
    }
}

fn reply(
    selection: &SelectedRange,
    download: Download,
    if_match: Option<IfMatchOutcome>,
) -> Response {
    let Download { file, content } = download;
    let bytes = match content {
        DownloadContent::Nothing => None,
        DownloadContent::Bytes(bytes) => Some(FileBytes::Stream(bytes)),
        DownloadContent::Chunk(bytes, counted) => Some(FileBytes::Chunk(bytes, counted)),
        DownloadContent::Redirect(url) => {
            // Neither the URL nor that it was given is for a cache: whoever has it may read the file.
            return Response::builder()
                .status(StatusCode::FOUND)
                .header(header::LOCATION, url.as_str())
                .header(header::CACHE_CONTROL, "no-store")
                .header(header::REFERRER_POLICY, "no-referrer")
                .finish();
        }
    };
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.reserve(MAX_RESPONSE_HEADERS);
    set_header(headers, header::ETAG, &*file.etag);
    let modified = format_http_date(file.modified);
    set_header(headers, header::LAST_MODIFIED, modified);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Caches must revalidate, because policies decide each request anew.
    let no_cache = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, no_cache);
    let (status, length) = match selection {
        SelectedRange::Whole => (StatusCode::OK, file.size),
        SelectedRange::Span(span) => {
            let range = content_range(span, file.size);
            set_header(headers, header::CONTENT_RANGE, range);
            (StatusCode::PARTIAL_CONTENT, span.end - span.start)
        }
        SelectedRange::NotModified => {
            response.set_status(StatusCode::NOT_MODIFIED);
            return response;
        }
        SelectedRange::PreconditionFailed => {
            let detail = match if_match {
                Some(IfMatchOutcome::Altered) => ALTERED_TAG,
                Some(IfMatchOutcome::Malformed) => MALFORMED_TAG,
                Some(IfMatchOutcome::Matches | IfMatchOutcome::Differs) | None => {
                    "the file does not match the precondition"
                }
            };
            return Problem::new(StatusCode::PRECONDITION_FAILED, detail).into_response();
        }
        SelectedRange::Unsatisfiable => {
            let detail = format!(
                "the requested range is outside the file, which has {} bytes",
                file.size
            );
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail);
            let mut response = problem.into_response();
            if let Ok(value) = unsatisfied_range(file.size).parse() {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return response;
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TIFF));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    set_header(headers, header::CONTENT_DISPOSITION, attachment(&file.name));
    response.set_status(status);
    match bytes {
        Some(FileBytes::Stream(bytes)) => {
            response.set_body(Body::from_bytes_stream(TrackedBody::new(bytes, length)));
        }
        Some(FileBytes::Chunk(bytes, counted)) => {
            let body = TrackedChunk::new(bytes, move |sent| counted.add_bytes(sent));
            response.set_body(Body::from(BoxBody::new(body)));
        }
        None => {}
    }
    response
}

/// What is sent of a file.
enum FileBytes {
    Stream(ByteStream),
    Chunk(Bytes, CountedRequest),
}

/// Sets a header whose value is one in all that is catalogued.
fn set_header<V>(headers: &mut HeaderMap, name: HeaderName, value: V)
where
    HeaderValue: TryFrom<V>,
{
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
