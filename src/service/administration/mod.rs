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
use super::catalog_cache::Facts;
use super::error::ServiceError;
use super::identity::authentication::Authenticator;
use super::identity::password::Passwords;
use super::policies::reload::PolicyReload;
use super::rate_limits::Limits;

pub use audit_log::AuditPage;
pub use operation::Errand;
pub use signing_keys::ListedKey;

/// How often a change is planned anew when others change the catalog meanwhile.
pub const MOST_ATTEMPTS: u32 = 10;

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
    pub door: Door,
    /// Changes of this process are made one after the other; others are found out by the version.
    pub turn: Mutex<()>,
}

/// Who may come in to administer.
pub enum Door {
    /// Whoever the policies let in.
    Guarded(Guard),
    /// Whoever holds the database itself.
    CommandLine,
}

/// What finds out who asks and what it may do.
pub struct Guard {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub limits: Arc<Limits>,
    /// What the policies say.
    pub decisions: Arc<Decisions>,
    /// What remembers it.
    pub audit: Arc<AuditTrail>,
    /// What has to forget.
    pub facts: Arc<Facts>,
    /// What reloads the policies.
    pub policies: Arc<PolicyReload>,
}

impl Administration {
    /// Administration for whoever the policies let in.
    #[must_use]
    pub fn guarded(
        database: Database,
        files: FileStore,
        passwords: Arc<Passwords>,
        clock: Clock,
        guard: Guard,
    ) -> Self {
        Self {
            database,
            files,
            passwords,
            clock,
            door: Door::Guarded(guard),
            turn: Mutex::default(),
        }
    }

    /// Administration for whoever holds the database itself.
    #[must_use]
    pub fn at_command_line(
        database: Database,
        files: FileStore,
        passwords: Passwords,
        clock: Clock,
    ) -> Self {
        Self {
            database,
            files,
            passwords: Arc::new(passwords),
            clock,
            door: Door::CommandLine,
            turn: Mutex::new(()),
        }
    }

    /// Waits until no other change of this process is being made.
    pub(super) async fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Writes a change that was planned on the catalog at `version`, together with the errand's
    /// record; false when the catalog has changed since, so that it has to be planned anew.
    pub(super) async fn write(
        &self,
        errand: &mut Errand,
        mut change: CatalogChange,
        version: i64,
    ) -> Result<bool, ServiceError> {
        change.records.push(errand.granted());
        match self.database.write_catalog(&change, version).await {
            Ok(_) => self.take_effect(errand).await,
            Err(StorageError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Puts in force what was just written together with the errand's record.
    pub(super) async fn take_effect(&self, errand: &mut Errand) {
        errand.settle();
        if let Door::Guarded(guard) = &self.door {
            // In force here at once; that it is written counts, whether or not it can be read now.
            if let Err(error) = guard.facts.refresh().await {
                tracing::warn!(%error, "a change was written, and could not be read");
            }
        }
    }
}

/// What a change is answered with that others overtook again and again.
pub(super) fn overtaken() -> ServiceError {
    ServiceError::Unavailable {
        what: "the catalog",
        source: "it was changed by others at every attempt".into(),
    }
}
