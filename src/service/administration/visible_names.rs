//! The names of users and the titles of datasets that an answer mentions, as far as the caller may see them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::action::Action;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;

use super::Administration;
use super::operation::AdminOperation;

impl Administration {
    /// The names of those of some users that the caller may see; they are few.
    pub(super) async fn visible_usernames(
        &self,
        operation: &AdminOperation,
        ids: BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Username>, ServiceError> {
        let cache = &self.policies_access()?.catalog_cache;
        let mut names = BTreeMap::new();
        for id in ids {
            let Some(user) = cache.user(id).await? else {
                continue;
            };
            let name = user.username.clone();
            if operation.is_permitted(Action::ViewUsers, &Resource::User(user)) {
                names.insert(id, name);
            }
        }
        Ok(names)
    }

    /// The titles of those of some datasets that the caller may administer or discover; they are few.
    pub(super) async fn visible_titles(
        &self,
        operation: &AdminOperation,
        ids: BTreeSet<DatasetId>,
    ) -> Result<BTreeMap<DatasetId, String>, ServiceError> {
        let cache = &self.policies_access()?.catalog_cache;
        let mut titles = BTreeMap::new();
        for id in ids {
            let Some(dataset) = cache.dataset(id).await? else {
                continue;
            };
            let title = dataset.title.clone();
            let resource = Resource::Dataset(dataset);
            let actions = [Action::Administer, Action::Discover];
            if actions
                .into_iter()
                .any(|action| operation.is_permitted(action, &resource))
            {
                titles.insert(id, title);
            }
        }
        Ok(titles)
    }
}
