//! Scopes that match no request: a principal, action or resource that no request of the schema has, alone or
//! together.
//!
//! Cedar's validator says of a whole policy that it is impossible. This says which part of the scope is why, and
//! finds the actions of a list that can never match beside others that can.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{
    ActionConstraint, EntityReference, EntityType, EntityUID, Expr, ExprKind,
    PrincipalOrResourceConstraint, Template, Var,
};

use uuid::Uuid;

use crate::domain::id::UserId;

use super::request_types::{RequestAction, RequestTypes, ScopePart};
use super::unreachable_part::UnreachablePart;

/// The types that the scope of a policy admits.
pub(in crate::policy) struct ScopeTypes {
    pub(super) principals: BTreeSet<EntityType>,
    pub(super) resources: BTreeSet<EntityType>,
    /// The actions as they are written; none if the scope leaves them open.
    pub(super) listed: Vec<EntityUID>,
    /// Whether the action is named by `==`: then the actions in it are not meant.
    is_exact: bool,
}

impl ScopeTypes {
    pub(in crate::policy) fn new(types: &RequestTypes, policy: &Template) -> Self {
        let principal = policy.principal_constraint().as_inner();
        let resource = policy.resource_constraint().as_inner();
        Self {
            principals: admitted(types, ScopePart::Principal, principal),
            resources: admitted(types, ScopePart::Resource, resource),
            listed: match policy.action_constraint() {
                ActionConstraint::Any => Vec::new(),
                ActionConstraint::Eq(uid) => vec![(**uid).clone()],
                ActionConstraint::In(uids) => uids.iter().map(|uid| (**uid).clone()).collect(),
            },
            is_exact: matches!(policy.action_constraint(), ActionConstraint::Eq(_)),
        }
    }

    /// The same scope with the types alone that requests with its actions have; all of them if none has.
    pub(in crate::policy) fn of_its_actions(self, types: &RequestTypes) -> Self {
        let (principals, resources) = self.asked_types(types);
        if principals.is_empty() || resources.is_empty() {
            return self;
        }
        Self {
            principals,
            resources,
            ..self
        }
    }

    /// Whether an expression is the principal or the resource of a request, and may be a user of the catalog.
    pub(in crate::policy) fn may_be_user(&self, expression: &Expr) -> bool {
        let types = match expression.expr_kind() {
            ExprKind::Var(Var::Principal) => &self.principals,
            ExprKind::Var(Var::Resource) => &self.resources,
            _ => return false,
        };
        types.iter().any(|kind| kind.to_string() == "User")
    }

    /// Whether a request of these types is in the scope.
    pub(super) fn admits(
        &self,
        types: &RequestTypes,
        (principal, action, resource): (&EntityType, &EntityUID, &EntityType),
    ) -> bool {
        let mut asked = types.actions.iter().filter(|asked| asked.uid == *action);
        self.principals.contains(principal)
            && self.resources.contains(resource)
            && asked.any(|asked| self.is_listed(asked))
    }

    /// The actions that it admits.
    pub(in crate::policy) fn actions<'a>(
        &'a self,
        types: &'a RequestTypes,
    ) -> impl Iterator<Item = &'a EntityUID> {
        let asked = types.actions.iter();
        asked
            .filter(|action| self.is_listed(action))
            .map(|action| &action.uid)
    }

    /// The types of principals and of resources that requests in it have.
    pub(in crate::policy) fn asked_types(
        &self,
        types: &RequestTypes,
    ) -> (BTreeSet<EntityType>, BTreeSet<EntityType>) {
        let of = |part: ScopePart| {
            let listed = types.actions.iter().filter(|action| self.is_listed(action));
            let asked = listed.flat_map(|action| action.types(part));
            asked
                .filter(|kind| self.of(part).contains(*kind))
                .cloned()
                .collect()
        };
        (of(ScopePart::Principal), of(ScopePart::Resource))
    }

    fn is_listed(&self, action: &RequestAction) -> bool {
        self.listed.is_empty() || self.listed.iter().any(|uid| self.is_named(action, uid))
    }

    /// Whether a listed action names one that Cedargate asks for.
    fn is_named(&self, action: &RequestAction, uid: &EntityUID) -> bool {
        action.uid == *uid || (!self.is_exact && action.is_in(uid))
    }

    fn of(&self, part: ScopePart) -> &BTreeSet<EntityType> {
        match part {
            ScopePart::Principal => &self.principals,
            ScopePart::Resource => &self.resources,
        }
    }

    /// Whether an action applies to a principal and a resource in the scope.
    fn applies(&self, action: &RequestAction) -> bool {
        [ScopePart::Principal, ScopePart::Resource]
            .into_iter()
            .all(|part| !self.of(part).is_disjoint(action.types(part)))
    }
}

