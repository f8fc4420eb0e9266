//! The dataset files admin API: `/admin/datasets/{dataset_id}/file`.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::http::conditional::etag_response::WithEtag;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::file_body::FileBody;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{DeleteStatuses, UpdateStatuses, UploadStatuses};
use crate::http::reply::responses::ErrorResponse;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;

use super::datasets::DatasetResponse;

/// The dataset files admin API.
pub struct AdminFilesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A file of the import folder.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ImportBody")]
pub struct ImportFileRequest {
    /// The path of the file, relative to the import folder.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub path: String,
}

impl Example for ImportFileRequest {
    fn example() -> Self {
        Self {
            path: "elevation/jacksboro-fault-dem.cog.tif".to_owned(),
        }
    }
}

/// Whether a request uploads a file, and so may be larger and take longer than others.
pub fn is_file_upload(method: &Method, path: &str) -> bool {
    let id = path.strip_prefix("/admin/datasets/");
    let id = id.and_then(|rest| rest.strip_suffix("/file"));
    *method == Method::PUT && id.is_some_and(|id| !id.contains('/'))
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminFilesApi {
    /// Upload dataset file
    ///
    /// The body is a whole TIFF, preferably a Cloud Optimized GeoTIFF, without content coding. It replaces the
    /// previous file once it has arrived completely, matches its `Content-Digest` or `Repr-Digest` if it has one,
    /// and everything that its directories refer to is there. Otherwise it is discarded and the previous file
    /// stays. A part of a file (`Content-Range`) is refused.
    /// Requires `administer` on the dataset when the upload begins and again when it has arrived. One
    /// user may upload two files at a time; further uploads wait, and are answered 503 after ten seconds.
    #[oai(
        path = "/admin/datasets/:dataset_id/file",
        method = "put",
        operation_id = "upload_file"
    )]
    async fn upload_file(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The file name for downloads, in any script; unsafe characters are replaced. If omitted, the name of
        /// the previous file, or the dataset id.
        #[oai(validator(min_length = 1, max_length = 255))]
        name: Query<Option<String>>,
        /// The `ETag` of the dataset. The update fails with 412 if the dataset has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        file: FileBody,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UploadStatuses>> {
        let mut bytes = Box::pin(file.0.into_bytes_stream());
        let name = name.0.as_deref();
        if name.is_some_and(|name| name.contains(char::REPLACEMENT_CHARACTER)) {
            // What stands for bytes that are not UTF-8, which would be lost without a word.
            return Err(ServiceError::invalid("name", "it is not UTF-8, percent-encoded").into());
        }
        let changed = self
            .administration
            .upload_file(
                &credentials.0,
                dataset_id.0,
                name,
                &if_match.precondition::<DatasetResponse, _>(),
                &mut bytes,
            )
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Import dataset file
    ///
    /// Copies a file from the import folder (`CEDARGATE_IMPORT_DIR`, which must be set); later
    /// changes of the original have no effect. Requires `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/file/import",
        method = "post",
        operation_id = "import_file"
    )]
    async fn import_file(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset. The update fails with 412 if the dataset has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        body: JsonBody<ImportFileRequest>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UpdateStatuses>> {
        let path = std::path::Path::new(&body.0.path);
        let changed = self
            .administration
            .import_file(
                &credentials.0,
                dataset_id.0,
                path,
                &if_match.precondition::<DatasetResponse, _>(),
            )
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Delete dataset file
    ///
    /// The dataset stays, but its download tokens stop working. The file is deleted later, unless another
    /// dataset has the same file.
    /// Requires `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/file",
        method = "delete",
        operation_id = "remove_file"
    )]
    async fn delete_file(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset. The update fails with 412 if the dataset has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<DeleteStatuses>> {
        let changed = self
            .administration
            .remove_file(
                &credentials.0,
                dataset_id.0,
                &if_match.precondition::<DatasetResponse, _>(),
            )
            .await?;
        Ok(WithEtag(changed.into()))
    }
}
