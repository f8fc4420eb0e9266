//! What follows a proof: what to do about violations, and why a policy never applies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::RequestEnv;
use cedar_policy_symcc::Env;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::Bundle;
use crate::policy::links::instantiate;
use crate::policy::proof_memory::ProofMemory;

use super::contradiction::{Contradiction, find_contradiction};
use super::deadline::Deadline;
use super::environment::Finding;
use super::error::ProveError;
use super::ineffective::Ineffective;
use super::invariants::Invariant;
use super::options::ProofOptions;
use super::proof::{InvariantVerdict, Proof};
use super::scheduler::{Findings, find_solver, run_alone};
use super::solver::{Solver, SolverSession};
use super::subject::ProofSubject;
use super::way_search::{ViolatedInvariant, WaySearch};
use super::ways_on::WaysOn;

/// The most time that it may take at the policy gate, within that of the proof: an edit waits for it. Whoever asked for a
/// thorough proof gets this much at least, however long the proof took.
const FOLLOW_UP_TIMEOUT: Duration = Duration::from_secs(8);
/// The question whether a policy matches any request.
const APPLIES: &str = "applies";
/// The most violated invariants that are followed up.
const MAX_VIOLATED: usize = 20;
/// The most policies that never apply of which the contradiction is searched.
const MAX_CONTRADICTIONS: usize = 10;

/// A proof that is done, for what follows it.
pub(super) struct FollowUp<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) subject: &'a ProofSubject,
    pub(super) environments: &'a [RequestEnv],
    pub(super) invariants: &'a [Invariant],
    pub(super) found: &'a Findings,
}

