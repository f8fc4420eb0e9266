//! Proofs that the policies keep the invariants for every possible request.
//!
//! A solver checks the invariants, and that no policy can fail to evaluate, in every request
//! environment. Proofs are made before a bundle is put in force, never during a request.
//!
//! - [`invariants`]: parses and validates the invariants.
//! - [`proof`]: the result. [`mod@proof_time`]: how long it took, and when it will take too long.
//!   [`counterexample`]: a request that violates an invariant.
//! - [`exceptions`]: the policies that an invariant does not apply to. [`ways_on`]: what to do about a violation,
//!   found by `way_search` with `narrowing` for the conditions that a policy may lack. `contradiction`: which parts
//!   of a policy that never applies contradict each other. `follow_up` asks for both. `source_text`: parts of a
//!   policy as they are written.
//! - `statement` turns an invariant into two policy sets to compare, `environment` compares them in one
//!   request environment, `solver` runs cvc5, `scheduler` spreads the environments over threads, and
//!   `concretize` makes counterexamples look like real requests: `reduce` removes what does not matter, and `realistic`
//!   has times and addresses that people can read.

pub mod counterexample;
pub mod exceptions;
pub mod ineffective;
pub mod invariants;
pub mod proof;
pub mod proof_time;
pub mod ways_on;

mod concretize;
mod contradiction;
mod environment;
mod error;
mod follow_up;
mod narrowing;
mod realistic;
mod reduce;
mod scheduler;
mod solver;
mod source_text;
mod statement;
mod way_search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Decision, Entities, PolicySet, Request};

use crate::domain::decision::MAX_TOKEN_TTL;

use super::Bundle;
use super::case_answer::failed_policy;
use super::case_file::CaseDecision;
use super::context_literals::ContextLiterals;
use super::named_users::disable_hint;
use crate::domain::diagnostic::SourceDiagnostic;

use counterexample::Violation;
use environment::{EffectFindings, Finding, InvariantFindings, ProofSubject};
use follow_up::FollowUp;
use ineffective::Ineffective;
use invariants::{Invariant, InvariantBound};
use proof::FailingPolicy;
use scheduler::Findings;
use solver::Deadline;
use statement::bounding_policies;
use ways_on::WaysOn;

pub use counterexample::Counterexample;
pub(in crate::policy) use environment::environments_in_scope;
pub use error::ProveError;
pub(in crate::policy) use exceptions::{EXCEPT, excepted_names};
pub use follow_up::find_idle_policies;
pub use invariants::InvariantFiles;
pub use proof::{InvariantVerdict, Proof, ProvedInvariant};
pub use proof_time::ProofTime;
pub use scheduler::ProofOptions;
pub use solver::SOLVER_VARIABLE;

/// The solver works on a model of the policies; evaluating the policies must confirm what it finds.
const NOT_CONFIRMED: &str = "evaluating the policies does not confirm the solver's counterexample";

/// An edit must not replace an invariant by a statement that is always true.
const NO_EFFECT: &str = "the edit makes it hold for any policies; if that is meant, remove it";

/// A proof, and the warnings from validating the invariants.
#[derive(Debug)]
pub struct ProofResult {
    /// The proof.
    pub proof: Proof,
    /// The warnings.
    pub warnings: Vec<SourceDiagnostic>,
}

