//! The requested state of a dataset, and the candidate that it would become.
//!
//! A dataset names its owner and readers by user name, as a catalog file does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::dataset::{
    Dataset, DatasetError, DatasetFile, RecordStatus, StoredFile, Visibility, check_tags,
    check_title,
};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::domain::remote_file::RemoteFile;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::storage::DatasetWithNames;

use super::Administration;
use super::attribute_input::AttributeInput;
use super::operation::AdminOperation;
use super::share_end_input::ShareEndInput;

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
    /// Until when it is shared with some of them.
    pub share_ends: ShareEndInput,
    /// Attributes that this deployment defines.
    pub tags: Tags,
    /// Attributes that the policy schema declares, as they were given.
    pub attributes: Attributes,
    /// The current file, which may be repeated or omitted; it is not changed here.
    pub file: Option<StoredFile>,
    /// Where its file is, if it is outside the file store; it must be what it is. If it is missing, nothing changes.
    pub remote_file: Option<RemoteFile>,
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
    /// Denies at once what the policies deny whoever the readers are, and whomever the attributes name, before their
    /// names are looked up.
    ///
    /// If the policies look at those, only the whole candidate can be decided.
    pub(super) async fn check_without_readers(
        &self,
        operation: &AdminOperation,
        input: &DatasetInput,
        id: DatasetId,
        before: Option<&DatasetWithNames>,
    ) -> Result<(), ServiceError> {
        let Some(authorizer) = operation.authorizer() else {
            return Ok(());
        };
        let bundle = authorizer.bundle();
        let declared = bundle.declared_attributes();
        let referred = declared.references(AttributeOwner::Dataset, &input.attributes);
        let are_attributes_named = !referred.is_empty();
        if bundle.administers_by_readers()
            || (are_attributes_named && bundle.administers_by_attributes())
        {
            return Ok(());
        }
        let stored = before.map(|before| &before.dataset.attributes);
        let stand_in = || {
            let required = || declared.samples(AttributeOwner::Dataset, false);
            stored.cloned().unwrap_or_else(required)
        };
        let input = DatasetInput {
            attributes: if are_attributes_named {
                stand_in()
            } else {
                input.attributes.clone()
            },
            reader_users: BTreeSet::new(),
            reader_roles: BTreeSet::new(),
            share_ends: ShareEndInput::default(),
            ..input.clone()
        };
        let candidate = self.build_candidate(operation, &input, id, before).await?;
        let resource = Resource::DatasetCandidate(Arc::new(candidate.dataset.dataset));
        operation.authorize(Action::Administer, &resource)
    }

    /// What `input` makes of the dataset `before`, or of a new one.
    pub(super) async fn build_candidate(
        &self,
        operation: &AdminOperation,
        input: &DatasetInput,
        id: DatasetId,
        before: Option<&DatasetWithNames>,
    ) -> Result<DatasetCandidate, ServiceError> {
        let file = before.and_then(|before| before.dataset.file.clone());
        let stored = before.map(|before| &before.dataset.attributes);
        let AttributeInput {
            attributes,
            mut error,
        } = self
            .read_attributes(
                operation,
                AttributeOwner::Dataset,
                &input.attributes,
                stored,
            )
            .await?;
        if input.id.is_some_and(|requested| requested != id) {
            error = Some(ServiceError::invalid(
                "id",
                "the id of a dataset cannot change",
            ));
        }
        let unchanged = file.as_ref();
        if input.file.is_some() && input.file.as_ref() != unchanged.and_then(DatasetFile::stored) {
            let detail = "a file is changed at the dataset's own /file";
            error = Some(ServiceError::invalid("file", detail));
        }
        let remote = unchanged.and_then(DatasetFile::remote);
        if input.remote_file.is_some() && input.remote_file.as_ref() != remote {
            // Whoever may administer one dataset could else read every object of a store through it.
            let detail =
                "where a file outside the file store is, is set by the operator, in a catalog file";
            error = Some(ServiceError::invalid("remote_file", detail));
        }
        let known = self.known_users(input, before).await?;
        let mut resolve = |name: &Username, field| {
            known.get(name).copied().unwrap_or_else(|| {
                let detail = format!("there is no user {name}");
                error = Some(ServiceError::invalid(field, detail));
                UserId::random()
            })
        };
        let owner = input.owner.as_ref().map(|name| resolve(name, "owner"));
        let readers = input.reader_users.iter();
        let reader_users: BTreeMap<Username, UserId> = readers
            .map(|name| (name.clone(), resolve(name, "reader_users")))
            .collect();
        let is_new = |role: &&RoleName| {
            before.is_none_or(|before| !before.dataset.reader_roles.contains(*role))
        };
        let new_roles = input.reader_roles.iter().filter(is_new).collect();
        if let Some(role) = self.database.find_unknown_role(&new_roles).await? {
            let detail = format!("there is no role {role}");
            error = Some(ServiceError::invalid("reader_roles", detail));
        }
        let (share_ends, unknown) =
            input
                .share_ends
                .ends(&reader_users, &input.reader_roles, before);
        error = error.or(unknown);
        let dataset = Dataset {
            id,
            title: input.title.clone(),
            visibility: input.visibility,
            record_status: input.record_status,
            owner,
            reader_users: reader_users.values().copied().collect(),
            reader_roles: input.reader_roles.clone(),
            share_ends,
            tags: input.tags.clone(),
            attributes,
            file,
        };
        let dataset = DatasetWithNames {
            dataset,
            owner: input.owner.clone(),
            reader_users,
        };
        Ok(DatasetCandidate { dataset, error })
    }

    /// The users among the names of `input`; those that are readers already need no lookup.
    async fn known_users(
        &self,
        input: &DatasetInput,
        before: Option<&DatasetWithNames>,
    ) -> Result<BTreeMap<Username, UserId>, ServiceError> {
        let before = before.map(|before| &before.reader_users);
        let mut known = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for name in input.reader_users.iter().chain(&input.owner) {
            match before.and_then(|before| before.get(name)) {
                Some(id) => drop(known.insert(name.clone(), *id)),
                None => drop(unknown.insert(name)),
            }
        }
        known.extend(self.database.find_user_ids(&unknown).await?);
        Ok(known)
    }
}
