//! Datasets: made, seen whole, changed and removed.
//!
//! This module refuses to know a dataset's file, which has a life of its own
//! ([`mod@super::dataset_files`]), and what can be wished ([`mod@super::dataset_input`]).

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::Page;
use crate::storage::{CatalogChange, DatasetFilter, NamedDataset};

use super::super::error::ServiceError;
use super::dataset_files::with_file;
use super::dataset_input::{DatasetWish, Planned, check, putting, told};
use super::shares::{Reader, without_reader};
use super::{Administration, Errand, MOST_ATTEMPTS, overtaken};

/// How many datasets one step reads and looks at.
const STEP: u32 = 100;

/// What is to be changed of a dataset.
pub(super) enum Change<'a> {
    /// All but its file.
    Whole(&'a DatasetWish),
    /// Its file, or that there is none.
    File(Option<StoredFile>),
    /// One more it is shared with.
    Share(&'a Reader),
    /// One less it is shared with.
    Withdraw(&'a Reader),
}

/// Whether a change is still wanted of a dataset as it is now.
pub type IsWanted<'a> = &'a (dyn Fn(&NamedDataset) -> bool + Send + Sync);

impl Administration {
    /// Makes a dataset, without a file.
    pub async fn create_dataset(
        &self,
        visitor: &Visitor,
        wish: &DatasetWish,
    ) -> Result<NamedDataset, ServiceError> {
        check(wish)?;
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.put_new(&mut errand, wish).await;
        self.end(errand, answer).await
    }

    /// One dataset, whole.
    pub async fn show_dataset(
        &self,
        visitor: &Visitor,
        id: DatasetId,
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.administered(&mut errand, id).await;
        self.end(errand, answer).await
    }

    /// At most `limit` of the datasets that one may administer and whose ids come after `after`.
    pub async fn list_datasets(
        &self,
        visitor: &Visitor,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<NamedDataset>, ServiceError> {
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
    pub async fn change_dataset(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        wish: &DatasetWish,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        check(wish)?;
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = Change::Whole(wish);
        let answer = self.make_it(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    /// Removes a dataset; its file stays in the file store, where other datasets may name it.
    pub async fn remove_dataset(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.drop_dataset(&mut errand, id, is_wanted).await;
        self.end(errand, answer).await
    }

    async fn page(
        &self,
        errand: &mut Errand,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<NamedDataset>, ServiceError> {
        errand.require(Action::ViewDatasets, &Resource::Server)?;
        let enough = Page::<NamedDataset>::to_read(limit);
        let mut found = Vec::new();
        let mut looked_at = after;
        let mut asked = STEP.min(enough);
        loop {
            let step = self.database.named_dataset_page(filter, looked_at, asked);
            let step = step.await?;
            let is_last_step = step.len() < asked as usize;
            looked_at = step.last().map_or(looked_at, |last| Some(last.dataset.id));
            found.extend(errand.sift(Action::Administer, step, resource_of).await?);
            if is_last_step || found.len() >= enough as usize {
                return Ok(Page::cut(found, limit));
            }
            asked = STEP;
        }
    }

    async fn put_new(
        &self,
        errand: &mut Errand,
        wish: &DatasetWish,
    ) -> Result<NamedDataset, ServiceError> {
        let id = wish.id.unwrap_or_else(DatasetId::random);
        errand.ask_for(id);
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let planned = self.plan(wish, id, None).await?;
            let named = permitted(errand, planned)?;
            if self.database.find_dataset(id).await?.is_some() {
                return Err(ServiceError::Conflict {
                    field: "id",
                    detail: "there is a dataset with this id already".to_owned(),
                });
            }
            errand.note(format!("made the dataset {:?}", named.dataset.title));
            if self.write(errand, putting(&named), version).await? {
                return Ok(named);
            }
        }
        Err(overtaken())
    }

    async fn drop_dataset(
        &self,
        errand: &mut Errand,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
    ) -> Result<(), ServiceError> {
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let before = self.administered(errand, id).await?;
            if !is_wanted(&before) {
                return Err(ServiceError::Overtaken);
            }
            errand.note(format!("removed the dataset {:?}", before.dataset.title));
            let change = CatalogChange {
                datasets_removed: vec![id],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    /// Makes a change to a dataset, and plans it anew while others are faster.
    pub(super) async fn make_it(
        &self,
        errand: &mut Errand,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
        change: &Change<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let before = self.administered(errand, id).await?;
            if !is_wanted(&before) {
                return Err(ServiceError::Overtaken);
            }
            let after = permitted(errand, self.planned(change, &before).await?)?;
            if before.dataset == after.dataset {
                errand.note("changed nothing: the dataset is so already");
                return Ok(after);
            }
            errand.note(told(&before, &after));
            if self.write(errand, putting(&after), version).await? {
                return Ok(after);
            }
        }
        Err(overtaken())
    }

    /// The dataset with an id as it is, if one may administer it.
    ///
    /// Whoever may list datasets is told of none that it may not administer; whoever may not is told
    /// nothing about any.
    pub(super) async fn administered(
        &self,
        errand: &mut Errand,
        id: DatasetId,
    ) -> Result<NamedDataset, ServiceError> {
        errand.ask_for(id);
        let denied = match self.database.find_named_dataset(id).await? {
            Some(found) => match errand.require(Action::Administer, &resource_of(&found)) {
                Ok(()) => return Ok(found),
                Err(denied) => denied,
            },
            None => ServiceError::AdministrationDenied {
                action: Action::Administer,
            },
        };
        if errand.may(Action::ViewDatasets, &Resource::Server) {
            Err(ServiceError::NotFound { what: "dataset" })
        } else {
            Err(denied)
        }
    }

    async fn planned(
        &self,
        change: &Change<'_>,
        before: &NamedDataset,
    ) -> Result<Planned, ServiceError> {
        match change {
            Change::Whole(wish) => self.plan(wish, before.dataset.id, Some(before)).await,
            Change::Share(reader) => self.with_reader(before, reader).await,
            Change::Withdraw(reader) => Ok(without_reader(before, reader)),
            Change::File(file) => Ok(with_file(before, file.clone())),
        }
    }
}

/// What is planned, if the policies permit it and there is nothing wrong with it.
fn permitted(errand: &mut Errand, planned: Planned) -> Result<NamedDataset, ServiceError> {
    errand.require(Action::Administer, &resource_of(&planned.named))?;
    planned.complaint.map_or(Ok(planned.named), Err)
}

pub(super) fn resource_of(named: &NamedDataset) -> Resource {
    Resource::Dataset(Arc::new(named.dataset.clone()))
}
