//! The datasets admin API: `/admin/datasets` and `/admin/datasets/{dataset_id}`.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::dataset::{DatasetFile, RecordStatus, StoredFile, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::http::api::attributes::AttributesJson;
use crate::http::api::share_ends::{EndsJson, ends_of, parse_share_ends};
use crate::http::api::tags::{TagsJson, tags_from_json, tags_to_json};
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::page_limit::PageLimit;
use crate::http::extract::parameter::RawName;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses, UpdateStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;
use crate::service::administration::dataset_input::DatasetInput;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;
use crate::storage::{DatasetFilter, DatasetWithNames};

use super::dataset_file_body::{DatasetFileBody, RemoteFileBody};

/// The datasets admin API.
pub struct AdminDatasetsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A dataset with its owner, readers and file.
#[derive(Object)]
#[oai(rename = "DatasetAnswer")]
pub struct DatasetResponse {
    /// The dataset id, in requests, tokens and policies.
    pub id: DatasetId,
    /// The title.
    pub title: String,
    /// Who the dataset is intended for.
    pub visibility: Visibility,
    /// Whether the dataset is published.
    pub record_status: RecordStatus,
    /// The user name of the owner; absent if there is none.
    #[oai(skip_serializing_if_is_none)]
    pub owner: Option<Username>,
    /// The names of the users that the dataset is shared with.
    pub reader_users: Vec<Username>,
    /// The roles that the dataset is shared with.
    pub reader_roles: Vec<RoleName>,
    /// When shares with users end, by name; absent if none does. One that has ended grants nothing.
    #[oai(skip_serializing_if_is_none)]
    pub reader_users_until: Option<EndsJson>,
    /// When shares with roles end, by role; absent if none does.
    #[oai(skip_serializing_if_is_none)]
    pub reader_roles_until: Option<EndsJson>,
    /// Attributes defined by this deployment, which policies see as tags.
    pub tags: TagsJson,
    /// Attributes that the schema of the policies declares, by name.
    pub attributes: AttributesJson,
    /// The dataset's file; absent if there is none.
    #[oai(skip_serializing_if_is_none)]
    pub file: Option<DatasetFileBody>,
    /// Where the dataset's file is, if it is outside the file store.
    #[oai(skip_serializing_if_is_none)]
    pub remote_file: Option<RemoteFileBody>,
}

/// A page of datasets, ordered by id.
#[derive(Object)]
pub struct AdminDatasetPage {
    /// The datasets.
    pub items: Vec<DatasetResponse>,
    /// The `after` value of the next page, which may follow a page that is not full; absent on the
    /// last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<DatasetId>,
}

/// The state of a new or updated dataset.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "DatasetBody")]
pub struct DatasetRequest {
    /// The id of a new dataset. If omitted, a random id is generated. It cannot be changed later.
    pub id: Option<DatasetId>,
    /// The title, 1 to 200 characters on one line.
    pub title: String,
    /// Who the dataset is intended for.
    pub visibility: Visibility,
    /// Whether the dataset is published.
    pub record_status: RecordStatus,
    /// The user name of the owner; absent if there is none.
    pub owner: Option<RawName>,
    /// The names of the users that the dataset is shared with, at most 1000. If omitted, none.
    #[oai(default, validator(max_items = 1_000))]
    pub reader_users: Vec<RawName>,
    /// The roles that the dataset is shared with, at most 1000. If omitted, none.
    #[oai(default, validator(max_items = 1_000))]
    pub reader_roles: Vec<RawName>,
    /// When shares with users end, by user name. If omitted, shares keep the ends that they have.
    pub reader_users_until: Option<EndsJson>,
    /// When shares with roles end, by role. If omitted, shares keep the ends that they have.
    pub reader_roles_until: Option<EndsJson>,
    /// Attributes defined by this deployment, which policies see as tags. If omitted, none.
    #[oai(default)]
    pub tags: TagsJson,
    /// Attributes that the schema of the policies in force declares, by name: a string, number, boolean, list or
    /// object as their type asks for. If omitted, none.
    #[oai(default)]
    pub attributes: AttributesJson,
    /// Optional; must equal the current value, which is changed at the dataset's `/file`.
    pub file: Option<DatasetFileBody>,
    /// Optional; must equal the current value, which the operator changes in a catalog file.
    pub remote_file: Option<RemoteFileBody>,
}

impl Example for DatasetRequest {
    fn example() -> Self {
        let theme = ("theme".to_owned(), vec!["elevation".to_owned()]);
        Self {
            id: None,
            title: "Jacksboro fault: elevation".to_owned(),
            visibility: Visibility::Restricted,
            record_status: RecordStatus::Published,
            owner: Some(RawName("olivia".to_owned())),
            reader_users: Vec::new(),
            reader_roles: vec![RawName("hydrology".to_owned())],
            reader_users_until: None,
            reader_roles_until: None,
            tags: [theme].into(),
            attributes: AttributesJson::default(),
            file: None,
            remote_file: None,
        }
    }
}

