//! The subject of a proof: the policies and invariants, and what of them is still to be proved.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicySet,
    PrincipalConstraint, RequestEnv, ResourceConstraint, Schema,
};
use cedar_policy_symcc::{CompiledPolicy, CompiledSchema, Env, SymEnv};
use serde_json::Value;

use crate::policy::Bundle;
use crate::policy::index::PolicyIndex;
use crate::policy::links::instantiate;
use crate::policy::policy_id::id_text;
use crate::policy::proof_digest::{DigestBuilder, ProofDigest, context_digest, policy_digest};
use crate::policy::proof_memory::ProofMemory;

use super::error::ProveError;
use super::invariants::{Invariant, InvariantBound};
use super::solver::Recollection;
use super::statement::{bounding_policies, scope_policy};

/// The question whether a policy never fails to evaluate, in no environment.
pub(super) const NEVER_FAILS: &str = "never fails";
/// The question whether a policy by itself meets an invariant, in all environments.
pub(super) const MEETS: &str = "meets";

/// The policies and invariants of a proof; owned, because threads may outlive the caller.
pub(super) struct ProofSubject {
    pub(super) schema: Schema,
    compiled_schema: CompiledSchema,
    actions: Entities,
    index: Arc<PolicyIndex>,
    /// By id.
    pub(super) policies: Vec<SubjectPolicy>,
    numbers: BTreeMap<String, usize>,
    /// The digests of all policies.
    present: HashSet<ProofDigest>,
    pub(super) statements: Vec<InvariantStatement>,
    /// What is not remembered.
    pub(super) pending: Vec<PendingPolicy>,
    pub(super) recollection: Recollection,
    filled: OnceLock<Vec<Policy>>,
}

/// A policy of the bundle.
pub(super) struct SubjectPolicy {
    pub(super) id: String,
    pub(super) effect: Effect,
    /// `None` if it is proved anew each time.
    pub(super) digest: Option<ProofDigest>,
    policy: Policy,
    filled: OnceLock<Result<Policy, String>>,
}

/// What is still to be proved of a policy.
pub(super) struct PendingPolicy {
    /// Its place among the policies.
    pub(super) policy: usize,
    /// Whether it may fail to evaluate, for all that is known.
    pub(super) may_fail: bool,
    /// The invariants that it may violate by itself, for all that is known.
    pub(super) statements: Vec<usize>,
}

/// An invariant.
pub(super) struct InvariantStatement {
    pub(super) bound: InvariantBound,
    /// Whether it has to exclude or require something.
    pub(super) must_have_effect: bool,
    /// Whether it does so in an environment checked so far.
    pub(super) has_effect: AtomicBool,
    pub(super) policy: Policy,
    pub(super) scope: Policy,
    pub(super) bounding: PolicySet,
    /// The policies that it excepts.
    pub(super) excepted: BTreeSet<String>,
    pub(super) digest: ProofDigest,
}

impl InvariantStatement {
    fn new(invariant: &Invariant, must_have_effect: &BTreeSet<String>) -> Result<Self, ProveError> {
        let failed = |error| ProveError::failed(&error);
        Ok(Self {
            bound: invariant.bound,
            must_have_effect: must_have_effect.contains(&invariant.id),
            has_effect: AtomicBool::new(false),
            policy: invariant.policy.clone(),
            scope: scope_policy(&invariant.policy).map_err(failed)?,
            bounding: bounding_policies(invariant).map_err(failed)?,
            excepted: invariant.exceptions.policies.clone(),
            digest: statement_digest(invariant)?,
        })
    }

    /// Whether a policy alone can violate it: only a permit exceeds an upper bound, and only a forbid takes away what a
    /// lower one requires.
    pub(super) fn concerns(&self, policy: &SubjectPolicy) -> bool {
        let effect = match self.bound {
            InvariantBound::Upper => Effect::Permit,
            InvariantBound::Lower => Effect::Forbid,
        };
        policy.effect == effect && !self.excepted.contains(&policy.id)
    }
}

impl SubjectPolicy {
    fn new(policy: &Policy) -> Self {
        Self {
            id: id_text(policy.id()),
            effect: policy.effect(),
            digest: policy_digest(policy),
            policy: policy.clone(),
            filled: OnceLock::new(),
        }
    }

