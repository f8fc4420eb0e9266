//! Health: whether everything that the server depends on is available.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::decision::Revision;
use crate::files::FileStore;
use crate::policy::LiveBundle;
use crate::storage::Database;

use super::audit_trail::AuditTrail;
use super::identity::identity_providers::IdentityProviders;
use super::policies::reload::PolicyReloader;

/// The result of a health check.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// What prevents serving, a sentence each; sentences never contain secrets.
    pub failures: Vec<String>,
    /// What is wrong while the server can still serve.
    pub warnings: Vec<String>,
    /// The revision of the current policies.
    pub revision: Revision,
}

/// Checks everything that the server depends on.
pub struct Health {
    /// The database.
    pub database: Database,
    /// The audit trail.
    pub audit: Arc<AuditTrail>,
    /// The file store.
    pub files: FileStore,
    /// The current policies.
    pub bundle: Arc<LiveBundle>,
    /// The status of policy reloads.
    pub policies: Arc<PolicyReloader>,
    /// The status of identity providers.
    pub identity_providers: Arc<IdentityProviders>,
}

impl Health {
    /// Checks everything now.
    pub async fn check(&self) -> Readiness {
        let mut failures = Vec::new();
        if let Err(error) = self.database.ping().await {
            tracing::warn!(%error, "not ready: database unavailable");
            failures.push("the database is not available".to_owned());
        }
        let mut warnings = Vec::new();
        if self.audit.is_failing() {
            // Only a warning: it takes a request to find out that records can be written again.
            warnings.push("the last audit records could not be written".to_owned());
        }
        if let Err(error) = self.files.check_folder().await {
            tracing::warn!(%error, "degraded: file store unavailable");
            warnings.push("the file store is not available: downloads fail".to_owned());
        }
        for action in Action::OPTIONAL_ACTIONS {
            if !self.bundle.current().declares(action) {
                warnings.push(format!(
                    "the policy schema does not declare the action {action}"
                ));
            }
        }
        let reload = self.policies.status();
        if let Some(rejected) = reload.rejected {
            // Anybody may see this: which file has which error is for the log and administrators.
            let kind = rejected.reason.kind();
            warnings.push(format!(
                "the policy folder is refused ({kind}): earlier policies are in force"
            ));
        }
        if reload.unproved.is_some() {
            warnings.push(
                "the invariants of the policies were not proved: no solver available".to_owned(),
            );
        }
        warnings.extend(reload.unguarded.into_iter().map(str::to_owned));
        if reload.is_unsaved {
            warnings.push("the policies in force could not be saved for a restart".to_owned());
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
