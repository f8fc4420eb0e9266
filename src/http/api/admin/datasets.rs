//! Administration of datasets: `/admin/datasets` and `/admin/datasets/{dataset_id}`.
//!
//! This module refuses to know who may administer which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags as DatasetTags;
use crate::http::api::catalog::{RecordStatusWord, VisibilityWord};
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::parameter::RawName;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses, UpdateStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::dataset_input::DatasetInput;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;
use crate::storage::{DatasetFilter, DatasetWithNames};

/// The operations on datasets.
pub struct AdminDatasetsApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// Tags as they are written: each a key and its values.
type TagsJson = BTreeMap<String, Vec<String>>;

/// A dataset, whole.
#[derive(Object)]
#[oai(rename = "DatasetAnswer")]
pub struct DatasetResponse {
    /// The id: what is minted for, and what policies name.
    pub id: DatasetId,
    /// A title for people.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: VisibilityWord,
    /// Whether the dataset is out.
    pub record_status: RecordStatusWord,
    /// The name of the user who answers for the dataset; left out, nobody does.
    #[oai(skip_serializing_if_is_none)]
    pub owner: Option<Username>,
    /// The names of the users that the dataset is shared with.
    pub reader_users: Vec<Username>,
    /// The roles that the dataset is shared with.
    pub reader_roles: Vec<RoleName>,
    /// Attributes of this deployment's own, which policies see as its tags.
    pub tags: TagsJson,
    /// The dataset's file; left out while there is none.
    #[oai(skip_serializing_if_is_none)]
    pub file: Option<DatasetFileBody>,
}

/// A file in the file store.
#[derive(Object)]
#[oai(rename = "FileBody")]
pub struct DatasetFileBody {
    /// The name a download is saved under.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
    /// The SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: String,
    /// When the content was stored.
    pub modified: Timestamp,
}

/// Some datasets, in the order of their ids.
#[derive(Object)]
pub struct AdminDatasetPage {
    /// The datasets.
    pub items: Vec<DatasetResponse>,
    /// The `after` of the next page; left out on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<DatasetId>,
}

/// What a dataset is to be like.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "DatasetBody")]
pub struct DatasetRequest {
    /// The id of a new dataset, made up if it is left out; it never changes.
    pub id: Option<DatasetId>,
    /// A title for people, of 1 to 200 characters on one line.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: VisibilityWord,
    /// Whether the dataset is out.
    pub record_status: RecordStatusWord,
    /// The name of the user who answers for the dataset; left out, nobody does.
    pub owner: Option<RawName>,
    /// The names of the users that the dataset is shared with; left out, none.
    #[oai(default, validator(max_items = 10_000))]
    pub reader_users: Vec<RawName>,
    /// The roles that the dataset is shared with; left out, none.
    #[oai(default, validator(max_items = 10_000))]
    pub reader_roles: Vec<RawName>,
    /// Attributes of this deployment's own, which policies see as its tags; left out, none.
    #[oai(default)]
    pub tags: TagsJson,
    /// May be sent back as it was read, or left out; it is changed at the dataset's own `/file`.
    pub file: Option<DatasetFileBody>,
}

impl Example for DatasetRequest {
    fn example() -> Self {
        let theme = ("theme".to_owned(), vec!["elevation".to_owned()]);
        Self {
            id: None,
            title: "Jacksboro fault: elevation".to_owned(),
            visibility: VisibilityWord::Restricted,
            record_status: RecordStatusWord::Published,
            owner: Some(RawName("olivia".to_owned())),
            reader_users: Vec::new(),
            reader_roles: vec![RawName("hydrology".to_owned())],
            tags: [theme].into(),
            file: None,
        }
    }
}

impl From<StoredFile> for DatasetFileBody {
    fn from(file: StoredFile) -> Self {
        Self {
            name: file.name,
            size: file.size,
            sha256: file.sha256,
            modified: Timestamp(file.modified),
        }
    }
}

impl From<DatasetFileBody> for StoredFile {
    fn from(file: DatasetFileBody) -> Self {
        Self {
            name: file.name,
            size: file.size,
            sha256: file.sha256,
            modified: file.modified.0,
        }
    }
}

impl From<DatasetWithNames> for DatasetResponse {
    fn from(named: DatasetWithNames) -> Self {
        let dataset = named.dataset;
        let tags = dataset.tags.into_iter();
        Self {
            id: dataset.id,
            title: dataset.title,
            visibility: dataset.visibility.into(),
            record_status: dataset.record_status.into(),
            owner: named.owner,
            reader_users: named.reader_users.into_keys().collect(),
            reader_roles: dataset.reader_roles.into_iter().collect(),
            tags: tags
                .map(|(key, values)| (key, values.into_iter().collect()))
                .collect(),
            file: dataset.file.map(DatasetFileBody::from),
        }
    }
}

