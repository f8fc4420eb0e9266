//! The bundle in force, replaced atomically.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::action::Action;

use super::bundle::Bundle;

/// Holds the bundle in force.
#[derive(Debug)]
pub struct LiveBundle {
    current: ArcSwap<Bundle>,
}

impl LiveBundle {
    /// Starts with a bundle in force.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>) -> Self {
        warn_of_missing_actions(&bundle);
        Self {
            current: ArcSwap::new(bundle),
        }
    }

    /// Puts another bundle in force; requests in progress keep the one they have.
    pub fn replace(&self, bundle: Arc<Bundle>) {
        warn_of_missing_actions(&bundle);
        self.current.store(bundle);
    }

    /// The bundle in force; a request uses one bundle throughout.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.current.load_full()
    }
}

fn warn_of_missing_actions(bundle: &Bundle) {
    for action in Action::OPTIONAL_ACTIONS {
        if !bundle.declares(action) {
            tracing::warn!(
                %action,
                revision = %bundle.revision(),
                "the policy schema does not declare this action: it is not decided; copy the \
                 declaration from the shipped schema"
            );
        }
    }
}