impl FollowUp<'_> {
    /// Adds the ways on from each violated invariant, and why policies never apply. What is not found in time is
    /// left out.
    pub(super) fn run(
        &self,
        proof: &mut Proof,
        (solver, options): (&Solver, &ProofOptions),
        deadline: &Deadline,
    ) {
        let deadline = if options.is_thorough {
            deadline.at_least(FOLLOW_UP_TIMEOUT)
        } else {
            deadline.at_most(FOLLOW_UP_TIMEOUT)
        };
        let violated: Vec<(usize, ViolatedInvariant<'_>)> = self.violated(proof);
        let idle = proof.idle.iter().filter_map(|idle| match idle {
            Ineffective::NeverApplies { policy, .. } => Some(policy.clone()),
            Ineffective::Redundant { .. }
            | Ineffective::Overruled { .. }
            | Ineffective::SaysNothing { .. } => None,
        });
        let idle: Vec<String> = idle.collect();
        if violated.is_empty() && idle.is_empty() {
            return;
        }
        let (bundle, environments) = (self.bundle, self.environments);
        let done = run_alone(
            (solver, self.subject.recollection.clone()),
            &deadline,
            options.is_low_priority,
            |runtime, solver| {
                runtime.block_on(async {
                    let ways = self.find_ways(&violated, solver).await;
                    let idle = find_contradictions(bundle, idle, environments, solver).await;
                    (ways, idle)
                })
            },
        );
        let Some((ways, idle)) = done else {
            return;
        };
        for (index, ways) in ways {
            if let Some(invariant) = proof.invariants.get_mut(index) {
                invariant.ways_on = ways;
            }
        }
        for found in idle {
            let mut known = proof.idle.iter_mut();
            if let Some(known) = known.find(|one| one.is_never_applying(&found)) {
                *known = found;
            }
        }
    }

    fn violated(&self, proof: &Proof) -> Vec<(usize, ViolatedInvariant<'_>)> {
        let all = self.invariants.iter().zip(&proof.invariants).enumerate();
        let violated = all.filter(|(_, (_, proved))| proved.verdict == InvariantVerdict::Violated);
        violated
            .take(MAX_VIOLATED)
            .map(|(index, (invariant, _))| {
                let examples = self.found.violations.iter().filter_map(|environment| {
                    match environment.findings.get(index) {
                        Some(Finding::Example(example)) => Some(&**example),
                        Some(Finding::OutOfScope | Finding::Holds | Finding::Unknown(_)) | None => {
                            None
                        }
                    }
                });
                let examples: Vec<&Env> = examples.collect();
                (
                    index,
                    ViolatedInvariant {
                        invariant,
                        examples,
                    },
                )
            })
            .collect()
    }

    async fn find_ways(
        &self,
        violated: &[(usize, ViolatedInvariant<'_>)],
        solver: &mut SolverSession,
    ) -> Vec<(usize, WaysOn)> {
        let mut found = Vec::new();
        for (index, violated) in violated {
            let policies = self.subject.filled_policies();
            if let Some(search) = WaySearch::new(self.bundle, policies, violated, solver) {
                found.push((*index, search.run(solver).await));
            }
        }
        found
    }
}

/// A warning for each policy that matches no possible request, unless the bundle has one already: what depends on
/// values is known only after a search with the solver. `known` are policies that apply; `memory` has more of them. What
/// is not found in time, or before the search is given up, is left out.
///
/// Blocks, and uses one thread.
pub fn find_idle_policies(
    bundle: &Bundle,
    known: &BTreeSet<String>,
    options: &ProofOptions,
    memory: &Arc<ProofMemory>,
) -> Result<Vec<SourceDiagnostic>, ProveError> {
    let deadline = Deadline::of_proof(options);
    if bundle
        .policies()
        .keys()
        .all(|policy| known.contains(policy))
    {
        return Ok(Vec::new());
    }
    let environments: Vec<_> = bundle.schema.request_envs().collect();
    let solver = find_solver()?;
    let subject = ProofSubject::new(bundle, &[], &BTreeSet::new(), (memory, solver.version()))?;
    let recollection = subject.recollection.clone();
    let found = run_alone(
        (&solver, recollection),
        &deadline,
        options.is_low_priority,
        |runtime, solver| {
            runtime.block_on(find_idle(bundle, (&subject, known), &environments, solver))
        },
    );
    let idle = found.unwrap_or_default();
    Ok(idle
        .iter()
        .filter_map(|idle| idle.warning(bundle))
        .collect())
}

/// The policies that never apply, with their contradictions, as far as there is time.
async fn find_idle(
    bundle: &Bundle,
    (subject, known): (&ProofSubject, &BTreeSet<String>),
    environments: &[RequestEnv],
    solver: &mut SolverSession,
) -> Vec<Ineffective> {
    let mut ids = Vec::new();
    for policy in &subject.policies {
        if solver.is_expired() {
            break;
        }
        let question = policy.question(APPLIES, &subject.recollection.context, &[]);
        if known.contains(&policy.id) || subject.is_remembered(question) {
            continue;
        }
        match subject.applies(policy, environments, solver).await {
            Ok(true) => subject.remember_question(question, &BTreeSet::new()),
            Ok(false) => ids.push(policy.id.clone()),
            Err(_) => {}
        }
    }
    find_contradictions(bundle, ids, environments, solver).await
}

/// Policies that never apply, with their contradictions.
async fn find_contradictions(
    bundle: &Bundle,
    ids: Vec<String>,
    environments: &[RequestEnv],
    solver: &mut SolverSession,
) -> Vec<Ineffective> {
    let mut found = Vec::new();
    for (number, id) in ids.into_iter().enumerate() {
        let policy = bundle.policy(&id);
        let policy = policy.and_then(|(policy, _)| instantiate(policy).ok());
        let contradiction = match policy {
            Some(policy) if number < MAX_CONTRADICTIONS => {
                find_contradiction(&policy, &bundle.schema, environments, solver).await
            }
            Some(_) | None => None,
        };
        found.push(Ineffective::NeverApplies {
            policy: id,
            reason: contradiction.as_ref().map(Contradiction::describe),
            help: contradiction.and_then(|found| found.help),
        });
    }
    found
}
