//! What is remembered of a proof: of each policy what holds in all environments.

use std::collections::BTreeSet;

use super::environment::InvariantFindings;
use super::subject::{MEETS, NEVER_FAILS, PendingPolicy, ProofSubject};

impl ProofSubject {
    /// Remembers what was proved of some policies, from the findings of all environments: only what was proved in each of
    /// them by itself, whatever is not known of other policies or invariants.
    pub(super) fn remember_proved(&self, policies: &[PendingPolicy], found: &[InvariantFindings]) {
        let is_proved = |policy, statement| {
            let mut all = found.iter();
            all.all(|environment| environment.proved.contains(&(policy, statement)))
        };
        let context = &self.recollection.context;
        for pending in policies {
            let Some(policy) = self.policies.get(pending.policy) else {
                continue;
            };
            if pending.may_fail && is_proved(pending.policy, None) {
                let question = policy.question(NEVER_FAILS, context, &[]);
                self.remember_question(question, &BTreeSet::new());
            }
            for number in &pending.statements {
                let Some(statement) = self.statements.get(*number) else {
                    continue;
                };
                if is_proved(pending.policy, Some(*number)) {
                    let known = (pending.policy, *number);
                    let supports = found.iter().filter_map(|found| found.supports.get(&known));
                    let supports = supports.flatten().copied().collect();
                    let question = policy.question(MEETS, context, &statement.digest);
                    self.remember_question(question, &supports);
                }
            }
        }
    }
}
