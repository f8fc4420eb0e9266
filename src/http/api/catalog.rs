//! The catalog API: `GET /datasets` and `GET /datasets/{dataset_id}`.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};

use crate::domain::dataset::{DatasetFile, RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::search_text::SearchText;
use crate::files::remote_name;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::service::access::catalog_view::{CatalogView, VisibleDataset};

use super::attributes::AttributesJson;
use super::tags::{TagsJson, tags_to_json};

/// The catalog API.
pub struct CatalogApi {
    /// Lists the datasets that a caller may discover.
    pub view: Arc<CatalogView>,
}

/// A page of the datasets that you may discover.
#[derive(Object)]
pub struct DatasetPage {
    /// The datasets, ordered by id.
    pub items: Vec<DatasetSummary>,
    /// Send as `after` to get the next page; absent on the last page. It need not be the id of a dataset.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}

/// A dataset that you may discover.
#[derive(Object)]
pub struct DatasetSummary {
    /// The dataset id.
    #[oai(validator(pattern = "^[0-9a-f-]{36}$"))]
    pub id: String,
    /// The title.
    pub title: String,
    /// Who the dataset is intended for.
    pub visibility: Visibility,
    /// Whether the dataset is published.
    pub record_status: RecordStatus,
    /// Attributes defined by this deployment.
    pub tags: TagsJson,
    /// Attributes that the schema of the policies declares, by name.
    pub attributes: AttributesJson,
    /// The dataset's file; absent if there is none or you may not read it.
    #[oai(skip_serializing_if_is_none)]
    pub file: Option<FileSummary>,
    /// Whether you may create a download token for it. Without a file there is nothing to download.
    pub can_read: bool,
    /// Whether you may see and change with whom it is shared.
    pub can_share: bool,
}

/// A dataset's file.
#[derive(Object)]
pub struct FileSummary {
    /// The file name for downloads.
    pub name: String,
    /// The size in bytes; absent if the file is outside the file store.
    #[oai(skip_serializing_if_is_none)]
    pub size: Option<u64>,
    /// The `ETag` of the download; absent if the file is outside the file store.
    #[oai(skip_serializing_if_is_none)]
    pub etag: Option<String>,
}

impl From<&DatasetFile> for FileSummary {
    fn from(file: &DatasetFile) -> Self {
        match file {
            DatasetFile::Stored(file) => Self {
                name: file.name.clone(),
                size: Some(file.size),
                etag: Some(file.etag()),
            },
            // Its store is not asked for each dataset of a list.
            DatasetFile::Remote(file) => Self {
                name: remote_name(file),
                size: None,
                etag: None,
            },
        }
    }
}

impl From<VisibleDataset> for DatasetSummary {
    fn from(
        VisibleDataset {
            dataset,
            is_readable,
            is_shareable,
        }: VisibleDataset,
    ) -> Self {
        Self {
            id: dataset.id.to_string(),
            title: dataset.title.clone(),
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            tags: tags_to_json(dataset.tags.clone()),
            attributes: AttributesJson(dataset.attributes.clone()),
            file: dataset
                .file
                .as_ref()
                .filter(|_| is_readable)
                .map(FileSummary::from),
            can_read: is_readable,
            can_share: is_shareable,
        }
    }
}

/// The error statuses of listing datasets.
pub struct ListDatasetsStatuses;

impl ErrorStatuses for ListDatasetsStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 422, 429, 500, 503];
}

/// The error statuses of getting a dataset.
pub struct GetDatasetStatuses;

impl ErrorStatuses for GetDatasetStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 404, 422, 429, 500, 503];
}

#[OpenApi(tag = "ApiTag::Datasets")]
impl CatalogApi {
    /// List datasets
    ///
    /// Returns the datasets that you may discover, or those of them in which `q` is found, ordered by id. Pass `next` as `after` to get the
    /// next page. A page may have fewer datasets than `limit`, or none, and still have a `next`: each
    /// request reads a bounded part of the catalog.
    #[oai(path = "/datasets", method = "get", operation_id = "list_datasets")]
    async fn list(
        &self,
        credentials: HeaderCredentials,
        /// Only datasets whose title or id contains this text, whatever its case. If omitted, all are listed.
        q: Query<Option<SearchText>>,
        /// Maximum number of datasets per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<DatasetId>>,
    ) -> Result<JsonOk<DatasetPage>, ErrorResponse<ListDatasetsStatuses>> {
        let (search, limit) = (q.0.as_ref(), limit.0.0);
        let page = self
            .view
            .list(&credentials.0, search, after.0, limit)
            .await?;
        Ok(JsonOk(DatasetPage {
            next: page
                .next_id(|last| last.dataset.id.0)
                .map(|id| id.to_string()),
            items: page.items.into_iter().map(DatasetSummary::from).collect(),
        }))
    }

    /// Get dataset
    ///
    /// Returns 404 both for a dataset that does not exist and for one that you may not discover.
    #[oai(
        path = "/datasets/:dataset_id",
        method = "get",
        operation_id = "show_dataset"
    )]
    async fn get(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<DatasetSummary>, ErrorResponse<GetDatasetStatuses>> {
        Ok(JsonOk(
            self.view.get(&credentials.0, dataset_id.0).await?.into(),
        ))
    }
}
