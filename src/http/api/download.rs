//! The download: `GET` and `HEAD /datasets/{dataset_id}/download/cog`.
//!
//! Spans and conditions as RFC 9110 has them, so that GDAL and QGIS can read a COG piece by piece.
//! Bodies are never compressed: a span counts bytes of the file. This module refuses to know who
//! may download.

use std::sync::Arc;

use poem::http::{Method, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::http::conditional::precondition::format_http_date;
use crate::http::conditional::span::{
    SelectedRange, content_range, select_range, unsatisfied_range,
};
use crate::http::extract::credentials::HeaderOrQueryCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};
use crate::http::server::request_info::RequestInfo;
use crate::http::server::tracked_body::TrackedBody;
use crate::service::tokens::download::{Download, Downloads};

/// The media type of a GeoTIFF (RFC 3302).
const TIFF: &str = "image/tiff";

/// The download's operations.
pub struct DownloadApi {
    /// What opens datasets.
    pub downloads: Arc<Downloads>,
}

/// The statuses with which a download may refuse, besides those of conditions and spans.
pub struct DownloadStatuses;

impl ErrorStatuses for DownloadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
}

/// A file, a span of it, or why there is nothing to send.
pub struct FileResponse(Response);

impl IntoResponse for FileResponse {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for FileResponse {
    fn meta() -> MetaResponses {
        let tiff = || {
            let schema = MetaSchema::new_with_format("string", "binary");
            let schema = MetaSchemaRef::Inline(Box::new(schema));
            vec![MetaMediaType {
                content_type: TIFF,
                schema,
            }]
        };
        let problem = || {
            ErrorResponse::<DownloadStatuses>::meta()
                .responses
                .into_iter()
                .next()
                .map(|response| response.content)
                .unwrap_or_default()
        };
        let etag = || responses::text_header("ETag", "Names this very content; strong.");
        let ranges = || responses::text_header("Accept-Ranges", "Always `bytes`.");
        let span = || responses::text_header("Content-Range", "Which bytes of how many.");
        MetaResponses {
            responses: vec![
                responses::meta_response(200, "The whole file.", tiff(), vec![etag(), ranges()]),
                responses::meta_response(
                    206,
                    "The span that `Range` asked for.",
                    tiff(),
                    vec![etag(), ranges(), span()],
                ),
                responses::meta_response(304, "The client has this content.", vec![], vec![etag()]),
                responses::meta_response(
                    412,
                    "The content is not the one meant.",
                    problem(),
                    vec![],
                ),
                responses::meta_response(
                    416,
                    "The file has no such span.",
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

#[OpenApi(tag = "Tags::Datasets")]
impl DownloadApi {
    /// Download a dataset's file
    ///
    /// Gives the Cloud Optimized GeoTIFF, or the span of it that `Range` asks for; HEAD works too.
    /// Put a download token on `?token=`, or send a session token or an API key in a header. The
    /// policies of now decide: a share that was withdrawn after minting closes the door.
    #[oai(
        path = "/datasets/:dataset_id/download/cog",
        method = "get",
        operation_id = "download_cog"
    )]
    async fn download_cog(
        &self,
        /// The dataset to download, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        visitor: HeaderOrQueryCredentials,
        request: &poem::Request,
    ) -> Result<FileResponse, ErrorResponse<DownloadStatuses>> {
        let method = if RequestInfo::from_request(request).is_head {
            Method::HEAD
        } else {
            Method::GET
        };
        let mut selection = SelectedRange::Whole;
        let download = self
            .downloads
            .open(&visitor.0, dataset_id.0, |file| {
                let etag = file_etag(file);
                let headers = request.headers();
                selection = select_range(&method, headers, &etag, file.modified, file.size);
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
        Ok(FileResponse(reply(&selection, download)))
    }
}

/// The content's hash names it, and no other content ever has the same.
pub(crate) fn file_etag(file: &StoredFile) -> String {
    format!("\"{}\"", file.sha256)
}

fn reply(selection: &SelectedRange, download: Download) -> Response {
    let Download { file, bytes } = download;
    let answer = Response::builder()
        .header(header::ETAG, file_etag(&file))
        .header(header::LAST_MODIFIED, format_http_date(file.modified))
        .header(header::ACCEPT_RANGES, "bytes")
        // Whoever asks again must be asked about again: no cache may answer for the policies.
        .header(header::CACHE_CONTROL, "private, no-cache");
    let (answer, length) = match selection {
        SelectedRange::Whole => (answer.status(StatusCode::OK), file.size),
        SelectedRange::Span(span) => (
            answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, content_range(span, file.size)),
            span.end - span.start,
        ),
        SelectedRange::NotModified => return answer.status(StatusCode::NOT_MODIFIED).finish(),
        SelectedRange::PreconditionFailed => {
            let detail = "the dataset's content is not the one that the condition names";
            return Problem::new(StatusCode::PRECONDITION_FAILED, detail).into_response();
        }
        SelectedRange::Unsatisfiable => {
            let detail = format!("the file has {} bytes and no such span", file.size);
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail);
            let mut response = problem.into_response();
            if let Ok(value) = unsatisfied_range(file.size).parse() {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return response;
        }
    };
    let answer = answer
        .content_type(TIFF)
        .header(header::CONTENT_LENGTH, length)
        .header(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", file.name),
        );
    match bytes {
        Some(bytes) => answer.body(Body::from_bytes_stream(TrackedBody::new(bytes, length))),
        None => answer.finish(),
    }
}
