//! Deciding: one question to the policies, one answer.
//!
//! Whatever goes wrong denies. Cedar skips a policy that fails to evaluate, so that a failing
//! forbid would let a permit through; here any failure denies the whole question.

use std::sync::Arc;

use cedar_policy::{Decision as CedarDecision, PolicySet, Request, Response};

use crate::domain::action::Action;
use crate::domain::caller::Context;
use crate::domain::decision::{Decision, LONGEST_TOKEN_LIFE};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::bundle::Bundle;
use super::entities::Facts;
use super::probe::is_asked;
use super::problem::with_causes;

impl Bundle {
    /// Decides whether `principal` may do `action` to `resource` under the circumstances of
    /// `context`; the time is told to policies in whole seconds.
    ///
    /// An evaluation error, or facts that do not fit the schema, deny and are told in
    /// [`Decision::errors`]. So does a disabled user, whose credentials should have been refused.
    ///
    /// Pass the same `Arc`s again for the same user and dataset: what Cedar sees of them is
    /// prepared once for each shared value.
    #[must_use]
    pub fn decide(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &Context,
    ) -> Decision {
        let (facts, request) = match self.question(principal, action, resource, context) {
            Ok(question) => question,
            Err(error) => return self.deny(error),
        };
        let response =
            self.authorizer
                .is_authorized(&request, self.applicable_policies(), &facts.entities);
        self.decision(&response)
    }

    /// What is put to Cedar; why nothing is, otherwise.
    pub(super) fn question(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &Context,
    ) -> Result<(Arc<Facts>, Request), String> {
        if let Principal::User(user) = principal
            && user.is_disabled
        {
            return Err(format!("the user {} is disabled", user.id));
        }
        if !is_asked(principal, action, resource) {
            // No schema says this, so no policy was validated for it.
            return Err(format!(
                "{action} is never asked of this principal and resource"
            ));
        }
        let facts = self
            .preparations
            .facts(principal, resource)
            .map_err(|error| with_causes(&error))?;
        let request = self.request(&facts, action, context)?;
        Ok((facts, request))
    }

    /// The policies that may determine the answer: all of them, until an index picks by scope.
    fn applicable_policies(&self) -> &PolicySet {
        &self.policies.set
    }

    fn request(&self, facts: &Facts, action: Action, context: &Context) -> Result<Request, String> {
        let context = self
            .circumstances
            .context(context)
            .map_err(|error| with_causes(&error))?;
        // The bundle tried every action, kind of principal and context against the schema when it
        // was loaded, so a request is not checked again.
        Request::new(
            facts.principal.clone(),
            self.vocabulary.action(action),
            facts.resource.clone(),
            context,
            None,
        )
        .map_err(|error| with_causes(&error))
    }

    fn decision(&self, response: &Response) -> Decision {
        let diagnostics = response.diagnostics();
        let mut errors: Vec<String> = diagnostics
            .errors()
            .map(|error| with_causes(error))
            .collect();
        errors.sort();
        let mut determining_policies: Vec<String> = diagnostics
            .reason()
            .map(|id| AsRef::<str>::as_ref(id).to_owned())
            .collect();
        determining_policies.sort();
        let max_ttl = determining_policies
            .iter()
            .filter_map(|id| self.policies().get(id)?.max_ttl)
            .min()
            .unwrap_or(LONGEST_TOKEN_LIFE);
        Decision {
            is_permitted: response.decision() == CedarDecision::Allow && errors.is_empty(),
            determining_policies,
            errors,
            max_ttl,
            revision: self.revision().clone(),
        }
    }

    fn deny(&self, error: String) -> Decision {
        Decision {
            is_permitted: false,
            determining_policies: Vec::new(),
            errors: vec![error],
            max_ttl: LONGEST_TOKEN_LIFE,
            revision: self.revision().clone(),
        }
    }
}
