//! Proofs policy by policy: what one policy does to an invariant, with the help of as few others as possible.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use cedar_policy_symcc::{CompiledPolicy, Env, implies_asserts, matches_disjoint_asserts};

use super::compiled::{EnvironmentSubject, PreparedStatement};
use super::invariants::InvariantBound;
use super::solver::SolverSession;
use crate::policy::proof_digest::{DigestBuilder, ProofDigest};

/// How often policies are added to those that prove an invariant together, before all are taken.
const MAX_ROUNDS: usize = 24;
/// The most policies that are added at a time.
const MAX_ADDED: usize = 8;

/// The policies that were needed for a proof, or a request that refutes it.
pub(super) type Supported = Result<BTreeSet<usize>, Box<Env>>;

/// The proofs of one environment.
pub(super) struct Separate<'a, 'b> {
    pub(super) here: &'a EnvironmentSubject<'b>,
    pub(super) solver: &'a mut SolverSession,
}

impl Separate<'_, '_> {
    /// Proves what one policy may do to an invariant: a permit stays within an upper bound, or forbids cut off what is
    /// beyond; a forbid stays clear of a lower bound.
    pub(super) async fn prove(
        &mut self,
        number: usize,
        policy: &CompiledPolicy,
        ready: &PreparedStatement<'_>,
    ) -> Result<Supported, String> {
        match ready.statement.bound {
            InvariantBound::Upper => self.prove_within(number, policy, ready).await,
            InvariantBound::Lower => {
                let asserts = matches_disjoint_asserts(&ready.own, policy);
                Ok(match self.solver.find_example(&asserts).await? {
                    None => Ok(BTreeSet::new()),
                    Some(example) => Err(Box::new(example)),
                })
            }
        }
    }

    /// A request beyond the bound that the permit matches names the forbids that it needs.
    async fn prove_within(
        &mut self,
        number: usize,
        policy: &CompiledPolicy,
        ready: &PreparedStatement<'_>,
    ) -> Result<Supported, String> {
        let mut forbids = BTreeSet::new();
        let mut permitted = policy.clone().into_compiled_policyset();
        loop {
            let asserts = implies_asserts(&permitted, &ready.bounding);
            let Some(example) = self.solver.find_example(&asserts).await? else {
                return Ok(Ok(forbids));
            };
            let added = self.add(Effect::Forbid, &example, &mut forbids);
            if !added {
                return Ok(Err(Box::new(example)));
            }
            let mut all: Vec<usize> = forbids.iter().copied().collect();
            all.push(number);
            permitted = self.here.compile_policies(&all)?;
        }
    }

    /// Finds permits that together cover all that a lower bound requires.
    pub(super) async fn find_cover(
        &mut self,
        ready: &PreparedStatement<'_>,
    ) -> Result<Result<(), Box<Env>>, String> {
        let question = self.cover_question(ready);
        if self.here.subject.is_remembered(Some(question)) {
            return Ok(Ok(()));
        }
        let cover = self.search_cover(ready).await?;
        Ok(cover.map(|cover| {
            self.here.subject.remember_question(Some(question), &cover);
        }))
    }

    /// Tries single permits first, which match every request that the others did not, then some together, then all.
    async fn search_cover(&mut self, ready: &PreparedStatement<'_>) -> Result<Supported, String> {
        let mut some = BTreeSet::new();
        let Some(example) = self.find_uncovered(&some, ready).await? else {
            return Ok(Ok(some));
        };
        let mut candidates = self.of_effect(Effect::Permit, &example);
        self.add(Effect::Permit, &example, &mut some);
        if candidates.is_empty() {
            return Ok(Err(Box::new(example)));
        }
        for _ in 0..MAX_ROUNDS {
            let Some(single) = candidates.pop_first().map(|one| BTreeSet::from([one])) else {
                break;
            };
            let Some(example) = self.find_uncovered(&single, ready).await? else {
                return Ok(Ok(single));
            };
            let matching = self.of_effect(Effect::Permit, &example);
            if matching.is_empty() {
                return Ok(Err(Box::new(example)));
            }
            candidates.retain(|candidate| matching.contains(candidate));
            self.add(Effect::Permit, &example, &mut some);
        }
        for _ in 0..MAX_ROUNDS {
            let Some(example) = self.find_uncovered(&some, ready).await? else {
                return Ok(Ok(some));
            };
            if !self.add(Effect::Permit, &example, &mut some) {
                return Ok(Err(Box::new(example)));
            }
        }
        let all = self.here.relevant(&BTreeSet::new(), Some(Effect::Permit));
        let all = all.into_iter().collect();
        Ok(match self.find_uncovered(&all, ready).await? {
            None => Ok(all),
            Some(example) => Err(Box::new(example)),
        })
    }

    /// A request that a lower bound requires and that none of some permits matches.
    async fn find_uncovered(
        &mut self,
        permits: &BTreeSet<usize>,
        ready: &PreparedStatement<'_>,
    ) -> Result<Option<Env>, String> {
        let permits: Vec<usize> = permits.iter().copied().collect();
        let covering = self.here.compile_policies(&permits)?;
        let asserts = implies_asserts(&ready.bounding, &covering);
        self.solver.find_example(&asserts).await
    }

    /// Adds policies that match a request and are not there yet; whether there are any.
    fn add(&self, effect: Effect, example: &Env, to: &mut BTreeSet<usize>) -> bool {
        let matching = self.of_effect(effect, example);
        let new: Vec<usize> = matching.difference(to).copied().take(MAX_ADDED).collect();
        to.extend(&new);
        !new.is_empty()
    }

    fn of_effect(&self, effect: Effect, example: &Env) -> BTreeSet<usize> {
        let subject = self.here.subject;
        let mut matching = subject.matching(example);
        matching.retain(|number| {
            let policy = subject.policies.get(*number);
            policy.is_some_and(|policy| policy.effect == effect)
        });
        matching
    }

    fn cover_question(&self, ready: &PreparedStatement<'_>) -> ProofDigest {
        let env = self.here.env;
        DigestBuilder::new("cover")
            .with(&self.here.subject.recollection.context)
            .with(&ready.statement.digest)
            .with(env.principal().to_string().as_bytes())
            .with(env.action().to_string().as_bytes())
            .with(env.resource().to_string().as_bytes())
            .finish()
    }
}
