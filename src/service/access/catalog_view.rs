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
use crate::service::identity::request_context::Visitor;
use crate::service::rate_limits::Limits;

use super::Access;
use super::decisions::Asker;

/// The most datasets of one page.
pub const LONGEST_PAGE: u32 = 100;
/// How many datasets one step reads from the catalog and looks at before others get a turn.
const STEP: u32 = 100;

/// One dataset that a caller may discover.
#[derive(Clone, Debug)]
pub struct Visible {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// Whether the caller may read it too.
    pub is_readable: bool,
}

/// Some of the datasets that a caller may discover, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Page {
    /// The datasets.
    pub datasets: Vec<Visible>,
    /// Where the next page begins; none when there is no further dataset.
    pub next: Option<DatasetId>,
}

/// Shows callers the catalog.
pub struct CatalogView {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub limits: Arc<Limits>,
    /// What it may discover.
    pub access: Arc<Access>,
}

impl CatalogView {
    /// One dataset; one that the caller may not discover is not there.
    pub async fn show(
        &self,
        visitor: &Visitor,
        dataset_id: DatasetId,
    ) -> Result<Visible, ServiceError> {
        let asker = self.admit(visitor).await?;
        let dataset = self.access.facts.dataset(dataset_id).await?;
        dataset
            .and_then(|dataset| look(&asker, &dataset))
            .ok_or(ServiceError::DatasetNotFound)
    }

    /// At most `limit` datasets whose ids come after `after`.
    ///
    /// It looks on until the page is full or the catalog is at its end, for as long as a request may
    /// take. Ids never change, so that pages stay whole while others add and remove datasets: what is
    /// there all the while is shown once.
    pub async fn list(
        &self,
        visitor: &Visitor,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page, ServiceError> {
        let asker = Arc::new(self.admit(visitor).await?);
        let limit = limit.clamp(1, LONGEST_PAGE);
        let mut page: Vec<Visible> = Vec::new();
        let mut looked_at = after;
        // One more than the page takes tells whether there is a next one.
        let mut most = STEP.min(limit + 1);
        loop {
            let step = self.access.facts.datasets_after(looked_at, most).await?;
            let is_last_step = step.len() < most as usize;
            looked_at = step.last().map_or(looked_at, |last| Some(last.id));
            page.extend(
                asker
                    .survey(step, |asker, dataset| look(asker, &dataset))
                    .await?,
            );
            let is_full = page.len() > limit as usize;
            if is_full || is_last_step {
                page.truncate(limit as usize);
                // A page ends with an id that was shown: one of a hidden dataset, or only that
                // there is one, would tell what the caller may not know.
                let next = page.last().filter(|_| is_full).map(|last| last.dataset.id);
                let datasets = page;
                return Ok(Page { datasets, next });
            }
            most = STEP;
        }
    }

    async fn admit(&self, visitor: &Visitor) -> Result<Asker, ServiceError> {
        let caller = self.authenticator.resolve(visitor).await?;
        self.limits.count_request(&caller)?;
        Ok(self.access.decisions.admit(caller))
    }
}

fn look(asker: &Asker, dataset: &Arc<Dataset>) -> Option<Visible> {
    let resource = Resource::Dataset(Arc::clone(dataset));
    let may = |action| asker.decide(action, &resource).is_permitted;
    let is_readable = may(Action::Read);
    // Who may read a dataset cannot help knowing of it.
    (is_readable || may(Action::Discover)).then(|| Visible {
        is_readable,
        dataset: Arc::clone(dataset),
    })
}
