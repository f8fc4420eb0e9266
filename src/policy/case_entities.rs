//! The entities of a case: its own, over those of the bundle.

use crate::domain::error_chain::error_chain;

use super::bundle_entities::BundleEntities;
use super::case_file::Case;

impl Case {
    /// The same case with the entities of the bundle under its own, as its request is decided.
    ///
    /// Fails, in words, where the two together are in a cycle.
    pub(super) fn over(mut self, bundle: &BundleEntities) -> Result<Self, String> {
        let all = bundle.under(&self.request, &self.entities);
        self.entities = all.map_err(|error| {
            format!(
                "its entities do not fit over those of the bundle: {}",
                error_chain(&*error)
            )
        })?;
        Ok(self)
    }
}