impl From<DatasetWithNames> for DatasetResponse {
    fn from(named: DatasetWithNames) -> Self {
        let (reader_users_until, reader_roles_until) = ends_of(&named);
        let dataset = named.dataset;
        let (file, remote_file) = match dataset.file {
            Some(DatasetFile::Stored(file)) => (Some(file), None),
            Some(DatasetFile::Remote(file)) => (None, Some(file)),
            None => (None, None),
        };
        Self {
            id: dataset.id,
            title: dataset.title,
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            owner: named.owner,
            reader_users: named.reader_users.into_keys().collect(),
            reader_roles: dataset.reader_roles.into_iter().collect(),
            reader_users_until,
            reader_roles_until,
            tags: tags_to_json(dataset.tags),
            attributes: AttributesJson(dataset.attributes),
            file: file.map(DatasetFileBody::from),
            remote_file: remote_file.map(RemoteFileBody::from),
        }
    }
}

impl From<Page<DatasetWithNames>> for AdminDatasetPage {
    fn from(page: Page<DatasetWithNames>) -> Self {
        Self {
            next: page.next_id(|named| named.dataset.id.0).map(DatasetId),
            items: page.items.into_iter().map(DatasetResponse::from).collect(),
        }
    }
}

impl DatasetRequest {
    fn into_input(self) -> Result<DatasetInput, ServiceError> {
        let users = self.reader_users.iter();
        let roles = self.reader_roles.iter();
        Ok(DatasetInput {
            id: self.id,
            title: self.title,
            visibility: self.visibility,
            record_status: self.record_status,
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
            share_ends: parse_share_ends(self.reader_users_until, self.reader_roles_until)?,
            tags: tags_from_json(self.tags),
            attributes: self.attributes.0,
            file: self.file.map(StoredFile::from),
            remote_file: self
                .remote_file
                .map(RemoteFileBody::into_place)
                .transpose()?,
        })
    }
}

/// Whether a request has the description of a dataset as its body.
pub fn has_dataset_body(method: &Method, path: &str) -> bool {
    let id = path.strip_prefix("/admin/datasets/");
    match *method {
        Method::POST => path == "/admin/datasets",
        Method::PUT => id.is_some_and(|id| !id.contains('/')),
        _ => false,
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminDatasetsApi {
    /// List datasets for administration
    ///
    /// Returns the datasets that you may administer, ordered by id. Pass `next` as `after` to get
    /// the next page. Requires `view_datasets` on the server; lists only datasets on which you have
    /// `administer`.
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
        credentials: HeaderCredentials,
        /// Maximum number of datasets per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<DatasetId>>,
        /// Return only datasets with this visibility.
        visibility: Query<Option<Visibility>>,
        /// Return only datasets with this record status.
        record_status: Query<Option<RecordStatus>>,
        /// Return only datasets owned by the user with this name.
        owner: Query<Option<Username>>,
        /// Return only datasets whose title contains this text; letters A to Z match in either
        /// case.
        #[oai(validator(max_length = 200))]
        title: Query<Option<String>>,
    ) -> Result<JsonOk<AdminDatasetPage>, ErrorResponse<ListStatuses>> {
        let filter = DatasetFilter {
            visibility: visibility.0,
            record_status: record_status.0,
            owner: owner.0,
            title: title.0,
        };
        let page = self
            .administration
            .list_datasets(&credentials.0, &filter, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(page.into()))
    }

    /// Create dataset
    ///
    /// The new dataset has no file; upload or import one afterwards. Requires `administer` on the
    /// new dataset.
    #[oai(
        path = "/admin/datasets",
        method = "post",
        operation_id = "create_dataset"
    )]
    async fn create_dataset(
        &self,
        body: JsonBody<DatasetRequest>,
        credentials: HeaderCredentials,
    ) -> Result<CreatedWithEtag<DatasetResponse>, ErrorResponse<CreateStatuses>> {
        let input = body.0.into_input()?;
        let created = self
            .administration
            .create_dataset(&credentials.0, &input)
            .await?;
        Ok(CreatedWithEtag {
            location: format!("datasets/{}", created.dataset.id),
            resource: created.into(),
        })
    }

    /// Get dataset for administration
    ///
    /// Returns the dataset with its owner, readers and file. Requires `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "get",
        operation_id = "show_whole_dataset"
    )]
    async fn get_dataset(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<ReadStatuses>> {
        let named = self
            .administration
            .get_dataset(&credentials.0, dataset_id.0)
            .await?;
        Ok(WithEtag(named.into()))
    }

    /// Update dataset
    ///
    /// Replaces the dataset except for its file; omitted members become empty. Requires
    /// `administer` on the dataset before and after the update.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "put",
        operation_id = "change_dataset"
    )]
    async fn update_dataset(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset. The update fails with 412 if the dataset has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        body: JsonBody<DatasetRequest>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<DatasetResponse>, ErrorResponse<UpdateStatuses>> {
        let input = body.0.into_input()?;
        let changed = self
            .administration
            .update_dataset(
                &credentials.0,
                dataset_id.0,
                &input,
                &if_match.precondition::<DatasetResponse, _>(),
            )
            .await?;
        Ok(WithEtag(changed.into()))
    }

    /// Delete dataset
    ///
    /// Its download tokens stop working. Its file is deleted later, unless another dataset has the same
    /// file. Requires `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id",
        method = "delete",
        operation_id = "remove_dataset"
    )]
    async fn delete_dataset(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The `ETag` of the dataset. The deletion fails with 412 if the dataset has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        self.administration
            .delete_dataset(
                &credentials.0,
                dataset_id.0,
                &if_match.precondition::<DatasetResponse, _>(),
            )
            .await?;
        Ok(NoContent)
    }
}
