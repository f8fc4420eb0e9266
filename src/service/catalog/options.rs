//! How a catalog file is applied, and how far that has come.

use tokio_util::sync::CancellationToken;

use super::error::ApplyError;
use super::removals::RemovalLimits;
use crate::domain::clock::Clock;
use crate::policy::attributes::DeclaredAttributes;
use crate::storage::SignInConditions;

/// How to apply a catalog file.
pub struct ApplyOptions<'a> {
    /// Whether to remove what the file does not name, except for the admin role and users of identity providers.
    pub is_pruning: bool,
    /// Whether to take over users that no catalog file and no command line created.
    pub is_adopting: bool,
    /// The attributes that the schema of the policies in force declares, or why it is not known.
    pub declared: Result<DeclaredAttributes, String>,
    /// Whether to change nothing, and only report what would change.
    pub is_dry_run: bool,
    /// How much may be removed.
    pub removal_limits: RemovalLimits,
    /// The modification time of new files, and the time of the audit record.
    pub clock: Clock,
    /// The identity providers whose tokens can make somebody an admin.
    pub admin_issuers: Vec<String>,
    /// Cancelled to stop before the change is committed, or to leave what is staged then to others.
    pub stop: CancellationToken,
    /// Is told how far it has come.
    pub progress: &'a (dyn Fn(ApplyProgress) + Send + Sync),
}

/// How far applying a catalog file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyProgress {
    /// What is being done.
    pub step: ApplyStep,
    /// How many items are done.
    pub done: usize,
    /// How many there are, as far as that is known.
    pub total: usize,
}

/// What is being done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum ApplyStep {
    /// The files of datasets are stored.
    #[strum(serialize = "storing files")]
    StoringFiles,
    /// Passwords are checked and hashed.
    #[strum(serialize = "checking passwords")]
    CheckingPasswords,
    /// Another process applies a catalog file.
    #[strum(serialize = "waiting for another catalog apply")]
    WaitingForAnother,
    /// What an interrupted process left is cleaned up.
    #[strum(serialize = "cleaning up an interrupted catalog apply")]
    CleaningUp,
    /// The catalog is read.
    #[strum(serialize = "reading the catalog")]
    Reading,
    /// Changed datasets are staged: nobody sees them yet.
    #[strum(serialize = "staging datasets")]
    Staging,
    /// The change is in force, and staged datasets are moved to where they belong.
    #[strum(serialize = "applied; moving staged datasets")]
    Settling,
}

impl ApplyOptions<'_> {
    /// Neither removes nor takes over anything, takes no attributes, and tells nobody how far it has come.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            is_pruning: false,
            is_adopting: false,
            declared: Err("no policies are loaded".to_owned()),
            is_dry_run: false,
            removal_limits: RemovalLimits::default(),
            clock,
            admin_issuers: Vec::new(),
            stop: CancellationToken::new(),
            progress: &|_| {},
        }
    }

    /// What it depends on whether an admin can sign in.
    pub(super) fn sign_in_conditions(&self) -> SignInConditions {
        SignInConditions {
            now: self.clock.unix_seconds(),
            admin_issuers: self.admin_issuers.clone(),
        }
    }

    /// An error if it is to stop.
    pub(super) fn check_stop(&self) -> Result<(), ApplyError> {
        if self.stop.is_cancelled() {
            Err(ApplyError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Tells how far it has come.
    pub(super) fn report(&self, step: ApplyStep, done: usize, total: usize) {
        (self.progress)(ApplyProgress { step, done, total });
    }
}
