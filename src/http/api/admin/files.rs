//! Administration of datasets' files: `/admin/datasets/{dataset_id}/file`.
//!
//! This module refuses to know how files are kept and what a TIFF is.

use std::sync::Arc;

use poem::Body;
use poem::http::Method;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::types::Example;
use poem_openapi::{ApiRequest, Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::http::conditional::etag_response::WithEtag;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{DeleteStatuses, UpdateStatuses, UploadStatuses};
use crate::http::reply::responses::ErrorResponse;
use crate::service::administration::Administration;
use crate::storage::DatasetWithNames;

use super::datasets::{DatasetResponse, matches_version};

/// The operations on datasets' files.
pub struct AdminFilesApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// A TIFF.
#[derive(ApiRequest)]
pub enum UploadRequest {
    /// By its own type.
    #[oai(content_type = "image/tiff")]
    Tiff(Binary<Body>),
    /// As plain bytes.
    #[oai(content_type = "application/octet-stream")]
    Bytes(Binary<Body>),
}

/// Which file of the import folder to take.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ImportBody")]
pub struct ImportFileRequest {
    /// The path of the file inside the import folder.
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

/// Whether a request uploads a file: it may be larger and take longer than others.
pub fn is_file_upload(method: &Method, path: &str) -> bool {
    let id = path.strip_prefix("/admin/datasets/");
    let id = id.and_then(|rest| rest.strip_suffix("/file"));
    *method == Method::PUT && id.is_some_and(|id| !id.contains('/'))
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminFilesApi {
    /// Upload a dataset's file
    ///
    /// The body is a TIFF, best a Cloud Optimized GeoTIFF. It takes the place of the file before once
    /// all of it has arrived; if it does not, the file before stays and nothing of the new one is kept.
    /// It takes `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/file",
        method = "put",
        operation_id = "upload_file"
    )]
    async fn upload_file(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The name a download is saved under; what is not safe in it is replaced. Left out, the name of
        /// the file before, or the dataset's id.
        #[oai(validator(min_length = 1, max_length = 255))]
        name: Query<Option<String>>,
        /// The `ETag` of the dataset that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        file: UploadRequest,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UploadStatuses>> {
        let is_wanted = |named: &DatasetWithNames| matches_version(named, &if_match);
        let (UploadRequest::Tiff(Binary(body)) | UploadRequest::Bytes(Binary(body))) = file;
        let mut bytes = Box::pin(body.into_bytes_stream());
        let name = name.0.as_deref();
        let changed = self
            .administration
            .upload_file(&visitor.0, dataset_id.0, name, &is_wanted, &mut bytes)
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Make a file of the import folder a dataset's file
    ///
    /// The server copies it; the copy stays as it is when the file changes. There must be an import
    /// folder (`CEDARGATE_IMPORT_DIR`). It takes `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/file/import",
        method = "post",
        operation_id = "import_file"
    )]
    async fn import_file(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        wish: Json<ImportFileRequest>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UpdateStatuses>> {
        let is_wanted = |named: &DatasetWithNames| matches_version(named, &if_match);
        let path = std::path::Path::new(&wish.0.path);
        let changed = self
            .administration
            .import_file(&visitor.0, dataset_id.0, path, &is_wanted)
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Take a dataset's file away
    ///
    /// The dataset stays, and its download tokens open nothing any more. The file stays in the file
    /// store. It takes `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/file",
        method = "delete",
        operation_id = "remove_file"
    )]
    async fn remove_file(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<DeleteStatuses>> {
        let is_wanted = |named: &DatasetWithNames| matches_version(named, &if_match);
        let changed = self
            .administration
            .remove_file(&visitor.0, dataset_id.0, &is_wanted)
            .await?;
        Ok(WithEtag(changed.into()))
    }
}
