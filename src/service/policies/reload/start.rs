//! The start: which policies come into force when there are none in force yet.
//!
//! This module refuses to know what becomes of the folder afterwards.

use std::sync::Arc;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::policy::{Bundle, BundleError};

use super::snapshot::Seen;
use super::{
    Gate, LastGood, LastGoodError, Refusal, RefusedEdit, State, judge, keep, tell_unproved,
};

/// Why no policies could be put in force at the start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder is broken, and there are no last good policies in its place.
    #[error(transparent)]
    Broken(#[from] BundleError),
    /// The folder does not pass the gate, and there are no last good policies in its place.
    #[error("the policies are refused, {told}; and nothing can be used instead: {last_good}")]
    Refused {
        /// Why they are refused.
        told: String,
        /// Why the last good ones cannot be used.
        last_good: LastGoodError,
    },
}

/// Why it cannot be told which policies are in force.
#[derive(Debug, thiserror::Error)]
pub enum InForceError {
    /// What the settings name is broken, and nothing was kept that was in force.
    #[error(transparent)]
    Broken(#[from] BundleError),
    /// What was kept cannot be used.
    #[error(transparent)]
    LastGood(#[from] LastGoodError),
}

/// The policies that a server on this data directory put in force last, or, where none did, those that
/// the settings name: the folder may hold an edit that is refused, or not judged yet.
pub fn in_force(settings: &Settings) -> Result<Bundle, InForceError> {
    let Some(folder) = &settings.policy_dir else {
        return Ok(Bundle::embedded()?);
    };
    match LastGood::in_data_dir(&settings.data_dir).read() {
        Err(error) if error.is_absence() => Ok(Bundle::load(folder)?),
        kept => Ok(kept?),
    }
}

/// What the start found.
pub struct Start {
    /// What comes into force.
    pub bundle: Arc<Bundle>,
    pub(super) state: State,
}

/// Finds what comes into force at the start: the folder if it passes the gate, else the last good
/// policies. Blocks.
pub fn begin(settings: &Settings, clock: &Clock) -> Result<Start, StartError> {
    let Some(path) = &settings.policy_dir else {
        let bundle = Arc::new(Bundle::embedded()?);
        return Ok(Start {
            bundle,
            state: State::default(),
        });
    };
    let last_good = LastGood::in_data_dir(&settings.data_dir);
    // A folder that does not come to rest is judged as it is: the watcher looks at it again.
    let seen = Seen::settled(path).unwrap_or_else(|| Seen::now(path));
    let mut state = State {
        judged: Some(seen.fingerprint.clone()),
        ..State::default()
    };
    let revision = seen.revision();
    match judge(Gate::of(settings), seen.folder) {
        Ok((passed, folder)) => {
            state.unkept = !keep(&last_good, &folder);
            tell_unproved(passed.unproved.as_deref());
            state.unproved = passed.unproved;
            Ok(Start {
                bundle: passed.bundle,
                state,
            })
        }
        Err(why) => match last_good.read() {
            Ok(bundle) => {
                tracing::error!(
                    reasons = ?why.lines(),
                    revision = %bundle.revision(),
                    "the policy folder is refused: the last good policies are in force"
                );
                state.refused = Some(Arc::new(RefusedEdit {
                    revision,
                    unix_millis: clock.unix_millis(),
                    why,
                }));
                Ok(Start {
                    bundle: Arc::new(bundle),
                    state,
                })
            }
            Err(last_good) => {
                tracing::debug!(%last_good, "there are no last good policies");
                Err(match (why, &last_good) {
                    (Refusal::Broken(error), last_good) if last_good.is_absence() => {
                        StartError::Broken(error)
                    }
                    (why, _) => StartError::Refused {
                        told: why.told(),
                        last_good,
                    },
                })
            }
        },
    }
}
