//! The catalog for callers: `GET /datasets` and `GET /datasets/{dataset_id}`.
//!
//! This module refuses to know who may discover what.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::service::access::catalog_view::{CatalogView, VisibleDataset};

use super::download::file_etag;

/// The operations of the catalog.
pub struct CatalogApi {
    /// What shows it.
    pub view: Arc<CatalogView>,
}

/// Some of the datasets that you may discover.
#[derive(Object)]
pub struct DatasetPage {
    /// The datasets, in the order of their ids.
    pub items: Vec<DatasetSummary>,
    /// Send it as `after` for the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}

/// One dataset that you may discover.
#[derive(Object)]
pub struct DatasetSummary {
    /// The id to mint for.
    #[oai(validator(pattern = "^[0-9a-f-]{36}$"))]
    pub id: String,
    /// The title.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: VisibilityWord,
    /// Whether the dataset is out.
    pub record_status: RecordStatusWord,
    /// Attributes of this deployment's own.
    pub tags: HashMap<String, Vec<String>>,
    /// Its file; absent while there is none, and for those who may not read it.
    #[oai(skip_serializing_if_is_none)]
    pub file: Option<FileSummary>,
    /// Whether you may mint a download token for it; there is nothing to download without a file.
    pub can_read: bool,
}

/// A dataset's file.
#[derive(Object)]
pub struct FileSummary {
    /// The name a download is saved under.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
    /// The `ETag` of the download.
    pub etag: String,
}

/// For whom a dataset is meant.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum VisibilityWord {
    /// Anyone.
    Public,
    /// Anyone who signed in.
    Internal,
    /// Those it is shared with.
    Restricted,
    /// Its owner.
    Private,
}

/// Whether a dataset is out.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum RecordStatusWord {
    /// Out.
    Published,
    /// Still being worked on.
    Draft,
}

impl From<Visibility> for VisibilityWord {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Internal => Self::Internal,
            Visibility::Restricted => Self::Restricted,
            Visibility::Private => Self::Private,
        }
    }
}

impl From<VisibilityWord> for Visibility {
    fn from(word: VisibilityWord) -> Self {
        match word {
            VisibilityWord::Public => Self::Public,
            VisibilityWord::Internal => Self::Internal,
            VisibilityWord::Restricted => Self::Restricted,
            VisibilityWord::Private => Self::Private,
        }
    }
}

impl From<RecordStatusWord> for RecordStatus {
    fn from(word: RecordStatusWord) -> Self {
        match word {
            RecordStatusWord::Published => Self::Published,
            RecordStatusWord::Draft => Self::Draft,
        }
    }
}

impl From<RecordStatus> for RecordStatusWord {
    fn from(status: RecordStatus) -> Self {
        match status {
            RecordStatus::Published => Self::Published,
            RecordStatus::Draft => Self::Draft,
        }
    }
}

impl From<VisibleDataset> for DatasetSummary {
    fn from(
        VisibleDataset {
            dataset,
            is_readable,
        }: VisibleDataset,
    ) -> Self {
        let words = |values: &BTreeSet<String>| values.iter().cloned().collect();
        Self {
            id: dataset.id.to_string(),
            title: dataset.title.clone(),
            visibility: dataset.visibility.into(),
            record_status: dataset.record_status.into(),
            tags: dataset
                .tags
                .iter()
                .map(|(key, values)| (key.clone(), words(values)))
                .collect(),
            file: dataset
                .file
                .as_ref()
                .filter(|_| is_readable)
                .map(|file| FileSummary {
                    name: file.name.clone(),
                    size: file.size,
                    etag: file_etag(file),
                }),
            can_read: is_readable,
        }
    }
}

/// The statuses with which the list may refuse.
pub struct ListDatasetsStatuses;

impl ErrorStatuses for ListDatasetsStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 422, 429, 500, 503];
}

/// The statuses with which one dataset may be refused.
pub struct GetDatasetStatuses;

impl ErrorStatuses for GetDatasetStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 404, 422, 429, 500, 503];
}

#[OpenApi(tag = "Tags::Datasets")]
impl CatalogApi {
    /// List the datasets you may discover
    ///
    /// Exactly those that the policies let you know of, in the order of their ids. Go on with `next`
    /// until there is none.
    #[oai(path = "/datasets", method = "get", operation_id = "list_datasets")]
    async fn list(
        &self,
        visitor: HeaderCredentials,
        /// The most datasets of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<DatasetId>>,
    ) -> Result<JsonOk<DatasetPage>, ErrorResponse<ListDatasetsStatuses>> {
        let page = self.view.list(&visitor.0, after.0, limit.0).await?;
        Ok(JsonOk(DatasetPage {
            next: page.next_cursor(|visible| visible.dataset.id.to_string()),
            items: page.items.into_iter().map(DatasetSummary::from).collect(),
        }))
    }

    /// Show one dataset
    ///
    /// A dataset that you may not discover is answered like one that is not there.
    #[oai(
        path = "/datasets/:dataset_id",
        method = "get",
        operation_id = "show_dataset"
    )]
    async fn show(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<DatasetSummary>, ErrorResponse<GetDatasetStatuses>> {
        Ok(JsonOk(
            self.view.get(&visitor.0, dataset_id.0).await?.into(),
        ))
    }
}

fn usual_page() -> u32 {
    50
}
