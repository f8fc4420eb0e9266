//! The change of a decision, and an example of one.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::caller::DecisionContext;
use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;

/// The change of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionChange {
    /// It was denied and would be permitted.
    Gains,
    /// It was permitted and would be denied.
    Loses,
    /// It is permitted before and after, and tokens would live shorter.
    Shortens,
    /// It is permitted before and after, and tokens would live longer.
    Lengthens,
}

impl DecisionChange {
    /// All kinds of changes.
    pub(super) const ALL: [Self; 4] = [Self::Gains, Self::Loses, Self::Shortens, Self::Lengthens];
}

/// One request whose decision changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeExample {
    /// The principal.
    pub principal: Principal,
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// A context in which the decision changes.
    pub context: DecisionContext,
}