/// Proves the invariants of a bundle, for all requests and entities that its schema allows.
///
/// Blocks the thread for at most the time limit and some seconds; uses as many threads as the
/// machine has cores, with a solver process on each. Calls `progress` with the number of steps done
/// and of all. Needs cvc5, on the path or named by the environment variable [`SOLVER_VARIABLE`].
pub fn prove(
    bundle: &Bundle,
    invariants: &InvariantFiles,
    options: &ProofOptions,
    progress: impl FnMut(usize, usize),
) -> Result<ProofResult, ProveError> {
    let deadline = Deadline::after(options.time_limit);
    let valid = invariants.parse_for(bundle)?;
    let subject = ProofSubject::new(
        &bundle.schema,
        &bundle.policies.set,
        &valid.invariants,
        &options.must_have_effect,
    );
    let subject = Arc::new(subject.map_err(|error| ProveError::failed(&error))?);
    let mut environments: Vec<_> = bundle.schema.request_envs().collect();
    environments.sort();
    let solver = scheduler::find_solver()?;
    let found = scheduler::run_steps(
        &subject,
        &solver,
        (&environments, options),
        deadline,
        progress,
    )?;
    let mut proof = Proof {
        revision: bundle.revision().clone(),
        solver: solver.version().to_owned(),
        environments: environments.len(),
        invariants: Vec::new(),
        failing: Vec::new(),
        unproven: Vec::new(),
        idle: Vec::new(),
        unanswered: found.unanswered.clone(),
        time: proof_time(bundle, options, environments.len(), &found),
    };
    let literals = ContextLiterals::of_policies(bundle.policies.set.policies());
    let stated = valid.invariants.iter().map(|invariant| &invariant.policy);
    let literals = literals.and(ContextLiterals::of_policies(stated));
    let is_complete = found.violations.len() == environments.len();
    for (index, invariant) in valid.invariants.iter().enumerate() {
        let bounds = bounding_policies(invariant).map_err(|error| ProveError::failed(&error))?;
        let mut proved =
            summarize_invariant(index, (invariant, &bounds), &found, (bundle, &literals));
        if !is_complete {
            proved.unproven.push(deadline.message());
        } else if subject.lacks_effect(index) {
            proved.unproven.push(NO_EFFECT.to_owned());
        }
        conclude(&mut proved);
        proof.invariants.push(proved);
    }
    add_failing_policies(&mut proof, &found.violations, (bundle, &literals));
    if !is_complete {
        let message = format!("whether policies can fail: {}", deadline.message());
        proof.unproven.push(message);
    }
    proof.unproven.sort();
    proof.unproven.dedup();
    proof.unproven.extend(proof.time.unfinished());
    if options.is_thorough && found.effects.len() == environments.len() {
        add_ineffective(&mut proof, &found.effects, bundle);
    }
    let follow_up = FollowUp {
        bundle,
        subject: &subject,
        environments: &environments,
        invariants: &valid.invariants,
        found: &found,
    };
    follow_up.run(&mut proof, (&solver, options), deadline);
    Ok(ProofResult {
        proof,
        warnings: valid.warnings,
    })
}

/// How long the invariants took.
fn proof_time(
    bundle: &Bundle,
    options: &ProofOptions,
    environments: usize,
    found: &Findings,
) -> ProofTime {
    let is_answered = |found: &&InvariantFindings| {
        let is_known = |finding: &Finding| !matches!(finding, Finding::Unknown(_));
        found.unknown.is_empty() && found.findings.iter().all(is_known)
    };
    ProofTime {
        took: found.took,
        limit: options.time_limit,
        policies: bundle.policies().len(),
        answered: found.violations.iter().filter(is_answered).count(),
        environments,
    }
}

/// Combines the findings of all environments about one invariant.
fn summarize_invariant(
    index: usize,
    (invariant, bounds): (&Invariant, &PolicySet),
    found: &Findings,
    (bundle, literals): (&Bundle, &ContextLiterals),
) -> ProvedInvariant {
    let mut proved = ProvedInvariant {
        id: invariant.id.clone(),
        file: invariant.file.clone(),
        line: invariant.line,
        bound: invariant.bound,
        reason: invariant.reason.clone(),
        verdict: InvariantVerdict::Unproven,
        environments: 0,
        counterexamples: Vec::new(),
        unproven: Vec::new(),
        hint: None,
        excepted: invariant.exceptions.named.clone(),
        ways_on: WaysOn::default(),
    };
    let considered = invariant.exceptions.remove_from(&bundle.policies.set);
    let is_violated = |request: &Request, entities: &Entities| {
        let bounding = bundle.authorizer.is_authorized(request, bounds, entities);
        let actual = bundle
            .authorizer
            .is_authorized(request, &considered, entities);
        let has_failed = actual.diagnostics().errors().next().is_some();
        let is_permitted = actual.decision() == Decision::Allow && !has_failed;
        match invariant.bound {
            InvariantBound::Upper => is_permitted && bounding.decision() == Decision::Deny,
            InvariantBound::Lower => !is_permitted && bounding.decision() == Decision::Allow,
        }
    };
    let violation = Violation {
        name: format!("{}: {}", invariant.id, invariant.reason),
        expected: Some(match invariant.bound {
            InvariantBound::Upper => CaseDecision::Deny,
            InvariantBound::Lower => CaseDecision::Allow,
        }),
        literals,
        is_violated: &is_violated,
    };
    for environment in &found.violations {
        match environment.findings.get(index) {
            Some(Finding::OutOfScope) => continue,
            Some(Finding::Holds) => {}
            Some(Finding::Example(example)) => {
                match Counterexample::new(&violation, example, bundle) {
                    Some(example) => proved.counterexamples.push(example),
                    None => proved.unproven.push(NOT_CONFIRMED.to_owned()),
                }
            }
            Some(Finding::Unknown(reason)) => proved.unproven.push(reason.clone()),
            None => proved.unproven.push("not checked".to_owned()),
        }
        proved.environments += 1;
    }
    if invariant.bound == InvariantBound::Lower {
        let all = proved.counterexamples.iter();
        let determining = all.flat_map(|example| &example.determining_policies);
        proved.hint = disable_hint(bundle, determining);
    }
    proved
}

