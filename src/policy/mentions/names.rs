//! Names of the catalog: what a policy folder asks of it, and the answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};

/// The most ids, or names, of a kind that are looked up: what is beyond is not compared.
pub const MAX_LOOKED_UP: usize = 10_000;

/// What a policy folder names, to be looked up in the catalog.
///
/// What is no id is looked up as a name: it tells who was meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogLookup {
    /// The ids of users.
    pub users: BTreeSet<UserId>,
    /// The ids of datasets.
    pub datasets: BTreeSet<DatasetId>,
    /// The names of users.
    pub usernames: BTreeSet<Username>,
    /// The roles, without the built-in one.
    pub roles: BTreeSet<RoleName>,
    /// Whether it names something that nobody can have, for which only a suggestion is wanted.
    pub has_impossible: bool,
    /// Whether there were more than [`MAX_LOOKED_UP`] of a kind.
    pub is_cut: bool,
}

impl CatalogLookup {
    /// Whether there is nothing to look up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            users,
            datasets,
            usernames,
            roles,
            ..
        } = self;
        users.is_empty()
            && datasets.is_empty()
            && usernames.is_empty()
            && roles.is_empty()
            && !self.has_impossible
    }

    /// Cuts each set to [`MAX_LOOKED_UP`].
    pub(super) fn cut(mut self) -> Self {
        fn cut<T: Ord + Clone>(set: &mut BTreeSet<T>) -> bool {
            let rest = set.iter().nth(MAX_LOOKED_UP).cloned();
            rest.is_some_and(|first| !set.split_off(&first).is_empty())
        }
        let cuts = [
            cut(&mut self.users),
            cut(&mut self.datasets),
            cut(&mut self.usernames),
            cut(&mut self.roles),
        ];
        self.is_cut = cuts.contains(&true);
        self
    }
}

/// What the catalog knows of a [`CatalogLookup`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogNames {
    /// What was looked up.
    pub lookup: CatalogLookup,
    /// The users with an id that was looked up.
    pub users: BTreeMap<UserId, Username>,
    /// The users with a name that was looked up.
    pub usernames: BTreeMap<Username, UserId>,
    /// The datasets with an id that was looked up, with their titles.
    pub datasets: BTreeMap<DatasetId, String>,
    /// All roles; none if there are too many to compare with.
    pub roles: Option<BTreeSet<RoleName>>,
    /// Users to suggest: all, or the first of very many.
    pub similar_users: Vec<(UserId, Username)>,
    /// Datasets to suggest: all, or the first of very many.
    pub similar_datasets: Vec<(DatasetId, String)>,
    /// Whether nothing of the catalog may be shown: for who may see the policies and not the catalog.
    pub is_redacted: bool,
}

impl CatalogNames {
    /// Whether something that was looked up is not there, so that suggestions are wanted.
    #[must_use]
    pub fn lacks_any(&self) -> bool {
        let Self { lookup, .. } = self;
        lookup.has_impossible
            || lookup.users.iter().any(|id| !self.users.contains_key(id))
            || lookup
                .datasets
                .iter()
                .any(|id| !self.datasets.contains_key(id))
            || lookup
                .usernames
                .iter()
                .any(|name| !self.usernames.contains_key(name))
            || self
                .roles
                .as_ref()
                .is_some_and(|roles| !lookup.roles.is_subset(roles))
    }
}
