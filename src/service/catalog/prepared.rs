//! What takes work to prepare: stored files and password hashes, each computed once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::attribute_checks::{CheckedAttributes, KnownReferences, check_attributes};
use super::current::CurrentUsers;
use super::diagnostic::CatalogDiagnostic;
use super::error::ApplyError;
use super::file::{CatalogFile, UserCredential, UserItem};
use super::options::{ApplyOptions, ApplyStep};
use crate::domain::dataset::StoredFile;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, Username};
use crate::domain::secret::Secret;
use crate::files::FileStore;
use crate::service::identity::password::{PasswordError, Passwords};

/// The prepared values of one catalog file; they stay valid when the catalog changes.
#[derive(Default)]
pub(super) struct PreparedValues {
    /// Each file of the catalog file, as stored in the file store.
    pub(super) files: BTreeMap<PathBuf, StoredFile>,
    /// The attributes of users and datasets.
    pub(super) attributes: CheckedAttributes,
    /// The id of each user, if it has to be created.
    pub(super) new_ids: BTreeMap<Username, UserId>,
    /// The hash of each password that a stored hash did not verify.
    hashes: BTreeMap<Username, Secret<String>>,
    /// The stored hashes that were verified, and the result.
    verified: BTreeMap<Username, (Secret<String>, bool)>,
}

impl PreparedValues {
    /// Checks the attributes of users and datasets, and chooses the ids of new users, whom attributes may name.
    pub(super) fn check_attributes(
        &mut self,
        file: &CatalogFile,
        current: &CurrentUsers<'_>,
        options: &ApplyOptions<'_>,
    ) -> Result<(), Vec<CatalogDiagnostic>> {
        let names = current.names_known_to(file, options.is_pruning);
        let mut users = current.provided_ids();
        for name in names.users {
            let own = current.own.get(&name).map(|record| record.user.id);
            let new = self.new_ids.entry(name.clone());
            let id = own.unwrap_or_else(|| *new.or_insert_with(UserId::random));
            users.insert(name, id);
        }
        let roles = names.roles.into_iter().chain(ADMIN_ROLE.parse());
        let known = KnownReferences {
            user_ids: users.values().copied().collect(),
            users,
            roles: roles.collect(),
        };
        self.attributes = check_attributes(file, &options.declared, &known)?;
        Ok(())
    }

    /// Stores the files of datasets; a dry run only reads them.
    pub(super) async fn store_files(
        &mut self,
        store: &FileStore,
        file: &CatalogFile,
        options: &ApplyOptions<'_>,
    ) -> Result<(), ApplyError> {
        let now_seconds = options.clock.unix_seconds();
        let total = file.datasets.len();
        for (done, dataset) in file.datasets.iter().enumerate() {
            let Some(path) = dataset.file.as_ref().map(toml::Spanned::get_ref) else {
                continue;
            };
            options.check_stop()?;
            options.report(ApplyStep::StoringFiles, done, total);
            if !self.files.contains_key(path) {
                let stored = if options.is_dry_run {
                    store.examine(path, now_seconds).await?
                } else {
                    store.import(path, now_seconds).await?
                };
                self.files.insert(path.clone(), stored);
            }
        }
        Ok(())
    }

    /// Chooses ids, and hashes each password that the stored hash does not verify; what was computed before is
    /// not computed again.
    pub(super) async fn prepare_users(
        &mut self,
        passwords: &Passwords,
        file: &CatalogFile,
        users: &CurrentUsers<'_>,
        options: &ApplyOptions<'_>,
    ) -> Result<(), ApplyError> {
        let mut wanted = Vec::new();
        for item in &file.users {
            let name = item.username.get_ref();
            self.new_ids
                .entry(name.clone())
                .or_insert_with(UserId::random);
            let stored = users.password_hash(name);
            if let Some(UserCredential::Password(password)) = &item.credential
                && self.new_hash(item, stored).is_err()
            {
                let is_hashed = self.hashes.contains_key(name);
                wanted.push((name.clone(), password, stored, is_hashed));
            }
        }
        let total = wanted.len();
        let results = stream::iter(wanted).map(async |(name, password, stored, is_hashed)| {
            let result = check_password(passwords, password, stored, is_hashed).await;
            result
                .map(|checked| (name.clone(), stored.cloned(), checked))
                .map_err(|source| ApplyError::Password {
                    username: name,
                    source,
                })
        });
        let mut results = results.buffer_unordered(passwords.cores());
        let mut done = 0;
        while let Some((name, stored, checked)) = results.try_next().await? {
            done += 1;
            options.check_stop()?;
            options.report(ApplyStep::CheckingPasswords, done, total);
            if let Some(stored) = stored {
                let is_verified = checked.is_verified;
                self.verified.insert(name.clone(), (stored, is_verified));
            }
            if let Some(hash) = checked.hash {
                self.hashes.insert(name, hash);
            }
        }
        Ok(())
    }

    /// The hash to store for a user; none if the stored one is to stay. An error if it was not prepared.
    pub(super) fn new_hash<'a>(
        &'a self,
        item: &'a UserItem,
        stored: Option<&Secret<String>>,
    ) -> Result<Option<&'a Secret<String>>, NotPrepared> {
        let name = item.username.get_ref();
        match &item.credential {
            None => return Ok(None),
            Some(UserCredential::Hash(hash)) => return Ok(Some(hash)),
            Some(UserCredential::Password(_)) => {}
        }
        if let Some(stored) = stored {
            match self.verified.get(name) {
                Some((checked, true)) if checked == stored => return Ok(None),
                Some((checked, false)) if checked == stored => {}
                Some(_) | None => return Err(NotPrepared),
            }
        }
        self.hashes.get(name).map(Some).ok_or(NotPrepared)
    }
}

/// A stored hash that was not verified yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPrepared;

struct CheckedPassword {
    is_verified: bool,
    hash: Option<Secret<String>>,
}

async fn check_password(
    passwords: &Passwords,
    password: &Secret<String>,
    stored: Option<&Secret<String>>,
    is_hashed: bool,
) -> Result<CheckedPassword, PasswordError> {
    let is_verified = stored.is_some() && passwords.verify(stored, password, &[]).await?.is_right();
    let hash = if is_verified || is_hashed {
        None
    } else {
        Some(passwords.hash(password).await?)
    };
    Ok(CheckedPassword { is_verified, hash })
}