/// Derives the verdict about an invariant.
fn conclude(proved: &mut ProvedInvariant) {
    if proved.environments == 0 && proved.unproven.is_empty() {
        let reason = "no possible request is in its scope";
        proved.unproven.push(reason.to_owned());
    }
    proved.unproven.sort();
    proved.unproven.dedup();
    proved.verdict = match (proved.counterexamples.is_empty(), &*proved.unproven) {
        (false, _) => InvariantVerdict::Violated,
        (true, []) => InvariantVerdict::Holds,
        (true, _) => InvariantVerdict::Unproven,
    };
}

fn add_failing_policies(
    proof: &mut Proof,
    found: &[InvariantFindings],
    (bundle, literals): (&Bundle, &ContextLiterals),
) {
    let mut failing = BTreeMap::new();
    for environment in found {
        for (id, example) in &environment.failing {
            failing.entry(id.clone()).or_insert(example);
        }
        let unknown = environment.unknown.iter().cloned();
        proof.unproven.extend(unknown);
    }
    for (id, example) in failing {
        let is_violated = |request: &Request, entities: &Entities| {
            let policies = &bundle.policies.set;
            let answer = bundle.authorizer.is_authorized(request, policies, entities);
            let mut failed = answer.diagnostics().errors().map(failed_policy);
            failed.any(|failed| failed == id)
        };
        let violation = Violation {
            name: format!("{id}: the policy does not fail"),
            expected: None,
            literals,
            is_violated: &is_violated,
        };
        let Some(counterexample) = Counterexample::new(&violation, example, bundle) else {
            let message = format!("whether policy `{id}` can fail: {NOT_CONFIRMED}");
            proof.unproven.push(message);
            continue;
        };
        let info = bundle.policies().get(&id);
        proof.failing.push(FailingPolicy {
            file: info.map_or_else(String::new, |policy| policy.file.clone()),
            counterexample,
            id,
        });
    }
}

/// Adds the policies and invariants that have no effect in any environment.
fn add_ineffective(proof: &mut Proof, found: &[EffectFindings], bundle: &Bundle) {
    let mut unknown = BTreeMap::new();
    for environment in found {
        unknown.extend(environment.unknown.clone());
    }
    let covered_by: BTreeMap<&String, BTreeSet<String>> = bundle
        .policies()
        .keys()
        .filter(|id| !unknown.contains_key(*id))
        .map(|id| (id, covering_in_all(id, found)))
        .collect();
    for (id, info) in bundle.policies() {
        let Some(covering) = covered_by.get(id) else {
            continue;
        };
        if !found.iter().any(|found| found.covered_by.contains_key(id)) {
            proof.idle.push(Ineffective::NeverApplies {
                policy: id.clone(),
                reason: None,
                help: None,
            });
            continue;
        }
        let max_ttl = |id: &str| {
            let policy = bundle.policies().get(id);
            policy.and_then(|policy| policy.max_ttl)
        };
        for other in covering {
            let Some(beside) = bundle.policies().get(other) else {
                continue;
            };
            let policy = id.clone();
            let is_mutual = covered_by
                .get(other)
                .is_some_and(|covering| covering.contains(id));
            if beside.is_permit != info.is_permit {
                let by = other.clone();
                proof.idle.push(Ineffective::Overruled { policy, by });
            } else if max_ttl(id).unwrap_or(MAX_TOKEN_TTL) < max_ttl(other).unwrap_or(MAX_TOKEN_TTL)
            {
                // It has an effect: it shortens the life of tokens.
            } else if !is_mutual || id < other || max_ttl(id) != max_ttl(other) {
                proof.idle.push(Ineffective::Redundant {
                    policy,
                    beside: other.clone(),
                    is_mutual: is_mutual && max_ttl(id) == max_ttl(other),
                });
            }
        }
    }
    let unanswered = unknown
        .into_iter()
        .map(|(id, reason)| format!("policy `{id}`: {reason}"));
    proof.unanswered.extend(unanswered);
    for (index, invariant) in proof.invariants.iter().enumerate() {
        let is_effective =
            |found: &EffectFindings| found.is_effective.get(index).copied().unwrap_or(true);
        if !found.iter().any(is_effective) {
            let invariant = invariant.id.clone();
            proof.idle.push(Ineffective::SaysNothing { invariant });
        }
    }
}

/// The policies that cover one in every environment in which it matches anything.
fn covering_in_all(id: &str, found: &[EffectFindings]) -> BTreeSet<String> {
    let mut everywhere = found.iter().filter_map(|found| found.covered_by.get(id));
    let first = everywhere.next().cloned().unwrap_or_default();
    everywhere.fold(first, |common, covering| &common & covering)
}
