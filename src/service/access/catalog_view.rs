//! The catalog as one caller sees it: exactly the datasets that the caller may discover.
//!
//! Each dataset is asked about by itself, with the policies that also decide the mint. Looking is
//! not on record (nothing is given away that policy does not show to this caller); evaluation errors
//! alarm all the same. This module refuses to know how a catalog is shown.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::rate_limits::RateLimits;

use super::Access;
use super::decisions::Authorizer;

/// The most datasets of one page.
pub const MAX_PAGE_SIZE: u32 = 100;
/// How many datasets one step reads from the catalog and looks at before others get a turn.
const BATCH_SIZE: u32 = 100;

/// One dataset that a caller may discover.
#[derive(Clone, Debug)]
pub struct VisibleDataset {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// Whether the caller may read it too.
    pub is_readable: bool,
}

/// Some of the datasets that a caller may discover, in the order of their ids.
#[derive(Clone, Debug)]
pub struct VisibleDatasetPage {
    /// The datasets.
    pub datasets: Vec<VisibleDataset>,
    /// Where the next page begins; none when there is no further dataset.
    pub next: Option<DatasetId>,
}

/// Shows callers the catalog.
pub struct CatalogView {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub rate_limits: Arc<RateLimits>,
    /// What it may discover.
    pub access: Arc<Access>,
}

impl CatalogView {
    /// One dataset; one that the caller may not discover is not there.
    pub async fn get(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<VisibleDataset, ServiceError> {
        let asker = self.authorizer(visitor).await?;
        let dataset = self.access.catalog_cache.dataset(dataset_id).await?;
        dataset
            .and_then(|dataset| visible_dataset(&asker, &dataset))
            .ok_or(ServiceError::DatasetNotFound)
    }

    /// At most `limit` datasets whose ids come after `after`.
    ///
    /// It looks on until the page is full or the catalog is at its end, for as long as a request may
    /// take. Ids never change, so that pages stay whole while others add and remove datasets: what is
    /// there all the while is shown once.
    pub async fn list(
        &self,
        visitor: &RequestContext,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<VisibleDatasetPage, ServiceError> {
        let asker = Arc::new(self.authorizer(visitor).await?);
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let mut page: Vec<VisibleDataset> = Vec::new();
        let mut looked_at = after;
        // One more than the page takes tells whether there is a next one.
        let mut most = BATCH_SIZE.min(limit + 1);
        loop {
            let step = self
                .access
                .catalog_cache
                .datasets_after(looked_at, most)
                .await?;
            let is_last_step = step.len() < most as usize;
            looked_at = step.last().map_or(looked_at, |last| Some(last.id));
            page.extend(
                asker
                    .filter(step, |asker, dataset| visible_dataset(asker, &dataset))
                    .await?,
            );
            let is_full = page.len() > limit as usize;
            if is_full || is_last_step {
                page.truncate(limit as usize);
                // A page ends with an id that was shown: one of a hidden dataset, or only that
                // there is one, would tell what the caller may not know.
                let next = page.last().filter(|_| is_full).map(|last| last.dataset.id);
                let datasets = page;
                return Ok(VisibleDatasetPage { datasets, next });
            }
            most = BATCH_SIZE;
        }
    }

    async fn authorizer(&self, visitor: &RequestContext) -> Result<Authorizer, ServiceError> {
        let caller = self.authenticator.authenticate(visitor).await?;
        self.rate_limits.count_request(&caller)?;
        Ok(self.access.decisions.for_caller(caller))
    }
}

fn visible_dataset(asker: &Authorizer, dataset: &Arc<Dataset>) -> Option<VisibleDataset> {
    let resource = Resource::Dataset(Arc::clone(dataset));
    let may = |action| asker.decide(action, &resource).is_permitted;
    let is_readable = may(Action::Read);
    // Who may read a dataset cannot help knowing of it.
    (is_readable || may(Action::Discover)).then(|| VisibleDataset {
        is_readable,
        dataset: Arc::clone(dataset),
    })
}
