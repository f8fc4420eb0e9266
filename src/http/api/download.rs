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
use crate::http::conditional::precondition::http_date;
use crate::http::conditional::span::{Selection, content_range, select, unsatisfied_range};
use crate::http::extract::credentials::ByHeaderOrToken;
use crate::http::openapi::Tags;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses;
use crate::http::reply::responses::{Refusal, Statuses};
use crate::http::server::request_middleware::Arrival;
use crate::http::server::tracked_body::Transfer;
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

impl Statuses for DownloadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
}

/// A file, a span of it, or why there is nothing to send.
pub struct FileAnswer(Response);

impl IntoResponse for FileAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for FileAnswer {
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
            Refusal::<DownloadStatuses>::meta()
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
                responses::response(200, "The whole file.", tiff(), vec![etag(), ranges()]),
                responses::response(
                    206,
                    "The span that `Range` asked for.",
                    tiff(),
                    vec![etag(), ranges(), span()],
                ),
                responses::response(304, "The client has this content.", vec![], vec![etag()]),
                responses::response(412, "The content is not the one meant.", problem(), vec![]),
                responses::response(416, "The file has no such span.", problem(), vec![span()]),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        Refusal::<DownloadStatuses>::register(registry);
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
        visitor: ByHeaderOrToken,
        request: &poem::Request,
    ) -> Result<FileAnswer, Refusal<DownloadStatuses>> {
        let method = if Arrival::of(request).is_head {
            Method::HEAD
        } else {
            Method::GET
        };
        let mut selection = Selection::Whole;
        let download = self
            .downloads
            .redeem(&visitor.0, dataset_id.0, |file| {
                let etag = etag_of(file);
                let headers = request.headers();
                selection = select(&method, headers, &etag, file.modified, file.size);
                match &selection {
                    Selection::Whole if method == Method::HEAD => None,
                    Selection::Whole => Some(0..file.size),
                    Selection::Span(span) => Some(span.clone()),
                    Selection::NotModified
                    | Selection::PreconditionFailed
                    | Selection::Unsatisfiable => None,
                }
            })
            .await?;
        Ok(FileAnswer(reply(&selection, download)))
    }
}

/// The content's hash names it, and no other content ever has the same.
pub(crate) fn etag_of(file: &StoredFile) -> String {
    format!("\"{}\"", file.sha256)
}

fn reply(selection: &Selection, download: Download) -> Response {
    let Download { file, bytes } = download;
    let answer = Response::builder()
        .header(header::ETAG, etag_of(&file))
        .header(header::LAST_MODIFIED, http_date(file.modified))
        .header(header::ACCEPT_RANGES, "bytes")
        // Whoever asks again must be asked about again: no cache may answer for the policies.
        .header(header::CACHE_CONTROL, "private, no-cache");
    let (answer, length) = match selection {
        Selection::Whole => (answer.status(StatusCode::OK), file.size),
        Selection::Span(span) => (
            answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, content_range(span, file.size)),
            span.end - span.start,
        ),
        Selection::NotModified => return answer.status(StatusCode::NOT_MODIFIED).finish(),
        Selection::PreconditionFailed => {
            let detail = "the dataset's content is not the one that the condition names";
            return Problem::new(StatusCode::PRECONDITION_FAILED, detail).into_response();
        }
        Selection::Unsatisfiable => {
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
        Some(bytes) => answer.body(Body::from_bytes_stream(Transfer::of(bytes, length))),
        None => answer.finish(),
    }
}
