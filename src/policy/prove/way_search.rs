//! The search for the ways on from a violated invariant.
//!
//! A policy is to be narrowed by a condition of the invariant itself: where it holds, so does the invariant. Only the
//! environments with a counterexample are proved again, because a narrower permit permits no more, and a narrower
//! forbid no less, than before.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Authorizer, Decision, Policy, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::{
    CompiledPolicy, CompiledPolicySet, Env, implies_asserts, never_matches_asserts,
};
use serde_json::Value;

use crate::policy::Bundle;
use crate::policy::links::instantiate;
use crate::policy::policy_id::id_text;
use crate::policy::validation::{ValidationPurpose, validate};

use super::invariants::{Invariant, InvariantBound};
use super::narrowing::{Narrowing, narrowings};
use super::solver::{SolverSession, is_unsatisfiable};
use super::statement::bounding_policies;
use super::ways_on::{Culprit, WaysOn};

/// The most policies that are named for one invariant.
const MAX_CULPRITS: usize = 10;

/// A violated invariant with the requests that violate it.
pub(super) struct ViolatedInvariant<'a> {
    pub(super) invariant: &'a Invariant,
    pub(super) examples: Vec<&'a Env>,
}

/// The search for what to do about one invariant.
pub(super) struct WaySearch<'a> {
    bundle: &'a Bundle,
    violated: &'a ViolatedInvariant<'a>,
    bounding: PolicySet,
    /// The policies that may match in an environment with a counterexample, without the excepted ones.
    relevant: BTreeMap<RequestEnv, Vec<Policy>>,
    culprits: BTreeSet<String>,
    found: WaysOn,
}

impl<'a> WaySearch<'a> {
    /// Prepares the search; `None` if there is no time for it.
    pub(super) fn new(
        bundle: &'a Bundle,
        policies: &[Policy],
        violated: &'a ViolatedInvariant<'a>,
        solver: &SolverSession,
    ) -> Option<Self> {
        let excepted = &violated.invariant.exceptions.policies;
        let mut relevant = BTreeMap::new();
        for example in &violated.examples {
            let environment = environment_of(example)?;
            let mut here = Vec::new();
            for policy in policies {
                if solver.is_expired() {
                    return None;
                }
                if !excepted.contains(&id_text(policy.id()))
                    && may_match(policy, &environment, &bundle.schema)
                {
                    here.push(policy.clone());
                }
            }
            relevant.insert(environment, here);
        }
        Some(Self {
            bundle,
            violated,
            bounding: bounding_policies(violated.invariant).ok()?,
            relevant,
            culprits: BTreeSet::new(),
            found: WaysOn::default(),
        })
    }

    /// Searches until there is nothing more to find or the time is over.
    pub(super) async fn run(mut self, solver: &mut SolverSession) -> WaysOn {
        for example in &self.violated.examples {
            if self.find_culprits(example, solver).await.is_none() {
                self.found.may_be_more = true;
            }
        }
        for id in self.culprits.clone() {
            let mut culprit = Culprit::new(self.bundle, &id);
            culprit.condition = self.find_condition(&id, solver).await;
            self.found.policies.push(culprit);
        }
        if !self.found.policies.is_empty() && !self.found.lacks_permit {
            self.found.except = Some(self.except_annotation());
        }
        self.found
    }

    /// Finds the policies that violate the invariant in one environment; `None` if there may be more.
    async fn find_culprits(&mut self, example: &Env, solver: &mut SolverSession) -> Option<()> {
        let environment = environment_of(example)?;
        let mut example = example.clone();
        loop {
            let remaining = self.remaining(&environment)?;
            let found = self.determining(&example, &remaining);
            if found.is_empty() {
                // A failing policy is told of by itself.
                self.found.lacks_permit |= self.lacks_permit(&example, &remaining);
                return Some(());
            }
            if self.culprits.len() + found.len() > MAX_CULPRITS {
                let room = MAX_CULPRITS.saturating_sub(self.culprits.len());
                self.culprits.extend(found.into_iter().take(room));
                return None;
            }
            self.culprits.extend(found);
            let remaining = self.remaining(&environment)?;
            match self.find_violation(&remaining, &environment, solver).await {
                Ok(None) => return Some(()),
                Ok(Some(next)) => example = next,
                Err(_) => return None,
            }
        }
    }

    /// Whether a lower bound is violated because no policy permits the request.
    fn lacks_permit(&self, example: &Env, policies: &[Policy]) -> bool {
        let Ok(set) = PolicySet::from_policies(policies.iter().cloned()) else {
            return false;
        };
        let answer = Authorizer::new().is_authorized(&example.request, &set, &example.entities);
        self.violated.invariant.bound == InvariantBound::Lower
            && answer.diagnostics().errors().next().is_none()
            && answer.diagnostics().reason().next().is_none()
    }

    /// The relevant policies of an environment without the culprits found so far.
    fn remaining(&self, environment: &RequestEnv) -> Option<Vec<Policy>> {
        let relevant = self.relevant.get(environment)?.iter();
        let is_left = |policy: &&Policy| !self.culprits.contains(&id_text(policy.id()));
        Some(relevant.filter(is_left).cloned().collect())
    }

