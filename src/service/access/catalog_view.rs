//! The catalog view: the datasets that one caller may discover.
//!
//! Each dataset is decided by itself, with the policies that also decide the mint. Viewing is not
//! recorded (nothing is shown that the policies do not show to this caller); evaluation errors are
//! logged all the same.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::domain::search_text::SearchText;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{FilteredRead, Page, ReadBounds};
use crate::service::rate_limits::RateLimits;

use super::Access;
use super::decisions::Authorizer;

/// A dataset that a caller may discover.
#[derive(Clone, Debug)]
pub struct VisibleDataset {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// Whether the caller may read it too.
    pub is_readable: bool,
    /// Whether it may see and change with whom the dataset is shared.
    pub is_shareable: bool,
}

/// Shows callers the catalog.
pub struct CatalogView {
    /// Authenticates the caller.
    pub authenticator: Arc<Authenticator>,
    /// Limits requests.
    pub rate_limits: Arc<RateLimits>,
    /// Decides what the caller may discover.
    pub access: Arc<Access>,
}

impl CatalogView {
    /// One dataset; one that the caller may not discover does not exist.
    pub async fn get(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<VisibleDataset, ServiceError> {
        let authorizer = self.authorizer(request).await?;
        let dataset = self.access.catalog_cache.dataset(dataset_id).await?;
        dataset
            .and_then(|dataset| visible_dataset(&authorizer, &dataset, None))
            .ok_or(ServiceError::DatasetNotFound)
    }

    /// Lists up to `limit` datasets with ids after `after`; those alone in whose title or id a text is found, if one is
    /// given.
    ///
    /// What the caller may discover is decided before the text is looked for, so that no answer, and no time that it
    /// takes, tells of the title of another dataset.
    ///
    /// It reads on until the page is full, the catalog ends or enough was read for one page. Each read but
    /// the first counts like another request. Ids never change, so a dataset that exists throughout is
    /// listed once while others are added and removed.
    pub async fn list(
        &self,
        request: &RequestContext,
        search: Option<&SearchText>,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Page<VisibleDataset>, ServiceError> {
        let authorizer = &Arc::new(self.authorizer(request).await?);
        let cache = &self.access.catalog_cache;
        let list = FilteredRead {
            read: |after: Option<Uuid>, limit| async move {
                let turn = authorizer.list_turn().await?;
                let batch = cache.datasets_after(after.map(DatasetId), limit).await?;
                Ok((turn, batch))
            },
            id_of: |dataset: &Arc<Dataset>| dataset.id.0,
            filter: |turn, batch| {
                let search = search.cloned();
                authorizer.filter_map(turn, batch, move |authorizer, dataset| {
                    visible_dataset(authorizer, &dataset, search.as_ref())
                })
            },
            charge: || self.rate_limits.charge_request(&authorizer.caller, 1),
            bounds: match search {
                Some(_) => ReadBounds::SEARCH,
                None => ReadBounds::LIST,
            },
        };
        Page::read_filtered(after.map(|id| id.0), limit, list).await
    }

    async fn authorizer(&self, request: &RequestContext) -> Result<Authorizer, ServiceError> {
        let caller = self.authenticator.authenticate(request).await?;
        self.rate_limits.check_request(&caller)?;
        self.access.decisions.for_caller(caller)
    }
}

fn is_found(search: Option<&SearchText>, dataset: &Dataset) -> bool {
    search.is_none_or(|text| text.is_in(&dataset.title) || text.is_in(&dataset.id.to_string()))
}

fn visible_dataset(
    authorizer: &Authorizer,
    dataset: &Arc<Dataset>,
    search: Option<&SearchText>,
) -> Option<VisibleDataset> {
    let resource = Resource::Dataset(Arc::clone(dataset));
    let may = |action| authorizer.decide(action, &resource).is_permitted;
    let is_readable = may(Action::Read);
    // Whoever may read a dataset cannot help knowing that it exists.
    let is_visible = is_readable || may(Action::Discover);
    if !is_visible || !is_found(search, dataset) {
        return None;
    }
    let is_share_declared = authorizer.bundle().declares(Action::Share);
    Some(VisibleDataset {
        is_readable,
        is_shareable: (is_share_declared && may(Action::Share)) || may(Action::Administer),
        dataset: Arc::clone(dataset),
    })
}
