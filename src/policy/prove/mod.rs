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
//! - `statement` turns an invariant into two policy sets to compare, `subject` has what is to be proved of them and of
//!   the policies, `environment` proves it in one request environment, `compiled` for the solver, policy by policy as
//!   `separate` says, and `remembered` keeps what holds in all. `effects` searches an environment for what has no
//!   effect, which `idle` combines. `solver` runs cvc5, once for all questions of one `shape`,
//!   `scheduler` spreads the environments over threads, and `concretize` makes counterexamples look like real requests: `reduce` removes what does not matter, and `realistic`
//!   has times and addresses that people can read.

pub mod counterexample;
pub mod exceptions;
pub mod ineffective;
pub mod invariants;
pub mod proof;
pub mod proof_time;
pub mod ways_on;

mod compiled;
mod concretize;
mod contradiction;
mod effects;
mod environment;
mod error;
mod follow_up;
mod idle;
mod narrowing;
mod realistic;
mod reduce;
mod remembered;
mod scheduler;
mod separate;
mod shape;
mod solver;
mod source_text;
mod statement;
mod subject;
mod way_search;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cedar_policy::{Decision, Entities, PolicySet, Request};

use super::Bundle;
use super::case_answer::failed_policy;
use super::case_file::CaseDecision;
use super::context_literals::ContextLiterals;
use super::named_users::disable_hint;
use super::proof_memory::ProofMemory;
use crate::domain::diagnostic::SourceDiagnostic;

use counterexample::Violation;
use environment::{Finding, InvariantFindings};
use follow_up::FollowUp;
use idle::add_ineffective;
use invariants::{Invariant, InvariantBound};
use proof::FailingPolicy;
use scheduler::Findings;
use solver::Deadline;
use statement::bounding_policies;
use subject::ProofSubject;
use ways_on::WaysOn;

pub use counterexample::Counterexample;
pub(in crate::policy) use environment::environments_in_scope;
pub use error::ProveError;
pub(in crate::policy) use exceptions::{EXCEPT, excepted_names};
pub use follow_up::find_idle_policies;
pub use invariants::InvariantFiles;
pub use proof::{InvariantVerdict, Proof, ProofWork, ProvedInvariant};
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
    prove_with_memory(bundle, invariants, options, &Arc::default(), progress)
}

/// Proves as [`prove`] does what `memory` does not know yet, and remembers it.
pub fn prove_with_memory(
    bundle: &Bundle,
    invariants: &InvariantFiles,
    options: &ProofOptions,
    memory: &Arc<ProofMemory>,
    progress: impl FnMut(usize, usize),
) -> Result<ProofResult, ProveError> {
    let deadline = Deadline::after(options.time_limit);
    let valid = invariants.parse_for(bundle)?;
    let solver = scheduler::find_solver()?;
    memory.begin();
    let known_before = memory.len();
    let subject = ProofSubject::new(
        bundle,
        &valid.invariants,
        &options.must_have_effect,
        (memory, solver.version()),
    )?;
    let subject = Arc::new(subject);
    let mut environments: Vec<_> = bundle.schema.request_envs().collect();
    environments.sort();
    let found = scheduler::run_steps(
        &subject,
        &solver,
        (&environments, options),
        deadline,
        progress,
    )?;
    if found.violations.len() == environments.len() {
        subject.remember_proved(&found.violations);
    }
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
        work: ProofWork {
            policies: subject.policies.len(),
            proved: subject.pending.len(),
            has_learned: memory.len() > known_before,
        },
    };
    // Reading all policies takes long, and only counterexamples need it.
    let literals = LazyLock::new(|| {
        let literals = ContextLiterals::of_policies(bundle.policies.set.policies());
        let stated = valid.invariants.iter().map(|invariant| &invariant.policy);
        literals.and(ContextLiterals::of_policies(stated))
    });
    let is_complete = found.violations.len() == environments.len();
    for (index, invariant) in valid.invariants.iter().enumerate() {
        let bounds = bounding_policies(invariant).map_err(|error| ProveError::failed(&error))?;
        let mut proved = new_verdict(invariant);
        let is_example = |finding: Option<&Finding>| matches!(finding, Some(Finding::Example(_)));
        let mut all = found.violations.iter();
        if all.any(|environment| is_example(environment.findings.get(index))) {
            add_examples(
                &mut proved,
                index,
                (invariant, &bounds),
                &found,
                (bundle, &literals),
            );
        }
        add_findings(&mut proved, index, &found);
        if !is_complete {
            proved.unproven.push(deadline.message());
        } else if subject.lacks_effect(index) {
            proved.unproven.push(NO_EFFECT.to_owned());
        }
        conclude(&mut proved);
        proof.invariants.push(proved);
    }
    add_unknown(&mut proof, &found.violations);
    if found
        .violations
        .iter()
        .any(|found| !found.failing.is_empty())
    {
        add_failing_policies(&mut proof, &found.violations, (bundle, &literals));
    }
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

/// An invariant about which nothing is known yet.
fn new_verdict(invariant: &Invariant) -> ProvedInvariant {
    ProvedInvariant {
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
    }
}

/// Adds what is known of an invariant in each environment, but for examples.
fn add_findings(proved: &mut ProvedInvariant, index: usize, found: &Findings) {
    for environment in &found.violations {
        match environment.findings.get(index) {
            Some(Finding::OutOfScope) => continue,
            Some(Finding::Holds | Finding::Example(_)) => {}
            Some(Finding::Unknown(reason)) => proved.unproven.push(reason.clone()),
            None => proved.unproven.push("not checked".to_owned()),
        }
        proved.environments += 1;
    }
}

/// Adds the counterexamples of all environments to one invariant.
fn add_examples(
    proved: &mut ProvedInvariant,
    index: usize,
    (invariant, bounds): (&Invariant, &PolicySet),
    found: &Findings,
    (bundle, literals): (&Bundle, &ContextLiterals),
) {
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
        if let Some(Finding::Example(example)) = environment.findings.get(index) {
            match Counterexample::new(&violation, example, bundle) {
                Some(example) => proved.counterexamples.push(example),
                None => proved.unproven.push(NOT_CONFIRMED.to_owned()),
            }
        }
    }
    if invariant.bound == InvariantBound::Lower {
        let all = proved.counterexamples.iter();
        let determining = all.flat_map(|example| &example.determining_policies);
        proved.hint = disable_hint(bundle, determining);
    }
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

/// Adds what is not known about failing policies.
fn add_unknown(proof: &mut Proof, found: &[InvariantFindings]) {
    let unknown = found.iter().flat_map(|environment| &environment.unknown);
    proof.unproven.extend(unknown.cloned());
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

#[cfg(test)]
mod tests;