impl From<Page<DatasetWithNames>> for AdminDatasetPage {
    fn from(page: Page<DatasetWithNames>) -> Self {
        Self {
            next: page.next_cursor(|named| named.dataset.id),
            items: page.items.into_iter().map(DatasetResponse::from).collect(),
        }
    }
}

impl DatasetRequest {
    fn into_input(self) -> Result<DatasetInput, ServiceError> {
        let read_tag = |(key, values): (String, Vec<String>)| (key, BTreeSet::from_iter(values));
        let users = self.reader_users.iter();
        let roles = self.reader_roles.iter();
        Ok(DatasetInput {
            id: self.id,
            title: self.title,
            visibility: self.visibility.into(),
            record_status: self.record_status.into(),
            owner: self
                .owner
                .map(|name| name.parse_field("owner"))
                .transpose()?,
            reader_users: users
                .map(|name| name.parse_field("reader_users"))
                .collect::<Result<_, _>>()?,
            reader_roles: roles
                .map(|name| name.parse_field("reader_roles"))
                .collect::<Result<_, _>>()?,
            tags: self.tags.into_iter().map(read_tag).collect::<DatasetTags>(),
            file: self.file.map(StoredFile::from),
        })
    }
}

/// Whether a dataset is the version that `If-Match` names.
pub(crate) fn matches_version(named: &DatasetWithNames, if_match: &IfMatch) -> bool {
    if_match.matches(&DatasetResponse::from(named.clone()))
}

fn usual_page() -> u32 {
    50
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminDatasetsApi {
    /// List datasets, whole
    ///
    /// In the order of their ids, those that you may administer; go on with `next` until there is none.
    /// It takes `view_datasets` on the server, and `administer` on each dataset that is listed.
    #[oai(
        path = "/admin/datasets",
        method = "get",
        operation_id = "list_all_datasets"
    )]
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn list_datasets(
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
        /// Only datasets of this visibility.
        visibility: Query<Option<VisibilityWord>>,
        /// Only datasets of this record status.
        record_status: Query<Option<RecordStatusWord>>,
        /// Only datasets that the user of this name owns.
        owner: Query<Option<Username>>,
        /// Only datasets with this in their title, whatever the case of the letters A to Z.
        #[oai(validator(max_length = 200))]
        title: Query<Option<String>>,
    ) -> Result<JsonOk<AdminDatasetPage>, ErrorResponse<ListStatuses>> {
        let filter = DatasetFilter {
            visibility: visibility.0.map(Into::into),
            record_status: record_status.0.map(Into::into),
            owner: owner.0,
            title: title.0,
        };
        let page = self
            .administration
            .list_datasets(&visitor.0, &filter, after.0, limit.0)
            .await?;
        Ok(JsonOk(page.into()))
    }

    /// Make a dataset
    ///
    /// It has no file yet; upload one, or import one. It takes `administer` on the dataset as it
    /// would be.
    #[oai(
        path = "/admin/datasets",
        method = "post",
        operation_id = "create_dataset"
    )]
    async fn create_dataset(
        &self,
        wish: Json<DatasetRequest>,
        visitor: HeaderCredentials,
    ) -> Result<CreatedWithEtag<DatasetResponse>, ErrorResponse<CreateStatuses>> {
        let wish = wish.0.into_input()?;
        let made = self
            .administration
            .create_dataset(&visitor.0, &wish)
            .await?;
        Ok(CreatedWithEtag {
            location: format!("/admin/datasets/{}", made.dataset.id),
            resource: made.into(),
        })
    }

    /// Show one dataset, whole
    ///
    /// With its owner, its readers and its file. It takes `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "get",
        operation_id = "show_whole_dataset"
    )]
    async fn show_dataset(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<ReadStatuses>> {
        let named = self
            .administration
            .get_dataset(&visitor.0, dataset_id.0)
            .await?;
        Ok(WithEtag(named.into()))
    }

    /// Change a dataset
    ///
    /// The body is the whole dataset as it is to be: what is left out is empty from now on, its file
    /// aside. It takes `administer` on the dataset as it is and as it would be.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "put",
        operation_id = "change_dataset"
    )]
    async fn change_dataset(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        wish: Json<DatasetRequest>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UpdateStatuses>> {
        let is_wanted = |named: &DatasetWithNames| matches_version(named, &if_match);
        let wish = wish.0.into_input()?;
        let changed = self
            .administration
            .update_dataset(&visitor.0, dataset_id.0, &wish, &is_wanted)
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Remove a dataset
    ///
    /// Its download tokens open nothing any more. Its file stays in the file store. It takes
    /// `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "delete",
        operation_id = "remove_dataset"
    )]
    async fn remove_dataset(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset that you saw, to remove no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        let is_wanted = |named: &DatasetWithNames| matches_version(named, &if_match);
        self.administration
            .delete_dataset(&visitor.0, dataset_id.0, &is_wanted)
            .await?;
        Ok(NoContent)
    }
}
