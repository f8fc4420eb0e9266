//! Health: whether everything that the server depends on is available.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::decision::Revision;
use crate::policy::LiveBundle;

use super::audit_trail::AuditTrail;
use super::catalog_cache::CatalogCache;
use super::disk_space::DiskLevel;
use super::identity::identity_providers::IdentityProviders;
use super::identity::session_sweeper::SessionSweeper;
use super::policies::reload::PolicyReloader;
use super::readiness_probe::{ProbeResult, ReadinessProbe};

/// The result of a health check.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// What prevents serving, a sentence each; sentences never contain secrets.
    pub failures: Vec<String>,
    /// What is wrong while the server can still serve.
    pub warnings: Vec<String>,
    /// The revision of the current policies.
    pub revision: Revision,
    /// The revision of the current policies with their cases and invariants.
    pub folder_revision: String,
    /// That of the policy folder, if it is refused.
    pub refused_folder_revision: Option<String>,
}

/// Checks everything that the server depends on.
pub struct Health {
    /// Tries the database, the signing key and the file store.
    pub probe: Arc<ReadinessProbe>,
    /// The catalog, which has to be followed.
    pub catalog_cache: Arc<CatalogCache>,
    /// The audit trail.
    pub audit: Arc<AuditTrail>,
    /// The current policies.
    pub bundle: Arc<LiveBundle>,
    /// The status of policy reloads.
    pub policies: Arc<PolicyReloader>,
    /// The status of identity providers.
    pub identity_providers: Arc<IdentityProviders>,
    /// Compares the clock with the audit log.
    pub session_sweeper: Arc<SessionSweeper>,
}

impl Health {
    /// Checks everything; what costs something is checked at most once a second.
    pub async fn check(&self) -> Readiness {
        let ProbeResult {
            is_database_writable,
            is_key_usable,
            is_file_store_available,
        } = self.probe.result().await;
        let mut failures = Vec::new();
        if !is_database_writable {
            failures.push("the database is not available".to_owned());
        } else if !self.catalog_cache.is_followed() {
            failures.push("changes of the catalog cannot be read from the database".to_owned());
        }
        if !is_key_usable {
            failures.push("tokens cannot be signed".to_owned());
        }
        let mut warnings = Vec::new();
        if !self.probe.are_keys_up_to_date() {
            warnings.push("the signing keys in the database cannot be opened".to_owned());
        }
        if self.audit.is_failing() {
            // Only a warning: it takes a request to find out that records can be written again.
            warnings.push("the last audit records could not be written".to_owned());
        }
        match self.audit.disk_space.level() {
            DiskLevel::Enough => {}
            DiskLevel::Low => warnings.push("free disk space is low".to_owned()),
            DiskLevel::BelowFloor => warnings.push(
                "free disk space is below the floor: uploads and new objects are refused"
                    .to_owned(),
            ),
        }
        if !is_file_store_available {
            warnings.push("the file store is not available: downloads fail".to_owned());
        }
        for store in self.probe.failing_stores() {
            warnings.push(format!(
                "the store {store} is not available: downloads from it fail"
            ));
        }
        for action in Action::RESTRICTING_ACTIONS {
            if !self.bundle.current().declares(action) {
                warnings.push(format!(
                    "the policy schema does not declare the action {action}"
                ));
            }
        }
        let reload = self.policies.status();
        let mut refused_folder_revision = None;
        if let Some(rejected) = reload.rejected {
            // Anybody may see this: which file has which error is for the log and administrators.
            let kind = rejected.reason.kind();
            let is_under_way = rejected.is_under_way();
            let what = match reload.proof_percent {
                Some(percent) if is_under_way || reload.is_closed => {
                    format!("the policy folder is being proved ({percent} %)")
                }
                _ if is_under_way => "the policy folder is being proved".to_owned(),
                _ => format!("the policy folder is refused ({kind})"),
            };
            if reload.is_closed {
                failures.push(format!("{what}: no policies are in force"));
            } else {
                warnings.push(format!("{what}: earlier policies are in force"));
            }
            if !is_under_way {
                refused_folder_revision.clone_from(&rejected.folder_revision);
            }
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
        if let Some(seconds) = self.session_sweeper.seconds_behind() {
            warnings.push(format!(
                "the clock is {seconds} s behind the newest audit record"
            ));
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
            folder_revision: reload.folder_revision,
            refused_folder_revision,
        }
    }
}
