//! The initial policies: what comes into force when the server starts.

use std::sync::Arc;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::policy::{Bundle, BundleError};

use super::gate::PolicyGate;
use super::last_good::{LastGoodError, LastGoodFile};
use super::rejection::{RejectedBundle, RejectionReason};
use super::snapshot::FolderSnapshot;
use super::status::ReloadStatus;

/// Why the server cannot start with its policies.
#[derive(Debug, thiserror::Error)]
pub enum PolicyStartError {
    /// The folder is not valid, and there are no last good policies.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// The folder does not pass the gate, and the last good policies cannot be used.
    #[error("the policies are refused, {summary}; and there is no fallback: {last_good}")]
    Rejected {
        /// Why they are refused.
        summary: String,
        /// Why the last good policies cannot be used.
        last_good: LastGoodError,
    },
}

/// Why the policies in force are not known.
#[derive(Debug, thiserror::Error)]
pub enum ActiveBundleError {
    /// The policies that the settings name are not valid, and there are no last good ones.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// The last good policies cannot be used.
    #[error(transparent)]
    LastGood(#[from] LastGoodError),
}

/// Loads the policies in force: those that a server on this data directory activated last, or, if there
/// are none, those that the settings name. The folder may hold an edit that was refused or not checked.
pub fn load_active_bundle(settings: &Settings) -> Result<Bundle, ActiveBundleError> {
    let Some(folder) = &settings.policy_dir else {
        return Ok(Bundle::embedded()?);
    };
    match LastGoodFile::in_data_dir(&settings.data_dir).load() {
        Err(error) if error.is_not_found() => Ok(Bundle::load(folder)?),
        loaded => Ok(loaded?),
    }
}

/// The policies to start with.
pub struct InitialPolicies {
    /// What comes into force.
    pub bundle: Arc<Bundle>,
    /// The fingerprint of the folder, if there is one.
    pub(super) fingerprint: Option<String>,
    pub(super) status: ReloadStatus,
}

/// Loads the policies to start with: the folder if it passes the gate, else the last good policies.
/// Blocks.
pub fn load_initial_policies(
    settings: &Settings,
    clock: &Clock,
) -> Result<InitialPolicies, PolicyStartError> {
    let Some(path) = &settings.policy_dir else {
        return Ok(InitialPolicies {
            bundle: Arc::new(Bundle::embedded()?),
            fingerprint: None,
            status: ReloadStatus::default(),
        });
    };
    // A folder that is still being modified is checked as it is: the watcher checks it again.
    let snapshot = FolderSnapshot::read(path)
        .until_stable(path)
        .unwrap_or_else(|| FolderSnapshot::read(path));
    let last_good = LastGoodFile::in_data_dir(&settings.data_dir);
    let checked = PolicyGate::from_settings(settings).check(snapshot);
    let (bundle, status) = match checked.result {
        Ok(accepted) => {
            accepted.log_unproved();
            let status = ReloadStatus {
                rejected: None,
                is_unsaved: !last_good.save(&accepted.folder),
                unproved: accepted.unproved,
            };
            (accepted.bundle, status)
        }
        Err(reason) => {
            let (bundle, reason) = load_fallback(&last_good, reason)?;
            let rejected = RejectedBundle {
                revision: checked.revision,
                unix_millis: clock.unix_millis(),
                reason,
            };
            let status = ReloadStatus {
                rejected: Some(Arc::new(rejected)),
                ..ReloadStatus::default()
            };
            (Arc::new(bundle), status)
        }
    };
    Ok(InitialPolicies {
        bundle,
        fingerprint: Some(checked.fingerprint),
        status,
    })
}

/// The last good policies, and why the folder is not used.
fn load_fallback(
    last_good: &LastGoodFile,
    reason: RejectionReason,
) -> Result<(Bundle, RejectionReason), PolicyStartError> {
    match (last_good.load(), reason) {
        (Ok(bundle), reason) => {
            tracing::error!(
                reasons = ?reason.lines(),
                revision = %bundle.revision(),
                "the policy folder is refused: the last good policies are in force"
            );
            Ok((bundle, reason))
        }
        (Err(error), RejectionReason::Invalid(invalid)) if error.is_not_found() => {
            Err(PolicyStartError::Invalid(invalid))
        }
        (Err(last_good), reason) => Err(PolicyStartError::Rejected {
            summary: reason.summary(),
            last_good,
        }),
    }
}
