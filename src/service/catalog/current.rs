//! The users and roles of the catalog, by the names that a catalog file uses.

use std::collections::{BTreeMap, BTreeSet};

use super::check::KnownNames;
use super::file::CatalogFile;
use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::secret::Secret;
use crate::storage::{Directory, UserRecord};

/// The current users and roles.
pub(super) struct CurrentUsers<'a> {
    pub(super) directory: &'a Directory,
    /// The users that sign in here, by name.
    pub(super) own: BTreeMap<&'a Username, &'a UserRecord>,
    /// The identity provider of each other user, by name.
    pub(super) provided: BTreeMap<&'a Username, &'a str>,
}

impl<'a> CurrentUsers<'a> {
    /// Indexes a directory. Users of identity providers are not managed by catalog files.
    pub(super) fn new(directory: &'a Directory) -> Self {
        let (mut own, mut provided) = (BTreeMap::new(), BTreeMap::new());
        for record in &directory.users {
            match record.user.issuer.as_deref() {
                None => drop(own.insert(&record.user.username, record)),
                Some(issuer) => drop(provided.insert(&record.user.username, issuer)),
            }
        }
        Self {
            directory,
            own,
            provided,
        }
    }

    /// The stored hash of a user's password.
    pub(super) fn password_hash(&self, username: &Username) -> Option<&'a Secret<String>> {
        self.own.get(username)?.password_hash.as_ref()
    }

    /// Whether the operator made the user, and nobody else gave it another name or password since.
    pub(super) fn is_from_operator(&self, id: UserId) -> bool {
        self.directory.operator_users.contains(&id)
    }

    /// The names that `file` may refer to: its own, and those that are not pruned.
    pub(super) fn names_known_to(&self, file: &CatalogFile, is_pruning: bool) -> KnownNames<'a> {
        let mut users = file.declared_users.clone();
        let mut roles: BTreeSet<_> = file.roles.iter().map(|r| r.get_ref().clone()).collect();
        if !is_pruning {
            users.extend(self.own.keys().copied().cloned());
            roles.extend(self.directory.roles.iter().cloned());
        }
        KnownNames {
            users,
            roles,
            provided: self.provided.clone(),
        }
    }

    /// The ids of the users that sign in with an identity provider.
    pub(super) fn provided_ids(&self) -> BTreeMap<Username, UserId> {
        let users = self.directory.users.iter().map(|record| &record.user);
        let provided = users.filter(|user| user.issuer.is_some());
        provided
            .map(|user| (user.username.clone(), user.id))
            .collect()
    }

    /// The roles of the catalog.
    pub(super) fn roles(&self) -> &'a BTreeSet<RoleName> {
        &self.directory.roles
    }
}
