//! The checks of one request environment: a type of principal, an action and a type of resource.
//!
//! The findings hold in this environment only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use cedar_policy::{Authorizer, Effect, Policy, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::term::Term;
use cedar_policy_symcc::{
    CompiledPolicy, CompiledPolicySet, Env, WellFormedAsserts, always_allows_asserts,
    implies_asserts, matches_implies_asserts, never_errors_asserts, never_matches_asserts,
};

use crate::policy::links::instantiate;

use super::invariants::{Invariant, InvariantBound};
use super::solver::SolverSession;
use super::statement::{StatementError, bounding_policies, scope_policy};

/// The policies and invariants of a proof; owned, because threads may outlive the caller.
pub(super) struct ProofSubject {
    schema: Schema,
    policies: Vec<Policy>,
    permits: PolicySet,
    forbids: PolicySet,
    statements: Vec<InvariantStatement>,
}

struct InvariantStatement {
    bound: InvariantBound,
    /// Whether it has to exclude or require something.
    must_have_effect: bool,
    /// Whether it does so in an environment checked so far.
    has_effect: AtomicBool,
    policy: Policy,
    scope: Policy,
    bounding: PolicySet,
    /// The policies that it excepts.
    excepted: BTreeSet<String>,
}

/// The finding about an invariant in one environment.
pub(super) enum Finding {
    /// No request of this environment is in its scope.
    OutOfScope,
    /// It is proved to hold.
    Holds,
    /// It is violated by this request.
    Example(Box<Env>),
    /// It is not known, for this reason.
    Unknown(String),
}

/// The findings about invariants and failing policies in one environment.
pub(super) struct InvariantFindings {
    /// A finding for each invariant, in their order.
    pub(super) findings: Vec<Finding>,
    /// The policies that can fail to evaluate, each with a request for which it does.
    pub(super) failing: Vec<(String, Box<Env>)>,
    /// What is not known about failing policies.
    pub(super) unknown: Vec<String>,
}

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

impl ProofSubject {
    pub(super) fn new(
        schema: &Schema,
        policies: &PolicySet,
        invariants: &[Invariant],
        must_have_effect: &BTreeSet<String>,
    ) -> Result<Self, StatementError> {
        // The solver's compiler does not support templates.
        let mut all: Vec<Policy> = policies
            .policies()
            .map(instantiate)
            .collect::<Result<_, _>>()?;
        all.sort_by_cached_key(|policy| policy.id().to_string());
        let with_effect = |effect: Effect| {
            let matching = all.iter().filter(|policy| policy.effect() == effect);
            PolicySet::from_policies(matching.cloned()).map_err(Box::new)
        };
        Ok(Self {
            schema: schema.clone(),
            permits: with_effect(Effect::Permit)?,
            forbids: with_effect(Effect::Forbid)?,
            policies: all,
            statements: invariants
                .iter()
                .map(|invariant| {
                    Ok(InvariantStatement {
                        bound: invariant.bound,
                        must_have_effect: must_have_effect.contains(&invariant.id),
                        has_effect: AtomicBool::new(false),
                        policy: invariant.policy.clone(),
                        scope: scope_policy(&invariant.policy)?,
                        bounding: bounding_policies(invariant)?,
                        excepted: invariant.exceptions.policies.clone(),
                    })
                })
                .collect::<Result<_, StatementError>>()?,
        })
    }

    /// Whether an invariant that has to have an effect has none in the environments that were checked.
    pub(super) fn lacks_effect(&self, index: usize) -> bool {
        self.statements.get(index).is_some_and(|statement| {
            statement.must_have_effect && !statement.has_effect.load(Ordering::Relaxed)
        })
    }

