//! Statements: an invariant as the two sets of policies that a solver compares.
//!
//! An invariant holds if whatever `inner` permits, `outer` permits too. This module refuses to know
//! who compares them.

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, ParseErrors, Policy, PolicyId, PolicySet,
    PolicySetError, PrincipalConstraint, ResourceConstraint,
};

use crate::policy::links::InstantiateError;

use super::invariants::{Invariant, InvariantBound};

/// Why an invariant has no statement.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatementError {
    /// The scope could not be written as a condition.
    #[error("the scope cannot be written as a condition: {0}")]
    Scope(#[from] Box<ParseErrors>),
    /// A linked policy cannot be written without its template.
    #[error(transparent)]
    Link(#[from] InstantiateError),
    /// The policies of the statement do not go together.
    #[error("the policies of the statement do not go together: {0}")]
    Set(#[from] Box<PolicySetError>),
}

/// What a bound permits.
///
/// An upper bound speaks of its scope alone, so it permits whatever lies outside. As a permit it
/// permits, inside its scope, what meets its conditions; where these fail to evaluate it permits
/// nothing, which is the strict reading. As a forbid it permits all but what it forbids. A lower
/// bound permits what it says.
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

/// Permits everything that is in the scope of an invariant.
pub(super) fn scope_policy(invariant: &Invariant) -> Result<Policy, StatementError> {
    let scope = scope_condition(&invariant.policy);
    build_permit("scope", &format!(" when {{ {scope} }}"))
}

fn build_permit(id: &str, conditions: &str) -> Result<Policy, StatementError> {
    let text = format!("permit (principal, action, resource){conditions};");
    // No @id of a folder has a line end, so this name is never another policy's.
    Policy::parse(Some(PolicyId::new(format!("{id}\n"))), text)
        .map_err(|error| Box::new(error).into())
}

/// The scope of a policy as one Cedar expression.
fn scope_condition(policy: &Policy) -> String {
    let mut parts = Vec::new();
    match policy.principal_constraint() {
        PrincipalConstraint::Any => {}
        PrincipalConstraint::In(uid) => parts.push(is_in("principal", &uid)),
        PrincipalConstraint::Eq(uid) => parts.push(is_equal("principal", &uid)),
        PrincipalConstraint::Is(name) => parts.push(is_a("principal", &name)),
        PrincipalConstraint::IsIn(name, uid) => {
            parts.push(is_a("principal", &name));
            parts.push(is_in("principal", &uid));
        }
    }
    match policy.action_constraint() {
        ActionConstraint::Any => {}
        ActionConstraint::Eq(uid) => parts.push(is_equal("action", &uid)),
        ActionConstraint::In(uids) => {
            let listed: Vec<String> = uids.iter().map(ToString::to_string).collect();
            parts.push(format!("action in [{}]", listed.join(", ")));
        }
    }
    match policy.resource_constraint() {
        ResourceConstraint::Any => {}
        ResourceConstraint::In(uid) => parts.push(is_in("resource", &uid)),
        ResourceConstraint::Eq(uid) => parts.push(is_equal("resource", &uid)),
        ResourceConstraint::Is(name) => parts.push(is_a("resource", &name)),
        ResourceConstraint::IsIn(name, uid) => {
            parts.push(is_a("resource", &name));
            parts.push(is_in("resource", &uid));
        }
    }
    if parts.is_empty() {
        parts.push("true".to_owned());
    }
    parts.join(" && ")
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