    /// The policy without a template, which the solver's compiler does not support.
    pub(super) fn filled(&self) -> Result<&Policy, String> {
        let filled = self
            .filled
            .get_or_init(|| instantiate(&self.policy).map_err(|error| error.to_string()));
        filled.as_ref().map_err(Clone::clone)
    }

    /// Compiles it for an environment.
    pub(super) fn compile(
        &self,
        env: &RequestEnv,
        (schema, symbols): (&Schema, &SymEnv),
    ) -> Result<CompiledPolicy, String> {
        compile(self.filled()?, env, (schema, symbols))
    }

    /// Whether it matches one request.
    pub(super) fn is_match(&self, example: &Env) -> bool {
        let Ok(policy) = self.filled() else {
            return false;
        };
        let Ok(alone) = PolicySet::from_policies([policy.clone()]) else {
            return false;
        };
        let answer = Authorizer::new().is_authorized(&example.request, &alone, &example.entities);
        answer.diagnostics().reason().next().is_some()
    }

    /// The digest of a question about it.
    pub(super) fn question(
        &self,
        kind: &str,
        context: &ProofDigest,
        about: &[u8],
    ) -> Option<ProofDigest> {
        let digest = DigestBuilder::new(kind)
            .with(context)
            .with(self.digest.as_ref()?);
        Some(digest.with(about).finish())
    }
}

/// An invariant, without its annotations: what it excepts is decided policy by policy.
fn statement_digest(invariant: &Invariant) -> Result<ProofDigest, ProveError> {
    // In its JSON form no two policies are alike that are not the same.
    let mut json = invariant.policy.to_json();
    let members = json.as_mut().ok().and_then(Value::as_object_mut);
    members.map(|members| members.remove("annotations"));
    let json = json.map_err(|error| ProveError::failed(&error))?;
    let digest = DigestBuilder::new("invariant").with(format!("{:?}", invariant.bound).as_bytes());
    Ok(digest.with(json.to_string().as_bytes()).finish())
}

/// Compiles a policy for an environment.
pub(super) fn compile(
    policy: &Policy,
    env: &RequestEnv,
    (schema, symbols): (&Schema, &SymEnv),
) -> Result<CompiledPolicy, String> {
    CompiledPolicy::compile_with_custom_symenv(policy, env, schema, symbols.clone())
        .map_err(|error| error.to_string())
}

impl ProofSubject {
    pub(super) fn new(
        bundle: &Bundle,
        invariants: &[Invariant],
        must_have_effect: &BTreeSet<String>,
        (memory, solver_version): (&Arc<ProofMemory>, &str),
    ) -> Result<Self, ProveError> {
        let policies = bundle.policies.set.policies().map(SubjectPolicy::new);
        let mut policies: Vec<_> = policies.collect();
        policies.sort_by(|one, other| one.id.cmp(&other.id));
        let statements = invariants.iter();
        let statements =
            statements.map(|invariant| InvariantStatement::new(invariant, must_have_effect));
        let schema = &bundle.schema;
        let mut subject = Self {
            compiled_schema: CompiledSchema::new(schema)
                .map_err(|error| ProveError::failed(&error))?,
            actions: schema
                .action_entities()
                .map_err(|error| ProveError::failed(&error))?,
            schema: schema.clone(),
            index: Arc::clone(&bundle.policy_index),
            present: policies.iter().filter_map(|policy| policy.digest).collect(),
            numbers: (0..)
                .zip(&policies)
                .map(|(number, policy)| (policy.id.clone(), number))
                .collect(),
            policies,
            statements: statements.collect::<Result<_, _>>()?,
            pending: Vec::new(),
            recollection: Recollection {
                memory: Arc::clone(memory),
                context: context_digest(&bundle.sources, solver_version),
            },
            filled: OnceLock::new(),
        };
        subject.pending = subject.find_pending();
        Ok(subject)
    }

    /// What is not remembered of each policy.
    pub(super) fn find_pending(&self) -> Vec<PendingPolicy> {
        let pending = (0..).zip(&self.policies).map(|(number, policy)| {
            let concerned = (0..).zip(&self.statements).filter(|(_, statement)| {
                statement.concerns(policy)
                    && !self.is_remembered(policy.question(
                        MEETS,
                        &self.recollection.context,
                        &statement.digest,
                    ))
            });
            PendingPolicy {
                policy: number,
                may_fail: !self.is_remembered(policy.question(
                    NEVER_FAILS,
                    &self.recollection.context,
                    &[],
                )),
                statements: concerned.map(|(number, _)| number).collect(),
            }
        });
        let is_pending =
            |pending: &PendingPolicy| pending.may_fail || !pending.statements.is_empty();
        pending.filter(is_pending).collect()
    }

