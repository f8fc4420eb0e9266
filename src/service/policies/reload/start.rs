//! The start: which policies come into force when there are none in force yet.
//!
//! This module refuses to know what becomes of the folder afterwards.

use std::sync::Arc;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::policy::{Bundle, BundleError};

use super::snapshot::FolderSnapshot;
use super::{
    LastGoodError, LastGoodFile, PolicyGate, RejectedBundle, RejectionReason, ReloadState,
    check_candidate, log_unproved, persist_last_good,
};

/// Why no policies could be put in force at the start.
#[derive(Debug, thiserror::Error)]
pub enum PolicyStartError {
    /// The folder is broken, and there are no last good policies in its place.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// The folder does not pass the gate, and there are no last good policies in its place.
    #[error("the policies are refused, {summary}; and nothing can be used instead: {last_good}")]
    Rejected {
        /// Why they are refused.
        summary: String,
        /// Why the last good ones cannot be used.
        last_good: LastGoodError,
    },
}

/// Why it cannot be told which policies are in force.
#[derive(Debug, thiserror::Error)]
pub enum ActiveBundleError {
    /// What the settings name is broken, and nothing was kept that was in force.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// What was kept cannot be used.
    #[error(transparent)]
    LastGood(#[from] LastGoodError),
}

/// The policies that a server on this data directory put in force last, or, where none did, those that
/// the settings name: the folder may hold an edit that is refused, or not judged yet.
pub fn load_active_bundle(settings: &Settings) -> Result<Bundle, ActiveBundleError> {
    let Some(folder) = &settings.policy_dir else {
        return Ok(Bundle::embedded()?);
    };
    match LastGoodFile::in_data_dir(&settings.data_dir).load() {
        Err(error) if error.is_not_found() => Ok(Bundle::load(folder)?),
        kept => Ok(kept?),
    }
}

/// What the start found.
pub struct InitialPolicies {
    /// What comes into force.
    pub bundle: Arc<Bundle>,
    pub(super) state: ReloadState,
}

/// Finds what comes into force at the start: the folder if it passes the gate, else the last good
/// policies. Blocks.
pub fn load_initial_policies(
    settings: &Settings,
    clock: &Clock,
) -> Result<InitialPolicies, PolicyStartError> {
    let Some(path) = &settings.policy_dir else {
        let bundle = Arc::new(Bundle::embedded()?);
        return Ok(InitialPolicies {
            bundle,
            state: ReloadState::default(),
        });
    };
    let last_good = LastGoodFile::in_data_dir(&settings.data_dir);
    // A folder that does not come to rest is judged as it is: the watcher looks at it again.
    let seen = FolderSnapshot::read_stable(path).unwrap_or_else(|| FolderSnapshot::read(path));
    let mut state = ReloadState {
        checked_fingerprint: Some(seen.fingerprint.clone()),
        ..ReloadState::default()
    };
    let revision = seen.revision();
    match check_candidate(PolicyGate::from_settings(settings), seen.folder) {
        Ok((passed, folder)) => {
            state.is_unsaved = !persist_last_good(&last_good, &folder);
            log_unproved(passed.unproved.as_deref());
            state.unproved = passed.unproved;
            Ok(InitialPolicies {
                bundle: passed.bundle,
                state,
            })
        }
        Err(why) => match last_good.load() {
            Ok(bundle) => {
                tracing::error!(
                    reasons = ?why.lines(),
                    revision = %bundle.revision(),
                    "the policy folder is refused: the last good policies are in force"
                );
                state.rejected = Some(Arc::new(RejectedBundle {
                    revision,
                    unix_millis: clock.unix_millis(),
                    reason: why,
                }));
                Ok(InitialPolicies {
                    bundle: Arc::new(bundle),
                    state,
                })
            }
            Err(last_good) => {
                tracing::debug!(%last_good, "there are no last good policies");
                Err(match (why, &last_good) {
                    (RejectionReason::Invalid(error), last_good) if last_good.is_not_found() => {
                        PolicyStartError::Invalid(error)
                    }
                    (why, _) => PolicyStartError::Rejected {
                        summary: why.summary(),
                        last_good,
                    },
                })
            }
        },
    }
}
