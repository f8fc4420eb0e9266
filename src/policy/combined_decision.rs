//! Verdicts: what several sets of policies say together.
//!
//! The sets are parts of one: together they answer as the whole would. A `forbid` that is satisfied
//! overrules every `permit`, in whichever set either stands
//! (<https://docs.cedarpolicy.com/auth/authorization.html>). This module refuses to know how the sets
//! were picked.

use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, PolicyId, PolicySet, Request,
};

/// What policies say about one request.
#[derive(Debug, Default)]
pub(super) struct CombinedDecision {
    /// Whether it is allowed; a policy that failed to evaluate does not change that here.
    pub(super) is_allowed: bool,
    /// The determining policies, in no order.
    pub(super) determining: Vec<PolicyId>,
    /// The failures to evaluate, in no order.
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
        let mut permitting = Vec::new();
        let mut forbidding = Vec::new();
        let mut errors = Vec::new();
        for set in sets {
            let response = authorizer.is_authorized(request, set, entities);
            let diagnostics = response.diagnostics();
            // A denial names the forbids that are satisfied, or nothing.
            match response.decision() {
                Decision::Allow => permitting.extend(diagnostics.reason().cloned()),
                Decision::Deny => forbidding.extend(diagnostics.reason().cloned()),
            }
            errors.extend(diagnostics.errors().cloned());
        }
        let is_allowed = forbidding.is_empty() && !permitting.is_empty();
        Self {
            is_allowed,
            determining: if is_allowed { permitting } else { forbidding },
            errors,
        }
    }
}