    /// The policies that determine a request that violates the invariant; none if one fails to evaluate.
    fn determining(&self, example: &Env, policies: &[Policy]) -> BTreeSet<String> {
        let Ok(set) = PolicySet::from_policies(policies.iter().cloned()) else {
            return BTreeSet::new();
        };
        let answer = Authorizer::new().is_authorized(&example.request, &set, &example.entities);
        let violating = match self.violated.invariant.bound {
            InvariantBound::Upper => Decision::Allow,
            InvariantBound::Lower => Decision::Deny,
        };
        let has_failed = answer.diagnostics().errors().next().is_some();
        if has_failed || answer.decision() != violating {
            return BTreeSet::new();
        }
        let reasons = answer.diagnostics().reason();
        reasons.map(id_text).collect()
    }

    async fn find_violation(
        &self,
        policies: &[Policy],
        environment: &RequestEnv,
        solver: &mut SolverSession,
    ) -> Result<Option<Env>, String> {
        let compile = |set: &PolicySet| {
            CompiledPolicySet::compile(set, environment, &self.bundle.schema)
                .map_err(|error| error.to_string())
        };
        let set = PolicySet::from_policies(policies.iter().cloned());
        let compiled = compile(&set.map_err(|error| error.to_string())?)?;
        let bounding = compile(&self.bounding)?;
        let asserts = match self.violated.invariant.bound {
            InvariantBound::Upper => implies_asserts(&compiled, &bounding),
            InvariantBound::Lower => implies_asserts(&bounding, &compiled),
        };
        solver.find_likely_example(&asserts).await
    }

    /// The first condition with which a policy keeps the invariant and still matches something.
    async fn find_condition(&self, id: &str, solver: &mut SolverSession) -> Option<String> {
        let (policy, _) = self.bundle.policy(id)?;
        let policy = instantiate(policy).ok()?;
        for narrowing in narrowings(self.violated.invariant) {
            let for_datasets = narrowing.for_datasets();
            let valid = [narrowing, for_datasets]
                .into_iter()
                .find_map(|narrowing| Some((self.narrowed(&policy, &narrowing)?, narrowing)));
            let Some((narrowed, narrowing)) = valid else {
                continue;
            };
            if self.keeps(&narrowed, solver).await? && self.matches(&narrowed, solver).await? {
                return Some(narrowing.to_string());
            }
        }
        None
    }

    /// A policy with one more condition, if that is valid.
    fn narrowed(&self, policy: &Policy, narrowing: &Narrowing) -> Option<Policy> {
        let mut json = policy.to_json().ok()?;
        let conditions = json.get_mut("conditions")?.as_array_mut()?;
        let text = format!("permit (principal, action, resource) {narrowing};");
        let added: Value = Policy::parse(None, text).ok()?.to_json().ok()?;
        conditions.extend(added.get("conditions")?.as_array()?.iter().cloned());
        let narrowed = Policy::from_json(Some(policy.id().clone()), json).ok()?;
        let set = PolicySet::from_policies([narrowed.clone()]).ok()?;
        let result = validate(&set, &self.bundle.schema, ValidationPurpose::Decisions).ok()?;
        result.validation_passed().then_some(narrowed)
    }

    /// Whether a narrowed policy keeps the invariant beside what does not violate it; `None` if it is not known.
    async fn keeps(&self, narrowed: &Policy, solver: &mut SolverSession) -> Option<bool> {
        for environment in self.relevant.keys() {
            let mut policies = self.remaining(environment)?;
            policies.push(narrowed.clone());
            let found = self.find_violation(&policies, environment, solver).await;
            if found.ok()?.is_some() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether a policy matches any request; `None` if it is not known.
    async fn matches(&self, policy: &Policy, solver: &mut SolverSession) -> Option<bool> {
        for environment in self.bundle.schema.request_envs() {
            let Ok(compiled) = CompiledPolicy::compile(policy, &environment, &self.bundle.schema)
            else {
                continue;
            };
            let found = solver
                .find_likely_example(&never_matches_asserts(&compiled))
                .await;
            if found.ok()?.is_some() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The annotation with the exceptions that there are and those to add; a link is excepted by its template.
    fn except_annotation(&self) -> String {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        names.extend(self.violated.invariant.excepted.iter().map(String::as_str));
        names.extend(self.found.policies.iter().map(|culprit| {
            let template = culprit.template.as_ref();
            template.unwrap_or(&culprit.policy).as_str()
        }));
        let names: Vec<&str> = names.into_iter().collect();
        format!("@except({:?})", names.join(", "))
    }
}

/// The environment of a request.
fn environment_of(example: &Env) -> Option<RequestEnv> {
    let request = &example.request;
    Some(RequestEnv::new(
        request.principal()?.type_name().clone(),
        request.action()?.clone(),
        request.resource()?.type_name().clone(),
    ))
}

fn may_match(policy: &Policy, environment: &RequestEnv, schema: &Schema) -> bool {
    CompiledPolicy::compile(policy, environment, schema)
        .is_ok_and(|compiled| !is_unsatisfiable(&never_matches_asserts(&compiled)))
}
