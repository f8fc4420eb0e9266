//! Health: whether everything that the work needs is there.
//!
//! This module refuses to know who asks and how it is told.

use std::sync::Arc;

use crate::domain::decision::Revision;
use crate::files::FileStore;
use crate::policy::LiveBundle;
use crate::storage::Database;

use super::audit_trail::AuditTrail;
use super::identity::identity_providers::IdentityProviders;
use super::policies::reload::PolicyReloader;

/// What a look at everything found.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// What stops the work, a sentence each; sentences never name secrets.
    pub failures: Vec<String>,
    /// What is wrong, though the work goes on.
    pub warnings: Vec<String>,
    /// The policies in force.
    pub revision: Revision,
}

/// Looks at everything that the work needs.
pub struct Health {
    /// The database.
    pub database: Database,
    /// The audit trail.
    pub audit: Arc<AuditTrail>,
    /// The files.
    pub files: FileStore,
    /// The policies in force.
    pub bundle: Arc<LiveBundle>,
    /// What reloads them.
    pub policies: Arc<PolicyReloader>,
    /// The outside issuers.
    pub identity_providers: Arc<IdentityProviders>,
}

impl Health {
    /// Looks at everything now.
    pub async fn check(&self) -> Readiness {
        let mut failures = Vec::new();
        if let Err(error) = self.database.ping().await {
            tracing::warn!(%error, "not ready");
            failures.push("the database is not available".to_owned());
        }
        let mut warnings = Vec::new();
        if self.audit.is_failing() {
            // Only a warning: it takes a request to find out that records can be written again.
            warnings.push("the last audit records could not be written".to_owned());
        }
        if let Err(error) = self.files.check_folder().await {
            tracing::warn!(%error, "degraded");
            warnings.push("the file store is not available: downloads fail".to_owned());
        }
        let standing = self.policies.status();
        if let Some(edit) = standing.rejected {
            // Anybody may ask: what is wrong in which file, the log and administrators are told.
            let kind = edit.reason.kind();
            warnings.push(format!(
                "the policy folder is refused ({kind}): earlier policies are in force"
            ));
        }
        if standing.unproved.is_some() {
            warnings.push(
                "the invariants of the policies were not proved: there is no solver".to_owned(),
            );
        }
        if standing.is_unsaved {
            warnings.push("the policies in force could not be kept for a restart".to_owned());
        }
        self.identity_providers.fetch_in_background();
        for status in self.identity_providers.status() {
            if status.last_error.is_some() {
                let issuer = status.issuer;
                warnings.push(format!("the keys of the issuer {issuer} cannot be fetched"));
            }
        }
        Readiness {
            failures,
            warnings,
            revision: self.bundle.current().revision().clone(),
        }
    }
}