/// What in the scope of a policy never matches.
pub(super) fn findings(
    types: &RequestTypes,
    policy: &Template,
    scope: &ScopeTypes,
) -> Vec<UnreachablePart> {
    let parts = [
        (
            ScopePart::Principal,
            policy.principal_constraint().as_inner(),
        ),
        (ScopePart::Resource, policy.resource_constraint().as_inner()),
    ];
    let mut found: Vec<UnreachablePart> = proposed_principal(policy).into_iter().collect();
    for (part, constraint) in parts {
        if scope.of(part).is_empty() {
            found.push(unmatched_part(types, part, constraint).total());
        } else if let PrincipalOrResourceConstraint::In(EntityReference::EUID(uid))
        | PrincipalOrResourceConstraint::IsIn(_, EntityReference::EUID(uid)) = constraint
        {
            found.extend(without_members(types, part.word(), uid));
        }
    }
    if found.iter().any(|finding| finding.is_total) {
        return found;
    }
    let mut actions = unmatched_actions(types, scope);
    let is_total = if scope.listed.is_empty() {
        !types.actions.iter().any(|action| scope.applies(action))
    } else {
        actions.len() == scope.listed.len()
    };
    if is_total && actions.is_empty() {
        actions.push(unmatched_pair(parts, scope));
    }
    for finding in &mut actions {
        finding.is_total = is_total;
    }
    found.extend(actions);
    found
}

/// The id that stands for what a user who changes itself would be, as a principal: it is a resource alone.
fn proposed_principal(policy: &Template) -> Option<UnreachablePart> {
    let uid = policy.principal_constraint().as_inner().get_euid()?;
    let id: &str = uid.eid().as_ref();
    let is_proposed =
        uid.entity_type().to_string() == "User" && id == UserId(Uuid::nil()).to_string();
    is_proposed.then(|| {
        let reason = format!("no principal is `{uid}`, what a user who changes itself would be");
        UnreachablePart::new(uid.loc(), reason)
            .with_help("only the resource of `Action::\"administer_users\"` has this id")
            .total()
    })
}

/// The types of a part of a request that a constraint admits.
fn admitted(
    types: &RequestTypes,
    part: ScopePart,
    constraint: &PrincipalOrResourceConstraint,
) -> BTreeSet<EntityType> {
    let all = types.types(part).iter();
    let is_admitted = |name: &&EntityType| match constraint {
        PrincipalOrResourceConstraint::Any
        | PrincipalOrResourceConstraint::In(EntityReference::Slot(_))
        | PrincipalOrResourceConstraint::Eq(EntityReference::Slot(_)) => true,
        PrincipalOrResourceConstraint::Eq(EntityReference::EUID(uid)) => *name == uid.entity_type(),
        PrincipalOrResourceConstraint::In(EntityReference::EUID(uid)) => {
            types.can_be_in(name, uid.entity_type())
        }
        PrincipalOrResourceConstraint::Is(kind)
        | PrincipalOrResourceConstraint::IsIn(kind, EntityReference::Slot(_)) => **kind == **name,
        PrincipalOrResourceConstraint::IsIn(kind, EntityReference::EUID(uid)) => {
            **kind == **name && types.can_be_in(name, uid.entity_type())
        }
    };
    all.filter(is_admitted).cloned().collect()
}

/// A part of the scope that no request has.
fn unmatched_part(
    types: &RequestTypes,
    part: ScopePart,
    constraint: &PrincipalOrResourceConstraint,
) -> UnreachablePart {
    let word = part.word();
    let known = names(types.types(part));
    let kind_of = |kind: &EntityType, location| {
        let finding = UnreachablePart::new(location, format!("no {word} is of type `{kind}`"));
        let mut all = types.types(part).iter();
        if all.any(|name| types.can_be_in(name, kind)) {
            finding.with_help(format!("write `{word} in {kind}::\"...\"` for its members"))
        } else {
            finding.with_help(format!("a {word} is of type {known}"))
        }
    };
    match constraint {
        PrincipalOrResourceConstraint::Eq(EntityReference::EUID(uid)) => {
            let finding = kind_of(uid.entity_type(), uid.loc());
            let mut all = types.types(part).iter();
            if all.any(|name| types.can_be_in(name, uid.entity_type())) {
                finding.with_help(format!("write `{word} in {uid}` for its members"))
            } else {
                finding
            }
        }
        PrincipalOrResourceConstraint::In(EntityReference::EUID(uid)) => {
            let reason = format!("no {word} is in an entity of type `{}`", uid.entity_type());
            UnreachablePart::new(uid.loc(), reason)
                .with_help(format!("a {word} is of type {known}"))
        }
        PrincipalOrResourceConstraint::IsIn(kind, EntityReference::EUID(uid))
            if types.types(part).contains(&**kind) =>
        {
            let reason = format!(
                "no `{kind}` is in an entity of type `{}`",
                uid.entity_type()
            );
            UnreachablePart::new(uid.loc(), reason)
        }
        PrincipalOrResourceConstraint::Is(kind) | PrincipalOrResourceConstraint::IsIn(kind, _) => {
            kind_of(kind, kind.loc())
        }
        PrincipalOrResourceConstraint::Any
        | PrincipalOrResourceConstraint::In(EntityReference::Slot(_))
        | PrincipalOrResourceConstraint::Eq(EntityReference::Slot(_)) => {
            UnreachablePart::new(None, format!("no request has a {word}"))
        }
    }
}

