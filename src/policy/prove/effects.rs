//! What has no effect in one request environment: policies that never match or that others cover, and invariants that
//! hold for any policies.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Effect, RequestEnv};
use cedar_policy_symcc::{
    CompiledPolicySet, Env, SymEnv, always_allows_asserts, matches_implies_asserts,
    never_matches_asserts,
};

use super::invariants::InvariantBound;
use super::solver::SolverSession;
use super::subject::{InvariantStatement, ProofSubject, SubjectPolicy, compile};

/// The most policies that are named as covering another one: of a thousand alike each covers all others.
const MAX_COVERING: usize = 16;

/// The findings about policies and invariants without effect in one environment.
#[derive(Default)]
pub(super) struct EffectFindings {
    /// The policies that match some request, each with the policies that match whenever it does.
    pub(super) covered_by: BTreeMap<String, BTreeSet<String>>,
    /// For each invariant whether it excludes or requires anything here, in their order.
    pub(super) is_effective: Vec<bool>,
    /// The policies about which something is not known, with the reason.
    pub(super) unknown: BTreeMap<String, String>,
}

/// The policies that match some request, each with the policies that match the same request; by their numbers.
type Matching = BTreeMap<usize, BTreeSet<usize>>;

impl ProofSubject {
    /// Searches one environment for what has no effect: policies that never match or that others
    /// cover, and invariants that hold for any policies.
    pub(super) async fn find_ineffective(
        &self,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> EffectFindings {
        let mut found = EffectFindings::default();
        let symbols = match self.symbols(env) {
            Ok(symbols) => symbols,
            Err(reason) => {
                let all = self.policies.iter().map(|policy| policy.id.clone());
                found.unknown = all.map(|id| (id, reason.clone())).collect();
                return found;
            }
        };
        let mut matching = Matching::new();
        for (number, policy) in (0..).zip(&self.policies) {
            match self.find_match(policy, (env, &symbols), solver).await {
                Ok(None) => {}
                Ok(Some(example)) => {
                    let mut others = self.matching(&example);
                    others.remove(&number);
                    matching.insert(number, others);
                }
                Err(reason) => {
                    found.unknown.insert(policy.id.clone(), reason);
                }
            }
        }
        for number in matching.keys() {
            let Some(policy) = self.policies.get(*number) else {
                continue;
            };
            let covering = self
                .covering(*number, &matching, (env, &symbols), solver)
                .await;
            let covering = covering.unwrap_or_else(|reason| {
                found.unknown.insert(policy.id.clone(), reason);
                BTreeSet::new()
            });
            found.covered_by.insert(policy.id.clone(), covering);
        }
        for statement in &self.statements {
            let is_effective = self.is_effective(statement, (env, &symbols), solver).await;
            // No warning where it is not known.
            found.is_effective.push(is_effective.unwrap_or(true));
        }
        found
    }

    /// Whether a policy matches any request.
    pub(super) async fn applies(
        &self,
        policy: &SubjectPolicy,
        environments: &[RequestEnv],
        solver: &mut SolverSession,
    ) -> Result<bool, String> {
        for env in environments
            .iter()
            .filter(|env| self.is_in_scope(policy, env))
        {
            let symbols = self.symbols(env)?;
            if self
                .find_match(policy, (env, &symbols), solver)
                .await?
                .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A request that a policy matches.
    async fn find_match(
        &self,
        policy: &SubjectPolicy,
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<Option<Env>, String> {
        if solver.is_expired() {
            return Err(solver.timeout_message());
        }
        if !self.is_in_scope(policy, env) {
            return Ok(None);
        }
        let compiled = policy.compile(env, (&self.schema, symbols))?;
        let is_match = |example: &Env| policy.is_match(example);
        solver
            .find_similar_example(&never_matches_asserts(&compiled), (&self.schema, &is_match))
            .await
    }

    /// The policies that match whenever one does; the first of them, where there are very many.
    ///
    /// Each example of a request that it matches rules out the policies that do not match it, so few
    /// pairs need a query to the solver.
    async fn covering(
        &self,
        number: usize,
        matching: &Matching,
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<BTreeSet<String>, String> {
        let mut covering = BTreeSet::new();
        let mut candidates = matching.get(&number).cloned().unwrap_or_default();
        candidates.retain(|candidate| matching.contains_key(candidate));
        let Some(policy) = self.policies.get(number).filter(|_| !candidates.is_empty()) else {
            return Ok(covering);
        };
        let compiled = policy.compile(env, (&self.schema, symbols))?;
        while let Some(candidate) = candidates.pop_first()
            && covering.len() < MAX_COVERING
        {
            let Some(other) = self.policies.get(candidate) else {
                continue;
            };
            // A forbid has an effect although a permit covers it.
            if policy.effect == Effect::Forbid && other.effect == Effect::Permit {
                continue;
            }
            let other_compiled = other.compile(env, (&self.schema, symbols))?;
            let is_uncovered = |example: &Env| policy.is_match(example) && !other.is_match(example);
            match solver
                .find_likely_similar(
                    &matches_implies_asserts(&compiled, &other_compiled),
                    (&self.schema, &is_uncovered),
                )
                .await?
            {
                None => {
                    covering.insert(other.id.clone());
                }
                Some(example) => {
                    let satisfied = self.matching(&example);
                    candidates.retain(|candidate| satisfied.contains(candidate));
                }
            }
        }
        Ok(covering)
    }

    /// Whether an invariant excludes or requires anything in an environment.
    pub(super) async fn is_effective(
        &self,
        statement: &InvariantStatement,
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<bool, String> {
        let example = match statement.bound {
            InvariantBound::Upper => {
                let (schema, bounding) = (&self.schema, &statement.bounding);
                let bounding = CompiledPolicySet::compile_with_custom_symenv(
                    bounding,
                    env,
                    schema,
                    symbols.clone(),
                );
                let bounding = bounding.map_err(|error| error.to_string())?;
                solver
                    .find_likely_example(&always_allows_asserts(&bounding))
                    .await?
            }
            InvariantBound::Lower => {
                let own = compile(&statement.policy, env, (&self.schema, symbols))?;
                solver
                    .find_likely_example(&never_matches_asserts(&own))
                    .await?
            }
        };
        Ok(example.is_some())
    }
}
