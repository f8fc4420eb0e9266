//! The bundle in force, replaced atomically.

use std::sync::Arc;

use arc_swap::ArcSwap;

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
        Self {
            current: ArcSwap::new(bundle),
        }
    }

    /// Puts another bundle in force; requests in progress keep the one they have.
    pub fn replace(&self, bundle: Arc<Bundle>) {
        self.current.store(bundle);
    }

    /// The bundle in force; a request uses one bundle throughout.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.current.load_full()
    }
}
