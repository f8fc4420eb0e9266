//! Proofs: what holds for every possible request, not only for those that somebody thought of.
//!
//! The invariants of a policy folder, and a few questions that every bundle is asked, are put to a
//! solver for each request environment. Nothing here is on the way of a request: a proof belongs
//! before a bundle is put in force. This module refuses to know who asks and what becomes of a no.
//!
//! - [`invariants`]: reads and checks the statements.
//! - [`proof`]: what came out. [`counterexample`]: a request at which something goes wrong.
//! - `statement` says what is to be compared, `environment` asks, `solver` answers, `work` spreads
//!   the environments over threads, `plausible` makes counterexamples look like real requests.

pub mod counterexample;
pub mod invariants;
pub mod proof;

mod concretize;
mod environment;
mod scheduler;
mod solver;
mod statement;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedar_policy::{AuthorizationError, Decision, Entities, PolicySet, Request};

use crate::domain::decision::MAX_TOKEN_TTL;

use super::Bundle;
use super::case_file::CaseDecision;
use super::diagnostic::{BundleDiagnostic, BundleError};

use counterexample::Violation;
use environment::{EffectFindings, Finding, InvariantFindings, ProofSubject};
use invariants::{Invariant, InvariantBound};
use proof::{FailingPolicy, Ineffective};
use scheduler::Findings;
use statement::bounding_policies;

pub use counterexample::Counterexample;
pub use invariants::InvariantFiles;
pub use proof::{InvariantVerdict, Proof, ProvedInvariant};
pub use solver::SOLVER_VARIABLE;

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The invariants are broken.
    #[error(transparent)]
    Invariants(#[from] BundleError),
    /// There is no solver.
    #[error("the solver {program} does not start: {source}", program = .program.display())]
    SolverNotStarted {
        /// What was to be started.
        program: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// What was named as the solver is something else.
    #[error("{program} does not answer as cvc5 does", program = .program.display())]
    UnknownSolver {
        /// What was started.
        program: PathBuf,
    },
    /// The work cannot be done on this machine.
    #[error("the proofs cannot be worked on: {reason}")]
    Failed {
        /// Why not.
        reason: String,
    },
}

/// The solver looks at a model of the policies; the policies have the last word.
const NOT_CONFIRMED: &str = "what the solver found is not so when the policies are asked";

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct ProofOptions {
    /// How long it may take; what is not known by then is unproven.
    pub time_limit: Duration,
    /// Whether to look for what has no effect too; without, what [`Proof::is_complete`] needs is
    /// all that is asked.
    pub is_thorough: bool,
    /// Whether everything else of this process goes first.
    pub is_low_priority: bool,
}

/// A proof, and what validation warns of in the invariants.
#[derive(Debug)]
pub struct ProofResult {
    /// The proof.
    pub proof: Proof,
    /// The warnings.
    pub warnings: Vec<BundleDiagnostic>,
}

/// Proves the invariants of a bundle, for all requests and entities that its schema allows.
///
/// Blocks the thread for at most the time limit and some seconds; works on as many threads as the
/// machine has cores, with a solver process on each. `watch` is told how many of how many steps are
/// done. Needs cvc5: the environment variable [`SOLVER_VARIABLE`] names another than the one on the
/// path.
pub fn prove(
    bundle: &Bundle,
    invariants: &InvariantFiles,
    effort: ProofOptions,
    watch: impl FnMut(usize, usize),
) -> Result<ProofResult, ProveError> {
    let deadline = Instant::now() + effort.time_limit;
    let valid = invariants.parse(&bundle.schema)?;
    let subject = ProofSubject::new(&bundle.schema, &bundle.policies.set, &valid.invariants)
        .map_err(|error| failed(&error))?;
    let mut environments: Vec<_> = bundle.schema.request_envs().collect();
    environments.sort();
    let solver = scheduler::find_solver()?;
    let found = scheduler::run_steps(
        &Arc::new(subject),
        &solver,
        (&environments, effort),
        deadline,
        watch,
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
    };
    for (at, invariant) in valid.invariants.iter().enumerate() {
        let bounds = bounding_policies(invariant).map_err(|error| failed(&error))?;
        let count = environments.len();
        let proved = summarize_invariant(at, (invariant, &bounds), &found, count, bundle);
        proof.invariants.push(proved);
    }
    add_failing_policies(&mut proof, &found.bounds, bundle);
    if effort.is_thorough && found.idleness.len() == environments.len() {
        add_ineffective(&mut proof, &found.idleness, bundle);
    }
    Ok(ProofResult {
        proof,
        warnings: valid.warnings,
    })
}

fn failed(error: &dyn std::error::Error) -> ProveError {
    let reason = error.to_string();
    ProveError::Failed { reason }
}

/// What all environments together say about one invariant.
fn summarize_invariant(
    at: usize,
    (invariant, bounds): (&Invariant, &PolicySet),
    found: &Findings,
    environments: usize,
    bundle: &Bundle,
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
    };
    let is_here = |request: &Request, entities: &Entities| {
        let bounding = bundle.authorizer.is_authorized(request, bounds, entities);
        let given = bundle
            .authorizer
            .is_authorized(request, &bundle.policies.set, entities);
        let has_failed = given.diagnostics().errors().next().is_some();
        let is_given = given.decision() == Decision::Allow && !has_failed;
        match invariant.bound {
            InvariantBound::Upper => is_given && bounding.decision() == Decision::Deny,
            InvariantBound::Lower => !is_given && bounding.decision() == Decision::Allow,
        }
    };
    let fault = Violation {
        name: format!("{}: {}", invariant.id, invariant.reason),
        expected: Some(match invariant.bound {
            InvariantBound::Upper => CaseDecision::Deny,
            InvariantBound::Lower => CaseDecision::Allow,
        }),
        is_violated: &is_here,
    };
    for here in &found.bounds {
        match here.findings.get(at) {
            Some(Finding::OutOfScope) => continue,
            Some(Finding::Holds) => {}
            Some(Finding::Example(example)) => match Counterexample::new(&fault, example, bundle) {
                Some(example) => proved.counterexamples.push(example),
                None => proved.unproven.push(NOT_CONFIRMED.to_owned()),
            },
            Some(Finding::Unknown(why)) => proved.unproven.push(why.clone()),
            None => proved.unproven.push("it was not asked".to_owned()),
        }
        proved.environments += 1;
    }
    if found.bounds.len() < environments {
        proved.unproven.push("the time was over".to_owned());
    }
    if proved.environments == 0 && proved.unproven.is_empty() {
        let why = "no possible request is in its scope";
        proved.unproven.push(why.to_owned());
    }
    proved.unproven.sort();
    proved.unproven.dedup();
    proved.verdict = match (proved.counterexamples.is_empty(), &*proved.unproven) {
        (false, _) => InvariantVerdict::Violated,
        (true, []) => InvariantVerdict::Holds,
        (true, _) => InvariantVerdict::Unproven,
    };
    proved
}

