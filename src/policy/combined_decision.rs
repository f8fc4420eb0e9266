//! The combined decision of several policy sets.
//!
//! Together the sets decide as one set with all their policies: a satisfied `forbid` overrules every
//! `permit`, in whichever set they are (<https://docs.cedarpolicy.com/auth/authorization.html>).

use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, PolicyId, PolicySet, Request,
};

use super::unknown_address::{evaluate_sets, is_address_unknown};

/// The decision of policies about one request.
#[derive(Debug, Default)]
pub(super) struct CombinedDecision {
    /// Whether it is allowed, without regard to policies that failed to evaluate.
    pub(super) is_allowed: bool,
    /// The determining policies, in no order.
    pub(super) determining: Vec<PolicyId>,
    /// The evaluation errors, in no order.
    pub(super) errors: Vec<AuthorizationError>,
}

impl CombinedDecision {
    /// Evaluates every policy of every set.
    pub(super) fn evaluate(
        authorizer: &Authorizer,
        request: &Request,
        sets: &[Arc<PolicySet>],
        entities: &Entities,
    ) -> Self {
        if is_address_unknown(request) {
            let sets = sets.iter().map(AsRef::as_ref);
            let found = evaluate_sets(request, sets, entities);
            return Self::new(found.permits, found.forbids, found.errors);
        }
        let mut permitting = Vec::new();
        let mut forbidding = Vec::new();
        let mut errors = Vec::new();
        for set in sets {
            let response = authorizer.is_authorized(request, set, entities);
            let diagnostics = response.diagnostics();
            // The reason of a denial is the satisfied forbids, or nothing.
            match response.decision() {
                Decision::Allow => permitting.extend(diagnostics.reason().cloned()),
                Decision::Deny => forbidding.extend(diagnostics.reason().cloned()),
            }
            errors.extend(diagnostics.errors().cloned());
        }
        Self::new(permitting, forbidding, errors)
    }

    /// The decision of the satisfied permits and forbids.
    fn new(
        permitting: Vec<PolicyId>,
        forbidding: Vec<PolicyId>,
        errors: Vec<AuthorizationError>,
    ) -> Self {
        let is_allowed = forbidding.is_empty() && !permitting.is_empty();
        Self {
            is_allowed,
            determining: if is_allowed { permitting } else { forbidding },
            errors,
        }
    }
}
