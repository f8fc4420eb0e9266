//! The policy index: finds the policies whose scopes can match a request.
//!
//! A policy takes part in a decision only if its scope matches principal, action and resource
//! (<https://docs.cedarpolicy.com/policies/syntax-policy.html>); one whose scope does not match is
//! neither satisfied nor can it fail. So only those whose scopes match are evaluated. Policies with the
//! same scope are in one set, and a request looks up the scopes that its principal and resource, with
//! their ancestors and types, match. The cost depends on the roles of the principal and on the matching
//! policies, not on the number of policies. Policies that name neither principal nor resource match
//! every request for their actions.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicySet,
    PolicySetError, PrincipalConstraint, ResourceConstraint,
};
use cedar_policy_core::ast::{ExprKind, Var};
use strum::VariantArray;

use crate::domain::action::Action;
use crate::domain::decision::Decision;

/// The policy sets that match a request, one for each scope.
pub(super) type MatchingPolicies = Box<[Arc<PolicySet>]>;

type ByResource = HashMap<EntityScope, Vec<Arc<PolicySet>>>;
type ByPrincipal = HashMap<EntityScope, ByResource>;

/// The constraint of a scope on the principal or the resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum EntityScope {
    /// Any entity.
    Any,
    /// This entity.
    Equal(EntityUid),
    /// This entity or a descendant of it.
    In(EntityUid),
    /// An entity of this type.
    Is(EntityTypeName),
    /// An entity of this type that is this one or a descendant of it.
    IsIn(EntityTypeName, EntityUid),
}

/// The policies of a bundle by their scopes.
#[derive(Debug)]
pub(super) struct PolicyIndex {
    by_action: HashMap<EntityUid, ByPrincipal>,
    /// The addresses of the sets with a policy that reads the context; the index keeps the sets.
    context_readers: HashSet<usize>,
}

impl PolicyIndex {
    /// Indexes all policies, linked ones too; `actions` are the actions of the schema with their groups.
    pub(super) fn new(all: &PolicySet, actions: &Entities) -> Result<Self, Box<PolicySetError>> {
        let mut uids: Vec<EntityUid> = actions.iter().map(cedar_policy::Entity::uid).collect();
        uids.sort_by_cached_key(ToString::to_string);
        let mut sets: HashMap<(EntityScope, EntityScope, Vec<EntityUid>), PolicySet> =
            HashMap::new();
        for policy in all.policies() {
            let constraint = policy.action_constraint();
            let matched = uids
                .iter()
                .filter(|action| matches_action(&constraint, action, actions));
            let scope = (
                EntityScope::from_principal(policy),
                EntityScope::from_resource(policy),
                matched.cloned().collect(),
            );
            copy_policy(policy, all, sets.entry(scope).or_default())?;
        }
        let mut by_action: HashMap<EntityUid, ByPrincipal> = uids
            .iter()
            .map(|uid| (uid.clone(), ByPrincipal::new()))
            .collect();
        let mut context_readers = HashSet::new();
        for ((principal, resource, matched), set) in sets {
            let set = Arc::new(set);
            if set.policies().any(reads_context) {
                context_readers.insert(address(&set));
            }
            for action in &matched {
                let by_principal = by_action.entry(action.clone()).or_default();
                let by_resource = by_principal.entry(principal.clone()).or_default();
                let sets = by_resource.entry(resource.clone()).or_default();
                sets.push(Arc::clone(&set));
            }
        }
        Ok(Self {
            by_action,
            context_readers,
        })
    }

    /// Whether the decision of these sets, which the index found, may depend on the context of the request.
    pub(super) fn reads_context(&self, sets: &[Arc<PolicySet>]) -> bool {
        sets.iter()
            .any(|set| self.context_readers.contains(&address(set)))
    }

    /// The policies for an action, whatever they say about principal and resource.
    pub(super) fn policies_for(&self, action: &EntityUid) -> impl Iterator<Item = &Policy> {
        let by_principal = self.by_action.get(action).into_iter();
        let by_resource = by_principal.flat_map(HashMap::values);
        let sets = by_resource.flat_map(HashMap::values).flatten();
        sets.flat_map(|set| set.policies())
    }

    /// Whether there is a permit whose scope matches principal and action, with some resource.
    pub(super) fn has_permit_for(
        &self,
        principal: &EntityUid,
        action: &EntityUid,
        entities: &Entities,
    ) -> bool {
        let Some(by_principal) = self.by_action.get(action) else {
            return false;
        };
        let is_permit = |policy: &Policy| policy.effect() == Effect::Permit;
        EntityScope::all_matching(principal, entities)
            .iter()
            .filter_map(|scope| by_principal.get(scope))
            .flat_map(|by_resource| by_resource.values().flatten())
            .any(|set| set.policies().any(is_permit))
    }

