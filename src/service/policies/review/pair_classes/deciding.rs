//! The decisions of two bundles about one principal and one dataset, in every context that is asked in.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;

use crate::service::policies::review::asked_contexts::{AskedContexts, ContextSet};
use crate::service::policies::review::catalog_question::MAX_ERRORS;

/// The most pairs of a principal and a dataset that are kept to find out why nothing changes.
const MAX_KEPT_PAIRS: usize = 2_000;

/// What two bundles decide about an action: sets of contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::service::policies::review) struct ActionOutcome {
    /// Where it is permitted before.
    pub(in crate::service::policies::review) before: ContextSet,
    /// Where it is permitted after.
    pub(in crate::service::policies::review) after: ContextSet,
    /// Where it is permitted before and after, and tokens would live shorter.
    pub(in crate::service::policies::review) shorter: ContextSet,
    /// Where it is permitted before and after, and tokens would live longer.
    pub(in crate::service::policies::review) longer: ContextSet,
}

/// Decides, and remembers what is needed to tell why nothing changes.
pub(in crate::service::policies::review) struct PairDecider<'a> {
    pub(in crate::service::policies::review) from: &'a Bundle,
    pub(in crate::service::policies::review) to: &'a Bundle,
    /// The actions that are asked about.
    pub(in crate::service::policies::review) actions: &'a [Action],
    pub(in crate::service::policies::review) asked: AskedContexts,
    /// How many decisions were made.
    pub(in crate::service::policies::review) decided: u64,
    /// The evaluation errors of the bundle after.
    pub(in crate::service::policies::review) errors: BTreeSet<String>,
    /// The policies that determine a decision that changes, before or after.
    pub(in crate::service::policies::review) effective: BTreeSet<String>,
    /// The first pairs of a principal and a dataset that were decided about.
    pub(in crate::service::policies::review) pairs: Vec<(Principal, Arc<Dataset>)>,
    /// Whether there were more pairs.
    is_pair_left_out: bool,
}

impl<'a> PairDecider<'a> {
    pub(in crate::service::policies::review) fn new(
        from: &'a Bundle,
        to: &'a Bundle,
        actions: &'a [Action],
        asked: AskedContexts,
    ) -> Self {
        Self {
            from,
            to,
            actions,
            asked,
            decided: 0,
            errors: BTreeSet::new(),
            effective: BTreeSet::new(),
            pairs: Vec::new(),
            is_pair_left_out: false,
        }
    }

    /// Whether every pair that was decided about is kept.
    pub(in crate::service::policies::review) fn has_all_pairs(&self) -> bool {
        !self.is_pair_left_out
    }

    /// What both decide about a principal and a dataset, for each action.
    pub(in crate::service::policies::review) fn decide(
        &mut self,
        principal: &Principal,
        dataset: &Arc<Dataset>,
    ) -> Vec<ActionOutcome> {
        if self.pairs.len() < MAX_KEPT_PAIRS {
            self.pairs.push((principal.clone(), Arc::clone(dataset)));
        } else {
            self.is_pair_left_out = true;
        }
        let resource = Resource::Dataset(Arc::clone(dataset));
        let mut outcomes = vec![ActionOutcome::default(); self.actions.len()];
        for (set, place) in self.asked.of_principal(principal) {
            let context = self.asked.context(place, principal, dataset);
            for (action, outcome) in self.actions.iter().copied().zip(&mut outcomes) {
                let key = context.key.as_ref();
                let is_beyond =
                    key.is_some_and(|key| key.scope.violation(action, Some(dataset.id)).is_some());
                if is_beyond {
                    continue;
                }
                let before = self.from.decide(principal, action, &resource, &context);
                let after = self.to.decide(principal, action, &resource, &context);
                self.decided += 2;
                let is_shown = |is_in: bool| if is_in { set } else { 0 };
                outcome.before |= is_shown(before.is_permitted);
                outcome.after |= is_shown(after.is_permitted);
                let lives = before.is_permitted && after.is_permitted && action == Action::Read;
                outcome.shorter |= is_shown(lives && before.max_ttl > after.max_ttl);
                outcome.longer |= is_shown(lives && before.max_ttl < after.max_ttl);
                let is_changed = before.is_permitted != after.is_permitted
                    || (lives && before.max_ttl != after.max_ttl);
                if is_changed {
                    self.effective.extend(before.determining_policies);
                    self.effective.extend(after.determining_policies);
                }
                if self.errors.len() < MAX_ERRORS {
                    self.errors.extend(after.errors);
                }
            }
        }
        outcomes
    }
}
