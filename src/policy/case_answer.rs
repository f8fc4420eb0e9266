//! The answer of a bundle to the request of a case or of a counterexample.

use std::collections::BTreeSet;
use std::slice;

use cedar_policy::{AuthorizationError, Entities, Request};

use super::bundle::Bundle;
use super::case_file::CaseDecision;
use super::combined_decision::CombinedDecision;
use super::policy_id::id_text;

/// What the policies of a bundle answer.
pub(super) struct CaseAnswer {
    /// The decision; deny if a policy fails to evaluate.
    pub(super) decision: CaseDecision,
    /// The decision of Cedar, which skips policies that fail.
    pub(super) decision_without_errors: CaseDecision,
    /// The determining policies.
    pub(super) determining_policies: BTreeSet<String>,
    /// The evaluation errors, sorted.
    pub(super) errors: Vec<String>,
    /// The policies that fail to evaluate, sorted.
    pub(super) failed_policies: Vec<String>,
}

impl CaseAnswer {
    /// Evaluates the policies whose scopes match, as a decision does.
    pub(super) fn evaluate(bundle: &Bundle, request: &Request, entities: &Entities) -> Self {
        let named = request.principal().zip(request.action());
        let named = named.zip(request.resource());
        let matching = named.and_then(|((principal, action), resource)| {
            bundle
                .policy_index
                .matching(principal, action, resource, entities)
        });
        // The index does not know an action that the schema does not have.
        let all = slice::from_ref(&bundle.policies.set);
        let sets = matching.as_deref().unwrap_or(all);
        let combined = CombinedDecision::evaluate(&bundle.authorizer, request, sets, entities);
        let mut errors: Vec<String> = combined.errors.iter().map(ToString::to_string).collect();
        errors.sort();
        let mut failed_policies: Vec<String> = combined.errors.iter().map(failed_policy).collect();
        failed_policies.sort();
        failed_policies.dedup();
        let decision_without_errors = if combined.is_allowed {
            CaseDecision::Allow
        } else {
            CaseDecision::Deny
        };
        Self {
            decision: if errors.is_empty() {
                decision_without_errors
            } else {
                CaseDecision::Deny
            },
            decision_without_errors,
            determining_policies: combined.determining.iter().map(id_text).collect(),
            errors,
            failed_policies,
        }
    }
}

/// The policy that an evaluation error is about.
pub(super) fn failed_policy(error: &AuthorizationError) -> String {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => id_text(error.policy_id()),
    }
}
