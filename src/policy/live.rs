//! The bundle in force, replaced atomically.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::domain::action::Action;

use super::bundle::Bundle;

/// Holds the bundle in force.
#[derive(Debug)]
pub struct LiveBundle {
    current: ArcSwap<Bundle>,
    /// Whether nothing is in force yet.
    is_closed: AtomicBool,
}

impl LiveBundle {
    /// Starts with a bundle in force.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>) -> Self {
        warn_of_missing_actions(&bundle);
        Self {
            current: ArcSwap::new(bundle),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Starts without policies in force: until the first are, nothing is decided. `bundle` permits nothing.
    #[must_use]
    pub fn closed(bundle: Arc<Bundle>) -> Self {
        Self {
            is_closed: AtomicBool::new(true),
            ..Self::new(bundle)
        }
    }

    /// Puts another bundle in force; requests in progress keep the one they have.
    pub fn replace(&self, bundle: Arc<Bundle>) {
        warn_of_missing_actions(&bundle);
        self.current.store(bundle);
        self.is_closed.store(false, Ordering::Release);
    }

    /// Whether no policies are in force yet.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// The bundle in force; a request uses one bundle throughout.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.current.load_full()
    }
}

fn warn_of_missing_actions(bundle: &Bundle) {
    for action in Action::RESTRICTING_ACTIONS {
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
