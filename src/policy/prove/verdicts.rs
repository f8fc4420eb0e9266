//! The verdicts of a proof: what the findings of all environments say of each invariant, and of policies that can fail.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cedar_policy::{Decision, Entities, PolicySet, Request};

use crate::policy::Bundle;
use crate::policy::case_answer::failed_policy;
use crate::policy::case_file::CaseDecision;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::named_users::disable_hint;

use super::counterexample::{Counterexample, Violation};
use super::deadline::Deadline;
use super::environment::{Finding, InvariantFindings};
use super::error::ProveError;
use super::invariants::{Invariant, InvariantBound};
use super::options::ProofOptions;
use super::proof::{FailingPolicy, InvariantVerdict, Proof, ProvedInvariant};
use super::proof_time::ProofTime;
use super::scheduler::Findings;
use super::statement::bounding_policies;
use super::subject::ProofSubject;
use super::ways_on::WaysOn;

/// The solver works on a model of the policies; evaluating the policies must confirm what it finds.
const NOT_CONFIRMED: &str = "evaluating the policies does not confirm the solver's counterexample";

/// An edit must not replace an invariant by a statement that is always true.
const NO_EFFECT: &str = "the edit makes it hold for any policies; if that is meant, remove it";

/// The literals of all policies and invariants, read when a counterexample needs them: reading all policies takes long.
type Literals<'a> = LazyLock<ContextLiterals, Box<dyn FnOnce() -> ContextLiterals + 'a>>;

/// What was found in all environments, for the verdicts.
pub(super) struct Verdicts<'a> {
    bundle: &'a Bundle,
    invariants: &'a [Invariant],
    found: &'a Findings,
    literals: Literals<'a>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(
        bundle: &'a Bundle,
        invariants: &'a [Invariant],
        found: &'a Findings,
    ) -> Self {
        Self {
            bundle,
            invariants,
            found,
            literals: LazyLock::new(Box::new(|| {
                let literals = ContextLiterals::of_policies(bundle.policies.set.policies());
                let stated = invariants.iter().map(|invariant| &invariant.policy);
                literals.and(ContextLiterals::of_policies(stated))
            })),
        }
    }

    /// The verdict about each invariant; `missed` is the deadline that some environments were not checked by.
    pub(super) fn of_invariants(
        &self,
        subject: &ProofSubject,
        missed: Option<&Deadline>,
    ) -> Result<Vec<ProvedInvariant>, ProveError> {
        let all = self.invariants.iter().enumerate();
        all.map(|(index, invariant)| self.of_invariant(index, invariant, (subject, missed)))
            .collect()
    }

    fn of_invariant(
        &self,
        index: usize,
        invariant: &Invariant,
        (subject, missed): (&ProofSubject, Option<&Deadline>),
    ) -> Result<ProvedInvariant, ProveError> {
        let bounds = bounding_policies(invariant).map_err(|error| ProveError::failed(&error))?;
        let mut proved = new_verdict(invariant);
        let is_example = |finding: Option<&Finding>| matches!(finding, Some(Finding::Example(_)));
        let mut all = self.found.violations.iter();
        if all.any(|environment| is_example(environment.findings.get(index))) {
            add_examples(
                &mut proved,
                index,
                (invariant, &bounds),
                self.found,
                (self.bundle, &self.literals),
            );
        }
        add_findings(&mut proved, index, self.found);
        if let Some(deadline) = missed {
            proved.unproven.push(deadline.message());
        } else if subject.lacks_effect(index) {
            proved.unproven.push(NO_EFFECT.to_owned());
        }
        conclude(&mut proved);
        Ok(proved)
    }

    /// Adds the policies that can fail, and what is not known about that.
    pub(super) fn add_failing(&self, proof: &mut Proof, missed: Option<&Deadline>) {
        add_unknown(proof, &self.found.violations);
        let mut all = self.found.violations.iter();
        if all.any(|found| !found.failing.is_empty()) {
            add_failing_policies(proof, &self.found.violations, (self.bundle, &self.literals));
        }
        if let Some(deadline) = missed {
            let message = format!("whether policies can fail: {}", deadline.message());
            proof.unproven.push(message);
        }
        proof.unproven.sort();
        proof.unproven.dedup();
        proof.unproven.extend(proof.time.unfinished());
    }

    /// How long the invariants took.
    pub(super) fn time(&self, options: &ProofOptions, environments: usize) -> ProofTime {
        let is_answered = |found: &&InvariantFindings| {
            let is_known = |finding: &Finding| !matches!(finding, Finding::Unknown(_));
            found.unknown.is_empty() && found.findings.iter().all(is_known)
        };
        ProofTime {
            took: self.found.took,
            limit: options.time_limit,
            policies: self.bundle.policies().len(),
            answered: self.found.violations.iter().filter(is_answered).count(),
            environments,
        }
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
