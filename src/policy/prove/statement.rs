//! Invariants as policy sets that a solver can compare with the policies.
//!
//! An upper bound holds if its set permits whatever the policies permit; a lower bound, if the policies
//! permit whatever its set permits.

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, ParseErrors, Policy, PolicyId, PolicySet,
    PolicySetError, PrincipalConstraint, ResourceConstraint,
};

use crate::policy::links::InstantiateError;

use super::invariants::{Invariant, InvariantBound};

/// An invariant could not be turned into policy sets.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatementError {
    /// The scope is not valid as a condition.
    #[error("cannot convert the scope to a condition: {0}")]
    Scope(#[from] Box<ParseErrors>),
    /// A linked policy could not be converted into one without a template.
    #[error(transparent)]
    Link(#[from] InstantiateError),
    /// Cedar does not accept the policies as one set.
    #[error("cannot build the policy set of an invariant: {0}")]
    Set(#[from] Box<PolicySetError>),
}

/// The policy set of an invariant.
///
/// An upper bound applies to its scope only, so its set permits every request outside. Written as a
/// permit, it permits inside its scope what meets its conditions, and nothing where these fail to
/// evaluate. Written as a forbid, it permits all but what it forbids. The set of a lower bound is the
/// invariant itself.
pub(super) fn bounding_policies(invariant: &Invariant) -> Result<PolicySet, StatementError> {
    let policy = &invariant.policy;
    let mut policies = vec![policy.clone()];
    match (invariant.bound, policy.effect()) {
        (InvariantBound::Lower, _) => {}
        (InvariantBound::Upper, Effect::Forbid) => policies.push(build_permit("rest", "")?),
        (InvariantBound::Upper, Effect::Permit) => {
            let scope = scope_condition(policy);
            policies.push(build_permit("rest", &format!(" unless {{ {scope} }}"))?);
        }
    }
    PolicySet::from_policies(policies).map_err(|error| Box::new(error).into())
}

/// A policy that permits everything in the scope of an invariant.
pub(super) fn scope_policy(invariant: &Policy) -> Result<Policy, StatementError> {
    let scope = scope_condition(invariant);
    build_permit("scope", &format!(" when {{ {scope} }}"))
}

fn build_permit(id: &str, conditions: &str) -> Result<Policy, StatementError> {
    let text = format!("permit (principal, action, resource){conditions};");
    // No @id contains a line end, so the name is unique.
    Policy::parse(Some(PolicyId::new(format!("{id}\n"))), text)
        .map_err(|error| Box::new(error).into())
}

/// The scope of a policy as one Cedar expression.
pub(super) fn scope_condition(policy: &Policy) -> String {
    let parts = [
        principal_condition(policy),
        action_condition(policy),
        resource_condition(policy),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "true".to_owned();
    }
    parts.join(" && ")
}

/// The constraint of the principal as a Cedar expression; none if there is no constraint.
pub(super) fn principal_condition(policy: &Policy) -> Option<String> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::In(uid) => Some(is_in("principal", &uid)),
        PrincipalConstraint::Eq(uid) => Some(is_equal("principal", &uid)),
        PrincipalConstraint::Is(name) => Some(is_a("principal", &name)),
        PrincipalConstraint::IsIn(name, uid) => Some(format!(
            "{} && {}",
            is_a("principal", &name),
            is_in("principal", &uid)
        )),
    }
}

/// The constraint of the action as a Cedar expression; none if there is no constraint.
pub(super) fn action_condition(policy: &Policy) -> Option<String> {
    match policy.action_constraint() {
        ActionConstraint::Any => None,
        ActionConstraint::Eq(uid) => Some(is_equal("action", &uid)),
        ActionConstraint::In(uids) => {
            let listed: Vec<String> = uids.iter().map(ToString::to_string).collect();
            Some(format!("action in [{}]", listed.join(", ")))
        }
    }
}

/// The constraint of the resource as a Cedar expression; none if there is no constraint.
pub(super) fn resource_condition(policy: &Policy) -> Option<String> {
    match policy.resource_constraint() {
        ResourceConstraint::Any => None,
        ResourceConstraint::In(uid) => Some(is_in("resource", &uid)),
        ResourceConstraint::Eq(uid) => Some(is_equal("resource", &uid)),
        ResourceConstraint::Is(name) => Some(is_a("resource", &name)),
        ResourceConstraint::IsIn(name, uid) => Some(format!(
            "{} && {}",
            is_a("resource", &name),
            is_in("resource", &uid)
        )),
    }
}

fn is_in(variable: &str, uid: &EntityUid) -> String {
    format!("{variable} in {uid}")
}

fn is_equal(variable: &str, uid: &EntityUid) -> String {
    format!("{variable} == {uid}")
}

fn is_a(variable: &str, name: &EntityTypeName) -> String {
    format!("{variable} is {name}")
}
