//! Administration of users, roles, datasets, shares, policies and keys, and of the audit log.
//!
//! The policies decide about every operation, and every operation is on record, a change in one
//! transaction with its record ([`mod@operation`], [`mod@attempts`]). Whoever has access to the database itself, at the
//! command line, needs no permission, and its changes are on record too.

pub mod access_lists;
mod api_keys;
mod attempts;
mod attribute_input;
mod audit_log;
mod audit_redaction;
mod change_summary;
mod dataset_files;
pub mod dataset_input;
mod datasets;
pub mod drafts;
pub mod explanations;
mod identity_providers;
mod list_turns;
mod operation;
mod passwords;
mod policies;
pub mod policy_revisions;
pub mod policy_usage;
mod privilege_questions;
mod privileges;
mod role_changes;
mod roles;
mod sessions;
pub mod share_end_input;
pub mod shares;
mod signing_keys;
pub mod usage_counter;
pub mod user_input;
pub mod users;
mod visible_names;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::domain::issuer::{ExternalIssuer, admin_issuers};
use crate::files::FileStore;
use crate::storage::Database;

use super::access::decisions::Decisions;
use super::audit_trail::AuditTrail;
use super::catalog_cache::CatalogCache;
use super::catalog_snapshots::CatalogSnapshots;
use super::error::ServiceError;
use super::fair_turns::{FairTurns, TurnLimits};
use super::identity::authentication::Authenticator;
use super::identity::password::Passwords;
use super::policies::drafts::DraftStore;
use super::policies::reload::PolicyReloader;
use super::rate_limits::RateLimits;

pub use operation::Precondition;
pub use policies::PoliciesView;
pub use signing_keys::SigningKeyInfo;

/// One change of the catalog is written at a time, and of one user one waits for that.
const WRITE_TURNS: TurnLimits = TurnLimits {
    total: 1,
    per_user: 1,
    per_network: 16,
    wait: Duration::from_secs(10),
    what: "the catalog",
};

/// Reading and checking drafts takes as long as their policies are many; one user has one draft worked on at a time.
const DRAFT_TURNS: TurnLimits = TurnLimits {
    total: 2,
    per_user: 1,
    per_network: 2,
    wait: Duration::from_secs(20),
    what: "working on drafts",
};

/// A review of the whole catalog takes a processor for as long as it lasts: one at a time.
const REVIEW_TURNS: TurnLimits = TurnLimits {
    total: 1,
    per_user: 1,
    per_network: 1,
    wait: Duration::from_secs(10),
    what: "reviewing a draft",
};

/// The most proofs of drafts that run at once, each with solvers on all cores.
const MAX_PROOFS: usize = 2;

/// A proof of a draft takes all cores for as long as the policy gate may take.
const PROOF_TURNS: TurnLimits = TurnLimits {
    total: MAX_PROOFS,
    per_user: 1,
    per_network: MAX_PROOFS,
    wait: Duration::from_secs(10),
    what: "proving drafts",
};

/// A draft that is being published is what the next one has to start from.
const PUBLISH_TURNS: TurnLimits = TurnLimits {
    total: 1,
    per_user: 1,
    per_network: 1,
    wait: Duration::from_secs(10),
    what: "publishing drafts",
};

/// Each upload has a piece of its file in memory.
const UPLOAD_TURNS: TurnLimits = TurnLimits {
    total: 8,
    per_user: 2,
    per_network: 4,
    wait: Duration::from_secs(10),
    what: "uploading",
};

/// Administrative operations on everything that the server stores.
pub struct Administration {
    /// The users, roles, datasets and audit records.
    pub database: Database,
    /// The files of datasets.
    pub files: FileStore,
    /// The password hasher.
    pub passwords: Arc<Passwords>,
    /// The time.
    pub clock: Clock,
    /// Whom to let in.
    pub access: AdminAccess,
    /// The configured identity providers whose tokens can make somebody an admin.
    admin_issuers: Vec<String>,
    /// Serializes the changes of this process; those of others show in the catalog's version.
    write_turns: FairTurns,
    /// Shares out uploads and imports.
    upload_turns: FairTurns,
    /// The drafts of the policies.
    drafts: DraftStore,
    /// Shares out the work on drafts.
    draft_turns: FairTurns,
    /// Shares out reviews of the whole catalog.
    review_turns: FairTurns,
    /// The catalog that they look at.
    catalog_snapshots: Arc<CatalogSnapshots>,
    /// Shares out proofs of drafts.
    proof_turns: FairTurns,
    /// Lets one draft be published at a time.
    publish_turns: FairTurns,
}

/// Who may run administrative operations.
pub enum AdminAccess {
    /// Authenticated callers, as the policies decide.
    Policies(AdminDependencies),
    /// Whoever has access to the database itself.
    Local,
}

/// What it takes to authenticate, authorize and record callers.
pub struct AdminDependencies {
    /// Authenticates callers.
    pub authenticator: Arc<Authenticator>,
    /// Limits their requests.
    pub rate_limits: Arc<RateLimits>,
    /// Asks the policies in force.
    pub decisions: Arc<Decisions>,
    /// Writes audit records.
    pub audit: Arc<AuditTrail>,
    /// Caches the catalog; refreshed after each change.
    pub catalog_cache: Arc<CatalogCache>,
    /// Reloads the policies.
    pub reloader: Arc<PolicyReloader>,
}

impl Administration {
    /// Administration by authenticated callers, as the policies decide.
    #[must_use]
    pub fn with_policies(
        database: Database,
        files: FileStore,
        passwords: Arc<Passwords>,
        clock: Clock,
        dependencies: AdminDependencies,
    ) -> Self {
        let providers = &dependencies.authenticator.identity_providers;
        Self {
            admin_issuers: providers.admin_issuers(),
            database,
            files,
            passwords,
            clock,
            access: AdminAccess::Policies(dependencies),
            write_turns: FairTurns::new(WRITE_TURNS),
            upload_turns: FairTurns::new(UPLOAD_TURNS),
            drafts: DraftStore::default(),
            draft_turns: FairTurns::new(DRAFT_TURNS),
            review_turns: FairTurns::new(REVIEW_TURNS),
            catalog_snapshots: Arc::default(),
            proof_turns: FairTurns::new(PROOF_TURNS),
            publish_turns: FairTurns::new(PUBLISH_TURNS),
        }
    }

    /// An error if there is no room for anything new; whoever has the database itself sees the disk.
    fn require_disk_space(&self) -> Result<(), ServiceError> {
        match &self.access {
            AdminAccess::Policies(dependencies) => dependencies.audit.disk_space.require(),
            AdminAccess::Local => Ok(()),
        }
    }

    /// Administration by whoever has access to the database itself.
    #[must_use]
    pub fn local(
        database: Database,
        files: FileStore,
        passwords: Passwords,
        clock: Clock,
        issuers: &[ExternalIssuer],
    ) -> Self {
        Self {
            admin_issuers: admin_issuers(issuers.iter()),
            database,
            files,
            passwords: Arc::new(passwords),
            clock,
            access: AdminAccess::Local,
            write_turns: FairTurns::new(WRITE_TURNS),
            upload_turns: FairTurns::new(UPLOAD_TURNS),
            drafts: DraftStore::default(),
            draft_turns: FairTurns::new(DRAFT_TURNS),
            review_turns: FairTurns::new(REVIEW_TURNS),
            catalog_snapshots: Arc::default(),
            proof_turns: FairTurns::new(PROOF_TURNS),
            publish_turns: FairTurns::new(PUBLISH_TURNS),
        }
    }
}
