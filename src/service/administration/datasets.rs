//! Datasets as administrators create, read, update and delete them.
//!
//! A dataset's file ([`mod@super::dataset_files`]) and its shares ([`mod@super::shares`]) have
//! operations of their own, which change a dataset through [`Administration::apply_change`].

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{FilteredRead, Page, ReadBounds};
use crate::storage::{CatalogChange, DatasetFilter, DatasetWithNames};

use super::attempts::Attempt;
use super::change_summary::summarize_dataset_change;
use super::dataset_input::{DatasetCandidate, DatasetInput};
use super::operation::{AdminOperation, DatasetRight, DatasetTarget, Precondition};
use super::{AdminAccess, Administration};

impl Administration {
    /// Creates a dataset, without a file.
    pub async fn create_dataset(
        &self,
        request: &RequestContext,
        input: &DatasetInput,
    ) -> Result<DatasetWithNames, ServiceError> {
        input.validate()?;
        let id = input.id.unwrap_or_else(DatasetId::random);
        let create = async |operation: Arc<AdminOperation>| {
            self.require_disk_space()?;
            operation.set_dataset(id);
            let attempt = || async {
                self.check_without_readers(&operation, input, id, None)
                    .await?;
                let candidate = self.build_candidate(&operation, input, id, None).await?;
                let dataset = permitted(&operation, candidate, DatasetRight::Administer).await?;
                if self.database.find_dataset(id).await?.is_some() {
                    let detail = "a dataset with this id already exists";
                    return Err(ServiceError::conflict("id", detail));
                }
                operation.set_summary(format!("created the dataset {:?}", dataset.dataset.title));
                Ok(Attempt::Write(put(&dataset), dataset))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::Administer, create).await
    }

    /// Returns one dataset.
    pub async fn get_dataset(
        &self,
        request: &RequestContext,
        id: DatasetId,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            let target = DatasetTarget::administered(id);
            let (dataset, _) = self.load_for(&operation, target).await?;
            Ok(dataset)
        })
        .await
    }

    /// Lists up to `limit` of the datasets that the caller may administer, those with ids after
    /// `after`, in the order of their ids.
    pub async fn list_datasets(
        &self,
        request: &RequestContext,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<DatasetWithNames>, ServiceError> {
        let title = filter.title.as_deref().unwrap_or_default();
        if title.chars().any(char::is_control) {
            let detail = "titles have no control characters";
            return Err(ServiceError::invalid("title", detail));
        }
        self.audited(request, Action::ViewDatasets, async |operation| {
            operation.authorize(Action::ViewDatasets, &Resource::Server)?;
            let operation = &operation;
            let list = FilteredRead {
                read: |after: Option<Uuid>, limit| async move {
                    let turn = operation.list_turn().await?;
                    let after = after.map(DatasetId);
                    let batch = self.database.list_datasets_with_names(filter, after, limit);
                    Ok((turn, batch.await?))
                },
                id_of: |named: &DatasetWithNames| named.dataset.id.0,
                filter: |turn, batch| {
                    operation.filter_permitted(turn, Action::Administer, batch, dataset_resource)
                },
                charge: || self.charge(operation),
                bounds: ReadBounds::LIST,
            };
            Page::read_filtered(after.map(|id| id.0), limit, list).await
        })
        .await
    }

    /// Replaces a dataset, except for its file.
    pub async fn update_dataset(
        &self,
        request: &RequestContext,
        id: DatasetId,
        input: &DatasetInput,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        input.validate()?;
        self.audited(request, Action::Administer, async |operation| {
            let operation = &operation;
            let target = DatasetTarget::administered(id);
            self.apply_change(operation, target, precondition, |before| async move {
                self.check_without_readers(operation, input, id, Some(&before))
                    .await?;
                self.build_candidate(operation, input, id, Some(&before))
                    .await
            })
            .await
        })
        .await
    }

    /// Deletes a dataset; its file is removed later, unless another dataset names it.
    pub async fn delete_dataset(
        &self,
        request: &RequestContext,
        id: DatasetId,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<(), ServiceError> {
        let delete = async |operation: Arc<AdminOperation>| {
            let attempt = || async {
                let target = DatasetTarget::administered(id);
                let before = self.load_matching(&operation, target, precondition).await?;
                let file = before.dataset.file;
                operation.set_summary(format!("deleted the dataset {:?}", before.dataset.title));
                let change = CatalogChange {
                    datasets_removed: vec![id],
                    ..CatalogChange::default()
                };
                Ok(Attempt::Write(change, file))
            };
            if let Some(file) = self.optimistically(&operation, attempt).await? {
                self.mark_unused_from_now(&file).await;
            }
            Ok(())
        };
        self.audited(request, Action::Administer, delete).await
    }

    /// Changes a dataset to what `change` makes of it, if the caller has the right that the change needs on both the
    /// dataset as it is and as it would be.
    pub(super) async fn apply_change<F>(
        &self,
        operation: &AdminOperation,
        target: DatasetTarget,
        precondition: Precondition<'_, DatasetWithNames>,
        change: impl Fn(Arc<DatasetWithNames>) -> F,
    ) -> Result<DatasetWithNames, ServiceError>
    where
        F: Future<Output = Result<DatasetCandidate, ServiceError>>,
    {
        let attempt = || async {
            let before = Arc::new(self.load_matching(operation, target, precondition).await?);
            let after = change(Arc::clone(&before)).await?;
            let after = permitted(operation, after, target.right).await?;
            if before.dataset == after.dataset {
                operation.set_summary("changed nothing: the dataset already has this state");
                return Ok(Attempt::Unchanged(after));
            }
            operation.set_summary(summarize_dataset_change(&before, &after));
            Ok(Attempt::Write(put(&after), after))
        };
        self.optimistically(operation, attempt).await
    }

    /// Loads a dataset on which the caller has a right and that is still as the caller saw it.
    pub(super) async fn load_matching(
        &self,
        operation: &AdminOperation,
        target: DatasetTarget,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let (dataset, _) = self.load_for(operation, target).await?;
        precondition(&dataset)?;
        Ok(dataset)
    }

    /// Loads a dataset on which the caller has a right, and the action that it is permitted.
    ///
    /// A caller who may list datasets cannot tell one on which it has no right from one that does
    /// not exist; any other caller is denied either way.
    pub(super) async fn load_for(
        &self,
        operation: &AdminOperation,
        target: DatasetTarget,
    ) -> Result<(DatasetWithNames, Action), ServiceError> {
        operation.set_dataset(target.id);
        let denied = match self.find_permitted(operation, target).await? {
            Ok(found) => return Ok(found),
            Err(denied) => denied,
        };
        if operation.is_permitted(Action::ViewDatasets, &Resource::Server) {
            Err(ServiceError::NotFound { what: "dataset" })
        } else {
            Err(denied)
        }
    }

    /// Finds a dataset on which the caller has a right, or the denial.
    ///
    /// The cached dataset is decided first: for a caller who is denied nothing is read, however many
    /// readers the dataset has.
    async fn find_permitted(
        &self,
        operation: &AdminOperation,
        DatasetTarget { id, right }: DatasetTarget,
    ) -> Result<Result<(DatasetWithNames, Action), ServiceError>, ServiceError> {
        let unknown = Ok(Err(ServiceError::AdministrationDenied {
            action: Action::Administer,
        }));
        if let AdminAccess::Policies(dependencies) = &self.access {
            let Some(cached) = dependencies.catalog_cache.dataset(id).await? else {
                return unknown;
            };
            if let Err(denied) = operation
                .authorize_dataset(&Resource::Dataset(cached), right)
                .await
            {
                return Ok(Err(denied));
            }
        }
        let Some(found) = self.database.find_dataset_with_names(id).await? else {
            return unknown;
        };
        let resource = dataset_resource(&found);
        let decided = operation.authorize_dataset(&resource, right).await;
        Ok(decided.map(|action| (found, action)))
    }
}

/// The candidate's dataset, if the caller has the right on it and nothing is wrong with it.
async fn permitted(
    operation: &AdminOperation,
    candidate: DatasetCandidate,
    right: DatasetRight,
) -> Result<DatasetWithNames, ServiceError> {
    let resource = dataset_resource(&candidate.dataset);
    operation.authorize_dataset(&resource, right).await?;
    candidate.error.map_or(Ok(candidate.dataset), Err)
}

fn put(dataset: &DatasetWithNames) -> CatalogChange {
    CatalogChange {
        datasets_put: vec![dataset.dataset.clone()],
        ..CatalogChange::default()
    }
}

fn dataset_resource(dataset: &DatasetWithNames) -> Resource {
    Resource::DatasetCandidate(Arc::new(dataset.dataset.clone()))
}
