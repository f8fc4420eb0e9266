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
//! - `verdicts` sums up what was found in all environments. `statement` turns an invariant into two policy sets to
//!   compare, `subject` has what is to be proved of them and of the policies, `environment` proves it in one request environment, `compiled` for the solver, policy by policy as
//!   `separate` says, and `remembered` keeps what holds in all. `effects` searches an environment for what has no
//!   effect, which `idle` combines. `solver` runs cvc5, once for all questions of one `shape`;
//!   `adapted` has examples of questions of a shape for others of it;
//!   `scheduler` spreads the environments over threads until the `deadline`, as the `options` say, of very many policies
//!   in `parts`, and `concretize` makes counterexamples look like real requests: `reduce` removes what does not matter,
//!   and `realistic` has times and addresses that people can read.

pub mod counterexample;
pub mod exceptions;
pub mod ineffective;
pub mod invariants;
pub mod proof;
pub mod proof_time;
pub mod ways_on;

mod adapted;
mod compiled;
mod concretize;
mod contradiction;
mod deadline;
mod effects;
mod environment;
mod error;
mod follow_up;
mod idle;
mod narrowing;
mod options;
mod parts;
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
mod verdicts;
mod way_search;

use std::sync::Arc;

use super::Bundle;
use super::proof_memory::ProofMemory;
use crate::domain::diagnostic::SourceDiagnostic;

use deadline::Deadline;
use follow_up::FollowUp;
use idle::add_ineffective;
use parts::Schedule;
use subject::ProofSubject;
use verdicts::Verdicts;

pub use counterexample::Counterexample;
pub(in crate::policy) use environment::environments_in_scope;
pub use error::ProveError;
pub(in crate::policy) use exceptions::{EXCEPT, excepted_names};
pub use follow_up::find_idle_policies;
pub use invariants::InvariantFiles;
pub use options::ProofOptions;
pub use proof::{InvariantVerdict, Proof, ProofWork, ProvedInvariant};
pub use proof_time::ProofTime;
pub use solver::SOLVER_VARIABLE;

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
    prove_at_most(bundle, invariants, options, (memory, None), progress)
}

/// Proves as [`prove_with_memory`] does, unless more than `max_new` policies are still to be proved: then nothing is.
pub fn prove_at_most(
    bundle: &Bundle,
    invariants: &InvariantFiles,
    options: &ProofOptions,
    (memory, max_new): (&Arc<ProofMemory>, Option<usize>),
    mut progress: impl FnMut(usize, usize),
) -> Result<ProofResult, ProveError> {
    let deadline = Deadline::of_proof(options);
    let valid = invariants.parse_for(bundle)?;
    let solver = scheduler::find_solver()?;
    memory.begin();
    let known_before = memory.len();
    let new_subject = || {
        let about = (memory, solver.version());
        ProofSubject::new(bundle, &valid.invariants, &options.must_have_effect, about)
    };
    let mut subject = Arc::new(new_subject()?);
    let policies = subject.pending.len();
    if max_new.is_some_and(|max| policies > max) {
        return Err(ProveError::TooManyNew { policies });
    }
    let mut environments: Vec<_> = bundle.schema.request_envs().collect();
    environments.sort();
    let _under_way = memory.progress().begin(policies * environments.len());
    let schedule = Schedule {
        solver: &solver,
        environments: &environments,
        options,
        deadline: deadline.clone(),
    };
    let parts = schedule.prove_parts(&subject, &mut progress)?;
    if parts > 0 {
        subject = Arc::new(new_subject()?);
    }
    let found = schedule.prove_whole(&subject, parts, &mut progress)?;
    let is_complete = found.violations.len() == environments.len();
    if is_complete {
        subject.remember_proved(&subject.pending, &found.violations);
    }
    let verdicts = Verdicts::new(bundle, &valid.invariants, &found);
    let mut proof = Proof {
        revision: bundle.revision().clone(),
        solver: solver.version().to_owned(),
        environments: environments.len(),
        invariants: verdicts.of_invariants(&subject, (!is_complete).then_some(&deadline))?,
        failing: Vec::new(),
        unproven: Vec::new(),
        idle: Vec::new(),
        unanswered: found.unanswered.clone(),
        time: verdicts.time(options, environments.len()),
        work: ProofWork {
            policies: subject.policies.len(),
            remembered: subject.policies.len().saturating_sub(policies),
            proved: 0,
            has_learned: memory.len() > known_before,
        },
    };
    verdicts.add_failing(&mut proof, (!is_complete).then_some(&deadline));
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
    follow_up.run(&mut proof, (&solver, options), &deadline);
    if deadline.is_given_up() {
        return Err(ProveError::GivenUp);
    }
    let unproved = if proof.time.answered == environments.len() {
        0
    } else {
        subject.find_pending().len()
    };
    proof.work.proved = policies.saturating_sub(unproved);
    Ok(ProofResult {
        proof,
        warnings: valid.warnings,
    })
}

#[cfg(test)]
mod tests;
