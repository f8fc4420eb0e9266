//! Datasets: made, seen whole, changed and removed.
//!
//! This module refuses to know a dataset's file, which has a life of its own
//! ([`mod@super::dataset_files`]), and what can be wished ([`mod@super::dataset_input`]).

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::{CatalogChange, DatasetFilter, DatasetWithNames};

use super::super::error::ServiceError;
use super::dataset_files::with_file;
use super::dataset_input::{
    DatasetCandidate, DatasetInput, check_input, summarize_dataset_change, upsert,
};
use super::shares::{Reader, without_reader};
use super::{AdminOperation, Administration, MAX_RETRIES, too_many_concurrent_changes};

/// How many datasets one step reads and looks at.
const BATCH_SIZE: u32 = 100;

/// What is to be changed of a dataset.
pub(super) enum DatasetChange<'a> {
    /// All but its file.
    Whole(&'a DatasetInput),
    /// Its file, or that there is none.
    File(Option<StoredFile>),
    /// One more it is shared with.
    Share(&'a Reader),
    /// One less it is shared with.
    Withdraw(&'a Reader),
}

/// Whether a change is still wanted of a dataset as it is now.
pub type DatasetPrecondition<'a> = &'a (dyn Fn(&DatasetWithNames) -> bool + Send + Sync);

impl Administration {
    /// Makes a dataset, without a file.
    pub async fn create_dataset(
        &self,
        visitor: &RequestContext,
        wish: &DatasetInput,
    ) -> Result<DatasetWithNames, ServiceError> {
        check_input(wish)?;
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.insert_dataset(&mut errand, wish).await;
        self.end(errand, answer).await
    }

    /// One dataset, whole.
    pub async fn get_dataset(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.load_for_admin(&mut errand, id).await;
        self.end(errand, answer).await
    }

    /// At most `limit` of the datasets that one may administer and whose ids come after `after`.
    pub async fn list_datasets(
        &self,
        visitor: &RequestContext,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<DatasetWithNames>, ServiceError> {
        let title = filter.title.as_deref().unwrap_or_default();
        if title.chars().any(char::is_control) {
            let detail = "no title has a control character".to_owned();
            let field = "title";
            return Err(ServiceError::Invalid { field, detail });
        }
        let mut errand = self.begin(visitor, Action::ViewDatasets).await?;
        let answer = self.page(&mut errand, filter, after, limit).await;
        self.end(errand, answer).await
    }

    /// Makes a dataset what is wished, its file aside.
    pub async fn update_dataset(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        wish: &DatasetInput,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        check_input(wish)?;
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = DatasetChange::Whole(wish);
        let answer = self.apply_change(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    /// Removes a dataset; its file stays in the file store, where other datasets may name it.
    pub async fn delete_dataset(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self
            .delete_matching_dataset(&mut errand, id, is_wanted)
            .await;
        self.end(errand, answer).await
    }

    async fn page(
        &self,
        errand: &mut AdminOperation,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<DatasetWithNames>, ServiceError> {
        errand.require(Action::ViewDatasets, &Resource::Server)?;
        let enough = Page::<DatasetWithNames>::fetch_size(limit);
        let mut found = Vec::new();
        let mut looked_at = after;
        let mut asked = BATCH_SIZE.min(enough);
        loop {
            let step = self
                .database
                .list_datasets_with_names(filter, looked_at, asked);
            let step = step.await?;
            let is_last_step = step.len() < asked as usize;
            looked_at = step.last().map_or(looked_at, |last| Some(last.dataset.id));
            found.extend(
                errand
                    .filter_permitted(Action::Administer, step, dataset_resource)
                    .await?,
            );
            if is_last_step || found.len() >= enough as usize {
                return Ok(Page::from_fetched(found, limit));
            }
            asked = BATCH_SIZE;
        }
    }

    async fn insert_dataset(
        &self,
        errand: &mut AdminOperation,
        wish: &DatasetInput,
    ) -> Result<DatasetWithNames, ServiceError> {
        let id = wish.id.unwrap_or_else(DatasetId::random);
        errand.set_dataset(id);
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let planned = self.build_candidate(wish, id, None).await?;
            let named = check_permitted(errand, planned)?;
            if self.database.find_dataset(id).await?.is_some() {
                return Err(ServiceError::Conflict {
                    field: "id",
                    detail: "there is a dataset with this id already".to_owned(),
                });
            }
            errand.set_summary(format!("made the dataset {:?}", named.dataset.title));
            if self.write(errand, upsert(&named), version).await? {
                return Ok(named);
            }
        }
        Err(too_many_concurrent_changes())
    }

    async fn delete_matching_dataset(
        &self,
        errand: &mut AdminOperation,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<(), ServiceError> {
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let before = self.load_for_admin(errand, id).await?;
            if !is_wanted(&before) {
                return Err(ServiceError::PreconditionFailed);
            }
            errand.set_summary(format!("removed the dataset {:?}", before.dataset.title));
            let change = CatalogChange {
                datasets_removed: vec![id],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// Makes a change to a dataset, and plans it anew while others are faster.
    pub(super) async fn apply_change(
        &self,
        errand: &mut AdminOperation,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
        change: &DatasetChange<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let before = self.load_for_admin(errand, id).await?;
            if !is_wanted(&before) {
                return Err(ServiceError::PreconditionFailed);
            }
            let after = check_permitted(errand, self.apply_to(change, &before).await?)?;
            if before.dataset == after.dataset {
                errand.set_summary("changed nothing: the dataset is so already");
                return Ok(after);
            }
            errand.set_summary(summarize_dataset_change(&before, &after));
            if self.write(errand, upsert(&after), version).await? {
                return Ok(after);
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// The dataset with an id as it is, if one may administer it.
    ///
    /// Whoever may list datasets is told of none that it may not administer; whoever may not is told
    /// nothing about any.
    pub(super) async fn load_for_admin(
        &self,
        errand: &mut AdminOperation,
        id: DatasetId,
    ) -> Result<DatasetWithNames, ServiceError> {
        errand.set_dataset(id);
        let denied = match self.database.find_dataset_with_names(id).await? {
            Some(found) => match errand.require(Action::Administer, &dataset_resource(&found)) {
                Ok(()) => return Ok(found),
                Err(denied) => denied,
            },
            None => ServiceError::AdministrationDenied {
                action: Action::Administer,
            },
        };
        if errand.is_permitted(Action::ViewDatasets, &Resource::Server) {
            Err(ServiceError::NotFound { what: "dataset" })
        } else {
            Err(denied)
        }
    }

    async fn apply_to(
        &self,
        change: &DatasetChange<'_>,
        before: &DatasetWithNames,
    ) -> Result<DatasetCandidate, ServiceError> {
        match change {
            DatasetChange::Whole(wish) => {
                self.build_candidate(wish, before.dataset.id, Some(before))
                    .await
            }
            DatasetChange::Share(reader) => self.with_reader(before, reader).await,
            DatasetChange::Withdraw(reader) => Ok(without_reader(before, reader)),
            DatasetChange::File(file) => Ok(with_file(before, file.clone())),
        }
    }
}

/// What is planned, if the policies permit it and there is nothing wrong with it.
fn check_permitted(
    errand: &mut AdminOperation,
    planned: DatasetCandidate,
) -> Result<DatasetWithNames, ServiceError> {
    errand.require(Action::Administer, &dataset_resource(&planned.named))?;
    planned.error.map_or(Ok(planned.named), Err)
}

pub(super) fn dataset_resource(named: &DatasetWithNames) -> Resource {
    Resource::Dataset(Arc::new(named.dataset.clone()))
}
