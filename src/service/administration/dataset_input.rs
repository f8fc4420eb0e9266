//! The requested state of a dataset, and the candidate that it would become.
//!
//! A dataset names its owner and readers by user name, as a catalog file does.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dataset::{
    Dataset, DatasetError, RecordStatus, StoredFile, Visibility, check_tags, check_title,
};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::service::error::ServiceError;
use crate::storage::DatasetWithNames;

use super::Administration;

/// The requested state of a dataset.
#[derive(Clone, Debug)]
pub struct DatasetInput {
    /// The id; a new dataset without one is given one, and an existing one keeps its own.
    pub id: Option<DatasetId>,
    /// A title for people.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: Visibility,
    /// Whether the dataset is published.
    pub record_status: RecordStatus,
    /// The user who is responsible for the dataset.
    pub owner: Option<Username>,
    /// Users the dataset is shared with.
    pub reader_users: BTreeSet<Username>,
    /// Roles the dataset is shared with.
    pub reader_roles: BTreeSet<RoleName>,
    /// Attributes that this deployment defines.
    pub tags: Tags,
    /// The current file, which may be repeated or omitted; it is not changed here.
    pub file: Option<StoredFile>,
}

/// What a dataset would become, and what is wrong with that.
///
/// An unknown user name stands for a random user id while the policies decide. Only a caller whom
/// they permit the candidate sees the error, so that nobody else can probe for names.
pub(super) struct DatasetCandidate {
    pub(super) dataset: DatasetWithNames,
    pub(super) error: Option<ServiceError>,
}

impl DatasetCandidate {
    pub(super) fn valid(dataset: DatasetWithNames) -> Self {
        Self {
            dataset,
            error: None,
        }
    }
}

impl DatasetInput {
    pub(super) fn validate(&self) -> Result<(), ServiceError> {
        let invalid = |field| move |e: DatasetError| ServiceError::invalid(field, e.to_string());
        check_title(&self.title).map_err(invalid("title"))?;
        check_tags(&self.tags).map_err(invalid("tags"))
    }
}

impl Administration {
    /// What `input` makes of the dataset `before`, or of a new one.
    pub(super) async fn build_candidate(
        &self,
        input: &DatasetInput,
        id: DatasetId,
        before: Option<&DatasetWithNames>,
    ) -> Result<DatasetCandidate, ServiceError> {
        let file = before.and_then(|before| before.dataset.file.clone());
        let mut error = None;
        if input.id.is_some_and(|requested| requested != id) {
            error = Some(ServiceError::invalid(
                "id",
                "the id of a dataset cannot change",
            ));
        }
        if input.file.is_some() && input.file != file {
            let detail = "a file is changed at the dataset's own /file";
            error = Some(ServiceError::invalid("file", detail));
        }
        let mut owner = None;
        if let Some(name) = &input.owner {
            owner = Some(self.resolve_user(name, "owner", before, &mut error).await?);
        }
        let mut reader_users = BTreeMap::new();
        for name in &input.reader_users {
            let reader = self.resolve_user(name, "reader_users", before, &mut error);
            reader_users.insert(name.clone(), reader.await?);
        }
        for role in &input.reader_roles {
            let is_kept = before.is_some_and(|b| b.dataset.reader_roles.contains(role));
            if !is_kept && !self.database.has_role(role).await? {
                error = Some(ServiceError::invalid(
                    "reader_roles",
                    format!("there is no role {role}"),
                ));
            }
        }
        let dataset = Dataset {
            id,
            title: input.title.clone(),
            visibility: input.visibility,
            record_status: input.record_status,
            owner,
            reader_users: reader_users.values().copied().collect(),
            reader_roles: input.reader_roles.clone(),
            tags: input.tags.clone(),
            file,
        };
        let dataset = DatasetWithNames {
            dataset,
            owner: input.owner.clone(),
            reader_users,
        };
        Ok(DatasetCandidate { dataset, error })
    }

    /// The id of the user with this name; a random one, and an error, if there is none.
    async fn resolve_user(
        &self,
        name: &Username,
        field: &'static str,
        before: Option<&DatasetWithNames>,
        error: &mut Option<ServiceError>,
    ) -> Result<UserId, ServiceError> {
        let reader = before.and_then(|before| before.reader_users.get(name).copied());
        let found = match reader {
            Some(id) => Some(id),
            None => self.database.find_user_id(name).await?,
        };
        Ok(found.unwrap_or_else(|| {
            *error = Some(ServiceError::invalid(
                field,
                format!("there is no user {name}"),
            ));
            UserId::random()
        }))
    }
}