/// `in` with an entity that nothing is in: it matches that entity alone, as `==` does. Only where the text says
/// so: a template that fits groups may be linked to one entity.
pub(super) fn without_members(
    types: &RequestTypes,
    subject: &str,
    uid: &EntityUID,
) -> Option<UnreachablePart> {
    let kind = uid.entity_type();
    (uid.loc().is_some() && !types.has_members(kind)).then(|| {
        let reason = format!(
            "`in {uid}` matches nothing but that entity: no entity is in one of type `{kind}`"
        );
        UnreachablePart::new(uid.loc(), reason).with_help(format!("write `{subject} == {uid}`"))
    })
}

/// Each listed action that never matches, with the reason.
fn unmatched_actions(types: &RequestTypes, scope: &ScopeTypes) -> Vec<UnreachablePart> {
    let unmatched = scope.listed.iter().filter_map(|uid| {
        let members: Vec<&RequestAction> = types
            .actions
            .iter()
            .filter(|action| scope.is_named(action, uid))
            .collect();
        if members.iter().any(|action| scope.applies(action)) {
            return None;
        }
        let mut grouped = types.actions.iter().filter(|action| action.is_in(uid));
        let finding = unmatched_action(scope, uid, &members);
        Some(if grouped.any(|action| scope.applies(action)) {
            finding.with_help(format!("write `action in {uid}` for the actions in it"))
        } else {
            finding
        })
    });
    unmatched.collect()
}

fn unmatched_action(
    scope: &ScopeTypes,
    uid: &EntityUID,
    members: &[&RequestAction],
) -> UnreachablePart {
    if members.is_empty() && scope.is_exact {
        let reason = format!("Cedargate never asks for `{uid}` itself");
        return UnreachablePart::new(uid.loc(), reason)
            .with_help("name an action of the shipped schema");
    }
    if members.is_empty() {
        let reason = format!("Cedargate asks for neither `{uid}` nor an action in it");
        return UnreachablePart::new(uid.loc(), reason).with_help(
            "name an action of the shipped schema, or put some into this group in schema.cedarschema",
        );
    }
    for part in [ScopePart::Principal, ScopePart::Resource] {
        let applicable: BTreeSet<EntityType> = members
            .iter()
            .flat_map(|action| action.types(part).iter().cloned())
            .collect();
        if scope.of(part).is_disjoint(&applicable) {
            let (word, kinds) = (part.word(), names(scope.of(part)));
            let reason = format!("`{uid}` never has a {word} of type {kinds}");
            let known = names(&applicable);
            let help =
                format!("its {word} is of type {known}: change the scope, or remove the action");
            return UnreachablePart::new(uid.loc(), reason).with_help(help);
        }
    }
    let principals = names(&scope.principals);
    let resources = names(&scope.resources);
    let reason =
        format!("`{uid}` never has {principals} as principal with {resources} as resource");
    UnreachablePart::new(uid.loc(), reason)
}

/// A principal and a resource that no action has together.
fn unmatched_pair(
    parts: [(ScopePart, &PrincipalOrResourceConstraint); 2],
    scope: &ScopeTypes,
) -> UnreachablePart {
    let located = parts.iter().rev().find_map(|(_, constraint)| {
        let uid = constraint.get_euid().and_then(|uid| uid.loc());
        uid.or_else(|| {
            constraint
                .iter_entity_type_names()
                .find_map(EntityType::loc)
        })
    });
    let (principals, resources) = (names(&scope.principals), names(&scope.resources));
    let reason = format!("no action has {principals} as principal with {resources} as resource");
    UnreachablePart::new(located, reason)
}

/// The names of types: `User or Anonymous`.
fn names(types: &BTreeSet<EntityType>) -> String {
    let names: Vec<String> = types.iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
}
