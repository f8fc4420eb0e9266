//! The bundle in force: one at a time, replaced whole.
//!
//! This module refuses to know where bundles come from.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::bundle::Bundle;

/// Holds the bundle that decides.
#[derive(Debug)]
pub struct LiveBundle {
    current: ArcSwap<Bundle>,
}

impl LiveBundle {
    /// Puts a first bundle in force.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>) -> Self {
        Self {
            current: ArcSwap::new(bundle),
        }
    }

    /// Puts another bundle in force; questions that were begun end with the one they asked.
    pub fn replace(&self, bundle: Arc<Bundle>) {
        self.current.store(bundle);
    }

    /// The bundle in force; what one question asks, it asks one bundle.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.current.load_full()
    }
}