    /// The policies whose scopes match; `None` for an action that the schema does not have.
    ///
    /// The ancestors of principal and resource are those of `entities`, as in an evaluation.
    pub(super) fn matching(
        &self,
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
        entities: &Entities,
    ) -> Option<MatchingPolicies> {
        let by_principal = self.by_action.get(action)?;
        let resources = EntityScope::all_matching(resource, entities);
        let principals = EntityScope::all_matching(principal, entities);
        let sets = principals
            .iter()
            .filter_map(|scope| by_principal.get(scope))
            .flat_map(|found| resources.iter().filter_map(|scope| found.get(scope)))
            .flatten();
        Some(sets.cloned().collect())
    }
}

impl EntityScope {
    pub(super) fn from_principal(policy: &Policy) -> Self {
        match policy.principal_constraint() {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::Eq(uid) => Self::Equal(uid),
            PrincipalConstraint::In(uid) => Self::In(uid),
            PrincipalConstraint::Is(kind) => Self::Is(kind),
            PrincipalConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }

    pub(super) fn from_resource(policy: &Policy) -> Self {
        match policy.resource_constraint() {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::Eq(uid) => Self::Equal(uid),
            ResourceConstraint::In(uid) => Self::In(uid),
            ResourceConstraint::Is(kind) => Self::Is(kind),
            ResourceConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }

    /// Every constraint that an entity matches, each once.
    fn all_matching(uid: &EntityUid, entities: &Entities) -> Vec<Self> {
        let kind = uid.type_name();
        let mut scopes = vec![
            Self::Any,
            Self::Equal(uid.clone()),
            Self::Is(kind.clone()),
            Self::In(uid.clone()),
            Self::IsIn(kind.clone(), uid.clone()),
        ];
        // An entity is in itself even if it is not in `entities`; then it has no ancestors.
        for ancestor in entities.ancestors(uid).into_iter().flatten() {
            scopes.push(Self::In(ancestor.clone()));
            scopes.push(Self::IsIn(kind.clone(), ancestor.clone()));
        }
        scopes
    }
}

fn matches_action(constraint: &ActionConstraint, action: &EntityUid, actions: &Entities) -> bool {
    let is_in = |group: &EntityUid| group == action || actions.is_ancestor_of(group, action);
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == action,
        ActionConstraint::In(groups) => groups.iter().any(is_in),
    }
}

fn address(set: &Arc<PolicySet>) -> usize {
    Arc::as_ptr(set) as usize
}

/// Whether the condition of a policy mentions the context at all.
fn reads_context(policy: &Policy) -> bool {
    let condition = policy.as_ref().condition();
    condition
        .subexpressions()
        .any(|part| matches!(part.expr_kind(), ExprKind::Var(Var::Context)))
}

/// Copies a policy from `all` into another set; a linked one stays linked.
fn copy_policy(
    policy: &Policy,
    all: &PolicySet,
    target: &mut PolicySet,
) -> Result<(), Box<PolicySetError>> {
    let (Some(template_id), Some(links)) = (policy.template_id(), policy.template_links()) else {
        return target.add(policy.clone()).map_err(Box::new);
    };
    if target.template(template_id).is_none()
        && let Some(template) = all.template(template_id)
    {
        target.add_template(template.clone()).map_err(Box::new)?;
    }
    target
        .link(template_id.clone(), policy.id().clone(), links)
        .map_err(Box::new)
}

/// The most bytes of the ids of determining policies in a decision that is kept.
const MAX_KEPT_IDS_SIZE: usize = 1024;

/// The policies that match one action of a principal on a resource.
#[derive(Debug)]
pub(super) struct MatchedAction {
    sets: MatchingPolicies,
    /// What they decide, if that does not depend on the context.
    decision: Option<OnceLock<Decision>>,
}

impl MatchedAction {
    /// The sets, whose decision may depend on the context or not.
    pub(super) fn new(sets: MatchingPolicies, reads_context: bool) -> Self {
        Self {
            sets,
            decision: (!reads_context).then(OnceLock::new),
        }
    }

    pub(super) fn sets(&self) -> &[Arc<PolicySet>] {
        &self.sets
    }

    /// What they decided about the same facts, whatever the context was.
    pub(super) fn kept_decision(&self) -> Option<&Decision> {
        self.decision.as_ref()?.get()
    }

    /// Keeps what they decided, unless that depends on the context, is too large, or is an error, which is rare and
    /// told each time.
    pub(super) fn keep_decision(&self, decision: &Decision) {
        let ids = decision.determining_policies.iter();
        let size: usize = ids.map(|id| size_of::<String>() + id.len()).sum();
        if let Some(kept) = &self.decision
            && decision.errors.is_empty()
            && size <= MAX_KEPT_IDS_SIZE
        {
            let _ = kept.set(decision.clone());
        }
    }
}

/// The matching policies of one principal and one resource, for each action.
#[derive(Debug, Default)]
pub(super) struct PolicyMatches([OnceLock<Option<MatchedAction>>; Action::VARIANTS.len()]);

impl PolicyMatches {
    /// The matching policies of an action; the first time, those that `find` returns.
    pub(super) fn get_or_match(
        &self,
        action: Action,
        find: impl FnOnce() -> Option<MatchedAction>,
    ) -> Option<&MatchedAction> {
        let cell = self.0.get(action as usize)?;
        cell.get_or_init(find).as_ref()
    }
}

#[cfg(test)]
mod tests;
