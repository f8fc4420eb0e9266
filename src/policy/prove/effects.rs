//! What has no effect in one request environment: policies that never match or that others cover, and invariants that
//! hold for any policies.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Effect, RequestEnv};
use cedar_policy_symcc::{
    CompiledPolicy, CompiledPolicySet, Env, SymEnv, always_allows_asserts, matches_implies_asserts,
    never_matches_asserts,
};

use super::invariants::InvariantBound;
use super::solver::SolverSession;
use super::subject::{InvariantStatement, ProofSubject, SubjectPolicy, compile};

/// The most policies of the same effect that are searched for as covering another one: of a thousand alike each covers
/// all others.
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

/// The policies that cover another one, by their numbers.
#[derive(Default)]
struct Covering {
    policies: BTreeSet<usize>,
    /// Whether there may be more of the same effect.
    is_truncated: bool,
}

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
        let mut all = BTreeMap::new();
        for number in matching.keys() {
            let covering = self.covering(*number, &matching, (env, &symbols), solver);
            let covering = covering.await.unwrap_or_else(|reason| {
                found.unknown.extend(self.id(*number).zip(Some(reason)));
                Covering::default()
            });
            all.insert(*number, covering);
        }
        for (number, other) in self.open_pairs(&all, &matching) {
            match self
                .is_covered((number, other), (env, &symbols), solver)
                .await
            {
                Ok(true) => {
                    all.entry(number).or_default().policies.insert(other);
                }
                Ok(false) => {}
                Err(reason) => found.unknown.extend(self.id(number).zip(Some(reason))),
            }
        }
        for (number, covering) in all {
            let covering = covering.policies.into_iter();
            let covering = covering.filter_map(|other| self.id(other)).collect();
            let id = self.id(number);
            found.covered_by.extend(id.map(|id| (id, covering)));
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

    fn id(&self, number: usize) -> Option<String> {
        self.policies.get(number).map(|policy| policy.id.clone())
    }

    /// The policies that match whenever one does; of very many of the same effect the first.
    ///
    /// Each example of a request that it matches rules out the policies that do not match it, so few
    /// pairs need a query to the solver.
    async fn covering(
        &self,
        number: usize,
        matching: &Matching,
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<Covering, String> {
        let mut covering = Covering::default();
        let mut candidates = matching.get(&number).cloned().unwrap_or_default();
        candidates.retain(|candidate| matching.contains_key(candidate));
        let Some(policy) = self.policies.get(number).filter(|_| !candidates.is_empty()) else {
            return Ok(covering);
        };
        let (mut alike, mut others): (BTreeSet<_>, BTreeSet<_>) = candidates
            .into_iter()
            .partition(|other| self.have_same_effect(number, *other));
        // A forbid has an effect although a permit covers it.
        others.retain(|_| policy.effect == Effect::Permit);
        let compiled = policy.compile(env, (&self.schema, symbols))?;
        let mut left = MAX_COVERING;
        // A forbid that overrules a permit tells more than other permits do.
        while let Some(candidate) = others.pop_first().or_else(|| alike.pop_first()) {
            let is_alike = self.have_same_effect(number, candidate);
            if is_alike && left == 0 {
                covering.is_truncated = true;
                break;
            }
            let pair = ((policy, &compiled), candidate);
            match self.find_uncovered(pair, (env, symbols), solver).await? {
                None => {
                    left -= usize::from(is_alike);
                    covering.policies.insert(candidate);
                }
                Some(example) => {
                    let satisfied = self.matching(&example);
                    alike.retain(|candidate| satisfied.contains(candidate));
                    others.retain(|candidate| satisfied.contains(candidate));
                }
            }
        }
        Ok(covering)
    }

    fn have_same_effect(&self, one: usize, other: usize) -> bool {
        let effect = |number: usize| self.policies.get(number).map(|policy| policy.effect);
        effect(one) == effect(other)
    }

    /// The pairs of which it is known that the first one covers the second one, and not whether the second one covers
    /// the first one too.
    fn open_pairs(
        &self,
        all: &BTreeMap<usize, Covering>,
        matching: &Matching,
    ) -> Vec<(usize, usize)> {
        let pairs = all.iter().flat_map(|(number, covering)| {
            let others = covering.policies.iter();
            others.map(|other| (*other, *number))
        });
        let is_open = |(number, other): &(usize, usize)| {
            let is_truncated =
                |covering: &Covering| covering.is_truncated && !covering.policies.contains(other);
            all.get(number).is_some_and(is_truncated)
                && matching
                    .get(number)
                    .is_some_and(|matching| matching.contains(other))
                && self.have_same_effect(*number, *other)
        };
        pairs.filter(is_open).collect()
    }

    /// Whether the second one of two policies matches whenever the first one does.
    async fn is_covered(
        &self,
        (number, other): (usize, usize),
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<bool, String> {
        let Some(policy) = self.policies.get(number) else {
            return Ok(false);
        };
        let compiled = policy.compile(env, (&self.schema, symbols))?;
        let pair = ((policy, &compiled), other);
        let uncovered = self.find_uncovered(pair, (env, symbols), solver).await?;
        Ok(uncovered.is_none())
    }

    /// A request that a policy matches, and another one does not.
    async fn find_uncovered(
        &self,
        ((policy, compiled), other): ((&SubjectPolicy, &CompiledPolicy), usize),
        (env, symbols): (&RequestEnv, &SymEnv),
        solver: &mut SolverSession,
    ) -> Result<Option<Env>, String> {
        let Some(other) = self.policies.get(other) else {
            return Err("there is no such policy".to_owned());
        };
        let other_compiled = other.compile(env, (&self.schema, symbols))?;
        let is_uncovered = |example: &Env| policy.is_match(example) && !other.is_match(example);
        let asserts = matches_implies_asserts(compiled, &other_compiled);
        let known = (&self.schema, &is_uncovered as &dyn Fn(&Env) -> bool);
        solver.find_likely_similar(&asserts, known).await
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
