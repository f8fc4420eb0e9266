//! One request environment of a proof: its policies and invariants, compiled for the solver.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, PolicySet, RequestEnv};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, SymEnv, never_matches_asserts};

use super::solver::is_unsatisfiable;
use super::subject::{InvariantStatement, ProofSubject, compile};

/// An invariant that requests of the environment are in the scope of.
pub(super) struct PreparedStatement<'a> {
    pub(super) number: usize,
    pub(super) statement: &'a InvariantStatement,
    /// The invariant.
    pub(super) own: CompiledPolicy,
    /// What it permits.
    pub(super) bounding: CompiledPolicySet,
}

/// The subject of a proof in one environment.
pub(super) struct EnvironmentSubject<'a> {
    pub(super) subject: &'a ProofSubject,
    pub(super) env: &'a RequestEnv,
    pub(super) symbols: SymEnv,
}

impl EnvironmentSubject<'_> {
    /// The policies that may match here, by types and literals, without the excepted ones; of one effect only, if it is
    /// given.
    pub(super) fn relevant(
        &self,
        excepted: &BTreeSet<String>,
        effect: Option<Effect>,
    ) -> Vec<usize> {
        let all = (0..).zip(&self.subject.policies);
        let relevant = all.filter(|(_, policy)| {
            effect.is_none_or(|effect| effect == policy.effect)
                && !excepted.contains(&policy.id)
                && self.subject.is_in_scope(policy, self.env)
        });
        relevant.map(|(number, _)| number).collect()
    }

    /// Compiles policies together, as they decide.
    pub(super) fn compile_policies(&self, policies: &[usize]) -> Result<CompiledPolicySet, String> {
        let mut set = PolicySet::new();
        for number in policies {
            let Some(policy) = self.subject.policies.get(*number) else {
                continue;
            };
            let policy = policy.filled()?;
            // One that matches nothing here only makes the question longer.
            if !is_unsatisfiable(&never_matches_asserts(&self.compile(policy)?)) {
                set.add(policy.clone()).map_err(|error| error.to_string())?;
            }
        }
        self.compile_set(&set)
    }

    pub(super) fn compile(&self, policy: &Policy) -> Result<CompiledPolicy, String> {
        compile(policy, self.env, (&self.subject.schema, &self.symbols))
    }

    pub(super) fn compile_set(&self, set: &PolicySet) -> Result<CompiledPolicySet, String> {
        let (schema, symbols) = (&self.subject.schema, self.symbols.clone());
        CompiledPolicySet::compile_with_custom_symenv(set, self.env, schema, symbols)
            .map_err(|error| error.to_string())
    }
}
