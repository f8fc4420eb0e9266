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
    pub fn of(bundle: Bundle) -> Self {
        Self {
            current: ArcSwap::from_pointee(bundle),
        }
    }

    /// The bundle in force; what one question asks, it asks one bundle.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.current.load_full()
    }
}
