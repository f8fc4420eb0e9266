//! Reach: what in a policy can never match a request.
//!
//! A policy can be valid and never apply: its scope has a type that no request has, an action that does not
//! apply to the resource, a comparison that is false by its types, a word that Cedargate never gives. What is
//! found is a warning, never an error: it harms nobody, but it does not do what it says. Ids of users, roles and
//! datasets are another matter, see [`super::mentions`].
//!
//! - `request_types`: what Cedargate asks about. `scope`: principal, action, resource. `conditions`: comparisons
//!   that are false by their types. `literals`: words and addresses that no request has. `unreachable_part`: the result.

mod conditions;
mod literals;
mod request_types;
mod scope;
mod unreachable_part;

use cedar_policy::Schema;
use cedar_policy_core::ast::Template;

pub(super) use literals::string_literals;
pub(super) use request_types::RequestTypes;
pub(super) use scope::ScopeTypes;
pub(super) use unreachable_part::UnreachablePart;

/// What in a policy never matches; `is_impossible` is what Cedar's validator says of the whole of it.
///
/// A policy that is impossible has at least one finding.
pub(super) fn findings(
    schema: &Schema,
    types: &RequestTypes,
    policy: &Template,
    is_impossible: bool,
) -> Vec<UnreachablePart> {
    let scope = ScopeTypes::new(types, policy);
    let mut found = scope::findings(types, policy, &scope);
    if !found.iter().any(|finding| finding.is_total) {
        found.extend(conditions::findings(
            schema,
            types,
            policy,
            &scope,
            is_impossible,
        ));
        if is_impossible && !found.iter().any(|finding| finding.is_total) {
            let parts = conditions::contradiction(schema, types, policy, &scope);
            found.push(UnreachablePart::impossible(&parts));
        }
    }
    // `issuer` and `username` of an own type are the author's.
    let scope = scope.of_its_actions(types);
    found.extend(
        policy
            .non_scope_constraints()
            .into_iter()
            .flat_map(|conditions| literals::findings(conditions, &scope)),
    );
    found
}