fn failed_policy(error: &AuthorizationError) -> String {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
    }
}

fn add_failing_policies(proof: &mut Proof, bounds: &[InvariantFindings], bundle: &Bundle) {
    let mut failing = BTreeMap::new();
    for bounds in bounds {
        for (id, example) in &bounds.failing {
            failing.entry(id.clone()).or_insert(example);
        }
        proof.unproven.extend(bounds.unknown.iter().cloned());
    }
    for (id, example) in failing {
        let is_here = |request: &Request, entities: &Entities| {
            let policies = &bundle.policies.set;
            let answer = bundle.authorizer.is_authorized(request, policies, entities);
            let mut failed = answer.diagnostics().errors().map(failed_policy);
            failed.any(|failed| failed == id)
        };
        let fault = Violation {
            name: format!("{id}: the policy does not fail"),
            expected: None,
            is_violated: &is_here,
        };
        let Some(counterexample) = Counterexample::new(&fault, example, bundle) else {
            let why = format!("whether the policy {id} can fail: {NOT_CONFIRMED}");
            proof.unproven.push(why);
            continue;
        };
        let listed = bundle.policies().get(&id);
        proof.failing.push(FailingPolicy {
            file: listed.map_or_else(String::new, |policy| policy.file.clone()),
            counterexample,
            id,
        });
    }
    if bounds.len() < proof.environments {
        let why = "whether policies can fail: the time was over";
        proof.unproven.push(why.to_owned());
    }
    proof.unproven.sort();
    proof.unproven.dedup();
}

/// What has no effect in any environment has none.
fn add_ineffective(proof: &mut Proof, found: &[EffectFindings], bundle: &Bundle) {
    let mut unknown = BTreeMap::new();
    for idleness in found {
        unknown.extend(idleness.unknown.clone());
    }
    let covered_by: BTreeMap<&String, BTreeSet<String>> = bundle
        .policies()
        .keys()
        .filter(|id| !unknown.contains_key(*id))
        .map(|id| (id, covering_in_all(id, found)))
        .collect();
    for (id, listed) in bundle.policies() {
        let Some(covering) = covered_by.get(id) else {
            continue;
        };
        if !found.iter().any(|idle| idle.covered_by.contains_key(id)) {
            let policy = id.clone();
            proof.idle.push(Ineffective::NeverApplies { policy });
            continue;
        }
        let life = |id: &str| {
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
            if beside.is_permit != listed.is_permit {
                let by = other.clone();
                proof.idle.push(Ineffective::Overruled { policy, by });
            } else if life(id).unwrap_or(MAX_TOKEN_TTL) < life(other).unwrap_or(MAX_TOKEN_TTL) {
                // It is there to shorten the lives of tokens.
            } else if !is_mutual || id < other || life(id) != life(other) {
                proof.idle.push(Ineffective::Redundant {
                    policy,
                    beside: other.clone(),
                    is_mutual: is_mutual && life(id) == life(other),
                });
            }
        }
    }
    let told = unknown.into_iter().map(|(id, why)| format!("{id}: {why}"));
    proof.unanswered.extend(told);
    for (at, invariant) in proof.invariants.iter().enumerate() {
        let is_effective =
            |idle: &EffectFindings| idle.is_effective.get(at).copied().unwrap_or(true);
        if !found.iter().any(is_effective) {
            let invariant = invariant.id.clone();
            proof.idle.push(Ineffective::SaysNothing { invariant });
        }
    }
}

/// The policies that cover one in every environment in which it matches anything.
fn covering_in_all(id: &str, found: &[EffectFindings]) -> BTreeSet<String> {
    let mut everywhere = found.iter().filter_map(|idle| idle.covered_by.get(id));
    let first = everywhere.next().cloned().unwrap_or_default();
    everywhere.fold(first, |common, covering| &common & covering)
}
