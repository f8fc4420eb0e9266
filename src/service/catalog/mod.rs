//! Applying a catalog file: the catalog becomes what the file says, or nothing changes.
//!
//! In order: read the file, check everything, store the files of datasets, plan the change, write it in
//! one transaction. Applying a file twice changes nothing the second time.
//!
//! Files are stored before the transaction. If that fails, they stay in the file store under their
//! digest, where no dataset names them, and another attempt finds them there.

mod check;
pub mod demo;
mod diagnostic;
mod file;
mod plan;
mod redact;
mod report;
mod table_reader;

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::stream::{self, StreamExt, TryStreamExt};

pub use diagnostic::CatalogDiagnostics;
pub use file::{CatalogFile, CatalogFileError};
pub use report::{ApplyReport, ItemKind, ItemOutcome, ItemReport};

use self::check::{check_files, check_references};
use self::file::UserCredential;
use self::plan::{ApplyPlan, CurrentCatalog, PreparedValues};
use super::identity::password::{PasswordError, Passwords};
use crate::domain::dataset::StoredFile;
use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::files::{FileStore, FilesError};
use crate::storage::{Database, StorageError};

/// How often a plan is attempted while others keep changing the catalog.
const MAX_ATTEMPTS: usize = 5;

/// Why a catalog file was not applied; the catalog is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is invalid.
    #[error(transparent)]
    Invalid(#[from] CatalogDiagnostics),
    /// A dataset's file could not be stored.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A password could not be hashed or checked.
    #[error("the password of {username}: {source}")]
    Password {
        /// Whose password it is.
        username: Username,
        /// What went wrong.
        source: PasswordError,
    },
    /// The catalog could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Others changed the catalog at every attempt.
    #[error("too many concurrent changes to the catalog: try again")]
    TooManyConcurrentChanges,
    /// The check of the datasets' files panicked or was cancelled.
    #[error("checking the datasets' files was interrupted")]
    FileCheckInterrupted,
}

/// Makes the catalog what `file` says, and reports what changed.
///
/// With `is_pruning`, items that the file does not name are removed, except for the admin role and
/// users of identity providers. `now_seconds` (since 1970 UTC) is the modification time of new files.
pub async fn apply(
    database: &Database,
    store: &FileStore,
    passwords: &Passwords,
    file: &CatalogFile,
    is_pruning: bool,
    now_seconds: i64,
) -> Result<ApplyReport, ApplyError> {
    let mut files = None;
    for _ in 0..MAX_ATTEMPTS {
        let catalog = database.read_catalog().await?;
        let current = CurrentCatalog::new(&catalog);
        check(file, &current, is_pruning).await?;
        let stored = match files.take() {
            Some(stored) => stored,
            None => store_files(store, file, now_seconds).await?,
        };
        let prepared = PreparedValues {
            hashes: hash_passwords(passwords, file, &current).await?,
            files: stored,
        };
        let mut plan = ApplyPlan::new(file, &current, &prepared, is_pruning);
        plan.report.version = catalog.version;
        if plan.is_empty() {
            return Ok(plan.report);
        }
        match database.write_catalog(&plan.change, catalog.version).await {
            Ok(version) => {
                plan.report.version = version;
                return Ok(plan.report);
            }
            Err(StorageError::Conflict { .. }) => files = Some(prepared.files),
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApplyError::TooManyConcurrentChanges)
}

async fn check(
    file: &CatalogFile,
    current: &CurrentCatalog<'_>,
    is_pruning: bool,
) -> Result<(), ApplyError> {
    let mut diagnostics = check_references(file, &current.names_known_to(file, is_pruning));
    let paths: Vec<_> = file
        .datasets
        .iter()
        .filter_map(|d| d.file.clone())
        .collect();
    let checked = tokio::task::spawn_blocking(move || check_files(&paths)).await;
    diagnostics.extend(checked.map_err(|_| ApplyError::FileCheckInterrupted)?);
    match file.diagnostics_with(diagnostics) {
        Some(invalid) => Err(invalid.into()),
        None => Ok(()),
    }
}

async fn store_files(
    store: &FileStore,
    file: &CatalogFile,
    now_seconds: i64,
) -> Result<BTreeMap<PathBuf, StoredFile>, ApplyError> {
    let mut stored = BTreeMap::new();
    for path in file.datasets.iter().filter_map(|d| d.file.as_ref()) {
        let path = path.get_ref();
        if !stored.contains_key(path) {
            let file = store.import(path, now_seconds).await?;
            stored.insert(path.clone(), file);
        }
    }
    Ok(stored)
}

/// Hashes the password of each user whose stored hash does not verify it yet.
async fn hash_passwords(
    passwords: &Passwords,
    file: &CatalogFile,
    current: &CurrentCatalog<'_>,
) -> Result<BTreeMap<Username, Secret<String>>, ApplyError> {
    let wanted = file.users.iter().filter_map(|user| {
        let credential = user.credential.as_ref()?;
        let username = user.username.get_ref();
        Some((username, credential, current.password_hash(username)))
    });
    let hashed = stream::iter(wanted)
        .map(async |(username, credential, stored)| {
            match new_hash(passwords, credential, stored).await {
                Ok(hash) => Ok(hash.map(|hash| (username.clone(), hash))),
                Err(source) => Err(ApplyError::Password {
                    username: username.clone(),
                    source,
                }),
            }
        })
        .buffer_unordered(passwords.cores());
    hashed
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await
}

/// The hash to store; none if the stored hash already verifies the password.
async fn new_hash(
    passwords: &Passwords,
    credential: &UserCredential,
    stored: Option<&Secret<String>>,
) -> Result<Option<Secret<String>>, PasswordError> {
    match credential {
        UserCredential::Hash(hash) => Ok(Some(hash.clone())),
        UserCredential::Password(password) => {
            if stored.is_some() && passwords.verify(stored, password, &[]).await? {
                return Ok(None);
            }
            passwords.hash(password).await.map(Some)
        }
    }
}

#[cfg(test)]
mod tests;
