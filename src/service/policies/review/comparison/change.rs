//! The change of a decision, and an example of one.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::caller::DecisionContext;
use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;

use crate::service::policies::review::asked_contexts::{AskedContexts, ContextSet};
use crate::service::policies::review::pair_classes::ActionOutcome;

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

    /// The contexts of an outcome in which a decision changes so.
    pub(super) fn contexts(self, outcome: ActionOutcome) -> ContextSet {
        match self {
            Self::Gains => outcome.after & !outcome.before,
            Self::Loses => outcome.before & !outcome.after,
            Self::Shortens => outcome.shorter,
            Self::Lengthens => outcome.longer,
        }
    }
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

impl ChangeExample {
    /// A request in the first of some contexts.
    pub(super) fn new(
        asked: &AskedContexts,
        principal: Principal,
        dataset: &Arc<Dataset>,
        contexts: ContextSet,
    ) -> Option<Self> {
        let mut all = asked.examples().enumerate();
        let chosen = all.find(|(index, _)| contexts >> index & 1 == 1);
        let (_, place) = chosen?;
        Some(Self {
            context: asked.context(place, &principal, dataset),
            principal,
            dataset: Arc::clone(dataset),
        })
    }
}