    /// Whether something was proved before, with the help of policies that are all there.
    pub(super) fn is_remembered(&self, question: Option<ProofDigest>) -> bool {
        let supports = question.and_then(|question| self.recollection.memory.supports(&question));
        supports.is_some_and(|supports| {
            supports
                .iter()
                .all(|support| self.present.contains(support))
        })
    }

    /// Remembers that something holds as long as some policies are there.
    pub(super) fn remember_question(
        &self,
        question: Option<ProofDigest>,
        supports: &BTreeSet<usize>,
    ) {
        let supports = supports
            .iter()
            .map(|number| self.policies.get(*number)?.digest);
        if let (Some(question), Some(supports)) = (question, supports.collect()) {
            self.recollection.memory.add(question, supports);
        }
    }

    /// The symbols of an environment.
    pub(super) fn symbols(&self, env: &RequestEnv) -> Result<SymEnv, String> {
        let symbols = self.compiled_schema.sym_env(env);
        symbols.map_err(|error| error.to_string())
    }

    /// Whether a request of an environment may be in the scope of a policy, by types: elsewhere the policy neither
    /// matches nor fails.
    pub(super) fn is_in_scope(&self, policy: &SubjectPolicy, env: &RequestEnv) -> bool {
        let is_group = |group: &EntityUid| {
            group == env.action() || self.actions.is_ancestor_of(group, env.action())
        };
        let is_action = match policy.policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == *env.action(),
            ActionConstraint::In(groups) => groups.iter().any(is_group),
        };
        is_action
            && match policy.policy.principal_constraint() {
                PrincipalConstraint::Any => true,
                PrincipalConstraint::Eq(uid) => uid.type_name() == env.principal(),
                PrincipalConstraint::In(uid) => self.may_be_in(env.principal(), &uid),
                PrincipalConstraint::Is(kind) => kind == *env.principal(),
                PrincipalConstraint::IsIn(kind, uid) => {
                    kind == *env.principal() && self.may_be_in(&kind, &uid)
                }
            }
            && match policy.policy.resource_constraint() {
                ResourceConstraint::Any => true,
                ResourceConstraint::Eq(uid) => uid.type_name() == env.resource(),
                ResourceConstraint::In(uid) => self.may_be_in(env.resource(), &uid),
                ResourceConstraint::Is(kind) => kind == *env.resource(),
                ResourceConstraint::IsIn(kind, uid) => {
                    kind == *env.resource() && self.may_be_in(&kind, &uid)
                }
            }
    }

    fn may_be_in(&self, kind: &EntityTypeName, group: &EntityUid) -> bool {
        let is_ancestor = |mut kinds: Box<dyn Iterator<Item = &EntityTypeName> + '_>| {
            kinds.any(|kind| kind == group.type_name())
        };
        kind == group.type_name()
            || self
                .schema
                .ancestors(kind)
                .is_some_and(|kinds| is_ancestor(Box::new(kinds)))
    }

    /// All policies, without templates; those that cannot be told without one are left out.
    pub(super) fn filled_policies(&self) -> &[Policy] {
        self.filled.get_or_init(|| {
            let filled = self
                .policies
                .iter()
                .filter_map(|policy| policy.filled().ok());
            filled.cloned().collect()
        })
    }

    /// The policies that match one request, by their numbers.
    pub(super) fn matching(&self, example: &Env) -> BTreeSet<usize> {
        let Env { request, entities } = example;
        let (Some(principal), Some(action), Some(resource)) =
            (request.principal(), request.action(), request.resource())
        else {
            return BTreeSet::new();
        };
        let in_scope = self.index.matching(principal, action, resource, entities);
        let in_scope = in_scope.iter().flatten().flat_map(|set| set.policies());
        let numbers = in_scope.filter_map(|policy| {
            let id: &str = policy.id().as_ref();
            self.numbers.get(id).copied()
        });
        let is_match = |number: &usize| {
            let policy = self.policies.get(*number);
            policy.is_some_and(|policy| policy.is_match(example))
        };
        numbers.filter(is_match).collect()
    }
}