    /// Proves or refutes every invariant, and that no policy can fail, in one environment.
    pub(super) async fn find_violations(
        &self,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> InvariantFindings {
        let mut found = InvariantFindings {
            findings: Vec::new(),
            failing: Vec::new(),
            unknown: Vec::new(),
        };
        let mut relevant = Vec::new();
        for policy in &self.policies {
            if solver.is_expired() {
                found.unknown.push(solver.timeout_message());
                break;
            }
            let id = policy.id().to_string();
            match CompiledPolicy::compile(policy, env, &self.schema) {
                Ok(compiled) => {
                    if !is_unsatisfiable(&never_matches_asserts(&compiled)) {
                        relevant.push(policy.clone());
                    }
                    match solver.find_example(&never_errors_asserts(&compiled)).await {
                        Ok(None) => {}
                        Ok(Some(example)) => found.failing.push((id, Box::new(example))),
                        Err(reason) => found
                            .unknown
                            .push(format!("whether policy `{id}` can fail: {reason}")),
                    }
                }
                Err(error) => found.unknown.push(format!("policy `{id}`: {error}")),
            }
        }
        if !found.unknown.is_empty() {
            let reason = if solver.is_expired() {
                solver.timeout_message()
            } else {
                "not all policies could be checked".to_owned()
            };
            let unknown = |_| Finding::Unknown(reason.clone());
            found.findings = self.statements.iter().map(unknown).collect();
            return found;
        }
        let all = compile_all(&relevant, &BTreeSet::new(), env, &self.schema);
        for statement in &self.statements {
            let without_excepted = (!statement.excepted.is_empty())
                .then(|| compile_all(&relevant, &statement.excepted, env, &self.schema));
            let finding = match without_excepted.as_ref().unwrap_or(&all) {
                Ok(bundle) => self
                    .prove_statement(statement, bundle, env, solver)
                    .await
                    .unwrap_or_else(Finding::Unknown),
                Err(reason) => Finding::Unknown(reason.clone()),
            };
            found.findings.push(finding);
        }
        found
    }

    /// All policies, without templates.
    pub(super) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    async fn prove_statement(
        &self,
        statement: &InvariantStatement,
        bundle: &CompiledPolicySet,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> Result<Finding, String> {
        let compile = |policy| {
            CompiledPolicy::compile(policy, env, &self.schema).map_err(|error| error.to_string())
        };
        if is_unsatisfiable(&never_matches_asserts(&compile(&statement.scope)?)) {
            return Ok(Finding::OutOfScope);
        }
        let own = compile(&statement.policy)?;
        if let Some(example) = solver.find_example(&never_errors_asserts(&own)).await? {
            return Err(format!(
                "the invariant itself fails to evaluate for {example}"
            ));
        }
        let bounding = CompiledPolicySet::compile(&statement.bounding, env, &self.schema)
            .map_err(|error| error.to_string())?;
        let asserts = match statement.bound {
            InvariantBound::Upper => implies_asserts(bundle, &bounding),
            InvariantBound::Lower => implies_asserts(&bounding, bundle),
        };
        let finding = match solver.find_example(&asserts).await? {
            None => Finding::Holds,
            Some(example) => Finding::Example(Box::new(example)),
        };
        if statement.must_have_effect
            && !statement.has_effect.load(Ordering::Relaxed)
            && self.is_effective(statement, env, solver).await?
        {
            statement.has_effect.store(true, Ordering::Relaxed);
        }
        Ok(finding)
    }

    /// Searches one environment for what has no effect: policies that never match or that others
    /// cover, and invariants that hold for any policies.
    pub(super) async fn find_ineffective(
        &self,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> EffectFindings {
        let mut found = EffectFindings::default();
        let mut matching: BTreeMap<String, (CompiledPolicy, Env)> = BTreeMap::new();
        for policy in &self.policies {
            let id = policy.id().to_string();
            if solver.is_expired() {
                found.unknown.insert(id, solver.timeout_message());
                continue;
            }
            let result = match CompiledPolicy::compile(policy, env, &self.schema) {
                Ok(compiled) => solver
                    .find_example(&never_matches_asserts(&compiled))
                    .await
                    .map(|example| example.map(|example| (compiled, example))),
                Err(error) => Err(error.to_string()),
            };
            match result {
                Ok(None) => {}
                Ok(Some(pair)) => {
                    matching.insert(id, pair);
                }
                Err(reason) => {
                    found.unknown.insert(id, reason);
                }
            }
        }
        for (id, (compiled, example)) in &matching {
            let covering = self
                .covering(id, compiled, example, &matching, solver)
                .await
                .unwrap_or_else(|reason| {
                    found.unknown.insert(id.clone(), reason);
                    BTreeSet::new()
                });
            found.covered_by.insert(id.clone(), covering);
        }
        for statement in &self.statements {
            let is_effective = self.is_effective(statement, env, solver).await;
            // No warning where it is not known.
            found.is_effective.push(is_effective.unwrap_or(true));
        }
        found
    }

    /// The policies that match whenever one does.
    ///
    /// Each example of a request that it matches rules out the policies that do not match it, so few
    /// pairs need a query to the solver.
    async fn covering(
        &self,
        id: &str,
        compiled: &CompiledPolicy,
        example: &Env,
        matching: &BTreeMap<String, (CompiledPolicy, Env)>,
        solver: &mut SolverSession,
    ) -> Result<BTreeSet<String>, String> {
        let mut candidates = self.matching_policies(example);
        candidates.remove(id);
        let mut covering = BTreeSet::new();
        while let Some(other) = candidates.pop_first() {
            let Some((other_compiled, _)) = matching.get(&other) else {
                continue;
            };
            // A forbid has an effect although a permit covers it.
            if compiled.effect() == Effect::Forbid && other_compiled.effect() == Effect::Permit {
                continue;
            }
            match solver
                .find_example(&matches_implies_asserts(compiled, other_compiled))
                .await?
            {
                None => {
                    covering.insert(other);
                }
                Some(example) => {
                    let satisfied = self.matching_policies(&example);
                    candidates.retain(|id| satisfied.contains(id));
                }
            }
        }
        Ok(covering)
    }

    /// The policies that match one request; permits and forbids apart, because Cedar names only the
    /// forbids of a denial.
    fn matching_policies(&self, example: &Env) -> BTreeSet<String> {
        let authorizer = Authorizer::new();
        [&self.permits, &self.forbids]
            .into_iter()
            .flat_map(|set| {
                let response = authorizer.is_authorized(&example.request, set, &example.entities);
                let reasons = response.diagnostics().reason();
                reasons.map(ToString::to_string).collect::<Vec<_>>()
            })
            .collect()
    }

    async fn is_effective(
        &self,
        statement: &InvariantStatement,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> Result<bool, String> {
        let example = match statement.bound {
            InvariantBound::Upper => {
                let bounding = CompiledPolicySet::compile(&statement.bounding, env, &self.schema)
                    .map_err(|error| error.to_string())?;
                solver
                    .find_example(&always_allows_asserts(&bounding))
                    .await?
            }
            InvariantBound::Lower => {
                let own = CompiledPolicy::compile(&statement.policy, env, &self.schema)
                    .map_err(|error| error.to_string())?;
                solver.find_example(&never_matches_asserts(&own)).await?
            }
        };
        Ok(example.is_some())
    }
}

/// The request environments of a schema that may be in the scope of an invariant.
pub(in crate::policy) fn environments_in_scope(
    invariant: &Policy,
    schema: &Schema,
) -> BTreeSet<RequestEnv> {
    let Ok(scope) = scope_policy(invariant) else {
        return BTreeSet::new();
    };
    let is_in_scope = |env: &RequestEnv| {
        CompiledPolicy::compile(&scope, env, schema)
            .is_ok_and(|compiled| !is_unsatisfiable(&never_matches_asserts(&compiled)))
    };
    schema.request_envs().filter(is_in_scope).collect()
}

/// Compiles policies without the excepted ones.
fn compile_all(
    policies: &[Policy],
    excepted: &BTreeSet<String>,
    env: &RequestEnv,
    schema: &Schema,
) -> Result<CompiledPolicySet, String> {
    let is_left =
        |policy: &&Policy| excepted.is_empty() || !excepted.contains(&policy.id().to_string());
    let set = PolicySet::from_policies(policies.iter().filter(is_left).cloned())
        .map_err(|error| error.to_string())?;
    CompiledPolicySet::compile(&set, env, schema).map_err(|error| error.to_string())
}

/// Whether `asserts` are unsatisfiable by types and literals alone, without the solver.
pub(super) fn is_unsatisfiable(asserts: &WellFormedAsserts<'_>) -> bool {
    let never = Term::from(false);
    asserts.asserts().contains(&never)
}
