//! Administration: seeing and changing users, roles, datasets and shares, reading the audit log.
//!
//! Everything here is asked of the policies like everything else, and is on record: a change
//! together with its record, in one transaction. Whoever holds the database itself, at the command
//! line, is asked nothing and is on record too. This module refuses to know HTTP.

pub mod api_keys;
mod audit_log;
mod change_summary;
pub mod dataset_files;
pub mod dataset_input;
pub mod datasets;
pub mod explanations;
mod identity_providers;
mod operation;
pub mod passwords;
mod policies;
pub mod roles;
pub mod sessions;
pub mod shares;
mod signing_keys;
pub mod user_input;
pub mod users;

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use crate::domain::clock::Clock;
use crate::files::FileStore;
use crate::storage::{CatalogChange, Database, StorageError};

use super::access::decisions::Decisions;
use super::audit_trail::AuditTrail;
use super::catalog_cache::CatalogCache;
use super::error::ServiceError;
use super::identity::authentication::Authenticator;
use super::identity::password::Passwords;
use super::policies::reload::PolicyReloader;
use super::rate_limits::RateLimits;

pub use audit_log::AuditPage;
pub use operation::AdminOperation;
pub use signing_keys::SigningKeyInfo;

/// How often a change is planned anew when others change the catalog meanwhile.
pub const MAX_RETRIES: u32 = 10;

/// Sees and changes what there is.
pub struct Administration {
    /// The users, roles and datasets.
    pub database: Database,
    /// The files.
    pub files: FileStore,
    /// What hashes passwords.
    pub passwords: Arc<Passwords>,
    /// The time.
    pub clock: Clock,
    /// Who may come in.
    pub access: AdminAccess,
    /// Changes of this process are made one after the other; others are found out by the version.
    pub write_lock: Mutex<()>,
}

/// Who may come in to administer.
pub enum AdminAccess {
    /// Whoever the policies let in.
    Policies(AdminDependencies),
    /// Whoever holds the database itself.
    Local,
}

/// What finds out who asks and what it may do.
pub struct AdminDependencies {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub rate_limits: Arc<RateLimits>,
    /// What the policies say.
    pub decisions: Arc<Decisions>,
    /// What remembers it.
    pub audit: Arc<AuditTrail>,
    /// What has to forget.
    pub catalog_cache: Arc<CatalogCache>,
    /// What reloads the policies.
    pub reloader: Arc<PolicyReloader>,
}

impl Administration {
    /// Administration for whoever the policies let in.
    #[must_use]
    pub fn with_policies(
        database: Database,
        files: FileStore,
        passwords: Arc<Passwords>,
        clock: Clock,
        guard: AdminDependencies,
    ) -> Self {
        Self {
            database,
            files,
            passwords,
            clock,
            access: AdminAccess::Policies(guard),
            write_lock: Mutex::default(),
        }
    }

    /// Administration for whoever holds the database itself.
    #[must_use]
    pub fn local(database: Database, files: FileStore, passwords: Passwords, clock: Clock) -> Self {
        Self {
            database,
            files,
            passwords: Arc::new(passwords),
            clock,
            access: AdminAccess::Local,
            write_lock: Mutex::new(()),
        }
    }

    /// Waits until no other change of this process is being made.
    pub(super) async fn lock_writes(&self) -> MutexGuard<'_, ()> {
        self.write_lock.lock().await
    }

    /// Writes a change that was planned on the catalog at `version`, together with the errand's
    /// record; false when the catalog has changed since, so that it has to be planned anew.
    pub(super) async fn write(
        &self,
        errand: &mut AdminOperation,
        mut change: CatalogChange,
        version: i64,
    ) -> Result<bool, ServiceError> {
        change.records.push(errand.granted_record());
        match self.database.write_catalog(&change, version).await {
            Ok(_) => self.refresh_cache(errand).await,
            Err(StorageError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Puts in force what was just written together with the errand's record.
    pub(super) async fn refresh_cache(&self, errand: &mut AdminOperation) {
        errand.mark_recorded();
        if let AdminAccess::Policies(guard) = &self.access {
            // In force here at once; that it is written counts, whether or not it can be read now.
            if let Err(error) = guard.catalog_cache.refresh().await {
                tracing::warn!(%error, "a change was written, and could not be read");
            }
        }
    }
}

/// What a change is answered with that others overtook again and again.
pub(super) fn too_many_concurrent_changes() -> ServiceError {
    ServiceError::Unavailable {
        what: "the catalog",
        source: "it was changed by others at every attempt".into(),
    }
}
