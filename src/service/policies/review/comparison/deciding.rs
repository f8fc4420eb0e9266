//! The decisions of two bundles about one principal and one dataset, in every context that is asked in.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;

use super::change::{ChangeExample, DecisionChange};
use crate::service::policies::review::asked_contexts::{AskedContexts, CallerKind, ContextSet};

/// The actions that are compared.
pub(super) const ACTIONS: [Action; 3] = Action::DATASET_ACTIONS;
/// The most evaluation errors that a comparison lists.
const MAX_ERRORS: usize = 20;
/// The most pairs of a principal and a dataset that are kept to find out why nothing changes.
const MAX_KEPT_PAIRS: usize = 2_000;

/// The changes for one principal and one dataset, for each action.
pub(super) type ActionChanges = [ContextChanges; ACTIONS.len()];

/// The contexts in which a decision changes, for each kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContextChanges {
    contexts: [ContextSet; DecisionChange::ALL.len()],
}

impl ContextChanges {
    /// The contexts of a change.
    pub(super) fn of(&self, change: DecisionChange) -> ContextSet {
        let changes = DecisionChange::ALL.iter().zip(self.contexts);
        let mut matching = changes.filter(|(of, _)| **of == change);
        matching.next().map_or(0, |(_, contexts)| contexts)
    }

    fn add(&mut self, change: DecisionChange, contexts: ContextSet) {
        for (of, all) in DecisionChange::ALL.iter().zip(&mut self.contexts) {
            if *of == change {
                *all |= contexts;
            }
        }
    }
}

/// Decides, and remembers what is needed to tell why nothing changes.
pub(super) struct Decider<'a> {
    pub(super) from: &'a Bundle,
    pub(super) to: &'a Bundle,
    pub(super) asked: AskedContexts,
    /// How many decisions were made.
    pub(super) decided: u64,
    /// The evaluation errors of the bundle after.
    pub(super) errors: BTreeSet<String>,
    /// The policies that determine a decision that changes, before or after.
    pub(super) effective: BTreeSet<String>,
    /// The first pairs of a principal and a dataset that were decided about.
    pub(super) pairs: Vec<(Principal, Arc<Dataset>)>,
}

impl<'a> Decider<'a> {
    pub(super) fn new(from: &'a Bundle, to: &'a Bundle, asked: AskedContexts) -> Self {
        Self {
            from,
            to,
            asked,
            decided: 0,
            errors: BTreeSet::new(),
            effective: BTreeSet::new(),
            pairs: Vec::new(),
        }
    }

    /// A request in the first of some contexts.
    pub(super) fn example(
        &self,
        principal: Principal,
        dataset: &Arc<Dataset>,
        contexts: ContextSet,
    ) -> Option<ChangeExample> {
        let all = self.asked.examples().enumerate();
        let mut chosen = all.filter(|(index, _)| contexts >> index & 1 == 1);
        let (_, (address, second, caller)) = chosen.next()?;
        Some(ChangeExample {
            context: caller.context(&principal, dataset, (address, second)),
            principal,
            dataset: Arc::clone(dataset),
        })
    }

    /// The changes for a principal and a dataset.
    pub(super) fn changes(
        &mut self,
        principal: &Principal,
        dataset: &Arc<Dataset>,
    ) -> ActionChanges {
        if self.pairs.len() < MAX_KEPT_PAIRS {
            self.pairs.push((principal.clone(), Arc::clone(dataset)));
        }
        let resource = Resource::Dataset(Arc::clone(dataset));
        let mut changes = ActionChanges::default();
        let contexts: Vec<_> = self.asked.iter().enumerate().collect();
        let callers = self.asked.callers.len();
        for (index, (address, second, caller)) in contexts {
            // Nobody who did not sign in calls with a key: all callers are the same one.
            let same = if principal.is_anonymous() { callers } else { 1 };
            if same > 1 && caller != CallerKind::SignedIn {
                continue;
            }
            let set = (0..same).fold(0, |set, more| set | 1 << (index + more));
            let context = caller.context(principal, dataset, (address, second));
            for (action, changes) in ACTIONS.into_iter().zip(&mut changes) {
                let key = context.key.as_ref();
                let is_beyond =
                    key.is_some_and(|key| key.scope.violation(action, Some(dataset.id)).is_some());
                if is_beyond {
                    continue;
                }
                let before = self.from.decide(principal, action, &resource, &context);
                let after = self.to.decide(principal, action, &resource, &context);
                self.decided += 2;
                let change = DecisionChange::between(action, &before, &after);
                if let Some(change) = change {
                    changes.add(change, set);
                    self.effective.extend(before.determining_policies);
                    self.effective.extend(after.determining_policies);
                }
                if self.errors.len() < MAX_ERRORS {
                    self.errors.extend(after.errors);
                }
            }
        }
        changes
    }
}

impl DecisionChange {
    /// The change from one decision to another, if they differ in what a caller gets.
    fn between(action: Action, before: &Decision, after: &Decision) -> Option<Self> {
        match (before.is_permitted, after.is_permitted) {
            (false, true) => Some(Self::Gains),
            (true, false) => Some(Self::Loses),
            (true, true) if action == Action::Read && before.max_ttl > after.max_ttl => {
                Some(Self::Shortens)
            }
            (true, true) if action == Action::Read && before.max_ttl < after.max_ttl => {
                Some(Self::Lengthens)
            }
            (true, true) | (false, false) => None,
        }
    }
}
